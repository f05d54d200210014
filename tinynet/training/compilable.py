"""What a model is compiled with, and its loss and steps: the part of `Trainer` without loops.

Imports `objective.py`, `step_cache.py`. Read next: `loop.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops, optimizers, tree
from ..compiler.executable import Native
from ..configs.watched import all_or_nothing
from ..engine.bind import no_grad
from ..engine.expect import expect, is_integer, is_number, is_real
from ..engine.tape import gradients
from ..engine.temporarily import temporarily
from ..engine.tensor import Tensor, wrap
from ..engine.variable import stateless, structure
from ..layers.base import Layer
from ..layers.module import attached_metrics
from ..layers.shapes import training_of
from .data import Dataset, unpack_x_y_sample_weight
from .divergence import loss_of
from .objective import Objective, check_names, flat_logs, is_nested, leaves_of, metrics_room, note
from .step import Batch, check_class, computed_loss, is_own, overridden
from .step_cache import StepCache
from .streams import Batches


def _among(*choices: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Hashable) and value in choices


def _by_output() -> tuple[str, Callable[[Any], bool]]:
    return "a list, tuple or dict", lambda x: isinstance(x, (list, tuple, dict, type(None)))


# What the options of `compile`, `fit` and the like may be, in words and as a condition.
OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("epochs", "initial_epoch"), ("an integer", is_integer)),
    **dict.fromkeys(
        ("batch_size", "steps", "steps_per_epoch", "validation_steps", "validation_batch_size"),
        ("an integer, or None for the default", lambda n: n is None or (is_integer(n) and n >= 0)),
    ),
    "verbose": ("0, 1, 2 or 'auto'", _among(0, 1, 2, "auto")),
    "shuffle": ("a bool or 'batch'", _among(True, False, None, "batch")),
    "return_dict": ("a bool", _among(True, False, None)),
    "loss_weights": ("numbers (metrics=[...] by name)", lambda w: all(map(is_real, leaves_of(w)))),
    **dict.fromkeys(("metrics", "weighted_metrics"), _by_output()),
    "run_eagerly": ("a bool", lambda flag: isinstance(flag, (int, np.bool_, type(None)))),
    "jit_compile": ("True, False or 'auto'", lambda x: isinstance(x, bool) or str(x) == "auto"),
    "on_divergence": ("'warn', 'raise' or 'ignore'", _among("warn", "raise", "ignore")),
    "validation_split": ("a share from 0 to 1", lambda share: share is None or is_number(share)),
}


def check_options(given: dict[str, Any]) -> None:
    """Raise ValueError for options that are not what `OPTIONS` says; for epochs TypeError."""
    for name, (wanted, holds) in OPTIONS.items():
        if name in given:
            kind = TypeError if name in ("epochs", "initial_epoch") else ValueError
            expect(holds(given[name]), name, wanted, given[name], kind)


class Compilable(Layer):
    """A layer with an optimizer, a loss and metrics, and the steps that these define."""

    _unwatched = Layer._unwatched | {
        *("optimizer", "loss", "loss_weights", "on_divergence", "run_eagerly", "compiled"),
        *("jit_compile", "_given_metrics", "_objective", "_steps", "_tracker", "_noted"),
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
    _tracker: Any = None
    _noted: Any = None  # the sum of the losses of the last epoch's samples, and their number
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
            None is for models that are only evaluated.
        loss : str, Loss or function ``(y_true, y_pred)``
            Names of losses and metrics are looked up when they are first used. For several outputs
            one for all, a list, or a dict by the outputs' names. None means no loss.
        loss_weights : float, or list or dict of floats, optional
            Factors of the outputs' losses in their sum.
        metrics, weighted_metrics : list of str, Metric or function
            Averaged over samples; only `weighted_metrics` use sample weights. For several outputs
            a list of such lists, or a dict.
        jit_compile : True, False or "auto"
            True runs steps as C, compiled by this machine's C compiler when the first batch is
            known; numbers can differ in the last bits. A step that cannot be printed as C runs as
            NumPy, after a warning. False runs NumPy. "auto" runs C, where that is possible, if a
            step has at most 400 equations, and the number of steps of this `fit`, `evaluate` or
            `predict`, times (equations + elements that they compute / 2000), is at least 2 ** 18:
            then C saves about as much time as its compiler takes. From the third time on that a
            `fit` records a step, since something that the step reads has changed, "auto" expects
            half as many steps each time, so that it stops compiling C. See also `tinynet.jit`.
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
        check_options(locals())
        with all_or_nothing(self):
            self.optimizer, self.loss = optimizers.get(optimizer), loss
            self.loss_weights, self._given_metrics = loss_weights, (metrics, weighted_metrics)
            self.on_divergence, self.run_eagerly = on_divergence, bool(run_eagerly)
            self.jit_compile = jit_compile
            check_class(self)
            self._objective, self._steps = None, {}
            self._tracker = self._noted = None
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

    def _prepare(self, batches: Batches, kind: str = "test", argument: str = "y") -> bool:
        """Build the model and look up losses and metrics; return whether anything was new."""
        with self.lock:
            if not self.compiled:
                raise ValueError("You must call `compile()` before using the model.")
            trains = self.optimizer or kind == "test" or is_own(self, kind)
            expect(trains, "optimizer", "one in `compile`, since the model is to be trained", None)
            y = batches.y if isinstance(batches, Dataset) else batches.first().y
            watched = self.loss is not None or any(self._given_metrics)
            y = y if watched else None  # a user's own step may read y as it likes
            if self._objective is not None:
                self._objective.demand(y, argument)
                return False
            check_names(self.loss, *self._given_metrics)
            is_new = watched or not self.built
            own = self.loss is not None and overridden(self, "compute_loss")
            if self.graph and not own:
                y_pred = self.graph.output
            else:  # a user's own step need not call the model
                calls = y is not None or type(self).call is not Layer.call
                losses_of = kind if own else None
                y_pred = self._outputs_of(batches.first(), losses_of) if calls else []
            several = is_nested(self.loss) or len(tree.flatten(y_pred)) > 1
            unused = own and (several or y is None)  # or `compute_loss` has looked it up already
            self._objective_for(y, y_pred, None if unused else self.loss)
            return is_new

    def _objective_for(self, y: Any, y_pred: Any, loss: Any) -> Objective:
        """Return the losses and metrics; they are looked up for the first targets and outputs."""
        if self._objective is None:
            given = (loss, self.loss_weights, *self._given_metrics)
            self._objective = Objective(y_pred, self._names_of(y_pred), y, given)
        return self._objective

    @contextmanager
    def prepared(self, batch: Dataset) -> Iterator[Dataset]:
        """Look up losses and metrics for a batch; on leaving, forget them if they were unknown.

        The next `fit` is then still the first one.
        """
        with temporarily(self, _objective=self._objective):
            self._prepare(batch)
            yield batch

    def _outputs_of(self, batch: Dataset, losses_of: str | None = None) -> Any:
        """Run the model on a batch, and build it if needed; assignments to weights are not kept.

        If a kind of step is given, `compute_loss` runs, too: a user's may pass other outputs on.
        """
        with no_grad(), stateless({v: wrap(v.array) for v in self.variables}):
            data = batch.data.map(wrap)
            y_pred = self(data.x)
            if losses_of:
                computed_loss(self, data, y_pred, training=losses_of == "train")
            return y_pred

    def _try(self, batches: Batches, argument: str) -> None:
        """Compute the loss of the first samples, to refuse data of wrong shapes before training."""
        if is_own(self, "test"):
            return  # a user's own step may take other data
        self._prepare(batches, argument=argument)
        loss = loss_of(self, batches.first(1))
        try:
            with no_grad(), np.errstate(all="ignore"):
                loss(*(v.value for v in self.trainable_variables))
        except ValueError as error:
            raise ValueError(f"{argument}: {error}") from error

    def _names_of(self, y_pred: Any) -> list[str]:
        """Return names for the outputs: their keys, or those of the layers that they come from.

        Those inside another structure have the path to it before them, as in Keras.
        """
        paths = [path for path, _ in tree.by_path(y_pred, y_pred)]
        if isinstance(y_pred, dict) and paths == sorted(y_pred):
            return paths

        def name(path: str, layer: str) -> str:
            before, slash, last = path.rpartition("/")
            return path if last and not last.isdigit() else before + slash + layer

        layers = self.graph.output_names if self.graph else []
        if len(layers) != len(paths):
            layers = [""] * len(paths)
        return [*map(name, paths, layers)]

    def zero_grad(self) -> None:
        """Reset the gradients that `backward` left at the weights to None."""
        for weight in self.weights:
            weight.zero_grad()

    # -- one step -----------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the loss of predictions plus the losses that layers add, a scalar tensor.

        Override it for a loss of your own, a scalar, too. It then also runs once before the first
        step, with nothing assigned, to find which outputs it passes to ``super().compute_loss``.
        """
        loss = self._objective_for(y, y_pred, self.loss).loss(y, y_pred, sample_weight)
        terms = [*([] if loss is None else [loss]), *map(ops.sum, self.losses)]
        if not terms:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return sum(terms[1:], terms[0])

    def compute_metrics(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Update the compiled metrics with the samples of a batch; return the logs."""
        self._objective_for(y, y_pred, self.loss).update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Any]:
        """The mean loss, the metrics given to `compile` as one, and those among the attributes.

        A step of your own updates and returns them (see `train_step`).
        """
        known = self._objective
        compiled = [self._mean_loss] if self.compiled else []
        return [*compiled, *([known] if known and known.watched else []), *attached_metrics(self)]

    @property
    def _mean_loss(self) -> Any:
        """The mean loss that users' own steps record, or that of the last epoch."""
        tracker = self._tracker = self._tracker or metrics_room().Mean("loss")
        if self._noted:
            tracker.total.assign(self._noted[0])
            tracker.count.assign(self._noted[1])
            self._noted = None
        return tracker

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`; those of the outputs' losses, if there are several."""
        parts = (getattr(metric, "own_names", [metric.name]) for metric in self.metrics)
        return [name for part in parts for name in part]

    def reset_metrics(self) -> None:
        """Let all metrics forget the samples they have seen."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict[str, Any]:
        """Return the results of `metrics` by name: the logs."""
        return flat_logs({metric.name: metric.result() for metric in self.metrics})

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take one step on a batch and return its logs; override it for a step of your own.

        `data` is ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, tensors or structures of them. The
        step is compiled if it can be recorded (see `jit`); otherwise `fit` warns, and runs it
        eagerly. Optimizers besides `optimizer`, for networks that train against each other, are
        attributes of the model. What it returns are the logs of the batch so far. At the end of an
        epoch the results of `metrics` are the logs, if they have the same names. Layers act as in
        training only if you call the model with ``training=True``.

        >>> import numpy as np, tinynet as tn
        >>> class Scaled(tn.Sequential):
        ...     def train_step(self, data):
        ...         x, y = data
        ...         y_pred = self(x, training=True)
        ...         loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        ...         loss.backward()
        ...         grads = [0.5 * v.grad for v in self.trainable_variables]
        ...         self.optimizer.apply(grads, self.trainable_variables)
        ...         for metric in self.metrics:
        ...             if metric.name == "loss":
        ...                 metric.update_state(loss)
        ...             else:
        ...                 metric.update_state(y, y_pred)
        ...         return {m.name: m.result() for m in self.metrics}
        >>> model = Scaled([tn.Input((1,)), tn.layers.Dense(1)])
        >>> model.compile(tn.optimizers.SGD(0.2), "mse", metrics=["mae"])
        >>> x = np.linspace(0, 1, 64)
        >>> history = model.fit(x, 2 * x, epochs=3, verbose=0)
        >>> sorted(history.history), model.train_function.compilations
        (['loss', 'mae'], 1)
        """
        return self._usual_step(data, training=True)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Return the logs of a batch; see `train_step`."""
        return self._usual_step(data, training=False)

    def predict_step(self, data: Any) -> Any:
        """Return the outputs for a batch; see `train_step`."""
        return self(unpack_x_y_sample_weight(data)[0], training=False)

    def _usual_step(self, data: Any, training: bool) -> dict[str, Any]:
        batch = Batch(*unpack_x_y_sample_weight(data))
        options = {"training": training} if training_of(type(self).call) else {}
        y_pred = self(batch.x, **options)
        loss = computed_loss(self, batch, y_pred, training)
        note(self._mean_loss, loss, batch)
        if training and (weights := self.trainable_variables):
            self.optimizer.apply(gradients(loss, [v.value for v in weights]), weights)
        return self.compute_metrics(batch.x, batch.y, y_pred, batch.sample_weight)
