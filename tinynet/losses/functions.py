"""Loss functions: how far predictions are from their targets, one value per sample.

The formulas are Keras's. Imports the engine, `base.py`. Read next: `__init__.py`, where losses are
made objects of and looked up.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import ops
from ..engine.tensor import Tensor, as_tensor, floatx
from .base import align

EPSILON = 1e-7  # Keras's; what logarithms are kept away from 0 by


def _pair(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Return targets and predictions as tensors of one dtype and shape."""
    y_pred = as_tensor(y_pred)
    if y_pred.dtype.kind != "f":
        y_pred = ops.cast(y_pred, floatx())
    y_true, y_pred = align(ops.cast(y_true, y_pred.dtype), y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred must have one shape, received y_true of shape {y_true.shape} and "
            f"y_pred of shape {y_pred.shape}."
        )
    return y_true, y_pred


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean((y_true - y_pred) ** 2)`` over the last axis: one value per sample.

    Raises
    ------
    ValueError
        When the shapes differ after `align`.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]])
    tensor([2.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(abs(y_true - y_pred))`` over the last axis: one value per sample.

    The gradient where both are equal is 0.

    Raises
    ------
    ValueError
        When the shapes differ after `align`.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]])
    tensor([1.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.absolute(y_pred - y_true), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``100 * mean(abs(y_true - y_pred) / abs(y_true))`` over the last axis.

    Targets smaller than 1e-7 count as that. ValueError when the shapes differ after `align`.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]])
    tensor([37.5], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    share = (y_true - y_pred) / ops.maximum(ops.absolute(y_true), EPSILON)
    return 100.0 * ops.mean(ops.absolute(share), axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean((log(y_true + 1) - log(y_pred + 1)) ** 2)`` over the last axis.

    Numbers smaller than 1e-7 count as that. ValueError when the shapes differ after `align`.

    >>> mean_squared_logarithmic_error([[0.0, 1.0]], [[0.0, 3.0]])  # log(2) ** 2 / 2
    tensor([0.2402265], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    first, second = (ops.log(ops.maximum(y, EPSILON) + 1.0) for y in (y_pred, y_true))
    return ops.mean(ops.square(first - second), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(log(cosh(y_pred - y_true)))`` over the last axis, without overflow.

    ValueError when the shapes differ after `align`.

    >>> log_cosh([[0.0, 0.0]], [[0.0, 1000.0]])
    tensor([499.6534], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Return the mean over the last axis of ``e ** 2 / 2``, for errors above `delta` linear.

    There it is ``delta * abs(e) - delta ** 2 / 2``. ValueError when the shapes differ after
    `align`. Source: Huber, "Robust estimation of a location parameter", 1964.

    >>> huber([[0.0], [0.0]], [[0.5], [3.0]])
    tensor([0.125, 2.5  ], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    size = ops.absolute(error)
    far = delta * size - 0.5 * delta * delta
    return ops.mean(ops.where(size <= delta, 0.5 * ops.square(error), far), axis=-1)


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
    y_pred : probabilities p, kept 1e-7 away from 0 and 1, or with `from_logits` numbers whose
        `sigmoid` they are
    label_smoothing : the share of each target that goes to 0.5
    axis : int

    Raises
    ------
    ValueError
        When the shapes differ after `align`.

    >>> binary_crossentropy([[1.0], [0.0]], [[0.5], [1.0]])
    tensor([ 0.6931472, 15.942385 ], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        values = y_true * ops.softplus(-y_pred) + (1.0 - y_true) * ops.softplus(y_pred)
    else:
        p = ops.clip(y_pred, EPSILON, 1.0 - EPSILON)
        values = -(y_true * ops.log(p) + (1.0 - y_true) * ops.log(1.0 - p))
    return ops.mean(values, axis=axis)


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
    y_true : targets t, the probabilities of the classes: one-hot, say
    y_pred : predictions, divided by their sum to give p, which is kept 1e-7 away from 0 and 1; or
        with `from_logits` numbers whose `softmax` is p
    label_smoothing : the share of each target that is spread over all classes
    axis : int

    Raises
    ------
    ValueError
        When the shapes differ after `align`.

    >>> categorical_crossentropy([[0.0, 1.0, 0.0]], [[0.5, 0.25, 0.25]])  # log(4)
    tensor([1.3862944], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    if y_pred.shape[-1:] == (1,):
        warnings.warn(
            "categorical_crossentropy: expected y_pred of several classes, received shape "
            f"{y_pred.shape}. For two classes in one number use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return -ops.sum(y_true * _log_probabilities(y_pred, from_logits, axis), axis=axis)


def _log_probabilities(y_pred: Tensor, from_logits: bool, axis: int) -> Tensor:
    """Return the logarithms of the classes' probabilities along `axis`."""
    if from_logits:
        return ops.log_softmax(y_pred, axis)
    p = y_pred / ops.sum(y_pred, axis, keepdims=True)
    return ops.log(ops.clip(p, EPSILON, 1.0 - EPSILON))


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """Return ``-log(p)`` of the class that is each sample's target; `y_pred` lacks its `axis`.

    Parameters
    ----------
    y_true : targets, the numbers of classes from 0; one that is no class counts 0
    y_pred, from_logits, axis : as for `categorical_crossentropy`
    ignore_class : a target whose loss is 0

    Raises
    ------
    ValueError
        When `y_true` is not of the shape of `y_pred` without `axis`, or with length 1 there.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.25, 0.25]])
    tensor([1.3862944], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    y_true = classes(y_true, y_pred, axis)
    log_p = _log_probabilities(y_pred, from_logits, axis)
    place = axis % y_pred.ndim
    numbers = np.arange(y_pred.shape[place]).reshape((-1,) + (1,) * (y_pred.ndim - place - 1))
    hit = ops.equal(ops.expand_dims(y_true, place), numbers)
    values = -ops.sum(ops.where(hit, log_p, 0.0), axis=axis)
    return values if ignore_class is None else ops.where(y_true == ignore_class, 0.0, values)


def classes(y_true: Any, y_pred: Tensor, axis: int) -> Tensor:
    """Return the targets as integers, one for each sample of `y_pred`."""
    y_true = ops.cast(y_true, "int32")
    place = axis % max(y_pred.ndim, 1)
    expected = tuple(n for i, n in enumerate(y_pred.shape) if i != place)
    if y_true.ndim == y_pred.ndim > 0 and y_true.shape[place] == 1:
        y_true = ops.squeeze(y_true, place)
    if y_true.shape != expected or not y_pred.ndim:
        raise ValueError(
            f"sparse_categorical_crossentropy: expected targets y_true of shape {expected}, a "
            f"class for each sample of y_pred of shape {y_pred.shape}, received shape "
            f"{y_true.shape}."
        )
    return y_true
