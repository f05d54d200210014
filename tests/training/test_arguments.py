"""Every parameter of the methods that run a model over data refuses what it cannot use."""

import inspect
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, everything, over

import tinynet as tn

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


class Odd:
    """An object that no parameter can use."""

    def __repr__(self) -> str:
        return "<Odd>"


WRONG = {
    "an object": Odd(),
    "a string": "a",
    "a list of strings": ["a"],
    "a dict": {"a": "b"},
    "numbers of another length": np.arange(3),
    "a number below 0": -1,
    "a fraction": 2.5,
    "NaN": float("nan"),
}
# What is no mistake: a negative number of epochs is none, as in Keras.
FINE = {
    *(("epochs", "a number below 0"), ("initial_epoch", "a number below 0")),
    *(("validation_freq", "numbers of another length"),),
}
METHODS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")


def parameters() -> list[Any]:
    """Return a row for each method, parameter and wrong value, found by the signatures."""
    return [
        pytest.param(method, name, wrong, id=f"{method} {name} {wrong}")
        for method in METHODS
        for name in list(inspect.signature(getattr(tn.Model, method)).parameters)[1:]
        for wrong in WRONG
        if name != "kwargs" and (name, wrong) not in FINE
    ]


def network() -> Any:
    model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize(("method", "name", "wrong"), parameters())
def test_a_wrong_value_is_refused_by_name_before_anything_changes(method, name, wrong):
    model = network()
    known = inspect.signature(getattr(model, method)).parameters
    given: dict[str, Any] = {"x": X, "y": Y, "validation_data": (X, Y), "verbose": 0}
    given = {key: value for key, value in given.items() if key in known}
    if name == "validation_split":
        del given["validation_data"]
    before, drawn = everything(model), np.random.get_state()[1].copy()
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(model, method)(**given | {name: WRONG[wrong]})
    assert name in str(caught.value) or name == "x"  # the layer that gets x names itself
    assert_all_same(everything(model), before)
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)


HELD_OUT = {
    "inputs": lambda: (X[:, :2], Y),
    "targets": lambda: (X, np.ones((8, 2))),
    "weights": lambda: (X, Y, np.ones((8, 3))),
    "batches": lambda: iter([(X[:, :2], Y)]),
}


@over(HELD_OUT, "held_out")
@pytest.mark.parametrize("eager", [False, True])
def test_validation_data_of_wrong_shapes_are_refused_before_the_first_epoch(held_out, eager):
    model = network()
    model.compile("adam", "mse", run_eagerly=eager)
    before = everything(model)
    with pytest.raises(ValueError, match="validation_data: "):
        model.fit(X, Y, validation_data=held_out(), verbose=0)
    assert_all_same(everything(model), before)


def test_metrics_in_the_place_of_loss_weights_are_refused_when_the_model_is_compiled():
    model = tn.Sequential([tn.layers.Dense(1)])
    with pytest.raises(
        ValueError, match=r"loss_weights: expected numbers \(metrics=\[...\] by name\)"
    ):
        model.compile("adam", "mse", ["mae"])
    assert not model.compiled
    for given in (None, 2, 0.5, [1.0, np.float32(2)], {"a": 1, "b": [0.5, None]}):
        model.compile("adam", "mse", given)
