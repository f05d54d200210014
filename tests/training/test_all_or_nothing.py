"""An exception at any line of a call that changes a model leaves the old state or the new one."""

import os
import signal
from functools import partial

import numpy as np
import pytest
from faults import at_each_line
from helpers import assert_all_same, everything, normal, over

import tinynet as tn
from tinynet.layers import Dense, Dropout, Input, Layer, Normalization
from tinynet.metrics.lookup import resolve
from tinynet.models import Sequential
from tinynet.optimizers import SGD, Adam, Nadam

X, Y = normal(0, 6, 2), normal(1, 6, 1)
ERRORS = {"memory": MemoryError, "Ctrl-C": KeyboardInterrupt}


def network(optimizer=None, value=1.0):
    model = Sequential([Input((2,)), Dense(2, name="hidden"), Dense(1, name="out")])
    model.set_weights([np.full(w.shape, value) for w in model.weights])
    model.compile(optimizer or Adam(0.1), "mse", run_eagerly=True)
    return model


def fitted(**options):
    model = network(**options)
    model.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    return model


class Block(Layer):
    """A layer with weights and layers of its own."""

    def build(self, input_shape):
        self.parts = [Dense(2), Dense(2)]
        self.scale = self.add_weight((2,), "ones", regularizer="l2", trainable=False)
        self.shift = self.add_weight((2,), "zeros", regularizer="l2")

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs * self.scale + self.shift


def compiled_again(model):
    """Return what `compile` chooses, in one structure."""
    return [type(model.optimizer).__name__, model.loss, model.run_eagerly, model._given_metrics]


@over(ERRORS, "error")
def test_an_optimizer_that_could_not_be_built_trains_at_the_next_fit(error):
    expected = everything(fitted())
    for model in at_each_line(network, lambda m: m.optimizer.build(m.trainable_variables), error):
        built = model.optimizer.built
        assert len(model.optimizer._slots) == 4 * built
        assert len(model.optimizer.groups) == built
        model.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
        assert_all_same(everything(model), expected)


@over(ERRORS, "error")
def test_compile_chooses_everything_or_nothing(error):
    new = {"optimizer": "sgd", "loss": "mae", "metrics": ["mse"]}
    states = [["Adam", "mse", True, (None, None)], ["SGD", "mae", False, (["mse"], None)]]
    for model in at_each_line(network, lambda m: m.compile(**new), error):
        assert compiled_again(model) in states


@over(ERRORS, "error")
def test_set_weights_sets_all_weights_or_none(error):
    new = [np.full(w.shape, 2.0) for w in network().weights]
    for model in at_each_line(network, lambda m: m.set_weights(new), error):
        assert len({float(v) for w in model.get_weights() for v in w.flat}) == 1


@over(ERRORS, "error")
@pytest.mark.parametrize("make", [network, fitted])
def test_load_weights_loads_all_or_nothing(error, make, tmp_path):
    path = os.fspath(tmp_path / "saved.weights.npz")
    saved = fitted(value=3.0)
    saved.save_weights(path)
    old = everything(make())
    for model in at_each_line(make, lambda m: m.load_weights(path), error):
        found = everything(model)
        is_old = len(found) == len(old) and all(map(np.array_equal, found, old))
        assert_all_same(found, old if is_old else everything(saved))


@over(ERRORS, "error")
def test_adapt_keeps_the_old_mean_and_variance_or_has_both_new(error):
    def built():
        layer = Normalization()
        layer.adapt(np.zeros((2, 2)))
        return layer

    for make in (Normalization, built):
        for layer in at_each_line(make, lambda m: m.adapt([[1.0, 2.0], [3.0, 8.0]]), error):
            if layer.built:
                found = np.array([layer.mean[0], layer.variance[0]]).tolist()
                assert found in ([[0, 0], [0, 0]], [[0, 0], [1, 1]], [[2, 5], [1, 9]])


@over(ERRORS, "error")
def test_a_layer_that_could_not_be_built_is_built_by_the_next_call(error):
    for layer in at_each_line(Block, lambda block: block.build((None, 2)), error):
        assert layer(X).shape == X.shape
        assert len(layer.weights) == 6
        assert len(layer.losses) == 1  # of the weight that trains


@over(ERRORS, "error")
@over(
    {
        "build": lambda model: model.build((None, 2)),
        "call": lambda model: model(X),
        "add": lambda model: model.add(Dense(1, name="third")),
        "pop": lambda model: model.pop(),
    },
    "call",
)
def test_a_sequential_model_is_whole_after_any_change(call, error):
    make = partial(Sequential, [Dense(2, name="hidden"), Dense(1, name="out")])

    def built():
        return Sequential([Input((2,)), Dense(2, name="hidden"), Dense(1, name="out")])

    for start in (lambda: make(), built):
        for model in at_each_line(start, call, error):
            names = [layer.name for layer in model.layers]
            assert names in (["hidden", "out"], ["hidden", "out", "third"], ["hidden"])
            assert len(model(X)) == len(X)
            assert len(model.weights) == 2 * len(names)
            assert len(model.graph.calls) == len(names)


