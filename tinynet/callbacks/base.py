"""Callbacks: what is called in the course of training, and those that are always there.

Imports `progress.py`. Read next: `monitors.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .progbar import Progbar, in_terminal, write

Logs = dict[str, Any]


class Callback:
    """Base of callbacks: define the hooks to be called at.

    Attributes
    ----------
    model : the model that is trained; set ``self.model.stop_training = True`` to end training.
    params : dict with ``verbose``, ``epochs`` and ``steps``
    resume_epoch : int or None
        After `on_train_begin`: the epoch that `fit` begins with instead of its `initial_epoch`.
    """

    model: Any = None
    params: dict[str, Any] = {}
    resume_epoch: int | None = None

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

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Be called before a batch of training: another name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Be called after a batch of training: another name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Be called before a batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Be called after a batch, with the running means of the epoch."""
        self.on_batch_end(batch, logs=logs)

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


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, ... : functions of what the hook of this name takes, optional

    Raises
    ------
    ValueError
        For a name that no hook has.

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
        unknown = sorted(set(kwargs) - set(HOOKS))
        if unknown:
            raise ValueError(f"Expected names of hooks {list(HOOKS)}, received: {unknown}")
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        vars(self).update({hook: f for hook, f in given.items() if f is not None})


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
        """Begin a new list of epochs, and be the model's history."""
        self.epoch = []
        if self.model is not None:
            self.model.history = self

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the logs of the epoch."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)


