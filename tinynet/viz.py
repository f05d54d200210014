"""Pictures of networks, drawn with matplotlib alone.

Imports `layout.py`, and matplotlib when something is drawn. Read next: `utils.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from . import tree
from .layout import Edge, layout

GAP = (26.0, 30.0)  # in points: between boxes beside each other, and between ranks
PADDING = (10.0, 7.0)  # around a text
MARGIN = 14.0  # around the picture, and within the frame of a model
Point = tuple[float, float]


class Cell(NamedTuple):
    """A text in a box."""

    text: str
    ink: str = "black"
    ground: str = "white"
    size: float = 10.0
    bold: bool = False


class Drawing(NamedTuple):
    """Something of a width and height, and how to draw it around a centre."""

    size: tuple[float, float]
    draw: Callable[[Canvas, Point], None]


class Canvas:
    """A matplotlib figure in points, whose y grows downwards, or in the direction of `rankdir`."""

    def __init__(self, size: tuple[float, float], rankdir: str) -> None:
        from matplotlib.figure import Figure

        self.rankdir = rankdir
        self.size = size
        width, height = oriented(size, rankdir)
        self.figure = Figure(figsize=(width / 72, height / 72))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()

    def place(self, point: Point) -> Point:
        """Return where a point of the layout lies, whose ranks go down."""
        x, y = point
        if self.rankdir in ("BT", "RL"):
            y = self.size[1] - y
        return oriented((x, y), self.rankdir)

    def rectangle(self, centre: Point, size: tuple[float, float], **options: Any) -> None:
        """Draw a rectangle around a centre in the figure."""
        from matplotlib.patches import Rectangle

        (x, y), (width, height) = centre, size
        self.axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, **options))

    def text(self, centre: Point, cell: Cell, align: str = "center") -> None:
        """Write a text around a centre in the figure."""
        weight = "bold" if cell.bold else "normal"
        options: dict[str, Any] = {
            "size": cell.size,
            "color": cell.ink,
            "weight": weight,
            "ha": align,
        }
        self.axes.text(*centre, cell.text, va="center", parse_math=False, **options)

    def way(self, stops: list[tuple[float, float, float]]) -> None:
        """Draw an arrow that goes straight through ranks, and in curves between them."""
        points, curved = [stops[0][:2]], [False]
        for (x, _, y), (next_x, next_y, end) in pairwise(stops):
            half = (y + next_y) / 2
            points += [(x, y), (x, half), (next_x, half), (next_x, next_y), (next_x, end)]
            curved += [False, True, True, True, False]
        if points[-1] == points[-2]:  # or the head would not know where to point
            points.pop()
        self.arrow(points, curved)

    def arrow(self, points: list[Point], curved: list[bool]) -> None:
        """Draw an arrow along straight lines, and curves with two points between their ends."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        codes = [Path.CURVE4 if curve else Path.LINETO for curve in curved]
        codes[0] = Path.MOVETO
        path = Path([self.place(point) for point in points], codes[: len(points)])
        style: dict[str, Any] = {"linewidth": 1.2, "color": "0.25", "shrinkA": 0, "shrinkB": 0}
        arrow = FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=12, **style)
        self.axes.add_patch(arrow)


def oriented(pair: tuple[float, float], rankdir: str) -> tuple[float, float]:
    """Return (x, y), or (y, x) where ranks go sideways."""
    return pair if rankdir in ("TB", "BT") else (pair[1], pair[0])


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
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"rankdir: expected 'TB', 'BT', 'LR' or 'RL', received {rankdir!r}.")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            "plot_model draws with matplotlib: pip install 'tinynet[plot]', or matplotlib itself."
        ) from None
    shown = Shown(show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable)
    whole = drawing_of(model, shown, rankdir, expand_nested)
    width, height = (length + 2 * MARGIN for length in whole.size)
    canvas = Canvas((width, height), rankdir)
    whole.draw(canvas, (width / 2, height / 2))
    if to_file is not None:
        ending = os.path.splitext(to_file)[1][1:]
        canvas.figure.savefig(to_file, dpi=dpi, format=ending or "png")
    return canvas.figure


class Shown(NamedTuple):
    """What boxes tell."""

    shapes: bool
    dtype: bool
    names: bool
    activations: bool
    trainable: bool


def graph_of(model: Any) -> tuple[list[Any], list[Any]]:
    """Return the layers of a model, and its calls of them; no calls if they are not known."""
    graph = model if hasattr(model, "_plan") else getattr(model, "_graph", None)
    return (model.layers, graph._plan) if graph else ([model], [])


