"""Pictures of models, layer by layer.

Imports `boxes.py`, and matplotlib when something is drawn. Read next: `graph.py`.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from .. import tree
from ..layers.symbolic import LayerCall
from ..models.model import Model
from .boxes import Cell, Drawing, arranged, box, check_rankdir, framed, on_canvas
from .style import needs_matplotlib


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
    """Draw a model: a box for each layer, and arrows along which tensors go.

    Parameters
    ----------
    model : Model
        Built. One that is neither Sequential nor a graph of layers is a single box.
    to_file : path, optional
        Where to save the picture, in the format of the ending; None for nowhere.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What the boxes tell beside the classes of the layers.
    rankdir : "TB", "BT", "LR" or "RL"
        From top to bottom, or the reverse; from left to right, or the reverse.
    expand_nested : bool
        Whether to draw the layers of models within, in a frame.
    dpi : int
        Dots per inch of the file.
    splines : str
        Taken for Keras's sake: arrows are drawn in curves that cross no box.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For a model that is not built, and another `rankdir`.
    ImportError
        Without matplotlib.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(3), tn.layers.Dense(1)])
    >>> figure = plot_model(model, to_file=None, show_shapes=True)
    """
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has not yet been built, so its graph is not known. Call "
            "`build()` or the model on a batch of data first."
        )
    check_rankdir(rankdir)
    needs_matplotlib()
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    axes = on_canvas(drawing_of(model, shown, rankdir, expand_nested), rankdir)
    if to_file is not None:
        ending = os.path.splitext(to_file)[1][1:]
        axes.figure.savefig(to_file, dpi=dpi, format=ending or "png")
    return axes.figure


class Shown(NamedTuple):
    """What boxes tell."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool


def graph_of(model: Model) -> tuple[list[Any], list[LayerCall]]:
    """Return the layers of a model and the calls of them; the model alone if they are unknown."""
    return (model.layers, model.graph.calls) if model.graph else ([model], [])


def drawing_of(model: Any, shown: Shown, rankdir: str, expand_nested: bool) -> Drawing:
    """Return the boxes of a model's layers, and arrows between them, as one drawing."""
    layers, calls = graph_of(model)
    number = {id(layer): i for i, layer in enumerate(layers)}
    called = {id(call.layer): call for call in reversed(calls)}
    parts = []
    for layer in layers:
        if expand_nested and layer is not model and has_graph(layer):
            parts.append(framed(drawing_of(layer, shown, rankdir, True), layer.name, rankdir))
        else:
            parts.append(box(rows_of(layer, called.get(id(layer)), shown), rankdir))
    pairs = (
        (number.get(id(x.call.layer)), number[id(call.layer)])
        for call in calls
        for x in tree.flatten(call.inputs)
    )
    edges = list(dict.fromkeys((i, j) for i, j in pairs if i is not None))
    return arranged(parts, edges)


def has_graph(layer: Any) -> bool:
    """Return whether a layer is a model whose layer calls are known."""
    return isinstance(layer, Model) and layer.graph is not None


def rows_of(layer: Any, call: Any, shown: Shown) -> list[list[Cell]]:
    """Return what the box of a layer tells; `call` is where it is first called in the model."""
    kind = type(layer).__name__
    head = f"{layer.name} ({kind})" if shown.names else kind
    rows = [[Cell(head, "white", "black", 11.5, bold=True)]]
    activation = getattr(layer, "activation", None)
    if shown.activations and activation is not None:
        rows.append([Cell(f"Activation: {getattr(activation, '__name__', activation)}")])
    inputs = None if call is None else call.inputs
    outputs = call.outputs if call else tree.flatten(getattr(layer, "output", None))
    last = []
    if shown.shapes and kind != "InputLayer":
        last.append(Cell(f"Input shape: {_each(inputs, 'shape')}"))
    if shown.shapes:
        last.append(Cell(f"Output shape: {_each(outputs, 'shape')}"))
    if shown.dtype:
        last.append(Cell(f"Output dtype: {_each(outputs, 'dtype')}"))
    if shown.trainable and layer.weights:
        trains = layer.trainable
        says, ground = ("Trainable", "forestgreen") if trains else ("Non-trainable", "firebrick")
        last.append(Cell(says, "white", ground, bold=True))
    return [*rows, last] if last else rows


def _each(tensors: Any, attribute: str) -> str:
    """Return an attribute of placeholders as text, ``?`` if there are none."""
    found = [str(getattr(x, attribute)) for x in tree.flatten(tensors) if hasattr(x, attribute)]
    return "?" if not found else found[0] if len(found) == 1 else f"[{', '.join(found)}]"
