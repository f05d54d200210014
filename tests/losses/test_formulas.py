"""Losses against their formulas: values, gradients, limits, ignored classes, and names."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, leaf, normal, over, refused
from hypothesis import given, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import losses
from tinynet.losses.base import REDUCTIONS
from tinynet.losses.lookup import resolve

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


# -- losses of errors ------------------------------------------------------------------------------

FORMULAS = {
    "mean_absolute_percentage_error": lambda t, p: 100 * abs(t - p) / np.maximum(abs(t), 1e-7),
    "mean_squared_logarithmic_error": lambda t, p: (
        (np.log1p(np.maximum(t, 1e-7)) - np.log1p(np.maximum(p, 1e-7))) ** 2
    ),
    "log_cosh": lambda t, p: np.log(np.cosh(p - t)),
    "huber": lambda t, p: np.where(abs(p - t) <= 1, (p - t) ** 2 / 2, abs(p - t) - 0.5),
}
every_formula = pytest.mark.parametrize("name", FORMULAS)


@every_formula
@given(SHAPES, SEEDS)
def test_an_error_loss_is_the_mean_of_its_formula_over_the_last_axis(name, shape, seed):
    y_true, y_pred = (2 * normal(seed + i, *shape, dtype="float64") for i in range(2))
    found = getattr(losses, name)(y_true, y_pred)
    assert_close(found, FORMULAS[name](y_true, y_pred).mean(-1), 1e-11)
    kind = name.title().replace("_", "")
    assert_close(
        getattr(losses, kind)()(y_true, y_pred), FORMULAS[name](y_true, y_pred).mean(), 1e-11
    )
    away = np.where(abs(abs(y_pred - y_true) - 1) < 0.01, y_pred + 0.02, y_pred)
    away = np.where(abs(away - y_true) < 0.01, away + 0.02, away)
    away = np.where(abs(away) < 0.01, away + 0.02, away)
    tn.check_grads(lambda p: losses.get(name)(y_true, p).sum(), (away,))


@given(st.floats(0.1, 3.0), SEEDS)
def test_huber_is_continuous_with_its_slope_at_delta(delta, seed):
    error = np.array([delta * (1 - 1e-9), delta, delta * (1 + 1e-9)])
    t = leaf(np.stack([error, -error], 1).reshape(-1, 1))
    y = losses.Huber(delta, reduction="sum")(np.zeros((6, 1)), t)
    y.backward()
    assert_close(y, 6 * delta**2 / 2, 1e-8)
    assert_close(t.grad[:, 0], delta * np.array([1, -1, 1, -1, 1, -1]), 1e-8)


# -- losses of probabilities -----------------------------------------------------------------------


def clipped(p: np.ndarray) -> np.ndarray:
    return np.clip(p, 1e-7, 1 - 1e-7)


def softmax(z: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@given(SHAPES, st.sampled_from([0.0, 0.2]), SEEDS)
def test_binary_crossentropy_is_the_mean_negative_log_likelihood(shape, smoothing, seed):
    z, y_true = normal(seed, *shape, dtype="float64"), 1.0 * (normal(seed + 1, *shape) > 0)
    p, t = 1 / (1 + np.exp(-z)), y_true * (1 - smoothing) + smoothing / 2
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    for given_, logits in ((p, False), (z, True)):
        options = {"from_logits": logits, "label_smoothing": smoothing}
        found = losses.binary_crossentropy(y_true, given_, **options)
        assert_close(found, expected.mean(-1), 1e-10)
        assert_close(
            losses.binary_crossentropy(y_true, given_, axis=0, **options), expected.mean(0)
        )
        loss = losses.BinaryCrossentropy(**options)
        assert_close(loss(y_true, given_), expected.mean(), 1e-10)
        tn.check_grads(lambda p, loss=loss: loss(y_true, p), (given_,))


@given(st.sampled_from([(1, 2), (4, 3), (2, 3, 4)]), st.sampled_from([0.0, 0.3]), st.data(), SEEDS)
def test_categorical_crossentropy_is_the_negative_log_likelihood_of_the_target(
    shape, smoothing, data, seed
):
    axis = data.draw(st.sampled_from([-1, len(shape) - 1, 1]))
    # Not too far apart: finite differences are inaccurate at tiny probabilities.
    z = np.clip(normal(seed, *shape, dtype="float64"), -1.5, 1.5)
    y_true = abs(normal(seed + 1, *shape, dtype="float64"))
    t = y_true * (1 - smoothing) + smoothing / shape[axis]
    expected = -(t * np.log(softmax(z, axis))).sum(axis)
    sums = abs(normal(seed + 2, dtype="float64")) + 0.5  # probabilities are divided by their sum
    for given_, logits in ((sums * softmax(z, axis), False), (z, True)):
        options = {"from_logits": logits, "label_smoothing": smoothing, "axis": axis}
        assert_close(losses.categorical_crossentropy(y_true, given_, **options), expected, 1e-10)
        loss = losses.CategoricalCrossentropy(**options)
        assert_close(loss(y_true, given_), expected.mean(), 1e-10)
        tn.check_grads(lambda p, loss=loss: loss(y_true, p), (given_,))


@given(st.sampled_from([(4, 3), (2, 3, 4)]), st.booleans(), st.booleans(), st.data(), SEEDS)
def test_sparse_crossentropy_of_class_indices_equals_crossentropy_of_one_hot_targets(
    shape, logits, column, data, seed
):
    axis = data.draw(st.sampled_from([-1, 1]))
    z = normal(seed, *shape, dtype="float64")
    numbers = np.random.default_rng(seed).integers(0, shape[axis], np.delete(shape, axis))
    one_hot = np.moveaxis(np.eye(shape[axis])[numbers], -1, axis)
    y_pred = z if logits else softmax(z, axis)
    y_true = np.expand_dims(numbers, axis) if column else numbers
    options = {"from_logits": logits, "axis": axis}
    found = losses.sparse_categorical_crossentropy(y_true, y_pred, **options)
    assert_close(found, losses.categorical_crossentropy(one_hot, y_pred, **options))
    loss = losses.SparseCategoricalCrossentropy(**options)
    assert_close(loss(y_true, y_pred), np.mean(found))
    tn.check_grads(lambda p: loss(y_true, p), (y_pred,))


@given(st.sampled_from(REDUCTIONS), st.booleans(), st.sampled_from([-1, 1, 255]), SEEDS)
def test_ignored_classes_do_not_count(reduction, weighted, ignored, seed):
    rng = np.random.default_rng(seed)
    z, classes = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    y_true = np.where(rng.random(6) < 0.4, ignored, classes)
    counted = y_true != ignored
    weight = rng.random(6) if weighted else None
    plain = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    values = np.where(counted, plain(np.where(counted, y_true, 0), z, weight), 0.0)
    divisor = {
        "sum": 1.0,
        "mean_with_sample_weight": counted @ (np.ones(6) if weight is None else weight),
    }
    divisor = divisor.get(str(reduction), counted.sum())
    loss = losses.SparseCategoricalCrossentropy(True, ignored, reduction)
    for targets in (y_true, y_true[:, None]):
        found = loss(targets, z, weight)
        if reduction in ("none", None):
            assert_close(np.ravel(found), values)
        else:
            assert_close(found, values.sum() / divisor if divisor else 0.0)
    t = leaf(z)
    losses.sparse_categorical_crossentropy(y_true, t, True, ignored).sum().backward()
    assert not t.grad[~counted].any()
    assert t.grad[counted].all()


# In float32 1 - 1e-7 is 1 - 2 ** -23, so the two limits differ, as in Keras.
ENDS = {
    "sure and right": ([1.0], [1.0], 2.0**-23),
    "sure and wrong": ([0.0], [1.0], 23 * np.log(2)),
    "excluded and wrong": ([1.0], [0.0], 7 * np.log(10)),
    "excluded and right": ([0.0], [0.0], 2.0**-23),
}


@over(ENDS, "case")
def test_probabilities_are_clipped_and_their_slope_is_0_outside_of_the_limits(case):
    y_true, y_pred, expected = case
    t = leaf(y_pred)
    y = losses.binary_crossentropy(y_true, t)
    y.backward()
    assert_close(y, expected, 1.3e-1 if expected < 1e-6 else 1e-6)
    assert t.grad.tolist() == [0.0]


def test_probabilities_of_classes_are_clipped_at_the_same_limits():
    found = losses.categorical_crossentropy([[1, 0], [1, 0]], [[1.0, 0.0], [0.0, 1.0]])
    assert_close(found[0], 2.0**-23, 1.3e-1)
    assert_close(found[1], 7 * np.log(10), 1e-6)


def test_classes_are_balanced_by_alpha_for_1_and_the_rest_for_0():
    y_true, y_pred = np.array([[1.0], [0.0]]), np.array([[0.3], [0.6]])
    plain = losses.binary_focal_crossentropy(y_true, y_pred)
    balanced = losses.binary_focal_crossentropy(y_true, y_pred, True, alpha=0.7)
    assert_close(balanced, plain.data * [0.7, 0.3], 1e-6)


def test_large_logits_give_no_warning_and_small_losses_keep_their_digits():
    z = np.array([[-1000.0], [-20.0], [20.0], [1000.0]], "float32")
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        for y_true, expected in (
            (np.zeros(4), [0, np.log1p(np.exp(-20.0)), 20, 1000]),
            (np.ones(4), [1000, 20, np.log1p(np.exp(-20.0)), 0]),
        ):
            t = leaf(z)
            found = losses.binary_crossentropy(y_true, t, from_logits=True)
            assert_close(found, expected, 1e-6, 0)
            found.sum().backward()
            assert np.isfinite(t.grad).all()
        rows = np.concatenate([z, 0 * z], 1)
        found = losses.sparse_categorical_crossentropy([0, 0, 0, 0], rows, from_logits=True)
        assert_close(found, [1000, 20, 0, 0], 1e-6, 1e-8)


@pytest.mark.parametrize("shape", [(1,), (2, 1), (2, 3, 1), (1, 1)])
def test_categorical_crossentropy_of_one_class_warns(shape):
    with pytest.warns(SyntaxWarning, match=r"1,?\).*binary_crossentropy"):
        losses.categorical_crossentropy(np.ones(shape), np.ones(shape))


@pytest.mark.parametrize("shape", [(2,), (1, 2), (3, 1, 2)])
def test_categorical_crossentropy_of_two_classes_does_not_warn(shape):
    assert not losses.categorical_crossentropy(np.ones(shape), np.ones(shape)).requires_grad


@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy"])
def test_targets_and_predictions_of_different_shapes_are_refused(name):
    for loss in (losses.get(name), resolve(name, (), ())):
        with refused(ValueError, "(4, 2)", "(4, 3)"):
            loss(np.ones((4, 2)), np.ones((4, 3)))


def test_classes_in_place_of_one_hot_targets_are_refused_by_what_to_use():
    advice = "for integer classes, use a sparse loss or tinynet.utils.to_categorical"
    for loss in (losses.categorical_crossentropy, losses.CategoricalCrossentropy()):
        with refused(ValueError, "(4,)", "(4, 3)", advice):
            loss(np.array([0, 2, 1, 0]), np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(3,), (4, 2), (4, 3), (4, 2, 1)])
def test_sparse_targets_must_have_one_class_per_sample(shape):
    for loss in (
        losses.sparse_categorical_crossentropy,
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(ignore_class=0),
    ):
        with refused(ValueError, "y_true", "(4, 3)"):
            loss(np.zeros(shape, int), np.ones((4, 3)))


# -- names -----------------------------------------------------------------------------------------

CROSSENTROPIES = {  # of targets and outputs of these shapes without the batch axis
    "binary": [((), (1,)), ((1,), (1,)), ((5,), (5, 1)), ((5, 1), (5, 1)), ((2, 5), (2, 5, 1))],
    "sparse_categorical": [((), (4,)), ((1,), (4,)), ((5,), (5, 4)), ((5, 1), (5, 4))],
    "categorical": [((4,), (4,)), ((2,), (2,)), ((5, 4), (5, 4)), ((1, 4), (1, 4))],
}


@over(CROSSENTROPIES, "pairs")
@pytest.mark.parametrize("batch", [1, 4, 8])
@pytest.mark.parametrize("name", ["crossentropy", "ce", "CE"])
def test_crossentropy_is_the_one_that_fits_targets_and_outputs_of_any_rank(name, batch, pairs):
    expected = next(kind for kind, those in CROSSENTROPIES.items() if those is pairs)
    for target, output in pairs:
        found = resolve(name, (batch, *target), (batch, *output))
        assert found.function is getattr(losses, f"{expected}_crossentropy")


SPELLINGS = {
    "mean_absolute_percentage_error": ["mape", "MAPE"],
    "mean_squared_logarithmic_error": ["msle", "MSLE"],
    "log_cosh": [],
    "huber": [],
    "binary_crossentropy": ["bce", "BCE"],
    "categorical_crossentropy": [],
    "sparse_categorical_crossentropy": [],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_loss_is_found_by_its_functions_names_and_its_class_name(name):
    for spelling in (name, *SPELLINGS[name]):
        assert losses.get(spelling) is getattr(losses, name)
        assert resolve(spelling, (2, 2), (2, 2)).name == spelling
    kind = getattr(losses, name.title().replace("_", ""))
    assert type(losses.get(kind.__name__)) is type(losses.get(kind)) is kind
    loss = kind(name="mine", reduction="sum")
    assert resolve(loss, (2,), (2,)) is loss
    again = losses.get({"class_name": kind.__name__, "config": loss.get_config()})
    assert again.get_config() == loss.get_config()
    assert again.name == "mine"
    assert "reduction" in inspect.signature(kind).parameters


@pytest.mark.parametrize("identifier", ["crossentropy", "ce", "CE"])
@pytest.mark.parametrize(
    ("target", "output", "kind"),
    [
        ((8,), (8, 1), "binary"),
        ((8, 1), (8, 1), "binary"),
        ((8,), (8, 3), "sparse_categorical"),
        ((8, 1), (8, 3), "sparse_categorical"),
        ((8, 5), (8, 5, 3), "sparse_categorical"),
        ((8, 3), (8, 3), "categorical"),
        (None, (8, 3), "sparse_categorical"),
    ],
)
def test_the_kind_of_crossentropy_follows_from_the_shapes(identifier, target, output, kind):
    found = resolve(identifier, target, output)
    assert found.function is getattr(losses, f"{kind}_crossentropy")
    assert found.name == identifier


def test_none_is_no_loss_and_a_users_function_becomes_a_loss():
    def mine(y_true: Any, y_pred: Any) -> Any:
        return abs(y_true - y_pred)

    assert resolve(None, (2,), (2,)) is None
    found = resolve(mine, (2,), (2,))
    assert (found.name, found.function) == ("mine", mine)
    for wrong in ("crossentropies", "Crossentropy loss", "cce", 3):
        with refused(ValueError, "loss", str(wrong)):
            resolve(wrong, (2,), (2,))


@given(st.sampled_from(sorted(SPELLINGS)), SEEDS)
def test_a_compiled_loss_and_its_gradient_equal_the_eager_ones(name, seed):
    y_pred = abs(normal(seed, 5, 3))
    y_true = np.arange(5) % 3 if name.startswith("sparse") else abs(normal(seed + 1, 5, 3))

    def value_and_slope(p: Any) -> Any:
        return tn.value_and_grad(lambda p: losses.get(name)(y_true, p).sum())(p)

    with warnings.catch_warnings():
        found, expected = tn.jit(value_and_slope)(y_pred), value_and_slope(y_pred)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-6, 1e-7)
