"""Whole trainings whose steps run as C equal eager ones within ulps, whatever they consist of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_same, everything, normal, over
from hypothesis import Phase, given, settings
from native import LACKING, NATIVE, all_in_c, assert_near, lacked, missing
from programs import poisoned_buffers, recorded
from strategies import as_function, typical
from training import METRICS, Output, Training, trainings

import tinynet as tn
from tinynet.compiler import toolchain
from tinynet.engine.bind import PRIMITIVES
from tinynet.layers import Dense, Input

UNITS = 64.0  # in the last place of the largest number of an array, after some steps
FEW = max(1, settings.default.max_examples // 2)
# Without shrinking, for which hundreds of programs would be compiled.
drawn = settings(max_examples=FEW, phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True, scope="module")
def poisoned() -> Iterator[None]:
    with poisoned_buffers(), all_in_c():
        yield


@contextmanager
def floatx(name: str) -> Iterator[None]:
    before = tn.backend.floatx()
    tn.utils.set_floatx(name)
    try:
        yield
    finally:
        tn.utils.set_floatx(before)


# -- C and eager ------------------------------------------------------------------------------


def trained(training: Training, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Return a model, and the numbers that two epochs, an evaluation and a prediction give."""
    model = training.model(**options)
    x, y, weights = training.data()
    given = {"sample_weight": weights, "verbose": 0, "batch_size": training.batch_size}
    history = model.fit(x, y, epochs=2, **given).history
    tested = model.evaluate(x, y, **given, return_dict=True)
    predicted = model.predict(x, batch_size=training.batch_size, verbose=0)
    parts = predicted if isinstance(predicted, list) else [predicted]
    numbers = {**{f"fit {k}": v for k, v in history.items()}, **tested}
    arrays = dict(enumerate([*parts, *everything(model)]))
    return model, {**{key: np.array(v) for key, v in numbers.items()}, **arrays}


def assert_all_near(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert list(found) == list(expected)
    for key, value in expected.items():
        # Losses and metrics are means of float32 or float64 in Python's floats.
        wide = isinstance(key, str)
        dtype = tn.backend.floatx() if wide else value.dtype
        assert_near(found[key].astype(dtype), value.astype(dtype), UNITS)


@drawn
@given(trainings())
def test_drawn_trainings_in_c_equal_eager_ones(training):
    with floatx(training.floatx), np.errstate(all="ignore"), all_in_c("-O2"):
        with lacked() as lacks:
            model, found = trained(training, jit_compile=NATIVE)
        assert lacks <= {*LACKING}
        assert model.train_function.native == (NATIVE and not lacks)
        assert_all_near(found, trained(training, run_eagerly=True)[1])


@drawn
@given(trainings())
def test_a_fit_in_c_is_the_same_steps_one_by_one_to_the_bit(training):
    with floatx(training.floatx), np.errstate(all="ignore"), lacked():
        fitted, single = (training.model(jit_compile=NATIVE) for _ in range(2))
        x, y, weights = training.data()
        n = training.batch_size
        given = {"batch_size": n, "verbose": 0, "shuffle": False}
        fitted.fit(x, y, epochs=5, sample_weight=weights, **given)
        for _ in range(5):
            for start in range(0, training.rows, n):
                rows = slice(start, start + n)
                parts = tn.tree.map_structure(lambda a, rows=rows: a[rows], [x, y])
                single.train_on_batch(*parts, weights if weights is None else weights[rows])
        single.optimizer.finalize_variable_values(single.trainable_weights)  # as `fit` does
        assert_all_same(everything(fitted)[: len(fitted.weights)], single.get_weights())
        slots = [np.array(v) for v in single.optimizer.variables]
        assert_all_same(everything(fitted)[len(fitted.weights) :], slots)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_is_computed_in_c_or_listed_as_lacking(name):
    loss = "SparseCategoricalCrossentropy" if "Sparse" in name else "MeanSquaredError"
    options = ([Output(loss, [name], True)], ("SGD", {"learning_rate": 0.01}), 8, 4, True)
    training = Training(1, [("Dense", {})], *options, "float32")
    with lacked() as lacks:
        model, found = trained(training, jit_compile=NATIVE)
    assert lacks <= {*LACKING}
    assert model.train_function.native == (NATIVE and not lacks)
    assert_all_near(found, trained(training, run_eagerly=True)[1])


def test_what_is_listed_as_lacking_has_no_text_in_c():
    for name in LACKING:
        primitive = PRIMITIVES[name]
        case = primitive.cases[0]
        arrays = [np.asarray(x, "float32") for x in typical(case)]
        assert f"'{name}'" in str(missing(recorded(as_function(primitive, case), arrays)))


@pytest.mark.skipif(not NATIVE, reason="no C compiler")
def test_a_text_that_compiles_with_a_warning_fails_the_tests_on_the_road_to_c(monkeypatch):
    monkeypatch.setattr(toolchain, "_warned", set())
    with pytest.warns(RuntimeWarning, match="unused"):
        assert toolchain.load("void f(void) { int unused; }") is None
    assert toolchain.load("void f(void) { }") is not None


# -- what a layer assigns -----------------------------------------------------------------------

MIXES = np.array([[0.5, 0.25, 0.0], [0.0, 0.5, 0.25], [0.25, 0.0, 0.5]], "float32")
# Functions of a 3 x 3 array, each with another kernel that writes the result where a weight lives.
WRITTEN: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda w: w * 0.5 + 1.0,
    "reduction": lambda w: w * 0.0 + tn.ops.sum(w, 0),
    "cumsum": lambda w: tn.ops.cumsum(w, 1),
    "product": lambda w: tn.ops.matmul(w, MIXES),
    "concatenate": lambda w: tn.ops.concatenate([w[1:], w[:1]]),
    "transpose": lambda w: tn.ops.transpose(w) + 0.0,
    "flip": lambda w: tn.ops.flip(w, 0),
}


