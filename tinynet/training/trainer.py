"""Training: fit, evaluate, predict.

Imports everything that a model is trained with. Read next: `../models/model.py`.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Container, Sequence
from functools import reduce
from typing import Any

import numpy as np

from .. import tree
from ..callbacks import CallbackList, History
from ..callbacks.base import Logs
from ..distribution.ranks import job
from ..engine.expect import expect, is_integer
from ..engine.variable import Variable, assign_all
from .compilable import Compilable, check_options
from .data import Batch, Dataset, is_stream, split
from .divergence import DivergenceMonitor
from .loop import RUNNING, Loop, between_steps
from .many_ranks import agree, begin, shared_batches
from .step_cache import StepCache
from .streams import Batches, batches_of, joined


def _compiled(kind: str, doc: str) -> Any:
    """Return a property: the compiled step of a kind, a `StepCache`."""
    return property(lambda model: model._step_cache(kind), doc=doc)


def _maker(kind: str) -> Any:
    """Return a method of Keras that returns a compiled step."""

    def make(self: Trainer, force: bool = False) -> StepCache:
        if force:
            vars(self).get("_steps", {}).pop(kind, None)
        return self._step_cache(kind)

    make.__doc__ = f"Return ``{kind}_function``, the compiled step; `force` makes it anew."
    return make


class Trainer(Compilable):
    """The methods of a model that run it over data: `fit`, `evaluate`, `predict`."""

    _unwatched = Compilable._unwatched | {"history", *(f"stop_{x}" for x in RUNNING.values())}

    stop_training = stop_evaluating = stop_predicting = False  # callbacks set them
    history: History | None = None

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
        """Train on samples for some epochs; return the loss and metrics of each epoch.

        Parameters
        ----------
        x, y : arrays, or lists of numbers
            Samples along the first axis. A list of arrays for a model of several inputs.
        batch_size : int
            Samples per step, 32 by default; the last batch may have fewer.
        epochs : int
            The number of passes over all samples.
        verbose : 0, 1, 2 or "auto"
            0 is silent, 1 and "auto" show a progress bar per epoch, 2 prints a line.
        callbacks : list of Callback
        validation_split : float
            The fraction of the samples, the last ones, that is held out and evaluated.
        validation_data : tuple (x, y) or (x, y, sample_weight)
        shuffle : bool or "batch"
        class_weight : dict from class to weight
        sample_weight : array
            Factors of the samples' losses, applied before the mean over the batch.
        initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq
            As in Keras.

        Returns
        -------
        History
            ``history["loss"]`` is the mean over an epoch's samples of the losses before updates.

        Raises
        ------
        ValueError
            Before `compile`; for data that are empty, not numeric, or of different lengths; for an
            unknown loss or metric.
        TypeError
            For an unknown keyword, and unless `epochs` is an integer.
        """
        check_options(locals())
        data, validation = Batch(x, y, sample_weight), _unpack(validation_data)
        if validation_split and validation is None:
            data, validation = split(data, validation_split)
        dataset = batches_of(data, batch_size, steps_per_epoch, shuffle, class_weight)
        size = validation_batch_size or batch_size
        held_out = validation and batches_of(validation, size, validation_steps)
        due = _due(validation_freq)
        calls = self._calls(callbacks, verbose, dataset, epochs)
        is_first = self._prepare(dataset, "train")
        if held_out and validation_data is not None:
            self._try(held_out, "validation_data")
        if is_first:
            dataset.shuffle_once()
        dataset.rewind("train")
        self.stop_training = False
        logs: Logs = {}
        calls.on_train_begin()
        begin(self, dataset, held_out)
        training = Loop(self, dataset, "train", calls, epochs)
        validating = held_out and Loop(self, held_out, "test", calls)
        training.monitor = DivergenceMonitor(self, dataset)
        with between_steps() as training.interrupts:
            for epoch in range(calls.first_epoch(initial_epoch), epochs):
                calls.on_epoch_begin(epoch)
                if not (found := training.run(epoch, 1 if validating else epochs - epoch)):
                    break  # no batches: the user was warned
                logs = found
                if validating and epoch + 1 in due:
                    logs |= {f"val_{key}": value for key, value in validating.whole().items()}
                    logs = dict(sorted(logs.items()))
                calls.on_epoch_end(epoch, logs)
                agree(self, f"epoch {epoch + 1}")
                if self.stop_training:
                    break
        if self.optimizer:
            self.optimizer.finalize_variable_values(self.trainable_weights)
        calls.on_train_end(logs)
        agree(self, "the end of fit")
        return calls.history or History()

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

        The result is a float, a list of floats (loss first, metrics as compiled), or with
        `return_dict` a dict. Parameters and errors as for `fit`.
        """
        check_options(locals())
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        dataset = batches_of(Batch(x, y, sample_weight), batch_size, steps)
        self._prepare(dataset)
        begin(self, dataset)
        calls = self._calls(callbacks, verbose, dataset)
        return self._as_asked("test", Loop(self, dataset, "test", calls).whole(), return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Return the outputs for samples `x` as arrays, computed in batches of 32 by default.

        Raises
        ------
        ValueError
            For data that do not fit the model, are not numeric, or empty.
        """
        defaults = batch_size is steps is callbacks is None and isinstance(verbose, int)
        quick = defaults and not verbose and not job.distribution  # ranks differ in compiled steps
        if quick and (outputs := self._step_cache("predict").predict_small(x, 32)) is not None:
            return outputs
        check_options(locals())
        dataset = batches_of(Batch(x), batch_size, steps)
        begin(self, dataset, with_loss=False)
        own, gathered = shared_batches(dataset)
        loop = Loop(self, own, "predict", self._calls(callbacks, verbose, own))
        loop.whole()
        return joined(gathered(loop.outputs))

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step on these samples; return the loss before it in the form of `evaluate`."""
        check_options(locals())
        dataset = Dataset.of_one_batch(x, y, sample_weight, class_weight)
        return self._on_batch("train", dataset, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Return the loss of these samples as one batch, in the form of `evaluate`."""
        check_options(locals())
        return self._on_batch("test", Dataset.of_one_batch(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return the outputs for these samples as one batch, as arrays."""
        outputs = self._step_cache("predict").predict_small(x, math.inf)
        if outputs is not None:
            return outputs
        loop = Loop(self, Dataset.of_one_batch(x), "predict")
        loop.run()
        return loop.outputs[0]

    # -- shared by these ----------------------------------------------------------------------

    def _calls(self, given: Any, verbose: Any, data: Batches, epochs: Any = None) -> CallbackList:
        """Return the callbacks of a run; `epochs` are given by `fit`, which has a history."""
        if isinstance(given, CallbackList):
            return given
        fits = epochs is not None
        params = {"verbose": verbose, "epochs": epochs if fits else 1, "steps": data.batches}
        return CallbackList(given, fits, verbose != 0, self, **params)

    def _on_batch(self, kind: str, dataset: Dataset, return_dict: bool) -> Any:
        begin(self, dataset, is_new=self._prepare(dataset, kind))
        loop = Loop(self, dataset, kind)
        with between_steps() as loop.interrupts:
            return self._as_asked(kind, loop.run(), return_dict)

    def _as_asked(self, kind: str, logs: Logs, return_dict: bool) -> Any:
        names = self.objective.ordered
        if self._step_cache(kind).own:
            parts = (m.ordered if m is self.objective else [m.name] for m in self.metrics)
            names = [*dict.fromkeys(itertools.chain(*parts))]
        first = [name for name in names if name in logs]
        found = [logs[name] for name in (*first, *sorted(logs.keys() - {*first}))]
        return logs if return_dict else found if len(found) > 1 else found[0]

    # -- all variables ------------------------------------------------------------------------

    def _state_variables(self) -> dict[str, list[Variable]]:
        own = self.optimizer.variables if self.optimizer else []
        kinds = "trainable_variables", "non_trainable_variables", "metrics_variables"
        return {"optimizer_variables": own} | {kind: getattr(self, kind) for kind in kinds}

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Return the values of all variables as nested dicts, by the parts of their paths.

        They stand under "trainable_variables", "non_trainable_variables", "optimizer_variables" and
        "metrics_variables": tensors, or arrays with `value_format` "numpy_array". ValueError for
        another format, and for two variables of one path.

        >>> import tinynet as tn
        >>> layer = tn.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="line")
        >>> model = tn.Sequential([tn.Input((1,)), layer], name="model")
        >>> model.get_state_tree("numpy_array")["trainable_variables"]
        {'model': {'line': {'kernel': array([[1.]], dtype=float32)}}}
        """
        known = value_format in ("backend_tensor", "numpy_array")
        expect(known, "value_format", "'backend_tensor' or 'numpy_array'", value_format)
        found: dict[str, Any] = {}
        for kind, variables in self._state_variables().items():
            found[kind] = {}
            for v in variables:
                *places, last = v.path.split("/")
                inner = reduce(lambda part, place: part.setdefault(place, {}), places, found[kind])
                expect(last not in inner, "get_state_tree", "layers of different names", v.path)
                inner[last] = v.value.detach() if value_format == "backend_tensor" else v.numpy()
        return found

    def set_state_tree(self, state_tree: dict[str, Any]) -> None:
        """Assign to the variables what `get_state_tree` returned, or a part of it.

        An optimizer that has no slots yet gets them. Metrics that this model does not have yet are
        left out, since each epoch starts them anew. ValueError for other unknown paths and for
        other shapes; then no value is changed.
        """
        expect(isinstance(state_tree, dict), "state_tree", "a dict of nested dicts", state_tree)
        if "optimizer_variables" in state_tree and self.optimizer and self.built:
            self.optimizer.build(self.trainable_variables)
        known = self._state_variables()
        values: dict[Variable, Any] = {}
        expect(state_tree.keys() <= {*known}, "state_tree", f"keys among {[*known]}", [*state_tree])
        for kind, nested in state_tree.items():
            given, own = dict(tree.by_path(nested, nested)), {v.path: v for v in known[kind]}
            unknown = [] if kind == "metrics_variables" else [p for p in given if p not in own]
            expect(not unknown, f"state_tree[{kind!r}]", f"paths among {[*own]}", unknown)
            values |= {v: given[path] for path, v in own.items() if path in given}
        assign_all(values)

    # -- compiled steps -----------------------------------------------------------------------

    train_function = _compiled("train", "The compiled step of `fit`: print its ``source``.")
    test_function = _compiled("test", "The compiled step of `evaluate`.")
    predict_function = _compiled("predict", "The compiled step of `predict`.")

    make_train_function = _maker("train")
    make_test_function = _maker("test")
    make_predict_function = _maker("predict")

    def _step_cache(self, kind: str) -> StepCache:
        try:
            return self._steps[kind]
        except (AttributeError, KeyError):  # of a model that is not compiled, or has not run
            return vars(self).setdefault("_steps", {}).setdefault(kind, StepCache(self, kind))

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without compiled steps."""
        return {k: v for k, v in vars(self).items() if k != "_lock"} | {"_steps": {}}


def _unpack(validation_data: Any) -> Batch | None:
    if validation_data is None:
        return None
    if is_stream(validation_data):
        return Batch(validation_data)
    valid = isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3)
    wanted = "(x, y), (x, y, sample_weight) or an iterable of batches"
    expect(valid, "validation_data", wanted, type(validation_data))
    return Batch(*validation_data)


def _due(freq: Any) -> Container[int]:
    """Return the numbers, from 1 on, of the epochs that are followed by a validation."""
    if is_integer(freq) and freq > 0:
        return range(freq, sys.maxsize, freq)
    valid = isinstance(freq, (list, tuple, set, range)) and all(map(is_integer, freq))
    expect(valid, "validation_freq", "an integer above 0 or a list of epochs", freq)
    return freq
