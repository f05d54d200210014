"""Layered layout of a graph: positions for boxes, and paths for arrows that cross no box.

The method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", 1981: assign ranks by longest path, then order each rank by barycentres. Here these are
means of x coordinates, which are chosen in the same sweeps.

Imports nothing and does not know what the boxes contain. Read next: `boxes.py`, which draws them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

Edge = tuple[int, int]
Point = tuple[float, float]
Path = list[tuple[float, float, float]]
Rows = list[list[int]]
SWEEPS = 12  # over the ranks from the top, as many from the bottom, and as many at the end
STRAIGHT = 8.0  # how much more a link within a long edge is straightened than one between boxes


def layout(
    sizes: Sequence[Point], edges: Sequence[Edge], gap: Point
) -> tuple[list[Point], list[Path], Point]:
    """Return positions for boxes of the given widths and heights, and paths for the edges.

    Parameters
    ----------
    sizes : list of (width, height)
    edges : list of (box, box), from the upper box to the lower one
        In a cycle, at least one edge is drawn upwards. No edge may lead from a box to itself.
    gap : the distance between neighbouring boxes of a rank, and between ranks

    Returns
    -------
    centres, paths, size
        Of the boxes, of the edges, and of the whole picture; y grows from rank to rank. The path of
        an edge is a list of ``(x, from y, to y)``: the edge is vertical within a rank and moves to
        the next x between two ranks.

    >>> centres, paths, size = layout([(4, 2), (4, 2)], [(0, 1)], gap=(1, 3))
    >>> centres, size
    ([(2.0, 1.0), (2.0, 6.0)], (4.0, 7.0))
    >>> paths
    [[(2.0, 2.0, 2.0), (2.0, 5.0, 5.0)]]
    """
    count = len(sizes)
    rank, back = _ranks(count, edges)
    widths = [width for width, _ in sizes]
    chains = []
    for i, j in edges:
        upper, lower = (j, i) if (i, j) in back else (i, j)
        passed = range(rank[upper] + 1, rank[lower])  # in each, a long edge gets a point of its own
        chains.append([upper, *range(len(rank), len(rank) + len(passed)), lower])
        rank += passed
        widths += [0.0] * len(passed)
    links = [link for chain in chains for link in pairwise(chain)]
    rows: Rows = [[] for _ in range(max(rank, default=-1) + 1)]
    for i, r in enumerate(rank):
        rows[r].append(i)
    xs = _columns(rows, widths, _neighbours(len(rank), links), gap[0])
    heights = [max((sizes[i][1] for i in row if i < count), default=0.0) for row in rows]
    tops = [*accumulate((height + gap[1] for height in heights), initial=0.0)]
    middles = [top + height / 2 for top, height in zip(tops, heights, strict=False)]
    paths = []
    for edge, chain in zip(edges, chains, strict=True):
        path = [(xs[i], tops[rank[i]], tops[rank[i]] + heights[rank[i]]) for i in chain]
        (first, last), upper, lower = (path[0], path[-1]), chain[0], chain[-1]
        path[0] = (first[0], middles[rank[upper]] + sizes[upper][1] / 2, first[2])
        path[-1] = (last[0], last[1], middles[rank[lower]] - sizes[lower][1] / 2)
        paths.append([(x, b, a) for x, a, b in reversed(path)] if edge in back else path)
    right = max((x + w / 2 for x, w in zip(xs, widths, strict=True)), default=0.0)
    centres = [(xs[i], middles[rank[i]]) for i in range(count)]
    return centres, paths, (right, max(tops[-1] - gap[1], 0.0))


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[Rows, Rows]:
    """Return the boxes above each box that it is linked to, and those below."""
    above: Rows = [[] for _ in range(count)]
    below: Rows = [[] for _ in range(count)]
    for i, j in links:
        below[i].append(j)
        above[j].append(i)
    return above, below


def _ranks(count: int, edges: Sequence[Edge]) -> tuple[list[int], set[Edge]]:
    """Return the rank of each box by longest path, and the back edges, which point upwards."""
    order = _depth_first(_neighbours(count, edges)[1])
    place = {i: k for k, i in enumerate(order)}
    back = {(i, j) for i, j in edges if place[i] > place[j]}
    above, below = _neighbours(count, [e[::-1] if e in back else e for e in edges])
    rank = [0] * count
    for j in order:
        rank[j] = max((rank[i] + 1 for i in above[j]), default=0)
    for i in range(count):
        if not above[i]:  # an input stands just above the first box that uses it
            rank[i] = min((rank[j] for j in below[i]), default=1) - 1
    return rank, back


def _depth_first(below: Rows) -> list[int]:
    """Return the boxes in reverse postorder of a depth-first search.

    Only the back edges of the search lead from a later box to an earlier one.
    """
    seen: set[int] = set()
    finished: dict[int, None] = {}
    stack = [*range(len(below))][::-1]
    while stack:
        i = stack[-1]
        if i in seen:
            finished[stack.pop()] = None
        else:
            seen.add(i)
            stack += [j for j in reversed(below[i]) if j not in seen]
    return [*finished][::-1]


def _columns(rows: Rows, widths: list[float], near: tuple[Rows, Rows], gap: float) -> list[float]:
    """Return the x of each box, without overlaps; the points of long edges have no width.

    In each sweep over the ranks, boxes move to the mean of those that they are linked to: in the
    rank above in sweeps from the top, in the rank below in sweeps from the bottom, finally in both.
    The boxes of a rank are sorted by their new positions, so that few links cross.
    """
    both = [above + below for above, below in zip(*near, strict=True)]
    xs = [float(i) for i in range(len(widths))]

    def wanted(i: int, linked: list[int]) -> float:
        pulls = [1.0 if widths[i] or widths[j] else STRAIGHT for j in linked]
        total = sum(xs[j] * pull for j, pull in zip(linked, pulls, strict=True))
        return total / sum(pulls) if pulls else xs[i]

    for sweep in range(3 * SWEEPS + 1):
        linked = near[sweep % 2] if sweep < 2 * SWEEPS else both
        for row in rows[:: -1 if sweep % 2 else 1]:
            wishes = {i: wanted(i, linked[i]) for i in row}
            row.sort(key=wishes.__getitem__)
            steps = [(widths[i] + widths[j]) / 2 + gap for i, j in pairwise(row)]
            for i, x in zip(row, _apart([wishes[i] for i in row], steps), strict=True):
                xs[i] = x
    left = min((x - w / 2 for x, w in zip(xs, widths, strict=True)), default=0.0)
    return [x - left for x in xs]


def _apart(wanted: Sequence[float], steps: Sequence[float]) -> list[float]:
    """Return numbers near those wanted, each at least a step larger than the one before.

    Pushing all to the right as needed keeps these distances, and so does pushing to the left;
    hence so does the mean of both.

    >>> _apart([0.0, 0.0, 9.0], [2.0, 2.0])
    [-1.0, 1.0, 9.0]
    """
    offsets = [*accumulate(steps, initial=0.0)]
    free = [x - offset for x, offset in zip(wanted, offsets, strict=True)]
    right, left = [*accumulate(free, max)], [*accumulate(reversed(free), min)][::-1]
    return [(a + b) / 2 + offset for a, b, offset in zip(right, left, offsets, strict=True)]
