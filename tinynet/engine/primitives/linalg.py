"""Linear algebra: the functions of `np.linalg` that have a derivative.

Matrices are the last two axes, and every function takes stacks of them. NumPy computes the values,
and raises LinAlgError for a singular matrix. Half precision is computed in single precision.

Decompositions have one primitive for their values and one for their vectors. The derivative of the
values is right where values are equal. That of the vectors does not exist there: it is infinite or
NaN. `cholesky`, `eigh` and `eigvalsh` are functions of the symmetric part (x + x^T) / 2 of their
argument, as in JAX, so their gradients are symmetric; NumPy reads the lower triangle alone, which
gives the same values for symmetric matrices.

Sources of the rules: M. Giles, "Collected matrix derivative results for forward and reverse mode
algorithmic differentiation", 2008 (inverse, determinant, eigenvalues, singular values); I. Murray,
"Differentiation of the Cholesky decomposition", 2016; J. Townsend, "Differentiating the singular
value decomposition", 2016; G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and
nonlinear least squares problems", 1973.

Norms, powers and products of several matrices are composed of these and have no rules.

Imports `elementwise.py`, `shapes.py` and `reductions.py`. Read next: `special.py`.
"""

from __future__ import annotations

import math
import operator
from collections import namedtuple
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..bind import Case, bind, modes, primitive
from ..expect import expect
from ..tensor import Rule, ShapeOnly, Tensor, as_tensor
from . import reductions, shapes
from .elementwise import absolute, alike, as_floating, cast, power, square, where
from .shapes import aligned, column, reshape, row, swap_last_axes as _t

# Named tuples with the names and fields of NumPy's.
EighResult = namedtuple("EighResult", "eigenvalues eigenvectors")
SlogdetResult = namedtuple("SlogdetResult", "sign logabsdet")
SVDResult = namedtuple("SVDResult", "U S Vh")

_CENTRE = 0.5 + np.diag([1.5, 3.5, 5.5, 7.5])  # positive definite; eigenvalues far from each other


def _case(*shapes: tuple[int, ...]) -> Case:
    """Return a case of well-conditioned matrices."""
    centres = [_CENTRE[: shape[-2], : shape[-1]] for shape in shapes]
    return Case(shapes, domains=tuple((c - 0.2, c + 0.2) for c in centres))


_SQUARE = (_case((3, 3)), _case((2, 1, 2, 2)))
_OBLONG = tuple(map(_case, ((3, 3), (3, 2), (2, 2, 3))))


def _lapack(*vjps: Rule, **traits: Any) -> Callable[[Any], Callable[..., Tensor]]:
    """Make a primitive of the function of stacks of matrices that is decorated."""

    def known(x: Any) -> Any:
        x = x.astype("float32") if x.dtype.itemsize == 2 else x
        if isinstance(x, ShapeOnly) and x.ndim > 1:  # any invertible matrix gives the right shape
            return np.zeros_like(x) + np.eye(*x.shape[-2:], dtype=x.dtype)
        return x

    def decorated(impl: Any) -> Callable[..., Tensor]:
        def computed(*xs: Any) -> Any:
            return impl(*map(known, xs)).astype(np.result_type(*xs), copy=False)

        @wraps(impl)
        def function(x: Any, *others: Any) -> Tensor:
            return bind(record, *map(as_floating, (x, *others)))

        def batched(*xs: Tensor) -> Tensor:
            rank = max(x.ndim for x in xs)
            return function(*(aligned(x, rank) for x in xs))

        given = {"cases": _SQUARE, "batched": batched, "reference": impl, **traits}
        record = primitive(impl.__name__.strip("_"), computed, *vjps, **given)
        return function

    return decorated


