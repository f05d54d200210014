"""Callbacks that monitor a quantity, and stop training or change the learning rate.

Imports `base.py`. Read next: `files.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.expect import expect, warn
from .base import Callback, Logs
from .progbar import write

SIGNS = {"min": -1, "down": -1, "max": 1, "up": 1}
MISSING = "`{}` which is not available. Available metrics are: {}"


class MonitorCallback(Callback):
    """Base class of callbacks that depend on whether a logged quantity has improved.

    Attributes
    ----------
    monitor : str
        The name of the quantity in the logs.
    mode : "auto", "min" or "max"
        Whether less or more is better; "auto" is known for losses and built-in metrics.
    min_delta : float
        A smaller change does not count as an improvement.
    best : float or None, the best value so far
    """

    monitor: str
    mode: str
    min_delta: float = 0
    best: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "min", "max"):
            problem = f"{type(self).__name__} mode '{self.mode}' is unknown"
            warn(f"{problem}, fallback to auto mode.")
            self.mode = "auto"
        self.min_delta = abs(float(self.min_delta))
        self.on_train_begin()

    def _value(self, logs: Logs, warning: str) -> float | None:
        """Return the monitored value; None, with a warning, if it is missing.

        Raises
        ------
        ValueError
            If it is unknown whether more or less is better.
        """
        direction = self.mode if self.mode != "auto" else self._known_direction()
        wanted = f"a loss or built-in metric of {[*logs]} (mode='auto'), or mode='max' or 'min'"
        expect(direction in SIGNS, f"{type(self).__name__}: monitor", wanted, self.monitor)
        self._sign = SIGNS[direction]
        if logs.get(self.monitor) is None:
            warn(warning.format(self.monitor, ",".join(logs)))
        return logs.get(self.monitor)

    def _known_direction(self) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "down"
        metric, *_ = getattr(self.model._objective, "metrics", {}).get(name, (None,))
        return getattr(metric, "_direction", None) or ""

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        if reference is None or (reference != reference and value == value):  # after NaN
            return True
        gain = np.float32(self._sign * value - self.min_delta)  # in float32, as in Keras
        return bool(gain > np.float32(self._sign * reference))


def announce(callback: Any, epoch: int, message: str) -> None:
    """Print a message about an epoch, if the callback is verbose."""
    if callback.verbose > 0:
        write(f"\nEpoch {epoch + 1}: {message}\n")


@dataclass(eq=False, repr=False)
class EarlyStopping(MonitorCallback):
    """Stop training when a quantity has not improved for some epochs.

    Parameters
    ----------
    monitor, min_delta, mode
        As for `MonitorCallback`.
    patience : int
        The number of epochs without improvement after which training stops.
    verbose : 0 or 1
        Whether to print a message.
    baseline : float, optional
        Only an improvement that is also better than this restarts the count of `patience`.
    restore_best_weights : bool
        Whether to end with the weights of the best epoch, instead of the last one.
    start_from_epoch : int
        Earlier epochs are ignored.

    Raises
    ------
    ValueError
        After the first epoch, if `mode` is "auto" and it is unknown whether more is better.

    >>> import numpy as np, tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> model.compile(tn.optimizers.SGD(0.0), "mse")
    >>> stop = EarlyStopping(monitor="loss", patience=3)
    >>> x = np.ones(10)
    >>> len(model.fit(x, x, epochs=100, callbacks=[stop], verbose=0).epoch)
    4
    """

    monitor: str = "val_loss"
    min_delta: float = 0
    patience: int = 0
    verbose: int = 0
    mode: str = "auto"
    baseline: float | None = None
    restore_best_weights: bool = False
    start_from_epoch: int = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget earlier runs."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        current = self._value(logs or {}, f"Early stopping conditioned on metric {MISSING}")
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        improved = self._is_improvement(current, self.best)
        if self.restore_best_weights and (improved or self.best_weights is None):
            self.best_weights = self.model.get_weights()
        if improved:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights, and print why training stopped."""
        best = self.best_epoch + 1
        if self.verbose > 0 and self.stopped_epoch > 0:
            write(f"Epoch {self.stopped_epoch + 1}: early stopping\n")
        if self.best_weights is not None:
            if self.verbose > 0:
                write(f"Restoring model weights from the end of the best epoch: {best}.\n")
            self.model.set_weights(self.best_weights)


