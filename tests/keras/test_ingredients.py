"""What networks are made of beside Keras': activations, losses, regularizers, layers."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import SEEDS, assert_agree, assert_both_agree, in_both, numbers

import tinynet as tn

some = settings(max_examples=10, deadline=None)


def value_and_gradient(lib: Any, f: Any, *arguments: Any) -> Any:
    """Return ``f(*arguments)`` and its gradient in the last of them."""
    place = len(arguments) - 1
    return (tn if lib is tn else jax).value_and_grad(f, place)(*arguments)


def parameters(thing: Any) -> dict[str, Any]:
    """Return the parameters of a callable and their defaults."""
    return {p.name: p.default for p in inspect.signature(thing).parameters.values()}


# -- activations ----------------------------------------------------------------------------------

ACTIVATIONS = [
    *("linear", "sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu"),
    *("swish", "softplus", "softsign", "mish", "exponential", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "log_sigmoid", "softmax", "log_softmax"),
]
POINTS = np.array([-1000, -200, -7, -3, -1, -1e-6, 0, 1e-6, 0.5, 1, 3, 6, 7, 80], "float32")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives_equal_keras_also_at_kinks_and_far_out(name):
    ct = numbers(0, *POINTS.shape)
    options = [{}, {"approximate": True}] if name == "gelu" else [{}]
    for given_ in options:

        def run(lib, given_=given_):
            f = getattr(lib.activations, name)
            slope = value_and_gradient(lib, lambda x: lib.ops.sum(f(x, **given_) * ct), POINTS)[1]
            name_of = lib.activations.serialize(lib.activations.get(name))
            return f(POINTS, **given_), slope, name_of

        assert_both_agree(run, rtol=2e-6)
    assert parameters(getattr(tn.activations, name)) == parameters(getattr(keras.activations, name))


# -- losses ---------------------------------------------------------------------------------------

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "mean_squared_error": [{}],
    "mean_absolute_percentage_error": [{}],
    "mean_squared_logarithmic_error": [{}],
    "log_cosh": [{}],
    "huber": [{}, {"delta": 0.3}],
    "binary_crossentropy": [
        {},
        {"label_smoothing": 0.2},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1, "axis": 0},
    ],
    "categorical_crossentropy": [
        {},
        {"label_smoothing": 0.2},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1},
    ],
    "sparse_categorical_crossentropy": [
        {},
        {"from_logits": True},
        {"ignore_class": 1},
        {"from_logits": True, "ignore_class": -1},
    ],
}
CASES = [(name, options) for name, several in OPTIONS.items() for options in several]
SHORT = {"mean_absolute_percentage_error": "MAPE", "mean_squared_logarithmic_error": "msle"}
SHORT |= {"binary_crossentropy": "bce", "mean_squared_error": "mse"}
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]


def samples(name: str, options: dict[str, Any], seed: int) -> tuple[Any, Any]:
    """Return targets and predictions that suit a loss, some at the ends of their range."""
    rng = np.random.default_rng(seed)
    y_pred = numbers(seed, 5, 3)
    if name.startswith("sparse"):
        y_true = rng.integers(-1 if "ignore_class" in options else 0, 3, (5, 1))
    elif name.endswith("crossentropy"):
        y_true = rng.random((5, 3)).round().astype("float32")
    else:
        y_true = numbers(seed + 1, 5, 3)
    if name.endswith("crossentropy") and not options.get("from_logits"):
        y_pred = rng.random((5, 3)).astype("float32")
        y_pred[0] = [1, 0, 0]
    return y_true, y_pred


@pytest.mark.parametrize(("name", "options"), CASES)
@some
@given(st.sampled_from(REDUCTIONS), st.booleans(), SEEDS)
def test_losses_and_their_gradients_equal_keras(name, options, reduction, weighted, seed):
    y_true, y_pred = samples(name, options, seed)
    weights = (
        abs(numbers(seed + 2, 5))[: 3 if options.get("axis") == 0 else 5] if weighted else None
    )

    def run(lib):
        kind = getattr(lib.losses, name.title().replace("_", ""))
        loss = kind(**options, reduction=reduction)

        def f(p):
            return lib.ops.sum(lib.ops.square(loss(y_true, p, weights)))

        function = getattr(lib.losses, name)
        return (
            function(lib.ops.convert_to_tensor(y_true), y_pred, **options),
            loss(y_true, y_pred, weights),
            value_and_gradient(lib, f, y_pred),
            loss.name,
            [getattr(loss, key) for key in options if key not in ("delta", "axis")],
        )

    assert_both_agree(run)


@pytest.mark.parametrize("name", OPTIONS)
def test_losses_have_the_signatures_and_names_of_keras(name):
    kind = name.title().replace("_", "")
    for called in (name, kind):
        mine, theirs = getattr(tn.losses, called), getattr(keras.losses, called)
        assert parameters(mine) == parameters(theirs)
    mine, theirs = (getattr(lib.losses, kind)().get_config() for lib in (tn, keras))
    assert {key: mine[key] for key in theirs} == theirs  # Keras' leave out delta and axis
    assert getattr(keras.losses, kind)(**mine).get_config() == theirs
    for identifier in (name, kind, SHORT.get(name, name)):
        found, expected = (lib.losses.get(identifier) for lib in (tn, keras))
        assert type(found).__name__ == type(expected).__name__


def test_the_ends_of_probabilities_are_those_of_float32():
    ends = [[0.0], [1.0], [0.0], [1.0]], np.array([[0.0], [0.0], [1.0], [1.0]], "float32")
    targets = np.array(ends[0], "float32")
    found = in_both(lambda lib: np.asarray(lib.losses.binary_crossentropy(targets, ends[1])))
    assert_agree(*found, rtol=1e-7)


@pytest.mark.parametrize("target", [(6,), (6, 1), (6, 3)])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("identifier", ["crossentropy", "ce"])
def test_crossentropy_is_the_one_that_keras_takes(identifier, width, target):
    if target == (6, 3) and width == 1:
        return

    def run(lib):
        if lib is keras:
            from keras.src.trainers.compile_utils import get_loss

            return get_loss(identifier, np.ones(target), np.ones((6, width))).fn.__name__
        return lib.losses.resolve(identifier, target, (6, width)).function.__name__

    assert_both_agree(run)
