"""Callbacks of weights: one records them during training, one exchanges them with averages.

Imports `files.py`. Read next: `../viz/landscape.py`, which draws it.
"""

from __future__ import annotations

import math
from functools import partial, partialmethod
from typing import Any

import numpy as np

from ..engine.expect import expect
from .base import Callback, Logs
from .files import SavingCallback


class WeightHistory(SavingCallback):
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
        self._call_every(1 if frequency == "batch" else frequency, "frequency")
        self.frequency = frequency
        self._start_record([])

    def _start_record(self, variables: list[Any]) -> None:
        self._variables = variables
        self.weights: list[list[np.ndarray]] = []
        self.names: list[str] = [v.path for v in variables]
        self.losses: list[float] = []
        self.epochs: list[int] = []
        self.steps: list[int] = []
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Record the initial weights, unless they are the last entry."""
        variables = self.model.trainable_weights
        if [*map(id, variables)] != [*map(id, self._variables)]:
            self._start_record(variables)
        self._record_if_new({})

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Record the final weights, unless they are the last entry."""
        self._record_if_new(logs or {})

    def _record_if_new(self, logs: Logs) -> None:
        same = partial(np.array_equal, equal_nan=True)
        arrays = [v.array for v in self._variables]
        if not (self.weights and all(map(same, self.weights[-1], arrays))):
            self._save(self._epoch, logs)

    def _save(self, epoch: int, logs: Logs, **batch: int) -> None:
        self.losses.append(float(logs.get("loss", math.nan)))
        self.weights.append([v.array.copy() for v in self._variables])
        self.epochs.append(epoch)
        self.steps.append(self.model.optimizer.iterations.array.item())


class SwapEMAWeights(Callback):
    """Evaluate and predict with the moving averages of the weights, which ``use_ema`` keeps.

    Parameters
    ----------
    swap_on_epoch : bool
        Whether the averages also replace the weights from the end of an epoch to the beginning of
        the next one, for other callbacks, such as `ModelCheckpoint`, that stand after this one.

    Raises
    ------
    ValueError
        When the model's optimizer has no ``use_ema``.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> model.compile(tn.optimizers.SGD(use_ema=True), "mse")
    >>> loss = model.evaluate([1.0], [3.0], verbose=0, callbacks=[SwapEMAWeights()])
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch, self._swapped = swap_on_epoch, False

    def _swap(self, averages: bool, logs: Logs | None = None) -> None:
        """Give the averages to the model, or return the weights to it."""
        optimizer = self.model.optimizer
        expect(optimizer.use_ema, "SwapEMAWeights", "an optimizer with use_ema=True", optimizer)
        if self._swapped != averages:
            self._swapped = averages
            optimizer.swap_averages()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Return the weights to the model, if they were swapped at the end of an epoch."""
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Give the averages to the model, if they are to be swapped; after the last epoch for good.

        So does the end of `fit`.
        """
        if self.swap_on_epoch and (self.model.stop_training or epoch + 1 == self.params["epochs"]):
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        elif self.swap_on_epoch:
            self._swap(True)

    on_test_begin = on_predict_begin = partialmethod(_swap, True)
    on_test_end = on_predict_end = partialmethod(_swap, False)
