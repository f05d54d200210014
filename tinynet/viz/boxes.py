"""Drawings of boxes in ranks with arrows between them.

A `Drawing` has a size and draws itself around a centre; `arranged` combines several into one.

Imports `layout.py` and `style.py`, and matplotlib when something is drawn. Read next: `models.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from .layout import Edge, layout
from .style import axes_for, new_figure

GAP = (26.0, 30.0)  # in points: between neighbouring boxes of a rank, and between ranks
PADDING = (10.0, 7.0)  # around the text of a cell
MARGIN = 14.0  # around the picture, and inside the frame of a nested model
RANKDIRS = ("TB", "BT", "LR", "RL")
Point = tuple[float, float]


class Cell(NamedTuple):
    """A line of text, and the colour behind it."""

    text: str
    ink: str = "black"
    ground: str = "white"
    size: float = 10.0
    bold: bool = False
    family: str = "sans-serif"

    @property
    def width(self) -> float:
        """The width of the text in points."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import TextPath

        font = FontProperties(family=self.family, weight="bold" if self.bold else "normal")
        path = TextPath((0, 0), self.text, size=self.size, prop=font, usetex=False)
        return float(path.get_extents().width)

    @property
    def room(self) -> tuple[float, float]:
        """Width and height of the text with the padding around it."""
        return self.width + 2 * PADDING[0], self.size + 2 * PADDING[1]


class Drawing(NamedTuple):
    """Something of a width and height, and a function that draws it around a centre."""

    size: tuple[float, float]
    draw: Callable[[Canvas, Point], None]


