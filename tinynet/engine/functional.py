"""Functions composed of primitives, without derivative rules of their own.

Products of arrays, statistics, softmax and others. Imports `arrays.py`. Read next: `tape.py`.
"""

from __future__ import annotations

import math
from functools import partial, wraps
from typing import Any

import numpy as np

from . import arrays
from .expect import expect, is_integer
from .primitives import elementwise, products, reductions, shapes
from .tensor import Tensor, as_tensor, floatx

# -- products ---------------------------------------------------------------------------------


def dot(x1: Any, x2: Any) -> Tensor:
    """Return the product over the last axis of x1 and the second to last of x2, for any ranks."""
    if not (arrays.ndim(x1) and arrays.ndim(x2)):
        return elementwise.multiply(x1, x2)
    return products.matmul(x1, x2) if arrays.ndim(x2) < 3 else tensordot(x1, x2, (-1, -2))


def inner(x1: Any, x2: Any) -> Tensor:
    """Return the product over the last axes of both."""
    vectors = arrays.ndim(x1) and arrays.ndim(x2)
    return tensordot(x1, x2, (-1, -1)) if vectors else elementwise.multiply(x1, x2)


def outer(x1: Any, x2: Any) -> Tensor:
    """Return the products of all elements of x1 with all of x2: a matrix."""
    return shapes.reshape(x1, (arrays.size(x1), 1)) * arrays.ravel(x2)


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Tensor:
    """Return the product over axes of both: the last of x1 and the first of x2, or two lists."""
    x1, x2 = elementwise.alike(x1, x2)
    if is_integer(axes):
        axes = range(-axes, 0), range(axes)
    one = shapes.axes_of(x1, np.atleast_1d(axes[0]), "axes") or ()
    two = shapes.axes_of(x2, np.atleast_1d(axes[1]), "axes") or ()
    summed = [x1.shape[i] for i in one]
    expected = f"axes of equal lengths in {x1.shape} and {x2.shape}"
    expect(summed == [x2.shape[i] for i in two], "tensordot: axes", expected, axes)
    k, n = len(summed), math.prod(summed)
    left, right = shapes.moveaxis(x1, one, range(-k, 0)), shapes.moveaxis(x2, two, range(k))
    first, last = left.shape[: x1.ndim - k], right.shape[k:]
    left = shapes.reshape(left, (math.prod(first), n))
    return shapes.reshape(left @ shapes.reshape(right, (n, math.prod(last))), first + last)


def kron(x1: Any, x2: Any) -> Tensor:
    """Return the Kronecker product: x2 multiplied by each element of x1, side by side."""
    x1, x2 = elementwise.alike(x1, x2)
    one, two = (np.ones(x.shape, int) for x in (x1, x2))
    return arrays.moved(x1, np.kron, two) * arrays.moved(x2, partial(np.kron, one))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the sums of the diagonals of matrices; see `diagonal`."""
    return reductions.sum(arrays.diagonal(x, offset, axis1, axis2), -1)


# -- statistics -------------------------------------------------------------------------------


def mean(x: Any, axis: Any = None, keepdims: bool = False, *, where: Any = None) -> Tensor:
    """Return the mean along `axis`: an integer, a tuple of them, or None for all axes.

    Only elements at which `where` is true count, by default all.

    >>> import tinynet as tn
    >>> tn.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.], dtype=float32)
    """
    return _mean(elementwise.as_floating(x), axis, keepdims, 0, where)


def _mean(x: Tensor, axis: Any, keepdims: bool, ddof: float, where: Any) -> Tensor:
    """Return the sum along `axis` divided by the number of elements less `ddof`."""
    total = reductions.sum(x, axis, keepdims, where=where)
    if where is None:
        return total / max(x.size / total.size - ddof, 0.0) if x.size else total / 0.0
    counted = elementwise.cast(shapes.broadcast_to(where, x.shape), x.dtype)
    return total / elementwise.maximum(reductions.sum(counted, axis, keepdims) - ddof, 0.0)


def var(
    x: Any, axis: Any = None, keepdims: bool = False, *, ddof: float = 0, where: Any = None
) -> Tensor:
    """Return the variance along `axis`: the mean squared distance from the mean.

    The sum of squares is divided by the number of elements less `ddof`. Only elements at which
    `where` is true count, by default all.
    """
    x = elementwise.as_floating(x)
    if where is not None:
        x = reductions.masked(x, where, 0.0, "var")  # NaN elsewhere would reach the gradient
    squares = elementwise.square(x - mean(x, axis, keepdims=True, where=where))
    return _mean(squares, axis, keepdims, ddof, where)


def std(
    x: Any, axis: Any = None, keepdims: bool = False, *, ddof: float = 0, where: Any = None
) -> Tensor:
    """Return the standard deviation along `axis`: the square root of the variance; see `var`.

    The gradient is 0 where all elements are equal, as that of `norm` at 0 is.
    """
    variance = var(x, axis, keepdims, ddof=ddof, where=where)
    equal = elementwise.equal(variance, 0.0)
    return elementwise.where(equal, 0.0, elementwise.sqrt(elementwise.where(equal, 1.0, variance)))


def prod(
    x: Any,
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
    *,
    initial: Any = None,
    where: Any = None,
) -> Tensor:
    """Return the product along `axis`. Each gradient is the product of the other elements.

    That holds for elements of 0, too, since nothing is divided. The other arguments are those of
    `sum`.
    """
    x = elementwise.cast(x, dtype or _products_dtype(x))
    y = x if where is None else reductions.masked(x, where, 1, "prod")
    axes = shapes.axes_of(x, axis)
    for i in range(x.ndim) if axes is None else axes:
        y = shapes.sliced(cumprod(y, i), i, -1, None)
    y = reductions.sum(y, axes, keepdims)
    y = y if x.size else y + 1
    return y if initial is None else y * initial


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Return the cumulative products along `axis`; None: of the flat tensor.

    Gradients are right for elements of 0, too; see `prod`.
    """
    x, i = reductions.along(elementwise.cast(x, dtype or _products_dtype(x)), axis)
    step = 1
    while step < x.shape[i]:
        grown = shapes.sliced(x, i, step, None) * shapes.sliced(x, i, 0, -step)
        x, step = shapes.concatenate([shapes.sliced(x, i, 0, step), grown], i), 2 * step
    return x


