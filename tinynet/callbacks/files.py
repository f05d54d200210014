"""Callbacks that write files: checkpoints, backups, and a CSV table of the epochs.

Imports `monitors.py`, `../configs/files.py`. Read next: `../training/trainer.py`, which calls them.
"""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from ..configs.files import allowance, appended, as_path, parsed, refusing, replacing
from ..distribution.ranks import by_rank_0
from ..engine.expect import expect, is_integer
from ..engine.variable import assign_all
from .base import Callback, Logs
from .monitors import MonitorCallback, announce

if TYPE_CHECKING:
    from pathlib import Path


class SavingCallback(Callback):
    """Base of callbacks that call `_save` after each epoch, or after a number of batches."""

    _epoch = 0
    _batches = 0  # since the last call of `_save`
    _save: Any  # takes the epoch, the logs and, after a batch, `batch`: 1, 2, ...

    def _call_every(self, every: Any, argument: str = "save_freq") -> None:
        counts = is_integer(every) and not isinstance(every, bool)
        valid = every == "epoch" or (counts and int(every) > 0)
        expect(valid, argument, "'epoch' or a positive int", every)
        self._every = every
        if every != "epoch":  # a hook that runs after each batch costs time, even an empty one
            vars(self)["on_train_batch_end"] = self._after_batch

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the number of the epoch."""
        self._epoch = epoch

    def _after_batch(self, batch: int, logs: Logs | None = None) -> None:
        self._batches += 1
        if self._batches == self._every:
            self._batches = 0
            self._save(self._epoch, logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if the frequency is "epoch"."""
        if self._every == "epoch":
            self._save(epoch, logs or {})


