"""A forward pass as one Python module that needs NumPy alone, with a function `predict`.

The program becomes the body of a function, written for readers. Each primitive has its text in the
tables here; for one without, the source of its own function is written. The numbers are those of
`Model.predict`, bit for bit. Since the last bits of sums and products depend on the memory layout
of arrays, the text follows the rule of `engine/bind.py`: results are row-major, except views. The
rest of the module is the template ``module.txt``.

Imports `forward.py` and `../compiler/`. Read next: `c_file.py`.
"""

from __future__ import annotations

import ast
import base64
import builtins
import inspect
import re
import textwrap
from collections.abc import Callable
from functools import partial
from itertools import count
from pprint import pformat
from string import Template
from typing import Any

import numpy as np

from .. import tree
from ..compiler.memory import is_literal
from ..compiler.program import Var, is_elementwise
from ..compiler.text import INFIX, SIGN, Expr, Names, index_text, infix, number_text, used_once
from ..engine.bind import PRIMITIVES, VIEWS
from ..engine.primitives.shapes import ARRAY
from ..engine.tensor import Primitive
from ..public import text_of
from .forward import BatchSize, Forward

FEW = 64  # a larger array is written as base64
TEXT = text_of(__package__, "module.txt")
MODULE, NUMBERS = TEXT.split("#### numbers\n")
WIDTH = 96
RESERVED = ("np", "base64", "n", "forward", "predict", "samples", "numbers")
LOCALS = ("batch_size", "i", "starts", "parts", "column")  # of `predict`
LONG = 56  # characters; a longer expression is not written inside another one


# -- the text of each primitive ---------------------------------------------------------------


def _getitem(x: Expr, *arrays: Expr, index: tuple[Any, ...]) -> str:
    rest = iter(arrays)
    parts = [str(next(rest)) if i == ARRAY else index_text((i,)) for i in index]
    return f"{x.atom}[{', '.join(parts) or '()'}]"


def _lengths(shape: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, shape)) or "()"


def _reduction(name: str, x: Expr, axis: Any, keepdims: bool = False) -> str:
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    along = "" if axis is None else f", axis={axis}"
    return f"np.{name}({x}{along}{', keepdims=True' if keepdims else ''})"


# The text of primitives that are not elementwise functions of NumPy; first of those along axes.
TEXTS: dict[str, Callable[..., str]] = {
    name: partial(_reduction, name)
    for name, primitive in PRIMITIVES.items()
    if hasattr(np, name) and {"axis"} <= {*primitive.cases[0].params} <= {"axis", "keepdims"}
} | {
    "argsort": lambda x, axis: f'np.argsort({x}, axis={axis}, kind="stable")',
    "relu": lambda x: f"np.maximum({x}, 0)",
    "isclose": lambda x1, x2, **options: f"np.isclose({x1}, {x2}, **{options})",
    "searchsorted": lambda x, values, side: f'np.searchsorted({x}, {values}, "{side}")',
    "where": lambda condition, x1, x2: f"np.where({condition}, {x1}, {x2})",
    "cast": lambda x, dtype: f'{x.atom}.astype("{dtype}")',
    "concatenate": lambda *xs, axis: f"np.concatenate([{', '.join(map(str, xs))}], axis={axis})",
    "reshape": lambda x, newshape: f"{x.atom}.reshape({_lengths(newshape)})",
    "transpose": lambda x, axes: f"{x.atom}.transpose({_lengths(axes)})",
    "broadcast_to": lambda x, shape: f"np.broadcast_to({x}, {shape})",
    "alias": lambda x: x.atom,
    "getitem": _getitem,
    "matmul": lambda x1, x2: f"np.matmul({x1}, {x2})",
}


def _source(primitive: Primitive, name: str) -> str:
    """Return the source of a primitive's own function, renamed, after the constants it reads."""
    impl: Any = inspect.unwrap(primitive.impl)
    try:
        source = textwrap.dedent(inspect.getsource(impl)).rstrip()
    except (OSError, TypeError):  # no source file, or a function written in C
        source = ""
    source = source[source.find("\ndef ") + 1 :]  # without the decorators
    if source.startswith("def ") and not getattr(impl, "__closure__", True):
        head, _, rest = source.partition("\n")
        head = re.sub(r": Any\b| -> Any\b", "", re.sub(r"^def \w+", f"def {name}", head))
        source = f"{head}\n{rest}"
        words = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        given = {word: impl.__globals__[word] for word in (words - {"np"}) & {*impl.__globals__}}
        if all(isinstance(value, (int, float, list, tuple)) for value in given.values()):
            texts = (pformat(value, width=WIDTH, compact=True) for value in given.values())
            numbers = [f"{word} = {text}" for word, text in zip(given, texts, strict=True)]
            return "\n\n\n".join([*numbers, source])
    raise ValueError(f"export: there is no NumPy text for the primitive {primitive.name!r}.")


# -- a program as the body of a function ------------------------------------------------------