def unit(x: Tensor) -> Any:
    """Return the identity of the size and dtype of the square matrices `x`."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def _symmetric(x: Any) -> Any:
    return (x + x.swapaxes(-1, -2)) / 2


# -- equations and determinants ---------------------------------------------------------------


@_lapack(
    lambda ct, y, a, b: -solve(_t(a), ct) @ _t(y),
    lambda ct, y, a, b: solve(_t(a), ct),
    cases=(_case((3, 3), (3, 2)), _case((2, 2), (2, 1, 2, 1)), _case((3, 1, 2, 2), (2, 2, 2))),
)
def _solve(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b)


def solve(a: Any, b: Any) -> Tensor:
    """Return the x of ``a @ x == b``; LinAlgError if `a` is singular.

    `b` is a vector if it has one axis, else a stack of matrices. Stacks broadcast.

    >>> import tinynet as tn
    >>> tn.ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    tensor([1. , 0.5], dtype=float32)
    """
    a, b = alike(a, b)
    return _solve(a, column(b))[..., 0] if b.ndim == 1 else _solve(a, b)


@_lapack(lambda ct, y, x: -(_t(y) @ ct @ _t(y)))
def inv(x: Any) -> Any:
    """Return the inverse of a matrix; LinAlgError if it is singular."""
    return np.linalg.inv(x)


@_lapack(lambda ct, y, x: column(column(ct * y)) * _t(inv(x)))
def det(x: Any) -> Any:
    """Return the determinant of a matrix. Its gradient needs an inverse: see `inv`."""
    return np.linalg.det(x)


@_lapack()
def _det_sign(x: Any) -> Any:
    return np.linalg.slogdet(x)[0]


@_lapack(lambda ct, y, x: column(column(ct)) * _t(inv(x)))
def _logabsdet(x: Any) -> Any:
    return np.linalg.slogdet(x)[1]


def slogdet(x: Any) -> SlogdetResult:
    """Return the sign of the determinant, a constant, and the logarithm of its absolute value."""
    return SlogdetResult(_det_sign(x), _logabsdet(x))


# -- decompositions ---------------------------------------------------------------------------


def _cholesky_rule(ct: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return L^-T (P + P^T) L^-1 / 2, for the lower triangle P of L^T ct, its diagonal halved."""
    p = (_t(y) @ ct) * (np.tril(np.ones(y.shape[-2:], y.dtype)) - unit(y) / 2)
    return solve(_t(y), _t(solve(_t(y), p + _t(p)))) / 2.0


@_lapack(_cholesky_rule)
def _cholesky(x: Any) -> Any:
    return np.linalg.cholesky(_symmetric(x))


def cholesky(x: Any, upper: bool = False) -> Tensor:
    """Return the lower triangular L of ``x == L @ L.T``, or L.T if `upper`.

    A function of the symmetric part of `x`. LinAlgError if that is not positive definite.
    """
    return _t(_cholesky(x)) if upper else _cholesky(x)


def _of_values(ct: Tensor, u: Tensor, v: Tensor | None = None) -> Tensor:
    """Return U diag(ct) V^T, the cotangent of a matrix for that of its values; V may be U."""
    return (u * row(ct)) @ _t(u if v is None else v)


