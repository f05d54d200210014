"""An error of users' code, at any of its calls, ends a call at a whole step and stays as it is.

Each part of a training that users can write counts its calls, and raises an error at one of them.
The weights, slots and counts are then those of a twin that took as many steps, and the model goes
on as the twin does. On the compiled roads most parts run only while a step is recorded: once for
each size of a batch. HYPOTHESIS_PROFILE=thorough lets each call of each part fail.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from helpers import assert_agree, assert_all_same, normal
from hypothesis import settings
from native import NATIVE, all_in_c

import tinynet as tn
from tinynet.callbacks import Callback

ROADS: dict[str, dict[str, Any]] = {
    "eager": {"run_eagerly": True},
    "NumPy": {"jit_compile": False},
    "C": {"jit_compile": NATIVE},
}
ERRORS = (ValueError, RuntimeError, KeyError, MemoryError, AssertionError, KeyboardInterrupt)
X, Y = normal(0, 8, 3), normal(1, 8, 1)
BATCHES = [slice(0, 3), slice(3, 6), slice(6, 8)]  # of two sizes
EPOCHS = 2
THOROUGH = settings.default.max_examples > 20


class Moments:
    """Counts the calls of parts by name; raises an error at one of them."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.planned: tuple[str, int] | None = None
        self.error: BaseException | None = None

    def note(self, part: str) -> None:
        self.counts[part] = self.counts.get(part, 0) + 1
        if self.planned == (part, self.counts[part]):
            self.error = ERRORS[self.counts[part] % len(ERRORS)]("of the user")
            raise self.error


moments = Moments()


class Noted(tn.layers.Layer):
    def build(self, input_shape):
        moments.note("layer.build")
        self.scale = self.add_weight(input_shape[-1:], "ones")

    def call(self, inputs):
        moments.note("layer.call")
        return inputs * self.scale


