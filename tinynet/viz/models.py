"""Pictures of models: a box for each layer.

Imports `boxes.py`, and matplotlib when something is drawn. Read next: `graph.py`.
"""

from __future__ import annotations

import os
from typing import Any

from .. import tree
from ..configs.files import as_path, replacing
from ..engine.expect import expect, is_number
from .boxes import Cell, Drawing, arranged, framed, on_canvas, table
from .style import demand


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
    demand(model, "plot_model")
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
        f"Input shape: {_each(inputs, 'shape')}": "shapes" in shown and kind != "InputLayer",
        f"Output shape: {_each(outputs, 'shape')}": "shapes" in shown,
        f"Output dtype: {_each(outputs, 'dtype')}": "dtype" in shown,
    }
    last = [Cell(text) for text, wanted in facts.items() if wanted]
    if "trainable" in shown and layer.weights:
        looks = ("Non-trainable", "firebrick"), ("Trainable", "forestgreen")
        text, ground = looks[layer.trainable]
        last.append(Cell(text, "white", ground, bold=True))
    return [*rows, last] if last else rows


def _each(tensors: Any, attribute: str) -> str:
    """Return an attribute of placeholders as text; ``?`` if none has it."""
    found = [str(getattr(x, attribute)) for x in tree.flatten(tensors) if hasattr(x, attribute)]
    return "?" if not found else found[0] if len(found) == 1 else f"[{', '.join(found)}]"
