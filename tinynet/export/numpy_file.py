"""A forward pass as one Python module that needs NumPy alone, with a function `predict`.

The text of the module is in ``module.txt``, with names that begin with a dollar sign; this file
fills them in.

Imports `numpy_text.py`. Read next: `c_file.py`.
"""

from __future__ import annotations

import base64
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from .. import tree
from ..compiler.program import Var
from ..compiler.text import number_text
from .forward import Forward
from .numpy_text import WIDTH, Body, plain

FEW = 64  # a larger array is written as base64
TEXT = Path(__file__).with_name("module.txt").read_text(encoding="utf-8")
MODULE, NUMBERS = TEXT.split("#### numbers\n")


def file_text(forward: Forward, name: str, version: str) -> str:
    """Return the Python file of a forward pass; ValueError for a primitive that has no text."""
    body, program = Body(forward), forward.program
    inputs = {body.names[v]: v for v in program.inputs}
    large = {key: array for key, array in body.arrays.items() if array.size > FEW}
    small = {key: array for key, array in body.arrays.items() if key not in large}
    fields = {
        "name": plain(name),
        "version": version,
        "inputs": ", ".join(inputs),
        "shapes": _shapes(inputs, program.result),
        "imports": "import base64\n\n" * bool(large) + "import numpy as np",
        "body": "\n    ".join([*body.lines, f"return {', '.join(body.results)}"]),
        "small": "\n".join(array_text(*item) for item in small.items()),
        "checks": "\n    ".join(_checks(inputs)),
        "first": next(iter(inputs)),
        "slices": ", ".join(f"{x}[i : i + batch_size]" for x in inputs),
        "results": _results(program.result),
        "dtype": program.inputs[0].dtype,
        "functions": "\n\n\n".join(body.functions.values()),
        "numbers": NUMBERS if large else "",
        "large": "\n\n".join(array_text(*item) for item in large.items()),
    }
    parts = [Template(part).substitute(fields).strip("\n") for part in MODULE.split("\n\n\n")]
    return "\n\n\n".join(part for part in parts if part) + "\n"


def _shapes(inputs: dict[str, Var], result: Any) -> str:
    """Return the dtypes and shapes of what `predict` takes and returns, as lines."""
    shapes = {**inputs, "returns": result}
    width = max(map(len, shapes))
    texts = {x: tree.map_structure(_shape_text, part) for x, part in shapes.items()}
    text = "\n".join(f"    {x.ljust(width)}  {part}" for x, part in texts.items())
    return text.replace("\\", "\\\\").replace('"', r"\"")  # the keys of outputs are users' texts


def _shape_text(v: Var) -> _Text:
    return _Text(f"{v.dtype} of shape {v.shape}")


def _checks(inputs: dict[str, Var]) -> list[str]:
    checks = [f'{x} = samples("{x}", {x}, {v.shape[1:]})' for x, v in inputs.items()]
    if len(inputs) > 1:
        lengths = ", ".join(f"len({x})" for x in inputs)
        problem = f"expected the same number of samples, received {{({lengths})}}."
        checks += [f"if len({{{lengths}}}) > 1:", f'    raise ValueError(f"{problem}")']
    return checks


def _results(form: Any) -> str:
    if (several := len(tree.flatten(form))) == 1:
        join, columns = "", ["np.concatenate(parts)"]
    else:
        join = "parts = [np.concatenate(column) for column in zip(*parts)]\n    "
        columns = [f"parts[{i}]" for i in range(several)]
    return f"{join}return {tree.pack_sequence_as(form, [*map(_Text, columns)])}"


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
