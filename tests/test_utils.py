"""Utilities: classes as rows, normed arrays, and pictures whose arrows cross no box."""

import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.layers import Dense, Input, Layer
from tinynet.utils import normalize, plot_model, to_categorical
from tinynet.viz.layout import layout

# -- arrays ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=1), st.sampled_from([None, 6, 9]))
def test_class_indices_become_one_hot_rows(classes, count):
    rows = to_categorical(classes, count)
    assert rows.shape == (len(classes), count or max(classes) + 1)
    assert rows.sum() == len(classes)
    assert rows.argmax(-1).tolist() == classes
    same = to_categorical(tn.tensor(np.array(classes)), count)
    assert isinstance(same, tn.Tensor)
    assert same.dtype == "float32"
    np.testing.assert_array_equal(same.numpy(), rows)


@pytest.mark.parametrize(
    ("x", "count"),
    [([-1, 0], None), ([3], 3), ([0.5], None), ([np.nan], 2), (["a"], 2), ([], None)],
)
def test_invalid_class_indices_are_refused(x, count):
    with refused(ValueError, "num_classes", str(count)):
        to_categorical(x, count)


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 1, -1, None]))
def test_normalized_vectors_have_norm_1(rows, columns, axis):
    x = np.random.default_rng(rows).normal(size=(rows, columns))
    found = normalize(x, axis)
    np.testing.assert_allclose(np.linalg.norm(found, 2, axis), 1)
    np.testing.assert_allclose(normalize(tn.tensor(x), axis).numpy(), found)
    x[:] = 0
    np.testing.assert_array_equal(normalize(x, axis), x)


def test_backend_has_epsilon_floatx_and_clear_session():
    tn.backend.clear_session()
    assert Dense(1).name == "dense"
    assert (tn.backend.floatx(), tn.backend.epsilon()) == ("float32", 1e-7)
    tn.backend.set_floatx("float64")
    assert Dense(1).dtype == tn.backend.floatx() == "float64"
    tn.backend.set_floatx("float32")


# -- layouts --------------------------------------------------------------------------------------


@st.composite
def drawn_graphs(draw: Any) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Draw boxes, and edges between them that may lead round in circles."""
    lengths = st.integers(1, 60)
    sizes = draw(st.lists(st.tuples(lengths, lengths), min_size=1, max_size=12))
    box = st.integers(0, len(sizes) - 1)
    edges = draw(st.lists(st.tuples(box, box).filter(lambda e: e[0] != e[1]), max_size=20))
    return sizes, list(dict.fromkeys(edges))


@given(drawn_graphs(), st.booleans())
def test_boxes_lie_apart_and_arrows_cross_none_of_them(graph, circles):
    sizes, edges = graph
    if not circles:
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
        assert circles or not upwards
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


# -- pictures of models ---------------------------------------------------------------------------


def siamese() -> tn.Model:
    """Return a model with two inputs, a shared layer, models within, and a way round them."""
    one, two = Input((3,), name="one"), Input((3,), name="two")
    shared = Dense(3, "tanh", name="shared")
    first, second = shared(one), shared(two)
    x = Input((3,), name="within")
    inner = tn.Model(x, [Dense(2, name="left")(x), Dense(3, name="right")(x)], name="inner")
    left, right = inner(first)
    stack = tn.Sequential([Input((2,)), Dense(3, name="up"), Dense(3, name="on")], name="stack")
    return tn.Model([one, two], [stack(left), shared(right), Dense(1, name="out")(second)])


def told(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def arrows(figure: Any) -> int:
    return sum(type(patch).__name__ == "FancyArrowPatch" for patch in figure.axes[0].patches)


def test_each_layer_is_a_box_and_each_connection_an_arrow():
    figure = plot_model(siamese(), None, show_layer_names=True)
    names = ["one", "two", "shared", "inner", "stack", "out"]
    assert sorted(text.split(" ")[0] for text in told(figure)) == sorted(names)
    # one and two to shared, shared to inner and out, inner to stack and back to shared
    assert arrows(figure) == 6
    figure = plot_model(siamese(), None, show_layer_names=True, expand_nested=True)
    within = ["within", "left", "right", "up", "on"]
    assert sorted(text.split(" ")[0] for text in told(figure)) == sorted(names + within)
    assert arrows(figure) == 6 + 2 + 1


def test_boxes_tell_what_is_asked_for():
    model = tn.Sequential([Input((4,)), Dense(8, "relu", name="a"), Dense(1, name="b")])
    model.layers[1].trainable = False
    assert told(plot_model(model, None)) == ["Dense", "Dense"]
    options = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True}
    assert told(plot_model(model, None, show_layer_names=True, show_trainable=True, **options)) == [
        *("a (Dense)", "Activation: relu", "Input shape: (None, 4)", "Output shape: (None, 8)"),
        *("Output dtype: float32", "Trainable"),
        *("b (Dense)", "Activation: linear", "Input shape: (None, 8)", "Output shape: (None, 1)"),
        *("Output dtype: float32", "Non-trainable"),
    ]


@pytest.mark.parametrize(
    ("rankdir", "axis", "sign"), [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)]
)
def test_layers_follow_each_other_in_the_direction_asked_for(rankdir, axis, sign):
    model = tn.Sequential([Input((4,)), Dense(8), Dense(2), Dense(1)])
    figure = plot_model(model, None, rankdir=rankdir)
    places = [sign * text.get_position()[axis] for text in figure.axes[0].texts]
    assert places == sorted(places)
    across = {text.get_position()[1 - axis] for text in figure.axes[0].texts}
    assert len(across) == 1


def test_a_picture_is_saved_in_the_format_of_its_ending(tmp_path):
    model = tn.Sequential([Input((4,)), Dense(1)])
    for name, begins in (("a.png", b"\x89PNG"), ("b.svg", b"<?xml"), ("c", b"\x89PNG")):
        plot_model(model, tmp_path / name, dpi=50)
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_layer_called_on_its_own_output_and_a_model_of_no_known_graph_are_drawn():
    again, x = Dense(3), Input((3,))
    assert arrows(plot_model(tn.Model(x, again(again(x))), None)) == 2

    class Own(tn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.inner(inputs)

    model = Own()
    model(np.ones((2, 3)))
    assert told(plot_model(model, None, show_shapes=True))[0] == "Own"


def test_what_cannot_be_drawn_is_refused(monkeypatch, tmp_path):
    with refused(ValueError, "not yet been built", "'late'"):
        plot_model(tn.Sequential([Dense(1)], name="late"), tmp_path / "a.png")
    model = tn.Sequential([Input((1,)), Dense(1)])
    with refused(ValueError, "rankdir", "'UP'"):
        plot_model(model, None, rankdir="UP")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"tinynet\[plot\]"):
        plot_model(model, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    assert isinstance(model.layers[0], Layer)
