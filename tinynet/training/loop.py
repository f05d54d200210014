"""A pass over the batches of a dataset: an epoch of training, an evaluation, a prediction.

Imports `step_cache.py`, `divergence.py`, callbacks. Read next: `trainer.py`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..callbacks import CallbackList
from ..callbacks.base import Logs
from ..engine.tensor import wrap
from ..engine.variable import structure
from .compilable import Compilable
from .data import Batches, Stream
from .divergence import DivergenceMonitor
from .step import Step
from .step_cache import Run


class Loop:
    """Runs one step of a model for each batch of a dataset.

    The step is compiled, unless the model is to run eagerly or its class overrides the step.

    Parameters
    ----------
    model : Trainer
    dataset : Dataset or Stream
    kind : "train", "test" or "predict"
    calls : CallbackList, optional

    Attributes
    ----------
    outputs : list, the outputs that a prediction returned for each batch
    """

    def __init__(self, model: Any, dataset: Batches, kind: str, calls: Any = None) -> None:
        self.model, self.dataset, self.kind = model, dataset, kind
        self.calls: CallbackList = CallbackList() if calls is None else calls
        self.step: Any = getattr(model, f"{kind}_step", None)
        usual = getattr(Compilable, f"{kind}_step", None)
        self.eager = model.run_eagerly or getattr(self.step, "__func__", None) is not usual
        self.python_metrics = kind != "predict" and model.objective.has_python_metrics
        self.outputs: list[Any] = []
        self._runs: dict[int, Run] = {}
        self._version: object = None  # of the structure that `_runs` are for

    def whole(self) -> Logs:
        """Evaluate or predict all batches, between the callbacks' hooks for it; see `run`."""
        self.dataset.rewind(self.kind)
        getattr(self.calls, f"on_{self.kind}_begin")()
        logs = self.run()
        getattr(self.calls, f"on_{self.kind}_end")(logs)
        return logs

    def run(self, epoch: int = 0, monitor: DivergenceMonitor | None = None) -> Logs:
        """Go through the batches of one epoch; return the means over its samples.

        A prediction has none; it appends the outputs for each batch to `outputs`, as arrays.
        """
        model, outputs = self.model, self.outputs
        before, after = self.calls.before(self.kind), self.calls.after(self.kind)
        training, predicting = self.kind == "train", self.kind == "predict"
        if not predicting:
            model.objective.reset()
        elif not model._called:
            model._outputs_of(self.dataset.first())
        total, seen, known = 0.0, 0, 0
        limit = monitor.limit if monitor else math.inf
        version: Any = None

        def running() -> Logs:
            return {"outputs": outputs[-1]} if predicting else model.objective.logs(total / seen)

        for batch, (rows, size) in enumerate(self.dataset.epoch()):
            for call in before:
                call(batch, {})
            if size != known or version is not structure.version:
                version = structure.version
                run, known = self._for_size(size), size
            loss, y_pred = run(rows)
            total += loss * size
            seen += size
            if predicting:
                outputs.append(y_pred)
            elif not loss <= limit and monitor:  # NaN is not, either
                limit = monitor.check(loss, epoch, batch)
            if after:
                after(batch, running)
            if training and model.stop_training:
                break
        if predicting or not seen:
            return {}
        if not model.optimizer.built:
            # No step was taken, but Keras makes the state here, too.
            model.optimizer.build(model.trainable_variables)
        return running()

    def _for_size(self, size: int) -> Run:
        """Return the function that takes a step on rows, or on a batch of a stream."""
        if self._version is not structure.version:
            self._version, self._runs = structure.version, {}
        if size not in self._runs:
            run = self._run_eagerly if self.eager else self._compiled(size)
            self._runs[size] = partial(self._run_and_update, run) if self.python_metrics else run
        return self._runs[size]

    def _compiled(self, size: int) -> Run:
        cache, dataset = self.model._step_cache(self.kind), self.dataset
        with_outputs = self.python_metrics or self.kind == "predict"
        if isinstance(dataset, Stream):
            return lambda batch: cache.runner(batch, size, with_outputs)(slice(None))
        return cache.runner(dataset, size, with_outputs)

    def _run_eagerly(self, rows: Any) -> tuple[float, Any]:
        x, y, sample_weight = batch = self.dataset.take(rows).map(wrap)
        if self.kind == "predict":
            _, y_pred = Step(self.model, "predict").run(batch)
            return 0.0, tree.map_structure(np.array, y_pred)
        loss, y_pred = self.step(*batch)
        self.model.compute_metrics(x, y, y_pred, sample_weight)
        return loss.item(), y_pred

    def _run_and_update(self, run: Run, rows: Any) -> tuple[float, Any]:
        """Take a step; also update the metrics whose state is not in variables."""
        loss, y_pred = run(rows)
        _, y, sample_weight = self.dataset.take(rows).map(wrap)
        self.model.objective.update(y, y_pred, sample_weight, python=True)
        return loss, y_pred
