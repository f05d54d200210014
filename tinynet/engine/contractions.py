"""Products of arrays composed of primitives: dot, tensordot, kron, cross, trace.

Imports `arrays.py`. Read next: `functional.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .arrays import diagonal, moveaxis, ravel
from .primitives import elementwise, products, shapes
from .tensor import Tensor, as_tensor


def dot(x1: Any, x2: Any) -> Tensor:
    """Return the product over the last axis of x1 and the second to last of x2, of any ranks."""
    x1, x2 = elementwise.alike(x1, x2)
    if not x1.ndim or not x2.ndim:
        return x1 * x2
    return x1 @ x2 if x2.ndim < 3 else tensordot(x1, x2, (-1, -2))


def inner(x1: Any, x2: Any) -> Tensor:
    """Return the product over the last axes of both."""
    x1, x2 = elementwise.alike(x1, x2)
    return tensordot(x1, x2, (-1, -1)) if x1.ndim and x2.ndim else x1 * x2


def outer(x1: Any, x2: Any) -> Tensor:
    """Return the products of all elements of x1 with all of x2: a matrix."""
    return shapes.reshape(x1, (as_tensor(x1).size, 1)) * ravel(x2)


def vdot(x1: Any, x2: Any) -> Tensor:
    """Return the sum of the products of the elements of both, in order."""
    return ravel(x1) @ ravel(x2)


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Return the product over axes of both: the last of x1 and the first of x2, or two lists."""
    x1, x2 = elementwise.alike(x1, x2)
    if isinstance(axes, (int, np.integer)):
        axes = range(-axes, 0), range(axes)
    one = shapes.axes_of(x1, np.atleast_1d(axes[0]), "axes") or ()
    two = shapes.axes_of(x2, np.atleast_1d(axes[1]), "axes") or ()
    if [x1.shape[i] for i in one] != [x2.shape[i] for i in two]:
        raise ValueError(f"tensordot: axes {axes} of {x1.shape} and {x2.shape} do not match.")
    n = len(one)
    left, right = moveaxis(x1, one, tuple(range(-n, 0))), moveaxis(x2, two, tuple(range(n)))
    free, summed = left.shape[: left.ndim - n], right.shape[:n]
    left = shapes.reshape(left, (math.prod(free), math.prod(summed)))
    right = shapes.reshape(right, (math.prod(summed), math.prod(shape := right.shape[n:])))
    return shapes.reshape(left @ right, free + shape)


def kron(x1: Any, x2: Any) -> Tensor:
    """Return the Kronecker product: x2 multiplied by each element of x1, side by side."""
    x1, x2 = elementwise.alike(x1, x2)
    ndim = max(x1.ndim, x2.ndim)
    one, two = ((1,) * (ndim - x.ndim) + x.shape for x in (x1, x2))
    left = shapes.reshape(x1, tuple(n for m in one for n in (m, 1)))
    right = shapes.reshape(x2, tuple(n for m in two for n in (1, m)))
    return shapes.reshape(left * right, tuple(m * n for m, n in zip(one, two, strict=True)))


def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Tensor:
    """Return the vector products of vectors of length 3 along an axis; `axis` sets all three."""
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    x1, x2 = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    if x1.shape[-1] != 3 or x2.shape[-1] != 3:
        raise ValueError(f"cross: expected vectors of length 3, received {x1.shape}, {x2.shape}.")
    after, before = (..., [1, 2, 0]), (..., [2, 0, 1])
    return moveaxis(x1[after] * x2[before] - x1[before] * x2[after], -1, axisc)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the sums of the diagonals of matrices; see `diagonal`."""
    return products.sum(diagonal(x, offset, axis1, axis2), -1)