@dataclass(eq=False, repr=False)
class ReduceLROnPlateau(MonitorCallback):
    """Reduce the learning rate when a quantity has not improved for some epochs.

    Parameters
    ----------
    monitor, mode, min_delta
        As for `MonitorCallback`.
    factor : float
        The learning rate is multiplied by this number, which is less than 1.
    patience : int
        The number of epochs without improvement after which it is reduced.
    verbose : 0 or 1
        Whether to print a message.
    cooldown : int
        The number of epochs after a reduction that do not count.
    min_lr : float
        The least learning rate.

    Raises
    ------
    ValueError
        If `factor` is 1 or more, and as for `EarlyStopping`.

    >>> ReduceLROnPlateau(monitor="loss", factor=0.5, patience=2).factor
    0.5
    """

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    verbose: int = 0
    mode: str = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor >= 1.0:
            raise ValueError(f"Expected a factor below 1.0, received factor={self.factor!r}.")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget earlier runs."""
        self.best = None
        self.wait = self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the learning rate, and reduce it after `patience` epochs without improvement."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self._value(logs, f"Learning rate reduction is conditioned on metric {MISSING}")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and logs["learning_rate"] > np.float32(self.min_lr):
                self._reduce(epoch, logs["learning_rate"])

    def in_cooldown(self) -> bool:
        """Return whether the last reduction is so recent that this epoch does not count."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int, learning_rate: float) -> None:
        reduced = max(learning_rate * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = reduced
        self.cooldown_counter, self.wait = self.cooldown, 0
        announce(self, epoch, f"ReduceLROnPlateau reducing learning rate to {reduced}.")


@dataclass(eq=False, repr=False)
class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch.

    Parameters
    ----------
    schedule : function
        Takes the epoch (0, 1, ...) and the current learning rate, or the epoch alone, and returns
        the learning rate of the epoch.
    verbose : 0 or 1
        Whether to print a message.

    Raises
    ------
    ValueError
        If `schedule` does not return a number.

    >>> import numpy as np, tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> model.compile(tn.optimizers.SGD(0.5), "mse")
    >>> halved = LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> x = np.ones(10)
    >>> model.fit(x, x, epochs=3, callbacks=halved, verbose=0).history["learning_rate"]
    [0.25, 0.125, 0.0625]
    """

    schedule: Callable[..., Any]
    verbose: int = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate."""
        present = float(self.model.optimizer.learning_rate)
        rate = self.schedule(*((epoch, present) if _takes(self.schedule, 2) else (epoch,)))
        if isinstance(rate, (str, bool)) or not hasattr(rate, "__float__"):
            wanted = "The output of the `schedule` function should be a float"
            raise ValueError(f"{wanted}. Received: {rate!r}")
        self.model.optimizer.learning_rate = float(rate)
        announce(self, epoch, f"LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the learning rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes(function: Callable[..., Any], count: int) -> bool:
    """Return whether a function accepts `count` arguments; True if it has no signature."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # for example, a function written in C
        pass
    return True


@dataclass(eq=False, repr=False)
class TerminateOnNaN(Callback):
    """Stop training when the loss is not finite.

    Parameters
    ----------
    raise_error : bool
        Whether to raise a RuntimeError instead of stopping after the batch.
    """

    raise_error: bool = False

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Check the loss."""
        if np.isfinite(loss := (logs or {}).get("loss", 0.0)):
            return
        if self.raise_error:
            raise RuntimeError(f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}.")
        write(f"Batch {batch}: Invalid loss, terminating training\n")
        self.model.stop_training = True