class ProgbarLogger(Callback):
    """Show a `Progbar` of each epoch, evaluation or prediction, as the run's `verbose` says.

    0 shows nothing, 1 and "auto" a bar that moves, 2 one line. Where the output is no terminal, a
    bar cannot move, and becomes one line for each epoch.
    """

    def __init__(self) -> None:
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self.progbar = Progbar(None, verbose=0)
        self._head = ""  # of a line that is yet to be printed
        self._within_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Be told how much to show, and of how many steps."""
        self.params = params
        self.verbose = 1 if params["verbose"] == "auto" else int(params["verbose"])
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Note that evaluations are now part of an epoch."""
        self._within_fit = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Print the epoch's number, if there are several."""
        self._start()
        if self.verbose and self.epochs > 1:
            self._head = f"Epoch {epoch + 1}/{self.epochs}"
            if self.verbose == 2 or in_terminal():
                write(f"{self._head}\n")
                self._head = ""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._move(batch, lambda: logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show all steps and the epoch's values."""
        self._finish(logs or {})

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Begin a bar, unless the evaluation belongs to an epoch."""
        if not self._within_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        if not self._within_fit:
            self._move(batch, lambda: logs or {})

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Show all steps and the evaluation's values."""
        if not self._within_fit:
            self._finish(logs or {})

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Begin a bar."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar; it does not show outputs."""
        self._move(batch, dict)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Show all steps."""
        self._finish(logs or {})

    def after(self, mode: str) -> Callable[[int, Callable[[], Logs]], None] | None:
        """Return what is to be called after each batch of ``"train"`` and so on, None if nothing.

        See `CallbackList.after`.
        """
        within = mode == "test" and self._within_fit
        if within or not (self.progbar.moves or self.target is None):
            return None
        return self._move_on if mode == "predict" else self._move

    def _move(self, batch: int, running: Callable[[], Logs]) -> None:
        self.seen = batch + 1
        if self.progbar.is_due(self.seen):
            self.progbar.update(self.seen, list(running().items()), finalize=False)

    def _move_on(self, batch: int, running: Callable[[], Logs]) -> None:
        self._move(batch, dict)  # outputs are not for a bar

    def _start(self) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose, stateless_metrics=())

    def _finish(self, logs: Logs) -> None:
        if self.target is None:
            self.target = self.progbar.target = self.seen
        if self._head:
            write(f"{self._head} - ")
            self._head = ""
        self.progbar.update(self.target, list(logs.items()), finalize=True)


class CallbackList(Callback):
    """Several callbacks, called together: ``callbacks.on_epoch_end(epoch, logs)``.

    Each is told the same dict of logs, its keys sorted, so that one may add to what the next sees.

    Parameters
    ----------
    callbacks : Callback, or lists of them, optional
    add_history, add_progbar : bool
        Whether to add a `History`, a `ProgbarLogger`, if none is among the callbacks.
    model : the model that is trained, optional
    **params : what each is told by `set_params`

    Raises
    ------
    ValueError
        For what is no Callback.

    >>> told = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> CallbackList([told, told]).on_epoch_end(0, {"loss": 1.0})
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
        self._known: dict[Any, list[Callable[..., Any]]] = {}  # methods by their hooks
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise ValueError(f"callbacks: expected Callback objects, received {callback!r}.")
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(callback, kind) for callback in self.callbacks):
                self.callbacks.append(kind())
        self._bar = next((c for c in self.callbacks if type(c) is ProgbarLogger), None)
        self.set_params(params)
        self.set_model(model)

    def set_model(self, model: Any) -> None:
        """Tell all the model."""
        self.model = model
        for callback in self.callbacks if model is not None else ():
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all the parameters of the run."""
        self.params = params
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    @property
    def history(self) -> History | None:
        """The first `History` among the callbacks, if any."""
        return next((c for c in self.callbacks if isinstance(c, History)), None)

    def first_epoch(self, initial_epoch: int) -> int:
        """Return the epoch that `fit` begins with: the last `resume_epoch`, or `initial_epoch`."""
        resumed = [c.resume_epoch for c in self.callbacks if c.resume_epoch is not None]
        return resumed[-1] if resumed else initial_epoch

    def before(self, mode: str) -> list[Callable[..., Any]]:
        """Return what to call before each batch of ``"train"``, ``"test"`` or ``"predict"``."""
        return self._methods(_BEGINS[mode])

    def after(self, mode: str) -> Callable[[int, Callable[[], Logs]], Any] | None:
        """Return what to call after each batch, None if nobody wants to know.

        It takes the batch's number and a function that returns the logs so far: they are not made
        for a bar that is not to be drawn yet.
        """
        if self._bar is None and not self._methods(_ENDS[mode]):
            return None
        move = self._bar.after(mode) if self._bar else None
        methods = self._methods(_ENDS[mode], but=self._bar)
        if not methods:
            return move

        def tell(batch: int, running: Callable[[], Logs]) -> None:
            logs = running()
            for method in methods:
                method(batch, logs)
            if move:
                move(batch, lambda: logs)

        return tell

    def _methods(self, hook: str, but: Callback | None = None) -> list[Callable[..., Any]]:
        """Return the methods of those that define `hook`, to be called in this order."""
        found = self._known.get((hook, but))
        if found is None:
            found = [m for c in self.callbacks if c is not but for m in _defined(c, hook)]
            self._known[hook, but] = found
        return found


_BEGINS = {mode: f"on_{mode}_batch_begin" for mode in ("train", "test", "predict")}
_ENDS = {mode: f"on_{mode}_batch_end" for mode in _BEGINS}


def _flat(callbacks: Any) -> list[Callback]:
    if isinstance(callbacks, (list, tuple)):
        return [callback for part in callbacks for callback in _flat(part)]
    return [] if callbacks is None else [callbacks]


def _defined(callback: Callback, hook: str) -> list[Callable[..., Any]]:
    """Return the callback's method for `hook`, or of its other name; nothing if it has none."""
    for name in dict.fromkeys((hook, hook.replace("_train_batch", "_batch"))):
        method = getattr(callback, name)
        if getattr(method, "__func__", method) is not getattr(Callback, name):
            return [method]
    return []


def _together(hook: str) -> Callable[..., None]:
    """Return the method of a `CallbackList` that calls `hook` of all."""
    places = int("epoch" in hook or "batch" in hook)

    def call(self: CallbackList, *args: Any, logs: Logs | None = None) -> None:
        given = (args[places] if len(args) > places else logs) or {}
        told = dict(sorted(given.items()) if len(given) > 1 else given)
        for method in self._methods(hook):
            method(*args[:places], told)

    call.__name__, call.__doc__ = hook, getattr(Callback, hook).__doc__
    return call


for _hook in HOOKS:
    setattr(CallbackList, _hook, _together(_hook))
