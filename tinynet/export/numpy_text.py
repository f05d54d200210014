"""A program as the body of a Python function that needs NumPy alone, to be read as well as run.

Each primitive has its text in the tables here; what has none is written as the source of its own
function. The numbers are those of `Model.predict`, bit for bit: the last bits of sums and products
depend on the layout of arrays and on the length of batches, so these are the same, too.

Imports `forward.py`. Read next: `numpy_file.py`.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from keyword import iskeyword
from pprint import pformat
from typing import Any, NamedTuple

import numpy as np

from ..compiler.buffers import index_text, is_literal
from ..compiler.program import Program, Var, is_elementwise
from ..engine.primitives.indexing import ARRAY
from ..engine.tensor import Primitive

WIDTH = 96
RESERVED = {"np", "sys", "base64", "n", "main", "forward", "predict", "samples", "numbers"}
RESERVED |= {"batch_size", "starts", "parts"}
SHORT = 56  # a longer expression is not written within another one


# -- the text of each primitive ---------------------------------------------------------------


class Text(NamedTuple):
    """An expression, and how strongly it binds: from 0, a comparison, to 4, a name or a call."""

    text: str
    rank: int = 4

    def __str__(self) -> str:
        return self.text

    def within(self, rank: int) -> str:
        """Return the text, in brackets unless it binds at least as strongly as `rank`."""
        return self.text if self.rank >= rank else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text as something that has methods."""
        return self.within(4)


INFIX = {
    "add": (" + ", 1),
    "subtract": (" - ", 1),
    "multiply": (" * ", 2),
    "divide": (" / ", 2),
    "less": (" < ", 0),
    "less_equal": (" <= ", 0),
    "greater": (" > ", 0),
    "greater_equal": (" >= ", 0),
    "equal": (" == ", 0),
    "not_equal": (" != ", 0),
}


def _item(x: Text, *arrays: Text, index: tuple[Any, ...]) -> str:
    rest = iter(arrays)
    parts = [str(next(rest)) if i == ARRAY else index_text((i,)) for i in index]
    return f"{x.atom}[{', '.join(parts) or '()'}]"


def _bare(shape: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, shape)) or "()"


CALLS: dict[str, Callable[..., str]] = {
    "relu": lambda x: f"np.maximum({x}, 0)",
    "where": lambda condition, x1, x2: f"np.where({condition}, {x1}, {x2})",
    "cast": lambda x, dtype: f'{x.atom}.astype("{dtype}")',
    "argmax": lambda x, axis: f"np.argmax({x}{'' if axis is None else f', axis={axis}'})",
    "concatenate": lambda *xs, axis: f"np.concatenate([{', '.join(map(str, xs))}], axis={axis})",
}
VIEWS: dict[str, Callable[..., str]] = {
    "reshape": lambda x, newshape: f"{x.atom}.reshape({_bare(newshape)})",
    "transpose": lambda x, axes: f"{x.atom}.transpose({_bare(axes)})",
    "broadcast_to": lambda x, shape: f"np.broadcast_to({x}, {shape})",
    "alias": lambda x: x.atom,
    "getitem": _item,
}
REDUCTIONS = ("sum", "max", "min")


def _in_order(x: Any) -> Text:
    return Text(f'np.array({x}, order="C")')


def _source(primitive: Primitive, name: str) -> str:
    """Return the source of a primitive's own function, with the numbers it needs, as `name`."""
    impl: Any = primitive.impl
    try:
        source = textwrap.dedent(inspect.getsource(impl)).rstrip()
    except (OSError, TypeError):  # it is nowhere, or is written in C
        source = ""
    if source.startswith("def ") and not impl.__closure__:
        head, _, rest = source.partition("\n")
        head = re.sub(r": Any\b| -> Any\b", "", re.sub(r"^def \w+", f"def {name}", head))
        source = f"{head}\n{rest}"
        words = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        given = {word: impl.__globals__[word] for word in (words - {"np"}) & {*impl.__globals__}}
        if all(isinstance(value, (int, float, list, tuple)) for value in given.values()):
            texts = (pformat(value, width=WIDTH, compact=True) for value in given.values())
            numbers = [f"{word} = {text}" for word, text in zip(given, texts, strict=True)]
            return "\n\n\n".join([*numbers, source])
    raise ValueError(
        f"export: there is no NumPy text for the primitive {primitive.name!r}, which the model "
        "computes with."
    )


# -- a program as the body of a function ------------------------------------------------------


