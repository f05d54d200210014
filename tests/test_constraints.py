"""Constraints: what they make of weights, and that every update ends with them."""

import copy

import numpy as np
import pytest
from helpers import assert_close, assert_same, normal, over, refused
from hypothesis import given, settings, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import constraints
from tinynet.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm

EPSILON = 1e-7


def norms(w: np.ndarray, axis: int) -> np.ndarray:
    return np.sqrt((w * w).sum(axis, keepdims=True))


def scaled(w: np.ndarray, wanted: np.ndarray, axis: int) -> np.ndarray:
    return w * (wanted / (EPSILON + norms(w, axis)))


FORMULAS = {
    "NonNeg": (NonNeg(), lambda w: np.maximum(w, 0)),
    "UnitNorm": (UnitNorm(axis=1), lambda w: scaled(w, np.ones(1), 1)),
    "MaxNorm": (MaxNorm(1.5), lambda w: scaled(w, np.minimum(norms(w, 0), 1.5), 0)),
    "MinMaxNorm": (
        MinMaxNorm(1.0, 2.0, rate=0.25),
        lambda w: scaled(w, 0.25 * np.clip(norms(w, 0), 1, 2) + 0.75 * norms(w, 0), 0),
    ),
}


@over(FORMULAS, "case")
@given(seed=SEEDS)
def test_a_constraint_computes_its_formula_and_is_rebuilt_from_its_config(case, seed):
    constraint, formula = case
    w = normal(seed, 3, 4, dtype="float64")
    assert_close(constraint(w), formula(w), 1e-12)
    again = constraints.get(constraints.serialize(constraint))
    assert_same(again(w), constraint(w))


@pytest.mark.parametrize("native", [None, False, True], ids=["eager", "NumPy", "C"])
@settings(max_examples=3)
@given(seed=SEEDS, limit=st.sampled_from([0.1, 0.5]))
def test_weights_satisfy_their_constraints_after_each_step_on_every_road(native, seed, limit):
    kernel, bias = MaxNorm(limit), NonNeg()
    hidden = tn.layers.Dense(4, "tanh", kernel_constraint=kernel, bias_constraint=bias)
    model = tn.Sequential([tn.Input((3,)), hidden, tn.layers.Dense(1)])
    eager = native is None
    model.compile("adam", "mse", run_eagerly=eager, jit_compile=bool(native))
    model.fit(normal(seed, 20, 3), normal(seed + 1, 20, 1), epochs=1, verbose=0)
    w, b, *_ = model.get_weights()
    assert norms(w, 0).max() <= limit * (1 + 1e-5)
    assert b.min() >= 0


def test_a_constraint_belongs_to_the_variable_in_loops_of_ones_own_and_in_copies():
    layer = tn.layers.Layer()
    weight = layer.add_weight((2,), "ones", constraint="non_neg", name="w")
    sgd = tn.optimizers.SGD(1.0)
    sgd.apply([[3.0, 0.5]], [weight])
    assert_same(weight.numpy(), np.float32([0.0, 0.5]))
    (after,), _ = sgd.stateless_apply(sgd.variables, [[0.0, 3.0]], [weight.numpy()])
    assert_same(after, np.float32([0.0, 0.0]))
    assert isinstance(copy.deepcopy(weight).constraint, NonNeg)


def test_another_option_of_a_constraint_holds_from_the_next_fit():
    constraint = MaxNorm(1.0)
    layer = tn.layers.Dense(1, kernel_constraint=constraint, kernel_initializer="ones")
    model = tn.Sequential([tn.Input((4,)), layer])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 4), "float32"), np.full((4, 1), 9.0, "float32")
    for limit in (1.0, 0.25):
        constraint.max_value = limit
        model.fit(x, y, verbose=0)
        assert_close(norms(layer.kernel.numpy(), 0), [[limit]], 1e-5)


def test_unknown_constraints_are_refused_by_name():
    with refused(ValueError, "constraint", "nonneg", "non_neg"):
        tn.layers.Dense(1, kernel_constraint="nonneg")
    with refused(ValueError, "constraint"):
        tn.layers.Layer().add_weight((2,), constraint="nonneg")
