"""Callbacks: what is called in the course of training.

Imports nothing of the project. Read next: `training.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

Logs = dict[str, Any]


class Callback:
    """Base of callbacks: define the hooks to be called at.

    Attributes
    ----------
    model : the model that is trained; set ``self.model.stop_training = True`` to end training.
    params : dict with ``verbose``, ``epochs`` and ``steps``
    """

    model: Any = None
    params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Be told the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Be told the parameters of the run."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Be called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Be called after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Be called before an epoch (0, 1, ...)."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Be called after an epoch, with loss and metrics, also of validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Be called before a batch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Be called after a batch, with the running means of the epoch."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Be called before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Be called after an evaluation, with loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Be called before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Be called after a batch of an evaluation, with the running means."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Be called before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Be called after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Be called before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Be called after a batch of a prediction, with its ``outputs``."""


class History(Callback):
    """What `fit` returns: the logs of each epoch.

    Attributes
    ----------
    history : dict of lists of floats, one per epoch
    epoch : list of the epochs' numbers
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin a new list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the logs of the epoch."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)


class ProgbarLogger(Callback):
    """Print one line per epoch, evaluation or prediction, in the form of Keras's ``verbose=2``."""

    def __init__(self) -> None:
        self.started = 0.0
        self.steps = 0
        self.within_fit = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Note that evaluations are now part of an epoch."""
        self.within_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Note that they no longer are."""
        self.within_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the epoch's number, if there are several."""
        if self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the batch."""
        self.steps = batch + 1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the epoch's line."""
        self._finish(logs or {})

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Take the time, unless it belongs to an epoch."""
        if not self.within_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the batch."""
        if not self.within_fit:
            self.steps = batch + 1

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Print the evaluation's line."""
        if not self.within_fit:
            self._finish(logs or {})

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Take the time."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Count the batch."""
        self.steps = batch + 1

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Print the prediction's line."""
        self._finish({})

    def _start(self) -> None:
        self.started, self.steps = time.perf_counter(), 0

    def _finish(self, logs: Logs) -> None:
        seconds = time.perf_counter() - self.started
        total = self.params["steps"] or self.steps
        each = step_time(seconds / max(self.steps, 1))
        values = "".join(f" - {key}: {number(value)}" for key, value in logs.items())
        print(f"{self.steps:>{len(str(total))}}/{total} - {seconds:.0f}s - {each}{values}")


def step_time(seconds: float) -> str:
    """Return the time of a step in the unit that suits it.

    >>> step_time(2.4), step_time(0.157), step_time(0.000635)
    ('2s/step', '157ms/step', '635us/step')
    """
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def number(value: float) -> str:
    """Return a logged value in four digits.

    >>> number(8.53049), number(0.00012), number(0.0)
    ('8.5305', '1.2000e-04', '0.0000e+00')
    """
    return f"{value:.4f}" if value > 1e-3 else f"{value:.4e}"


class Callbacks:
    """The callbacks of one run, called together: ``callbacks("on_epoch_end", epoch, logs)``."""

    def __init__(self, callbacks: Sequence[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks: expected Callback objects, received {callback!r}.")
            callback.set_model(model)
            callback.set_params(params)
        names = [name for name in vars(Callback) if name.startswith("on_")]
        self.hooks = {name: self._defining(name) for name in names}

    def _defining(self, hook: str) -> list[Callable[..., None]]:
        """Return the methods of those that define `hook`, to be called in this order."""
        base = getattr(Callback, hook)
        methods = [getattr(c, hook) for c in self.callbacks]
        return [m for m in methods if getattr(m, "__func__", m) is not base]

    def __call__(self, hook: str, *args: Any) -> None:
        for method in self.hooks[hook]:
            method(*args)
