"""Regularizers and losses that layers add: training minimizes the sum, eager and compiled."""

import copy
import gc
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, everything, normal, refused
from hypothesis import given, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import ops, regularizers
from tinynet.layers import Dense, Input, Layer
from tinynet.layers.symbolic import context

PENALTIES = {
    "l1": (regularizers.L1, {"l1": 0.25}, lambda w: 0.25 * abs(w).sum()),
    "l2": (regularizers.L2, {"l2": 0.5}, lambda w: 0.5 * (w * w).sum()),
    "l1_l2": (
        regularizers.L1L2,
        {"l1": 0.25, "l2": 0.5},
        lambda w: 0.25 * abs(w).sum() + 0.5 * (w * w).sum(),
    ),
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)


@every_penalty
@given(st.sampled_from([(), (3,), (2, 3)]), st.sampled_from(["float32", "float64"]), SEEDS)
def test_a_penalty_and_its_gradient_follow_the_formula(name, shape, dtype, seed):
    kind, options, formula = PENALTIES[name]
    w = normal(seed, *shape, dtype=dtype)
    found = kind(**options)(w)
    assert found.dtype == dtype
    assert_close(found, formula(w.astype(float)), 1e-6)
    away = np.where(abs(w) < 0.01, 0.5, w).astype(float)
    tn.check_grads(kind(**options), (away,))


@every_penalty
def test_a_regularizer_is_found_by_its_names_and_rebuilt_from_its_config(name):
    kind, options, _ = PENALTIES[name]
    for identifier in (name, kind.__name__, kind, getattr(regularizers, name)):
        assert type(regularizers.get(identifier)) is kind
    made = kind(**options)
    assert made.get_config() == options
    assert regularizers.get(regularizers.serialize(made)).get_config() == options
    assert regularizers.get(made) is made
    for wrong in (-0.1, np.nan, np.inf, "much"):
        with refused(ValueError, next(iter(options)), str(wrong)):
            kind(**{next(iter(options)): wrong})


def test_none_is_no_regularizer_and_an_unknown_name_is_refused():
    assert regularizers.get(None) is regularizers.serialize(None) is None
    assert regularizers.L1L2()(np.ones(3)).item() == 0
    assert (regularizers.L1().l1, regularizers.L2().l2) == (np.float32(0.01), 0.01)
    for wrong in ("l3", 3):
        with refused(ValueError, "regularizer", str(wrong)):
            regularizers.get(wrong)


# -- in training -----------------------------------------------------------------------------------

X, Y = normal(0, 10, 3), normal(1, 10, 2)
both_roads = pytest.mark.parametrize("eager", [True, False], ids=["eager", "compiled"])


def network(eager: bool, **options: Any) -> tn.Model:
    tn.utils.set_random_seed(1)
    layer = Dense(2, dtype="float64", **options)
    model = tn.Sequential([Input((3,), dtype="float64"), layer])
    model.compile(tn.optimizers.SGD(0.1), "mse", run_eagerly=eager)
    return model


@both_roads
@given(st.sampled_from(["kernel", "bias", "activity"]), st.sampled_from(sorted(PENALTIES)))
def test_a_step_descends_the_sum_of_loss_and_penalty(eager, what, name):
    kind, options, formula = PENALTIES[name]
    model = network(eager, **{f"{what}_regularizer": kind(**options)})
    model.set_weights([normal(3, 3, 2), normal(4, 2)])
    w, b = model.get_weights()
    out = X @ w + b
    loss, slope = ((out - Y) ** 2).mean(), 2 * (out - Y) / out.size
    before = {"kernel": w, "bias": b, "activity": out}[what]
    share = len(X) if what == "activity" else 1
    penalty, step = formula(before) / share, 1e-7
    assert_close(model.evaluate(X, Y, verbose=0), loss + penalty, 1e-6)
    assert_close(model.train_on_batch(X, Y), loss + penalty, 1e-6)
    slopes = np.zeros_like(before)
    for i in np.ndindex(before.shape):
        moved = before.copy()
        moved[i] += step
        slopes[i] = (formula(moved) / share - penalty) / step
    if what == "activity":
        slope = slope + slopes
    in_w, in_b = X.T @ slope, slope.sum(0)
    found = model.get_weights()
    assert_close(found[0], w - 0.1 * (in_w + (slopes if what == "kernel" else 0)), 1e-5, 1e-6)
    assert_close(found[1], b - 0.1 * (in_b + (slopes if what == "bias" else 0)), 1e-5, 1e-6)


