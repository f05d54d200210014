"""What is printed while a network trains is what Keras prints, character by character."""

import io
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from side_by_side import WIDTH, Library, in_both, numbers

import tinynet as tn

LIBRARIES = (tn, keras)


class Terminal(io.StringIO):
    """An output stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def printed(run: Callable[[], Any]) -> str:
    """Return the text that is printed to a terminal."""
    with mock.patch.object(sys, "stdout", Terminal()) as terminal:
        run()
    return terminal.getvalue()


# -- the progress bar -----------------------------------------------------------------------------

VALUES = st.floats(-1e4, 1e4) | st.sampled_from([0.0, 1e-3, -1e-3, 1e-9, np.inf, np.nan, 1, 3])
NAMES = st.sampled_from(["loss", "mae", "a_metric_with_a_long_name"])
UPDATES = st.lists(
    st.tuples(
        st.integers(0, 30),  # steps
        st.sampled_from([0.0, 1e-4, 0.03, 0.2, 61.0, 4000.0]),  # seconds before
        st.dictionaries(NAMES, VALUES, max_size=3),
        st.sampled_from([None, None, False, True]),  # finalize
    ),
    max_size=8,
)
OPTIONS = st.fixed_dictionaries(
    {"verbose": st.sampled_from([0, 1, 1, 2])},
    optional={
        "width": st.sampled_from([0, 1, 20, 33]),
        "interval": st.sampled_from([0.0, 0.05, 1.0]),
        "unit_name": st.just("sample"),
    },
)
KINDS = st.sampled_from(["stateful_metrics", "stateless_metrics"])


@given(
    target=st.none() | st.sampled_from([0, 1, 9, 10, 99, 12000]),
    options=OPTIONS,
    named=st.dictionaries(KINDS, st.lists(NAMES), max_size=1),
    updates=UPDATES,
    adds=st.booleans(),
)
@example(9, {"verbose": 1}, {}, [(9, 0.0, {"loss": 1}, None), (0, 0.0, {}, None)], False)
def test_the_progress_bar_prints_what_keras_prints(target, options, named, updates, adds):
    def run(lib: Library) -> None:
        with mock.patch.object(time, "time", return_value=1e9) as now:
            current = 0
            bar = lib.utils.Progbar(target, **options, **named)
            for steps, seconds, values, finalize in updates:
                now.return_value += seconds
                current += steps
                if adds:
                    bar.add(steps, list(values.items()))
                else:
                    bar.update(current, list(values.items()), finalize)

    mine, theirs = (printed(lambda: run(lib)) for lib in LIBRARIES)  # noqa: B023
    assert mine == theirs


# -- runs -----------------------------------------------------------------------------------------


def clock(lib: Library) -> Any:
    """Return a callback that sets the clock: each batch takes 0.03 seconds."""

    class Clock(lib.callbacks.Callback):
        now = 1e9

    def tick(self: Any, batch: int, logs: Any = None) -> None:
        self.now += 0.03

    for mode in ("train", "test", "predict"):
        setattr(Clock, f"on_{mode}_batch_end", tick)
    return Clock()


def timed(run: Callable[..., Any], lib: Library, *callbacks: Any, **options: Any) -> str:
    """Return what a run prints to a terminal while time passes as the `clock` says."""
    ticking = clock(lib)
    with mock.patch.object(time, "time", partial(getattr, ticking, "now")):
        return printed(lambda: run(callbacks=[*callbacks, ticking], **options))


def model_of(lib: Library, run_eagerly: dict) -> Any:
    model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=run_eagerly[lib])
    return model


X, Y = numbers(0, 40, WIDTH), numbers(1, 40, 1)


def batches(count: int) -> Any:
    return ((X[i : i + 8], Y[i : i + 8]) for i in range(count))


RUNS: dict[str, Callable[..., Any]] = {
    "fit": lambda m, **how: m.fit(X, Y, **how),
    "two epochs": lambda m, **how: m.fit(X, Y, 4, epochs=2, **how),
    "the second of two": lambda m, **how: m.fit(X, Y, epochs=2, initial_epoch=1, **how),
    "validation": lambda m, **how: m.fit(
        X, Y, 4, epochs=3, validation_data=(X, Y), validation_freq=2, **how
    ),
    "evaluate": lambda m, **how: m.evaluate(X, Y, 8, **how),
    "predict": lambda m, **how: m.predict(X, 1, **how),
    "a generator": lambda m, **how: m.fit(batches(12), shuffle=False, **how),
    "evaluating a generator": lambda m, **how: m.evaluate(batches(12), **how),
    "a generator of known length": lambda m, **how: m.fit(
        batches(12), steps_per_epoch=4, epochs=2, shuffle=False, **how
    ),
    "data that ends early": lambda m, **how: m.fit(
        X, Y, steps_per_epoch=13, epochs=2, batch_size=2, **how
    ),
}


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_fit_evaluate_and_predict_print_what_keras_prints(run_eagerly, run, verbose):
    def text(lib: Library) -> str:
        return timed(partial(run, model_of(lib, run_eagerly)), lib, verbose=verbose)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warning that the data ran out
        mine, theirs = in_both(text)
    assert mine == theirs


@pytest.mark.parametrize(("verbose", "same"), [("auto", 1), (True, 1), (False, 0)])
def test_verbose_auto_and_true_print_as_1_and_false_as_0(verbose, same):
    model = model_of(tn, {tn: False})
    for run in (RUNS["two epochs"], RUNS["evaluate"], RUNS["predict"]):
        first, second = (
            timed(partial(run, model), tn, verbose=v).replace(" ", "")[:60] for v in (verbose, same)
        )
        assert first == second
        assert bool(first) == bool(same)


@pytest.mark.parametrize("verbose", [1, 2])
def test_an_interrupted_training_prints_what_keras_prints(run_eagerly, verbose):
    def text(lib: Library) -> str:
        class Stop(lib.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                logs["added"] = 2.5
                self.model.stop_training = batch == 2

        run = partial(model_of(lib, run_eagerly).fit, X, Y, 4)
        return timed(run, lib, Stop(), verbose=verbose)

    mine, theirs = in_both(text)
    assert mine == theirs