class Body:
    """A program as the statements of a Python function, one for each layer or so.

    Attributes
    ----------
    lines : list of str
    names : dict from Var to identifier
    arrays : dict from identifier to array, the weights and constants that the lines speak of
    functions : dict from identifier to the source of a function that the lines call
    """

    def __init__(self, program: Program, places: dict[Var, Var], layers: dict[str, str]) -> None:
        self.program, self._places, self._layers = program, places, layers
        self.lines: list[str] = []
        self.functions: dict[str, str] = {}
        self._taken = {*dir(builtins), *RESERVED}
        self._known: dict[Primitive, str] = {}
        for primitive, _, _ in program.equations.values():
            if not (primitive in self._known or _has_text(primitive)):
                self._known[primitive] = name = self._name(primitive.name)
                self.functions[name] = _source(primitive, name)
        self.names = {v: self._name(v.name or "x") for v in program.inputs}
        held = {v: a for v, a in program.constants.items() if v.name or not is_literal(a)}
        self.names |= {v: self._name(v.name or "constant") for v in held}
        self.arrays = {self.names[v]: a for v, a in held.items()}
        self._uses = Counter(x for e in program.equations.values() for x in e.inputs)
        self._uses.update(dict.fromkeys(program.outputs, 2))
        self._waiting: dict[Var, Text] = {}  # what is used once, until it is
        self._uneven: set[Var] = set()  # perhaps not in C order
        self._repeated: set[Var] = set()  # nor with a place in memory for each number
        self._layer: Var | None = None
        self._numbers = itertools.count(1)
        for v in program.equations:
            self._write(v)
        self.results = [str(self._operand(v)) for v in program.outputs]
        if any(re.search(r"^[^#]*\bn\b", line) for line in self.lines):
            self.lines.insert(0, f"n = len({self.names[program.inputs[0]]})")

    def _name(self, wanted: str) -> str:
        """Return `wanted` as an identifier that is not taken yet."""
        name = wanted = re.sub(r"^(?=\d)|\W", "_", wanted, flags=re.ASCII)
        count = itertools.count(2)
        while name in self._taken or iskeyword(name):
            name = f"{wanted}_{next(count)}"
        self._taken.add(name)
        return name

    def _write(self, v: Var) -> None:
        text = self._text(v)
        if len(text.text) > SHORT:
            for x in self.program.equations[v].inputs:
                if x in self._waiting and len(self._waiting[x].text) > SHORT // 3:
                    self._state(x, self._waiting.pop(x))
            text = self._text(v)
        self._waiting[v] = text
        if v.name or self._uses[v] != 1:
            self._state(v, self._waiting.pop(v))
        for x in self.program.equations[v].inputs:
            self._waiting.pop(x, None)

    def _state(self, v: Var, text: Text) -> None:
        """Write a statement, after the name of the layer that begins with it."""
        layer = self._places.get(v)
        if layer is not None and layer is not self._layer:
            self._layer = layer
            self.lines.append(f"# {plain(self._layers[layer.name])}, shape {layer.shape}")
        self.names[v] = self._name(v.name or f"t{next(self._numbers)}")
        self.lines.append(f"{self.names[v]} = {text}")

    def _operand(self, x: Var, bare: bool = False) -> Text:
        """Return the text of a variable; a number may be `bare` beside an array of its dtype."""
        if x in self._waiting:
            return self._waiting[x]
        if x in self.names:
            return Text(self.names[x])
        number = number_text(self.program.constants[x][()])
        return Text(number, 3) if bare else Text(f'np.array({number}, dtype="{x.dtype}")')

    def _text(self, v: Var) -> Text:
        primitive, inputs, params = self.program.equations[v]
        name = primitive.name
        arrays = {x.dtype for x in inputs if x in self.names or x in self._waiting}
        bare = is_elementwise(primitive) or name == "where"
        xs = [self._operand(x, bare and x.dtype in arrays) for x in inputs]
        uneven = [x in self._uneven for x in inputs]
        if name in VIEWS:
            if name != "reshape" or uneven[0]:
                self._uneven.add(v)
            if name == "broadcast_to" or inputs[0] in self._repeated:
                self._repeated.add(v)
            view = Text(VIEWS[name](*xs, **params))
            return _in_order(view) if len(xs) > 1 else view
        if name == "power":  # which gives other last bits for a repeated exponent
            repeated = [x in self._repeated for x in inputs]
            xs = [_in_order(x) if again else x for x, again in zip(xs, repeated, strict=True)]
        if name == "matmul":
            if all(x.ndim == 2 for x in inputs):
                return Text(f"np.dot({xs[0]}, {xs[1]})")
            product = Text(f"np.matmul({xs[0]}, {xs[1]})")
            return _in_order(product) if any(uneven) else product
        if is_elementwise(primitive):
            return _elementwise(primitive, xs, any(uneven))
        if name in REDUCTIONS:
            return _reduction(name, xs[0], v, any(uneven), **params)
        xs = [_in_order(x) if odd else x for x, odd in zip(xs, uneven, strict=True)]
        if name in CALLS:
            return Text(CALLS[name](*xs, **params))
        given = [f"{key}={value!r}" for key, value in params.items()]
        return Text(f"{self._known[primitive]}({', '.join([*map(str, xs), *given])})")


def _has_text(primitive: Primitive) -> bool:
    return is_elementwise(primitive) or primitive.name in (*CALLS, *VIEWS, *REDUCTIONS, "matmul")


def _elementwise(primitive: Any, xs: list[Text], uneven: bool) -> Text:
    if primitive.name in INFIX and not uneven:
        sign, rank = INFIX[primitive.name]
        left = xs[0].within(rank + (rank == 0))
        return Text(f"{left}{sign}{xs[1].within(rank + 1)}", rank)
    if primitive.name == "negative" and not uneven:
        return Text(f"-{xs[0].within(3)}", 3)
    order = ', order="C"' if uneven else ""
    return Text(f"np.{primitive.impl.__name__}({', '.join(map(str, xs))}{order})")


def _reduction(name: str, x: Text, v: Var, uneven: bool, axis: Any, keepdims: bool) -> Text:
    along = "" if axis is None else f", axis={axis[0] if len(axis) == 1 else axis}"
    keep = ", keepdims=True" if keepdims else ""
    out = f', out=np.empty({v.shape}, "{v.dtype}")' if uneven and v.ndim else ""
    return Text(f"np.{name}({x}{along}{keep}{out})")


def number_text(number: Any) -> str:
    """Return the shortest text that is just this number, of this dtype, again."""
    if isinstance(number, np.floating) and not np.isfinite(number):
        return "np.nan" if np.isnan(number) else "np.inf" if number > 0 else "-np.inf"
    text = str(number)
    exact = not isinstance(number, np.floating) or type(number)(float(text)) == number
    return text if exact else repr(float(number))


def plain(text: str) -> str:
    """Return a user's text as it may stand in a comment or docstring."""
    return re.sub(r"[^\w .-]", "_", text)