@both_roads
def test_activity_penalties_are_divided_by_each_batchs_own_size(eager):
    model = network(eager, activity_regularizer=lambda y: ops.sum(abs(y)))
    model.optimizer.learning_rate = 0.0
    out = np.asarray(model(X))
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    values = [((out[p] - Y[p]) ** 2).mean() + abs(out[p]).sum() / len(out[p]) for p in parts]
    history = model.fit(X, Y, batch_size=4, shuffle=False, verbose=0)
    assert_close(history.history["loss"][0], np.average(values, weights=[4, 4, 2]), 1e-6)


@both_roads
def test_a_frozen_weight_has_no_penalty(eager):
    model = network(eager, kernel_regularizer="l2", bias_regularizer="l2")
    model.layers[0].trainable = False
    assert model.losses == []
    model.layers[0].trainable = True
    assert len(model.losses) == 2


class Watched(Layer):
    """Adds the scaled mean of its inputs to the loss, and counts its calls."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.calls = factor, 0

    def call(self, inputs: Any) -> Any:
        self.calls += 1
        self.add_loss(self.factor * ops.mean(inputs))
        return inputs


@both_roads
def test_added_losses_are_those_of_the_last_call(eager):
    inner = Watched(1.0)
    model = tn.Sequential([Input((3,)), inner, tn.Sequential([Watched(2.0), Watched(4.0)])])
    model.compile("sgd", "mse", run_eagerly=eager)
    x = abs(normal(5, 4, 3)) + 1
    expected = 7 * x.mean()
    assert model.losses == []  # building is not a call
    for _ in range(3):
        model(x)
        assert_close(sum(map(float, model.losses)), expected, 1e-6)
        assert_close(model.evaluate(x, x, verbose=0), expected, 1e-6)
        assert_close(model.test_on_batch(x[:2], x[:2]), 7 * x[:2].mean(), 1e-6)
        model.predict(x, verbose=0)
    model(x)
    inner(2 * x)
    assert_close([float(v) for v in inner.losses], [2 * x.mean()], 1e-6)
    assert_close(sum(map(float, model.losses)), 2 * x.mean() + 6 * x.mean(), 1e-6)
    other = tn.Sequential([Watched(1.0)])
    other(x)
    assert len(model.losses) == 3  # the other model keeps its own losses


def test_a_layer_called_twice_adds_its_loss_twice():
    layer, x = Watched(1.0), tn.Input((2,))
    model = tn.Model(x, layer(layer(x)))
    model(np.ones((1, 2)))
    assert [float(v) for v in model.losses] == [1, 1]


def test_added_losses_are_differentiable_like_outputs():
    model = tn.Sequential([Input((3,)), Dense(2, kernel_regularizer="l2"), Watched(3.0)])
    total = model(X).sum() * 0.0
    for term in model.losses:
        total = total + term
    total.backward()
    kernel, bias = model.trainable_weights
    assert_close(kernel.grad, 0.02 * np.array(kernel) + 3 * X.mean(0)[:, None] / 2, 1e-5)
    assert_close(bias.grad, [1.5, 1.5], 1e-6)


def test_a_compiled_step_keeps_no_losses_and_no_layers_alive():
    model = tn.Sequential([Input((3,)), Watched(1.0), Dense(2, activity_regularizer="l1")])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    model(X)
    known = [float(x) for x in model.losses]
    model.train_on_batch(X[:3], Y[:3])  # is compiled again for fewer rows
    assert [float(x) for x in model.losses] == known
    gc.collect()
    size = len(context.losses)
    del model
    gc.collect()
    assert len(context.losses) == size - 2


@given(st.sampled_from(sorted(PENALTIES)), SEEDS)
def test_a_copy_has_the_regularizers_of_its_original(name, seed):
    def made() -> tn.Model:
        return network(False, kernel_regularizer=name, activity_regularizer=name)

    model, other = made(), made()
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other = made()
        for each in (copied, other):
            each.fit(X, Y, epochs=2, verbose=0, shuffle=False)
        assert_all_same(everything(copied), everything(other))


def test_eager_and_compiled_penalties_are_equal_bit_for_bit():
    found = []
    for eager in (True, False):
        model = network(
            eager, kernel_regularizer="l1_l2", bias_regularizer="l1", activity_regularizer="l2"
        )
        history = model.fit(X, Y, batch_size=4, epochs=3, verbose=0, shuffle=False)
        found.append((history.history["loss"], *model.get_weights()))
    for one, other in zip(*found, strict=True):
        assert_same(one, other)


def test_weights_of_users_layers_are_regularized():
    layer = Layer()
    layer.add_weight((2,), "ones", regularizer="l2", name="w")
    layer.add_weight((2,), "ones", name="unregularized")
    assert [float(v) for v in layer.losses] == [np.float32(0.02)]
