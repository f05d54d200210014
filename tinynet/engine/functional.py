"""Functions composed of primitives, without derivative rules of their own.

Imports `primitives/`. Read next: `lists.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .primitives import elementwise, products, shapes
from .tensor import Tensor, as_dtype, as_tensor, floatx, wrap


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the mean along `axis`: an integer, a tuple of them, or None for all axes.

    >>> import tinynet as tn
    >>> tn.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.], dtype=float32)
    """
    x = elementwise.to_floating(as_tensor(x))
    total = products.sum(x, axis, keepdims)
    return total / (x.size / total.size) if x.size else total / 0.0


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the variance along `axis`: the mean squared distance from the mean."""
    x = as_tensor(x)
    return mean(elementwise.square(x - mean(x, axis, keepdims=True)), axis, keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the standard deviation along `axis`: the square root of the variance."""
    return elementwise.sqrt(var(x, axis, keepdims))


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Return `x` limited to the interval from `x_min` to `x_max`.

    The gradient is 0 outside and the full one at a bound.
    """
    x = as_tensor(x)
    return elementwise.where(x < x_min, x_min, elementwise.where(x > x_max, x_max, x))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """Return ``x1 / x2``, and 0 where x2 is 0."""
    x2 = as_tensor(x2)
    zero = elementwise.equal(x2, 0)
    return elementwise.where(zero, 0, elementwise.divide(x1, elementwise.where(zero, 1, x2)))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return log(sum(exp(x))) along `axis`, without overflow."""
    x = as_tensor(x)
    top = stop_gradient(products.max(x, axis, keepdims=True))
    top = elementwise.where(elementwise.isfinite(top), top, 0.0)
    out = elementwise.log(products.sum(elementwise.exp(x - top), axis, keepdims=True)) + top
    return out if keepdims else squeeze(out, tuple(range(x.ndim)) if axis is None else axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return the logarithm of `softmax`, without overflow or loss of small probabilities."""
    shifted = _shifted(x, axis)
    return shifted - elementwise.log(products.sum(elementwise.exp(shifted), axis, keepdims=True))


def _shifted(x: Any, axis: Any) -> Tensor:
    return as_tensor(x) - stop_gradient(products.max(x, axis, keepdims=True))


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return exp(x) / sum(exp(x)) along `axis` (one or several), without overflow.

    >>> import tinynet as tn
    >>> tn.ops.softmax([1000.0, 1000.0])
    tensor([0.5, 0.5], dtype=float32)
    """
    e = elementwise.exp(_shifted(x, axis))
    return e / products.sum(e, axis, keepdims=True)


def dot(x1: Any, x2: Any) -> Tensor:
    """Return the product of scalars, vectors or matrices (`matmul` up to two axes)."""
    x1, x2 = elementwise.alike(x1, x2)
    if x1.ndim > 2 or x2.ndim > 2:
        raise ValueError(f"dot: use matmul for more than 2 axes, received {x1.shape}, {x2.shape}.")
    return x1 @ x2 if x1.ndim and x2.ndim else x1 * x2


def stack(x: Any, axis: int = 0) -> Tensor:
    """Return the tensors in `x`, all of one shape, along a new axis."""
    return shapes.concatenate([expand_dims(each, axis) for each in x], axis)


def expand_dims(x: Any, axis: int) -> Tensor:
    """Return `x` with a new axis of length 1 at `axis`."""
    x = as_tensor(x)
    (place,) = shapes.ints((axis,), "axis")
    if not -x.ndim - 1 <= place <= x.ndim:
        raise ValueError(f"expand_dims: axis {axis} is out of range for shape {x.shape}.")
    place += x.ndim + 1 if place < 0 else 0
    return shapes.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Return `x` without `axis`, or without any axis of length 1. ValueError for other lengths."""
    x = as_tensor(x)
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    axes = ones if axis is None else shapes.axes_of(x, axis) or ()
    if not set(axes) <= set(ones):
        raise ValueError(f"squeeze: axis {axis} of shape {x.shape} does not have length 1.")
    return shapes.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Return `x` with two axes exchanged."""
    x = as_tensor(x)
    i, j = shapes.axis_of(x, axis1, "axis1"), shapes.axis_of(x, axis2, "axis2")
    other = {i: j, j: i}
    return shapes.transpose(x, tuple(other.get(k, k) for k in range(x.ndim)))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Return zeros of the shape of `x`, and of its dtype by default."""
    return zeros(shape(x), dtype or as_tensor(x).dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Return ones of the shape of `x`, and of its dtype by default."""
    return ones(shape(x), dtype or as_tensor(x).dtype)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Return zeros, of dtype `floatx` by default."""
    return wrap(np.zeros(_lengths(shape), as_dtype(dtype or floatx())))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Return ones, of dtype `floatx` by default."""
    return wrap(np.ones(_lengths(shape), as_dtype(dtype or floatx())))


def _lengths(shape: Any) -> tuple[int, ...]:
    found = shapes.ints(shape, "shape")
    if any(n < 0 for n in found):
        raise ValueError(f"shape: expected lengths of 0 or more, received {shape}.")
    return found


def stop_gradient(variable: Any) -> Tensor:
    """Return a tensor or the value of a variable as a constant, through which no gradient flows."""
    return as_tensor(variable).detach()


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor, converted to `dtype` if one is given."""
    return as_tensor(x) if dtype is None else elementwise.cast(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a new array."""
    return np.array(x)


def shape(x: Any) -> tuple[int, ...]:
    """Return the lengths of the axes."""
    return as_tensor(x).shape
