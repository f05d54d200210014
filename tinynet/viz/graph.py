"""Pictures of computations: the tape of a tensor, the program of a function, the layers of a model.

Imports `boxes.py` and `models.py`, and matplotlib when something is drawn. Read next: `curves.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from .. import tree
from ..compiler.program import Program
from ..compiler.record import record
from ..compiler.text import index_text
from ..engine import arrays
from ..engine.bind import grad_mode
from ..engine.primitives.shapes import Slice
from ..engine.tape import cotangents, tape
from ..engine.tensor import Operand, Tensor, as_tensor
from ..models.model import Model
from ..training.step_cache import StepCache
from .boxes import Cell, Drawing, arranged, on_canvas, table
from .models import drawing_of
from .style import GREY, VERMILION, demand, expect

FEW = 6  # an array of at most this many numbers is written out
# The background of leaves, and of the parts of a training step, under black text.
GROUNDS = {"leaf": "#D6E8F5", "input": "#D6E8F5", "backward": "#E3F2E4", "update": "#F6E6EF"}
GROUNDS |= dict.fromkeys(("constant", "metrics"), "#EEEEEE")
GROUNDS |= dict.fromkeys(("loss", "result"), "#FBE3D0")
SYMMETRIC = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and"}


LEGEND = {"leaf": "requires a gradient", "": "operation"}  # kinds whose names do not say it

# For each value of a computation its box, its kind, and the equation that computes it, whose inputs
# are keys.
Nodes = dict[Any, tuple[Drawing, str, Any]]


def plot_graph(
    thing: Any,
    *args: Any,
    ax: Any = None,
    names: Mapping[str, Any] | None = None,
    rankdir: str = "TB",
    gradients: bool = False,
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
    gradients : bool
        Whether to show the gradient of the tensor in each value it was computed from, so that the
        chain rule can be followed; of a result of several numbers, that of their sum. They are
        computed here, and stored nowhere.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `thing` is none of these, a model is not built, there are arguments without a function,
        or `rankdir` is unknown; if `gradients` are wanted of something else than a tensor.

    >>> import tinynet as tn
    >>> x = tn.tensor(3.0, requires_grad=True)
    >>> ax = plot_graph(x * x, names={"x": x})
    >>> [text.get_text() for text in ax.texts]
    ['multiply', '9', 'x', '3', 'no gradient yet']
    >>> ax = plot_graph(x * x, names={"x": x}, gradients=True)
    >>> [text.get_text() for text in ax.texts]
    ['multiply', '9', 'gradient', '1', 'x', '3', 'gradient', '6']
    """
    is_tape = isinstance(thing, Operand)
    expect(is_tape or not gradients, "gradients", "False unless a tensor is drawn", gradients)
    recorded = isinstance(thing, (Model, Operand, StepCache, Program))
    expect(not (args and recorded), "args", f"no arguments of a {type(thing).__name__}", len(args))
    if isinstance(thing, Model):
        demand(thing, "plot_graph")
        drawing = drawing_of(thing, {"shapes", "names", "activations"}, rankdir, False)
        return on_canvas(drawing, ax, False)
    if is_tape:
        root = as_tensor(thing)
        found = _gradients(root) if gradients else {}
        nodes = _of_tape(root, names or {}, found)
    else:
        nodes = _of_program(_program_of(thing, args))
    kinds = dict.fromkeys(kind for _, kind, _ in nodes.values())
    legend = {LEGEND.get(kind, kind): GROUNDS.get(kind, "white") for kind in kinds}
    return on_canvas(_drawing(nodes, rankdir), ax, False, legend)


# -- from computations to nodes ----------------------------------------------------------------


def _gradients(root: Tensor) -> dict[Tensor, np.ndarray]:
    """Return the gradient of the sum of `root` in each value on its tape, equation by equation."""
    cts = {root: arrays.ones_like(root)} if root.tracked else {}
    with grad_mode(False):
        for t in tape(*cts):
            if t.equation and t in cts:
                parts = cotangents([t], {t: cts[t]}, [x for x in t.equation.inputs if x.tracked])
                cts |= {x: cts[x] + part if x in cts else part for x, part in parts.items()}
    return {t: ct.data for t, ct in cts.items()}


