"""Logs for TensorBoard.

Imports `files.py`, and the package tensorboardX when it is needed. Read next: `base.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..distribution.ranks import by_rank_0
from ..engine.expect import expect
from ..engine.extras import missing
from .base import Logs
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
        For options that only Keras has, and for another `update_freq`.
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
            try:
                writer = import_module("tensorboardX").SummaryWriter
            except ImportError:
                raise missing("TensorBoard", "tensorboard") from None
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
        own = {k: v for k, v in logs.items() if not k.startswith("val_")}
        self._write("train", "epoch_{}", own, epoch)
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
