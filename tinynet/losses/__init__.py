"""Losses, under Keras's path: ``from tinynet.losses import MeanSquaredError``.

A loss function returns one value per sample; a loss object reduces those to the scalar that
training makes smaller. Imports `base.py`, `functions.py`. Read next: `../optimizers/base.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..configs import lookup as registry
from ..engine.tensor import Tensor, as_tensor
from .base import REDUCTIONS, Loss, LossFunction, align, fits, reduce
from .functions import (
    binary_crossentropy,
    categorical_crossentropy,
    classes,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
)

__all__ = [
    "REDUCTIONS",
    "TABLE",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "LogCosh",
    "Loss",
    "LossFunction",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "SparseCategoricalCrossentropy",
    "align",
    "binary_crossentropy",
    "categorical_crossentropy",
    "fits",
    "get",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "reduce",
    "resolve",
    "sparse_categorical_crossentropy",
]


def _class_of(function: Callable[..., Any]) -> Any:
    """Return the class of loss objects of a function without options, as Keras names it."""

    class Of(LossFunction):
        def __init__(
            self,
            reduction: str | None = "sum_over_batch_size",
            name: str | None = function.__name__,
            dtype: Any = None,
        ) -> None:
            super().__init__(function, reduction, name, dtype)

    name = function.__name__.title().replace("_", "")
    Of.__name__ = Of.__qualname__ = name
    Of.__doc__ = f"""The loss object of `{function.__name__}`; parameters as for `Loss`.

    >>> {name}()([1.0, 2.0], [1.0, 2.0])
    tensor(0., dtype=float32)
    """
    return Of


MeanSquaredError = _class_of(mean_squared_error)
MeanAbsoluteError = _class_of(mean_absolute_error)
MeanAbsolutePercentageError = _class_of(mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _class_of(mean_squared_logarithmic_error)
LogCosh = _class_of(log_cosh)


class Huber(LossFunction):
    """The loss object of `huber`, with its `delta`; other parameters as for `Loss`.

    >>> Huber(delta=2.0)([0.0], [3.0])
    tensor(4., dtype=float32)
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


class BinaryCrossentropy(LossFunction):
    """The loss object of `binary_crossentropy`, with its options; others as for `Loss`.

    >>> BinaryCrossentropy(from_logits=True)([1, 0], [[0.0], [0.0]])
    tensor(0.6931472, dtype=float32)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **options)


class CategoricalCrossentropy(LossFunction):
    """The loss object of `categorical_crossentropy`, with its options; others as for `Loss`.

    >>> CategoricalCrossentropy(from_logits=True)([[1, 0]], [[0.0, 0.0]])
    tensor(0.6931472, dtype=float32)
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **options)


class SparseCategoricalCrossentropy(LossFunction):
    """The loss object of `sparse_categorical_crossentropy`, with its options; others as for `Loss`.

    Samples whose target is `ignore_class` do not count: means are those of the others.

    >>> loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    >>> loss([1, -1], [[0.0, 0.0], [5.0, 0.0]])
    tensor(0.6931472, dtype=float32)
    """

    ignore_class: int | None
    axis: int

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **options)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the reduced loss; a target that is ignored has the weight 0."""
        if self.ignore_class is not None:
            y_pred = as_tensor(y_pred)
            counted = classes(y_true, y_pred, self.axis) != self.ignore_class
            weight = ops.cast(counted, self._dtype_for(y_pred))
            if self.reduction in ("mean", "sum_over_batch_size"):
                weight = ops.divide_no_nan(weight * float(weight.size), ops.sum(weight))
            if sample_weight is not None:
                given, weight = align(ops.cast(sample_weight, weight.dtype), weight)
                weight = given * weight
            sample_weight = weight
        return super().__call__(y_true, y_pred, sample_weight)


TABLE = registry.names(
    mean_squared_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_logarithmic_error,
    log_cosh,
    huber,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
_SHORT = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
    "bce": binary_crossentropy,
}
TABLE |= {spelled: f for name, f in _SHORT.items() for spelled in (name, name.upper())}
_CLASSES = {
    kind.__name__: kind
    for kind in (
        MeanSquaredError,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        LogCosh,
        Huber,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
    )
}
registry.publish("keras.losses", *TABLE.values(), *_CLASSES.values())


def get(identifier: Any) -> Any:
    """Return the loss that `identifier` names: a function, or an object for a class name.

    Raises
    ------
    ValueError
        ``Could not interpret loss identifier: ...``

    >>> get("mse").__name__, get("MeanSquaredError").name
    ('mean_squared_error', 'mean_squared_error')
    """
    if identifier is None:
        return None
    return registry.lookup(identifier, TABLE | _CLASSES, "loss")


def resolve(
    identifier: Any, target_shape: tuple[int, ...] | None, output_shape: tuple[int, ...]
) -> Loss | None:
    """Return what `compile` was given as a loss object; None is no loss.

    ``"crossentropy"`` or ``"ce"`` is the binary one for outputs of width 1, else the sparse one for
    targets of lower rank or of width 1, else the categorical one. Shapes include the batch's axis.

    >>> resolve("crossentropy", (32,), (32, 10)).function.__name__
    'sparse_categorical_crossentropy'
    """
    found = get(
        crossentropy_for(target_shape or (), output_shape)
        if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce")
        else identifier
    )
    if found is None or isinstance(found, Loss):
        return found
    return LossFunction(found, name=identifier if isinstance(identifier, str) else None)


def crossentropy_for(target: tuple[int, ...], output: tuple[int, ...]) -> str:
    """Return the name of the cross-entropy that fits targets and outputs of these shapes."""
    if output[-1:] == (1,):
        return "binary_crossentropy"
    sparse = len(target) < len(output) or target[-1] == 1
    return "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
