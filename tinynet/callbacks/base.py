"""The base of callbacks, the callbacks that every `fit` has, and the list that calls them.

Imports `progbar.py`. Read next: `monitors.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..configs.configurable import Checked
from ..engine.expect import expect
from ..engine.refusal import answering
from ..public import notebook_form
from .progbar import Progbar, write

Logs = dict[str, Any]
Hook = Callable[..., Any]


class Callback(Checked):
    """Base class of callbacks: override the hooks that should run.

    Attributes
    ----------
    model : the model in training; ``self.model.stop_training = True`` ends it after the epoch
    params : dict with ``verbose``, ``epochs`` and ``steps``
    resume_epoch : int or None
        If `on_train_begin` sets it, `fit` begins with this epoch instead of its `initial_epoch`.
    """

    model: Any = None
    params: dict[str, Any] = {}
    resume_epoch: int | None = None

    def __init__(self) -> None:
        """Take no arguments; subclasses may."""

    def set_model(self, model: Any) -> None:
        """Receive the model."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Receive the parameters of the run."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Run before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Run after the last epoch, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Run before an epoch (0, 1, ...)."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Run after an epoch, with loss and metrics of training and validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of training: another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of training: another name for `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of training."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of training, with the running means of the epoch."""
        self.on_batch_end(batch, logs=logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Run before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Run after an evaluation, with loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of an evaluation, with the running means."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Run before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Run after a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of a prediction, with its ``outputs``."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback from functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, ... : functions with the arguments of the hook of this name

    Raises
    ------
    ValueError
        For a name that is not a hook.

    >>> LambdaCallback(on_train_end=lambda logs: print("done")).on_train_end({})
    done
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any] | None,
    ) -> None:
        given = {**locals(), **kwargs}
        unknown = sorted({*kwargs} - {*HOOKS})
        expect(not unknown, "LambdaCallback", f"names of hooks {[*HOOKS]}", unknown)
        vars(self).update({hook: f for hook, f in given.items() if hook in HOOKS and f})


class History(Callback):
    """The logs of each epoch: what `fit` returns.

    Attributes
    ----------
    history : dict of lists of floats, one per epoch
    epoch : list of the numbers of the epochs (0, 1, ...)
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin a new list of epochs, and become the history of the model."""
        self.epoch = []
        if self.model is not None:
            self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the logs of the epoch."""
        found = (logs or {}).items()
        self.epoch.append(epoch)
        for key, value in found:
            self.history.setdefault(key, []).append(value)

    def __repr__(self) -> str:
        last = "".join(f", {key}={values[-1]:.6g}" for key, values in self.history.items())
        return f"<History epochs={len(self.epoch)}{last}>"

    _repr_html_ = notebook_form


