"""Losses against NumPy: values, reductions, weights, ranks, and names."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, leaf, normal, over, refused
from hypothesis import given, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import losses, ops
from tinynet.layers import Dense, Input
from tinynet.losses import base

# The loss per sample and its derivative by the predictions, as functions of the error.
FORMULAS: dict[
    str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
] = {
    "MeanSquaredError": (np.square, lambda e: 2 * e),
    "MeanAbsoluteError": (np.abs, np.sign),
}
NAMES = {"MeanSquaredError": "mean_squared_error", "MeanAbsoluteError": "mean_absolute_error"}
SHORT = {"mse": "MeanSquaredError", "MSE": "MeanSquaredError"}
SHORT |= {"mae": "MeanAbsoluteError", "MAE": "MeanAbsoluteError"}
KINDS = st.sampled_from(sorted(FORMULAS))
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@st.composite
def pairs(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Draw targets and predictions of one shape, with some equal elements."""
    shape, seed = draw(SHAPES), draw(SEEDS)
    y_true, y_pred = (normal(seed + i, *shape, dtype="float64") for i in range(2))
    return y_true, np.where(normal(seed + 2, *shape) > 1, y_true, y_pred)


@st.composite
def weights_for(draw: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Draw weights that broadcast to values of `shape`."""
    lengths = [draw(st.sampled_from([n, n, 1])) for n in shape]
    weight = abs(normal(draw(SEEDS), *lengths, dtype="float64"))
    return weight * draw(st.sampled_from([0, 1, 1, 1]))


# -- values ----------------------------------------------------------------------------------------


@given(KINDS, pairs())
def test_a_loss_function_returns_the_mean_over_the_last_axis(kind, pair):
    y_true, y_pred = pair
    value, slope = FORMULAS[kind]
    error = y_pred - y_true
    t = leaf(y_pred)
    y = getattr(losses, NAMES[kind])(y_true, t)
    assert_close(y, value(error).mean(-1))
    ct = normal(0, *error.shape[:-1], dtype="float64")
    y.backward(ct)
    assert_close(t.grad, slope(error) * ct[..., None] / error.shape[-1])  # 0 where they are equal


def reduced(values: np.ndarray, weight: Any, reduction: Any) -> Any:
    """Return the reduction of weighted values, in NumPy."""
    w = np.broadcast_to(1.0 if weight is None else weight, values.shape)
    if reduction in (None, "none") or values.ndim == 0:
        return values * w
    if reduction == "sum":
        return (values * w).sum()
    if reduction == "mean_with_sample_weight" and weight is not None:
        return (values * w).sum() / w.sum() if w.sum() else 0.0
    return (values * w).mean()


REDUCTIONS = st.sampled_from(base.REDUCTIONS)


@given(KINDS, pairs(), REDUCTIONS, st.data())
def test_a_loss_object_weights_and_reduces_the_values_of_its_function(kind, pair, reduction, data):
    y_true, y_pred = pair
    values = FORMULAS[kind][0](y_pred - y_true).mean(-1)
    loss = getattr(losses, kind)(reduction)
    sizes = abs(normal(1, *values.shape, dtype="float64"))
    whole = st.sampled_from([0.0, 1.0]).map(lambda c: c * sizes)
    weights = whole if reduction == "mean_with_sample_weight" else weights_for(values.shape)
    for weight in (None, data.draw(weights)):
        assert_close(loss(y_true, y_pred, weight), reduced(values, weight, reduction))
    scalar = None if reduction == "mean_with_sample_weight" else 2.5
    found = loss(y_true, y_pred, scalar)
    assert_close(np.ravel(found), np.ravel(reduced(values, scalar, reduction)))


@given(KINDS, st.integers(1, 4), REDUCTIONS, st.booleans(), SEEDS)
def test_a_column_and_a_row_pair_sample_with_sample(kind, n, reduction, weighted, seed):
    y_true, y_pred = (normal(seed + i, n, dtype="float64") for i in range(2))
    weight = abs(normal(seed + 2, n, dtype="float64")) if weighted else None
    value, loss = FORMULAS[kind][0](y_pred - y_true), getattr(losses, kind)(reduction)
    for t, p in ((y_true[:, None], y_pred), (y_true, y_pred[:, None])):
        for w in (weight, None if weight is None else weight[:, None]):
            found = loss(t, p, w)
            assert_close(
                np.reshape(found, np.shape(reduced(value, weight, reduction))),
                reduced(value, weight, reduction),
            )


@given(KINDS, SHAPES.filter(lambda shape: len(shape) > 1), SEEDS)
def test_a_last_axis_of_length_1_is_removed_if_the_other_array_lacks_it(kind, shape, seed):
    y_true, y_pred = (normal(seed + i, *shape, dtype="float64") for i in range(2))
    values = FORMULAS[kind][0](y_pred - y_true).mean(-1)
    for pair in ((y_true[..., None], y_pred), (y_true, y_pred[..., None])):
        assert_close(getattr(losses, kind)(None)(*pair), values)


LENGTHS = st.lists(st.sampled_from([0, 1, 2, 3]), max_size=3).map(tuple)


@given(LENGTHS, LENGTHS)
def test_a_shape_broadcasts_to_another_where_numpy_says_so(shape, target):
    for wanted in (target, shape + target, target + shape):
        try:
            np.broadcast_to(np.zeros(shape), wanted)
            expected = True
        except ValueError:
            expected = False
        assert base.broadcasts_to(shape, wanted) == expected


@pytest.mark.parametrize("kind", sorted(FORMULAS))
def test_mismatched_shapes_are_refused_and_not_broadcast(kind):
    loss = getattr(losses, kind)()
    for a, b in [
        ((4, 1), (4, 3)),
        ((4,), (3,)),
        ((4, 2), (4,)),
        ((2, 4, 1), (4, 1, 1)),
        ((4, 3), (3,)),
    ]:
        for t, p in ((np.ones(a), np.ones(b)), (np.ones(b), np.ones(a))):
            with refused(ValueError, str(a), str(b)):
                loss(t, p)
            with refused(ValueError):
                getattr(losses, NAMES[kind])(t, p)
    for wrong in [(3,), (4, 3), (2, 4), (4, 1, 1)]:
        with refused(ValueError, "sample_weight", str(wrong)):
            loss(np.ones((4, 2)), np.zeros((4, 2)), np.ones(wrong))


DTYPES = st.sampled_from(["float16", "float32", "float64", "int64", "bool"])


@given(KINDS, DTYPES, DTYPES)
def test_a_loss_is_computed_in_the_floating_dtype_of_the_predictions(kind, of_true, of_pred):
    y_true, y_pred = np.array([0, 1, 1], of_true), np.array([1, 1, 0], of_pred)
    before = y_true.tobytes(), y_pred.tobytes()
    found = getattr(losses, kind)()(y_true, y_pred)
    one = getattr(losses, NAMES[kind])(y_true, y_pred)
    assert found.dtype == one.dtype == (of_pred if of_pred.startswith("float") else "float32")
    assert_close(found.numpy().astype("float64"), 2 / 3, 1e-3)
    assert getattr(losses, kind)(dtype="float64")(y_true, y_pred).dtype == "float64"
    assert (y_true.tobytes(), y_pred.tobytes()) == before


@given(KINDS, REDUCTIONS, SEEDS)
def test_gradients_of_a_weighted_loss_reach_the_predictions(kind, reduction, seed):
    y_true, y_pred = (normal(seed + i, 4, 2, dtype="float64") for i in range(2))
    weight, t = abs(normal(seed + 2, 4, dtype="float64")), leaf(y_pred)
    loss = getattr(losses, kind)(reduction)(y_true, t, weight)
    loss.backward(None if loss.shape == () else np.ones(4))
    share = {"sum_over_batch_size": 4, "mean": 4, "mean_with_sample_weight": weight.sum()}
    slope = FORMULAS[kind][1](y_pred - y_true) / 2 * weight[:, None]
    assert_close(t.grad, slope / share.get(reduction, 1))


# -- users' losses ---------------------------------------------------------------------------------


class Quantile(losses.Loss):
    """The pinball loss: errors below weigh q, errors above 1 - q."""

    def __init__(self, q: float, **options: Any) -> None:
        super().__init__(**options)
        self.q = q

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return ops.mean(ops.maximum(self.q * error, (self.q - 1) * error), axis=-1)


@given(st.floats(0.1, 0.9), pairs(), REDUCTIONS, st.data())
def test_a_users_loss_is_weighted_and_reduced_like_a_built_in_loss(q, pair, reduction, data):
    y_true, y_pred = pair
    error = y_true - y_pred
    values = np.maximum(q * error, (q - 1) * error).mean(-1)
    weight = abs(normal(3, *values.shape, dtype="float64"))
    found = Quantile(q, reduction=reduction)(y_true, y_pred, weight)
    assert_close(found, reduced(values, weight, reduction))


X, Y = normal(0, 8, 3), normal(1, 8, 1)


def network(**options: Any) -> tn.Model:
    model = tn.Sequential([Input((3,)), Dense(1, dtype="float64")])
    model.compile(tn.optimizers.SGD(0.0), **{"loss": "mse", **options})
    return model


def error_of(model: tn.Model) -> np.ndarray:
    w, b = model.get_weights()
    return (X @ w + b - Y)[:, 0]


def scalar(y_true: Any, y_pred: Any) -> Any:
    return ops.max(ops.absolute(y_true - y_pred))


OF_A_USER: dict[str, tuple[Any, Callable[[np.ndarray], Any]]] = {
    "a subclass": (Quantile(0.25), lambda e: np.maximum(-0.25 * e, 0.75 * e).mean()),
    "a function": (lambda t, p: ops.mean((t - p) ** 4, axis=-1), lambda e: (e**4).mean()),
    "a value per element": (lambda t, p: ops.absolute(t - p) ** 3, lambda e: abs(e**3).mean()),
    "a number": (scalar, lambda e: abs(e).max()),
    "Keras's object": (losses.MeanAbsoluteError("sum"), lambda e: abs(e).sum()),
    "an object that is called": (losses.get("mae"), lambda e: abs(e).mean()),
}


@over(OF_A_USER, "case")
@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("flat", [True, False])
def test_a_model_trains_on_a_users_loss(case, eager, flat):
    loss, expected = case
    if flat and isinstance(loss, Quantile):
        return  # a subclass gets the targets as they are and must align (8,) and (8, 1) itself
    model = network(loss=loss, run_eagerly=eager)
    model.compile(tn.optimizers.SGD(0.01), loss, run_eagerly=eager)
    value = expected(error_of(model))
    y = Y[:, 0] if flat else Y
    assert model.evaluate(X, y, verbose=0) == pytest.approx(value, rel=1e-6)
    history = model.fit(X, y, verbose=0, epochs=5).history["loss"]
    assert history[0] == pytest.approx(value, rel=1e-6)
    assert history[-1] < history[0]


@given(DTYPES, DTYPES)
def test_a_users_loss_gets_tensors_of_the_floating_dtype_of_the_predictions(of_true, of_pred):
    class Distance(losses.Loss):
        def call(self, y_true, y_pred):
            assert y_true.dtype == y_pred.dtype == (of_pred if "float" in of_pred else "float32")
            return y_pred - y_true

    assert Distance()(np.ones((2, 1), of_true), np.zeros((2, 1), of_pred)) == -1.0


def test_a_loss_without_a_call_raises_not_implemented():
    with pytest.raises(NotImplementedError, match="Loss must define call"):
        losses.Loss()(Y, Y)
    with refused(ValueError, "reduction", "average"):
        losses.MeanSquaredError("average")


# -- names and configs -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(FORMULAS))
def test_a_loss_is_found_by_all_of_its_names(kind):
    snake = NAMES[kind]
    function = getattr(losses, snake)
    assert losses.get(snake) is losses.get(function) is function
    assert all(losses.get(name) is function for name, of in SHORT.items() if of == kind)
    for identifier in (kind, getattr(losses, kind), {"class_name": kind, "config": {}}):
        found = losses.get(identifier)
        assert type(found) is getattr(losses, kind)
        assert (found.name, found.reduction) == (snake, "sum_over_batch_size")
    made = getattr(losses, kind)("sum", name="mine")
    assert made.get_config() == {"name": "mine", "reduction": "sum"}
    assert type(made).from_config(made.get_config()).get_config() == made.get_config()
    assert losses.get(made) is made


@pytest.mark.parametrize("wrong", ["nope", "", "Mse", "rmse", 3, ["mse"], {"class_name": "nope"}])
def test_an_unknown_name_is_refused(wrong):
    with refused(ValueError, "loss", str(wrong)):
        losses.get(wrong)
