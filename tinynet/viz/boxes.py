"""Boxes in ranks with arrows between them, on a canvas: what graphs are drawn with.

Imports `layout.py` and `style.py`, and matplotlib when something is drawn. Read next: `models.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from .layout import Edge, layout
from .style import axes_for, new_figure

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
    family: str = "sans-serif"


class Drawing(NamedTuple):
    """Something of a width and height, and how to draw it around a centre."""

    size: tuple[float, float]
    draw: Callable[[Canvas, Point], None]


class Canvas:
    """Axes in points, whose y grows downwards, or in the direction of `rankdir`.

    New ones of a figure of just this size, or those given, with all of it made smaller to fit.
    """

    def __init__(
        self, size: tuple[float, float], rankdir: str, axes: Any = None, shows_itself: bool = True
    ) -> None:
        self.rankdir = rankdir
        self.size = size
        width, height = oriented(size, rankdir)
        if axes is None:
            figure = new_figure(width / 72, height / 72, shows_itself)
            self.axes = figure.add_axes((0, 0, 1, 1))
        else:
            self.axes = axes_for(axes)
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.set_axis_off()
        self.scale = 1.0
        if axes is not None:
            self.axes.set_aspect("equal")
            self.axes.figure.draw_without_rendering()  # which settles where the axes are
            room = self.axes.get_window_extent().size * 72 / self.axes.figure.dpi
            self.scale = min(1.0, room[0] / width, room[1] / height)

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
        options["linewidth"] = self.scale * options.get("linewidth", 1.0)
        self.axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, **options))

    def text(self, centre: Point, cell: Cell, align: str = "center") -> None:
        """Write a text around a centre in the figure."""
        weight = "bold" if cell.bold else "normal"
        options: dict[str, Any] = {
            "size": cell.size * self.scale,
            "color": cell.ink,
            "weight": weight,
            "family": cell.family,
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
        if math.dist(points[-1], points[-2]) < 0.1:  # or the head would not know where to point
            points.pop()
        self.arrow(points, curved)

    def arrow(self, points: list[Point], curved: list[bool]) -> None:
        """Draw an arrow along straight lines, and curves with two points between their ends."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        codes = [Path.CURVE4 if curve else Path.LINETO for curve in curved]
        codes[0] = Path.MOVETO
        path = Path([self.place(point) for point in points], codes[: len(points)])
        style: dict[str, Any] = {"color": "0.25", "shrinkA": 0, "shrinkB": 0}
        style |= {"linewidth": 1.2 * self.scale, "mutation_scale": 12 * self.scale}
        arrow = FancyArrowPatch(path=path, arrowstyle="-|>", **style)
        self.axes.add_patch(arrow)


def oriented(pair: tuple[float, float], rankdir: str) -> tuple[float, float]:
    """Return (x, y), or (y, x) where ranks go sideways."""
    return pair if rankdir in ("TB", "BT") else (pair[1], pair[0])


def check_rankdir(rankdir: str) -> None:
    """Raise a ValueError for a direction that ranks cannot follow each other in."""
    if rankdir not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"rankdir: expected 'TB', 'BT', 'LR' or 'RL', received {rankdir!r}.")


def on_canvas(drawing: Drawing, rankdir: str, axes: Any = None, shows_itself: bool = True) -> Any:
    """Draw on a new figure of the right size, or in axes; return the axes."""
    width, height = (length + 2 * MARGIN for length in drawing.size)
    canvas = Canvas((width, height), rankdir, axes, shows_itself)
    drawing.draw(canvas, (width / 2, height / 2))
    return canvas.axes


def arranged(parts: list[Drawing], edges: Iterable[Edge], ordered: Iterable[int] = ()) -> Drawing:
    """Return drawings put in ranks, with arrows between them.

    Arrows enter side by side, those of the parts in `ordered` in the order of `edges`.
    """
    edges = list(edges)
    loops = {i for i, j in edges if i == j}
    edges = [(i, j) for i, j in edges if i != j]
    parts = [looped(part) if i in loops else part for i, part in enumerate(parts)]
    found = layout([part.size for part in parts], edges, GAP)
    shifts = _shifts(parts, edges, found.paths, set(ordered))

    def draw(canvas: Canvas, centre: Point) -> None:
        left, top = centre[0] - found.size[0] / 2, centre[1] - found.size[1] / 2
        for path, shift in zip(found.paths, shifts, strict=True):
            *stops, (x, begin, end) = path
            stops.append((x + shift, begin, end))
            canvas.way([(left + x, top + begin, top + end) for x, begin, end in stops])
        for part, (x, y) in zip(parts, found.centres, strict=True):
            part.draw(canvas, (left + x, top + y))

    return Drawing(found.size, draw)


def _shifts(
    parts: list[Drawing], edges: list[Edge], paths: list[Any], ordered: set[int]
) -> list[float]:
    """Return how far beside the middle of its target each edge ends."""
    into: dict[int, list[int]] = {}
    for edge, (_, j) in enumerate(edges):
        into.setdefault(j, []).append(edge)
    shifts = [0.0] * len(edges)
    for j, entering in into.items():
        if j not in ordered:
            entering.sort(key=lambda edge: paths[edge][-2][0])
        step = min(18.0, 0.7 * parts[j].size[0] / len(entering))
        for place, edge in enumerate(entering):
            shifts[edge] = (place - (len(entering) - 1) / 2) * step
    return shifts


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


def text_size(cell: Cell) -> tuple[float, float]:
    """Return the width and height that a text takes, with the space around it, in points."""
    return text_width(cell) + 2 * PADDING[0], cell.size + 2 * PADDING[1]


def text_width(cell: Cell) -> float:
    """Return the width of a text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family=cell.family, weight="bold" if cell.bold else "normal")
    path = TextPath((0, 0), cell.text, size=cell.size, prop=font, usetex=False)
    return float(path.get_extents().width)
