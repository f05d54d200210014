"""Computations as pictures: the tape of a tensor, the program of a function, the layers of a model.

Imports `boxes.py` and `models.py`, and matplotlib when something is drawn. Read next: `curves.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compiler.jit import Jit
from ..compiler.program import Program
from ..compiler.record import record
from ..engine.tensor import Operand, Tensor, as_tensor
from ..training.compiled import StepCache
from .boxes import (
    Canvas,
    Cell,
    Drawing,
    Point,
    arranged,
    check_rankdir,
    on_canvas,
    oriented,
    text_width,
)
from .models import Shown, drawing_of
from .style import GREY, INK, VERMILION, demand, needs_matplotlib

FEW = 6  # so many numbers are written out
# What leaves, and the parts of a step, stand on; all of them carry black text.
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
    """One value of a computation: how it is told, and what it is computed from."""

    lines: list[Cell]
    ground: str
    inputs: list[Any]  # keys of other nodes
    symmetric: bool = True  # may its inputs be exchanged?


def plot_graph(
    thing: Any,
    *args: Any,
    ax: Any = None,
    names: Mapping[str, Any] | None = None,
    rankdir: str = "TB",
) -> Any:
    """Draw a computation: a box for each value, and an arrow for each use of it.

    Arrows enter a box in the order of its arguments, where that matters. A value that is used twice
    by one operation, as in ``x * x``, has two arrows there.

    Parameters
    ----------
    thing : Tensor, Model, function, or a step such as ``model.train_function``
        Of a tensor its tape: values as far as they are few, otherwise shapes, and the gradients
        that `backward` left at the leaves. Of a model its layers. Of a function the program that is
        recorded for `args`, of a step that has run its simplified program.
    *args : arrays, for a function
    ax : axes, optional
        All of it is made smaller to fit in.
    names : dict from name to Tensor or Variable, optional
        What to call leaves and other values of a tape.
    rankdir : "TB", "BT", "LR" or "RL"
        From top to bottom, or the reverse; from left to right, or the reverse.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For something else, a model that is not built, arguments without a function, and another
        `rankdir`.

    >>> import tinynet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> ax = plot_graph(x * x, names={"x": x})
    >>> [text.get_text() for text in ax.texts]
    ['multiply', '9', 'x', '3', 'no gradient yet']
    """
    check_rankdir(rankdir)
    needs_matplotlib()
    if hasattr(thing, "trainable_weights") and hasattr(thing, "predict"):
        _refuse_arguments(args, thing)
        demand(thing, "plot_graph")
        shown = Shown(shapes=True, dtype=False, names=True, activations=True, trainable=False)
        return on_canvas(drawing_of(thing, shown, rankdir, False), rankdir, ax, False)
    if isinstance(thing, Operand):
        _refuse_arguments(args, thing)
        nodes = _of_tape(as_tensor(thing), names or {})
    elif isinstance(thing, (StepCache, Program)):
        _refuse_arguments(args, thing)
        nodes = _of_program(thing.executable.program if isinstance(thing, StepCache) else thing)
    elif callable(thing):
        nodes = _of_program(_program_of(thing, args))
    else:
        raise ValueError(
            "plot_graph: expected a tensor, a model, or a function and its arguments, received "
            f"{type(thing).__name__}."
        )
    return on_canvas(_drawing(nodes, rankdir), rankdir, ax, False)


def _refuse_arguments(args: Any, thing: Any) -> None:
    if args:
        raise ValueError(
            f"plot_graph: arguments belong to a function, received {len(args)} beside a "
            f"{type(thing).__name__}."
        )


# -- what is drawn -----------------------------------------------------------------------------


def _of_tape(root: Tensor, names: Mapping[str, Any]) -> dict[Any, Node]:
    """Return the values that a tensor was computed from, and itself."""
    called = {id(as_tensor(x)): name for name, x in names.items()}
    nodes: dict[Any, Node] = {}
    pending = [root]
    while pending:
        t = pending.pop()
        if id(t) in nodes:
            continue
        title = called.get(id(t), "")
        lines = [Cell(title, bold=True)] if title else []
        if t.equation is None:
            kind = "leaf" if t.tracked else "constant"
            nodes[id(t)] = Node([*lines, *_value(t.data), *_gradient(t)], kind, [])
            continue
        primitive, inputs, params = t.equation
        lines.append(_operation(primitive.name, params))
        kind = "result" if t is root else ""
        keys = [id(x) for x in inputs]
        symmetric = primitive.name in SYMMETRIC
        nodes[id(t)] = Node([*lines, *_value(t.data)], kind, keys, symmetric)
        pending += reversed(inputs)
    return nodes


def _gradient(t: Tensor) -> list[Cell]:
    if not t.tracked:
        return []
    if t.grad is None:
        return [Cell("no gradient yet", GREY, size=8.5)]
    numbers = _numbers(t.grad) or [f"norm {np.linalg.norm(t.grad):.4g}"]
    told = [Cell(text, VERMILION, size=9, family="monospace") for text in numbers]
    return [Cell("gradient", VERMILION, size=8.5), *told]


def _program_of(function: Callable[..., Any], args: Any) -> Program:
    """Return the program of a function for these arguments, as it is recorded."""
    function = function.function if isinstance(function, Jit) else function
    given = [tree.map_structure(as_tensor, x) for x in args]
    try:
        names = [*inspect.signature(function).parameters]
    except (TypeError, ValueError):  # some callables have no signature
        names = []
    return record(function, given, names)


def _of_program(program: Program) -> dict[Any, Node]:
    names = program.names()
    nodes: dict[Any, Node] = {}
    for v in (*program.inputs, *program.captured):
        nodes[v] = Node([Cell(names[v], bold=True), _type(v)], "leaf", [])
    for v, array in program.constants.items():
        nodes[v] = Node(_value(array), "constant", [])
    for v, (primitive, inputs, params) in program.equations.items():
        kind = v.section or ("result" if v in program.outputs else "")
        lines = [_operation(primitive.name, params), Cell(names[v], GREY, size=8.5), _type(v)]
        nodes[v] = Node(lines, kind, list(inputs), primitive.name in SYMMETRIC)
    used = {x for node in nodes.values() for x in node.inputs} | set(program.outputs)
    return {v: node for v, node in nodes.items() if v in used}


# -- how it is told ----------------------------------------------------------------------------


def _operation(name: str, params: Mapping[str, Any]) -> Cell:
    given = {key: x for key, x in params.items() if x is not None and x is not False}
    text = "  ".join([name, *(f"{key}={_shown(x)}" for key, x in given.items())])
    return Cell(text if len(text) < 40 else f"{text[:38]}…", bold=True)


def _shown(value: Any) -> str:
    """Return a parameter as text, slices as they are written."""
    if isinstance(value, tuple) and any(hasattr(part, "step") for part in value):
        return f"[{', '.join(map(_shown, value))}]"
    if hasattr(value, "step"):
        parts = [value.start, value.stop, *([] if value.step is None else [value.step])]
        return ":".join("" if part is None else str(part) for part in parts)
    return str(value)


def _value(array: np.ndarray) -> list[Cell]:
    lines = [Cell(text, size=9, family="monospace") for text in _numbers(array)]
    return [*lines, _type(array)] if array.ndim or not lines else lines


def _numbers(array: np.ndarray) -> list[str]:
    """Return the numbers of an array as lines of text, none if they are many."""
    if array.size > FEW:
        return []
    if array.ndim == 0:
        return [f"{array.item():.4g}"]
    options: Any = {"precision": 3, "separator": ", ", "suppress_small": False}
    return np.array2string(array, **options).split("\n")


def _type(x: Any) -> Cell:
    shape = f"({', '.join(map(str, x.shape))}{',' * (len(x.shape) == 1)})"
    return Cell(f"{np.dtype(x.dtype).name} {shape}", GREY, size=8.5)


# -- boxes -------------------------------------------------------------------------------------


def _drawing(nodes: dict[Any, Node], rankdir: str) -> Drawing:
    number = {key: i for i, key in enumerate(nodes)}
    edges = [(number[x], number[key]) for key, node in nodes.items() for x in node.inputs]
    ordered = [number[key] for key, node in nodes.items() if not node.symmetric]
    cards = [_card(node.lines, GROUNDS[node.ground], rankdir) for node in nodes.values()]
    return arranged(cards, edges, ordered)


def _card(lines: list[Cell], ground: str, rankdir: str) -> Drawing:
    """Return lines of text in a box as a drawing."""
    width = max(text_width(line) for line in lines) + 16
    heights = [1.4 * line.size for line in lines]
    height = sum(heights) + 9

    def draw(canvas: Canvas, centre: Point) -> None:
        x, y = canvas.place(centre)
        canvas.rectangle((x, y), (width, height), facecolor=ground, edgecolor=INK, linewidth=0.9)
        top = y - sum(heights) / 2
        for line, room in zip(lines, heights, strict=True):
            canvas.text((x, top + room / 2), line)
            top += room

    return Drawing(oriented((width, height), rankdir), draw)
