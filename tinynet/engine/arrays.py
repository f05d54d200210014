"""Functions that rearrange elements, join and split arrays, and make new ones.

Most only move elements. They apply NumPy's own function to the indices of the elements, then read
`x` at the result, so that arguments, defaults and errors are NumPy's.

Imports `primitives/`. Read next: `functional.py`.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .. import tree
from .bind import bind
from .dtypes import strong_dtype
from .expect import expect
from .primitives import elementwise, reductions, shapes
from .primitives.shapes import getitem
from .tensor import Operand, Tensor, as_dtype, as_tensor, floatx, wrap

# -- elements at other places -----------------------------------------------------------------


def moved(x: Any, function: Any, *args: Any, fill: Any = 0) -> Tensor:
    """Return ``function(x, *args)``, for a NumPy function that moves, repeats or omits elements.

    It may also add zeros. The result has `fill` there.
    """
    x = as_tensor(x)
    places = _on_arrays(function, np.arange(1, x.size + 1).reshape(x.shape), *args)
    flat = shapes.reshape(x, (x.size,))
    if places.all():
        return getitem(flat, places - 1)
    first = shapes.reshape(elementwise.cast(fill, x.dtype), (1,))
    return getitem(shapes.concatenate([first, flat]), places)


def _on_arrays(function: Any, *args: Any) -> Any:
    """Return ``function(*args)`` of a NumPy function, with the tensors in `args` as arrays."""
    return function(*(a.numpy() if isinstance(a, Operand) else a for a in args))


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Return `x` with its elements shifted along `axis`; the last ones come first."""
    return moved(x, np.roll, shift, axis)


def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """Return `array` turned k times by 90 degrees, from the first of two axes to the second."""
    return moved(array, np.rot90, k, axes)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Return `x` with each element repeated along `axis`; None: of the flat tensor."""
    return moved(x, np.repeat, repeats, axis)


def tile(x: Any, repeats: Any) -> Tensor:
    """Return copies of `x` side by side: `repeats` of them along each axis."""
    return moved(x, np.tile, repeats)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the diagonals of matrices, `offset` above the main one, along a last new axis."""
    return moved(x, np.diagonal, offset, axis1, axis2)