class Canvas(NamedTuple):
    """Axes measured in points, y downwards; `scale` shrinks lines and texts along with them."""

    axes: Any
    scale: float

    def rectangle(self, centre: Point, size: tuple[float, float], **options: Any) -> None:
        """Draw a rectangle around a centre."""
        from matplotlib.patches import Rectangle

        (x, y), (width, height) = centre, size
        options["linewidth"] = self.scale * options.get("linewidth", 1.0)
        self.axes.add_patch(Rectangle((x - width / 2, y - height / 2), width, height, **options))

    def text(self, centre: Point, cell: Cell, align: str = "center") -> None:
        """Write a text around a centre, or to the right of it with ``align="left"``."""
        look: dict[str, Any] = {"size": cell.size * self.scale, "color": cell.ink}
        look |= {"weight": "bold" if cell.bold else "normal", "family": cell.family}
        self.axes.text(*centre, cell.text, va="center", ha=align, parse_math=False, **look)

    def arrow(self, points: list[Point], curved: list[bool]) -> None:
        """Draw an arrow along straight lines, and curves with two points between their ends."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        codes = [Path.CURVE4 if curve else Path.LINETO for curve in curved]
        codes[0] = Path.MOVETO
        look: dict[str, Any] = {"color": "0.25", "shrinkA": 0, "shrinkB": 0, "arrowstyle": "-|>"}
        look |= {"linewidth": 1.2 * self.scale, "mutation_scale": 12 * self.scale}
        self.axes.add_patch(FancyArrowPatch(path=Path(points, codes[: len(points)]), **look))


def on_canvas(drawing: Drawing, axes: Any = None, shows_itself: bool = True) -> Any:
    """Draw on a new figure of the right size, or in `axes`, shrunk to fit; return the axes."""
    width, height = (length + 2 * MARGIN for length in drawing.size)
    scale = 1.0
    if axes is None:
        axes = new_figure(width / 72, height / 72, shows_itself).add_axes((0, 0, 1, 1))
    else:
        axes_for(axes).set_aspect("equal")
        axes.figure.draw_without_rendering()  # a layout engine decides only now how large axes are
        room = axes.get_window_extent().size * 72 / axes.figure.dpi
        scale = min(1.0, room[0] / width, room[1] / height)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    drawing.draw(Canvas(axes, scale), (width / 2, height / 2))
    return axes


def oriented(pair: tuple[float, float], rankdir: str) -> tuple[float, float]:
    """Return (x, y), or (y, x) if ranks follow each other sideways."""
    return pair if rankdir in ("TB", "BT") else (pair[1], pair[0])


def check_rankdir(rankdir: str) -> None:
    """Raise a ValueError unless `rankdir` is one of ``RANKDIRS``."""
    if rankdir not in RANKDIRS:
        raise ValueError(f"rankdir: expected one of {RANKDIRS}, received {rankdir!r}.")


def arranged(
    parts: list[Drawing], edges: Iterable[Edge], rankdir: str, ordered: Iterable[int] = ()
) -> Drawing:
    """Return drawings in ranks, with arrows between them, as one drawing.

    Arrows enter side by side; those into the parts in `ordered` in the order of `edges`.
    """
    edges = list(edges)
    loops = {i for i, j in edges if i == j}
    edges = [(i, j) for i, j in edges if i != j]
    parts = [_looped(part, rankdir) if i in loops else part for i, part in enumerate(parts)]
    sizes = [oriented(part.size, rankdir) for part in parts]
    centres, paths, size = layout(sizes, edges, GAP)
    shifts = _shifts(sizes, edges, paths, set(ordered))
    width, height = oriented(size, rankdir)

    def draw(canvas: Canvas, centre: Point) -> None:
        def at(point: Point) -> Point:
            """Return where a point of the layout lies in the figure."""
            x, y = point
            x, y = oriented((x, size[1] - y if rankdir in ("BT", "RL") else y), rankdir)
            return centre[0] - width / 2 + x, centre[1] - height / 2 + y

        for path, shift in zip(paths, shifts, strict=True):
            points, curved = _curve([*path[:-1], (path[-1][0] + shift, *path[-1][1:])])
            canvas.arrow([*map(at, points)], curved)
        for part, place in zip(parts, centres, strict=True):
            part.draw(canvas, at(place))

    return Drawing((width, height), draw)


def _curve(path: list[tuple[float, float, float]]) -> tuple[list[Point], list[bool]]:
    """Return the points of an arrow that is straight within ranks and curved between them."""
    points, curved = [path[0][:2]], [False]
    for (x, _, y), (next_x, next_y, end) in pairwise(path):
        half = (y + next_y) / 2
        points += [(x, y), (x, half), (next_x, half), (next_x, next_y), (next_x, end)]
        curved += [False, True, True, True, False]
    if math.dist(points[-1], points[-2]) < 0.1:  # too short to give the head a direction
        points.pop()
    return points, curved


def _shifts(
    sizes: list[tuple[float, float]], edges: list[Edge], paths: list[Any], ordered: set[int]
) -> list[float]:
    """Return how far from the middle of its target each edge ends."""
    into: dict[int, list[int]] = {}
    for edge, (_, j) in enumerate(edges):
        into.setdefault(j, []).append(edge)
    shifts = [0.0] * len(edges)
    for j, entering in into.items():
        if j not in ordered:
            entering.sort(key=lambda edge: paths[edge][-2][0])
        step = min(18.0, 0.7 * sizes[j][0] / len(entering))
        for place, edge in enumerate(entering):
            shifts[edge] = (place - (len(entering) - 1) / 2) * step
    return shifts


def _looped(part: Drawing, rankdir: str) -> Drawing:
    """Return a drawing with an arrow from it to itself."""
    width, height = oriented(part.size, rankdir)
    side, out, low = width / 2, width / 2 + 26, height / 4

    def draw(canvas: Canvas, centre: Point) -> None:
        turns = [oriented(p, rankdir) for p in ((side, low), (out, low), (out, -low), (side, -low))]
        points = [(centre[0] + x, centre[1] + y) for x, y in turns]
        canvas.arrow(points, [False, True, True, True])
        part.draw(canvas, centre)

    return Drawing(oriented((width + 48, height), rankdir), draw)


def framed(inner: Drawing, name: str) -> Drawing:
    """Return a drawing in a dashed frame with a name."""
    label = Cell(name, ink="0.3", size=9.0)
    (wide, high), (width, height) = label.room, inner.size
    width, height = max(width, wide) + 2 * MARGIN, height + 2 * MARGIN + high

    def draw(canvas: Canvas, centre: Point) -> None:
        x, y = centre
        canvas.rectangle(centre, (width, height), fill=False, linestyle="--", edgecolor="0.4")
        canvas.text((x - width / 2 + PADDING[0], y - height / 2 + high / 2 + 2), label, "left")
        inner.draw(canvas, (x, y + high / 2))

    return Drawing((width, height), draw)


def table(rows: list[list[Cell]]) -> Drawing:
    """Return rows of texts, each in a rectangle, as a drawing."""
    sizes = [[cell.room for cell in row] for row in rows]
    width = max(sum(w for w, _ in row) for row in sizes)
    heights = [max(h for _, h in row) for row in sizes]

    def draw(canvas: Canvas, centre: Point) -> None:
        top = centre[1] - sum(heights) / 2
        for row, row_sizes, height in zip(rows, sizes, heights, strict=True):
            left, spare = centre[0] - width / 2, width - sum(w for w, _ in row_sizes)
            for cell, (w, _) in zip(row, row_sizes, strict=True):
                w += spare / len(row)
                middle = left + w / 2, top + height / 2
                canvas.rectangle(middle, (w, height), facecolor=cell.ground, edgecolor="black")
                canvas.text(middle, cell)
                left += w
            top += height

    return Drawing((width, sum(heights)), draw)


def card(lines: list[Cell], ground: str, ink: str) -> Drawing:
    """Return lines of text in one rectangle as a drawing."""
    width = max(line.width for line in lines) + 16
    heights = [1.4 * line.size for line in lines]

    def draw(canvas: Canvas, centre: Point) -> None:
        size = width, sum(heights) + 9
        canvas.rectangle(centre, size, facecolor=ground, edgecolor=ink, linewidth=0.9)
        top = centre[1] - sum(heights) / 2
        for line, height in zip(lines, heights, strict=True):
            canvas.text((centre[0], top + height / 2), line)
            top += height

    return Drawing((width, sum(heights) + 9), draw)
