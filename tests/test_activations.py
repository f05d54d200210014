"""Activations against their formulas in float64, finite differences, and their limits."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from helpers import assert_close, assert_same, over, refused
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

import tinynet as tn
from tinynet import activations


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def normal_below(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


FORMULAS: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "sigmoid": logistic,
    "tanh": math.tanh,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "leaky_relu": lambda x: max(x, 0.2 * x),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: x * normal_below(x),
    "silu": lambda x: x * logistic(x),
    "swish": lambda x: x * logistic(x),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "mish": lambda x: x * math.tanh(softplus(x)),
    "exponential": math.exp,
    "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
    "hard_silu": lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0),
    "hard_swish": lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0),
    "log_sigmoid": lambda x: -softplus(-x),
}
every_activation = pytest.mark.parametrize("name", FORMULAS)
NUMBERS = hnp.arrays("float64", hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-9, 9))


@every_activation
@given(NUMBERS)
def test_an_activation_is_its_formula(name, x):
    f = activations.get(name)
    assert_close(f(x), np.vectorize(FORMULAS[name], [float])(x), 1e-14, 1e-15)
    single = np.asarray(f(x.astype("float32")))
    assert single.dtype == "float32"
    assert_close(single, np.vectorize(FORMULAS[name], [float])(x.astype("float32")), 1e-5, 1e-6)


KINKS = np.array([-3.0, 0.0, 3.0, 6.0])


@every_activation
@given(NUMBERS)
def test_its_derivatives_match_finite_differences_away_from_kinks(name, x):
    away = np.where(abs(x[..., None] - KINKS).min(-1) < 0.01, x + 0.02, x)
    tn.check_grads(lambda t: tn.ops.sum(activations.get(name)(t)), (away,), order=2)


@given(hnp.arrays("float64", (2, 3), elements=st.floats(-9, 9)), st.sampled_from([0, 1, (0, 1)]))
def test_log_softmax_is_the_logarithm_of_softmax(x, axis):
    logarithm = activations.log_softmax(x, axis)
    assert_close(np.exp(logarithm), activations.softmax(x, axis), 1e-13, 1e-15)
    weights = np.arange(6.0).reshape(2, 3)
    tn.check_grads(lambda t: (activations.log_softmax(t, axis) * weights).sum(), (x,))


@given(NUMBERS)
def test_the_approximate_gelu_is_within_a_thousandth_of_the_exact_one(x):
    exact, near = activations.gelu(x), activations.gelu(x, approximate=True)
    assert_close(near, exact, atol=1e-3)
    tn.check_grads(lambda t: activations.gelu(t, approximate=True).sum(), (x,))


# Slopes at 0 and at the other kinks, as Keras on JAX has them.
SLOPES = {
    "relu": (relu := activations.relu, [0.0], [0.0]),
    "relu at its most": (lambda x: relu(x, max_value=6.0), [6.0], [0.0]),
    "relu6": (activations.relu6, [0.0, 6.0], [0.0, 0.0]),
    "leaky_relu": (activations.leaky_relu, [-0.0, 0.0], [1.0, 1.0]),
    "elu": (lambda x: activations.elu(x, 0.5), [0.0], [0.5]),
    "softplus": (activations.softplus, [0.0], [0.5]),
    "softsign": (activations.softsign, [0.0], [1.0]),
    "hard_sigmoid": (activations.hard_sigmoid, [-3.0, 3.0], [0.0, 0.0]),
    "gelu": (activations.gelu, [0.0], [0.5]),
}


@over(SLOPES, "case")
def test_slopes_at_kinks_are_those_of_keras(case):
    f, x, expected = case
    assert_close(tn.grad(lambda t: f(t).sum())(np.array(x)), expected, 1e-15, 0)


# The limits: value and slope at -1000 and at 1000.
LIMITS = {
    "sigmoid": ([0, 1], [0, 0]),
    "tanh": ([-1, 1], [0, 0]),
    "leaky_relu": ([-200, 1000], [0.2, 1]),
    "elu": ([-1, 1000], [0, 1]),
    "gelu": ([0, 1000], [0, 1]),
    "silu": ([0, 1000], [0, 1]),
    "softplus": ([0, 1000], [0, 1]),
    "mish": ([0, 1000], [0, 1]),
    "hard_silu": ([0, 1000], [0, 1]),
    "log_sigmoid": ([-1000, 0], [1, 0]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIMITS)
def test_large_inputs_give_the_limits_without_warnings(name, dtype):
    x, f = np.array([-1000, 1000], dtype), activations.get(name)
    values, slopes = (np.array(v, dtype) for v in LIMITS[name])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert_close(f(x), values, 1e-6, 0)
        assert_close(tn.grad(lambda t: f(t).sum())(x), slopes, 1e-6, 0)


@every_activation
def test_the_compiled_activation_equals_the_eager_one_bit_for_bit(name):
    x = np.linspace(-9, 9, 64, dtype="float32")
    f = activations.get(name)
    assert_same(tn.jit(f)(x), f(tn.tensor(x)))
    slope = tn.grad(lambda t: tn.ops.sum(f(t)))
    assert_same(tn.jit(slope)(x), slope(x))


@every_activation
def test_nan_stays_nan(name):
    assert np.isnan(np.asarray(activations.get(name)(np.array([np.nan])))).all()


def test_an_unknown_activation_is_refused():
    for name in ("swisch", "GELU", "", "celu"):
        with refused(ValueError, "activation function", name):
            activations.get(name)