@dataclass(eq=False, repr=False)
class ModelCheckpoint(MonitorCallback, SavingCallback):
    """Save the model, or its weights, during training.

    Parameters
    ----------
    filepath : path
        May contain fields, as in ``"{epoch:02d}-{val_loss:.2f}.keras"``: the epoch (1, 2, ...), the
        batch if `save_freq` is a number, and all logs. Missing folders are created.
    monitor, mode : the quantity to improve, as for `MonitorCallback`
    verbose : 0 or 1
        Whether to print a message for each file.
    save_best_only : bool
        Whether to save only when `monitor` has improved.
    save_weights_only : bool
        Whether to call `save_weights` instead of `save`; the path needs its file extension.
    save_freq : "epoch" or int
        Save at the end of each epoch, or after this many batches.
    initial_value_threshold : float, optional
        The first value of `monitor` must be better than this.

    Raises
    ------
    ValueError
        For a path with another extension, or an invalid `save_freq`.
    KeyError
        If the path has a field that is not in the logs.

    >>> ModelCheckpoint("best.keras", monitor="loss", save_best_only=True).filepath
    'best.keras'
    """

    filepath: str | os.PathLike[str]
    monitor: str = "val_loss"
    verbose: int = 0
    save_best_only: bool = False
    save_weights_only: bool = False
    mode: str = "auto"
    save_freq: str | int = "epoch"
    initial_value_threshold: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.best = self.initial_value_threshold
        self.filepath = path = os.fspath(self.filepath)
        extensions = (".weights.h5", ".weights.npz") if self.save_weights_only else (".keras",)
        wanted = f"a name that ends in {' or '.join(extensions)}"
        expect(path.endswith(extensions), "filepath", wanted, path)
        self._call_every(self.save_freq)

    def _save(self, epoch: int, logs: Logs, **batch: int) -> None:
        path = self._path({"epoch": epoch + 1, **batch, **logs})
        if self.save_best_only and not self._is_best(epoch, logs, path):
            return
        if not self.save_best_only:
            announce(self, epoch, f"saving model to {path}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        announce(self, epoch, f"finished saving model to {path}")

    def _path(self, fields: dict[str, Any]) -> str:
        try:
            return os.fspath(self.filepath).format(**fields)
        except KeyError as error:
            problem = f'Failed to format this callback filepath: "{self.filepath}"'
            raise KeyError(f"{problem}. Reason: no {error} among {[*fields]}") from None

    def _is_best(self, epoch: int, logs: Logs, path: str) -> bool:
        current = self._value(logs, "Can save best model only with {} available.")
        if current is None:
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            announce(self, epoch, f"{self.monitor} did not improve from {before}")
            return False
        change = f"improved from {before} to {current:.5f}, saving model to {path}"
        announce(self, epoch, f"{self.monitor} {change}")
        self.best = current
        return True


PROGRESS = "training_metadata.json"


@dataclass(eq=False, repr=False)
class BackupAndRestore(SavingCallback):
    """Continue an interrupted `fit`: run the same program again.

    After each epoch the weights, the state of the optimizer, the number of the epoch and the states
    of random generators (NumPy's global one, which shuffles, and those of layers) are written to a
    folder. A `fit` that finds them there continues from them; a `fit` that ends removes them. Rank
    0 writes, and all ranks read; a different number of ranks may continue. After a crash at any
    moment, the weights in the folder are those of the epoch whose number is stored there.

    Parameters
    ----------
    backup_dir : path
        A folder that nothing else uses.
    save_freq : "epoch" or int
        Save at the end of each epoch, or also after this many batches. An interrupted epoch starts
        again from its beginning.
    double_checkpoint : bool
        Whether to keep the previous state as well, in case the last one cannot be read.
    delete_checkpoint : bool
        Whether to remove the folder when training ends.

    Raises
    ------
    ValueError
        For an empty `backup_dir` or an invalid `save_freq`; in `fit`, for an unbuilt model.

    >>> BackupAndRestore("backup").save_freq
    'epoch'
    """

    backup_dir: str | os.PathLike[str]
    save_freq: str | int = "epoch"
    double_checkpoint: bool = False
    delete_checkpoint: bool = True

    def __post_init__(self) -> None:
        from pathlib import Path  # few models are backed up, and these are slow to import

        expect(as_path(self.backup_dir, "backup_dir"), "backup_dir", "a path", self.backup_dir)
        self.backup_dir = os.fsdecode(self.backup_dir)
        self._extension = ".weights.h5" if find_spec("h5py") else ".weights.npz"
        self._latest = f"latest{self._extension}"
        self._folder = Path(self.backup_dir)
        self._call_every(self.save_freq)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the state in the folder, if there is one."""
        self.resume_epoch = None
        advice = "a built model (add an `Input`, or call it)"
        expect(self.model.built, "BackupAndRestore", advice, self.model)
        try:
            self._restore("")
        except (OSError, ValueError):
            if not (self._folder / f"previous_{PROGRESS}").exists():
                raise
            self._restore("previous_")

    @by_rank_0
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the folder."""
        import shutil

        if self.delete_checkpoint:
            shutil.rmtree(self.backup_dir, ignore_errors=True)

    @by_rank_0
    def _save(self, epoch: int, logs: Logs, **batch: int) -> None:
        """Write the weights to a file named after the progress, then the progress; rename the file.

        The progress decides which weights are valid: those in the file named after it, or, if there
        is none, those that were renamed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and (self._folder / PROGRESS).exists():
            for name in (self._latest, PROGRESS):
                with replacing(self._folder / f"previous_{name}") as file:
                    file.write((self._folder / name).read_bytes())
        progress = {"epoch": epoch, **batch} if batch else {"epoch": epoch + 1, "batch": 0}
        self.model.save_weights(self._weights_path(progress), overwrite=True)
        kind, keys, *rest = np.random.get_state(legacy=True)
        random = {"generator": [kind, np.asarray(keys).tolist(), *rest]}
        random["seeds"] = [v.numpy().tolist() for v in self._seeds]
        with replacing(self._folder / PROGRESS) as file:
            file.write(json.dumps(progress | random).encode())
        self._rename(progress)

    @property
    def _seeds(self) -> list[Any]:
        """The states of random generators, which files of weights do not contain."""
        weights = set(self.model.weights)
        return [v for v in self.model.variables if v not in weights]

    def _restore(self, prefix: str) -> None:
        path = self._folder / f"{prefix}{PROGRESS}"
        if not path.exists():
            return
        with refusing(f"'{path}'"):
            text = path.read_bytes()
            progress = parsed(text, allowance(text))
            for key in ("epoch", "batch"):
                expect(type(progress[key]) is int, key, "an int", progress[key])
            states = dict(zip(self._seeds, progress.get("seeds", ()), strict=True))
            states = {v: v.converted(state, v.path) for v, state in states.items()}
            if "generator" in progress:
                np.random.RandomState(0).set_state(tuple(progress["generator"]))
        if not prefix:
            self._rename(progress)
        if (optimizer := self.model.optimizer) and not optimizer.built:
            # load_weights skips the state of an optimizer that is not built
            optimizer.build(self.model.trainable_variables)
        self.model.load_weights(self._folder / f"{prefix}{self._latest}")
        if "generator" in progress:
            np.random.set_state(tuple(progress["generator"]))
        assign_all(states)
        self.resume_epoch = progress["epoch"]

    @by_rank_0
    def _rename(self, progress: dict[str, Any]) -> None:
        if self._weights_path(progress).exists():
            os.replace(self._weights_path(progress), self._folder / self._latest)

    def _weights_path(self, progress: dict[str, Any]) -> Path:
        return self._folder / f"{progress['epoch']}-{progress['batch']}{self._extension}"


@dataclass(eq=False, repr=False)
class CSVLogger(Callback):
    """Write a row of a CSV file after each epoch.

    Parameters
    ----------
    filename : path
    separator : str
        The text between two columns.
    append : bool
        Whether to append to an existing file, instead of replacing it.

    >>> CSVLogger("log.csv", separator=";").filename
    'log.csv'
    """

    filename: str | os.PathLike[str]
    separator: str = ","
    append: bool = False

    def __post_init__(self) -> None:
        self.filename, self.sep = os.fspath(self.filename), self.separator
        self.keys: list[str] | None = None

    @by_rank_0
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Create the file, or empty it unless `append`."""
        self.keys = None
        open(self.filename, "a" if self.append else "w", encoding="utf-8").close()

    @by_rank_0
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the row of the epoch, with ``NA`` for what is not in the logs.

        Values with new names, such as those of the first validation, get new columns. Keras writes
        columns for a validation that never takes place, and none for other values that come later.
        """
        logs = dict(logs or {})
        if self.keys is None or not logs.keys() <= {*self.keys}:
            self._add_columns(sorted(logs))
        cells = (as_cell(logs.get(key, "NA")) for key in self.keys or ())
        appended(self.filename, self._lines([[epoch, *cells]]))

    def _add_columns(self, keys: list[str]) -> None:
        """Give the file a header with these names, too; earlier rows have ``NA`` there."""
        with open(self.filename, encoding="utf-8", newline="") as file:
            header, *rows = [*csv.reader(file, delimiter=self.sep)] or [["epoch"]]
        new = [key for key in keys if key not in header]
        self.keys = [*header[1:], *new]
        table = [["epoch", *self.keys], *([*row, *["NA"] * len(new)] for row in rows)]
        with replacing(self.filename) as target:
            target.write(self._lines(table))

    def _lines(self, rows: list[list[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.sep).writerows(rows)
        return text.getvalue().encode()


def as_cell(value: Any) -> Any:
    """Return a logged value as one cell of a CSV row; several numbers as a quoted list.

    >>> as_cell(0.5), as_cell([1, 2])
    (0.5, '"[1, 2]"')
    """
    if isinstance(value, str) or not hasattr(value, "__iter__") or not getattr(value, "ndim", 1):
        return value
    return f'"[{", ".join(map(str, value))}]"'
