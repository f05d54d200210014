"""A pass over the batches of a dataset: an epoch of training, an evaluation, a prediction.

Ctrl-C takes effect between two steps, when weights, slots and counts are consistent.
Imports `step_cache.py`, `divergence.py`, callbacks. Read next: `trainer.py`.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..callbacks import CallbackList
from ..callbacks.base import Logs
from ..distribution.ranks import Part, place, team
from ..engine.expect import warn
from ..engine.temporarily import temporarily
from ..engine.tensor import as_tensor, wrap
from ..engine.variable import structure
from .data import Dataset, first_of, rest_of
from .divergence import DivergenceMonitor
from .many_ranks import on_any
from .objective import plain
from .step import Step, optimizers_of, run_own
from .step_cache import Run, Runs, StepCache
from .streams import Batches, outputs_of_ranks

RUNNING = {"train": "training", "test": "evaluating", "predict": "predicting"}


class Interrupts:
    """Holds back KeyboardInterrupt while a step runs; a second Ctrl-C takes effect at once.

    Attributes
    ----------
    held : bool, whether a step runs
    pending : bool, whether Ctrl-C was pressed meanwhile
    """

    held = pending = False

    def release(self) -> None:
        """Note that a step ended; raise KeyboardInterrupt if Ctrl-C was pressed meanwhile."""
        self.held = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def receive(self, number: int, frame: Any) -> None:
        """Handle the signal."""
        if self.pending or not self.held:
            self.pending = False
            signal.default_int_handler(number, frame)
        self.pending = True


@contextmanager
def between_steps() -> Iterator[Interrupts]:
    """Let Ctrl-C take effect only when a step is released, or while none is held.

    Does nothing in threads other than the main one, and where the user handles SIGINT.
    """
    state, handler = Interrupts(), signal.getsignal(signal.SIGINT)
    outer = getattr(handler, "__self__", None)
    if threading.current_thread() is not threading.main_thread():
        yield state
    elif handler is not signal.default_int_handler:  # perhaps that of a fit around this one
        yield outer if isinstance(outer, Interrupts) else state
    else:
        try:
            signal.signal(signal.SIGINT, state.receive)
            yield state
            state.release()
        finally:
            signal.signal(signal.SIGINT, handler)


class Loop:
    """Runs one step of a model for each batch of a dataset.

    The step is compiled, unless the model is to run eagerly, or the step is the user's own and
    cannot be compiled.

    Parameters
    ----------
    model : Trainer
    dataset : Dataset or Stream
    kind : "train", "test" or "predict"
    calls : CallbackList, optional
    epochs : int
        How many epochs there will be: whether "auto" is C depends on the number of steps. From the
        third time on that this loop records a step, half as many steps are expected each time.

    Attributes
    ----------
    outputs : list, the outputs that a prediction returned for each batch
    interrupts : Interrupts, held back while a step runs
    monitor : DivergenceMonitor, which sees the losses, or None
    """

    monitor: DivergenceMonitor | None = None
    _together = False  # whether batches may run in one call

    def __init__(
        self, model: Any, dataset: Batches, kind: str, calls: Any = None, epochs: int = 1
    ) -> None:
        self.model, self.dataset, self.kind = model, dataset, kind
        self.calls: CallbackList = CallbackList() if calls is None else calls
        self.steps = epochs * (dataset.batches or 0)
        self.cache: StepCache = model._step_cache(kind)
        self._compilations = self.cache.compilations
        self._looks = not self.calls.want_history_alone  # whether users' code runs between steps
        self.own = self.cache.own  # did users write the step?
        self.logs: Logs = {}  # those that the user's step returned last
        self.python_metrics = kind != "predict" and model.objective.has_python_metrics
        if (self.own or self.python_metrics) and team().size > 1 and kind != "predict":
            what = f"a {kind}_step of your own, and metrics without variables"
            raise TypeError(f"DataParallel cannot join what ranks compute: {what}.")
        self._alone = team().size == 1 or (kind == "predict" and type(dataset) is Dataset)
        self.outputs: list[Any] = []
        self._stop = f"stop_{RUNNING[kind]}"  # the attribute of the model that ends the loop
        self._runs: dict[Part, Runs] = {}
        self._eager: dict[Part, Step] = {}
        self._ready: bool | None = None  # whether everything that a user's step reads is built
        self._version: object = None  # of the structure that these were made for
        self.interrupts = Interrupts()
        self._lock = nullcontext() if kind == "predict" else model.lock
        self._ahead: list[Logs] = []  # of epochs that are done already
        self._pace = 0  # batches that are run at once

    def whole(self) -> Logs:
        """Evaluate or predict all batches, between the callbacks' hooks for it; see `run`."""
        self.dataset.rewind(self.kind)
        setattr(self.model, self._stop, False)
        getattr(self.calls, f"on_{self.kind}_begin")()
        logs = self.run()
        getattr(self.calls, f"on_{self.kind}_end")(logs)
        return logs

    def run(self, epoch: int = 0, epochs: int = 1) -> Logs:
        """Go through the batches of one epoch; return the means over its samples.

        A prediction has no means; it appends the outputs of each batch to `outputs`, as arrays. If
        nothing happens between epochs, several of the next `epochs` may run in one call of C; later
        calls then only return their means.
        """
        if not self._ahead:
            self.interrupts.release()
            several = min(epochs, self._pace // (self.dataset.batches or 1))
            several = several if several > 1 and self._may_run_ahead() else 1
            try:
                with self._lock:
                    self._pass(epoch, several)
            except BaseException:
                self.calls.close()
                raise
        return self._ahead.pop(0)

    def _may_run_ahead(self) -> bool:
        metrics = self.own or self.python_metrics or self.model.objective.variables
        alone = self._alone and self.calls.want_history_alone
        return self.dataset.is_even and alone and not metrics

    def _begin(self) -> None:
        """Forget what the metrics have seen, or build a model that is to predict."""
        self._look_again()
        if self.kind != "predict":
            self.model.reset_metrics() if self.own else self.model.objective.reset_state()
        elif not self.model._called and not self.own:
            self.model._outputs_of(self.dataset.first())

    def _pass(self, epoch: int, epochs: int) -> None:
        """Run one epoch, or several one after the other; append the means of each to `_ahead`."""
        model, ahead, monitor = self.model, self._ahead, self.monitor
        predicting = self.kind == "predict"
        agree = bool if self._alone else on_any
        before, after, each = self.calls.of_batches(self.kind) if self._looks else ((), None, False)
        self._begin()
        limit = monitor.limit if monitor else math.inf
        last = (self.dataset.batches or 0) * (epochs > 1)
        total, seen, batch, stopped = 0.0, 0, 0, False

        def running() -> Logs:
            return {"outputs": self.outputs[-1]} if predicting else self._logs(total / seen)

        self._together = not (each := agree(each)) and self._can_run_many
        for data, rows, part, count in self.dataset.epoch(self.kind, self._together, epochs):
            while count and not stopped:
                for call in before:
                    call(batch, {})
                self.interrupts.held = True
                losses, size = self._take(data, rows, part, count, limit), part.size
                for loss in losses:
                    total += loss * size
                    seen += size
                    batch += 1
                    if not loss <= limit and monitor:  # NaN is not, either
                        limit = monitor.check(loss, epoch + len(ahead), batch - 1)
                    if batch == last:
                        ahead.append(running())
                        total, seen, batch = 0.0, 0, 0
                count -= len(losses)
                if count:
                    rows = rest_of(rows, len(losses) * part.length)
                if not last:
                    self.interrupts.release()
                if after:
                    after(batch - 1, running)
                stopped = (self._alone or each) and agree(getattr(model, self._stop))
            if stopped:
                break
        if not last:
            ahead.append(self._means(total, seen))

    def _look_again(self) -> None:
        """Note whether callbacks or users changed what a compiled step has read."""
        seen = self.cache.fingerprint
        if seen and self._runs and not seen.is_current():
            structure.change()

    @property
    def _can_run_many(self) -> bool:
        """Whether batches of this dataset can run in one call."""
        if not isinstance(data := self.dataset, Dataset):
            return False
        part = Part.of(min(data.batch_size, data.size), self.kind)
        return self._steps(data, part)[1] is not None

    def _means(self, total: float, seen: int) -> Logs:
        """Return the means of an epoch, from the sum of the losses of `seen` samples."""
        if self.kind == "predict" or not seen:
            return {}
        if self.model.optimizer and not self.model.optimizer.built:
            # No step was taken, but Keras makes the state here, too.
            self.model.optimizer.build(self.model.trainable_variables)
        if not self.own:
            vars(self.model)["_noted"] = total, seen  # which no step reads
        return self._logs(total / seen, at_end=True)

    def _logs(self, loss: float, at_end: bool = False) -> Logs:
        """Return the logs of the samples seen so far, given their mean loss."""
        if not self.own:
            return self.model.objective.logs(loss)
        results = self.model.get_metrics_result() if at_end else {}
        logs = results if results.keys() == self.logs.keys() else self.logs
        return plain(logs)

    def _take(self, data: Dataset, rows: Any, part: Part, count: int, limit: float) -> list[float]:
        """Run the first of `count` batches; return their losses, and append to `outputs`.

        There are several if one call of C can run them, up to a loss above `limit`.
        """
        if self._looks:
            self._look_again()
        run, many = self._steps(data, part)
        if self._together and many and count > 1 and (found := many(rows, count, limit)):
            losses, y_pred = found
            self._pace = max(self._pace, 2 * len(losses))
        else:
            loss, y_pred = run(rows if count == 1 else first_of(rows, part.length))
            if self.own and self.kind != "predict":
                self.logs, loss = y_pred, float(np.mean(np.asarray(y_pred.get("loss", 0.0))))
            losses = [loss]
        if self.kind == "predict":
            streams = data is not self.dataset
            self.outputs.append(outputs_of_ranks(part, y_pred) if streams else y_pred)
        return losses

    def _steps(self, data: Dataset, part: Part) -> Runs:
        """Return a function that takes a step on rows of a dataset, and one that takes many."""
        if self._version is not structure.version:
            self._version, self._runs, self._eager = structure.version, {}, {}
            self._ready = None
        if data is not self.dataset:  # it is a batch of a stream
            return self._made(data, part)
        if part not in self._runs:
            self._runs[part] = self._made(data, part)
        return self._runs[part]

    def _made(self, data: Dataset, part: Part) -> Runs:
        if self.own:
            return self._own(data, part), None
        eager = partial(self._run_eagerly, data, part), None
        runs = eager if self.model.run_eagerly else self._compiled(data, part)
        return (partial(self._run_and_update, data, runs[0]), None) if self.python_metrics else runs

    def _compiled(self, data: Dataset, part: Part) -> Runs:
        with_outputs = self.own or self.python_metrics or self.kind == "predict"
        again = max(0, self.cache.compilations - self._compilations - 1)
        with temporarily(place, part=part):
            return self.cache.runner(data, part.length, with_outputs, self.steps >> again)

    def _own(self, data: Dataset, part: Part) -> Run:
        """Return what runs a step that users wrote: compiled, or eagerly if that is not possible.

        Before the first step optimizers do not know their weights: that step runs eagerly, too. If
        a step cannot be recorded, it and all later ones run eagerly, where its errors are raised.
        """
        model, kind, cache = self.model, self.kind, self.cache
        found: list[Run] = []
        if self._ready is None:
            parts = [*(model.metrics if kind != "predict" else ()), *model._flatten_layers()[1:]]
            built = all(getattr(p, "built", p.variables) for p in parts)
            self._ready = built and not model.run_eagerly
        ready = self._ready

        def run(rows: Any) -> tuple[float, Any]:
            why = cache.refused
            begun = found or cache.begun or kind != "train"
            if ready and not why and (begun or all(o.built for o in optimizers_of(model))):
                try:
                    found[:] = found or [self._compiled(data, part)[0]]
                    return found[0](rows)
                except Exception as error:
                    why = f"{type(model).__name__}.{kind}_step runs eagerly: {error}"
            cache.begun, result = True, self._run_eagerly(data, part, rows)
            if why and not cache.refused:
                cache.refused = why
                warn(f"{why} Pass run_eagerly=True to `compile`.")
            return result

        return run

    def _run_eagerly(self, data: Dataset, part: Part, rows: Any) -> tuple[float, Any]:
        batch = data.take(rows).map(wrap)
        with temporarily(place, part=part):
            if self.own:
                loss, y_pred = wrap(0.0), run_own(self.model, self.kind, batch)
            else:
                if part not in self._eager:
                    self._eager[part] = Step(self.model, self.kind)
                loss, y_pred = self._eager[part].run(batch)
        if self.kind == "predict":
            return 0.0, tree.map_structure(np.array, y_pred)
        return loss.item(), y_pred

    def _run_and_update(self, data: Dataset, run: Run, rows: Any) -> tuple[float, Any]:
        """Take a step; also update the metrics whose state is not in variables."""
        loss, y_pred = run(rows)
        _, y, sample_weight = data.take(rows).map(wrap)
        outputs = tree.map_structure(as_tensor, y_pred)
        self.model.objective.update(y, outputs, sample_weight, in_variables=False)
        return loss, y_pred