def _eigenvectors_rule(ct: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return V (F * (M - M^T) / 2) V^T, for M = V^T ct and F_ij = 1 / (w_j - w_i), 0 if i = j."""
    values, m = eigvalsh(x), _t(y) @ ct
    gaps = row(values) - column(values) + unit(y)
    return y @ ((m - _t(m)) / (2.0 * gaps)) @ _t(y)


@_lapack(lambda ct, y, x: _of_values(ct, _eigenvectors(x)))
def eigvalsh(x: Any) -> Any:
    """Return the eigenvalues of the symmetric part of a matrix, in ascending order."""
    return np.linalg.eigvalsh(_symmetric(x))


@_lapack(_eigenvectors_rule)
def _eigenvectors(x: Any) -> Any:
    return np.linalg.eigh(_symmetric(x))[1]


def eigh(x: Any) -> EighResult:
    """Return the eigenvalues of a symmetric matrix, ascending, and its eigenvectors, as columns.

    A function of the symmetric part of `x`. The gradient of the eigenvectors is infinite or NaN
    where two eigenvalues are equal; that of the eigenvalues is right.
    """
    return EighResult(eigvalsh(x), _eigenvectors(x))


def _u_and_v(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the U and V that are stacked in `y`, for the matrix `x`."""
    return y[..., : x.shape[-2], :], y[..., x.shape[-2] :, :]


def _singular_vectors_rule(ct: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the cotangent of x = U S V^T, for F_ij = 1 / (s_j^2 - s_i^2), 0 if i = j.

    With P = U^T ct_U and Q = V^T ct_V it is
    U ((F * (P - P^T)) S + S (F * (Q - Q^T))) V^T + (ct_U - U P) S^-1 V^T + U S^-1 (ct_V - V Q)^T.
    """
    (u, v), (ct_u, ct_v), s = _u_and_v(y, x), _u_and_v(ct, x), svdvals(x)
    p, q, rows, columns = _t(u) @ ct_u, _t(v) @ ct_v, row(s), column(s)
    gaps = (rows - columns) * (rows + columns) + unit(p)
    out = u @ ((p - _t(p)) / gaps * rows + (q - _t(q)) / gaps * columns) @ _t(v)
    if x.shape[-2] > x.shape[-1]:  # otherwise U is square, and ct_U - U P is 0
        out = out + ((ct_u - u @ p) / rows) @ _t(v)
    if x.shape[-2] < x.shape[-1]:
        out = out + u @ _t((ct_v - v @ q) / rows)
    return out


@_lapack(lambda ct, y, x: _of_values(ct, *_u_and_v(_singular_vectors(x), x)), cases=_OBLONG)
def svdvals(x: Any) -> Any:
    """Return the singular values of a matrix in descending order."""
    return np.linalg.svd(x, compute_uv=False)


@_lapack(_singular_vectors_rule, cases=_OBLONG)
def _singular_vectors(x: Any) -> Any:
    """Return U above V, without the vectors that belong to no singular value."""
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([u, vh.swapaxes(-1, -2)], -2)


def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Return U, the singular values S in descending order, and Vh, of ``x == U @ diag(S) @ Vh``.

    Without `compute_uv`, return S alone. The gradient of U and Vh is infinite or NaN where two
    singular values are equal, or where one is 0 and the matrix is not square; that of S is right.

    Raises
    ------
    ValueError
        For a gradient through the full matrices of a matrix that is not square: the vectors that
        belong to no singular value are not unique. Pass ``full_matrices=False``.
    """
    x = as_floating(x)
    if not compute_uv:
        return svdvals(x)
    if full_matrices and x.ndim > 1 and x.shape[-1] != x.shape[-2]:
        expect(not (x.tracked and modes.grad), "svd", "full_matrices=False for a gradient", x.shape)
        return SVDResult(*map(as_tensor, np.linalg.svd(x.numpy())))
    u, v = _u_and_v(_singular_vectors(x), x)
    return SVDResult(u, svdvals(x), _t(v))


def _pinv_rule(ct: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return -P^T ct P^T + (I - x P) ct^T P P^T + P^T P ct^T (I - P x), for the result P."""
    p, left, right = _t(y), _t(ct) @ y @ _t(y), _t(y) @ y @ _t(ct)
    return left - x @ (y @ left) + right - (right @ y) @ x - p @ ct @ p


@_lapack(_pinv_rule, cases=_OBLONG)
def pinv(x: Any) -> Any:
    """Return the pseudo-inverse of a matrix; singular values below 1e-15 of the first are 0.

    The gradient is right unless small changes of the matrix change its rank.
    """
    return np.linalg.pinv(x)


# -- norms ------------------------------------------------------------------------------------


def _vector_norm(x: Tensor, ord: Any, axes: Any, keepdims: bool = False) -> Tensor:
    expect(not isinstance(ord, str), "ord", "a number for vectors", ord)
    p, sizes = 2.0 if ord is None else float(ord), absolute(x)
    if abs(p) == math.inf:
        return (reductions.max if p > 0 else reductions.min)(sizes, axes, keepdims)
    if p == 0:
        return reductions.sum(cast(x != 0.0, x.dtype), axes, keepdims)
    total = reductions.sum(square(x) if p == 2 else power(sizes, p), axes, keepdims)
    zero = total == 0.0  # where the gradient is 0
    return where(zero, 0.0 if p > 0 else math.inf, power(where(zero, 1.0, total), 1.0 / p))


_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def _matrix_norm(x: Tensor, ord: Any) -> Tensor:
    if ord == "fro":
        return _vector_norm(x, 2, (-2, -1))
    if ord == "nuc":
        return reductions.sum(svdvals(x), -1)
    along = -2 if abs(ord) == 1 else -1
    sizes = svdvals(x) if abs(ord) == 2 else reductions.sum(absolute(x), along)
    return (reductions.max if ord > 0 else reductions.min)(sizes, -1)


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
    expect(len(axes) == 2, "axis", f"one or two axes of {x.shape}", axis)
    expect(ord in _ORDERS, "ord", f"one of {_ORDERS} for matrices", ord)
    out = _matrix_norm(shapes.moveaxis(x, axes, (-2, -1)), ord)
    return reshape(out, reductions.reduced(x, axes)) if keepdims else out


# -- products ---------------------------------------------------------------------------------


def matrix_power(x: Any, n: int) -> Tensor:
    """Return the `n`-th power of a matrix; if `n` is negative, the -n-th power of its inverse."""
    x, times = as_tensor(x), operator.index(n)
    if times < 0:
        return matrix_power(inv(x), -times)
    if times < 2:
        return x if times else shapes.broadcast_to(unit(x), x.shape)
    half = matrix_power(x, times // 2)
    return half @ half @ x if times % 2 else half @ half


def multi_dot(arrays: Any) -> Tensor:
    """Return the product of matrices. The longest axes that they share are summed first.

    The first may be a row vector and the last a column vector, each with one axis.
    """
    xs = [as_tensor(x) for x in arrays]
    while len(xs) > 1:
        i = max(range(1, len(xs)), key=lambda i: xs[i].shape[0])
        xs[i - 1 : i + 1] = [xs[i - 1] @ xs[i]]
    return xs[0]
