"""Metrics of classes: how often the predicted class is the true one.

The functions return 1 where it is and 0 where not; the metrics are the means of that.

Imports `base.py`. Read next: `errors.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine.tensor import Tensor, as_tensor, floatx
from .base import MeanMetricWrapper, mean_of, pair


def _equal(y_true: Any, y_pred: Any) -> Tensor:
    return ops.cast(ops.equal(*pair(y_true, y_pred)), floatx())


def _label(y: Any) -> Tensor:
    """Return the class of the largest score along the last axis, the first of several."""
    return ops.argmax(y, -1)


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where both are equal, else 0: for predictions that are classes themselves.

    >>> accuracy([1, 2, 3], [1, 2, 0])
    tensor([1., 1., 0.], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    return _equal(ops.cast(y_true, y_pred.dtype), y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """Return 1 where a prediction is above `threshold` and the target 1, or neither; else 0.

    >>> binary_accuracy([[1.0], [0.0], [1.0]], [[0.9], [0.2], [0.5]])
    tensor([[1.], [1.], [0.]], dtype=float32)
    """
    y_true = as_tensor(y_true)
    return _equal(y_true, ops.cast(as_tensor(y_pred) > threshold, y_true.dtype))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where the largest score is that of the true class; targets are one-hot.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.], dtype=float32)
    """
    return _equal(_label(y_true), _label(y_pred))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where the largest score is that of the true class; targets are its numbers.

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.], dtype=float32)
    """
    y_true, y_pred = _numbers(y_true, y_pred)
    return _equal(y_true, ops.cast(_label(y_pred), y_true.dtype))


def _numbers(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Return the numbers of classes, without a last axis of 1, in the dtype of the scores."""
    y_pred = as_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    single = y_true.ndim > 1 and y_true.shape[-1] == 1
    return (ops.squeeze(y_true, -1) if single else y_true), y_pred


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Return 1 where fewer than `k` scores are above that of the true class; one-hot targets.

    >>> top_k_categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]], k=2)
    tensor([1., 0.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(_label(y_true), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """Return 1 where fewer than `k` scores are above that of the true class, given by number.

    With `from_sorted_ids` predictions are not scores, but numbers of classes, the best first.

    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]], k=2)
    tensor([1., 0.], dtype=float32)
    """
    y_true, y_pred = _numbers(y_true, y_pred)
    pair(y_true, y_pred[..., 0])
    y_true = ops.expand_dims(y_true, -1)
    if from_sorted_ids:
        return ops.max(ops.cast(ops.equal(y_true, y_pred[..., :k]), floatx()), -1)
    is_true = ops.equal(y_true, np.arange(y_pred.shape[-1]))
    is_true = ops.logical_and(is_true, ops.equal(y_pred, y_pred))  # NaN is no score
    score = ops.max(ops.where(is_true, y_pred, -np.inf), -1, keepdims=True)
    above = ops.sum(ops.cast(y_pred > score, floatx()), -1)
    return ops.cast(above < k, floatx())


Accuracy = mean_of(accuracy, direction="up")
CategoricalAccuracy = mean_of(categorical_accuracy, direction="up")
SparseCategoricalAccuracy = mean_of(sparse_categorical_accuracy, direction="up")


class BinaryAccuracy(MeanMetricWrapper):
    """How often predictions are above `threshold` where targets are 1, and not where they are 0.

    >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]])
    tensor(0.75, dtype=float32)
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the `k` of the largest scores; targets are one-hot.

    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]])
    tensor(0.5, dtype=float32)
    """

    _direction = "up"

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the `k` of the largest scores; targets are its numbers.

    >>> SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]])
    tensor(0.5, dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        options = {"from_sorted_ids": True} if from_sorted_ids else {}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, **options)
