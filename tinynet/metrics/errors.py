"""Metrics of how far predictions are from their targets: losses that are watched, and R2.

Imports `base.py`, `losses.py`. Read next: `__init__.py`, where metrics are looked up.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import losses, ops
from ..engine.tensor import Tensor, no_grad
from .base import Mean, MeanMetricWrapper, Metric, mean_of, pair

MeanSquaredError = mean_of(losses.mean_squared_error)
MeanAbsoluteError = mean_of(losses.mean_absolute_error)
MeanAbsolutePercentageError = mean_of(losses.mean_absolute_percentage_error)
MeanSquaredLogarithmicError = mean_of(losses.mean_squared_logarithmic_error)
LogCoshError = mean_of(losses.log_cosh, "LogCoshError", "logcosh")


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `losses.binary_crossentropy`: targets are 0 or 1, predictions probabilities.

    >>> BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])  # log(2)
    tensor(0.6931472, dtype=float32)
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **options)


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.categorical_crossentropy`: targets are one-hot.

    >>> CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])
    tensor(0.6931472, dtype=float32)
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **options)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.sparse_categorical_crossentropy`: targets are the numbers of classes.

    >>> SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])
    tensor(0.6931472, dtype=float32)
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **options)


class RootMeanSquaredError(Mean):
    """The root of the mean of ``(y_true - y_pred) ** 2`` over all samples.

    >>> RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    tensor(5., dtype=float32)
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the squared errors of a batch."""
        with no_grad():
            y_true, y_pred = pair(y_true, y_pred, self.dtype)
            super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        """Return the root of the mean of all squared errors since `reset_state`."""
        return ops.sqrt(super().result())


class R2Score(Metric):
    """The coefficient of determination: the share of the targets' variance that is predicted.

    That is ``1 - sum((y_true - y_pred) ** 2) / sum((y_true - mean(y_true)) ** 2)`` for each output.
    It is 1 if predictions are exact, 0 if they are as good as the mean, below if they are worse; 0
    where all targets are the same, and NaN where in addition they are hit, or there are no samples.

    Parameters
    ----------
    class_aggregation : "uniform_average", "variance_weighted_average" or None
        How the scores of the outputs, the last axis, become one; None leaves them apart.
    num_regressors : int
        If not 0, the score is adjusted for the number of independent variables.
    name, dtype
        See `Metric`.

    Raises
    ------
    ValueError
        For another `class_aggregation`, a negative `num_regressors`, and samples without the shape
        (samples, outputs).

    >>> R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])
    tensor(0.57142854, dtype=float32)
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                f"Invalid value for argument `class_aggregation`. Expected one of {known}. "
                f"Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. "
                f"Received: num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self._built = False

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        if self._built:
            return
        if len(y_pred_shape) != 2:
            raise ValueError(
                "R2Score expects samples of shape (batch_size, output_dim), received "
                f"y_pred of shape {y_pred_shape} and y_true of shape {y_true_shape}."
            )
        names = ("squared_sum", "sum", "residual", "count")
        self.squared_sum, self.sum, self.total_mse, self.count = (
            self.add_variable(y_pred_shape[-1:], name=name) for name in names
        )
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the sums of a batch."""
        with no_grad():
            y_true, y_pred = pair(y_true, y_pred, self.dtype)
            self._build(y_true.shape, y_pred.shape)
            weight = ops.cast(1.0 if sample_weight is None else sample_weight, self.dtype)
            weight = ops.expand_dims(weight, 1) if weight.ndim == 1 else weight
            weight = ops.broadcast_to(weight, y_true.shape)
            self.sum.assign_add(ops.sum(y_true * weight, 0))
            self.squared_sum.assign_add(ops.sum(y_true * (y_true * weight), 0))
            self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, 0))
            self.count.assign_add(ops.sum(weight, 0))
            self.num_samples.assign_add(y_true.size)

    def result(self) -> Tensor:
        """Return the score of all samples since `reset_state`, a vector without aggregation."""
        if not self._built:
            raise ValueError("R2Score.result: expected samples first, by update_state.")
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
        """Return the score as it is for so many independent variables (Theil's adjustment)."""
        n, p = float(self.num_samples), self.num_regressors
        if p >= n - 1:
            warnings.warn(
                f"R2Score: the score is not adjusted, as that takes more samples than {p + 1} for "
                f"num_regressors={p}, received {n:.0f}.",
                stacklevel=3,
            )
            return score
        return 1 - (1 - score) * ((n - 1) / (n - p - 1))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
