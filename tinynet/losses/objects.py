"""Loss objects: a class for each function, which reduces the values of samples to a scalar.

Imports `base.py`, `functions.py`. Read next: `lookup.py`.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..engine.tensor import Tensor, as_tensor
from .base import LossFunction, align_ranks, class_indices
from .functions import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
)


class MeanSquaredError(LossFunction, function=mean_squared_error):
    """The loss object of `mean_squared_error`; parameters as for `Loss`.

    >>> MeanSquaredError()([1.0, 2.0], [1.0, 4.0])
    tensor(2., dtype=float32)
    """


class MeanAbsoluteError(LossFunction, function=mean_absolute_error):
    """The loss object of `mean_absolute_error`; parameters as for `Loss`.

    >>> MeanAbsoluteError()([1.0, 2.0], [1.0, 4.0])
    tensor(1., dtype=float32)
    """


class MeanAbsolutePercentageError(LossFunction, function=mean_absolute_percentage_error):
    """The loss object of `mean_absolute_percentage_error`; parameters as for `Loss`.

    >>> MeanAbsolutePercentageError()([1.0, 2.0], [1.0, 4.0])
    tensor(50., dtype=float32)
    """


class MeanSquaredLogarithmicError(LossFunction, function=mean_squared_logarithmic_error):
    """The loss object of `mean_squared_logarithmic_error`; parameters as for `Loss`.

    >>> MeanSquaredLogarithmicError()([1.0, 2.0], [1.0, 2.0])
    tensor(0., dtype=float32)
    """


class LogCosh(LossFunction, function=log_cosh):
    """The loss object of `log_cosh`; parameters as for `Loss`.

    >>> LogCosh()([1.0, 2.0], [1.0, 2.0])
    tensor(0., dtype=float32)
    """


class Huber(
    LossFunction, function=huber, arguments="delta reduction name dtype", name="huber_loss"
):
    """The loss object of `huber`, with its `delta`; other parameters as for `Loss`.

    >>> Huber(delta=2.0)([0.0], [3.0])
    tensor(4., dtype=float32)
    """


class BinaryCrossentropy(
    LossFunction,
    function=binary_crossentropy,
    arguments="from_logits label_smoothing axis reduction name dtype",
):
    """The loss object of `binary_crossentropy`, with its options; others as for `Loss`.

    >>> BinaryCrossentropy(from_logits=True)([1, 0], [[0.0], [0.0]])
    tensor(0.6931472, dtype=float32)
    """


class CategoricalCrossentropy(
    LossFunction,
    function=categorical_crossentropy,
    arguments="from_logits label_smoothing axis reduction name dtype",
):
    """The loss object of `categorical_crossentropy`, with its options; others as for `Loss`.

    >>> CategoricalCrossentropy(from_logits=True)([[1, 0]], [[0.0, 0.0]])
    tensor(0.6931472, dtype=float32)
    """


class SparseCategoricalCrossentropy(
    LossFunction,
    function=sparse_categorical_crossentropy,
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
