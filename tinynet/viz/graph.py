"""Pictures of graphs: the layers of a model, the tape of a tensor, the program of a function.

Imports `boxes.py`, and matplotlib when something is drawn. Read next: `curves.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import tree
from ..compiler.arguments import Parameters
from ..compiler.program import Program
from ..compiler.record import record
from ..compiler.text import index_text
from ..configs.files import as_path, replacing
from ..engine.expect import is_number
from ..engine.primitives.shapes import Slice
from ..engine.tape import gradients as gradients_of, tape
from ..engine.tensor import Operand, Tensor, as_tensor
from ..models import Model
from ..training.step_cache import StepCache
from .boxes import Cell, Drawing, arranged, framed, on_canvas, table
from .style import GREY, VERMILION, expect, expect_built

FEW = 6  # an array of at most this many numbers is written out
# The background of leaves, and of the parts of a training step, under black text.
GROUNDS = {"leaf": "#D6E8F5", "input": "#D6E8F5", "backward": "#E3F2E4", "update": "#F6E6EF"}
GROUNDS |= dict.fromkeys(("constant", "metrics"), "#EEEEEE")
GROUNDS |= dict.fromkeys(("loss", "result"), "#FBE3D0")
SYMMETRIC = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and"}
LEGEND = {"leaf": "requires a gradient", "": "operation"}  # of kinds whose names are not clear

# From each value of a computation to its kind, the lines of its box, and the equation that computes
# it, whose inputs are keys, too.
Nodes = dict[Any, tuple[str, list[Cell], Any]]


# -- models ----------------------------------------------------------------------------------------


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model: a box for each layer, and an arrow for each tensor between two layers.

    Parameters
    ----------
    model : Model
        A built model. A subclassed one, whose graph of layers is not known, is a single box.
    to_file : path, optional
        Where to save the picture; its extension is the format. None: do not save.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What the boxes show in addition to the classes of the layers.
    rankdir : "TB", "BT", "LR" or "RL"
        The direction of the arrows: top to bottom, bottom to top, left to right, right to left.
    expand_nested : bool
        Whether to draw the layers of nested models, in a frame.
    dpi : int
        Dots per inch of the file.
    splines : str
        Ignored; Keras has it. Arrows are curves that cross no box.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the model is not built, or `rankdir` is unknown.
    ImportError
        If matplotlib is not installed.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3), tn.layers.Dense(1)])
    >>> figure = plot_model(model, to_file=None, show_shapes=True)
    """
    expect_built(model, "plot_model")
    flags = {"shapes": show_shapes, "dtype": show_dtype, "names": show_layer_names}
    flags |= {"activations": show_layer_activations, "trainable": show_trainable}
    shown = {name for name, flag in flags.items() if flag}
    axes = on_canvas(drawing_of(model, shown, rankdir, expand_nested))
    if to_file is not None:
        expect(is_number(dpi) and 10 <= dpi <= 10_000, "dpi", "a number from 10 to 10,000", dpi)
        ending = os.path.splitext(as_path(to_file, "to_file"))[1][1:]
        with replacing(to_file) as file:
            axes.figure.savefig(file, dpi=dpi, format=ending or "png")
    return axes.figure


def drawing_of(model: Any, shown: set[str], rankdir: str, expand_nested: bool) -> Drawing:
    """Return the boxes of a model's layers, and arrows between them, as one drawing.

    A model whose graph of layers is not known is a single box. `shown` says what boxes show:
    "shapes", "dtype", "names", "activations", "trainable".
    """
    layers, calls = [model], []
    if model.graph:
        layers, calls = getattr(model, "operations", model.layers), model.graph.calls
    first = {call.layer: call for call in reversed(calls)}

    def part(layer: Any) -> Drawing:
        if expand_nested and layer is not model and getattr(layer, "graph", None):
            return framed(drawing_of(layer, shown, rankdir, True), layer.name)
        return table(rows_of(layer, first.get(layer), shown))

    uses = [(x.call.layer, call.layer) for call in calls for x in call.inputs]
    return arranged({layer: part(layer) for layer in layers}, dict.fromkeys(uses), rankdir, ())


def rows_of(layer: Any, call: Any, shown: set[str]) -> list[list[Cell]]:
    """Return the cells of a layer's box; `call` is the first call of the layer in the model."""
    kind = type(layer).__name__
    head = f"{layer.name} ({kind})" if "names" in shown else kind
    rows = [[Cell(head, "white", "black", 11.5, bold=True)]]
    activation = getattr(layer, "activation", None)
    if "activations" in shown and activation is not None:
        rows.append([Cell(f"Activation: {getattr(activation, '__name__', activation)}")])
    inputs = call.inputs if call else None
    outputs = call.outputs if call else getattr(layer, "output", None)
    facts = {
        f"Input shape: {_joined(inputs, 'shape')}": "shapes" in shown and kind != "InputLayer",
        f"Output shape: {_joined(outputs, 'shape')}": "shapes" in shown,
        f"Output dtype: {_joined(outputs, 'dtype')}": "dtype" in shown,
    }
    last = [Cell(text) for text, wanted in facts.items() if wanted]
    if "trainable" in shown and layer.weights:
        looks = ("Non-trainable", "firebrick"), ("Trainable", "forestgreen")
        text, ground = looks[layer.trainable]
        last.append(Cell(text, "white", ground, bold=True))
    return [*rows, last] if last else rows


