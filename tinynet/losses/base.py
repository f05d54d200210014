"""The base of losses: align the ranks, weight the values, reduce them to the scalar to train on.

Formulas, rank alignment and reductions are Keras's. Imports the engine and `configs/`. Read next:
`functions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import ops, tree
from ..configs.configurable import Configurable, FunctionObject
from ..configs.lookup import name_of, snake_case
from ..engine.expect import expect
from ..engine.tensor import Tensor, as_tensor, floatx


def align_ranks(x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with equal ranks, if these differ by 1 and the longer shape ends in 1.

    So (n,) and (n, 1) are compared sample by sample, and do not broadcast to (n, n).

    >>> [x.shape for x in align_ranks(ops.zeros(3), ops.zeros((3, 1)))]
    [(3, 1), (3, 1)]
    """
    if x1.ndim > x2.ndim:
        return align_ranks(x2, x1)[::-1]
    if x1.ndim + 1 == x2.ndim and x2.shape[-1] == 1:
        return (ops.expand_dims(x1, -1), x2) if x1.ndim == 1 else (x1, ops.squeeze(x2, -1))
    return x1, x2


def same_shapes(y_true: Any, y_pred: Any, dtype: Any = None) -> tuple[Tensor, Tensor]:
    """Return targets and predictions as tensors of one shape, and of `dtype` if it is given.

    Raises
    ------
    ValueError
        When the shapes differ after `align_ranks`.
    """
    y_true, y_pred = (ops.convert_to_tensor(y, dtype) for y in (y_true, y_pred))
    y_true, y_pred = align_ranks(y_true, y_pred)
    shapes = [y_true.shape, y_pred.shape]
    classes = " (for integer classes, use a sparse loss or tinynet.utils.to_categorical)"
    wanted = "one shape" + classes * (shapes[0] == shapes[1][:-1])
    expect(shapes[0] == shapes[1], "y_true and y_pred", wanted, shapes)
    return y_true, y_pred


def class_indices(y_true: Any, y_pred: Tensor, axis: int) -> Tensor:
    """Return the targets as integers, one per sample of `y_pred`; ValueError for other shapes."""
    y_true = ops.cast(y_true, "int64")
    axis_index = axis % max(y_pred.ndim, 1)
    expected = tuple(n for i, n in enumerate(y_pred.shape) if i != axis_index)
    if y_true.ndim == y_pred.ndim > 0 and y_true.shape[axis_index] == 1:
        y_true = ops.squeeze(y_true, axis_index)
    wanted = f"targets y_true of shape {expected} for y_pred of shape {y_pred.shape}"
    fits = y_true.shape == expected and y_pred.ndim
    expect(fits, "sparse_categorical_crossentropy", wanted, y_true.shape)
    return y_true


REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def reduce(values: Tensor, sample_weight: Any = None, reduction: str | None = "mean") -> Tensor:
    """Return the weighted values of samples reduced to a scalar, or unreduced for ``"none"``.

    ``"sum_over_batch_size"`` and ``"mean"`` divide the weighted sum by the number of values,
    ``"mean_with_sample_weight"`` divides it by the sum of the weights, and is 0 if that sum is 0.

    Raises
    ------
    ValueError
        When the shape of `sample_weight` does not broadcast to that of the values.
    """
    weight = None
    if sample_weight is not None:
        weight, values = align_weights(sample_weight, values)
        values = values * weight
    if reduction in ("none", None) or values.shape == ():
        return values
    if reduction == "mean_with_sample_weight" and weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(weight))
    return ops.sum(values) if reduction == "sum" else ops.mean(values)


def align_weights(sample_weight: Any, values: Tensor, reduce: Any = None) -> tuple[Tensor, Tensor]:
    """Return weights and values of samples with aligned ranks, both in the values' dtype.

    If `reduce` is given, ``reduce(values, rank)`` reduces values of more axes than the weights.
    ValueError when the weights do not broadcast to the values.
    """
    weight, values = align_ranks(ops.cast(sample_weight, values.dtype), values)
    values = reduce(values, weight.ndim) if reduce else values
    wanted = f"a shape that broadcasts to the shape {values.shape} of the values"
    expect(broadcasts_to(weight.shape, values.shape), "sample_weight", wanted, weight.shape)
    return weight, values


def broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether `shape` broadcasts to `target`."""
    ends = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(n in (1, m) for n, m in zip(shape, ends, strict=True))


class Loss(Configurable):
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

    _config_first = ("name", "reduction")
    _config_without: ClassVar[tuple[str, ...]] = ("dtype",)

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        expect(reduction in REDUCTIONS, "reduction", f"one of {REDUCTIONS}", reduction)
        self.name = name or snake_case(type(self).__name__)
        self.reduction = reduction
        self.dtype = dtype

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return one value per sample. A subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred).")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the reduced loss of tensors, arrays, or structures of them."""
        y_pred = tree.map_structure(as_tensor, y_pred)
        if isinstance(y_pred, Tensor):
            dtype = self._dtype_for(y_pred)
            given = [ops.cast(y_true, dtype), ops.cast(y_pred, dtype)]
        else:
            dtype = self._dtype_for(tree.leaves(y_pred)[0])
            given = [tree.map_structure(lambda x: ops.cast(x, dtype), y) for y in (y_true, y_pred)]
        values = as_tensor(self.call(*given))
        return reduce(values, sample_weight, self.reduction)

    def _dtype_for(self, y_pred: Tensor) -> Any:
        return self.dtype or (y_pred.dtype if y_pred.dtype.kind == "f" else floatx())


class LossFunction(FunctionObject, Loss):
    """The loss object of a function ``(y_true, y_pred, **options)``: ranks aligned, values reduced.

    >>> LossFunction(lambda t, p, power: abs(t - p) ** power, power=3)([0.0, 0.0], [[1.0], [3.0]])
    tensor(14., dtype=float32)
    """

    _config_without = ("function", "dtype")
    _function = "function"
    _options_first = True

    def __init__(
        self,
        function: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name or name_of(function), reduction, dtype)
        self.function = function
        self._keep_options(options)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the function's values for the aligned targets and predictions."""
        if isinstance(y_pred, Tensor):
            y_true, y_pred = align_ranks(y_true, y_pred)
        else:
            targets = [part for _, part in tree.parts_like(y_pred, y_true, "y_true")]
            flat = zip(*map(align_ranks, targets, tree.leaves(y_pred)), strict=True)
            y_true, y_pred = map(tree.pack_sequence_as, (y_true, y_pred), flat)
        return as_tensor(self.function(y_true, y_pred, **self.options))
