"""What a model is compiled with, and its loss and steps: the part of `Trainer` without loops.

Imports `objective.py`, `step.py`, `step_cache.py`. Read next: `loop.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops, optimizers, tree
from ..compiler.executable import Native
from ..configs.watched import all_or_nothing
from ..engine.bind import no_grad
from ..engine.expect import expect
from ..engine.temporarily import temporarily
from ..engine.tensor import Tensor, wrap
from ..engine.variable import stateless, structure
from ..layers.base import Layer
from ..layers.symbolic import within
from .data import Batches, Dataset
from .objective import Objective, check_arguments, check_names
from .step import Batch, Step
from .step_cache import StepCache


class Compilable(Layer):
    """A layer with an optimizer, a loss and metrics, and the steps that these define."""

    _unwatched = Layer._unwatched | {
        *("optimizer", "loss", "loss_weights", "on_divergence", "run_eagerly", "compiled"),
        *("jit_compile", "_given_metrics", "_objective", "_steps"),
    }

    optimizer: Any = None
    loss: Any = None
    loss_weights: Any = None
    on_divergence = "warn"
    compiled = False
    run_eagerly = False
    jit_compile: Native = "auto"
    _given_metrics: tuple[Any, Any] = (None, None)
    _objective: Objective | None = None
    _steps: dict[str, StepCache]
    _graph: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "optimizer":  # which only steps of training read
            structure.change()

    @property
    def graph(self) -> Any:
        """The graph of layer calls, a `models.graph.Graph`; None if it is not known.

        It is not known for subclassed models, and before a Sequential model is built.
        """
        return self._graph

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Native = "auto",
        auto_scale_loss: bool = True,
        *,
        on_divergence: str = "warn",
    ) -> None:
        """Choose how the model is to be trained.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str, Loss or function ``(y_true, y_pred)``
            Names of losses and metrics are looked up when they are first used. For several outputs
            one for all, a list, or a dict by the outputs' names. None is no loss.
        loss_weights : float, or list or dict of floats, optional
            Factors of the outputs' losses in their sum.
        metrics, weighted_metrics : list of str, Metric or function
            Averaged over samples; only `weighted_metrics` use sample weights. For several outputs
            a list of such lists, or a dict.
        jit_compile : True, False or "auto"
            True runs steps as C, which the C compiler of this machine compiles when the first batch
            is known: numbers can differ in the last bits. A step with a part that C has no text for
            runs as NumPy, after a warning. False runs NumPy. "auto" is C, where that is possible,
            if a step has at most 400 equations, and the number of steps of this `fit`, `evaluate`
            or `predict`, times (equations + elements that they make / 2000), is at least 2 ** 18:
            then C saves about as much time as its compiler takes. See also `tinynet.jit`.
        run_eagerly, steps_per_execution, auto_scale_loss
            Accepted as in Keras; they do not change the numbers.
        on_divergence : "warn", "raise" or "ignore"
            What `fit` does when the loss first becomes infinite or NaN, or grows without bound: a
            `DivergenceWarning` says where and, if it can be found, why.

        Raises
        ------
        ValueError
            For an unknown optimizer, a class instead of an object, and metrics other than a list,
            tuple or dict.
        NotImplementedError
            With ``jit_compile=True``, from `fit` and the like, where there is no C compiler.
        """
        check_arguments(loss_weights, metrics, weighted_metrics)
        known = isinstance(on_divergence, str) and on_divergence in ("warn", "raise", "ignore")
        expect(known, "on_divergence", "'warn', 'raise' or 'ignore'", on_divergence)
        expect(
            isinstance(jit_compile, (bool, str)) and jit_compile in (True, False, "auto"),
            "jit_compile",
            "True, False or 'auto'",
            jit_compile,
        )
        is_bool = isinstance(run_eagerly, (int, np.bool_, type(None)))
        expect(is_bool, "run_eagerly", "a bool", run_eagerly)
        expect(optimizer is not None, "optimizer", "an optimizer or its name", optimizer)
        with all_or_nothing(self):
            self.optimizer, self.loss = optimizers.get(optimizer), loss
            self.loss_weights, self._given_metrics = loss_weights, (metrics, weighted_metrics)
            self.on_divergence, self.run_eagerly = on_divergence, bool(run_eagerly)
            self.jit_compile, self._objective, self._steps = jit_compile, None, {}
            self.compiled = True

    @property
    def objective(self) -> Objective:
        """The losses and metrics, looked up; ValueError before the first batch is known."""
        if self._objective is None:
            raise ValueError("Losses and metrics are not known before the first batch: call `fit`.")
        return self._objective

    @property
    def lock(self) -> threading.RLock:
        """What a thread holds while it prepares the model, trains an epoch or evaluates.

        So the state of the metrics belongs to one call at a time.
        """
        lock: threading.RLock = vars(self).setdefault("_lock", threading.RLock())
        return lock

    def _prepare(self, batches: Batches) -> bool:
        """Build the model and look up losses and metrics; return whether that was still to do."""
        with self.lock:
            return self._prepared(batches)

    def _prepared(self, batches: Batches) -> bool:
        if not self.compiled:
            raise ValueError("You must call `compile()` before using the model.")
        y = batches.y if isinstance(batches, Dataset) else batches.first().y
        if self._objective is not None:
            self._objective.demand(y)
            return False
        check_names(self.loss, *self._given_metrics)
        y_pred = self.graph.output if self.graph else self._outputs_of(batches.first())
        self._objective_for(y, y_pred)
        return True

    def _objective_for(self, y: Any, y_pred: Any) -> Objective:
        """Return the losses and metrics; they are looked up for the first targets and outputs."""
        if self._objective is None:
            given = (self.loss, self.loss_weights, *self._given_metrics)
            self._objective = Objective(y_pred, self._names_of(y_pred), y, given)
        return self._objective

    @contextmanager
    def prepared(self, batch: Dataset) -> Iterator[Dataset]:
        """Look up losses and metrics for a batch, and forget them on leaving if they were unknown.

        So the next `fit` is still the first one.
        """
        with temporarily(self, _objective=self._objective):
            self._prepare(batch)
            yield batch

    def _outputs_of(self, batch: Dataset) -> Any:
        """Run the model on a batch, and build it if needed; assignments to weights are not kept."""
        with no_grad(), stateless({v: wrap(v.array) for v in self.variables}):
            return self(batch.data.map(wrap).x)

    def _try(self, batches: Batches, argument: str) -> None:
        """Compute the loss of the first samples, to refuse data of wrong shapes before training."""
        if type(self).test_step is not Compilable.test_step:
            return  # which may take other data
        x, y, sample_weight = batches.first(1).data.map(wrap)
        held = stateless({v: wrap(v.array) for v in self.variables})
        try:
            with no_grad(), held, within(training=False, losses={}), np.errstate(all="ignore"):
                self.compute_loss(x, y, self(x), sample_weight, training=False)
        except ValueError as error:
            raise ValueError(f"{argument}: {error}") from error

    def _names_of(self, y_pred: Any) -> list[str]:
        """Return names for the outputs: their keys, or those of the layers that they come from."""
        if isinstance(y_pred, dict):
            return sorted(y_pred)
        numbered = [f"output_{i + 1}" for i in range(len(tree.flatten(y_pred)))]
        return self.graph.output_names if self.graph else numbered

    # -- one step -----------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the loss of predictions plus the losses that layers add, a scalar tensor."""
        loss = self._objective_for(y, y_pred).loss(y, y_pred, sample_weight)
        terms = [*([] if loss is None else [loss]), *map(ops.sum, self.losses)]
        if not terms:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return sum(terms[1:], terms[0])

    def compute_metrics(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> None:
        """Update the compiled metrics with the samples of a batch."""
        self.objective.update(y, y_pred, sample_weight)

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Any]:
        """Take one step on a batch; return the loss before it and the predictions."""
        return Step(self, "train", with_metrics=False).run(Batch(x, y, sample_weight))

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Any]:
        """Return the loss and the predictions of a batch."""
        return Step(self, "test", with_metrics=False).run(Batch(x, y, sample_weight))
