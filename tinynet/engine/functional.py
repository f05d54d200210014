"""Functions composed of primitives, without derivative rules of their own: statistics, softmax.

Imports `arrays.py`. Read next: `tape.py`.
"""

from __future__ import annotations

import math
from functools import wraps
from typing import Any

import numpy as np

from . import arrays
from .arrays import sort, squeeze, swapaxes, zeros_like
from .primitives import elementwise, products, scans, shapes
from .tensor import Tensor, as_tensor

ones_like, stack, zeros = arrays.ones_like, arrays.stack, arrays.zeros


def mean(x: Any, axis: Any = None, keepdims: bool = False, *, where: Any = None) -> Tensor:
    """Return the mean along `axis`: an integer, a tuple of them, or None for all axes.

    Of the elements at which `where` is true, by default of all.

    >>> import tinynet as tn
    >>> tn.ops.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.], dtype=float32)
    """
    return _mean(elementwise.to_floating(as_tensor(x)), axis, keepdims, 0, where)


def _mean(x: Tensor, axis: Any, keepdims: bool, ddof: float, where: Any) -> Tensor:
    """Return the sum along `axis` divided by the number of elements less `ddof`."""
    total = products.sum(x, axis, keepdims, where=where)
    if where is None:
        return total / max(x.size / total.size - ddof, 0.0) if x.size else total / 0.0
    counted = elementwise.cast(shapes.broadcast_to(where, x.shape), x.dtype)
    return total / elementwise.maximum(products.sum(counted, axis, keepdims) - ddof, 0.0)


def var(
    x: Any, axis: Any = None, keepdims: bool = False, *, ddof: float = 0, where: Any = None
) -> Tensor:
    """Return the variance along `axis`: the mean squared distance from the mean.

    The sum of squares is divided by the number of elements less `ddof`. Only elements at which
    `where` is true count, by default all.
    """
    x = elementwise.to_floating(as_tensor(x))
    if where is not None:
        x = products.masked(x, where, 0.0, "var")  # NaN elsewhere would reach the gradient
    squares = elementwise.square(x - mean(x, axis, keepdims=True, where=where))
    return _mean(squares, axis, keepdims, ddof, where)


def std(
    x: Any, axis: Any = None, keepdims: bool = False, *, ddof: float = 0, where: Any = None
) -> Tensor:
    """Return the standard deviation along `axis`: the square root of the variance; see `var`."""
    return elementwise.sqrt(var(x, axis, keepdims, ddof=ddof, where=where))


