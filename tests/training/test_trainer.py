"""Training: what fit, evaluate and predict do, step by step, against NumPy and plain loops."""

import pickle
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, everything, normal, over, refused
from hypothesis import HealthCheck, example, given, settings, strategies as st
from strategies import LAYOUTS, SEEDS

import tinynet as tn
from tinynet import ops
from tinynet.callbacks import Callback
from tinynet.compiler.executable import Executable
from tinynet.layers import Dense, Input, Layer

ROWS, WIDTH = 10, 3
X, Y = normal(0, ROWS, WIDTH), normal(1, ROWS, 1)


def network(seed: int = 0, optimizer: Any = None, **options: Any) -> tn.Model:
    """Return a compiled network of two layers whose weights the seed decides, in float64."""
    layers = [Dense(4, "tanh", dtype="float64"), Dense(1, dtype="float64")]
    model = tn.Sequential([Input((WIDTH,)), *layers])
    model.set_weights([normal(seed + i, *w.shape) for i, w in enumerate(model.weights)])
    model.compile(optimizer or tn.optimizers.Adam(0.05), **{"loss": "mse", **options})
    return model


def outputs(model: tn.Model, x: np.ndarray) -> np.ndarray:
    """Return the outputs of `network`, computed by NumPy."""
    w, b, v, c = model.get_weights()
    return np.tanh(x @ w + b) @ v + c


def generators() -> bytes:
    """Return the states of Python's and NumPy's global generators."""
    return pickle.dumps((random.getstate(), np.random.get_state()))


# -- what is made once ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["predict_on_batch", "predict"])
def test_a_prediction_of_a_known_shape_makes_nothing_anew(name, monkeypatch):
    model, options = network(), {} if name == "predict_on_batch" else {"verbose": 0}
    predict = getattr(model, name)
    first = predict(X, **options)

    def refused(*_, **__):
        raise AssertionError("This is made once, with the step.")

    monkeypatch.setattr(Executable, "runner", refused)
    assert_same(predict(X, **options), first)


# -- the whole of fit, written out in NumPy -------------------------------------------------------