def _products_dtype(x: Any) -> np.dtype:
    """Return the dtype of products of many elements: integers grow, as in NumPy."""
    return np.prod(np.ones(1, as_tensor(x).dtype)).dtype


def average(x: Any, axis: Any = None, weights: Any = None) -> Tensor:
    """Return the mean along `axis`, weighted by `weights` of the same shape, or of that axis.

    >>> average([1.0, 2.0, 4.0], weights=[1.0, 1.0, 2.0])
    tensor(2.75, dtype=float32)
    """
    if weights is None:
        return mean(x, axis)
    x, weights = elementwise.alike(elementwise.as_floating(x), elementwise.as_floating(weights))
    if weights.ndim == 1 < x.ndim:
        weights = shapes.reshape(weights, (-1, *[1] * (x.ndim - 1 - range(x.ndim)[axis])))
    weights = shapes.broadcast_to(weights, x.shape)
    return reductions.sum(x * weights, axis) / reductions.sum(weights, axis)


def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """Return the `k` largest elements along the last axis, from the largest on, and their indices.

    Of equal elements the first comes first, and NaN counts as the largest. The order is the same
    if `sorted` is False.

    >>> top_k([1.0, 9.0, 4.0], 2)
    (tensor([9., 4.], dtype=float32), tensor([1, 2], dtype=int32))
    """
    x = as_tensor(x)
    expect(is_integer(k) and 0 <= k <= x.shape[-1], "k", f"an int from 0 to {x.shape[-1]}", k)
    last = x.ndim - 1  # from its end, since the least integer has no negative
    rising = reductions.flipped(reductions.argsort(reductions.flipped(x, last)), last)
    order = x.shape[-1] - 1 - shapes.sliced(rising, last, 0, k)
    indices = elementwise.cast(order, "int32")
    return arrays.take_along_axis(x, indices, -1), indices


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the largest less the smallest element along `axis`."""
    x = as_tensor(x)
    return reductions.max(x, axis, keepdims) - reductions.min(x, axis, keepdims)


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Return the differences of neighbours along `axis`, taken `n` times."""
    x = as_tensor(a)
    expect(is_integer(n) and n >= 0, "n", "an int of 0 or more", n)
    for _ in range(n):
        last = shapes.moveaxis(x, axis, -1)
        x = shapes.moveaxis(last[..., 1:] - last[..., :-1], -1, axis)
    return x


