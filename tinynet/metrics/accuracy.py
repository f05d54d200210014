"""Metrics of how accurate predictions are: accuracies of classes, losses as metrics, and R2.

Accuracies are means of functions that return 1 for a correct prediction and 0 for a wrong one.
Losses become metrics as their means over all samples.

Imports `base.py`, `../losses/`. Read next: `confusion.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import losses, ops
from ..engine.expect import expect, warn
from ..engine.refusal import answering
from ..engine.tensor import Tensor, as_tensor, floatx
from ..losses.base import same_shapes
from .base import MeanMetricWrapper, Metric

# -- classes -----------------------------------------------------------------------------------


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
    """Return 1 where the target is 1 and the prediction above `threshold`, or both are not; else 0.

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
    """The share of correct predictions: above `threshold` for target 1, not above it for 0.

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


# -- losses ---------------------------------------------------------------------------------------


class MeanSquaredError(MeanMetricWrapper, fn=losses.mean_squared_error):
    """The mean over samples of `losses.mean_squared_error`; parameters as for `Metric`.

    >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    tensor(5., dtype=float32)
    """


class MeanAbsoluteError(MeanMetricWrapper, fn=losses.mean_absolute_error):
    """The mean over samples of `losses.mean_absolute_error`; parameters as for `Metric`.

    >>> MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    tensor(2., dtype=float32)
    """


class MeanAbsolutePercentageError(MeanMetricWrapper, fn=losses.mean_absolute_percentage_error):
    """The mean over samples of `losses.mean_absolute_percentage_error`; parameters as for `Metric`.

    >>> MeanAbsolutePercentageError()([[1.0], [2.0]], [[1.0], [4.0]])
    tensor(50., dtype=float32)
    """


class MeanSquaredLogarithmicError(MeanMetricWrapper, fn=losses.mean_squared_logarithmic_error):
    """The mean over samples of `losses.mean_squared_logarithmic_error`; parameters as for `Metric`.

    >>> MeanSquaredLogarithmicError()([[1.0], [2.0]], [[1.0], [2.0]])
    tensor(0., dtype=float32)
    """


class LogCoshError(MeanMetricWrapper, fn=losses.log_cosh, name="logcosh"):
    """The mean over samples of `losses.log_cosh`; parameters as for `Metric`.

    >>> LogCoshError()([[1.0], [2.0]], [[1.0], [2.0]])
    tensor(0., dtype=float32)
    """


class Hinge(MeanMetricWrapper, fn=losses.hinge):
    """The mean over samples of `losses.hinge`; parameters as for `Metric`.

    >>> Hinge()([[0.0], [1.0]], [[-0.5], [1.0]])
    tensor(0.25, dtype=float32)
    """


class SquaredHinge(MeanMetricWrapper, fn=losses.squared_hinge):
    """The mean over samples of `losses.squared_hinge`; parameters as for `Metric`.

    >>> SquaredHinge()([[0.0], [1.0]], [[-0.5], [1.0]])
    tensor(0.125, dtype=float32)
    """


class CategoricalHinge(MeanMetricWrapper, fn=losses.categorical_hinge):
    """The mean over samples of `losses.categorical_hinge`; parameters as for `Metric`.

    >>> CategoricalHinge()([[0, 1]], [[0.5, 0.75]])
    tensor(0.75, dtype=float32)
    """


class KLDivergence(MeanMetricWrapper, fn=losses.kl_divergence):
    """The mean over samples of `losses.kl_divergence`; parameters as for `Metric`.

    >>> KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
    tensor(0., dtype=float32)
    """


class Poisson(MeanMetricWrapper, fn=losses.poisson):
    """The mean over samples of `losses.poisson`; parameters as for `Metric`.

    >>> Poisson()([[2.0], [0.0]], [[1.0], [3.0]])
    tensor(1.9999999, dtype=float32)
    """


def _similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(
    MeanMetricWrapper, fn=_similarity, name="cosine_similarity", arguments="name dtype axis"
):
    """The mean cosine of the angle between vectors along `axis`; parameters as for `Metric`.

    >>> CosineSimilarity()([[0.0, 1.0], [1.0, 0.0]], [[0.0, 4.0], [0.0, 1.0]])
    tensor(0.5, dtype=float32)
    """

    _direction = "up"


class BinaryCrossentropy(
    MeanMetricWrapper,
    fn=losses.binary_crossentropy,
    arguments="name dtype from_logits label_smoothing",
    label_smoothing=0,
):
    """The mean of `losses.binary_crossentropy`: targets are 0 or 1, predictions probabilities.

    >>> BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])  # log(2)
    tensor(0.6931472, dtype=float32)
    """


class CategoricalCrossentropy(
    MeanMetricWrapper, fn=losses.categorical_crossentropy, label_smoothing=0
):
    """The mean of `losses.categorical_crossentropy`: targets are one-hot.

    >>> CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.6931472, dtype=float32)
    """


class SparseCategoricalCrossentropy(MeanMetricWrapper, fn=losses.sparse_categorical_crossentropy):
    """The mean of `losses.sparse_categorical_crossentropy`: targets are class indices.

    Where there are sample weights, those of `ignore_class` count as 0, as in Keras.

    >>> SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])
    tensor(0.6931472, dtype=float32)
    """


class R2Score(Metric):
    """The coefficient of determination: the share of the targets' variance that is predicted.

    That is ``1 - sum((y_true - y_pred) ** 2) / sum((y_true - mean(y_true)) ** 2)`` for each output.
    It is 1 for exact predictions, 0 for predictions as good as the mean, and negative for worse
    ones. It is 0 where all targets are equal, and NaN where they are also predicted exactly, or
    where there are no samples.

    Parameters
    ----------
    class_aggregation : "uniform_average", "variance_weighted_average" or None
        How the scores of the outputs, along the last axis, are averaged; None: not at all.
    num_regressors : int
        If not 0, the score is adjusted for this number of independent variables.
    name, dtype
        See `Metric`.

    Raises
    ------
    ValueError
        For an invalid `class_aggregation`, a negative `num_regressors`, and for batches whose shape
        is not (samples, outputs).

    >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    tensor(0.57142854, dtype=float32)
    """

    _direction = "up"
    count: Any = None  # until the number of outputs is known

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        valid = class_aggregation in known
        expect(valid, "R2Score", f"class_aggregation to be one of {known}", class_aggregation)
        expect(num_regressors >= 0, "num_regressors", "0 or more", num_regressors)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(name="num_samples")

    def _build(self, y_pred_shape: Any) -> None:
        if self.count is None:
            expect(len(y_pred_shape) == 2, "R2Score", "shape (samples, outputs)", y_pred_shape)
            names = ("squared_sum", "sum", "residual", "count")
            sums = (self.add_variable(y_pred_shape[-1:], name=name) for name in names)
            self.squared_sum, self.sum, self.total_mse, self.count = sums

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the sums of a batch."""
        with self._without_gradient(y_true, y_pred, sample_weight):
            y_true, y_pred = same_shapes(y_true, y_pred, self.dtype)
            weight = ops.cast(1.0 if sample_weight is None else sample_weight, self.dtype)
            weight = ops.expand_dims(weight, 1) if weight.ndim == 1 else weight
            weight = ops.broadcast_to(weight, y_true.shape)
            self._build(y_pred.shape)
            self.sum.assign_add(ops.sum(y_true * weight, 0))
            self.squared_sum.assign_add(ops.sum(y_true * (y_true * weight), 0))
            self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, 0))
            self.count.assign_add(ops.sum(weight, 0))
            self.num_samples.assign_add(y_true.size)

    def result(self) -> Tensor:
        """Return the score of all samples since `reset_state`, a vector without aggregation."""
        if self.count is None:
            raise ValueError("R2Score.result: call update_state with samples first.")
        with np.errstate(divide="ignore", invalid="ignore"):
            total = self.squared_sum - self.sum * (self.sum / self.count)
            scores = 1 - self.total_mse / total
            score = ops.where(ops.equal(ops.absolute(scores), np.inf), 0.0, scores)
            if self.class_aggregation == "uniform_average":
                score = ops.mean(score)
            elif self.class_aggregation == "variance_weighted_average":
                score = ops.sum(total * score) / ops.sum(total)
        return self._adjusted(score) if self.num_regressors else score

    def _adjusted(self, score: Tensor) -> Tensor:
        """Return the adjusted R2 (Theil) for `num_regressors` independent variables."""
        n, p = float(self.num_samples), self.num_regressors
        if p >= n - 1:
            message = f"num_regressors={p} needs more than {p + 1} samples, received {n:.0f}"
            warn(f"R2Score: the score is not adjusted: {message}.")
            return score
        return 1 - (1 - score) * ((n - 1) / (n - p - 1))
