"""A forward pass as one Python module that needs NumPy alone, with a function `predict`.

Imports `numpy_text.py`. Read next: `c_file.py`.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from .. import tree
from ..compiler.program import Var
from ..compiler.text import number_text
from .forward import Forward
from .numpy_text import WIDTH, Body, plain

FEW = 64  # a larger array is written as base64

ABOUT = """The network {name!r}, exported by tinynet {version}. It needs NumPy alone.

    predict({inputs})

{rows}

`forward` is the network. With the same NumPy on the same machine, `predict` returns what
the model's `predict` in tinynet returns, to the last bit.
"""

PREDICT = '''
def predict({parameters}, batch_size=32):
    """Return the outputs for samples, given as arrays or lists.

    In batches, since the last bits of a product depend on how many rows it has.
    """
{checks}
    starts = range(0, max(len({first}), 1), batch_size)
    parts = [forward({slices}) for i in starts]
    {results}
'''

LENGTHS = """
    if len({{{lengths}}}) > 1:
        raise ValueError(f"expected the same number of samples, received {{({lengths})}}.")
"""

SAMPLES = '''
def samples(name, x, shape):
    """Return `x` as {dtype}: samples of `shape`, which may be (n,) or (n, 1) for single numbers."""
    x = np.asarray(x)
    given = x.shape
    if x.ndim == len(shape) and shape[-1:] == (1,):
        given += (1,)
    elif x.ndim == len(shape) + 2 and given[-1] == 1:
        given = given[:-1]
    if not given or given[1:] != shape or x.dtype.kind not in "fiub":
        raise ValueError(
            f"{{name}}: expected samples that are numbers of shape {{shape}} each, "
            f"received {{x.dtype}} of shape {{x.shape}}."
        )
    return x.astype("{dtype}", order="C").reshape(given)
'''

NUMBERS = '''
def numbers(shape, dtype, text):
    """Return the array that `text` encodes: base64 of little-endian numbers."""
    raw = np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))
    return raw.astype(dtype).reshape(shape)
'''


def file_text(forward: Forward, name: str, version: str) -> str:
    """Return the Python file of a forward pass; ValueError for a primitive that has no text."""
    body = Body(forward)
    inputs = {body.names[v]: v for v in forward.program.inputs}
    small = [array_text(*item) for item in body.arrays.items() if item[1].size <= FEW]
    large = [array_text(*item) for item in body.arrays.items() if item[1].size > FEW]
    imports = "import base64\n\n" * bool(large) + "import numpy as np"
    parts = [
        f"{_docstring(forward, inputs, name, version)}\n\n{imports}",
        _forward(inputs, body),
        "\n".join(small),
        _predict(inputs, forward.program.result),
        SAMPLES.format(dtype=forward.program.inputs[0].dtype),
        *body.functions.values(),
        NUMBERS if large else "",
        "\n\n".join(large),
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _docstring(forward: Forward, inputs: dict[str, Var], name: str, version: str) -> str:
    shapes: dict[str, str] = {key: _shape_text(v) for key, v in inputs.items()}
    shapes["returns"] = str(tree.map_structure(_shape_text, forward.program.result))
    width = max(map(len, shapes))
    rows = "\n".join(f"    {key.ljust(width)}  {text}" for key, text in shapes.items())
    text = ABOUT.format(name=plain(name), version=version, inputs=", ".join(inputs), rows=rows)
    text = text.replace("\\", "\\\\").replace('"', r"\"")
    return f'"""{text}"""'


def _shape_text(v: Var) -> _Text:
    return _Text(f"{v.dtype} of shape {v.shape}")


def _forward(inputs: dict[str, Var], body: Body) -> str:
    head, doc = f"def forward({', '.join(inputs)}):", '"""Return the outputs for one batch."""'
    return "\n    ".join([head, doc, *body.lines, f"return {', '.join(body.results)}"])


def _predict(inputs: dict[str, Var], form: Any) -> str:
    checks = [f'    {x} = samples("{x}", {x}, {v.shape[1:]})' for x, v in inputs.items()]
    if len(inputs) > 1:
        lengths = ", ".join(f"len({name})" for name in inputs)
        checks.append(LENGTHS.format(lengths=lengths).strip("\n"))
    join, columns = "", ["np.concatenate(parts)"]
    if (several := len(tree.flatten(form))) > 1:
        join = "parts = [np.concatenate(column) for column in zip(*parts)]\n    "
        columns = [f"parts[{i}]" for i in range(several)]
    return PREDICT.format(
        parameters=", ".join(inputs),
        checks="\n".join(checks),
        first=next(iter(inputs)),
        slices=", ".join(f"{name}[i : i + batch_size]" for name in inputs),
        results=f"{join}return {tree.pack_sequence_as(form, [*map(_Text, columns)])}",
    )


class _Text(str):
    """Text that stands for itself in the repr of a list, tuple or dict."""

    __repr__ = str.__str__


def array_text(name: str, array: np.ndarray) -> str:
    """Return the statement that makes `array`, with readable numbers if it is small."""
    shape, dtype = array.shape, f'"{array.dtype}"'
    if not any(array.tobytes()):
        return f"{name} = np.zeros({shape}, dtype={dtype})"
    if array.size <= FEW:
        column = shape[-1:] == (1,) and array.size > 1  # written as a row, it takes one line
        width = max(len(number_text(x)) for x in array.reshape(-1))
        numbers = np.array2string(
            array.reshape(-1) if column else array,
            max_line_width=WIDTH,
            separator=", ",
            prefix=f"{name} = np.array(",
            formatter={"all": lambda x: number_text(x).rjust(width)},
        )
        return f"{name} = np.array({numbers}, dtype={dtype})" + f".reshape{shape}" * column
    text = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
    text = "\n".join(text[i : i + WIDTH] for i in range(0, len(text), WIDTH))
    return f'{name} = numbers({shape}, {dtype}, """\n{text}\n""")'