def count_nonzero(x: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
    """Return the number of elements along `axis` that are not 0."""
    return reductions.sum(elementwise.cast(elementwise.not_equal(x, 0), "int64"), axis, keepdims)


def _without_nan(function: Any) -> Any:
    """Return a reduction of the elements that are not NaN."""

    @wraps(function)
    def reduction(x: Any, *args: Any, where: Any = True, **options: Any) -> Tensor:
        where = elementwise.logical_and(elementwise.equal(x, x), where)
        return function(x, *args, where=where, **options)

    does = f"Return `{function.__name__}` of the elements that are not NaN."
    return elementwise.named(reduction, f"nan{function.__name__}", does)


nansum, nanprod = _without_nan(reductions.sum), _without_nan(prod)
nanmean, nanvar, nanstd = _without_nan(mean), _without_nan(var), _without_nan(std)


# -- elementwise ------------------------------------------------------------------------------


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Return `x` limited to the interval from `x_min` to `x_max`; None for no bound.

    Where x_min > x_max, the result is x_max. Inside and at a bound the gradient flows to `x`,
    outside to the bound.
    """
    x = as_tensor(x)
    for bound, is_outside in ((x_min, elementwise.less), (x_max, elementwise.greater)):
        if bound is not None:
            outside = is_outside(x, bound)
            if not isinstance(bound, (int, float)) or bound != bound:  # the result is NaN for NaN
                outside = elementwise.logical_or(outside, elementwise.isnan(bound))
            x = elementwise.where(outside, bound, x)
    return x


def sinc(x: Any) -> Tensor:
    """Return sin(pi x) / (pi x), and 1 at 0. Near 0 a series makes all derivatives right."""
    x = elementwise.as_floating(x) * math.pi
    near = elementwise.less(elementwise.absolute(x), 0.5)
    u, far = elementwise.where(near, x, 0.0), elementwise.where(near, 1.0, x)
    series: Any = 1.0
    for n in range(16, 0, -2):
        series = 1.0 - series * elementwise.square(u) / (n * (n + 1.0))
    return elementwise.where(near, series, elementwise.sin(far) / far)


def round(x: Any, decimals: int = 0) -> Tensor:
    """Return `x` rounded to `decimals` digits after the decimal point; the gradient is 0."""
    x = as_tensor(x)
    scale = 10.0 ** abs(decimals)
    if decimals < 0:
        return elementwise.cast(elementwise.rint(x / scale) * scale, x.dtype)
    return elementwise.rint(x * scale) / scale if x.dtype.kind == "f" else x


def divmod(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return the quotient rounded down and the remainder: ``x1 // x2, x1 % x2``."""
    return elementwise.floor_divide(x1, x2), elementwise.remainder(x1, x2)


def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether ``|x1 - x2| <= atol + rtol * |x2|`` for all elements, as a Python bool."""
    return bool(reductions.all(elementwise.isclose(x1, x2, rtol, atol, equal_nan)))


def divide_no_nan(x1: Any, x2: Any) -> Tensor:
    """Return ``x1 / x2``, and 0 where x2 is 0."""
    x2 = as_tensor(x2)
    zero = elementwise.equal(x2, 0)
    return elementwise.where(zero, 0, elementwise.divide(x1, elementwise.where(zero, 1, x2)))


# -- along an axis ----------------------------------------------------------------------------


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return log(sum(exp(x))) along `axis`, without overflow.

    Where all elements are -inf, the result is -inf, a constant.
    """
    x = as_tensor(x)
    top = stop_gradient(reductions.max(x, axis, keepdims=True))
    shift = elementwise.where(elementwise.isfinite(top), top, 0.0)
    total = reductions.sum(elementwise.exp(x - shift), axis, keepdims=True)
    out = elementwise.log(elementwise.where(elementwise.equal(top, -math.inf), 1.0, total)) + top
    return out if keepdims else arrays.squeeze(out, tuple(range(x.ndim)) if axis is None else axis)


def log_softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return the logarithm of `softmax`, without overflow or loss of small probabilities."""
    shifted = _shifted(x, axis)
    return shifted - elementwise.log(reductions.sum(elementwise.exp(shifted), axis, keepdims=True))


def _shifted(x: Any, axis: Any) -> Tensor:
    return as_tensor(x) - stop_gradient(reductions.max(x, axis, keepdims=True))


def softmax(x: Any, axis: Any = -1) -> Tensor:
    """Return exp(x) / sum(exp(x)) along `axis` (one or several), without overflow.

    >>> import tinynet as tn
    >>> tn.ops.softmax([1000.0, 1000.0])
    tensor([0.5, 0.5], dtype=float32)
    """
    e = elementwise.exp(_shifted(x, axis))
    return e / reductions.sum(e, axis, keepdims=True)


# -- conversions ------------------------------------------------------------------------------


def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Tensor:
    """Return 1 at the index of each class along a new axis, else 0; all 0 if `x` is not a class.

    ValueError with `sparse`.

    >>> import tinynet as tn
    >>> tn.ops.one_hot([0, 2], 3)
    tensor([[1., 0., 0.],
            [0., 0., 1.]], dtype=float32)
    """
    expect(not sparse, "sparse", "False", sparse)
    hits = elementwise.equal(arrays.expand_dims(x, -1), np.arange(num_classes))
    return shapes.moveaxis(elementwise.cast(hits, dtype or floatx()), -1, axis)


def stop_gradient(variable: Any) -> Tensor:
    """Return a tensor or the value of a variable as a constant, through which no gradient flows."""
    return as_tensor(variable).detach()


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor, converted to `dtype` if one is given."""
    return as_tensor(x) if dtype is None else elementwise.cast(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a new array."""
    return np.array(x)