class Assigning(tn.layers.Layer):
    """Assigns a function of its state in each step."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def build(self, input_shape: Any) -> None:
        self.state = self.add_weight((3, 3), "ones", trainable=False, name="state")

    def call(self, inputs: Any) -> Any:
        self.state.assign(self.function(self.state + MIXES))
        return inputs + tn.ops.sum(self.state)


@pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
@pytest.mark.parametrize("name", WRITTEN)
def test_every_kernel_may_write_where_a_weight_lives(name):
    found = []
    for options in ({"jit_compile": True}, {"run_eagerly": True}):
        tn.utils.set_random_seed(0)
        model = tn.Sequential([Input((3,)), Dense(3), Assigning(WRITTEN[name])])
        model.compile(tn.optimizers.SGD(0.001), "mse", **options)
        model.fit(normal(5, 6, 3), normal(6, 6, 3), batch_size=2, shuffle=False, verbose=0)
        found.append(model)
    assert found[0].train_function.native
    for one, other in zip(everything(found[0]), everything(found[1]), strict=True):
        assert_near(one, other, UNITS)


# -- what may change between steps --------------------------------------------------------------


class Moving(tn.layers.Layer):
    """Subtracts a mean that it learns while training."""

    def build(self, input_shape: Any) -> None:
        self.mean = self.add_weight(input_shape[-1:], "zeros", trainable=False, name="mean")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.mean.assign_add(0.5 * (tn.ops.mean(inputs, axis=0) - self.mean))
        return inputs - self.mean


def network(rate: Any = 0.05, **options: Any) -> Any:
    tn.utils.clear_session()
    tn.utils.set_random_seed(7)
    regularized = {"kernel_regularizer": tn.regularizers.L2(0.1)}
    hidden = [Dense(4, "tanh", **regularized), Moving(), Dense(2)]
    model = tn.Sequential([Input((3,)), *hidden])
    adam = tn.optimizers.Adam(rate, clipnorm=0.5, weight_decay=0.01, epsilon=1e-3)
    model.compile(adam, tn.losses.Huber(), metrics=["mae"], **options)
    return model


def setting(thing: Callable[[Any], Any], name: str, value: Any) -> Callable[[Any], None]:
    return lambda model: setattr(thing(model), name, value)


def train_another_with_its_layers(model: Any) -> None:
    other = tn.Sequential([Input((3,)), *model.layers])
    other.compile("sgd", "mse", jit_compile=model.jit_compile, run_eagerly=model.run_eagerly)
    other.fit(normal(5, 4, 3), normal(6, 4, 2), shuffle=False, verbose=0)


def keep_a_weight(model: Any) -> None:
    weight = model.layers[0].kernel
    model.kept = [(weight.value, weight.numpy().copy()), (model.predict(X, verbose=0), None)]
    model.kept[1] = (model.kept[1][0], model.kept[1][0].copy())


X, Y = normal(0, 10, 3), normal(1, 10, 2)
ANYTIME: dict[str, Callable[[Any], Any]] = {
    "a learning rate": setting(lambda m: m.optimizer, "learning_rate", 0.01),
    "a moment's rate": setting(lambda m: m.optimizer, "beta_1", 0.5),
    "a norm": setting(lambda m: m.optimizer, "clipnorm", 0.01),
    "all weights": lambda m: m.set_weights([0.5 * w for w in m.get_weights()]),
    "one weight": lambda m: m.layers[0].kernel.assign(m.layers[0].kernel * 0.5),
    "what a layer remembers": lambda m: m.layers[1].mean.assign([1.0, 2.0, 3.0, 4.0]),
    "an optimizer's slot": lambda m: m.optimizer.variables[3].assign(np.full((3, 4), 0.01)),
    "the place of the weights": train_another_with_its_layers,
    "a prediction in between": lambda m: m.predict(X[:3], verbose=0),
    "weights handed out": keep_a_weight,
    "the loss": setting(lambda m: m.loss, "delta", 0.1),
    "an activation": setting(lambda m: m.layers[0], "activation", tn.activations.relu),
    "a regularizer": setting(lambda m: m.layers[0].kernel_regularizer, "l2", 0.5),
    "the order of evaluation": lambda m: m.evaluate(X, Y, verbose=0),
}


class At(tn.callbacks.Callback):
    """Do something when an epoch or a batch begins."""

    def __init__(self, action: Callable[[Any], Any], epoch: int = -1, batch: int = -1) -> None:
        self.action, self.epoch, self.batch = action, epoch, batch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            self.action(self.model)


class AtBatch(At):
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch == self.batch:
            self.action(self.model)


WHEN: dict[str, Callable[[Any], list[Any]]] = {
    "between fits": lambda action: [],
    "at an epoch": lambda action: [At(action, epoch=3)],
    "at a batch": lambda action: [AtBatch(action, batch=1)],
}


def arrays_after(action: Callable[[Any], Any], callbacks: Any, **options: Any) -> dict[str, Any]:
    model = network(**options)
    given = {"batch_size": 3, "shuffle": False, "verbose": 0}
    histories = [model.fit(X, Y, epochs=6, callbacks=callbacks(action), **given).history]
    if not callbacks(action):
        action(model)
    histories.append(model.fit(X, Y, epochs=6, **given).history)
    for value, copied in getattr(model, "kept", []):
        assert_same(np.array(value), copied)
    if options.get("jit_compile"):
        assert model.train_function.native
    found = {f"{k} {i}": np.array(v) for i, h in enumerate(histories) for k, v in h.items()}
    return found | {str(i): a for i, a in enumerate([*everything(model), model.predict(X, 4, 0)])}


@over(WHEN, "callbacks")
@over(ANYTIME, "action")
def test_what_changes_between_steps_is_seen_by_the_next_step_in_c(action, callbacks):
    found = arrays_after(action, callbacks, jit_compile=NATIVE)
    assert_all_near(found, arrays_after(action, callbacks, run_eagerly=True))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_samples_that_a_callback_changes_are_seen_by_the_next_epoch_in_c(order, shuffle):
    found = []
    for options in ({"jit_compile": NATIVE}, {"run_eagerly": True}):
        x, y = X.copy(order), Y.copy()

        def change(model: Any, x: Any = x, y: Any = y) -> None:
            x[...], y[...] = x[::-1] + 1.0, 0.5

        model = network(**options)
        given = {"batch_size": 5, "shuffle": shuffle, "verbose": 0}
        model.fit(x, y, epochs=6, callbacks=[At(change, epoch=3)], **given)
        found.append({str(i): a for i, a in enumerate(everything(model))})
    assert_all_near(*found)


def test_a_learning_rate_that_is_a_function_is_asked_at_each_step_in_c():
    found = []
    for options in ({"jit_compile": NATIVE}, {"run_eagerly": True}):
        rates = iter(np.linspace(0.1, 0.01, 40))
        model = network(lambda rates=rates: next(rates), **options)
        model.fit(X, Y, batch_size=3, epochs=6, shuffle=False, verbose=0)
        found.append({str(i): a for i, a in enumerate([*everything(model), np.array([*rates])])})
    assert_all_near(*found)


def test_a_callback_that_raises_leaves_a_whole_state_in_c():
    def fail(model: Any) -> None:
        raise ZeroDivisionError

    models = [network(jit_compile=NATIVE), network(run_eagerly=True)]
    for model in models:
        with pytest.raises(ZeroDivisionError):
            model.fit(X, Y, 3, 6, 0, shuffle=False, callbacks=[AtBatch(fail, epoch=2, batch=2)])
        model.fit(X, Y, batch_size=3, epochs=2, shuffle=False, verbose=0)
    found = [{str(i): a for i, a in enumerate(everything(model))} for model in models]
    assert_all_near(*found)