def average(x: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Tensor:
    """Return the mean along `axis`, weighted by `weights`: of the shape of `x`, or along one axis.

    The gradient flows to the weights, too.
    """
    x = elementwise.to_floating(as_tensor(x))
    if weights is None:
        return mean(x, axis, keepdims)
    weights = as_tensor(weights)
    if weights.shape != x.shape:
        place = shapes.axis_of(x, axis)
        weights = shapes.reshape(weights, tuple(-1 if i == place else 1 for i in range(x.ndim)))
    weights = shapes.broadcast_to(weights, x.shape)
    return products.sum(x * weights, axis, keepdims) / products.sum(weights, axis, keepdims)


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

    That holds for elements of 0, too: halves are multiplied, never a product divided. The other
    arguments are those of `sum`.
    """
    x = elementwise.cast(x, dtype or products_dtype(x))
    if where is not None:
        x = products.masked(x, where, 1, "prod")
    shape, axes = products.reduced(x, shapes.axes_of(x, axis)), shapes.axes_of(x, axis)
    axes = tuple(range(x.ndim)) if axes is None else axes
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    y = shapes.transpose(x, (*axes, *rest))
    y = shapes.reshape(y, (math.prod(y.shape[: len(axes)]), *y.shape[len(axes) :]))
    while len(y) > 1:
        half = len(y) // 2
        pairs = y[:half] * y[half : 2 * half]
        y = shapes.concatenate([pairs, y[2 * half :]]) if len(y) % 2 else pairs
    y = products.sum(y, 0) if len(y) else products.sum(y, 0) + 1
    y = shapes.reshape(y, shape) if keepdims else y
    return y if initial is None else y * initial


def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Return the products of the elements along `axis` up to each; None: of the flat tensor.

    Gradients are right for elements of 0, too; see `prod`.
    """
    x, place = scans.along(x, axis)
    y = swapaxes(elementwise.cast(x, dtype or products_dtype(x)), 0, place)
    step = 1
    while step < len(y):
        y = shapes.concatenate([y[:step], y[step:] * y[:-step]])
        step *= 2
    return swapaxes(y, 0, place)


def products_dtype(x: Any) -> np.dtype:
    """Return the dtype of products of many elements: integers grow, as in NumPy."""
    return np.prod(np.ones(1, as_tensor(x).dtype)).dtype


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the largest less the smallest element along `axis`."""
    x = as_tensor(x)
    return products.max(x, axis, keepdims) - products.min(x, axis, keepdims)


def count_nonzero(x: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
    """Return how many elements along `axis` are not 0."""
    return products.sum(elementwise.cast(elementwise.not_equal(x, 0), "int64"), axis, keepdims)


def _without_nan(function: Any) -> Any:
    """Return a reduction of the elements that are not NaN."""

    @wraps(function)
    def reduction(x: Any, *args: Any, where: Any = True, **options: Any) -> Tensor:
        present = elementwise.logical_not(elementwise.isnan(x))
        where = elementwise.logical_and(present, True if where is None else where)
        return function(x, *args, where=where, **options)

    does = f"Return `{function.__name__}` of the elements that are not NaN."
    return elementwise.named(reduction, f"nan{function.__name__}", does)


nansum, nanprod = _without_nan(products.sum), _without_nan(prod)
nanmean, nanvar, nanstd = _without_nan(mean), _without_nan(var), _without_nan(std)


def median(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the middle element along one axis, or the mean of two; None: of the flat tensor."""
    x = as_tensor(x)
    flat, place = scans.along(elementwise.to_floating(x), axis)
    ordered = swapaxes(sort(flat, place), 0, place)
    n = len(ordered)
    middle = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
    out = elementwise.where(elementwise.isnan(ordered[-1]), math.nan, middle)  # NaN comes last
    axes = shapes.axes_of(x, axis)
    return shapes.reshape(out, products.reduced(x, axes)) if keepdims else out


def clip(x: Any, x_min: Any, x_max: Any) -> Tensor:
    """Return `x` limited to the interval from `x_min` to `x_max`; None for no bound.

    Where x_min > x_max, the result is x_max. The gradient is 0 outside and the full one at a bound;
    outside it flows to the bound.
    """
    above = _bounded(as_tensor(x), x_min, elementwise.less)
    return _bounded(above, x_max, elementwise.greater)


def _bounded(x: Tensor, bound: Any, is_outside: Any) -> Tensor:
    """Return the bound where `x` is outside or the bound is NaN, else `x`."""
    if bound is None:
        return x
    outside = is_outside(x, bound)
    if not isinstance(bound, (int, float)) or math.isnan(bound):
        outside = elementwise.logical_or(outside, elementwise.isnan(bound))
    return elementwise.where(outside, bound, x)


def sinc(x: Any) -> Tensor:
    """Return sin(pi x) / (pi x), and 1 at 0. Near 0 a series makes all derivatives right."""
    x = elementwise.to_floating(as_tensor(x)) * math.pi
    near = elementwise.less(elementwise.absolute(x), 0.5)
    u, far = elementwise.where(near, x, 0.0), elementwise.where(near, 1.0, x)
    series: Any = 1.0
    for n in range(16, 0, -2):
        series = 1.0 - series * elementwise.square(u) / (n * (n + 1.0))
    return elementwise.where(near, series, elementwise.sin(far) / far)


def round(x: Any, decimals: int = 0) -> Tensor:
    """Return `x` rounded to that many digits after the point; the gradient is 0."""
    x = as_tensor(x)
    if x.dtype.kind != "f" and decimals >= 0:
        return x
    scale, up = 10.0 ** abs(decimals), decimals >= 0
    whole = elementwise.rint(x * scale if up else x / scale)
    return elementwise.cast(whole / scale if up else whole * scale, x.dtype)


def divmod(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return the quotient rounded down and the remainder: ``x1 // x2, x1 % x2``."""
    return elementwise.floor_divide(x1, x2), elementwise.remainder(x1, x2)


def float_power(x1: Any, x2: Any) -> Tensor:
    """Return x1 ** x2, computed in float64."""
    return elementwise.power(elementwise.cast(x1, "float64"), elementwise.cast(x2, "float64"))


def imag(x: Any) -> Tensor:
    """Return zeros: tensors are real."""
    return zeros_like(x)


def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Return whether ``|x1 - x2| <= atol + rtol * |x2|``; infinite ones must be equal."""
    x1, x2 = elementwise.alike(x1, x2)
    finite = elementwise.isfinite(x2)
    centre = elementwise.where(finite, x2, 0.0)
    near = elementwise.absolute(x1 - centre) <= atol + rtol * elementwise.absolute(centre)
    near = elementwise.logical_and(near, finite)
    both = elementwise.logical_and(elementwise.isnan(x1), elementwise.isnan(x2))
    close = elementwise.logical_or(near, elementwise.equal(x1, x2))
    return elementwise.logical_or(close, both) if equal_nan else close


def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Return whether all elements are close, as a Python bool; see `isclose`."""
    return bool(products.all(isclose(x1, x2, rtol, atol, equal_nan)))


def array_equal(x1: Any, x2: Any, equal_nan: bool = False) -> bool:
    """Return whether shapes and all elements are equal, as a Python bool."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    return x1.shape == x2.shape and allclose(x1, x2, 0.0, 0.0, equal_nan)


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


def stop_gradient(variable: Any) -> Tensor:
    """Return a tensor or the value of a variable as a constant, through which no gradient flows."""
    return as_tensor(variable).detach()


def convert_to_tensor(x: Any, dtype: Any = None) -> Tensor:
    """Return `x` as a tensor, converted to `dtype` if one is given."""
    return as_tensor(x) if dtype is None else elementwise.cast(x, dtype)


def convert_to_numpy(x: Any) -> np.ndarray:
    """Return `x` as a new array."""
    return np.array(x)
