"""Layout: where to put boxes in ranks, so that arrows lead from rank to rank and cross no box.

Knows nothing of what is in the boxes. Imports nothing. Read next: `boxes.py`, which draws.

The way of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", 1981: ranks first, then the order within each rank, then the places.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

Edge = tuple[int, int]
SWEEPS = 12
# How strongly links are straightened: between boxes, to a long edge, along it. Source: Gansner
# et al., "A technique for drawing directed graphs", IEEE Trans. Software Engineering 19, 1993.
PULL = (1.0, 2.0, 8.0)


class Layout(NamedTuple):
    """What `layout` returns; y grows from rank to rank."""

    centres: list[tuple[float, float]]  # of the boxes
    paths: list[list[tuple[float, float, float]]]  # of the edges
    size: tuple[float, float]  # of the whole


def layout(
    sizes: Sequence[tuple[float, float]], edges: Sequence[Edge], gap: tuple[float, float]
) -> Layout:
    """Return places for boxes of the given widths and heights, and paths for the edges.

    Parameters
    ----------
    sizes : list of (width, height)
    edges : list of (box, box), each from an upper box to a lower one
        Where they lead round in a circle, one of them is drawn upwards. None from a box to itself.
    gap : the distance between boxes beside each other, and between ranks

    Returns
    -------
    Layout
        The path of an edge is a list of ``(x, from y, to y)``: it goes straight through ranks, and
        from one x to the next between them.

    >>> layout([(4, 2), (4, 2)], [(0, 1)], gap=(1, 3))
    Layout(centres=[(2.0, 1.0), (2.0, 6.0)], paths=[[(2.0, 2.0, 2.0), (2.0, 5.0, 5.0)]], size=(4.0, 7.0))
    """  # noqa: E501
    turned = _against(len(sizes), edges)
    down = [(j, i) if (i, j) in turned else (i, j) for i, j in edges]
    rank = _ranks(len(sizes), down)
    widths = [width for width, _ in sizes]
    chains = []
    for i, j in down:  # a long edge has a place of its own in each rank that it passes
        passed = range(rank[i] + 1, rank[j])
        chains.append([i, *range(len(rank), len(rank) + len(passed)), j])
        rank += passed
        widths += [0.0] * len(passed)
    links = [link for chain in chains for link in pairwise(chain)]
    rows = _ordered(rank, links)
    xs = _spread(rows, widths, links, gap[0], len(sizes))
    heights = [max((sizes[i][1] for i in row if i < len(sizes)), default=0.0) for row in rows]
    tops = [*accumulate((height + gap[1] for height in heights), initial=0.0)]
    middles = [top + height / 2 for top, height in zip(tops, heights, strict=False)]
    centres = [(xs[i], middles[rank[i]]) for i in range(len(sizes))]

    def straight(i: int) -> tuple[float, float, float]:
        """Return the way of an edge through a rank, at the place of `i`."""
        return xs[i], tops[rank[i]], tops[rank[i]] + heights[rank[i]]

    paths = []
    for edge, (i, *through, j) in zip(edges, chains, strict=True):
        (x, _, bottom), (last_x, top, _) = straight(i), straight(j)
        first = (x, middles[rank[i]] + sizes[i][1] / 2, bottom)
        last = (last_x, top, middles[rank[j]] - sizes[j][1] / 2)
        path = [first, *map(straight, through), last]
        upwards = [(x, end, begin) for x, begin, end in reversed(path)]
        paths.append(upwards if edge in turned else path)
    right = max((x + w / 2 for x, w in zip(xs, widths, strict=True)), default=0.0)
    return Layout(centres, paths, (right, max(tops[-1] - gap[1], 0.0)))


def _against(count: int, edges: Sequence[Edge]) -> set[Edge]:
    """Return edges to turn round so that no circle is left: those met on the way to themselves."""
    after: list[list[int]] = [[] for _ in range(count)]
    for i, j in edges:
        after[i].append(j)
    turned, state = set(), [0] * count  # 1: on the way, 2: done
    for start in range(count):
        way = [start] if not state[start] else []
        while way:
            i = way[-1]
            state[i] = 1
            if not after[i]:
                state[way.pop()] = 2
                continue
            j = after[i].pop(0)
            if state[j] == 1:
                turned.add((i, j))
            elif not state[j]:
                way.append(j)
    return turned


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return each box's rank: below all that lead to it; what nothing leads to is low down."""
    above, below = _neighbours(count, edges)
    rank, left = [0] * count, [len(each) for each in above]
    ready = [i for i in range(count) if not left[i]]
    for i in ready:  # grows while it is read: a box enters when all above it have
        for j in below[i]:
            rank[j] = max(rank[j], rank[i] + 1)
            left[j] -= 1
            if not left[j]:
                ready.append(j)
    for i in range(count):
        if not above[i]:
            rank[i] = min((rank[j] for j in below[i]), default=1) - 1
    return rank


