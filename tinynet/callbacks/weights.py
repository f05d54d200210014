"""A callback that records the weights during training, for pictures of their path.

Imports `base.py`. Read next: `../viz/landscape.py`, which draws it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import Callback, Logs


class WeightHistory(Callback):
    """Record copies of the trainable weights, and the loss, during `fit`.

    The first entry is the initial weights, the last one the final weights. Another `fit` of the
    same model continues the record; a `fit` of another model starts a new one.

    Parameters
    ----------
    frequency : "epoch", "batch" or int
        Record after each epoch, each batch, or this many batches.

    Attributes
    ----------
    weights : list of lists of arrays, in the order of ``model.trainable_weights``
    names : list of str, the paths of these weights
    losses : list of float
        The loss in the logs: the mean over the epoch so far, before the updates. NaN for the first
        entry.
    epochs : list of int, the number of the epoch (0, 1, ...) of each entry
    steps : list of int, the number of steps that the optimizer had taken

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
        if frequency not in ("epoch", "batch") and not (counts and int(frequency) > 0):
            raise ValueError(
                f"frequency: expected 'epoch', 'batch' or a positive int, received {frequency!r}."
            )
        self.frequency = frequency
        self._variables: list[Any] = []
        self._clear()
        if frequency != "epoch":  # a hook that runs after each batch costs time, even an empty one
            vars(self)["on_train_batch_end"] = self._after_batch

    def _clear(self) -> None:
        self.weights: list[list[np.ndarray]] = []
        self.names: list[str] = []
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.steps: list[int] = []
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Record the initial weights, unless they are the last entry."""
        variables = self.model.trainable_weights
        if [*map(id, variables)] != [*map(id, self._variables)]:
            self._variables = variables
            self._clear()
            self.names = [v.path for v in variables]
        self._record_if_new({})

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the number of the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Record if `frequency` is "epoch"."""
        if self.frequency == "epoch":
            self._record(logs or {})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Record the final weights, unless they are the last entry."""
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
