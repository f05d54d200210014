"""Metrics of prediction errors: losses as metrics, the root mean squared error, and R2.

Imports `base.py`, `../losses/`. Read next: `confusion.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import losses, ops
from ..engine.bind import no_grad
from ..engine.expect import expect, warn
from ..engine.tensor import Tensor
from ..losses.base import same_shapes
from .base import Mean, MeanMetricWrapper, Metric


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
            y_true, y_pred = same_shapes(y_true, y_pred, self.dtype)
            super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        """Return the root of the mean of all squared errors since `reset_state`."""
        return ops.sqrt(super().result())


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
        For another `class_aggregation`, a negative `num_regressors`, and samples of another shape
        than (samples, outputs).

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
        valid = class_aggregation in known
        expect(valid, "R2Score", f"class_aggregation to be one of {known}", class_aggregation)
        expect(num_regressors >= 0, "num_regressors", "0 or more", num_regressors)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self._built = False

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        if self._built:
            return
        expect(len(y_pred_shape) == 2, "R2Score", "shape (samples, outputs)", y_pred_shape)
        names = ("squared_sum", "sum", "residual", "count")
        sums = (self.add_variable(y_pred_shape[-1:], name=name) for name in names)
        self.squared_sum, self.sum, self.total_mse, self.count = sums
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the sums of a batch."""
        with no_grad():
            y_true, y_pred = same_shapes(y_true, y_pred, self.dtype)
            weight = ops.cast(1.0 if sample_weight is None else sample_weight, self.dtype)
            weight = ops.expand_dims(weight, 1) if weight.ndim == 1 else weight
            weight = ops.broadcast_to(weight, y_true.shape)
            self._build(y_true.shape, y_pred.shape)
            self.sum.assign_add(ops.sum(y_true * weight, 0))
            self.squared_sum.assign_add(ops.sum(y_true * (y_true * weight), 0))
            self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, 0))
            self.count.assign_add(ops.sum(weight, 0))
            self.num_samples.assign_add(y_true.size)

    def result(self) -> Tensor:
        """Return the score of all samples since `reset_state`, a vector without aggregation."""
        if not self._built:
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