class ProgbarLogger(Callback):
    """Show a `Progbar` for each epoch, evaluation or prediction, according to `verbose` of the run.

    0 shows nothing, 1 and "auto" a moving bar, 2 one line. If the output is not a terminal, the bar
    cannot move, and one line is printed for each epoch.
    """

    _within_fit = False
    progbar: Progbar

    def __init__(self) -> None:
        self.set_params({"verbose": 1, "epochs": 1, "steps": None})
        self._start()

    def set_params(self, params: dict[str, Any]) -> None:
        """Set verbosity and the number of steps."""
        verbose, target = params["verbose"], params["steps"]
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.target, self.params = target, params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """From now on, evaluations belong to an epoch."""
        self._within_fit = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the number of the epoch, if there are several."""
        self._start()
        if self.progbar.moves or self.verbose == 2:
            self._write_number(epoch, "\n")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar; `logs` may be a function that returns them."""
        is_due = self.progbar.is_due(batch + 1)
        self.seen = batch + 1
        if is_due:
            values = logs() if callable(logs) else logs or {}
            self.progbar.update(self.seen, values.items(), finalize=False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the finished bar with the values of the epoch."""
        if self.verbose == 1 and not self.progbar.moves:
            self._write_number(epoch, " - ")
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start a bar, unless the evaluation belongs to an epoch."""
        if not self._within_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar, unless the evaluation belongs to an epoch."""
        if not self._within_fit:
            self.on_train_batch_end(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Show the finished bar with the values of the evaluation."""
        if not self._within_fit:
            self._finish(logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar, without the outputs."""
        self.on_train_batch_end(batch)

    def _write_number(self, epoch: int, end: str) -> None:
        if self.params["epochs"] > 1:
            write(f"Epoch {epoch + 1}/{self.params['epochs']}{end}")

    def _start(self, logs: Logs | None = None) -> None:
        """Start a bar."""
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())

    def _finish(self, logs: Logs | None = None) -> None:
        """Show the finished bar."""
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, (logs or {}).items(), finalize=True)

    on_predict_begin, on_predict_end = _start, _finish


class CallbackList(Callback):
    """Several callbacks, called in order: ``callbacks.on_epoch_end(epoch, logs)``.

    All receive the same dict of logs, with sorted keys, so each can add to what the next one sees.

    Parameters
    ----------
    callbacks : Callback, or lists of them, optional
    add_history, add_progbar : bool
        Whether to add a `History` or a `ProgbarLogger` if there is none among the callbacks.
    model : the model in training, optional
    **params : the parameters of the run, for `set_params`

    Raises
    ------
    ValueError
        If one of them is not a Callback.

    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> CallbackList([show, show]).on_epoch_end(0, {"loss": 1.0})
    0 {'loss': 1.0}
    0 {'loss': 1.0}
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks = _flat(callbacks)
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(callback, kind) for callback in self.callbacks):
                self.callbacks.append(kind())
        self.set_params(params)
        self.set_model(model)

    def set_model(self, model: Any) -> None:
        """Pass the model to all callbacks."""
        self.model = model
        for callback in self.callbacks if model is not None else ():
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Pass the parameters of the run to all callbacks."""
        for callback in self.callbacks if params else ():
            callback.set_params(params)
        self.params = params

    @property
    def history(self) -> History | None:
        """The first `History` among the callbacks, if any."""
        return next((c for c in self.callbacks if isinstance(c, History)), None)

    def first_epoch(self, initial_epoch: int) -> int:
        """Return the epoch that `fit` begins with: the last `resume_epoch`, or `initial_epoch`."""
        resumed = [c.resume_epoch for c in self.callbacks if c.resume_epoch is not None]
        return resumed[-1] if resumed else initial_epoch

    def close(self) -> None:
        """End the line of a progress bar, before an exception leaves the run."""
        for callback in self.callbacks:
            if isinstance(callback, ProgbarLogger):
                callback.progbar.close()

    @property
    def want_history_alone(self) -> bool:
        """Whether every callback is a `History`, which only records the logs of epochs."""
        return all(type(c) is History for c in self.callbacks)

    def of_batches(self, mode: str) -> tuple[list[Hook], Hook | None, bool]:
        """Return the hooks before a batch, the function after it, and whether all batches count.

        `mode` is "train", "test" or "predict". The function is None if no callback needs it. Its
        arguments are the number of the batch and a function that returns the logs so far, which is
        called only if they are needed. Progress bars may skip batches, other callbacks may not.
        """
        bars = [c for c in self.callbacks if type(c) is ProgbarLogger]
        others = [c for c in self.callbacks if c not in bars]
        hook = f"on_{mode}_batch_end"
        before, methods = _methods(others, f"on_{mode}_batch_begin"), _methods(others, hook)
        # A bar of known length that does not move is shown by the hook after the last batch.
        moves = _methods([b for b in bars if b.progbar.moves or b.target is None], hook)

        def call(batch: int, running: Callable[[], Logs]) -> None:
            logs = running()
            for method in (*methods, *moves):
                method(batch, logs)

        after = call if methods else moves[0] if moves else None
        return before, after, bool(before or methods)


def _flat(callbacks: Any) -> list[Callback]:
    if isinstance(callbacks, (list, tuple)):
        return [callback for part in callbacks for callback in _flat(part)]
    known = isinstance(callbacks, (Callback, type(None)))
    expect(known, "callbacks", "Callback objects", callbacks)
    return [] if callbacks is None else [callbacks]


_OTHER_NAMES = {f"on_train_batch_{x}": f"on_batch_{x}" for x in ("begin", "end")}


def _methods(callbacks: list[Callback], hook: str) -> list[Hook]:
    """Return the methods of the callbacks that override `hook`, or its other name."""
    other = _OTHER_NAMES.get(hook)
    overriding = [c for c in callbacks if _overrides(c, hook) or (other and _overrides(c, other))]
    return [getattr(callback, hook) for callback in overriding]


def _overrides(callback: Callback, name: str) -> bool:
    return getattr(getattr(callback, name), "__func__", None) is not getattr(Callback, name)


def _together(hook: str) -> Callable[..., None]:
    """Return the method of a `CallbackList` that calls `hook` of all callbacks."""
    count = int("epoch" in hook or "batch" in hook)  # of the arguments before the logs

    def call(self: CallbackList, *args: Any, logs: Logs | None = None) -> None:
        given = (args[count] if len(args) > count else logs) or {}
        ordered = dict(sorted(given.items()) if len(given) > 1 else given)
        for method in _methods(self.callbacks, hook):
            method(*args[:count], ordered)

    call.__name__, call.__doc__ = hook, getattr(Callback, hook).__doc__
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, answering(_together(_hook)))
