"""Callbacks that write files: checkpoints, backups to go on from, and a table of the epochs.

Imports `monitors.py`. Read next: `training.py`, where callbacks are called.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import warnings
from importlib.util import find_spec
from typing import Any

from .base import Callback, Logs
from .monitors import MonitorCallback
from .progbar import write


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, in the course of training.

    Parameters
    ----------
    filepath : path
        May have fields such as ``"{epoch:02d}-{val_loss:.2f}.keras"``: the epoch (1, 2, ...), the
        batch where `save_freq` is a number, and what is logged. Folders are made.
    monitor, mode : what is to improve, as for `MonitorCallback`
    verbose : 0 or 1
        Whether to say what is saved.
    save_best_only : bool
        Whether to save only when `monitor` has improved.
    save_weights_only : bool
        Whether to call `save_weights`, for which the path ends as it demands, and not `save`.
    save_freq : "epoch" or int
        Save at the end of each epoch, or after so many batches.
    initial_value_threshold : float, optional
        What the first value of `monitor` must be better than.

    Raises
    ------
    ValueError
        For a path with another ending, or another `save_freq`.
    KeyError
        When the path has a field that is not logged.

    >>> ModelCheckpoint("best.keras", monitor="loss", save_best_only=True).filepath
    'best.keras'
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = checked_frequency(save_freq)
        endings = (".weights.h5", ".weights.npz") if save_weights_only else (".keras",)
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"The filepath provided must end in {' or '.join(endings)} where "
                f"save_weights_only={save_weights_only}. Received: filepath={self.filepath}"
            )
        self._epoch = 0
        self._due = Every(self.save_freq)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if self._due.after(batch):
            self._save(self._epoch, logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if that is to be done for each epoch."""
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Logs, **fields: int) -> None:
        path = self._path({"epoch": epoch + 1, **fields, **logs})
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _path(self, fields: dict[str, Any]) -> str:
        try:
            return self.filepath.format(**fields)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from None

    def _is_best(self, epoch: int, logs: Logs, path: str) -> bool:
        self._find_direction()
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available.", stacklevel=4)
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._say(
            epoch, f"{self.monitor} improved from {before} to {current:.5f}, saving model to {path}"
        )
        self.best = current
        return True

    def _say(self, epoch: int, message: str) -> None:
        if self.verbose > 0:
            write(f"\nEpoch {epoch + 1}: {message}\n")


class Every:
    """Says when so many batches have passed since it last said so; never for "epoch"."""

    def __init__(self, frequency: str | int) -> None:
        self.frequency = frequency
        self.passed = 0
        self.last = -1

    def after(self, batch: int) -> bool:
        """Return whether it is time, after this batch of the epoch."""
        if isinstance(self.frequency, str):
            return False
        self.passed += batch - self.last if batch > self.last else batch + 1
        self.last = batch
        if self.passed < self.frequency:
            return False
        self.passed = 0
        return True


def checked_frequency(save_freq: Any) -> str | int:
    """Return `save_freq`; ValueError unless it is "epoch" or an integer."""
    if save_freq != "epoch" and not isinstance(save_freq, int):
        raise ValueError(
            f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or integer values"
        )
    return save_freq


PROGRESS = "training_metadata.json"


class BackupAndRestore(Callback):
    """Go on with an interrupted `fit` where it was: run the same program again.

    After each epoch the weights, the optimizer's state and the number of the epoch are written to
    a folder; a `fit` that finds them there begins with them, and one that ends removes them. A
    crash at any moment leaves the weights and the number of one moment, never of two.

    Parameters
    ----------
    backup_dir : path
        A folder for this alone.
    save_freq : "epoch" or int
        Save at the end of each epoch, or also after so many batches; an epoch that was interrupted
        begins anew.
    double_checkpoint : bool
        Whether to keep the state before, too, for when the last one cannot be read.
    delete_checkpoint : bool
        Whether to remove the folder when training has ended.

    Raises
    ------
    ValueError
        For an empty `backup_dir`, another `save_freq`, and in `fit` for a model not yet built.

    >>> BackupAndRestore("backup").save_freq
    'epoch'
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        if not backup_dir:
            raise ValueError(f"backup_dir: expected the path of a folder, received {backup_dir!r}.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = checked_frequency(save_freq)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._ending = ".weights.h5" if find_spec("h5py") else ".weights.npz"
        self._latest = f"latest{self._ending}"
        self._epoch = 0
        self._due = Every(self.save_freq)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Go on from the folder, if there is something in it."""
        self.resume_epoch = None
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, the model must be built before `fit`: begin "
                f"it with an `Input`, or call it on data. Received: {self.model}"
            )
        try:
            self._restore("")
        except (OSError, ValueError):
            if not os.path.exists(self._file(f"previous_{PROGRESS}")):
                raise
            self._restore("previous_")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if it is time."""
        if self._due.after(batch):
            self._save(batch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if that is to be done for each epoch."""
        self._epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the folder."""
        if self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)

    def _save(self, batch: int) -> None:
        """Write weights under a name of their own, then what they are, then rename them.

        Once the second is done, the weights of that name count, or those that were renamed.
        """
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._file(PROGRESS)):
            for name in (self._latest, PROGRESS):
                shutil.copyfile(self._file(name), self._file(f"previous_{name}"))
        progress = {"epoch": self._epoch, "batch": batch}
        self.model.save_weights(self._fresh(progress), overwrite=True)
        replace(self._file(PROGRESS), json.dumps(progress))
        os.replace(self._fresh(progress), self._file(self._latest))

    def _restore(self, prefix: str) -> None:
        if not os.path.exists(self._file(prefix + PROGRESS)):
            return
        with open(self._file(prefix + PROGRESS), encoding="utf-8") as file:
            progress = json.load(file)
        if not prefix and os.path.exists(self._fresh(progress)):  # the last save was not finished
            os.replace(self._fresh(progress), self._file(self._latest))
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)  # or its state would not be loaded
        self.model.load_weights(self._file(prefix + self._latest))
        self.resume_epoch = self._epoch = progress["epoch"]

    def _file(self, name: str) -> str:
        return os.path.join(self.backup_dir, name)

    def _fresh(self, progress: dict[str, int]) -> str:
        return self._file(f"{progress['epoch']}-{progress['batch']}{self._ending}")


def replace(path: str, text: str) -> None:
    """Write a file that at any moment is the old one or the new one."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


class CSVLogger(Callback):
    """Write a line of a table after each epoch.

    Parameters
    ----------
    filename : path
    separator : str
        What stands between two columns.
    append : bool
        Whether to go on with the file, if there is one, instead of beginning it anew.

    >>> CSVLogger("log.csv", separator=";").filename
    'log.csv'
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Make the file, empty unless it is to be appended to."""
        self.keys = None
        with open(self.filename, "a" if self.append else "w", encoding="utf-8"):
            pass

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line: what is not logged is ``NA``."""
        logs = logs or {}
        rows: list[list[Any]] = []
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            if not os.path.getsize(self.filename):
                rows.append(["epoch", *self.keys])
        rows.append([epoch, *(as_cell(logs.get(key, "NA")) for key in self.keys)])
        with open(self.filename, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=self.sep).writerows(rows)


def as_cell(value: Any) -> Any:
    """Return a logged value as one cell of a table.

    >>> as_cell(0.5), as_cell([1, 2])
    (0.5, '"[1, 2]"')
    """
    if isinstance(value, str) or not hasattr(value, "__iter__") or not getattr(value, "ndim", 1):
        return value
    return f'"[{", ".join(map(str, value))}]"'
