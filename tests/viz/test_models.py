"""Pictures of models: a box for each layer, an arrow for each connection."""

import sys
from typing import Any

import numpy as np
import pytest
from helpers import refused

import tinynet as tn
from tinynet.layers import Dense, Input, Layer
from tinynet.utils import plot_model


def siamese() -> tn.Model:
    """Return a model with two inputs, a shared layer, nested models, and a path around them."""
    one, two = Input((3,), name="one"), Input((3,), name="two")
    shared = Dense(3, "tanh", name="shared")
    first, second = shared(one), shared(two)
    x = Input((3,), name="within")
    inner = tn.Model(x, [Dense(2, name="left")(x), Dense(3, name="right")(x)], name="inner")
    left, right = inner(first)
    stack = tn.Sequential([Input((2,)), Dense(3, name="up"), Dense(3, name="on")], name="stack")
    return tn.Model([one, two], [stack(left), shared(right), Dense(1, name="out")(second)])


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def arrows(figure: Any) -> int:
    return sum(type(patch).__name__ == "FancyArrowPatch" for patch in figure.axes[0].patches)


def test_each_layer_is_a_box_and_each_connection_an_arrow():
    figure = plot_model(siamese(), None, show_layer_names=True)
    names = ["one", "two", "shared", "inner", "stack", "out"]
    assert sorted(text.split(" ")[0] for text in texts(figure)) == sorted(names)
    # one and two to shared, shared to inner and out, inner to stack and back to shared
    assert arrows(figure) == 6
    figure = plot_model(siamese(), None, show_layer_names=True, expand_nested=True)
    nested = ["within", "left", "right", "up", "on"]
    assert sorted(text.split(" ")[0] for text in texts(figure)) == sorted(names + nested)
    assert arrows(figure) == 6 + 2 + 1


def test_boxes_show_what_the_options_ask_for():
    model = tn.Sequential([Input((4,)), Dense(8, "relu", name="a"), Dense(1, name="b")])
    model.layers[1].trainable = False
    assert texts(plot_model(model, None)) == ["Dense", "Dense"]
    options = {"show_shapes": True, "show_dtype": True, "show_layer_activations": True}
    assert texts(
        plot_model(model, None, show_layer_names=True, show_trainable=True, **options)
    ) == [
        *("a (Dense)", "Activation: relu", "Input shape: (None, 4)", "Output shape: (None, 8)"),
        *("Output dtype: float32", "Trainable"),
        *("b (Dense)", "Activation: linear", "Input shape: (None, 8)", "Output shape: (None, 1)"),
        *("Output dtype: float32", "Non-trainable"),
    ]


@pytest.mark.parametrize(
    ("rankdir", "axis", "sign"), [("TB", 1, 1), ("BT", 1, -1), ("LR", 0, 1), ("RL", 0, -1)]
)
def test_layers_follow_each_other_in_the_direction_of_rankdir(rankdir, axis, sign):
    model = tn.Sequential([Input((4,)), Dense(8), Dense(2), Dense(1)])
    figure = plot_model(model, None, rankdir=rankdir)
    places = [sign * text.get_position()[axis] for text in figure.axes[0].texts]
    assert places == sorted(places)
    across = {text.get_position()[1 - axis] for text in figure.axes[0].texts}
    assert len(across) == 1


def test_a_picture_is_saved_in_the_format_of_its_file_extension(tmp_path):
    model = tn.Sequential([Input((4,)), Dense(1)])
    for name, begins in (("a.png", b"\x89PNG"), ("b.svg", b"<?xml"), ("c", b"\x89PNG")):
        plot_model(model, tmp_path / name, dpi=50)
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_layers_called_on_their_own_output_and_subclassed_models_are_drawn():
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
    assert texts(plot_model(model, None, show_shapes=True))[0] == "Own"


def test_models_that_are_not_built_and_unknown_directions_are_refused(monkeypatch, tmp_path):
    with refused(ValueError, "not built", "'late'"):
        plot_model(tn.Sequential([Dense(1)], name="late"), tmp_path / "a.png")
    model = tn.Sequential([Input((1,)), Dense(1)])
    with refused(ValueError, "rankdir", "'UP'"):
        plot_model(model, None, rankdir="UP")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"extra 'plot' of tinynet: pip install"):
        plot_model(model, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    assert isinstance(model.layers[0], Layer)