def drawing_of(model: Any, shown: Shown, rankdir: str, expand_nested: bool) -> Drawing:
    """Return the boxes of a model's layers, and arrows between them, as one drawing."""
    layers, calls = graph_of(model)
    number = {id(layer): i for i, layer in enumerate(layers)}
    called = {id(call.layer): call for call in reversed(calls)}
    parts = []
    for layer in layers:
        if expand_nested and layer is not model and graph_of_layers(layer):
            parts.append(framed(drawing_of(layer, shown, rankdir, True), layer.name, rankdir))
        else:
            parts.append(box(rows_of(layer, called.get(id(layer)), shown), rankdir))
    pairs = (
        (number.get(id(x.node.layer)), number[id(call.layer)])
        for call in calls
        for x in tree.flatten(call.inputs)
    )
    edges = list(dict.fromkeys((i, j) for i, j in pairs if i is not None))
    return arranged(parts, edges)


def graph_of_layers(layer: Any) -> bool:
    """Return whether a layer is a model whose layers and calls are known."""
    return hasattr(layer, "get_layer") and bool(graph_of(layer)[1])


def arranged(parts: list[Drawing], edges: Iterable[Edge]) -> Drawing:
    """Return drawings put in ranks, with arrows between them."""
    edges = list(edges)
    loops = {i for i, j in edges if i == j}
    edges = [(i, j) for i, j in edges if i != j]
    parts = [looped(part) if i in loops else part for i, part in enumerate(parts)]
    found = layout([part.size for part in parts], edges, GAP)

    def draw(canvas: Canvas, centre: Point) -> None:
        left, top = centre[0] - found.size[0] / 2, centre[1] - found.size[1] / 2
        for path in found.paths:
            canvas.way([(left + x, top + begin, top + end) for x, begin, end in path])
        for part, (x, y) in zip(parts, found.centres, strict=True):
            part.draw(canvas, (left + x, top + y))

    return Drawing(found.size, draw)


def looped(part: Drawing) -> Drawing:
    """Return a drawing with an arrow that leads from it to itself."""
    width, height = part.size

    def draw(canvas: Canvas, centre: Point) -> None:
        side, out = centre[0] + width / 2, centre[0] + width / 2 + 26
        low, high = centre[1] + height / 4, centre[1] - height / 4
        canvas.arrow([(side, low), (out, low), (out, high), (side, high)], [False, *[True] * 3])
        part.draw(canvas, centre)

    return Drawing((width + 48, height), draw)


def framed(inner: Drawing, name: str, rankdir: str) -> Drawing:
    """Return a drawing in a dashed frame with a name."""
    label = Cell(name, ink="0.3", size=9.0)
    width, height = oriented(inner.size, rankdir)
    room = text_size(label)
    width, height = max(width, room[0]) + 2 * MARGIN, height + 2 * MARGIN + room[1]

    def draw(canvas: Canvas, centre: Point) -> None:
        x, y = canvas.place(centre)
        canvas.rectangle((x, y), (width, height), fill=False, linestyle="--", edgecolor="0.4")
        at = (x - width / 2 + PADDING[0], y - height / 2 + room[1] / 2 + 2)
        canvas.text(at, label, align="left")
        down = room[1] / 2  # of the inner drawing, in the figure
        shift = oriented((0, down), rankdir)
        if rankdir in ("BT", "RL"):
            shift = (shift[0], -shift[1])
        inner.draw(canvas, (centre[0] + shift[0], centre[1] + shift[1]))

    return Drawing(oriented((width, height), rankdir), draw)


def box(rows: list[list[Cell]], rankdir: str) -> Drawing:
    """Return a table of texts as a drawing."""
    sizes = [[text_size(cell) for cell in row] for row in rows]
    width = max(sum(w for w, _ in row) for row in sizes)
    heights = [max(h for _, h in row) for row in sizes]

    def draw(canvas: Canvas, centre: Point) -> None:
        x, y = canvas.place(centre)
        top = y - sum(heights) / 2
        for row, row_sizes, height in zip(rows, sizes, heights, strict=True):
            left, spare = x - width / 2, width - sum(w for w, _ in row_sizes)
            for cell, (w, _) in zip(row, row_sizes, strict=True):
                w += spare / len(row)
                middle = left + w / 2, top + height / 2
                canvas.rectangle(middle, (w, height), facecolor=cell.ground, edgecolor="black")
                canvas.text(middle, cell)
                left += w
            top += height

    return Drawing(oriented((width, sum(heights)), rankdir), draw)


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


def text_size(cell: Cell) -> tuple[float, float]:
    """Return the width and height that a text takes, with the space around it, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(weight="bold" if cell.bold else "normal")
    width = TextPath((0, 0), cell.text, size=cell.size, prop=font, usetex=False).get_extents().width
    return width + 2 * PADDING[0], cell.size + 2 * PADDING[1]
