"""Layouts: boxes do not overlap, arrows cross no box, simple graphs look simple."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from tinynet.viz.layout import layout


@st.composite
def graphs(draw: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw boxes, and edges between them that may form cycles."""
    lengths = st.integers(1, 60)
    sizes = draw(st.lists(st.tuples(lengths, lengths), min_size=1, max_size=12))
    box = st.integers(0, len(sizes) - 1)
    edges = draw(st.lists(st.tuples(box, box).filter(lambda e: e[0] != e[1]), max_size=20))
    return sizes, list(dict.fromkeys(edges))


# Box 2 is below the cycle of 0 and 1, and box 3 leads to it as well.
@example(graph=([(1, 1)] * 4, [(0, 1), (0, 2), (1, 0), (3, 2)]), cycles=True)
@given(graphs(), st.booleans())
def test_boxes_do_not_overlap_and_arrows_cross_no_box(graph, cycles):
    sizes, edges = graph
    if not cycles:
        edges = list({(min(e), max(e)): 0 for e in edges})
    places, paths, (width, height) = layout(sizes, edges, gap=(7.0, 11.0))
    boxes = [
        (x - w / 2, x + w / 2, y - h / 2, y + h / 2)
        for (x, y), (w, h) in zip(places, sizes, strict=True)
    ]
    near = 1e-6
    for n, (left, right, top, bottom) in enumerate(boxes):
        assert left >= -near
        assert top >= -near
        assert right <= width + near
        assert bottom <= height + near
        for other in boxes[:n]:
            beside = left - other[1] > 7 - near or other[0] - right > 7 - near
            assert beside or top >= other[3] + 11 - near or other[2] >= bottom + 11 - near
    for (i, j), path in zip(edges, paths, strict=True):
        upwards = path[0][1] > path[-1][2]
        assert cycles or not upwards
        assert path[0][:2] == (places[i][0], boxes[i][2 if upwards else 3])
        assert path[-1][::2] == (places[j][0], boxes[j][3 if upwards else 2])
        for left, right, top, bottom in boxes:
            for x, *ends in path:
                inside = left < x < right and max(ends) > top + near and min(ends) < bottom - near
                assert not inside
            for (_, _, leave), (_, enter, _) in pairwise(path):
                low, high = max(leave, enter), min(leave, enter)
                assert low - high > 0
                assert high >= bottom - near or low <= top + near


def test_a_line_of_boxes_is_straight_and_a_fork_is_symmetric():
    centres, paths, size = layout([(10, 4), (30, 4), (10, 4)], [(0, 1), (1, 2)], gap=(5, 6))
    assert centres == [(15, 2), (15, 12), (15, 22)]
    assert size == (30, 24)
    assert paths[0] == [(15, 4, 4), (15, 10, 10)]
    centres, *_ = layout([(10, 4)] * 3, [(0, 1), (0, 2)], gap=(6, 6))
    assert [x for x, _ in centres] == pytest.approx([13, 5, 21])


def test_only_an_edge_of_a_cycle_is_drawn_upwards():
    edges = [(0, 1), (1, 2), (2, 1), (2, 3), (0, 3)]
    _, paths, _ = layout([(10, 4)] * 4, edges, gap=(5, 6))
    upwards = [edge for edge, path in zip(edges, paths, strict=True) if path[0][1] > path[-1][2]]
    assert upwards == [(2, 1)]


def test_an_input_stands_just_above_the_first_box_that_uses_it():
    centres, *_ = layout([(10, 4)] * 4, [(0, 1), (1, 2), (3, 2)], gap=(5, 6))
    assert centres[3][1] == centres[1][1]
