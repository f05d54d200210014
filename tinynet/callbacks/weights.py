"""The callback that remembers the weights, so that the way they went can be drawn.

Imports `base.py`. Read next: `../viz/landscape.py`, which draws it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import Callback, Logs


class WeightHistory(Callback):
    """Record copies of the trainable weights, and the loss, in the course of `fit`.

    What is recorded first is where they start, what last where they end. Another `fit` of the same
    model goes on with the record, one of another model begins a new one.

    Parameters
    ----------
    frequency : "epoch", "batch" or int
        Record after each epoch, each batch, or so many batches.

    Attributes
    ----------
    weights : list of lists of arrays, in the order of ``model.trainable_weights``
    names : list of str, the paths of these weights
    losses : list of float
        What the logs then say: the mean over the epoch so far, of losses before their update. NaN
        at the start.
    epochs : list of int, the number of the epoch (0, 1, ...) that each was recorded in
    steps : list of int, how many steps the optimizer had taken

    Raises
    ------
    ValueError
        For another frequency.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, kernel_initializer="ones")])
    >>> model.compile(tn.optimizers.SGD(0.25), "mse")
    >>> record = WeightHistory()
    >>> history = model.fit([1.0], [3.0], epochs=2, verbose=0, callbacks=[record])
    >>> [kernel.item() for kernel, bias in record.weights], record.losses
    ([1.0, 2.0, 2.0], [nan, 4.0, 0.0])
    """

    def __init__(self, frequency: str | int = "epoch") -> None:
        counts = isinstance(frequency, (int, np.integer)) and not isinstance(frequency, bool)
        if frequency not in ("epoch", "batch") and not (counts and frequency > 0):  # type: ignore[operator]
            raise ValueError(
                "frequency: expected 'epoch', 'batch' or a positive number of batches, received "
                f"{frequency!r}."
            )
        self.frequency = frequency
        self._variables: list[Any] = []
        self._clear()
        if frequency != "epoch":  # a hook of batches costs time, and is there only if it is needed
            self.on_train_batch_end = self._after_batch  # type: ignore[method-assign]

    def _clear(self) -> None:
        self.weights: list[list[np.ndarray]] = []
        self.names: list[str] = []
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.steps: list[int] = []
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Record where the weights start, unless that is where they were last seen."""
        variables = self.model.trainable_weights
        if [*map(id, variables)] != [*map(id, self._variables)]:
            self._variables = variables
            self._clear()
            self.names = [v.path for v in variables]
        self._record_if_new({})

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the number of the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record, if epochs are what is recorded."""
        if self.frequency == "epoch":
            self._record(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Record where the weights end, if that is not done yet."""
        self._record_if_new(logs or {})

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        every = 1 if self.frequency == "batch" else int(self.frequency)
        if self._step() % every == 0:
            self._record(logs or {})

    def _step(self) -> int:
        return self.model.optimizer.iterations.array.item()

    def _record_if_new(self, logs: Logs) -> None:
        last = self.weights[-1] if self.weights else None
        if last is None or not all(
            np.array_equal(old, v.array, equal_nan=True)
            for old, v in zip(last, self._variables, strict=True)
        ):
            self._record(logs)

    def _record(self, logs: Logs) -> None:
        self.weights.append([v.array.copy() for v in self._variables])
        self.losses.append(float(logs.get("loss", math.nan)))
        self.epochs.append(self._epoch)
        self.steps.append(self._step())
