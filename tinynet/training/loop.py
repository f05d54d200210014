"""A pass over the batches of a dataset: an epoch of training, an evaluation, a prediction.

Imports `compiled.py`, `divergence.py`, callbacks. Read next: `trainer.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import tree
from ..callbacks import CallbackList
from ..callbacks.base import Logs
from ..engine.bind import no_grad
from ..engine.variable import structure
from .compilable import Compilable, as_tensors
from .compiled import Run, Runner
from .data import Dataset, Stream
from .divergence import DivergenceMonitor
from .step import Batch, Step


class Loop:
    """Runs one step of a model for each batch of a dataset.

    The compiled step, unless the model is to run eagerly or its class overrides the step.

    Parameters
    ----------
    model : Trainer
    dataset : Dataset or Stream
    kind : "train" or "test"
    calls : CallbackList, optional
    monitor : DivergenceMonitor, optional
    """

    def __init__(
        self,
        model: Any,
        dataset: Dataset | Stream,
        kind: str,
        calls: CallbackList | None = None,
        monitor: DivergenceMonitor | None = None,
    ) -> None:
        self.model, self.dataset, self.kind, self.monitor = model, dataset, kind, monitor
        self.calls = CallbackList() if calls is None else calls
        self.objective = model.objective
        self.step = model.train_step if kind == "train" else model.test_step
        usual = Compilable.train_step if kind == "train" else Compilable.test_step
        self.overridden = getattr(self.step, "__func__", None) is not usual
        self.runner: Runner | None = None
        if not (self.overridden or model.run_eagerly):
            cache = model.train_function if kind == "train" else model.test_function
            self.runner = cache.runner(dataset, with_outputs=self.objective.has_python_metrics)

    def run(self, epoch: int = 0) -> Logs:
        """Go through the batches of one epoch; return the means over its samples."""
        model, monitor, objective = self.model, self.monitor, self.objective
        before, after = self.calls.before(self.kind), self.calls.after(self.kind)
        training = self.kind == "train"
        objective.reset()
        total, seen, known = 0.0, 0, 0
        limit = monitor.limit if monitor else math.inf
        version: Any = None

        def running() -> Logs:
            return objective.logs(total / seen)

        for batch, (rows, size) in enumerate(self.dataset.epoch()):
            for call in before:
                call(batch, {})
            if size != known or version is not structure.version:
                version = structure.version
                run, known = self._for_size(size), size
            loss, _ = run(rows)
            total += loss * size
            seen += size
            if monitor and not loss <= limit:  # NaN is not, either
                limit = monitor.check(loss, epoch, batch)
            if after:
                after(batch, running)
            if training and model.stop_training:
                break
        if not seen:
            return {}
        if not model.optimizer.built:
            # No step was taken, but Keras makes the state here, too.
            model.optimizer.build(model.trainable_variables)
        return running()

    def _for_size(self, size: int) -> Run:
        """Return the function that takes a step on rows, or on a batch of a stream."""
        run = self.runner.for_size(size) if self.runner else self._run_eagerly
        if not self.objective.has_python_metrics:
            return run

        def run_and_update(rows: Any) -> tuple[float, Any]:
            loss, y_pred = run(rows)
            _, y, sample_weight = map(as_tensors, self.dataset.take(rows))
            self.objective.update(y, y_pred, sample_weight, python=True)
            return loss, y_pred

        return run_and_update

    def _run_eagerly(self, rows: Any) -> tuple[float, Any]:
        x, y, sample_weight = map(as_tensors, self.dataset.take(rows))
        if self.overridden:
            loss, y_pred = self.step(x, y, sample_weight)
            self.model.compute_metrics(x, y, y_pred, sample_weight)
        else:
            loss, y_pred = Step(self.model, self.kind).run(Batch(x, y, sample_weight))
        return loss.item(), y_pred


def predict_batches(
    model: Any, dataset: Dataset | Stream, calls: CallbackList | None = None
) -> list[Any]:
    """Return the outputs of a model for each batch, as arrays."""
    before = calls.before("predict") if calls else []
    after = calls.after("predict") if calls else None
    if not model._called:
        model._outputs_of(dataset.first())
    runner = None if model.run_eagerly else model.predict_function.runner(dataset)
    parts: list[Any] = []
    for batch, (rows, size) in enumerate(dataset.epoch()):
        for call in before:
            call(batch, {})
        if runner:
            parts.append(runner.for_size(size)(rows)[1])
        else:
            with no_grad():
                outputs = model(as_tensors(dataset.take(rows)[0]))
            parts.append(tree.map_structure(np.array, outputs))
        if after:
            after(batch, lambda: {"outputs": parts[-1]})
    return parts
