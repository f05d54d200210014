"""A forward pass as one Python file that needs NumPy alone: module and program in one.

Imports `numpy_text.py`. Read next: `onnx_file.py`.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from .. import tree
from ..compiler.program import Var
from .forward import Forward, Rows
from .numpy_text import Body, number_text, plain

WIDTH = 96
FEW = 64  # so many numbers are written out, more as base64

SAMPLES = '''
def samples(name, x, shape):
    """Return `x` as {dtype}: samples of `shape`; one number each may stand in (n,) or (n, 1)."""
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
    """Return the array that `text` holds: base64 of little-endian numbers."""
    raw = np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))
    return raw.astype(dtype).reshape(shape)
'''

MAIN = '''
def main():
    """Print what is predicted for each line of numbers, separated by commas or spaces."""
    rows = [line.replace(",", " ").split() for line in sys.stdin if line.strip()]
    for i, row in enumerate(rows, 1):
        if len(row) != {width}:
            sys.exit(f"sample {{i}}: numbers expected: {width}, received: {{len(row)}}.")
    table = np.array(rows, dtype="float64").reshape(-1, {width})
    outputs = predict({columns})
    for row in {outputs}:
        print(*row, sep=",")


if __name__ == "__main__":
    main()
'''


def file_text(forward: Forward, name: str, version: str, file: str) -> str:
    """Return the Python file of a forward pass; ValueError for a primitive that has no text."""
    body = Body(forward.program, forward.places, forward.layers)
    inputs = {body.names[v]: v for v in forward.program.inputs}
    few = {key: array for key, array in body.arrays.items() if array.size <= FEW}
    many = {key: array for key, array in body.arrays.items() if array.size > FEW}
    has_main = all(v.shape[:1] == (Rows(),) for v in forward.program.outputs)
    imports = "import base64\n" * bool(many) + "import sys\n" * has_main + "\nimport numpy as np"
    parts = [
        _docstring(forward, inputs, name, version, file * has_main) + f"\n\n{imports.strip()}",
        _forward(inputs, body),
        "\n".join(array_text(*item) for item in few.items()),
        _predict(inputs, forward.form),
        SAMPLES.format(dtype=forward.program.inputs[0].dtype),
        *body.functions.values(),
        NUMBERS if many else "",
        "\n\n".join(array_text(*item) for item in many.items()),
        _main(inputs, forward.form) if has_main else "",
    ]
    return "\n\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _docstring(forward: Forward, inputs: dict[str, Var], name: str, version: str, file: str) -> str:
    shapes = {key: _shape_text(v) for key, v in inputs.items()}
    shapes["returns"] = _structure(forward.form, _shape_text)
    width = max(map(len, shapes))
    lines = [
        f"The network {plain(name)!r}, exported by tinynet {version}. It needs NumPy alone.",
        "",
        f"    predict({', '.join(inputs)})",
        "",
        *(f"    {key.ljust(width)}  {text}" for key, text in shapes.items()),
        "",
        "`forward` is the network. With the same NumPy on the same machine `predict` gives, to the",
        "last bit, what the `predict` of tinynet's model gives.",
    ]
    if file:
        lines += [
            "",
            "As a program it reads samples, the numbers of each on a line, and prints predictions:",
            "",
            f"    python {plain(file)} < samples.csv",
        ]
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', r"\"")
    return f'"""{text}\n"""'


def _shape_text(v: Var) -> str:
    return f"{v.dtype} of shape {v.shape}"


def _forward(inputs: dict[str, Var], body: Body) -> str:
    results = ", ".join(body.results)
    lines = [f"def forward({', '.join(inputs)}):", '    """Return the outputs for one batch."""']
    lines += [f"    {line}" for line in body.lines]
    return "\n".join([*lines, f"    return {results}"])


def _predict(inputs: dict[str, Var], form: Any) -> str:
    names = list(inputs)
    several = len(tree.flatten(form)) > 1
    slices = ", ".join(f"{name}[i : i + batch_size]" for name in names)
    lines = [
        f"def predict({', '.join(names)}, batch_size=32):",
        '    """Return the outputs for samples, given as arrays or lists.',
        "",
        "    In batches, since the last bits of a product depend on how many rows it has.",
        '    """',
        *(f'    {name} = samples("{name}", {name}, {v.shape[1:]})' for name, v in inputs.items()),
    ]
    if len(names) > 1:
        lengths = ", ".join(f"len({name})" for name in names)
        lines += [
            f"    if len({{{lengths}}}) > 1:",
            f'        raise ValueError(f"expected as many of each, received {{({lengths})}}.")',
        ]
    lines += [
        f"    starts = range(0, max(len({names[0]}), 1), batch_size)",
        f"    parts = [forward({slices}) for i in starts]",
    ]
    if several:
        lines.append("    parts = [np.concatenate(column) for column in zip(*parts)]")
    places = iter(range(len(tree.flatten(form))))
    result = _structure(
        form, lambda _: f"parts[{next(places)}]" if several else "np.concatenate(parts)"
    )
    return "\n".join([*lines, f"    return {result}"])


def _structure(form: Any, text: Any) -> str:
    """Return the text of a structure, `text` giving that of each Var in it, in order."""
    if isinstance(form, dict):
        parts = [f"{key!r}: {_structure(form[key], text)}" for key in sorted(form)]
        return f"{{{', '.join(parts)}}}"
    if isinstance(form, (list, tuple)):
        inner = ", ".join(_structure(part, text) for part in form)
        return f"[{inner}]" if isinstance(form, list) else f"({inner}{',' * (len(form) == 1)})"
    return text(form)


def _paths(form: Any, text: str) -> list[str]:
    """Return for each Var in a structure the text that takes it out of that structure."""
    if isinstance(form, dict):
        return [path for key in sorted(form) for path in _paths(form[key], f"{text}[{key!r}]")]
    if isinstance(form, (list, tuple)):
        return [path for i, part in enumerate(form) for path in _paths(part, f"{text}[{i}]")]
    return [text]


def _main(inputs: dict[str, Var], form: Any) -> str:
    columns, start = [], 0
    for v in inputs.values():
        stop = start + math.prod(v.shape[1:])
        part = "table" if len(inputs) == 1 else f"table[:, {start}:{stop}]"
        columns.append(part if v.ndim == 2 else f"{part}.reshape({(-1, *v.shape[1:])})")
        start = stop
    flat = [f"{path}.reshape(len(table), -1)" for path in _paths(form, "outputs")]
    outputs = flat[0] if len(flat) == 1 else f"np.concatenate([{', '.join(flat)}], axis=1)"
    return MAIN.format(width=start, columns=", ".join(columns), outputs=outputs)


def array_text(name: str, array: np.ndarray) -> str:
    """Return the statement that makes `array`, all its numbers to be read if they are few."""
    shape, dtype = array.shape, f'"{array.dtype}"'
    if not any(array.tobytes()):
        return f"{name} = np.zeros({shape}, dtype={dtype})"
    if array.size <= FEW:
        column = shape[-1:] == (1,) and array.size > 1  # takes one line as a row
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
