"""Functions composed of primitives: no derivative rules of their own. At the end, the operators.

Imports `primitives.py`. Read next: `autodiff.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import primitives as p
from .tensor import Operand, Tensor, as_dtype, as_tensor, floatx, wrap


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the mean along `axis`: an integer, several, or None for all.

    >>> import tinynet as tn
    >>> tn.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.], dtype=float32)
    """
    x = p.to_floating(as_tensor(x))
    total = p.sum(x, axis, keepdims)
    return total / (x.size / total.size) if x.size else total / 0.0


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the variance along `axis`: the mean square distance from the mean."""
    x = as_tensor(x)
    return mean(p.square(x - mean(x, axis, keepdims=True)), axis, keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the standard deviation along `axis`: the root of the variance."""
    return p.sqrt(var(x, axis, keepdims))


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Return `x`, with `x_min` where it is smaller and `x_max` where it is larger.

    Outside the gradient is 0, at a bound it is the full one.
    """
    x = as_tensor(x)
    return p.where(x < x_min, x_min, p.where(x > x_max, x_max, x))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """Return ``x1 / x2``, and 0 where x2 is 0."""
    x2 = as_tensor(x2)
    nothing = p.equal(x2, 0)
    return p.where(nothing, 0, p.divide(x1, p.where(nothing, 1, x2)))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return log(sum(exp(x))) along `axis`, without overflow."""
    x = as_tensor(x)
    top = stop_gradient(p.max(x, axis, keepdims=True))
    top = p.where(p.isfinite(top), top, 0.0)
    out = p.log(p.sum(p.exp(x - top), axis, keepdims=True)) + top
    return out if keepdims else squeeze(out, tuple(range(x.ndim)) if axis is None else axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return the logarithm of `softmax`, without overflow or loss of small probabilities."""
    x = as_tensor(x)
    shifted = x - stop_gradient(p.max(x, axis, keepdims=True))
    return shifted - p.log(p.sum(p.exp(shifted), axis, keepdims=True))


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return exp(x) / sum(exp(x)) along `axis` (one or several), without overflow.

    >>> import tinynet as tn
    >>> tn.ops.softmax([1000.0, 1000.0])
    tensor([0.5, 0.5], dtype=float32)
    """
    x = as_tensor(x)
    e = p.exp(x - stop_gradient(p.max(x, axis, keepdims=True)))
    return e / p.sum(e, axis, keepdims=True)


def dot(x1: Any, x2: Any) -> Tensor:
    """Return the product of numbers, vectors or matrices (`matmul` up to two axes)."""
    x1, x2 = p.alike(x1, x2)
    if x1.ndim > 2 or x2.ndim > 2:
        raise ValueError(
            f"dot: expected at most two axes, received shapes {x1.shape} and {x2.shape}. "
            "Use matmul."
        )
    return x1 @ x2 if x1.ndim and x2.ndim else x1 * x2


def stack(x: Any, axis: int = 0) -> Tensor:
    """Return the tensors in `x`, all of one shape, along a new axis."""
    return p.concatenate([expand_dims(each, axis) for each in x], axis)


def expand_dims(x: Any, axis: int) -> Tensor:
    """Return `x` with a new axis of length 1 at `axis`."""
    x = as_tensor(x)
    (place,) = p.ints((axis,), "axis")
    if not -x.ndim - 1 <= place <= x.ndim:
        raise ValueError(f"expand_dims: axis {axis} is out of range for shape {x.shape}.")
    place += x.ndim + 1 if place < 0 else 0
    return p.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Return `x` without `axis`, or without any axis of length 1. ValueError for other lengths."""
    x = as_tensor(x)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = ones if axis is None else p.axes_of(x, axis) or ()
    if not set(axes) <= set(ones):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} has another length than 1.")
    return p.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Return `x` with two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    i, j = p.axis_of(x, axis1, "axis1"), p.axis_of(x, axis2, "axis2")
    order[i], order[j] = j, i
    return p.transpose(x, tuple(order))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Return zeros of the shape of `x`, and of its dtype if no other is given."""
    x = as_tensor(x)
    return zeros(x.shape, dtype or x.dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Return ones of the shape of `x`, and of its dtype if no other is given."""
    x = as_tensor(x)
    return ones(x.shape, dtype or x.dtype)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Return zeros, of dtype `floatx` by default."""
    return wrap(np.zeros(_lengths(shape), as_dtype(dtype or floatx())))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Return ones, of dtype `floatx` by default."""
    return wrap(np.ones(_lengths(shape), as_dtype(dtype or floatx())))


def _lengths(shape: Any) -> tuple[int, ...]:
    found = p.ints(shape, "shape")
    if any(n < 0 for n in found):
        raise ValueError(f"shape: expected lengths of 0 or more, received {shape}.")
    return found


def stop_gradient(variable: Any) -> Tensor:
    """Return a tensor or the value of a variable as a constant: no gradient flows through."""
    return as_tensor(variable).detach()


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor, converted to `dtype` if one is given."""
    return as_tensor(x) if dtype is None else p.cast(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a new array."""
    return np.array(x)


def shape(x: Any) -> tuple[int, ...]:
    """Return the lengths of the axes."""
    return as_tensor(x).shape


# -- operators and methods --------------------------------------------------------------------


def _reflected(function: Any) -> Any:
    return lambda self, other: function(other, self)


def _of_lengths(function: Any) -> Any:
    """Take lengths or axes as one tuple or one by one: ``t.reshape(2, 3)``."""
    return lambda self, *n: function(self, *((n,) if len(n) > 1 else n))


_OPERATORS = {
    "__add__": p.add,
    "__sub__": p.subtract,
    "__mul__": p.multiply,
    "__truediv__": p.divide,
    "__matmul__": p.matmul,
    "__pow__": p.power,
}
_METHODS = {
    "__neg__": p.negative,
    "__abs__": p.absolute,
    "__eq__": p.equal,
    "__ne__": p.not_equal,
    "__lt__": p.less,
    "__le__": p.less_equal,
    "__gt__": p.greater,
    "__ge__": p.greater_equal,
    "__and__": p.logical_and,
    "__or__": p.logical_or,
    "__invert__": p.logical_not,
    "__getitem__": p.getitem,
    "astype": p.cast,
    "sum": p.sum,
    "mean": mean,
    "max": p.max,
    "min": p.min,
    "reshape": _of_lengths(p.reshape),
    "transpose": _of_lengths(p.transpose),
}
for _name, _function in _OPERATORS.items():
    setattr(Operand, _name, _function)
    setattr(Operand, _name.replace("__", "__r", 1), _reflected(_function))
for _name, _function in _METHODS.items():
    setattr(Operand, _name, _function)
