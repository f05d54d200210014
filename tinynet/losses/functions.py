"""The losses: each formula as a function, followed by the class of its loss objects.

A function returns one value per sample, an object reduces them to a scalar. The formulas are
Keras's. Imports the engine, `base.py`. Read next: `margins.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..backend import epsilon
from ..engine.expect import check_number, warn
from ..engine.refusal import answering
from ..engine.tensor import Tensor, as_tensor, floatx
from .base import LossFunction, align_ranks, class_indices, same_shapes


def _pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Return targets and predictions as tensors of one floating dtype and one shape."""
    y_pred = as_tensor(y_pred)
    return same_shapes(y_true, y_pred, y_pred.dtype if y_pred.dtype.kind == "f" else floatx())


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean((y_true - y_pred) ** 2)`` over the last axis: one value per sample.

    Raises
    ------
    ValueError
        When the shapes differ after `align_ranks`.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]])
    tensor([2.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


class MeanSquaredError(LossFunction, fn=mean_squared_error):
    """The loss object of `mean_squared_error`; parameters as for `Loss`.

    >>> MeanSquaredError()([1.0, 2.0], [1.0, 4.0])
    tensor(2., dtype=float32)
    """


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(abs(y_true - y_pred))`` over the last axis: one value per sample.

    The gradient where both are equal is 0.

    Raises
    ------
    ValueError
        When the shapes differ after `align_ranks`.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]])
    tensor([1.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.absolute(y_pred - y_true), axis=-1)


class MeanAbsoluteError(LossFunction, fn=mean_absolute_error):
    """The loss object of `mean_absolute_error`; parameters as for `Loss`.

    >>> MeanAbsoluteError()([1.0, 2.0], [1.0, 4.0])
    tensor(1., dtype=float32)
    """


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``100 * mean(abs(y_true - y_pred) / abs(y_true))`` over the last axis.

    Magnitudes below 1e-7 count as 1e-7. ValueError when the shapes differ after `align_ranks`.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]])
    tensor([37.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    share = (y_true - y_pred) / ops.maximum(ops.absolute(y_true), epsilon())
    return 100.0 * ops.mean(ops.absolute(share), axis=-1)


class MeanAbsolutePercentageError(LossFunction, fn=mean_absolute_percentage_error):
    """The loss object of `mean_absolute_percentage_error`; parameters as for `Loss`.

    >>> MeanAbsolutePercentageError()([1.0, 2.0], [1.0, 4.0])
    tensor(50., dtype=float32)
    """


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean((log(y_true + 1) - log(y_pred + 1)) ** 2)`` over the last axis.

    Numbers below 1e-7 count as 1e-7. ValueError when the shapes differ after `align_ranks`.

    >>> mean_squared_logarithmic_error([[0.0, 1.0]], [[0.0, 3.0]])  # log(2) ** 2 / 2
    tensor([0.2402265], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    first, second = (ops.log(ops.maximum(y, epsilon()) + 1.0) for y in (y_pred, y_true))
    return ops.mean(ops.square(first - second), axis=-1)


class MeanSquaredLogarithmicError(LossFunction, fn=mean_squared_logarithmic_error):
    """The loss object of `mean_squared_logarithmic_error`; parameters as for `Loss`.

    >>> MeanSquaredLogarithmicError()([1.0, 2.0], [1.0, 2.0])
    tensor(0., dtype=float32)
    """


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(log(cosh(y_pred - y_true)))`` over the last axis, without overflow.

    ValueError when the shapes differ after `align_ranks`.

    >>> log_cosh([[0.0, 0.0]], [[0.0, 1000.0]])
    tensor([499.6534], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


class LogCosh(LossFunction, fn=log_cosh):
    """The loss object of `log_cosh`; parameters as for `Loss`.

    >>> LogCosh()([1.0, 2.0], [1.0, 2.0])
    tensor(0., dtype=float32)
    """


@answering
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Return the mean over the last axis of ``e ** 2 / 2``, which is linear beyond `delta`.

    For errors larger than `delta` it is ``delta * abs(e) - delta ** 2 / 2``. ValueError when the
    shapes differ after `align_ranks`. Source: Huber, "Robust estimation of a location parameter",
    1964.

    >>> huber([[0.0], [0.0]], [[0.5], [3.0]])
    tensor([0.125, 2.5  ], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    size = ops.absolute(error)
    far = delta * size - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, 0.5 * ops.square(error), far), axis=-1)


class Huber(LossFunction, fn=huber, name="huber_loss"):
    """The loss object of `huber`, with its `delta`; other parameters as for `Loss`.

    >>> Huber(delta=2.0)([0.0], [3.0])
    tensor(4., dtype=float32)
    """


def _smoothed(y_true: Tensor, label_smoothing: Any, classes: int) -> Tensor:
    """Return targets of which the share `label_smoothing` is spread evenly over the classes."""
    share = check_number("label_smoothing", label_smoothing, 1)
    return y_true * (1.0 - share) + share / classes if share else y_true


@answering
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return the mean of ``-(t * log(p) + (1 - t) * log(1 - p))`` over `axis`.

    Parameters
    ----------
    y_true : targets t, from 0 to 1
    y_pred : probabilities p
        They are clipped to 1e-7 from 0 and 1. With `from_logits` they are logits, whose `sigmoid`
        is p.
    label_smoothing : from 0 to 1, the share of each target that is replaced by 0.5
    axis : int

    Raises
    ------
    ValueError
        When the shapes differ after `align_ranks`.

    >>> binary_crossentropy([[1.0], [0.0]], [[0.5], [1.0]])
    tensor([ 0.6931472, 15.942385 ], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    if from_logits:
        values = y_true * ops.softplus(-y_pred) + (1.0 - y_true) * ops.softplus(y_pred)
    else:
        p = ops.clip(y_pred, epsilon(), 1.0 - epsilon())
        values = -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))
    return ops.mean(values, axis=axis)


class BinaryCrossentropy(LossFunction, fn=binary_crossentropy):
    """The loss object of `binary_crossentropy`, with its options; others as for `Loss`.

    >>> BinaryCrossentropy(from_logits=True)([1, 0], [[0.0], [0.0]])
    tensor(0.6931472, dtype=float32)
    """


@answering
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return ``-sum(t * log(p))`` over the classes along `axis`.

    Parameters
    ----------
    y_true : targets t, the probabilities of the classes, for example one-hot
    y_pred : predictions
        Divided by their sum, and clipped to 1e-7 from 0 and 1, they are p. With `from_logits` they
        are logits, whose `softmax` is p.
    label_smoothing : from 0 to 1, the share of each target that is spread evenly over all classes
    axis : int

    Raises
    ------
    ValueError
        When the shapes differ after `align_ranks`.

    >>> categorical_crossentropy([[0.0, 1.0, 0.0]], [[0.5, 0.25, 0.25]])  # log(4)
    tensor([1.3862944], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if y_pred.shape[-1:] == (1,):
        message = f"categorical_crossentropy: y_pred of shape {y_pred.shape} has one class; for two"
        warn(f"{message} use binary_crossentropy.", SyntaxWarning)
    y_true = _smoothed(y_true, label_smoothing, y_true.shape[axis])
    return -ops.sum(y_true * _log_probabilities(y_pred, from_logits, axis), axis=axis)


class CategoricalCrossentropy(LossFunction, fn=categorical_crossentropy):
    """The loss object of `categorical_crossentropy`, with its options; others as for `Loss`.

    >>> CategoricalCrossentropy(from_logits=True)([[1, 0]], [[0.0, 0.0]])
    tensor(0.6931472, dtype=float32)
    """


def _log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    """Return the logarithms of the classes' probabilities along `axis`."""
    if from_logits:
        return ops.log_softmax(y_pred, axis)
    p = y_pred / ops.sum(y_pred, axis, keepdims=True)
    return ops.log(ops.clip(p, epsilon(), 1.0 - epsilon()))


@answering
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """Return ``-log(p)`` of each sample's target class, in the shape of `y_pred` without `axis`.

    Parameters
    ----------
    y_true : targets, integer class indices from 0; the loss of an index that is no class is 0
    y_pred, from_logits, axis : as for `categorical_crossentropy`
    ignore_class : a target whose loss is 0

    Raises
    ------
    ValueError
        When `y_true` does not have the shape of `y_pred` with `axis` removed or of length 1.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.25, 0.25]])
    tensor([1.3862944], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    y_true = class_indices(y_true, y_pred, axis)
    log_p = _log_probabilities(y_pred, from_logits, axis)
    axis_index = axis % y_pred.ndim
    numbers = np.arange(y_pred.shape[axis_index])
    numbers = np.expand_dims(numbers, tuple(range(1, y_pred.ndim - axis_index)))
    hit = ops.equal(ops.expand_dims(y_true, axis_index), numbers)
    values = -ops.sum(ops.where(hit, log_p, 0.0), axis=axis)
    return values if ignore_class is None else ops.where(y_true == ignore_class, 0.0, values)


class SparseCategoricalCrossentropy(
    LossFunction,
    fn=sparse_categorical_crossentropy,
    arguments="from_logits ignore_class reduction axis name dtype",
):
    """The loss object of `sparse_categorical_crossentropy`, with its options; others as for `Loss`.

    Samples whose target is `ignore_class` do not count: means are over the other samples.

    >>> loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    >>> loss([1, -1], [[0.0, 0.0], [5.0, 0.0]])
    tensor(0.6931472, dtype=float32)
    """

    ignore_class: int | None
    axis: int

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the reduced loss; an ignored target has the weight 0."""
        if self.ignore_class is not None:
            y_pred = as_tensor(y_pred)
            counted = class_indices(y_true, y_pred, self.axis) != self.ignore_class
            weight = ops.cast(counted, self._dtype_for(y_pred))
            if self.reduction in ("mean", "sum_over_batch_size"):
                weight = ops.divide_no_nan(weight * float(weight.size), ops.sum(weight))
            if sample_weight is not None:
                given, weight = align_ranks(ops.cast(sample_weight, weight.dtype), weight)
                weight = given * weight
            sample_weight = weight
        return super().__call__(y_true, y_pred, sample_weight)
