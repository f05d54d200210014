"""Pictures of models: a box for each layer.

Imports `boxes.py`, and matplotlib when something is drawn. Read next: `graph.py`.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from .. import tree
from ..layers.symbolic import LayerCall
from ..models.model import Model
from .boxes import Cell, Drawing, arranged, check_rankdir, framed, on_canvas, table
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
    if not model.built:
        raise ValueError(
            f"Model '{model.name}' has not yet been built, so its graph is not known. Call "
            "`build()` or the model on a batch of data first."
        )
    check_rankdir(rankdir)
    needs_matplotlib()
    options = BoxOptions(
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable
    )
    axes = on_canvas(drawing_of(model, options, rankdir, expand_nested))
    if to_file is not None:
        extension = os.path.splitext(to_file)[1][1:]
        axes.figure.savefig(to_file, dpi=dpi, format=extension or "png")
    return axes.figure


class BoxOptions(NamedTuple):
    """What the box of a layer shows."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool


def graph_of(model: Model) -> tuple[list[Any], list[LayerCall]]:
    """Return the layers of a model and the calls of them; the model alone if they are unknown."""
    return (model.layers, model.graph.calls) if model.graph else ([model], [])


def drawing_of(model: Any, options: BoxOptions, rankdir: str, expand_nested: bool) -> Drawing:
    """Return the boxes of a model's layers, and arrows between them, as one drawing."""
    layers, calls = graph_of(model)
    number = {id(layer): i for i, layer in enumerate(layers)}
    called = {id(call.layer): call for call in reversed(calls)}
    parts = []
    for layer in layers:
        if expand_nested and layer is not model and has_graph(layer):
            parts.append(framed(drawing_of(layer, options, rankdir, True), layer.name))
        else:
            parts.append(table(rows_of(layer, called.get(id(layer)), options)))
    pairs = (
        (number.get(id(x.call.layer)), number[id(call.layer)])
        for call in calls
        for x in tree.flatten(call.inputs)
    )
    edges = list(dict.fromkeys((i, j) for i, j in pairs if i is not None))
    return arranged(parts, edges, rankdir)


def has_graph(layer: Any) -> bool:
    """Return whether a layer is a model whose layer calls are known."""
    return isinstance(layer, Model) and layer.graph is not None


def rows_of(layer: Any, call: Any, options: BoxOptions) -> list[list[Cell]]:
    """Return the cells of a layer's box; `call` is the first call of the layer in the model."""
    kind = type(layer).__name__
    head = f"{layer.name} ({kind})" if options.names else kind
    rows = [[Cell(head, "white", "black", 11.5, bold=True)]]
    activation = getattr(layer, "activation", None)
    if options.activations and activation is not None:
        rows.append([Cell(f"Activation: {getattr(activation, '__name__', activation)}")])
    inputs = None if call is None else call.inputs
    outputs = call.outputs if call else tree.flatten(getattr(layer, "output", None))
    last = []
    if options.shapes and kind != "InputLayer":
        last.append(Cell(f"Input shape: {_each(inputs, 'shape')}"))
    if options.shapes:
        last.append(Cell(f"Output shape: {_each(outputs, 'shape')}"))
    if options.dtype:
        last.append(Cell(f"Output dtype: {_each(outputs, 'dtype')}"))
    if options.trainable and layer.weights:
        trains = layer.trainable
        text, ground = ("Trainable", "forestgreen") if trains else ("Non-trainable", "firebrick")
        last.append(Cell(text, "white", ground, bold=True))
    return [*rows, last] if last else rows


def _each(tensors: Any, attribute: str) -> str:
    """Return an attribute of placeholders as text; ``?`` if none has it."""
    found = [str(getattr(x, attribute)) for x in tree.flatten(tensors) if hasattr(x, attribute)]
    return "?" if not found else found[0] if len(found) == 1 else f"[{', '.join(found)}]"
