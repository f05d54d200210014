"""Training: compile, fit, evaluate, predict.

Imports everything that a model is trained with. Read next: `models.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops, optimizers, tree
from ..callbacks import CallbackList, History
from ..callbacks.base import Logs
from ..engine.autodiff import gradients
from ..engine.tensor import Tensor, no_grad, wrap
from ..engine.variable import Variable, stateless
from ..layers.base import Layer
from ..layers.symbolic import within
from .data import Dataset, Stream, batches_of, is_stream, split
from .divergence import Watch
from .objective import Objective, check_names
from .step import Step


class Trainer(Layer):
    """What is done with a model: the methods that `models.Model` has beside those of a layer."""

    optimizer: optimizers.Optimizer | None = None
    loss: Any = None
    compiled = False
    stop_training = False
    history: History | None = None
    graph: Any = None  # the `models.graph.Graph` of the calls of its layers, where it is known
    _initial_epoch = 0
    run_eagerly = False

    # -- compile ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
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
            one for all, a list, or a dict by the outputs' names; None is no loss.
        loss_weights : float, or list or dict of them, optional
            Factors of the losses, which are added up.
        metrics, weighted_metrics : list of str, Metric or function
            Averaged over samples; only the latter heed sample weights. For several outputs a list
            of such lists, or a dict.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Accepted as in Keras; they do not change the numbers.
        on_divergence : "warn", "raise" or "ignore"
            What `fit` does once when the loss turns infinite or NaN or grows without bound: a
            `DivergenceWarning` says where and, where it can be known, why.

        Raises
        ------
        ValueError
            For an unknown optimizer, a class instead of an object, and metrics that are no list,
            tuple or dict.
        """
        for name, value in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if value is not None and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    f"Expected `{name}` argument to be a list, tuple, or dict. Received instead: "
                    f"{name}={value} of type {type(value)}"
                )
        if loss_weights is not None and not isinstance(
            loss_weights, (int, float, list, tuple, dict)
        ):
            raise ValueError(
                "loss_weights: expected a number, or a list or dict of numbers, received "
                f"{loss_weights!r}."
            )
        if on_divergence not in ("warn", "raise", "ignore"):
            raise ValueError(
                f"on_divergence: expected 'warn', 'raise' or 'ignore', received {on_divergence!r}."
            )
        found = optimizers.get(optimizer)
        if found is None:
            raise ValueError("compile: expected an optimizer, received None.")
        self.optimizer = found
        self.loss = loss
        self.on_divergence = on_divergence
        self.loss_weights = loss_weights
        self.run_eagerly = bool(run_eagerly)
        self._given_metrics = (metrics, weighted_metrics)
        self._objective: Objective | None = None
        self._steps = None
        self.compiled = True

    def _prepare(self, batches: Dataset | Stream) -> bool:
        """Build the model and look up losses and metrics, if still to be done; return whether."""
        if not self.compiled:
            raise ValueError("You must call `compile()` before using the model.")
        y = batches.y if isinstance(batches, Dataset) else batches.first().y
        if self._objective is not None:
            self._objective.demand(y)
            return False
        check_names(self.loss, *self._given_metrics)
        y_pred = self.graph.output if self.graph else self._outputs_of(batches.first())
        self._prepare_for(y, y_pred)
        return True

    def _prepare_for(self, y: Any, y_pred: Any) -> Objective:
        """Return the losses and metrics for such targets and outputs, looked up the first time."""
        if self._objective is None:
            names = self._names_of(y_pred)
            given = (self.loss, self.loss_weights, *self._given_metrics)
            objective = Objective(y_pred, names, y, *given)
            objective.demand(y)
            self._objective = objective
        return self._objective

    @contextmanager
    def prepared(self, batch: Dataset) -> Iterator[Dataset]:
        """Know losses and metrics for a while; a first fit will still be the first one."""
        known = self._objective if self.compiled else None
        self._prepare(batch)
        try:
            yield batch
        finally:
            self._objective = known

    def _outputs_of(self, batch: Dataset) -> Any:
        """Run the model on a batch; what its layers assign to weights is not kept.

        The model is built by that, if it is not yet.
        """
        known = {v: wrap(v.array) for v in self.variables}
        with no_grad(), stateless(known):
            return self(_tensors(batch.x))

    def _names_of(self, y_pred: Any) -> list[str]:
        """Return names for the outputs: their keys, or those of the layers that they come from."""
        if isinstance(y_pred, dict):
            return sorted(y_pred)
        if self.graph:
            return self.graph.output_names
        return [f"output_{i + 1}" for i in range(len(tree.flatten(y_pred)))]

    # -- one step -----------------------------------------------------------------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Return the loss of predictions and what layers add to it, a scalar tensor."""
        loss = self._prepare_for(y, y_pred).loss(y, y_pred, sample_weight)
        for term in self.losses:
            loss = ops.sum(term) if loss is None else loss + ops.sum(term)
        if loss is None:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`.")
        return loss

    def compute_metrics(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> None:
        """Let the compiled metrics take the samples of a batch into account."""
        self._objective.update(y, y_pred, sample_weight, _is_held)  # type: ignore[union-attr]

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Any]:
        """Take one step on a batch; return the loss before it and the predictions."""
        with within(training=True):
            y_pred = self(x)
        loss = self.compute_loss(x, y, y_pred, sample_weight)
        variables = self.trainable_variables
        grads = self.gradients_of(loss, {v: v.value for v in variables})
        self.optimizer.apply(grads, variables)  # type: ignore[union-attr]
        return loss, y_pred

    def gradients_of(self, loss: Tensor, weights: dict[Variable, Tensor]) -> list[Tensor]:
        """Return the gradients of a loss with respect to weights; 0 for what has no part in it.

        Warns of weights without part in it, unless they may belong to an output without a loss.
        """
        found = gradients(loss, list(weights.values()))
        missing = [v.path for v, g in zip(weights, found, strict=True) if g is None]
        if missing and len(missing) == len(weights):
            raise ValueError("No gradients provided for any variable.")
        if missing and None not in self._objective.losses:  # type: ignore[union-attr]
            warnings.warn(f"Gradients do not exist for variables {missing}.", stacklevel=2)
        pairs = zip(weights.values(), found, strict=True)
        return [ops.zeros_like(weight) if g is None else g for weight, g in pairs]

    def test_step(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Tensor, Any]:
        """Return the loss and the predictions of a batch."""
        with no_grad():
            y_pred = self(x)
            return self.compute_loss(x, y, y_pred, sample_weight, training=False), y_pred

    # -- fit, evaluate, predict ---------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train on samples, several times over; return the losses of each epoch.

        Parameters
        ----------
        x, y : arrays, or lists of numbers
            Samples along the first axis. A list of arrays for a model of several inputs.
        batch_size : int
            Samples per step, 32 by default; the last batch may have fewer.
        epochs : int
            How often to go through all samples.
        verbose : 0, 1, 2 or "auto"
            0 is silent; otherwise a line is printed per epoch.
        callbacks : list of Callback
        validation_split : float
            This share of the samples, the last ones, is not trained on but evaluated.
        validation_data : tuple (x, y) or (x, y, sample_weight)
        shuffle : bool or "batch"
        class_weight : dict from class to weight
        sample_weight : array
            Each sample's loss is multiplied by it, before the mean over the batch.
        initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq
            As in Keras.

        Returns
        -------
        History
            ``history["loss"]`` is the mean over an epoch's samples of losses before their update.

        Raises
        ------
        ValueError
            Before `compile`; for data whose lengths differ, of a dtype without numbers, or empty;
            for an unknown loss or metric.
        TypeError
            For an unknown keyword, and where `epochs` is no integer.
        """
        data, validation = (x, y, sample_weight), _unpack(validation_data)
        if validation_split and validation is None:
            data, validation = split(data, validation_split)
        dataset = batches_of(*data, batch_size, steps_per_epoch, shuffle, class_weight)
        held_out = validation and batches_of(
            *validation, validation_batch_size or batch_size, validation_steps
        )
        due = _due(validation_freq)
        range(initial_epoch, epochs)  # which raises TypeError if they are no integers
        calls = self._callbacks(callbacks, verbose, dataset, epochs)
        if self._prepare(dataset):
            dataset.shuffle_once()
        self.stop_training, self._initial_epoch = False, initial_epoch
        logs: Logs = {}
        calls.on_train_begin()
        step = self._stepper(dataset, True)
        held_step = held_out and self._stepper(held_out, False)
        watch = Watch(self, dataset, self.on_divergence)
        watch.look_at_data()
        for epoch in range(self._initial_epoch, epochs):  # a callback may have set it
            calls.on_epoch_begin(epoch)
            found = self._pass(dataset, step, calls, "train", watch, epoch)
            if not found:  # nothing came, which was warned of
                break
            logs = found
            if held_out and due(epoch):
                found = self._evaluate(held_out, calls, held_step)
                logs |= {f"val_{key}": value for key, value in found.items()}
                logs = dict(sorted(logs.items()))
            calls.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        calls.on_train_end(logs)
        return self.history  # type: ignore[return-value]

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the loss of samples, and the metrics if there are any.

        A float, a list of floats (loss first, metrics as compiled), or with `return_dict` a dict.
        Parameters and errors as for `fit`.
        """
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        dataset = batches_of(x, y, sample_weight, batch_size, steps)
        self._prepare(dataset)
        logs = self._evaluate(dataset, self._callbacks(callbacks, verbose, dataset))
        return self._as_asked(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the outputs for samples `x` as arrays; computed in batches, of 32 by default.

        Raises
        ------
        ValueError
            For data that does not fit the model, of a dtype without numbers, or empty.
        """
        plain = not (batch_size or verbose or steps or callbacks)
        outputs = self._of_few(x, 32) if plain else None
        if outputs is not None:
            return outputs
        dataset = batches_of(x, None, None, batch_size, steps)
        calls = self._callbacks(callbacks, verbose, dataset)
        calls.on_predict_begin()
        parts = self._outputs(dataset, calls)
        calls.on_predict_end()
        columns = zip(*(tree.flatten(part) for part in parts), strict=True)
        joined = iter([np.concatenate(column) for column in columns])
        return tree.map_structure(lambda _: next(joined), parts[0])

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on the samples given; return the loss before it, as `evaluate` does."""
        return self._on_batch(True, x, y, sample_weight, return_dict, class_weight)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss of the samples given, as `evaluate` does."""
        return self._on_batch(False, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for the samples given, as arrays."""
        outputs = self._of_few(x, math.inf)
        return self._outputs(Dataset.of_one_batch(x))[0] if outputs is None else outputs

    def _of_few(self, x: Any, most: float) -> Any:
        """Return the outputs the short way: for an array whose type was seen, if that will do."""
        if self.run_eagerly or not isinstance(x, np.ndarray):
            return None
        return self.predict_function.of_few(x, most)

    # -- what these have in common ------------------------------------------------------------

    def _callbacks(
        self, given: Any, verbose: int | str, batches: Dataset | Stream, epochs: int | None = None
    ) -> CallbackList:
        """Return what is called in a run: one of `fit`, with a history, if there are `epochs`."""
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose: expected 0, 1, 2 or 'auto', received {verbose!r}.")
        if isinstance(given, CallbackList):
            return given
        params = {"epochs": 1 if epochs is None else epochs, "steps": batches.batches}
        bar = verbose != 0
        return CallbackList(given, epochs is not None, bar, self, verbose=verbose, **params)

    def _on_batch(
        self,
        training: bool,
        x: Any,
        y: Any,
        sample_weight: Any,
        return_dict: bool,
        class_weight: dict[int, float] | None = None,
    ) -> Any:
        dataset = Dataset.of_one_batch(x, y, sample_weight, class_weight)
        self._prepare(dataset)
        step = self._stepper(dataset, training)
        return self._as_asked(self._pass(dataset, step), return_dict)

    def _evaluate(self, dataset: Dataset | Stream, calls: CallbackList, step: Any = None) -> Logs:
        dataset.rewind()
        calls.on_test_begin()
        logs = self._pass(dataset, step or self._stepper(dataset, False), calls, "test")
        calls.on_test_end(logs)
        return logs

    def _pass(
        self,
        dataset: Dataset | Stream,
        step: Any,
        calls: CallbackList | None = None,
        mode: str = "",
        watch: Watch | None = None,
        epoch: int = 0,
    ) -> Logs:
        """Go through the batches of an epoch once; return the means over its samples."""
        before = calls.before(mode) if calls else []
        after = calls.after(mode) if calls else None
        objective: Objective = self._objective  # type: ignore[assignment]
        watched = objective.watched.values()
        for metric in watched:
            metric.reset_state()
        beside = not all(map(_is_held, watched))
        total, seen, known = 0.0, 0, 0
        run: Any = None
        limit = watch.limit if watch else math.inf

        def running() -> Logs:
            return self._logs(total / seen)

        for batch, (rows, size) in enumerate(dataset.epoch()):
            for call in before:
                call(batch, {})
            if size != known:
                run, known = step(size), size
            loss, y_pred = run(rows)
            total += loss * size
            seen += size
            if watch and not loss <= limit:  # NaN is not, either
                watch.look(loss, epoch, batch)
                limit = watch.limit
            if beside:
                _, y, sample_weight = map(_tensors, dataset.take(rows))
                objective.update(y, y_pred, sample_weight, _is_beside)
            if after:
                after(batch, running)
            if self.stop_training and mode == "train":
                break
        if not seen:
            return {}
        if not self.optimizer.built:  # type: ignore[union-attr]
            # No step was taken, but Keras makes the state here, too.
            self.optimizer.build(self.trainable_variables)  # type: ignore[union-attr]
        return running()

    def _stepper(self, dataset: Dataset | Stream, training: bool) -> Any:
        """Return a function of a number of rows to one of such rows, to loss and predictions."""
        step = self.train_step if training else self.test_step
        usual = Trainer.train_step if training else Trainer.test_step
        if self.run_eagerly or step.__func__ is not usual:  # type: ignore[attr-defined]

            def eagerly(rows: Any) -> tuple[float, Any]:
                x, y, sample_weight = map(_tensors, dataset.take(rows))
                loss, y_pred = step(x, y, sample_weight)
                self.compute_metrics(x, y, y_pred, sample_weight)
                return loss.item(), y_pred

            return lambda size: eagerly
        function = self.train_function if training else self.test_function
        watched = self._objective.watched.values()  # type: ignore[union-attr]
        beside = not all(map(_is_held, watched))
        return function.on(dataset, with_outputs=beside)

    def _outputs(self, dataset: Dataset | Stream, calls: CallbackList | None = None) -> list[Any]:
        """Return the outputs for each batch, as arrays."""
        before = calls.before("predict") if calls else []
        after = calls.after("predict") if calls else None
        if not self._called:
            self._outputs_of(dataset.first())
        step = None if self.run_eagerly else self.predict_function.on(dataset)
        parts = []
        for batch, (rows, size) in enumerate(dataset.epoch()):
            for call in before:
                call(batch, {})
            if step:
                parts.append(step(size)(rows)[1])
            else:
                with no_grad():
                    outputs = self(_tensors(dataset.take(rows)[0]))
                parts.append(tree.map_structure(lambda t: np.array(t), outputs))
            if after:
                after(batch, lambda: {"outputs": parts[-1]})
        return parts

    # -- compiled steps -----------------------------------------------------------------------

    @property
    def train_function(self) -> Step:
        """The compiled step of `fit`: print its ``source`` to see how the weights are updated."""
        return self._step("train")

    @property
    def test_function(self) -> Step:
        """The compiled step of `evaluate`."""
        return self._step("test")

    @property
    def predict_function(self) -> Step:
        """The compiled step of `predict`."""
        return self._step("predict")

    _steps: dict[str, Step] | None = None

    def _step(self, kind: str) -> Step:
        self._steps = self._steps or {}
        if kind not in self._steps:
            self._steps[kind] = Step(self, kind)
        return self._steps[kind]

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without what is compiled; it will be again."""
        return {**vars(self), "_steps": None}

    def _logs(self, loss: float) -> Logs:
        """Return the loss and the metrics so far, by sorted names."""
        found = self._objective.results()  # type: ignore[union-attr]
        return dict(sorted({"loss": loss, **found}.items())) if found else {"loss": loss}

    def _as_asked(self, logs: Logs, return_dict: bool) -> Any:
        if return_dict:
            return logs
        values = self._objective.in_order(logs)  # type: ignore[union-attr]
        return values if len(values) > 1 else values[0]


def _is_held(metric: Any) -> bool:
    """Return whether a metric holds what it remembers in variables, as a compiled step needs it."""
    return bool(metric.variables)


def _is_beside(metric: Any) -> bool:
    return not _is_held(metric)


def _tensors(data: Any) -> Any:
    """Return batches as tensors; they are read in this step only, and so not copied."""
    return None if data is None else tree.map_structure(wrap, data)


def _unpack(validation_data: Any) -> tuple[Any, Any, Any] | None:
    if validation_data is None:
        return None
    if is_stream(validation_data):
        return validation_data, None, None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data: expected a tuple (x, y) or (x, y, sample_weight), or an iterable of "
            f"batches, received {type(validation_data).__name__}."
        )
    return (*validation_data, None)[:3]


def _due(validation_freq: Any) -> Callable[[int], bool]:
    """Return whether an epoch is one of those with a validation: every so many, or the listed."""
    if isinstance(validation_freq, (int, np.integer)) and validation_freq > 0:
        return lambda epoch: (epoch + 1) % validation_freq == 0
    if isinstance(validation_freq, (list, tuple, set, range)):
        return lambda epoch: epoch + 1 in validation_freq
    raise ValueError(
        "validation_freq: expected an integer above 0, or a list of epochs from 1 on, received "
        f"{validation_freq!r}."
    )
