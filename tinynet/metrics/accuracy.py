"""Metrics of classes: how often the predicted class is the true class.

The functions return 1 for a correct prediction and 0 for a wrong one; the metrics are their means.

Imports `base.py`. Read next: `errors.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine.refusal import answering
from ..engine.tensor import Tensor, as_tensor, floatx
from ..losses.base import same_shapes
from .base import MeanMetricWrapper


def _equal(y_true: Any, y_pred: Any) -> Tensor:
    return ops.cast(ops.equal(*same_shapes(y_true, y_pred)), floatx())


def accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where both are equal, else 0: for predictions that are class labels.

    >>> accuracy([1, 2, 3], [1, 2, 0])
    tensor([1., 1., 0.], dtype=float32)
    """
    y_pred = as_tensor(y_pred)
    floats = y_pred.dtype.kind == "f"  # into small integers, labels could wrap
    return _equal(ops.cast(y_true, y_pred.dtype) if floats else y_true, y_pred)


@answering
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Tensor:
    """Return 1 where a prediction is on its target's side of `threshold`, above it for 1; else 0.

    >>> binary_accuracy([[1.0], [0.0], [1.0]], [[0.9], [0.2], [0.5]])
    tensor([[1.], [1.], [0.]], dtype=float32)
    """
    y_true = as_tensor(y_true)
    return _equal(y_true, ops.cast(as_tensor(y_pred) > threshold, y_true.dtype))


@answering
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where the true class has the largest score; targets are one-hot.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.], dtype=float32)
    """
    return _equal(ops.argmax(y_true, -1), ops.argmax(y_pred, -1))


@answering
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Return 1 where the true class has the largest score; targets are class indices.

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    tensor([1., 0.], dtype=float32)
    """
    y_true, y_pred = _indices(y_true, y_pred)
    return _equal(y_true, ops.cast(ops.argmax(y_pred, -1), y_true.dtype))


def _indices(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Return the class indices, without a last axis of 1, as floats, and the scores."""
    y_pred = as_tensor(y_pred)
    y_true = ops.cast(y_true, np.result_type(y_pred.dtype, np.float32))  # float16 has few integers
    single = y_true.ndim > 1 and y_true.shape[-1] == 1
    return (ops.squeeze(y_true, -1) if single else y_true), y_pred


@answering
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """Return 1 where fewer than `k` scores exceed the true class's score; targets are one-hot.

    >>> top_k_categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]], k=2)
    tensor([1., 0.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, -1), y_pred, k)


@answering
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """Return 1 where fewer than `k` scores exceed the true class's score; targets are indices.

    With `from_sorted_ids`, predictions are not scores but class indices, the best first.

    >>> sparse_top_k_categorical_accuracy([2, 1], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]], k=2)
    tensor([1., 0.], dtype=float32)
    """
    y_true, y_pred = _indices(y_true, y_pred)
    same_shapes(y_true, y_pred[..., 0])
    y_true = ops.expand_dims(y_true, -1)
    if from_sorted_ids:
        return ops.max(ops.cast(ops.equal(y_true, y_pred[..., :k]), floatx()), -1)
    is_true = ops.equal(y_true, np.arange(y_pred.shape[-1]))
    is_true = ops.logical_and(is_true, ops.equal(y_pred, y_pred))  # a NaN score never counts
    score = ops.max(ops.where(is_true, y_pred, -np.inf), -1, keepdims=True)
    above = ops.sum(ops.cast(y_pred > score, floatx()), -1)
    return ops.cast(above < k, floatx())


class _Accuracy(MeanMetricWrapper):
    """Base of the metrics here: a larger value is better."""

    _direction = "up"


class Accuracy(_Accuracy, fn=accuracy):
    """The mean over samples of `accuracy`; parameters as for `Metric`.

    >>> Accuracy()([1, 2, 3, 4], [1, 2, 3, 0])
    tensor(0.75, dtype=float32)
    """


class CategoricalAccuracy(_Accuracy, fn=categorical_accuracy):
    """The mean over samples of `categorical_accuracy`; parameters as for `Metric`.

    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])
    tensor(0.5, dtype=float32)
    """


class SparseCategoricalAccuracy(_Accuracy, fn=sparse_categorical_accuracy):
    """The mean over samples of `sparse_categorical_accuracy`; parameters as for `Metric`.

    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.4, 0.6]])
    tensor(0.5, dtype=float32)
    """


class BinaryAccuracy(_Accuracy, fn=binary_accuracy):
    """The share of predictions on the target's side of `threshold`: above it for 1, else for 0.

    >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1.0], [0.0], [0.6]])
    tensor(0.75, dtype=float32)
    """


class TopKCategoricalAccuracy(_Accuracy, fn=top_k_categorical_accuracy, arguments="k name dtype"):
    """The share of samples whose true class has one of the `k` largest scores; one-hot targets.

    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]])
    tensor(0.5, dtype=float32)
    """


class SparseTopKCategoricalAccuracy(
    _Accuracy, fn=sparse_top_k_categorical_accuracy, arguments="k name dtype from_sorted_ids"
):
    """The share of samples whose true class, an index, has one of the `k` largest scores.

    >>> SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.9, 0.8], [0.3, 0.1, 0.2]])
    tensor(0.5, dtype=float32)
    """

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; `from_sorted_ids` only if set, as Keras."""
        config = super().get_config().items()
        return {key: value for key, value in config if value or key != "from_sorted_ids"}