class Line:
    """Linear regression by gradient descent on the mean squared error."""

    def __init__(self, w: np.ndarray, b: np.ndarray, rate: float) -> None:
        self.w, self.b, self.rate = w, b, rate

    def errors(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x @ self.w + self.b - y

    def loss(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        return float(((self.errors(x, y) ** 2).mean(1) * weight).sum() / len(x))

    def step(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        """Take a step; return the loss before it."""
        loss, g = self.loss(x, y, weight), 2 * self.errors(x, y) * weight[:, None] / y.size
        self.w, self.b = self.w - self.rate * x.T @ g, self.b - self.rate * g.sum(0)
        return loss


def batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[i : i + size] for i in range(0, len(order), size)]


def drawn_orders(rng: Any, shuffle: Any, n: int, size: int, epochs: int) -> Iterator[list[Any]]:
    """Yield the rows of each batch of each epoch, as `fit` draws them from the generator."""
    rows = np.arange(n)
    if shuffle:  # one order is thrown away
        rng.permutation(n if shuffle is True else min(size, n))
    for _ in range(epochs):
        if shuffle == "batch":
            yield [rng.permutation(len(part)) + part[0] for part in batches(rows, size)]
        else:
            yield batches(rng.permutation(n) if shuffle else rows, size)


# As many samples as weights: the place of the one has been taken for the other.
FOUR = {"n": 4, "units": 1, "size": 4, "epochs": 1, "shuffle": True, "weighted": True}


@settings(max_examples=2 * settings.default.max_examples)
@example(**FOUR, eager=False, seed=0)
@given(
    n=st.integers(1, 12),
    units=st.integers(1, 3),
    size=st.integers(1, 6),
    epochs=st.integers(0, 3),
    shuffle=st.sampled_from([True, False, "batch"]),
    weighted=st.booleans(),
    eager=st.booleans(),
    seed=SEEDS,
)
def test_fit_descends_the_gradient_batch_by_batch_as_written_out(
    n, units, size, epochs, shuffle, weighted, eager, seed
):
    x, y = normal(seed, n, WIDTH), normal(seed + 1, n, units)
    weight = abs(normal(seed + 2, n)) if weighted else np.ones(n)
    model = tn.Sequential([Input((WIDTH,)), Dense(units, dtype="float64")])
    start = normal(seed + 3, WIDTH, units), normal(seed + 4, units)
    model.set_weights(start)
    model.compile(tn.optimizers.SGD(0.125), "mse", run_eagerly=eager)
    line = Line(*(w.astype("float64") for w in start), 0.125)
    expected = []
    rng = np.random.RandomState(seed)
    for rows in drawn_orders(rng, shuffle, n, size, epochs):
        losses = [line.step(x[r], y[r], weight[r]) * len(r) for r in rows]
        expected.append(sum(losses) / n)
    np.random.seed(seed)
    given_weight = weight if weighted else None
    options = {"sample_weight": given_weight, "batch_size": size, "verbose": 0}
    history = model.fit(x, y, epochs=epochs, shuffle=shuffle, **options)
    assert np.random.random() == rng.random()
    assert_close(history.history.get("loss", []), np.array(expected), 1e-6)
    for found, value in zip(model.get_weights(), [line.w, line.b], strict=True):
        assert_close(found, value, 1e-6, 1e-6)
    assert int(model.optimizer.iterations) == epochs * -(-n // size)
    assert_close(model.evaluate(x, y, **options), line.loss(x, y, weight), 1e-6)
    assert_close(model.predict(x, size, verbose=0), line.errors(x, 0 * y), 1e-6, 1e-6)


@settings(max_examples=settings.default.max_examples // 2)
@given(SEEDS, st.integers(1, 6), st.booleans())
def test_a_plain_loop_of_backward_and_apply_is_what_fit_does_bit_for_bit(seed, size, weighted):
    x, y, weight = normal(seed, ROWS, WIDTH), normal(seed + 1, ROWS, 1), abs(normal(seed + 2, ROWS))
    weight = weight if weighted else None
    fitted, looped = (network(seed, run_eagerly=True) for _ in range(2))
    fitted.fit(x, y, size, epochs=2, shuffle=False, verbose=0, sample_weight=weight)
    loss = tn.losses.MeanSquaredError()
    for _ in range(2):
        for i in range(0, ROWS, size):
            part = None if weight is None else weight[i : i + size]
            loss(y[i : i + size], looped(x[i : i + size]), part).backward()
            variables = looped.trainable_variables
            looped.optimizer.apply([v.grad for v in variables], variables)
    assert_all_same(everything(looped), everything(fitted))


# -- losses, weights and batches ------------------------------------------------------------------


def gradients(model: tn.Model, x: Any, y: Any, weight: Any = None) -> list[np.ndarray]:
    """Return the gradients of the model's loss in its weights."""
    for w in model.weights:
        w.zero_grad()
    model.compute_loss(x, y, model(x), weight).backward()
    return [w.grad for w in model.weights]


PARTS = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@given(PARTS, SEEDS)
def test_the_gradient_of_a_sum_over_samples_adds_up_over_any_batches(sizes, seed):
    model = network(seed, loss=tn.losses.MeanSquaredError("sum"))
    n = sum(sizes)
    x, y = normal(seed, n, WIDTH), normal(seed + 1, n, 1)
    whole = gradients(model, x, y)
    for w in model.weights:
        w.zero_grad()
    for part in np.split(np.arange(n), np.cumsum(sizes)[:-1]):
        model.compute_loss(x[part], y[part], model(x[part])).backward()  # which adds to `grad`
    for w, expected in zip(model.weights, whole, strict=True):
        assert_close(w.grad, expected, 1e-10, 1e-10)


@given(st.lists(st.booleans(), min_size=1, max_size=8).filter(any), SEEDS)
def test_samples_of_weight_zero_might_as_well_be_left_out_of_a_sum(kept, seed):
    n, chosen = len(kept), np.array(kept)
    x, y = normal(seed, n, WIDTH), normal(seed + 1, n, 1)
    one, other = (network(seed, loss=tn.losses.MeanAbsoluteError("sum")) for _ in range(2))
    found = one.train_on_batch(x, y, sample_weight=chosen.astype("float32"))
    expected = other.train_on_batch(x[chosen], y[chosen])
    assert_close(found, expected)
    for a, b in zip(everything(one), everything(other), strict=True):
        assert_close(a, b, 1e-9, 1e-9)


@given(SEEDS, st.floats(0, 4, width=16))
def test_gradients_are_linear_in_the_sample_weights(seed, c):
    model = network(seed)
    u, v = (abs(normal(seed + i, ROWS, dtype="float64")) for i in (5, 6))
    of_u, of_v, of_both = (gradients(model, X, Y, w) for w in (u, v, u + c * v))
    for a, b, both in zip(of_u, of_v, of_both, strict=True):
        assert_close(both, a + c * b, 1e-9, 1e-9)
    for a, plain in zip(gradients(model, X, Y, np.ones(ROWS)), gradients(model, X, Y), strict=True):
        assert_close(a, plain)


def test_weights_of_classes_are_those_of_their_samples():
    y = np.array([0, 1, 2, 1, 0, 5, 2, 2, 1, 0])
    weights = {0: 0.5, 1: 2.0, 2: 3.0}
    by_sample = np.array([weights.get(c, 1.0) for c in y])
    for targets in (y, y.astype("float32") + 0.4, y - 0.4, y[:, None]):
        one, other = network(), network()
        found = one.fit(X, targets, class_weight=weights, shuffle=False, verbose=0)
        expected = other.fit(X, targets, sample_weight=by_sample, shuffle=False, verbose=0)
        assert found.history == expected.history
        assert_all_same(everything(one), everything(other))


@given(SEEDS, st.sampled_from([1, 3, 4, 10, 32]), st.booleans())
def test_evaluate_returns_the_losses_computed_by_hand(seed, size, weighted):
    model = network(seed, metrics=["mae"], weighted_metrics=["mse", "mae"])
    weight = abs(normal(seed + 3, ROWS, dtype="float64")) if weighted else np.ones(ROWS)
    error = (outputs(model, X) - Y)[:, 0]
    loss = (weight * error**2).mean()
    weighted_mse = (weight * error**2).sum() / weight.sum()
    weighted_mae = (weight * abs(error)).sum() / weight.sum()
    expected = [loss, abs(error).mean(), weighted_mse, weighted_mae]
    options = {"sample_weight": weight if weighted else None}
    assert_close(model.evaluate(X, Y, size, verbose=0, **options), expected, 1e-6)
    assert_close(model.test_on_batch(X, Y, **options), expected, 1e-6)
    named = {"loss": loss, "mae": expected[1], "mse": weighted_mse, "weighted_mae": weighted_mae}
    found = model.evaluate(X, Y, size, verbose=0, return_dict=True, **options)
    assert list(found) == sorted(named)
    assert found == pytest.approx(named, rel=1e-6)
    assert model.train_on_batch(X, Y, **options, return_dict=True) == pytest.approx(named, rel=1e-6)
    assert int(model.optimizer.iterations) == 1


def test_a_model_without_metrics_evaluates_to_a_number():
    model = network(loss_weights=3.0)
    found = model.evaluate(X, Y, verbose=0)
    assert type(found) is float
    assert found == pytest.approx(3 * ((outputs(model, X) - Y) ** 2).mean(), rel=1e-6)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=4), SEEDS)
def test_predictions_do_not_depend_on_the_batches_they_are_made_in(sizes, seed):
    model = network(seed)
    expected = outputs(model, X)
    for size in sizes:
        assert_close(model.predict(X, size, verbose=0), expected, 1e-10)
        steps = model.predict(X, size, steps=1, verbose=0)
        assert_close(steps, expected[:size], 1e-10)
    assert_close(model.predict_on_batch(X), expected, 1e-10)


@pytest.mark.parametrize("eager", [True, False])
def test_predictions_are_arrays_of_their_own(eager):
    model = tn.Sequential([Input((WIDTH,)), tn.layers.Activation("linear")])
    model.compile("sgd", "mse", run_eagerly=eager)
    data = X.copy()
    for predict in (model.predict_on_batch, lambda x: model.predict(x, verbose=0)):
        first = predict(data)
        assert type(first) is np.ndarray
        first[...] = 0
        assert_same(data, X)
        assert_same(predict(data), X)


# -- callbacks ------------------------------------------------------------------------------------

HOOKS = [name for name in dir(Callback) if name.startswith("on_")]
Event = tuple[Any, ...]  # a hook and, if there is one, the number of the epoch or batch


class Recorder(Callback):
    """Notes every call of every hook, with a copy of its logs."""

    def __init__(self) -> None:
        self.calls: list[tuple[Event, dict[str, Any]]] = []
        for hook in HOOKS:
            setattr(self, hook, partial(self._note, hook))

    def _note(self, hook: str, *args: Any) -> None:
        *place, logs = args
        self.calls.append(((hook, *place), dict(logs)))

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.calls]


def passes(mode: str, rows: int, size: int) -> list[Event]:
    """Return the calls of hooks in one pass over `rows` rows."""
    numbers = range(-(-rows // size))
    return [(f"on_{mode}_batch_{when}", n) for n in numbers for when in ("begin", "end")]


def is_due(epoch: int, freq: int | list[int]) -> bool:
    return epoch + 1 in freq if isinstance(freq, list) else (epoch + 1) % freq == 0


@given(
    epochs=st.integers(0, 3),
    first=st.integers(0, 2),
    size=st.integers(1, 12),
    held=st.sampled_from([0, 4, 7]),
    freq=st.sampled_from([1, 2, [1, 3]]),
)
def test_callbacks_are_called_in_order_and_told_the_running_means(epochs, first, size, held, freq):
    model = network(optimizer=tn.optimizers.SGD(0.0), metrics=["mae"])  # whose losses stay
    recorder = Recorder()
    options = {"validation_data": (X[:held], Y[:held]), "validation_freq": freq} if held else {}
    options |= {"initial_epoch": first, "callbacks": [recorder], "shuffle": False, "verbose": 0}
    history = model.fit(X, Y, size, epochs, **options)
    expected: list[Event] = [("on_train_begin",)]
    for epoch in range(first, epochs):
        expected += [("on_epoch_begin", epoch), *passes("train", ROWS, size)]
        if held and is_due(epoch, freq):
            expected += [("on_test_begin",), *passes("test", held, size), ("on_test_end",)]
        expected.append(("on_epoch_end", epoch))
    assert recorder.events == [*expected, ("on_train_end",)]
    errors = (outputs(model, X) - Y)[:, 0]
    epoch_logs = [logs for event, logs in recorder.calls if event[0] == "on_epoch_end"]
    for (hook, *place), logs in recorder.calls:
        if hook.endswith("begin") or (hook == "on_train_end" and not epoch_logs):
            assert logs == {}
            continue
        seen = errors[:held] if hook.startswith("on_test") else errors
        if "batch" in hook:
            seen = seen[: size * (place[0] + 1)]
        assert logs["loss"] == pytest.approx((seen**2).mean(), rel=1e-6)
        assert logs["mae"] == pytest.approx(abs(seen).mean(), rel=1e-6)
    assert history.epoch == list(range(first, epochs))
    keys = {key for logs in epoch_logs for key in logs}
    assert history.history == {k: [logs[k] for logs in epoch_logs if k in logs] for k in keys}
    assert history.params == {"verbose": 0, "epochs": epochs, "steps": -(-ROWS // size)}
    assert history.model is recorder.model is model
    assert model.history is history
    assert recorder.params == history.params


def test_callbacks_of_evaluate_and_predict_are_called_in_order():
    model, of_test, of_predict = network(), Recorder(), Recorder()
    model.evaluate(X, Y, 4, verbose=0, callbacks=of_test)
    assert of_test.events == [("on_test_begin",), *passes("test", ROWS, 4), ("on_test_end",)]
    model.predict(X, 4, verbose=0, callbacks=[of_predict])
    middle = passes("predict", ROWS, 4)
    assert of_predict.events == [("on_predict_begin",), *middle, ("on_predict_end",)]
    parts = [logs["outputs"] for _, logs in of_predict.calls if logs]
    assert_close(np.concatenate(parts), outputs(model, X))


def test_callbacks_share_the_logs_and_what_they_add_comes_into_the_history():
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = epoch + logs.get("extra", 0.5)

    assigned, seen = Callback(), []
    assigned.on_epoch_end = lambda epoch, logs=None: seen.append(logs["extra"])
    callbacks = [Adds(), Adds(), assigned]
    history = network().fit(X, Y, epochs=2, verbose=0, callbacks=callbacks).history
    assert list(history) == ["loss", "extra"]
    assert history["extra"] == seen == [0.5, 2.5]


@given(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["batch", "epoch"]))
def test_training_stops_after_the_batch_in_which_it_is_told_to(epoch, batch, when):
    class Stop(Callback):
        now = -1

        def on_epoch_begin(self, at, logs=None):
            self.now = at

        def on_train_batch_end(self, at, logs=None):
            self.model.stop_training = when == "batch" and (self.now, at) >= (epoch, batch)

        def on_epoch_end(self, at, logs=None):
            self.model.stop_training |= when == "epoch" and at == epoch

    model, recorder = network(metrics=["mae"]), Recorder()
    callbacks = [Stop(), recorder]
    history = model.fit(X, Y, 4, epochs=5, verbose=0, callbacks=callbacks, validation_data=(X, Y))
    batches_done = 3 * epoch + (batch + 1 if when == "batch" else 3)
    assert int(model.optimizer.iterations) == batches_done
    assert history.epoch == list(range(epoch + 1))
    assert len(history.history["val_loss"]) == epoch + 1
    assert recorder.events[-1] == ("on_train_end",)
    model.fit(X, Y, 4, epochs=1, verbose=0)  # which is not stopped any more
    assert int(model.optimizer.iterations) == batches_done + 3


def test_the_history_of_each_fit_is_new_and_its_keys_are_sorted():
    model = network(metrics=["mse"], weighted_metrics=["mae"])
    first = model.fit(X, Y, epochs=2, validation_split=0.5, verbose=0)
    keys = ["loss", "mae", "mse", "val_loss", "val_mae", "val_mse"]
    assert list(first.history) == keys
    assert all(type(v) is float for values in first.history.values() for v in values)
    second = model.fit(X, Y, verbose=0)
    assert [len(h.history["loss"]) for h in (first, second)] == [2, 1]
    assert list(second.history) == keys[:3]


@given(st.sampled_from([0.1, 0.25, 0.5, 0.8]), SEEDS)
def test_the_last_samples_are_held_out_and_never_trained_on(share, seed):
    split, apart = network(seed), network(seed)
    at = int(np.floor(ROWS * (1 - share)))
    weight = abs(normal(seed, ROWS))
    options = {"epochs": 2, "batch_size": 3, "verbose": 0}
    np.random.seed(seed)
    found = split.fit(X, Y, sample_weight=weight, validation_split=share, **options)
    np.random.seed(seed)
    held = (X[at:], Y[at:], weight[at:])
    expected = apart.fit(X[:at], Y[:at], sample_weight=weight[:at], validation_data=held, **options)
    assert found.history == expected.history
    assert_all_same(everything(split), everything(apart))


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 3))
def test_epochs_of_given_steps_go_on_through_the_samples_and_round_again(size, steps, epochs):
    model, seen = network(optimizer=tn.optimizers.SGD(0.0)), []
    listener = Callback()
    listener.on_train_batch_end = lambda batch, logs=None: seen.append(logs["loss"])
    errors = ((outputs(model, X) - Y) ** 2)[:, 0]
    parts, expected, short = batches(np.arange(ROWS), size), [], False
    rest: list[np.ndarray] = []
    for _ in range(epochs):
        rest = rest or list(parts)
        short |= len(rest) < steps
        taken, rest = rest[:steps], rest[steps:]
        expected += [errors[np.concatenate(taken[: i + 1])].mean() for i in range(len(taken))]
    with pytest.warns(UserWarning, match="ran out of data") if short else nullcontext():
        model.fit(X, Y, size, epochs, 0, listener, steps_per_epoch=steps, shuffle=False)
    assert_close(seen, expected, 1e-6)


# -- what is printed ------------------------------------------------------------------------------


class Constant(tn.metrics.Metric):
    """A metric whose result is known beforehand."""

    def __init__(self, value: float) -> None:
        super().__init__(name="value")
        self.value = value

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        pass

    def reset_state(self) -> None:
        pass

    def result(self) -> float:
        return self.value


def written(value: float) -> str:
    return f"{value:.4f}" if value > 1e-3 else f"{value:.4e}"


LINE = r"( *)(\d+)/(\d+) - \d+s - \d+(s|ms|us)/step( - .*)?"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(value=1e-3, epochs=1, size=4)
@example(value=-0.6, epochs=2, size=1)
@example(value=np.nan, epochs=1, size=4)
@example(value=-0.0, epochs=1, size=4)
@given(
    value=st.sampled_from([0.0, 2e-3, 1e-9, 12345.678, np.inf]) | st.floats(),
    epochs=st.integers(1, 2),
    size=st.sampled_from([1, 4]),
)
def test_a_line_is_printed_per_epoch_in_the_form_of_keras(capsys, value, epochs, size):
    model = network(optimizer=tn.optimizers.SGD(0.0), metrics=[Constant(value)])
    capsys.readouterr()
    held = (X[:4], Y[:4])
    options = {"epochs": epochs, "validation_data": held, "verbose": 2}
    history = model.fit(X, Y, size, **options).history
    lines = capsys.readouterr().out.splitlines()
    heads = [f"Epoch {i + 1}/{epochs}" for i in range(epochs)] if epochs > 1 else []
    assert lines[:-1:2] == heads
    steps = -(-ROWS // size)
    keys = ["loss", "val_loss", "val_value", "value"]
    for i, line in enumerate(lines[1::2] if epochs > 1 else lines):
        blank, done, total, _, rest = re.fullmatch(LINE, line).groups()
        assert (blank, done, total) == ("", str(steps), str(steps))
        assert rest == "".join(f" - {key}: {written(history[key][i])}" for key in keys)
    model.evaluate(X, Y, size, verbose=2)
    model.predict(X, size, verbose=2)
    evaluated, predicted = capsys.readouterr().out.splitlines()
    loss = written(history["loss"][0])
    assert re.fullmatch(LINE, evaluated)[5] == f" - loss: {loss} - value: {written(value)}"
    assert re.fullmatch(LINE, predicted)[5] is None
    for silent in (model.evaluate, model.fit):
        silent(X, Y, size, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr().out == ""


# -- data -----------------------------------------------------------------------------------------


class Frame:
    """An object that converts to an array, like a pandas table."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype, copy=copy)


DTYPES = ("float64", "float16", "int64", "uint8", "bool", ">f4")
FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    **{name: f for name, f in LAYOUTS.items() if name != "zero strides"},  # whose numbers differ
    **{dtype: lambda a, dtype=dtype: a.astype(dtype) for dtype in DTYPES},
    "list": np.ndarray.tolist,
    "list of NumPy's numbers": lambda a: list(a) if a.ndim == 1 else a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a)) if a.ndim > 1 else tuple(a.tolist()),
    "tensor": tn.tensor,
    "variable": tn.Variable,
    "table": Frame,
}


@over(FORMS, "form")
def test_data_of_any_form_trains_alike_and_stays_as_it_was(form):
    rng = np.random.default_rng(0)
    plain = [rng.integers(0, 2, shape).astype("float32") for shape in [(ROWS, WIDTH), ROWS, ROWS]]
    x, y, weight = map(form, plain)
    model, other = network(metrics=["mae"]), network(metrics=["mae"])
    before = pickle.dumps((x, y, weight))
    flags = [a.flags.writeable for a in (x, y, weight) if isinstance(a, np.ndarray)]
    for shuffle in (False, True):
        np.random.seed(0)
        options = {"batch_size": 4, "shuffle": shuffle, "verbose": 0}
        found = model.fit(x, y, sample_weight=weight, validation_split=0.3, **options)
        np.random.seed(0)
        expected = other.fit(*plain[:2], sample_weight=plain[2], validation_split=0.3, **options)
        assert found.history == expected.history
    assert_all_same(everything(model), everything(other))
    assert_same(model.predict(x, verbose=0), other.predict(plain[0], verbose=0))
    assert model.evaluate(x, y, verbose=0) == other.evaluate(*plain[:2], verbose=0)
    assert model.train_on_batch(x, y, weight) == other.train_on_batch(*plain)
    assert_same(model(x), other(plain[0]))
    assert pickle.dumps((x, y, weight)) == before
    assert flags == [a.flags.writeable for a in (x, y, weight) if isinstance(a, np.ndarray)]


@given(SEEDS)
def test_several_inputs_are_cut_into_the_same_batches(seed):
    x, other = Input((WIDTH,), name="x"), Input((1,), name="other")
    y = Dense(1, dtype="float64")(Together()([x, other]))
    model = tn.Model([x, other], y)
    model.set_weights([normal(seed, WIDTH + 1, 1), normal(seed, 1)])
    model.compile(tn.optimizers.SGD(0.125), "mse")
    both = np.concatenate([X, 2 * Y], -1)
    line = Line(*(w.astype("float64") for w in model.get_weights()), 0.125)
    for rows in drawn_orders(np.random.RandomState(seed), True, ROWS, 4, 1):
        for r in rows:
            line.step(both[r], Y[r], np.ones(len(r)))
    np.random.seed(seed)
    model.fit({"other": 2 * Y, "x": X}, Y, 4, verbose=0)
    assert_close(model.get_weights()[0], line.w, 1e-6, 1e-6)
    assert_close(model.predict([X, 2 * Y], verbose=0), line.errors(both, 0 * Y), 1e-6, 1e-6)


class Together(Layer):
    def call(self, inputs: Any) -> Any:
        return ops.concatenate(inputs, axis=-1)


# -- what goes wrong ------------------------------------------------------------------------------

REFUSED: dict[str, Callable[[tn.Model], Any]] = {
    "lengths": lambda m: m.fit(X, Y[1:]),
    "lengths of weights": lambda m: m.fit(X, Y, sample_weight=np.ones(3)),
    "no targets": lambda m: m.fit(X),
    "no samples": lambda m: m.fit(X[:0], Y[:0]),
    "no list of samples": lambda m: m.fit([], []),
    "one number": lambda m: m.fit(1.0, 1.0),
    "text": lambda m: m.fit(X, np.full(ROWS, "a")),
    "objects": lambda m: m.fit(X.astype(object), Y),
    "complex numbers": lambda m: m.fit(X + 1j, Y),
    "ragged": lambda m: m.fit([[1.0], [1.0, 2.0]], [1.0, 2.0]),
    "a batch of -1": lambda m: m.fit(X, Y, batch_size=-1),
    "a batch of 2.5": lambda m: m.fit(X, Y, batch_size=2.5),
    "verbose": lambda m: m.fit(X, Y, verbose=7),
    "callbacks": lambda m: m.fit(X, Y, callbacks=[3]),
    "epochs": lambda m: m.fit(X, Y, epochs=1.5),
    "an unknown option": lambda m: m.fit(X, Y, epoch=3),
    "how often to hold out": lambda m: m.fit(X, Y, validation_split=0.5, validation_freq=0),
    "when to hold out": lambda m: m.fit(X, Y, validation_split=0.5, validation_freq="a"),
    "weights of classes": lambda m: m.fit(X, Y, class_weight=[1.0]),
    "held out": lambda m: m.fit(X, Y, validation_data=X),
    "held out lengths": lambda m: m.fit(X, Y, validation_data=(X, Y[1:])),
    "a share of 1": lambda m: m.fit(X, Y, validation_split=1.0),
    "both weights": lambda m: m.fit(X, Y, sample_weight=np.ones(ROWS), class_weight={0: 2.0}),
    "both weights of a batch": lambda m: m.train_on_batch(X, Y, np.ones(ROWS), {0: 2.0}),
    "no batch of targets": lambda m: m.train_on_batch(X),
    "evaluate": lambda m: m.evaluate(X, Y[1:]),
    "evaluate's option": lambda m: m.evaluate(X, Y, batch=3),
    "predict": lambda m: m.predict(np.full(ROWS, "a")),
    "an optimizer": lambda m: m.compile("nope", "mse"),
    "no optimizer": lambda m: m.compile({}, "mse"),
    "an optimizer's class": lambda m: m.compile(tn.optimizers.SGD, "mse"),
    "metrics that are no list": lambda m: m.compile("sgd", "mse", metrics="mae"),
    "loss weights": lambda m: m.compile("sgd", "mse", loss_weights="a"),
}
REFUSED_BY_LAYERS: dict[str, Callable[[tn.Model], Any]] = {
    "width": lambda m: m.fit(X[:, :2], Y),
    "width of targets": lambda m: m.fit(X, np.ones((ROWS, 2))),
    "rank": lambda m: m.fit(X[:, :, None, None], Y),
    "shape of weights": lambda m: m.fit(X, Y, sample_weight=np.ones((ROWS, 3))),
    "width of a batch": lambda m: m.train_on_batch(X[:, :2], Y),
    "width to evaluate": lambda m: m.evaluate(X[:, :2], Y),
    "width to predict": lambda m: m.predict(X[:, :2]),
}


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_BY_LAYERS])
def test_a_refused_call_changes_neither_weights_nor_the_optimizer_nor_later_training(case):
    model, other = network(), network()
    for each in (model, other):
        np.random.seed(0)
        each.fit(X, Y, verbose=0)
    before, drawn = everything(model), generators()
    with refused(TypeError if case in ("epochs", "an unknown option") else ValueError):
        (REFUSED | REFUSED_BY_LAYERS)[case](model)
    assert_all_same(everything(model), before)
    if case in REFUSED:  # without having drawn an order
        assert generators() == drawn
    np.random.set_state(pickle.loads(drawn)[1])
    found = model.fit(X, Y, epochs=2, batch_size=3, verbose=0)
    np.random.set_state(pickle.loads(drawn)[1])
    assert found.history == other.fit(X, Y, epochs=2, batch_size=3, verbose=0).history
    assert_all_same(everything(model), everything(other))


def test_names_of_losses_and_metrics_are_looked_up_when_they_are_needed():
    for options in (
        {"loss": "nope"},
        {"metrics": ["nope"]},
        {"weighted_metrics": [3]},
    ):
        model = network(**options)
        weights, drawn = model.get_weights(), generators()
        for use in (model.fit, model.evaluate, model.train_on_batch):
            with refused(ValueError, *(["nope"] if "nope" in str(options) else [])):
                use(X, Y)
        assert generators() == drawn
        assert_all_same(model.get_weights(), weights)
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)


def test_a_model_without_any_loss_says_so():
    model = network(loss=None)
    for use in (model.fit, model.evaluate, model.train_on_batch):
        with refused(ValueError, "No loss to compute", "compile"):
            use(X, Y)


def test_a_model_that_is_not_compiled_says_so_and_can_predict():
    model = tn.Sequential([Input((WIDTH,)), Dense(1)])
    for use in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with refused(ValueError, "compile"):
            use(X, Y)
    assert_close(model.predict(X, verbose=0), model(X).numpy(), 1e-6, 1e-6)


def test_a_loss_of_several_numbers_cannot_be_trained_on():
    for eager in (True, False):
        model = network(loss=tn.losses.MeanSquaredError(reduction=None), run_eagerly=eager)
        before = model.get_weights()
        with refused(TypeError, "scalar", f"({ROWS},)"):
            model.fit(X, Y)
        assert_all_same(model.get_weights(), before)


class InterruptionError(Exception):
    pass


def train_on_batches(model: tn.Model, count: int) -> None:
    """Take the first steps that `fit` takes in batches of 4, unshuffled."""
    for step in range(count):
        rows = slice(4 * (step % 3), 4 * (step % 3) + 4)
        model.train_on_batch(X[rows], Y[rows])


BATCHWISE = {"batch_size": 4, "shuffle": False, "verbose": 0}
STEPS_DONE = {  # when a hook is called for the nth time
    "on_epoch_begin": lambda n: 3 * n,
    "on_train_batch_begin": lambda n: n,
    "on_train_batch_end": lambda n: n + 1,
    "on_epoch_end": lambda n: 3 * n + 3,
}


@given(st.sampled_from(sorted(STEPS_DONE)), st.integers(0, 2), st.booleans())
def test_a_callback_that_raises_leaves_the_steps_before_it_done_and_the_rest_to_do(hook, n, eager):
    callback, calls = Callback(), iter(range(9))

    def interrupt(*args: Any) -> None:
        if next(calls) == n:
            raise InterruptionError

    setattr(callback, hook, interrupt)
    model, other = network(run_eagerly=eager), network(run_eagerly=eager)
    with pytest.raises(InterruptionError):
        model.fit(X, Y, epochs=3, callbacks=[callback], **BATCHWISE)
    assert int(model.optimizer.iterations) == STEPS_DONE[hook](n)
    train_on_batches(other, STEPS_DONE[hook](n))
    assert_all_same(model.get_weights(), other.get_weights())
    for each in (model, other):
        each.fit(X, Y, epochs=2, **BATCHWISE)
    assert_all_same(everything(model), everything(other))


class Fuse(Layer):
    """The identity, until it has been called so often."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training and not self.left:
            raise InterruptionError
        self.left -= training
        return inputs


@given(st.integers(0, 5))
def test_a_layer_that_raises_leaves_the_steps_before_it_done_and_the_rest_to_do(calls):
    def stack(fuse: Layer) -> tn.Model:
        layers = [Dense(units, "tanh", kernel_initializer="ones") for units in (3, 1)]
        model = tn.Sequential([Input((WIDTH,)), layers[0], fuse, layers[1]])
        model.compile(tn.optimizers.Adam(0.05), "mse", run_eagerly=True)
        return model

    model, other = stack(Fuse(calls)), stack(Fuse(100))
    with pytest.raises(InterruptionError):
        model.fit(X, Y, epochs=3, **BATCHWISE)
    assert int(model.optimizer.iterations) == calls
    train_on_batches(other, calls)
    assert_all_same(model.get_weights(), other.get_weights())
    model.layers[1].left = 100
    for each in (model, other):
        each.fit(X, Y, epochs=2, **BATCHWISE)
    assert_all_same(everything(model), everything(other))


@pytest.mark.parametrize("eager", [True, False])
def test_models_trained_in_threads_do_not_disturb_each_other(eager):
    def trained(seed: int, wait: Callable[[], Any] = lambda: None) -> list[Any]:
        model = network(seed, metrics=["mae"], run_eagerly=eager)
        wait()
        options = {"epochs": 15, "batch_size": 3, "shuffle": False, "verbose": 0}
        history = model.fit(X, Y, validation_data=(X, Y), **options).history
        return [*everything(model), *map(np.array, history.values()), model.predict(X, verbose=0)]

    seeds, expected = range(4), [trained(seed) for seed in range(4)]
    barrier = threading.Barrier(len(seeds))
    with ThreadPoolExecutor(len(seeds)) as pool:
        found = list(pool.map(lambda seed: trained(seed, barrier.wait), seeds))
    for one, other in zip(found, expected, strict=True):
        assert_all_same(one, other)


# -- the check of a model's gradients -------------------------------------------------------------

SMOOTH = st.sampled_from(["tanh", "sigmoid", "linear", "softmax"])
STACKS = st.lists(st.tuples(st.integers(2, 4), SMOOTH), min_size=1, max_size=3)


@given(STACKS, st.sampled_from(["mse", tn.losses.MeanSquaredError("sum")]), st.booleans(), SEEDS)
def test_the_gradients_of_drawn_models_pass_their_check_which_leaves_them_alone(
    plan, loss, built, seed
):
    model = tn.Sequential([Dense(*layer) for layer in plan])
    model.compile("adam", loss)
    y = normal(seed, 4, plan[-1][0])
    if built:
        model.fit(X[:4], y, verbose=0)
        before = everything(model)
    tn.check_model_grads(model, X[:4], y)
    if built:
        assert_all_same(everything(model), before)
    assert all(w.grad is None for w in model.weights)


class Wrong(Dense):
    """A dense layer whose gradient lacks what flows through one of its tensors."""

    def __init__(self, units: int, lost: str) -> None:
        super().__init__(units, "tanh", bias_initializer="ones")
        self.lost = lost

    def call(self, inputs: Any) -> Any:
        kernel, bias = self.kernel.value, self.bias.value
        if self.lost == "kernel":
            kernel = kernel.detach()
        if self.lost == "half":
            kernel = 0.5 * kernel + 0.5 * kernel.detach()
        if self.lost == "inputs":
            inputs = ops.stop_gradient(inputs)
        if self.lost == "bias":
            bias = bias.detach()
        return self.activation(inputs @ kernel + bias)


@pytest.mark.parametrize("lost", ["kernel", "half", "inputs", "bias"])
def test_the_check_fails_for_a_layer_that_loses_a_part_of_the_gradient(lost):
    model = tn.Sequential([Dense(4, "tanh"), Wrong(3, lost), Dense(1)])  # not built yet
    model.compile("sgd", "mse")
    with pytest.raises(AssertionError, match="wrong"):
        tn.check_model_grads(model, X, Y)
    model.layers[1].lost = "nothing"
    tn.check_model_grads(model, X, Y)


def test_models_of_several_inputs_are_checked_too():
    x, other = Input((WIDTH,)), Input((1,))
    for layer, right in ((Dense(4, "tanh"), True), (Wrong(4, "half"), False)):
        model = tn.Model([x, other], Dense(1)(Together()([layer(x), other])))
        model.compile("sgd", "mse")
        with nullcontext() if right else pytest.raises(AssertionError):
            tn.check_model_grads(model, [X, Y], Y)
