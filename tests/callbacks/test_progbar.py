"""The progress bar without a terminal, and what it costs."""

import io
import re
import sys
from typing import Any

import pytest
from helpers import normal, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.callbacks import Callback, CallbackList, ProgbarLogger, progbar as progress
from tinynet.layers import Dense, Input
from tinynet.utils import Progbar

ROWS = 10
X, Y = normal(0, ROWS, 3), normal(1, ROWS, 1)


def network() -> tn.Model:
    """Return a model whose losses are always the same, and so have four decimals."""
    model = tn.Sequential([Input((3,)), Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    return model


class Output(io.StringIO):
    """An output that is a terminal or is not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: terminal  # type: ignore[method-assign]


@pytest.fixture
def output(monkeypatch):
    """Return a function that replaces the standard output."""

    def make(terminal: bool) -> Output:
        monkeypatch.setattr(sys, "stdout", Output(terminal))
        return sys.stdout  # type: ignore[return-value]

    return make


LINE = r"\d+/\d+ - \d+s - \d+(s|ms|us)/step"


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("verbose", [1, "auto"])
def test_without_a_terminal_one_line_per_epoch_is_printed(output, epochs, verbose):
    file = output(terminal=False)
    history = network().fit(X, Y, 2, epochs, verbose, validation_split=0.2).history
    lines = file.getvalue().splitlines()
    for i, line in enumerate(lines):
        head = f"Epoch {i + 1}/{epochs} - " if epochs > 1 else ""
        loss, val_loss = history["loss"][i], history["val_loss"][i]
        assert re.fullmatch(rf"{head}{LINE} - loss: {loss:.4f} - val_loss: {val_loss:.4f}", line)
    assert len(lines) == epochs
    assert file.getvalue().endswith("\n")


def test_a_reused_bar_starts_again(output):
    file, model, bar = output(terminal=False), network(), ProgbarLogger()
    model.fit(X, Y, epochs=2, callbacks=[bar])
    model.predict(X, callbacks=[bar])
    assert re.fullmatch(LINE, file.getvalue().splitlines()[-1])


def test_without_a_terminal_evaluate_and_predict_print_one_line(output):
    file, model = output(terminal=False), network()
    loss = model.evaluate(X, Y)
    model.predict(X)
    first, second = file.getvalue().splitlines()
    assert re.fullmatch(rf"{LINE} - loss: {loss:.4f}", first)
    assert re.fullmatch(LINE, second)


def test_the_steps_of_a_generator_are_counted(output):
    file = output(terminal=False)
    network().fit(((X, Y) for _ in range(6)), verbose=1)
    assert file.getvalue().startswith("6/6 - ")


@given(st.lists(st.booleans(), max_size=4), st.sampled_from([0, 1, 2]))
def test_values_are_computed_only_when_the_bar_is_drawn(drawn, verbose):
    bar, asked = ProgbarLogger(), []
    bar.set_params({"verbose": verbose, "epochs": 1, "steps": len(drawn)})
    before, sys.stdout = sys.stdout, Output(terminal=True)
    try:
        bar.on_epoch_begin(0)
        move = CallbackList([bar]).of_batches("train")[1]
        assert (move is None) == (verbose != 1)
        for batch, due in enumerate(drawn if move else ()):
            bar.progbar.interval = 0.0 if due else 1e9
            bar.progbar._drawn = 1e12 if not due else 0.0
            move(batch, lambda: asked.append(1) or {"loss": 1.0})
        shown = sys.stdout.getvalue()
    finally:
        sys.stdout = before
    assert len(asked) == shown.count("loss: 1.0000") == (sum(drawn) if verbose == 1 else 0)


def test_only_callbacks_with_a_batch_hook_run_after_a_batch():
    def after(mode: str, *callbacks: Callback, **params: Any) -> Any:
        given = {"verbose": 0, "epochs": 1, "steps": 5, **params}
        calls = CallbackList(list(callbacks), add_history=True, add_progbar=True, **given)
        return calls.of_batches(mode)[1]

    for mode in ("train", "test", "predict"):
        assert after(mode) is None
        assert after(mode, verbose=2) is None
        assert after(mode, steps=None) is not None  # the steps have to be counted
    listens = Callback()
    listens.on_test_batch_end = lambda batch, logs=None: None
    assert after("train", listens) is None
    assert after("test", listens) is not None


def test_an_ascii_output_gets_ascii_characters(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", newline="\n"))
    progress.write("│ ━━ ├─┤ é …\n")
    network().summary()
    assert raw.getvalue().startswith(b"| == +-+  ~\n")


def test_without_an_output_as_in_pythonw_nothing_is_printed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    model = network()
    model.summary()
    model.fit(X, Y, epochs=2)
    model.evaluate(X, Y)
    model.predict(X, verbose=1)
    Progbar(1).update(1)


def test_a_bar_accepts_only_one_kind_of_names():
    with refused(ValueError, "stateful_metrics", "stateless_metrics", "'a'", "'b'"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


def test_without_a_terminal_the_line_is_printed_after_the_last_step(output):
    file = output(terminal=False)
    bar = Progbar(3)
    bar.add(1, [("loss", 4.0)])
    bar.add(1, [("loss", 2.0)])
    assert file.getvalue() == ""
    bar.add(1, [("loss", 3.0)])
    assert re.fullmatch(rf"{LINE} - loss: 3.0000\n", file.getvalue())