def _of_tape(root: Tensor, names: Mapping[str, Any], found: Mapping[Tensor, np.ndarray]) -> Nodes:
    """Return the nodes of a tensor and of all values that it was computed from.

    `found` are gradients to show; without them, those that leaves store.
    """
    titles = {as_tensor(x): [Cell(name, bold=True)] for name, x in names.items() if name}
    nodes: Nodes = {}
    pending = [root]
    while pending:
        t = pending.pop()
        if t in nodes:
            continue
        title, value = titles.get(t, []), _value(t.data)
        if t.equation:
            kind = "result" if t is root else ""
            lines = [*title, _operation(t.equation), *value]
            nodes[t] = _box([*lines, *_gradient(found.get(t))], kind), kind, t.equation
            pending += reversed(t.equation.inputs)
        else:
            kind = "leaf" if t.tracked else "constant"
            lines = _gradient(found.get(t, t.grad))
            if t.tracked and not lines:
                lines = [Cell("no gradient yet", GREY, size=8.5)]
            nodes[t] = _box([*title, *value, *lines], kind), kind, None
    return nodes


def _gradient(gradient: Any) -> list[Cell]:
    if gradient is None:
        return []
    numbers = _numbers(gradient) or [f"norm {np.linalg.norm(gradient):.4g}"]
    return [Cell("gradient", VERMILION, size=8.5), *_code(numbers, VERMILION)]


def _program_of(thing: Any, args: Any) -> Program:
    """Return a program, that of a step, or the one that a function records for its arguments."""
    if isinstance(thing, (Program, StepCache)):
        return thing if isinstance(thing, Program) else thing.executable.program
    expect(callable(thing), "thing", "a tensor, a model, or a function", type(thing))
    names: list[str] = []
    with suppress(TypeError, ValueError):  # some callables have no signature
        names = [*inspect.signature(thing).parameters]
    return record(thing, [tree.map_structure(as_tensor, x) for x in args], names)


def _of_program(program: Program) -> Nodes:
    names, equations = program.names(), program.equations
    used = {x for equation in equations.values() for x in equation.inputs} | {*program.outputs}
    given = (*program.inputs, *program.captured)
    known = [(v, [Cell(names[v], bold=True), _type(v)], "input") for v in given]
    known += [(v, _value(a), "constant") for v, a in program.constants.items()]
    nodes: Nodes = {v: (_box(lines, kind), kind, None) for v, lines, kind in known}
    for v, equation in equations.items():
        kind = v.section or ("result" if v in program.outputs else "")
        lines = [_operation(equation), Cell(names[v], GREY, size=8.5), _type(v)]
        nodes[v] = _box(lines, kind), kind, equation
    return {v: node for v, node in nodes.items() if v in used}


# -- the box of a node -------------------------------------------------------------------------


def _box(lines: list[Cell], kind: str) -> Drawing:
    return table([[line] for line in lines], GROUNDS.get(kind, "white"))


def _operation(equation: Any) -> Cell:
    given = ((key, x) for key, x in equation.params.items() if x is not None and x is not False)
    text = "  ".join([equation.primitive.name, *(f"{key}={_shown(x)}" for key, x in given)])
    return Cell(text if len(text) < 40 else f"{text[:38]}…", bold=True)


def _shown(value: Any) -> str:
    """Return a parameter as text; an index with slices as it is written."""
    sliced = isinstance(value, tuple) and any(isinstance(part, Slice) for part in value)
    return f"[{index_text(value)}]" if sliced else str(value)


def _value(array: np.ndarray) -> list[Cell]:
    lines = _code(_numbers(array))
    return [*lines, _type(array)] if array.ndim or not lines else lines


def _code(texts: list[str], ink: str = "black") -> list[Cell]:
    return [Cell(text, ink, size=9, family="monospace") for text in texts]


def _numbers(array: np.ndarray) -> list[str]:
    """Return the numbers of a small array as lines of text; no lines for a larger one."""
    if array.size > FEW:
        return []
    one = f"{array.item():.4g}" if array.ndim == 0 else ""
    return (one or np.array2string(array, precision=3, separator=", ")).split("\n")


def _type(x: Any) -> Cell:
    return Cell(f"{np.dtype(x.dtype).name} {tuple(map(int, x.shape))}", GREY, size=8.5)


def _drawing(nodes: Nodes, rankdir: str) -> Drawing:
    equations = {key: equation for key, (*_, equation) in nodes.items() if equation}
    uses = [(x, key) for key, equation in equations.items() for x in equation.inputs]
    ordered = [key for key, eq in equations.items() if eq.primitive.name not in SYMMETRIC]
    return arranged({key: box for key, (box, *_) in nodes.items()}, uses, rankdir, ordered)
