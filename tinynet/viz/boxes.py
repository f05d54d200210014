"""Drawings of boxes in ranks, with arrows between them.

A `Drawing` has a size and draws itself around a centre; `arranged` combines several into one.

Imports `layout.py` and `style.py`, and matplotlib when something is drawn. Read next: `graph.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import cycle, islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from .layout import Edge, Path, Point, layout
from .style import INK, axes_for, expect, needs_matplotlib, new_figure

GAP = (26.0, 30.0)  # in points: between neighbouring boxes of a rank, and between ranks
PADDING = (10.0, 7.0)  # around a text in a rectangle of its own
CARD = (8.0, 1.9)  # around a text in a rectangle that it shares
MARGIN = 14.0  # around the picture, and inside the frame of a nested model
LEGEND = 8.5  # the size of the legend's texts
LOOP = 26.0  # how far an arrow from a box to itself leads out of it
RANKDIRS = ("TB", "BT", "LR", "RL")


class Cell(NamedTuple):
    """A line of text, and the colour behind it."""

    text: str
    ink: str = "black"
    ground: str = "white"
    size: float = 10.0
    bold: bool = False
    family: str = "sans-serif"

    def font(self, scale: float = 1.0) -> Any:
        """Return the font in its size, multiplied by `scale`."""
        from matplotlib.font_manager import FontProperties

        weight = "bold" if self.bold else "normal"
        return FontProperties(family=self.family, weight=weight, size=scale * self.size)

    @property
    def width(self) -> float:
        """The width of the text in typographic points, measured on the vertices of its outline."""
        from matplotlib.textpath import TextPath

        path = TextPath((0, 0), self.text, prop=self.font())
        return float(np.ptp(path.vertices[path.codes != path.CLOSEPOLY, 0]))


class Drawing(NamedTuple):
    """A width and height, and a function that draws something of this size around a centre."""

    size: Point
    draw: Callable[[Canvas, Point], None]


class Canvas(NamedTuple):
    """Axes in typographic points, y downwards; `scale` shrinks lines and texts with the axes."""

    axes: Any
    scale: float

    def rectangle(self, centre: Point, size: Point, line: float = 1.0, **look: Any) -> None:
        """Draw a rectangle around a centre, with an outline of width `line`."""
        from matplotlib.patches import Rectangle

        corner = centre[0] - size[0] / 2, centre[1] - size[1] / 2
        self.axes.add_patch(Rectangle(corner, *size, linewidth=self.scale * line, **look))

    def text(self, centre: Point, cell: Cell, align: str = "center") -> None:
        """Write a text around a centre, or to the right of it with ``align="left"``."""
        look: dict[str, Any] = {"color": cell.ink, "fontproperties": cell.font(self.scale)}
        self.axes.text(*centre, cell.text, va="center", ha=align, parse_math=False, **look)

    def arrow(self, points: Iterable[Point]) -> None:
        """Draw an arrow along a line, a curve of three points, a line, a line, a curve, and so on.

        It may end after any line or curve.
        """
        from matplotlib import path
        from matplotlib.patches import FancyArrowPatch

        vertices = [*points]
        turn = [path.Path.LINETO, *[path.Path.CURVE4] * 3, path.Path.LINETO]
        codes = [path.Path.MOVETO, *islice(cycle(turn), len(vertices) - 1)]
        look: dict[str, Any] = {"color": "0.25", "shrinkA": 0, "shrinkB": 0, "arrowstyle": "-|>"}
        look |= {"linewidth": 1.2 * self.scale, "mutation_scale": 12 * self.scale}
        self.axes.add_patch(FancyArrowPatch(path=path.Path(vertices, codes), **look))


def on_canvas(
    drawing: Drawing, axes: Any = None, shows_itself: bool = True, legend: Any = None
) -> Any:
    """Draw on a new figure of the right size, or in `axes`, shrunk to fit; return the axes.

    `legend` maps texts to the backgrounds of boxes that they explain.
    """
    entries = [Cell(text, size=LEGEND).width + 3.5 * LEGEND for text in legend or ()]
    below = 2.5 * LEGEND if entries else 0.0
    width = max(drawing.size[0], sum(entries)) + 2 * MARGIN
    height = drawing.size[1] + below + 2 * MARGIN
    scale = 1.0
    if axes is None:
        axes = new_figure(width / 72, height / 72, shows_itself).add_axes((0, 0, 1, 1))
    else:
        axes_for(axes).set_aspect("equal")
        axes.figure.draw_without_rendering()  # only now a layout engine sets the size of the axes
        room = axes.get_window_extent().size * 72 / axes.figure.dpi
        scale = min(1.0, room[0] / width, room[1] / height)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    drawing.draw(Canvas(axes, scale), (width / 2, (height - below) / 2))
    if legend:
        _draw_legend(axes, legend, LEGEND * scale)
    return axes


def _draw_legend(axes: Any, legend: dict[str, str], size: float) -> None:
    from matplotlib.patches import Patch

    look: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.1 * size}
    handles = [Patch(facecolor=ground, label=text, **look) for text, ground in legend.items()]
    where: dict[str, Any] = {"loc": "lower center", "ncols": len(handles), "borderaxespad": 0.3}
    spaces: dict[str, Any] = {"handlelength": 1.2, "handletextpad": 0.5, "columnspacing": 1.2}
    axes.legend(handles=handles, fontsize=size, frameon=False, **where, **spaces)


def arranged(named: dict[Any, Drawing], uses: Iterable[Any], rankdir: str, ordered: Any) -> Drawing:
    """Return drawings in ranks, with arrows between them, as one drawing.

    `uses` are pairs of keys of the drawings, from and to; pairs from other keys are left out.
    Arrows enter side by side, those into the drawings in `ordered` in the order of `uses`.

    Raises
    ------
    ValueError
        If `rankdir` is not one of ``RANKDIRS``.
    """
    expect(rankdir in RANKDIRS, "rankdir", f"one of {RANKDIRS}", rankdir)
    number = {key: i for i, key in enumerate(named)}
    edges = [(number[i], number[j]) for i, j in uses if i in number]
    parts = [*named.values()]

    def oriented(pair: Point) -> Point:
        return pair if rankdir in ("TB", "BT") else pair[::-1]

    sizes = [oriented(part.size) for part in parts]
    links = [(i, j) for i, j in edges if i != j]
    loops = {i for i, j in edges if i == j}
    for i in loops:
        sizes[i] = sizes[i][0] + 2 * LOOP, sizes[i][1]
    centres, paths, size = layout(sizes, links, GAP)
    shifts = _shifts(sizes, links, paths, {number[key] for key in ordered})
    arrows = [_curve(path, shifts[edge]) for edge, path in enumerate(paths)]
    arrows += [_loop(centres[i], sizes[i]) for i in loops]
    whole = oriented(size)

    def draw(canvas: Canvas, centre: Point) -> None:
        def at(point: Point) -> Point:
            """Return where a point of the layout lies in the figure."""
            x, y = point
            x, y = oriented((x, size[1] - y if rankdir in ("BT", "RL") else y))
            return centre[0] - whole[0] / 2 + x, centre[1] - whole[1] / 2 + y

        for points in arrows:
            canvas.arrow(map(at, points))
        for part, place in zip(parts, centres, strict=True):
            part.draw(canvas, at(place))

    return Drawing(whole, draw)


def _curve(path: Path, shift: float) -> list[Point]:
    """Return the points of an arrow that is straight within ranks and curved between them."""
    *before, (at, top, bottom) = path
    points = [path[0][:2]]
    for (x, _, y), (next_x, next_y, end) in pairwise([*before, (at + shift, top, bottom)]):
        half = (y + next_y) / 2
        points += [(x, y), (x, half), (next_x, half), (next_x, next_y), (next_x, end)]
    # The last line may be too short to give the head a direction.
    return points if math.dist(points[-1], points[-2]) > 0.1 else points[:-1]


def _loop(centre: Point, size: Point) -> list[Point]:
    """Return the points of an arrow from a box to itself, at its right."""
    (x, y), (width, height) = centre, size
    side, low, high = x + width / 2 - LOOP, y + height / 4, y - height / 4
    return [(side, low), (side, low), (side + LOOP, low), (side + LOOP, high), (side, high)]


def _shifts(
    sizes: list[Point], edges: list[Edge], paths: list[Path], ordered: set[int]
) -> dict[int, float]:
    """Return for each edge the distance of its end from the middle of the box that it enters."""
    into: dict[int, list[int]] = {}
    tails = [0.0 if j in ordered else p[-2][0] for (_, j), p in zip(edges, paths, strict=True)]
    for edge in sorted(range(len(edges)), key=tails.__getitem__):
        into.setdefault(edges[edge][1], []).append(edge)
    shifts: dict[int, float] = {}
    for j, entering in into.items():
        step, middle = min(18.0, 0.7 * sizes[j][0] / len(entering)), (len(entering) - 1) / 2
        shifts |= {edge: (place - middle) * step for place, edge in enumerate(entering)}
    return shifts


def framed(inner: Drawing, name: str) -> Drawing:
    """Return a drawing in a dashed frame with a name."""
    label = Cell(name, ink="0.3", size=9.0)
    room = label.size + 2 * PADDING[1]
    width = max(inner.size[0], label.width + 2 * PADDING[0]) + 2 * MARGIN
    height = inner.size[1] + 2 * MARGIN + room

    def draw(canvas: Canvas, centre: Point) -> None:
        x, y = centre
        canvas.rectangle(centre, (width, height), fill=False, linestyle="--", edgecolor="0.4")
        canvas.text((x - width / 2 + PADDING[0], y - height / 2 + room / 2 + 2), label, "left")
        inner.draw(canvas, (x, y + room / 2))

    return Drawing((width, height), draw)


def table(rows: list[list[Cell]], ground: str = "") -> Drawing:
    """Return rows of texts as a drawing: each in a rectangle, or all in one of colour `ground`."""
    needs_matplotlib()
    (across, down), border = (CARD, 4.5) if ground else (PADDING, 0.0)
    widths = [[cell.width + 2 * across for cell in row] for row in rows]
    heights = [max(cell.size for cell in row) + 2 * down for row in rows]
    width, height = max(map(sum, widths)), sum(heights) + 2 * border

    def draw(canvas: Canvas, centre: Point) -> None:
        if ground:
            canvas.rectangle(centre, (width, height), 0.9, facecolor=ground, edgecolor=INK)
        top = centre[1] - height / 2 + border
        for row, wanted, high in zip(rows, widths, heights, strict=True):
            left, spare = centre[0] - width / 2, (width - sum(wanted)) / len(row)
            for cell, wide in zip(row, wanted, strict=True):
                middle, size = (left + (wide + spare) / 2, top + high / 2), (wide + spare, high)
                if not ground:
                    canvas.rectangle(middle, size, facecolor=cell.ground, edgecolor="black")
                canvas.text(middle, cell)
                left += wide + spare
            top += high

    return Drawing((width, height), draw)