def _ordered(rank: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """Return the boxes of each rank in an order in which few links cross."""
    rows: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for i, r in enumerate(rank):
        rows[r].append(i)
    near = _neighbours(len(rank), links)
    place = [0] * len(rank)
    _number(place, rows)
    best, least = [[*row] for row in rows], _crossings(rows, place, near[1])
    for sweep in range(SWEEPS):
        way = sweep % 2  # from above, then from below
        for row in rows[:: -1 if way else 1]:
            row.sort(key=lambda i: _mean([place[j] for j in near[way][i]], place[i]))
            _number(place, [row])
        found = _crossings(rows, place, near[1])
        if found < least:
            best, least = [[*row] for row in rows], found
    return best


def _number(place: list[int], rows: Iterable[Sequence[int]]) -> None:
    """Note the place of each box in its row."""
    for row in rows:
        for k, i in enumerate(row):
            place[i] = k


def _mean(numbers: Sequence[float], default: float) -> float:
    return sum(numbers) / len(numbers) if numbers else default


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for i, j in links:
        below[i].append(j)
        above[j].append(i)
    return above, below


def _crossings(
    rows: Sequence[Sequence[int]], place: Sequence[int], below: Sequence[Sequence[int]]
) -> int:
    """Return how many pairs of links cross: those whose ends are in the other order."""
    count = 0
    for row in rows:
        seen: list[int] = []
        for i in row:
            ends = sorted(place[j] for j in below[i])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _spread(
    rows: Sequence[Sequence[int]],
    widths: Sequence[float],
    links: Sequence[Edge],
    gap: float,
    boxes: int,
) -> list[float]:
    """Return x for all, each near what it is linked to; those of long edges above each other."""
    near = _neighbours(len(widths), links)
    around = [above + below for above, below in zip(*near, strict=True)]
    xs = [0.0] * len(widths)
    offsets = []
    for row in rows:
        steps = [(widths[i] + widths[j]) / 2 + gap for i, j in pairwise(row)]
        offsets.append([*accumulate([0.0, *steps])])
        for i, offset in zip(row, offsets[-1], strict=True):
            xs[i] = offset - offsets[-1][-1] / 2

    def wanted(i: int, linked: Sequence[int]) -> tuple[float, float]:
        """Return where a box would like to be, and how much."""
        pulls = [PULL[(i >= boxes) + (j >= boxes)] for j in linked]
        if not pulls:
            return xs[i], 1.0
        total = sum(pulls)
        return sum(xs[j] * pull for j, pull in zip(linked, pulls, strict=True)) / total, total

    for sweep in range(5 * SWEEPS):
        way = sweep % 2
        linked = around if sweep >= SWEEPS else near[way]
        for row, shifts in [*zip(rows, offsets, strict=True)][:: -1 if way else 1]:
            wishes = [wanted(i, linked[i]) for i in row]
            free = [x - shift for (x, _), shift in zip(wishes, shifts, strict=True)]
            moved = _monotone(free, [weight for _, weight in wishes])
            for i, x, shift in zip(row, moved, shifts, strict=True):
                xs[i] = x + shift
    left = min((x - w / 2 for x, w in zip(xs, widths, strict=True)), default=0.0)
    return [x - left for x in xs]


def _monotone(wanted: Iterable[float], weights: Iterable[float]) -> list[float]:
    """Return the numbers that never fall, and are nearest to those wanted.

    >>> _monotone([1.0, 5.0, 3.0], [1, 1, 1])
    [1.0, 4.0, 4.0]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for value, weight in zip(wanted, weights, strict=True):
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, u, m), (b, v, n) = blocks[-2:]
            blocks[-2:] = [((a * u + b * v) / (u + v), u + v, m + n)]
    return [mean for mean, _, count in blocks for _ in range(count)]
