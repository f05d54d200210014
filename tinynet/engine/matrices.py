"""Functions of `np.linalg` composed of primitives: norms, powers and products of matrices.

Imports `functional.py` and `primitives/linalg.py`. Read next: `tape.py`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from . import functional
from .arrays import diagonal
from .primitives import linalg, products, shapes
from .primitives.elementwise import absolute, as_floating, cast, power, square, where
from .primitives.linalg import inv, svdvals, unit
from .primitives.shapes import reshape
from .tensor import Tensor, as_tensor

# -- norms ------------------------------------------------------------------------------------


def _vector_norm(x: Tensor, ord: Any, axes: Any, keepdims: bool = False) -> Tensor:
    p, sizes = 2 if ord is None else ord, absolute(x)
    if isinstance(p, str):
        raise ValueError(f"ord: expected a number for vectors, received {p!r}.")
    if abs(p) == math.inf:
        return (products.max if p > 0 else products.min)(sizes, axes, keepdims)
    if p == 0:
        return products.sum(cast(x != 0.0, x.dtype), axes, keepdims)
    total = products.sum(square(x) if p == 2 else power(sizes, float(p)), axes, keepdims)
    zero = total == 0.0  # where the gradient is 0
    return where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1.0, total), 1.0 / p))


_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def _matrix_norm(x: Tensor, ord: Any) -> Tensor:
    if ord == "fro":
        return _vector_norm(x, 2, (-2, -1))
    if ord == "nuc":
        return products.sum(svdvals(x), -1)
    sizes = svdvals(x) if abs(ord) == 2 else products.sum(absolute(x), -2 if abs(ord) == 1 else -1)
    return (products.max if ord > 0 else products.min)(sizes, -1)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the norm of vectors (along one `axis`) or matrices (along two).

    Without `axis`, `x` is one vector or matrix; if `ord` is None, too, it may have any shape. The
    gradient at 0 is 0. Largest elements, sums or singular values that are equal share it.

    Parameters
    ----------
    ord : None, number, "fro" or "nuc"
        Vectors: None or 2, inf, -inf, 0 (the number of nonzeros, a constant), or any p.
        Matrices: None or "fro", "nuc", 1, -1, 2, -2, inf, -inf.

    Raises
    ------
    ValueError
        For another `ord`, or another number of axes.

    >>> import tinynet as tn
    >>> tn.ops.norm([3.0, 4.0])
    tensor(5., dtype=float32)
    """
    x = as_floating(x)
    axes = shapes.axes_of(x, tuple(range(x.ndim)) if axis is None else axis) or ()
    if len(axes) == 1 or (ord is None and (axis is None or len(axes) == 2)):
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(f"axis: expected one or two axes of {x.shape}, received {axis}.")
    if ord not in _ORDERS:
        raise ValueError(f"ord: expected one of {_ORDERS} for matrices, received {ord!r}.")
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    out = _matrix_norm(shapes.transpose(x, (*rest, *axes)), ord)
    return reshape(out, products.reduced(x, axes)) if keepdims else out


# -- products ---------------------------------------------------------------------------------


def matrix_power(x: Any, n: int) -> Tensor:
    """Return the product of `n` equal matrices, or of -n inverses."""
    x, times = as_tensor(x), operator.index(n)
    if times < 0:
        return matrix_power(inv(x), -times)
    if times < 2:
        return x if times else shapes.broadcast_to(unit(x), x.shape)
    half = matrix_power(x, times // 2)
    return half @ half @ x if times % 2 else half @ half


def multi_dot(arrays: Any) -> Tensor:
    """Return the product of matrices. The longest lengths that they share are summed first.

    The first may be a row and the last a column, each with one axis.
    """
    xs = [as_tensor(x) for x in arrays]
    while len(xs) > 1:
        i = max(range(1, len(xs)), key=lambda i: xs[i].shape[0])
        xs[i - 1 : i + 1] = [xs[i - 1] @ xs[i]]
    return xs[0]


_OURS = {**vars(linalg), **vars(products), **vars(functional), **globals()}
_NAMES = """cholesky det eigh eigvalsh inv matmul matrix_power multi_dot norm outer pinv
slogdet solve svd svdvals tensordot"""
# Our function for each one of `np.linalg`.
COUNTERPARTS: dict[Any, Any] = {
    **{getattr(np.linalg, name): _OURS[name] for name in _NAMES.split()},
    np.linalg.diagonal: lambda x, offset=0: diagonal(x, offset, -2, -1),
    np.linalg.matrix_transpose: lambda x: shapes.swap_last_axes(as_tensor(x)),
    np.linalg.trace: lambda x, offset=0: functional.trace(x, offset, -2, -1),
}
