"""Pictures of computations: the tape of a tensor, the program of a function, the layers of a model.

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
from ..compiler.text import index_text
from ..engine.primitives.indexing import Slice
from ..engine.tensor import Operand, Tensor, as_tensor
from ..models.model import Model
from ..training.step_cache import StepCache
from .boxes import Cell, Drawing, arranged, card, check_rankdir, on_canvas
from .models import BoxOptions, drawing_of
from .style import GREY, INK, VERMILION, demand, needs_matplotlib

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
    """One value of a computation: the text of its box, and what it is computed from."""

    lines: list[Cell]
    ground: str
    inputs: list[Any]  # keys of other nodes
    symmetric: bool = True  # may its inputs be swapped?


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
    check_rankdir(rankdir)
    needs_matplotlib()
    if isinstance(thing, Model):
        _refuse_arguments(args, thing)
        demand(thing, "plot_graph")
        options = BoxOptions(True, dtype=False, names=True, activations=True, trainable=False)
        return on_canvas(drawing_of(thing, options, rankdir, False), ax, False)
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
    return on_canvas(_drawing(nodes, rankdir), ax, False)


def _refuse_arguments(args: Any, thing: Any) -> None:
    if args:
        raise ValueError(
            "plot_graph: only a function takes arguments, received "
            f"{len(args)} with a {type(thing).__name__}."
        )


# -- from computations to nodes ----------------------------------------------------------------


def _of_tape(root: Tensor, names: Mapping[str, Any]) -> dict[Any, Node]:
    """Return the nodes of a tensor and of all values that it was computed from."""
    titles = {id(as_tensor(x)): name for name, x in names.items()}
    nodes: dict[Any, Node] = {}
    pending = [root]
    while pending:
        t = pending.pop()
        if id(t) in nodes:
            continue
        title = titles.get(id(t), "")
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
    lines = [Cell(text, VERMILION, size=9, family="monospace") for text in numbers]
    return [Cell("gradient", VERMILION, size=8.5), *lines]


def _program_of(function: Callable[..., Any], args: Any) -> Program:
    """Return the program that is recorded when a function runs on these arguments."""
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


# -- the text of a node ------------------------------------------------------------------------


def _operation(name: str, params: Mapping[str, Any]) -> Cell:
    given = {key: x for key, x in params.items() if x is not None and x is not False}
    text = "  ".join([name, *(f"{key}={_shown(x)}" for key, x in given.items())])
    return Cell(text if len(text) < 40 else f"{text[:38]}…", bold=True)


def _shown(value: Any) -> str:
    """Return a parameter as text; an index with slices as it is written."""
    if isinstance(value, tuple) and any(isinstance(part, Slice) for part in value):
        return f"[{index_text(value)}]"
    return str(value)


def _value(array: np.ndarray) -> list[Cell]:
    lines = [Cell(text, size=9, family="monospace") for text in _numbers(array)]
    return [*lines, _type(array)] if array.ndim or not lines else lines


def _numbers(array: np.ndarray) -> list[str]:
    """Return the numbers of a small array as lines of text; no lines for a larger one."""
    if array.size > FEW:
        return []
    if array.ndim == 0:
        return [f"{array.item():.4g}"]
    options: Any = {"precision": 3, "separator": ", ", "suppress_small": False}
    return np.array2string(array, **options).split("\n")


def _type(x: Any) -> Cell:
    shape = f"({', '.join(map(str, x.shape))}{',' * (len(x.shape) == 1)})"
    return Cell(f"{np.dtype(x.dtype).name} {shape}", GREY, size=8.5)


def _drawing(nodes: dict[Any, Node], rankdir: str) -> Drawing:
    number = {key: i for i, key in enumerate(nodes)}
    edges = [(number[x], number[key]) for key, node in nodes.items() for x in node.inputs]
    ordered = [number[key] for key, node in nodes.items() if not node.symmetric]
    cards = [card(node.lines, GROUNDS[node.ground], INK) for node in nodes.values()]
    return arranged(cards, edges, rankdir, ordered)