def diag(x: Any, k: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or a matrix of 0 with this diagonal, k above the main one.

    >>> import tinynet as tn
    >>> tn.ops.diag([1.0, 2.0])
    tensor([[1., 0.],
            [0., 2.]], dtype=float32)
    """
    return moved(x, np.diag, k)


def tril(x: Any, k: int = 0) -> Tensor:
    """Return `x` with 0 above the k-th diagonal of its matrices."""
    return moved(x, np.tril, k)


def triu(x: Any, k: int = 0) -> Tensor:
    """Return `x` with 0 below the k-th diagonal of its matrices."""
    return moved(x, np.triu, k)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """Return `x` with elements added at both ends of each axis, as many as `pad_width` says.

    The `mode` is constant, edge, reflect, symmetric or wrap. `constant_values` is one number, 0 by
    default.
    """
    modes = ("constant", "edge", "reflect", "symmetric", "wrap")
    expect(mode in modes, "pad: mode", f"one of {modes}", mode)
    if constant_values is None:
        return moved(x, np.pad, pad_width, mode)
    is_one = mode == "constant" and np.size(constant_values) == 1
    expect(is_one, "pad: constant_values", "one number, for the mode constant", constant_values)
    return moved(x, np.pad, pad_width, fill=constant_values)


def flip(x: Any, axis: Any = None) -> Tensor:
    """Return `x` in reverse order along `axis`: an integer, a tuple of them, or None for all."""
    x = as_tensor(x)
    axes = shapes.axes_of(x, axis)
    return reduce(reductions.flipped, range(x.ndim) if axes is None else axes, x)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return the elements of `x` at `indices` along `axis`; None: of the flat tensor."""
    x, axis = reductions.along(x, axis)
    return getitem(x, (*(slice(None),) * axis, indices))


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return, in each row along `axis`, the elements at the indices of that row.

    The other axes of `indices` broadcast with those of `x`. None: of the flat tensor.

    >>> take_along_axis([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[2], [0]], axis=1)
    tensor([[3.],
            [4.]], dtype=float32)
    """
    x, axis = reductions.along(x, axis)
    index: list[Any] = [*np.ogrid[tuple(map(slice, x.shape))]]
    index[axis] = indices
    return getitem(x, tuple(index))


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Return `x` in ascending order along `axis`; None: the flat tensor. NaN comes last.

    Of equal elements, each has the gradient of its own place in the result.
    """
    return take_along_axis(x, reductions.argsort(x, axis), axis)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Return the indices of the elements that are not 0, one tensor per axis.

    TypeError while a function is recorded, since their number is unknown.
    """
    return tuple(map(wrap, np.nonzero(elementwise.not_equal(x, 0).numpy())))


# -- other shapes -----------------------------------------------------------------------------


def _shaped(x: Any, function: Any, *args: Any) -> Tensor:
    """Return ``function(x, *args)``, for a NumPy function that adds or omits axes of length 1."""
    x = as_tensor(x)
    return shapes.reshape(x, function(np.broadcast_to(0, x.shape), *args).shape)


def _at_least(function: Any) -> Any:
    """Return the function of tensors for a NumPy function that adds axes of length 1."""

    def at_least(*xs: Any) -> Any:
        out = tuple(_shaped(x, function) for x in xs)
        return out[0] if len(out) == 1 else out

    name = function.__name__
    return elementwise.named(at_least, name, f"Return tensors with at least {name[-2]} axes.")


atleast_1d, atleast_2d = _at_least(np.atleast_1d), _at_least(np.atleast_2d)


def ravel(x: Any) -> Tensor:
    """Return the elements of `x` along one axis."""
    return shapes.reshape(x, (size(x),))


def expand_dims(x: Any, axis: int) -> Tensor:
    """Return `x` with a new axis of length 1 at `axis`."""
    return _shaped(x, np.expand_dims, axis)


def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Return `x` without `axis`, or without all axes of length 1. ValueError for other lengths."""
    return _shaped(x, np.squeeze, axis)


# -- parts and joins --------------------------------------------------------------------------


def stack(x: Any, axis: int = 0) -> Tensor:
    """Return the tensors in `x`, all of one shape, along a new axis."""
    return shapes.concatenate([expand_dims(each, axis) for each in x], axis)


def vstack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the first axis; vectors are rows."""
    return shapes.concatenate([atleast_2d(x) for x in xs])


def hstack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the second axis, vectors along their only one."""
    return shapes.concatenate([atleast_1d(x) for x in xs], int(all(ndim(x) > 1 for x in xs)))


def column_stack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the second axis; vectors are columns."""
    return shapes.concatenate([x if ndim(x) > 1 else atleast_2d(x).T for x in xs], 1)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Return `x` split along `axis` into a number of equal parts, or at a sequence of indices."""
    x, axis = reductions.along(x, axis)
    parts = _on_arrays(np.split, np.arange(x.shape[axis]), indices_or_sections)
    starts = [part[:1].sum() for part in parts]  # 0 for a part without elements
    return [shapes.sliced(x, axis, i, i + len(p)) for i, p in zip(starts, parts, strict=True)]


# -- new arrays -------------------------------------------------------------------------------


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Return zeros of the shape of `x`, and of its dtype by default."""
    return zeros(shape(x), dtype or as_tensor(x).dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Return ones of the shape of `x`, and of its dtype by default."""
    return ones(shape(x), dtype or as_tensor(x).dtype)


def zeros(shape: Any, dtype: Any = None) -> Tensor:
    """Return zeros, of dtype `floatx` by default."""
    return wrap(np.zeros(shapes.lengths(shape), as_dtype(dtype or floatx())))


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Return ones, of dtype `floatx` by default."""
    return wrap(np.ones(shapes.lengths(shape), as_dtype(dtype or floatx())))


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """Return an array that repeats a value, of dtype `floatx` by default."""
    return full_like(zeros(shape, dtype), fill_value)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Tensor:  # noqa: N803
    """Return an N x M matrix with ones on the `k`-th diagonal, of dtype `floatx` by default."""
    return wrap(np.eye(N, M, k, as_dtype(dtype or floatx())))


def identity(n: int, dtype: Any = None) -> Tensor:
    """Return the identity matrix of `n` rows, of dtype `floatx` by default."""
    return eye(n, dtype=dtype)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Tensor:
    """Return the numbers from `start`, or from 0, up to `stop`, which is excluded.

    For integers the dtype is int32 by default, as in Keras, else `floatx`.

    >>> arange(3), arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2], dtype=int32), tensor([1. , 1.5], dtype=float32))
    """
    numbers = np.arange(start, stop, step) if step is not None else np.arange(start, stop)
    default = floatx() if numbers.dtype.kind == "f" else "int32"
    return wrap(numbers.astype(as_dtype(dtype or default)))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Return `num` numbers at equal distances from `start` to `stop`.

    By default they have the dtype of `start` and `stop` if one is a floating array, else `floatx`.
    With `retstep`, also return the distance.

    >>> linspace(0, 1, 3)
    tensor([0. , 0.5, 1. ], dtype=float32)
    """
    found = strong_dtype((start, stop))
    dtype = as_dtype(dtype or (found if found is not None and found.kind == "f" else floatx()))
    first, last = (np.asarray(x, "float64") for x in (start, stop))
    pair = np.linspace(first, last, num, endpoint, retstep=True, axis=axis)
    numbers, step = (wrap(np.asarray(a, dtype)) for a in pair)
    return (numbers, step) if retstep else numbers


def copy(x: Any) -> Tensor:
    """Return a new tensor of the same elements, which are also their real part and conjugate."""
    return bind(elementwise.alias, as_tensor(x))


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """Return an array of the shape of `x`, and of its dtype by default, that repeats a value."""
    return shapes.broadcast_to(elementwise.cast(fill_value, dtype or as_tensor(x).dtype), shape(x))


def shape(x: Any) -> tuple[int, ...]:
    """Return the lengths of the axes."""
    return as_tensor(x).shape


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return as_tensor(x).ndim


def size(x: Any) -> int:
    """Return the number of elements."""
    return as_tensor(x).size


# -- lists that contain tensors: `as_tensor` calls this ----------------------------------------


def gathered(data: Any, like: np.dtype | None = None) -> Tensor:
    """Return nested lists or tuples that contain tensors as one tensor: `stack` at every level.

    Python numbers take the dtype `like`, by default that of the tensors, arrays and NumPy scalars;
    if any part is floating, integers become floating, too.

    Raises
    ------
    ValueError
        If the parts have different shapes.

    >>> import tinynet as tn
    >>> x = tn.tensor([1.0, 2.0], "float64")
    >>> gathered([[x[0], 0.1], (3, x[1])])
    tensor([[1. , 0.1],
            [3. , 2. ]], dtype=float64)
    """
    like = like or strong_dtype(tree.flatten(data))
    parts = [
        gathered(x, like) if isinstance(x, (list, tuple)) else as_tensor(x, like) for x in data
    ]
    found = [part.shape for part in parts]
    expect(len({*found}) < 2, "data", "numbers in a regular shape", found)
    return stack(parts) if parts else Tensor([], like)