class NotedInitializer(tn.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        moments.note("initializer")
        return np.full(shape, 0.5, dtype)


def penalty(weight):
    moments.note("regularizer")
    return 0.01 * tn.ops.sum(weight * weight)


def constraint(weight):
    moments.note("constraint")
    return tn.ops.clip(weight, -1.0, 1.0)


def activation(x):
    moments.note("activation")
    return tn.ops.tanh(x)


def loss(y_true, y_pred):
    moments.note("loss")
    return tn.ops.mean((y_true - y_pred) ** 2, axis=-1)


class NotedMetric(tn.metrics.Metric):
    def __init__(self):
        super().__init__(name="noted")
        self.most = self.add_variable()

    def update_state(self, y_true, y_pred, sample_weight=None):
        moments.note("metric.update_state")
        self.most.assign(tn.ops.maximum(self.most, tn.ops.max(abs(y_true - y_pred))))

    def result(self):
        moments.note("metric.result")
        return self.most.value

    def reset_state(self):
        moments.note("metric.reset_state")
        super().reset_state()


class PythonMetric(tn.metrics.Metric):
    def __init__(self):
        super().__init__(name="python")
        self.sum = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        moments.note("Python metric")
        self.sum += float(y_pred.numpy().sum())

    def result(self):
        return self.sum

    def reset_state(self):
        self.sum = 0.0


class NotedSchedule(tn.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        moments.note("schedule")
        return 0.1 / (1 + step)


class NotedOptimizer(tn.optimizers.Optimizer):
    slots = (("momentum",),)

    def update(self, param, grad, slots, scalars):
        moments.note("optimizer.update")
        momentum = 0.5 * slots["momentum"] - scalars["learning_rate"] * grad
        return param + momentum, {"momentum": momentum}


class NotedCallback(Callback):
    pass


def _noted(hook: str) -> Any:
    return lambda self, *args, **kwargs: moments.note(hook)


HOOKS = [f"on_{what}_{when}" for what in ("train", "epoch", "test") for when in ("begin", "end")]
BATCH_HOOKS = [f"on_{kind}_batch_{when}" for kind in ("train", "test") for when in ("begin", "end")]
for _hook in (*HOOKS, *BATCH_HOOKS):
    setattr(NotedCallback, _hook, _noted(_hook))


class NotedDataset(tn.utils.PyDataset):
    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        moments.note("PyDataset item")
        return X[BATCHES[index]], Y[BATCHES[index]]

    def on_epoch_end(self):
        moments.note("PyDataset end")


def generated() -> Iterator[Any]:
    for rows in BATCHES * EPOCHS:
        moments.note("generator")
        yield X[rows], Y[rows]


def model(road: str, python_metric: bool = False) -> Any:
    tn.utils.clear_session()
    noted = {"kernel_regularizer": penalty, "kernel_constraint": constraint}
    start = {"kernel_initializer": NotedInitializer()}
    layers = [
        tn.layers.Dense(3, activation, **noted, **start),
        tn.layers.BatchNormalization(),
        Noted(),
        tn.layers.Dropout(0.3, seed=2),
        tn.layers.Dense(1, **start),
    ]
    made = tn.Sequential(layers)
    metrics = [NotedMetric(), *([PythonMetric()] if python_metric else [])]
    made.compile(NotedOptimizer(NotedSchedule()), loss, metrics=metrics, **ROADS[road])
    return made


def fit(road_model: Any, data: Any = None, **options: Any) -> Any:
    given = (X, Y, 3) if data is None else (data,)
    options |= {"validation_data": (X[:3], Y[:3])}
    return road_model.fit(*given, epochs=EPOCHS, verbose=0, shuffle=False, **options).history


# The parts, and how a training that runs them is made and called.
PLAIN = ["layer.build", "layer.call", "initializer", "regularizer", "constraint", "activation"]
PLAIN += ["loss", "metric.update_state", "metric.result", "metric.reset_state", "schedule"]
PLAIN += ["optimizer.update"]
RECORDED = [*PLAIN, "Python metric"]
PARTS: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
    **dict.fromkeys(PLAIN, ({}, fit)),
    "Python metric": ({"python_metric": True}, fit),
    **{hook: ({}, lambda m: fit(m, callbacks=[NotedCallback()])) for hook in HOOKS + BATCH_HOOKS},
    "PyDataset item": ({}, lambda m: fit(m, NotedDataset())),
    "PyDataset end": ({}, lambda m: fit(m, NotedDataset())),
    "generator": ({}, lambda m: fit(m, generated(), steps_per_epoch=len(BATCHES))),
}


def numbers(of: Any) -> list[np.ndarray]:
    return [v.numpy() for v in (*of.variables, *of.optimizer.variables)]


@cache
def twin(road: str, steps: int, **options: Any) -> tuple[Any, Any]:
    """Return the numbers of a model after some steps, and what it does then."""
    moments.planned = None
    made = model(road, **options)
    made.build((None, 3))
    made.optimizer.build(made.trainable_variables)
    for i in range(steps):
        rows = BATCHES[i % len(BATCHES)]
        made.train_on_batch(X[rows], Y[rows])
    return numbers(made), then(made)


def then(made: Any) -> Any:
    """Return what a model does next, and its numbers after that."""
    found = [fit(made), made.evaluate(X, Y, verbose=0), made.predict(X, verbose=0)]
    return [*found, numbers(made)]


@cache
def calls(road: str, part: str) -> int:
    """Return how often a part is called if nothing fails."""
    moments.planned, moments.counts = None, {}
    options, call = PARTS[part]
    call(model(road, **options))
    return moments.counts[part]


def fails(road: str, part: str, at: int) -> None:
    """Let a part fail at one of its calls, and check what is left."""
    options, call = PARTS[part]
    expected = partial(twin, road, **options)
    made = model(road, **options)
    moments.planned, moments.counts, moments.error = (part, at), {}, None
    with pytest.raises(ERRORS) as caught:
        call(made)
    assert caught.value is moments.error, (part, at)
    assert caught.value.args == ("of the user",)
    moments.planned = None
    steps = int(made.optimizer.iterations)
    before, after = expected(steps)
    if made.optimizer.built and made.built:
        assert_all_same(numbers(made), before)
    else:
        assert not steps
    epochs = [] if made.history is None else made.history.epoch
    assert len(epochs) in (steps // len(BATCHES), steps // len(BATCHES) - 1), (part, at)
    assert tn.grad(lambda x: x * x)(3.0).item() == 6.0
    assert_agree(then(made), after, 0)


@pytest.mark.parametrize("part", PARTS)
def test_an_error_of_the_users_code_leaves_a_whole_step_and_is_raised_unchanged(part):
    drawn = random.Random(part)
    roads = [*ROADS] if THOROUGH or part in RECORDED else [drawn.choice([*ROADS])]
    with all_in_c():
        for road in roads:
            every = range(1, calls(road, part) + 1)
            for at in every if THOROUGH else [drawn.choice(every)]:
                fails(road, part, at)