def _joined(tensors: Any, attribute: str) -> str:
    """Return an attribute of placeholders as text; ``?`` if none has it."""
    found = [str(getattr(x, attribute)) for x in tree.flatten(tensors) if hasattr(x, attribute)]
    return "?" if not found else found[0] if len(found) == 1 else f"[{', '.join(found)}]"


# -- computations ----------------------------------------------------------------------------------


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
        chain rule can be followed; for a tensor of several numbers, the gradient of their sum. The
        gradients are computed here and not stored.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `thing` is none of these, a model is not built, there are arguments without a function,
        `rankdir` is unknown, or `gradients` is True for anything but a tensor or variable.

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
        expect_built(thing, "plot_graph")
        drawing = drawing_of(thing, {"shapes", "names", "activations"}, rankdir, False)
        return on_canvas(drawing, ax, False)
    if is_tape:
        nodes = _of_tape(as_tensor(thing), names or {}, gradients)
    else:
        nodes = _of_program(_program_of(thing, args))
    boxes, uses, ordered, legend = {}, [], [], {}
    for key, (kind, lines, equation) in nodes.items():
        ground = legend[LEGEND.get(kind, kind)] = GROUNDS.get(kind, "white")
        boxes[key] = table([[line] for line in lines], ground)
        if equation:
            uses += [(x, key) for x in equation.inputs]
            ordered += [key] * (equation.primitive.name not in SYMMETRIC)
    return on_canvas(arranged(boxes, uses, rankdir, ordered), ax, False, legend)


# -- from computations to nodes ----------------------------------------------------------------


def _of_tape(root: Tensor, names: Mapping[str, Any], chain: bool) -> Nodes:
    """Return the nodes of a tensor and of all values that it was computed from.

    With `chain`, each shows the gradient of `root` in it; else leaves show their stored gradients.
    """
    titles = {as_tensor(x): [Cell(name, bold=True)] for name, x in names.items() if name}
    order = tape(root) if chain and root.tracked else []
    cts = dict(zip(order, gradients_of(root, order), strict=True))
    nodes: Nodes = {}
    pending = [root]
    while pending:
        t = pending.pop()
        if t in nodes:
            continue
        ct = cts.get(t)
        title, gradient = titles.get(t, []), _gradient(t.grad if ct is None else ct.data)
        if t.equation:
            kind, title = "result" if t is root else "", [*title, _operation(t.equation)]
            pending += reversed(t.equation.inputs)
        else:
            kind = "leaf" if t.tracked else "constant"
            if t.tracked and not gradient:
                gradient = [Cell("no gradient yet", GREY, size=8.5)]
        nodes[t] = kind, [*title, *_value(t.data), *gradient], t.equation
    return nodes


def _gradient(gradient: Any) -> list[Cell]:
    if gradient is None:
        return []
    numbers = _numbers(gradient) or [f"norm {np.linalg.norm(gradient):.4g}"]
    return [Cell("gradient", VERMILION, size=8.5), *_code(numbers, VERMILION)]


def _program_of(thing: Any, args: Any) -> Program:
    """Return the program to draw: `thing` itself, that of a step, or that of a function."""
    if isinstance(thing, (Program, StepCache)):
        return thing if isinstance(thing, Program) else thing.executable.program
    expect(callable(thing), "thing", "a tensor, a model, or a function", type(thing))
    names = Parameters(thing, static=()).names
    return record(thing, [tree.map_structure(as_tensor, x) for x in args], names)


def _of_program(program: Program) -> Nodes:
    names, equations = program.names(), program.equations
    used = {x for equation in equations.values() for x in equation.inputs} | {*program.outputs}
    given = (*program.inputs, *program.captured)
    nodes: Nodes = {v: ("input", [Cell(names[v], bold=True), _type(v)], None) for v in given}
    nodes |= {v: ("constant", _value(a), None) for v, a in program.constants.items()}
    for v, equation in equations.items():
        kind = v.section or ("result" if v in program.outputs else "")
        nodes[v] = kind, [_operation(equation), Cell(names[v], GREY, size=8.5), _type(v)], equation
    return {v: node for v, node in nodes.items() if v in used}


# -- the box of a node -------------------------------------------------------------------------


def _operation(equation: Any) -> Cell:
    given = ((key, x) for key, x in equation.params.items() if x is not None and x is not False)
    text = "  ".join([equation.primitive.name, *(f"{key}={_shown(x)}" for key, x in given)])
    return Cell(text if len(text) < 40 else f"{text[:38]}…", bold=True)


def _shown(value: Any) -> str:
    """Return a parameter as text; an index with slices as Python writes it."""
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