class Body:
    """A program as the statements of a Python function, about one for each layer.

    Attributes
    ----------
    lines : list of str
    names : dict from Var to the identifier of an input
    arrays : dict from identifier to array, the weights and constants that the lines use
    functions : dict from identifier to the source of a function that the lines call
    results : list of str, the expressions of the outputs
    """

    def __init__(self, forward: Forward) -> None:
        self.program, self._layers = forward.program, forward.layers
        self._layer_of, program = forward.layer_of, forward.program
        self.lines: list[str] = []
        self._new = Names([*dir(builtins), *RESERVED, *LOCALS]).new
        used = dict.fromkeys(equation.primitive for equation in program.equations.values())
        own = [p for p in used if not is_elementwise(p) and p.name not in TEXTS]
        self._own = {primitive: self._new(primitive.name) for primitive in own}
        self.functions = {name: _source(primitive, name) for primitive, name in self._own.items()}
        self.names = {v: self._new(v.name or "x") for v in program.inputs}
        held = {v: a for v, a in program.constants.items() if v.name or not is_literal(a)}
        constants = {v: self._new(v.name or "constant") for v in held}
        self.arrays = {constants[v]: array for v, array in held.items()}
        self._exprs = {v: Expr(name) for v, name in (self.names | constants).items()}
        self._inlined = {v for v in used_once(program) if not v.name}
        self._strided: set[Var] = set()  # views that are possibly not row-major
        self._layer: Var | None = None
        self._numbers = count(1)
        for v in program.equations:
            self._write(v)
        self.results = [str(self._operand(v)) for v in program.outputs]
        if any(_varies((*equation.params.values(),)) for equation in program.equations.values()):
            self.lines.insert(0, f"n = len({self.names[program.inputs[0]]})")

    def _write(self, v: Var) -> None:
        """Write the equation of `v`, or keep its text to be inlined where it is used."""
        expr = self._expression(v)
        if len(expr.text) > LONG:
            for x in self.program.equations[v].inputs:
                if x in self._inlined and len(self._exprs[x].text) > LONG // 3:
                    self._assign(x)
            expr = self._expression(v)
        self._exprs[v] = expr
        if v not in self._inlined:
            self._assign(v)

    def _assign(self, v: Var) -> None:
        """Write the assignment to `v`; the first one of a layer has a comment above it."""
        layer = self._layer_of.get(v)
        if layer is not None and layer is not self._layer:
            self._layer = layer
            self.lines.append(f"# {plain(self._layers[layer.name])}, shape {layer.shape}")
        name = self._new(v.name or f"t{next(self._numbers)}")
        self.lines.append(f"{name} = {self._exprs[v]}")
        self._exprs[v] = Expr(name)

    def _operand(self, x: Var, bare: bool = False) -> Expr:
        """Return the text of a variable; a number may be `bare` next to an array of its dtype."""
        if x in self._exprs:
            return self._exprs[x]
        number = number_text(self.program.constants[x][()])
        return Expr(number, SIGN) if bare else Expr(f'np.array({number}, dtype="{x.dtype}")')

    def _expression(self, v: Var) -> Expr:
        """Return the text of an equation; its array is row-major unless it is a view."""
        primitive, inputs, params = self.program.equations[v]
        name, expr = primitive.name, self._text(primitive, inputs, params)
        strided = any(x in self._strided for x in inputs)
        if name in VIEWS and len(inputs) == 1:  # an index with arrays makes a copy
            if strided or name in ("transpose", "getitem"):
                self._strided.add(v)
        elif strided or name in ("broadcast_to", "getitem"):
            return Expr(f'np.array({expr}, order="C")')
        return expr

    def _text(self, primitive: Primitive, inputs: tuple[Var, ...], params: dict[str, Any]) -> Expr:
        """Return the text of a primitive on its inputs, whatever the memory layout."""
        name = primitive.name
        arrays = {x.dtype for x in inputs if x in self._exprs}
        bare = is_elementwise(primitive) or name == "where"
        xs = [self._operand(x, bare and x.dtype in arrays) for x in inputs]
        if name in INFIX:
            return infix(name, xs[0], xs[1])
        if name == "negative":
            return Expr(f"-{xs[0].within(SIGN)}", SIGN)
        if name == "matmul" and all(len(x.shape) == 2 for x in inputs):
            return Expr(f"np.dot({xs[0]}, {xs[1]})")
        if name in TEXTS:
            return Expr(TEXTS[name](*xs, **params))
        function = self._own.get(primitive) or f"np.{primitive.impl.__name__}"
        given = [*map(str, xs), *(f"{key}={value!r}" for key, value in params.items())]
        return Expr(f"{function}({', '.join(given)})")


def _varies(param: Any) -> bool:
    """Return whether a parameter contains a symbolic length."""
    return any(map(_varies, param)) if isinstance(param, tuple) else isinstance(param, BatchSize)


def plain(text: str) -> str:
    """Return a user's text with "_" for characters that could end a comment or docstring."""
    return re.sub(r"[^\w .-]", "_", text)


# -- the module -------------------------------------------------------------------------------


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
    texts = tree.map_structure(lambda v: _Text(f"{v.dtype} of shape {v.shape}"), shapes)
    text = "\n".join(f"    {x.ljust(width)}  {texts[x]}" for x in shapes)
    return text.replace("\\", "\\\\").replace('"', r"\"")  # the keys of outputs are users' texts


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
