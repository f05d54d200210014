"""The base of losses: ranks are aligned, values weighed and reduced to the scalar to train on.

Formulas, alignment of ranks and reductions are Keras's. Imports the engine, `registry.py`. Read
next: `functions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..configs import lookup as registry
from ..configs.watched import Watched
from ..engine.tensor import Tensor, as_tensor, floatx


def align(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with one rank, where theirs differ by one and the longer shape ends in 1.

    So (n,) beside (n, 1) pairs sample with sample, and never makes a table of n times n.

    >>> [x.shape for x in align(ops.zeros(3), ops.zeros((3, 1)))]
    [(3, 1), (3, 1)]
    """
    if x1.ndim > x2.ndim:
        x2, x1 = align(x2, x1)
        return x1, x2
    if x1.ndim + 1 == x2.ndim and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if x1.ndim == 1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def reduce(values: Tensor, sample_weight: Any = None, reduction: str | None = "mean") -> Tensor:
    """Return the values of samples, weighted, as one number (or as they are, for ``"none"``).

    ``"sum_over_batch_size"`` and ``"mean"`` divide the weighted sum by the count of values,
    ``"mean_with_sample_weight"`` by the sum of the weights, or 0 if that is 0.

    Raises
    ------
    ValueError
        When `sample_weight` does not have a weight for each value, or one for all.
    """
    weight = None
    if sample_weight is not None:
        weight, values = align(ops.cast(sample_weight, values.dtype), values)
        if not fits(weight.shape, values.shape):
            raise ValueError(
                f"sample_weight of shape {weight.shape} does not fit values of shape "
                f"{values.shape}: expected a weight per value."
            )
        values = values * weight
    if reduction in ("none", None) or values.shape == ():
        return values
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.sum(values) if reduction == "sum" else ops.mean(values)


def fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether `shape` broadcasts to `target`."""
    ends = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape, ends, strict=True))


class Loss(Watched):
    """Base of losses: subclass it with ``call(self, y_true, y_pred)``, one value per sample.

    Parameters
    ----------
    name : str, optional
    reduction : str or None
        One of ``"sum_over_batch_size"``, ``"mean"``, ``"sum"``, ``"mean_with_sample_weight"``,
        ``"none"`` and None (see `reduce`).
    dtype : str, optional
        Converts targets and predictions; by default targets take the predictions' dtype.

    >>> class Cubic(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(abs(y_true - y_pred) ** 3, axis=-1)
    >>> Cubic()([[0.0], [0.0]], [[1.0], [2.0]])
    tensor(4.5, dtype=float32)
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"Invalid value for argument `reduction`. Expected one of {REDUCTIONS}. "
                f"Received: reduction={reduction}"
            )
        self.name = name or registry.snake_case(type(self).__name__)
        self.reduction = reduction
        self.dtype = dtype

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return one value per sample: what a subclass defines."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the reduced loss of tensors or arrays `y_true` and `y_pred`."""
        y_pred = as_tensor(y_pred)
        dtype = self._dtype_for(y_pred)
        y_true = ops.cast(y_true, dtype)
        values = as_tensor(self.call(y_true, ops.cast(y_pred, dtype)))
        return reduce(values, sample_weight, self.reduction)

    def _dtype_for(self, y_pred: Tensor) -> Any:
        return self.dtype or (y_pred.dtype if y_pred.dtype.kind == "f" else floatx())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Return a loss made from what `get_config` returned."""
        return cls(**config)


class LossFunction(Loss):
    """The loss object of a function ``(y_true, y_pred, **options)``: ranks aligned, values reduced.

    >>> LossFunction(lambda t, p, power: abs(t - p) ** power, power=3)([0.0, 0.0], [[1.0], [3.0]])
    tensor(14., dtype=float32)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name or registry.name_of(function), reduction, dtype)
        self.function = function
        self._options = options
        vars(self).update(options)  # to be read, as in Keras: loss.from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the function's values of the aligned pair."""
        return as_tensor(self.function(*align(y_true, y_pred), **self._options))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), **self._options}
