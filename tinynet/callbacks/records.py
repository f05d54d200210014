"""Callbacks for TensorBoard, for the history of weights, and for their moving averages.

Imports `files.py`, and the package tensorboardX when it is needed. Read next:
`../viz/landscape.py`, which draws recorded weights.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import partial, partialmethod
from typing import Any

import numpy as np

from ..distribution.ranks import by_rank_0
from ..engine.expect import expect
from ..engine.extras import imported
from .base import Callback, Logs
from .files import SavingCallback


@dataclass(eq=False, repr=False)
class TensorBoard(SavingCallback):
    """Write losses, metrics and histograms of the weights as logs for TensorBoard.

    Needs the package tensorboardX. The names of the curves are Keras's: ``epoch_loss`` in the
    folders ``train`` and ``validation``, ``evaluation_loss_vs_iterations``, ``batch_loss``.

    Parameters
    ----------
    log_dir : path
    histogram_freq : int
        The number of epochs from one histogram of the weights to the next; 0 writes none.
    write_graph : bool
        Without effect: `viz.plot_model` draws models.
    update_freq : "epoch", "batch" or int
        Means are written after each epoch. "batch" also writes the running means after each batch,
        an integer after that number of batches.
    write_images, write_steps_per_second, profile_batch, embeddings_freq, embeddings_metadata
        Only Keras has these.

    Raises
    ------
    ValueError
        For options that only Keras has, and for an invalid `update_freq`.
    ImportError
        If tensorboardX is not installed.

    >>> TensorBoard("logs", histogram_freq=1).log_dir
    'logs'
    """

    log_dir: str | os.PathLike[str] = "logs"
    histogram_freq: int = 0
    write_graph: bool = True
    write_images: bool = False
    write_steps_per_second: bool = False
    update_freq: str | int = "epoch"
    profile_batch: int = 0
    embeddings_freq: int = 0
    embeddings_metadata: Any = None

    def __post_init__(self) -> None:
        absent = ("write_images", "write_steps_per_second", "profile_batch", "embeddings_freq")
        given = {name: getattr(self, name) for name in absent if getattr(self, name)}
        expect(not given, "TensorBoard", "options that tinynet has", given)
        self._call_every(1 if self.update_freq == "batch" else self.update_freq, "update_freq")
        self._taken = 0
        self._writers: dict[str, Any] = {}

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            writer = imported("tensorboardX", "TensorBoard", "tensorboard").SummaryWriter
            self._writers[part] = writer(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _write(self, part: str, form: str, logs: Logs, step: int) -> None:
        for name, value in logs.items():
            self._writer(part).add_scalar(form.format(name), float(value), step)

    @by_rank_0
    def _save(self, epoch: int, logs: Logs, **batch: int) -> None:
        self._taken += int(self._every)
        self._write("train", "batch_{}", logs, self._taken)

    @by_rank_0
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the logs of the epoch, and the histograms if they are due."""
        epoch = int(epoch)
        expect(abs(epoch) < 2**63, "epoch", "an integer of 64 bits", epoch)
        logs = {**(logs or {}), "learning_rate": self.model.optimizer.learning_rate}
        held_out = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        self._write("validation", "epoch_{}", held_out, epoch)
        self._write("train", "epoch_{}", {k: v for k, v in logs.items() if k[:4] != "val_"}, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._writer("train").add_histogram(f"{weight.path}/histogram", weight.array, epoch)

    @by_rank_0
    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the logs of an evaluation."""
        step = int(self.model.optimizer.iterations)
        self._write("validation", "evaluation_{}_vs_iterations", logs or {}, step)

    @by_rank_0
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


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
        For an invalid `frequency`.

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
        self.steps.append(int(self.model.optimizer.iterations))


class SwapEMAWeights(Callback):
    """Evaluate and predict with the moving averages of the weights, which ``use_ema`` keeps.

    Parameters
    ----------
    swap_on_epoch : bool
        Whether the averages also replace the weights from the end of an epoch to the beginning of
        the next one, for callbacks that follow this one, such as `ModelCheckpoint`.

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
        """Give the averages to the model if `swap_on_epoch`: permanently after the last epoch.

        The end of `fit` gives them permanently in any case.
        """
        if self.swap_on_epoch and (self.model.stop_training or epoch + 1 == self.params["epochs"]):
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        elif self.swap_on_epoch:
            self._swap(True)

    on_test_begin = on_predict_begin = partialmethod(_swap, True)
    on_test_end = on_predict_end = partialmethod(_swap, False)