@over(ERRORS, "error")
def test_averages_replace_all_weights_or_none(error):
    def averaged():
        return fitted(optimizer=SGD(0.5, use_ema=True, ema_momentum=0.5))

    model = averaged()
    old, weights = everything(model), model.trainable_variables
    new = [model.optimizer._slots[w]["average"].numpy() for w in weights]
    for model in at_each_line(averaged, lambda m: m.optimizer.swap_averages(), error):
        found = everything(model)
        is_old = all(map(np.array_equal, found, old))
        assert_all_same(found[: len(new)], old[: len(new)] if is_old else new)


def test_a_refused_adapt_changes_nothing():
    layer = Normalization()
    with pytest.raises(ValueError, match="is built for shapes like"):
        layer.adapt([(np.zeros((2, 3)), 0), (np.zeros((2, 4)), 0)])
    assert not layer.built
    assert not layer.weights
    layer.adapt(np.zeros((2, 4)))


def test_memory_that_is_missing_for_the_slots_does_not_switch_training_off(monkeypatch):
    model = network()
    full = np.full

    def failing(shape, *args):
        raise MemoryError

    monkeypatch.setattr("tinynet.optimizers.groups.np.full", failing)
    with pytest.raises(MemoryError):
        model.fit(X, Y, verbose=0)
    monkeypatch.setattr("tinynet.optimizers.groups.np.full", full)
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])
    assert tn.tensor([1.0]).tolist() == [1.0]


@over(ERRORS, "error")
@over({"Adam": lambda: Adam(0.1), "Nadam": lambda: Nadam(0.1)}, "optimizer")
def test_apply_takes_a_whole_step_or_none(optimizer, error):
    def made():
        weight = tn.Variable([1.0, 2.0])
        of = optimizer()
        of.apply([[1.0, 1.0]], [weight])
        return weight, of

    def step(pair):
        pair[1].apply([[0.5, -1.0]], [pair[0]])

    def numbers(pair):
        return [v.numpy() for v in (pair[0], *pair[1].variables)]

    old, new = made(), made()
    step(new)
    for pair in at_each_line(made, step, error):
        found = numbers(pair)
        is_old = np.array_equal(found[0], old[0].numpy())
        assert_all_same(found, numbers(old if is_old else new))


def test_an_eager_step_of_a_model_is_whole_and_ctrl_c_is_heeded_after_it():
    def made():
        model = Sequential([Input((2,)), Dropout(0.5, seed=1), Dense(1, kernel_initializer="ones")])
        model.compile(Adam(0.1), "mse", run_eagerly=True)
        model.train_on_batch(X, Y)
        return model

    def numbers(model):
        return [*everything(model), model.layers[0].seed_generator.state.numpy()]

    old, new = made(), made()
    new.train_on_batch(X, Y)
    for model in at_each_line(made, lambda m: m.train_on_batch(X, Y), KeyboardInterrupt):
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        done = int(model.optimizer.iterations) == 2
        assert_all_same(numbers(model), numbers(new if done else old))


@over(ERRORS, "error")
def test_a_prediction_follows_weights_that_were_half_moved(error):
    def made():
        model = network()
        model.run_eagerly = False
        for optimizer in (model.optimizer, SGD(0.1)):  # the other one has moved the weights last
            optimizer.build(model.trainable_variables)
        model.predict(X, verbose=0)  # which binds a program to the arrays of the weights
        return model

    for model in at_each_line(made, lambda m: m.optimizer.read(), error):
        model.set_weights([np.full(w.shape, 3.0) for w in model.weights])
        assert_all_same([model.predict(X, verbose=0)], [model(X).numpy()])


@over(ERRORS, "error")
def test_gradients_flow_to_a_variable_whose_first_read_was_stopped(error):
    for variable in at_each_line(lambda: tn.Variable([1.0]), lambda v: v.value, error):
        (variable * 2.0).sum().backward()
        assert variable.grad.tolist() == [2.0]


@over(ERRORS, "error")
def test_a_metric_that_could_not_be_built_has_the_usual_variables(error):
    for metric in at_each_line(tn.metrics.R2Score, lambda m: resolve(m, (6, 2), (6, 2)), error):
        resolve(metric, (6, 2), (6, 2))
        assert len(metric.variables) == 5


@over({"eager": {"run_eagerly": True}, "NumPy": {"jit_compile": False}}, "road")
def test_an_overflow_that_raises_in_an_update_leaves_the_weights_and_slots(road):
    model = Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
    model.compile(Adam(0.1), "mse", **road)
    x = np.ones((2, 1))
    model.train_on_batch(x, x + 1)
    arrays = [v.array for v in (*model.weights, *model.optimizer.variables)]
    before = [array.copy() for array in arrays]
    large = 1e15 * x  # the gradient is about -2e30, so its square overflows after the momentum
    with np.errstate(over="raise"), pytest.raises((FloatingPointError, ValueError)):
        model.fit(large, large + 1e15, verbose=0)
    assert_all_same(arrays, before)
    assert np.isfinite(model.train_on_batch(x, x + 1))
