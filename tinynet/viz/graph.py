"""Pictures of computations: the tape of a tensor, the program of a function, the layers of a model.

Imports `boxes.py` and `models.py`, and matplotlib when something is drawn. Read next: `curves.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compiler.jit import Jit
from ..compiler.program import Program
from ..compiler.record import record
from ..compiler.text import index_text
from ..engine.primitives.indexing import Slice
from ..engine.tensor import Operand, Tensor, as_tensor
from ..models.model import Model
from ..training.compiled import StepCache
from .boxes import Cell, Drawing, arranged, card, on_canvas, prepare
from .models import drawing_of
from .style import GREY, VERMILION, demand, expect

FEW = 6  # an array of at most this many numbers is written out
# The background of leaves, and of the parts of a training step, under black text.
GROUNDS = {
    "leaf": "#D6E8F5",
    "constant": "#EEEEEE",
    "": "#FFFFFF",
    "forward": "#FFFFFF",
    "loss": "#FBE3D0",
    "metrics": "#EEEEEE",
    "backward": "#E3F2E4",
    "update": "#F6E6EF",
    "result": "#FBE3D0",
}
SYMMETRIC = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and"}


class Node(NamedTuple):
    """One value of a computation: the text of its box, and the equation that computes it."""

    lines: list[Cell]
    kind: str
    equation: Any = None  # its inputs are keys of other nodes


def plot_graph(
    thing: Any,
    *args: Any,
    ax: Any = None,
    names: Mapping[str, Any] | None = None,
    rankdir: str = "TB",
) -> Any:
    """Draw a computation: a box for each value, and an arrow for each use of it.

    Arrows enter a box in the order of its arguments, where that order matters. A value that one
    operation uses twice, as in ``x * x``, has two arrows to it.

    Parameters
    ----------
    thing : Tensor, Model, function, or a step such as ``model.train_function``
        A tensor is drawn as its tape: small values, the shapes of larger ones, and the gradients
        that `backward` has stored at the leaves. A model is drawn as its layers, a function as the
        program that is recorded for `args`, a step that has run as its simplified program.
    *args : arrays, the arguments of a function
    ax : axes, optional
        The picture is shrunk to fit.
    names : dict from name to Tensor or Variable, optional
        Names of leaves and other values of a tape.
    rankdir : "TB", "BT", "LR" or "RL"
        The direction of the arrows: top to bottom, bottom to top, left to right, right to left.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `thing` is none of these, a model is not built, there are arguments without a function,
        or `rankdir` is unknown.

    >>> import tinynet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> ax = plot_graph(x * x, names={"x": x})
    >>> [text.get_text() for text in ax.texts]
    ['multiply', '9', 'x', '3', 'no gradient yet']
    """
    prepare(rankdir)
    recorded = isinstance(thing, (Model, Operand, StepCache, Program))
    expect(not (args and recorded), "args", f"no arguments of a {type(thing).__name__}", len(args))
    if isinstance(thing, Model):
        demand(thing, "plot_graph")
        shown = {"shapes", "names", "activations"}
        return on_canvas(drawing_of(thing, shown, rankdir, False), ax, False)
    if isinstance(thing, Operand):
        return on_canvas(_drawing(_of_tape(as_tensor(thing), names or {}), rankdir), ax, False)
    if isinstance(thing, StepCache):
        thing = thing.executable.program
    elif not isinstance(thing, Program):
        expected = "a tensor, a model, or a function and its arguments"
        expect(callable(thing), "thing", expected, type(thing))
        thing = _program_of(thing, args)
    return on_canvas(_drawing(_of_program(thing), rankdir), ax, False)


# -- from computations to nodes ----------------------------------------------------------------


def _of_tape(root: Tensor, names: Mapping[str, Any]) -> dict[Any, Node]:
    """Return the nodes of a tensor and of all values that it was computed from."""
    titles = {as_tensor(x): [Cell(name, bold=True)] for name, x in names.items() if name}
    nodes: dict[Any, Node] = {}
    pending = [root]
    while pending:
        t = pending.pop()
        if t in nodes:
            continue
        lines = [*titles.get(t, ())]
        if t.equation:
            lines += [_operation(t.equation), *_value(t.data)]
            nodes[t] = Node(lines, "result" if t is root else "", t.equation)
            pending += reversed(t.equation.inputs)
        else:
            lines += [*_value(t.data), *_gradient(t)]
            nodes[t] = Node(lines, "leaf" if t.tracked else "constant")
    return nodes


def _gradient(t: Tensor) -> list[Cell]:
    if not t.tracked:
        return []
    if t.grad is None:
        return [Cell("no gradient yet", GREY, size=8.5)]
    numbers = _numbers(t.grad) or [f"norm {np.linalg.norm(t.grad):.4g}"]
    return [Cell("gradient", VERMILION, size=8.5), *_code(numbers, VERMILION)]


def _program_of(function: Callable[..., Any], args: Any) -> Program:
    """Return the program that is recorded when a function runs on these arguments."""
    function = function.function if isinstance(function, Jit) else function
    names: list[str] = []
    with suppress(TypeError, ValueError):  # some callables have no signature
        names = [*inspect.signature(function).parameters]
    return record(function, [tree.map_structure(as_tensor, x) for x in args], names)


def _of_program(program: Program) -> dict[Any, Node]:
    names = program.names()
    given = (*program.inputs, *program.captured)
    nodes = {v: Node([Cell(names[v], bold=True), _type(v)], "leaf") for v in given}
    nodes |= {v: Node(_value(array), "constant") for v, array in program.constants.items()}
    for v, equation in program.equations.items():
        kind = v.section or ("result" if v in program.outputs else "")
        lines = [_operation(equation), Cell(names[v], GREY, size=8.5), _type(v)]
        nodes[v] = Node(lines, kind, equation)
    used = {x for equation in program.equations.values() for x in equation.inputs}
    used.update(program.outputs)
    return {v: node for v, node in nodes.items() if v in used}


# -- the text of a node ------------------------------------------------------------------------


def _operation(equation: Any) -> Cell:
    given = {key: x for key, x in equation.params.items() if x is not None and x is not False}
    parts = [equation.primitive.name, *(f"{key}={_shown(x)}" for key, x in given.items())]
    text = "  ".join(parts)
    return Cell(text if len(text) < 40 else f"{text[:38]}…", bold=True)


def _shown(value: Any) -> str:
    """Return a parameter as text; an index with slices as it is written."""
    if isinstance(value, tuple) and any(isinstance(part, Slice) for part in value):
        return f"[{index_text(value)}]"
    return str(value)


def _value(array: np.ndarray) -> list[Cell]:
    lines = _code(_numbers(array))
    return [*lines, _type(array)] if array.ndim or not lines else lines


def _code(texts: list[str], ink: str = "black") -> list[Cell]:
    return [Cell(text, ink, size=9, family="monospace") for text in texts]


def _numbers(array: np.ndarray) -> list[str]:
    """Return the numbers of a small array as lines of text; no lines for a larger one."""
    if array.size > FEW:
        return []
    if array.ndim == 0:
        return [f"{array.item():.4g}"]
    options: Any = {"precision": 3, "separator": ", ", "suppress_small": False}
    return np.array2string(array, **options).split("\n")


def _type(x: Any) -> Cell:
    return Cell(f"{np.dtype(x.dtype).name} {tuple(map(int, x.shape))}", GREY, size=8.5)


def _drawing(nodes: dict[Any, Node], rankdir: str) -> Drawing:
    equations = {key: node.equation for key, node in nodes.items() if node.equation}
    uses = [(x, key) for key, equation in equations.items() for x in equation.inputs]
    ordered = [key for key, eq in equations.items() if eq.primitive.name not in SYMMETRIC]
    cards = {key: card(node.lines, GROUNDS[node.kind]) for key, node in nodes.items()}
    return arranged(cards, uses, rankdir, ordered)
