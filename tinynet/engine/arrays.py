"""Functions that arrange elements: they move, repeat, join, split and make arrays.

Most only move elements. These apply NumPy's own function to the places of the elements, and read
`x` there, so that arguments, defaults and errors are NumPy's.

Imports `primitives/`. Read next: `contractions.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import tree
from .bind import bind
from .dtypes import strong_dtype
from .expect import expect
from .primitives import elementwise, scans, shapes
from .primitives.indexing import getitem
from .tensor import Operand, Tensor, as_dtype, as_tensor, floatx, wrap

# -- elements at other places -----------------------------------------------------------------


def _moved(x: Any, function: Any, *args: Any) -> Tensor:
    """Return `function` of `x`: one of NumPy's that moves, repeats or omits elements, or adds 0."""
    x = as_tensor(x)
    places = _of_array(function, x, np.arange(1, x.size + 1).reshape(x.shape), *args)
    flat = shapes.reshape(x, (x.size,))
    if places.all():
        return getitem(flat, places - 1)
    return getitem(shapes.concatenate([np.zeros(1, x.dtype), flat]), places)


def _of_array(function: Any, x: Tensor, array: np.ndarray, *args: Any) -> Any:
    """Return NumPy's function of an array in place of `x`; errors say what was received."""
    try:
        return function(array, *(a.numpy() if isinstance(a, Operand) else a for a in args))
    except (ValueError, IndexError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        received = ", ".join(map(str, (x.shape, *args)))
        raise kind(f"{function.__name__}() of shape {received}: {error}") from None


def roll(x: Any, shift: Any, axis: Any = None) -> Tensor:
    """Return `x` with its elements shifted along `axis`; the last ones come first."""
    return _moved(x, np.roll, shift, axis)


def rot90(array: Any, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """Return `array` turned k times by 90 degrees, from the first of two axes to the second."""
    return _moved(array, np.rot90, k, axes)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Return `x` with each element repeated; None: of the flat tensor."""
    return _moved(x, np.repeat, repeats, axis)


def tile(x: Any, repeats: Any) -> Tensor:
    """Return copies of `x` side by side, that many along each axis."""
    return _moved(x, np.tile, repeats)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the diagonals of matrices, `offset` above the main one, along a last new axis."""
    return _moved(x, np.diagonal, offset, axis1, axis2)


def diag(x: Any, k: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or a matrix of 0 with this diagonal, k above the main one.

    >>> import tinynet as tn
    >>> tn.ops.diag([1.0, 2.0])
    tensor([[1., 0.],
            [0., 2.]], dtype=float32)
    """
    return _moved(x, np.diag, k)


def tril(x: Any, k: int = 0) -> Tensor:
    """Return `x` with 0 above the k-th diagonal of its matrices."""
    return _moved(x, np.tril, k)


def triu(x: Any, k: int = 0) -> Tensor:
    """Return `x` with 0 below the k-th diagonal of its matrices."""
    return _moved(x, np.triu, k)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Tensor:
    """Return `x` with elements added at both ends of each axis, as many as `pad_width` says.

    The `mode` is constant, edge, reflect, symmetric or wrap. `constant_values` is one number, 0 by
    default.
    """
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: expected constant, edge, reflect, symmetric or wrap, not {mode!r}.")
    out = _moved(x, np.pad, pad_width, mode)
    if constant_values is None:
        return out
    if mode != "constant" or np.size(constant_values) != 1:
        raise ValueError("pad: constant_values: expected one number, for the mode constant.")
    inside = np.pad(np.ones(as_tensor(x).shape, bool), pad_width)
    return elementwise.where(inside, out, constant_values)


def flip(x: Any, axis: Any = None) -> Tensor:
    """Return `x` in reverse order along `axis`: an integer, a tuple of them, or None for all."""
    x = as_tensor(x)
    axes = shapes.axes_of(x, axis)
    for i in range(x.ndim) if axes is None else axes:
        x = scans.turned(x, i)
    return x


def fliplr(x: Any) -> Tensor:
    """Return `x` in reverse order along its second axis."""
    return flip(x, 1)


def flipud(x: Any) -> Tensor:
    """Return `x` in reverse order along its first axis."""
    return flip(x, 0)


def take(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return the elements of `x` at `indices` along `axis`; None: of the flat tensor."""
    x, axis = scans.along(x, axis)
    return getitem(x, (*(slice(None),) * axis, indices))


def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    """Return one element along `axis` for each index; other axes of both match, or broadcast.

    >>> import tinynet as tn
    >>> x = tn.tensor([[3.0, 1.0], [2.0, 4.0]])
    >>> tn.ops.take_along_axis(x, tn.ops.argsort(x), axis=-1)
    tensor([[1., 3.],
            [2., 4.]], dtype=float32)
    """
    x, axis = scans.along(x, axis)
    indices = as_tensor(indices if isinstance(indices, Operand) else np.asarray(indices))
    if indices.ndim != x.ndim:
        expected = f"expected {x.ndim} axes, received shape {indices.shape}"
        raise ValueError(f"take_along_axis: indices: {expected}.")
    index: list[Any] = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    index[axis] = indices
    return getitem(x, tuple(index))


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """Return `x` in ascending order along `axis`; None: the flat tensor. NaN comes last.

    Of equal elements, each has the gradient of its own place in the result.
    """
    x, axis = scans.along(x, axis)
    return take_along_axis(x, scans.argsort(x, axis), axis)


def nonzero(x: Any) -> tuple[Tensor, ...]:
    """Return the indices of the elements that are not 0, one tensor per axis.

    TypeError while a function is recorded, since their number is unknown.
    """
    return tuple(map(wrap, np.nonzero(elementwise.not_equal(x, 0).numpy())))


# -- other shapes -----------------------------------------------------------------------------


def ravel(x: Any) -> Tensor:
    """Return the elements of `x` along one axis."""
    return shapes.reshape(x, (as_tensor(x).size,))


def copy(x: Any) -> Tensor:
    """Return another tensor of the same elements; also their real part and complex conjugate."""
    return bind(elementwise.alias, as_tensor(x))


def _at_least(function: Any) -> Any:
    """Return `function` of NumPy, which adds axes of length 1, for tensors."""

    def at_least(*xs: Any) -> Any:
        tensors = [as_tensor(x) for x in xs]
        out = [shapes.reshape(x, function(np.broadcast_to(0, x.shape)).shape) for x in tensors]
        return out[0] if len(out) == 1 else tuple(out)

    name = function.__name__
    return elementwise.named(at_least, name, f"Return tensors with at least {name[-2]} axes.")


atleast_1d, atleast_2d, atleast_3d = map(_at_least, (np.atleast_1d, np.atleast_2d, np.atleast_3d))


def vstack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the first axis; vectors are rows."""
    return shapes.concatenate([atleast_2d(x) for x in xs], 0)


def hstack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the second axis, vectors along their only one."""
    tensors = [atleast_1d(x) for x in xs]
    return shapes.concatenate(tensors, min(1, *(x.ndim - 1 for x in tensors[:1]), 1))


def dstack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the third axis."""
    return shapes.concatenate([atleast_3d(x) for x in xs], 2)


def column_stack(xs: Any) -> Tensor:
    """Return the tensors in `xs` joined along the second axis; vectors are columns."""
    columns = [as_tensor(x) for x in xs]
    return shapes.concatenate(
        [x if x.ndim > 1 else shapes.reshape(x, (x.size, 1)) for x in columns], 1
    )


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
    return _ordered(x, np.swapaxes, axis1, axis2)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Return `x` with the axes `source` at the positions `destination`; the others keep order."""
    return _ordered(x, np.moveaxis, source, destination)


def _ordered(x: Any, function: Any, *args: Any) -> Tensor:
    """Return `function` of `x`: one of NumPy's that only gives axes another order."""
    x = as_tensor(x)
    numbered = np.empty(tuple(range(x.ndim)))  # the length of each axis is its number
    return shapes.transpose(x, _of_array(function, x, numbered, *args).shape)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Return parts of `x` along `axis`: so many equal ones, or those between indices."""
    return _split(x, np.split, indices_or_sections, axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Return parts of `x` as `split` does; so many parts need not be equal."""
    return _split(x, np.array_split, indices_or_sections, axis)


def _split(x: Any, function: Any, sections: Any, axis: int) -> list[Tensor]:
    x = as_tensor(x)
    place = shapes.axis_of(x, axis)
    parts = _of_array(function, x, np.arange(x.shape[place]), sections)
    ends = [(part[0], part[-1] + 1) if part.size else (0, 0) for part in parts]
    return [shapes.sliced(x, place, *end) for end in ends]


def meshgrid(*x: Any, indexing: str = "xy") -> list[Tensor]:
    """Return a grid of coordinates for each vector; for "xy" the first two axes are exchanged."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected the indexing xy or ij, received {indexing!r}.")
    vectors = [ravel(each) for each in x]
    shape, n = tuple(v.size for v in vectors), len(vectors)
    grids = [shapes.reshape(v, (-1,) + (1,) * (n - i - 1)) for i, v in enumerate(vectors)]
    grids = [shapes.broadcast_to(grid, shape) for grid in grids]
    return [swapaxes(grid, 0, 1) for grid in grids] if indexing == "xy" and n > 1 else grids


def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Return the differences of neighbours along `axis`, n times."""
    x = as_tensor(a)
    place = shapes.axis_of(x, axis)
    if n < 0:
        raise ValueError(f"diff: n: expected 0 or more, received {n}.")
    for _ in range(n):
        ahead, behind = shapes.sliced(x, place, 1, None), shapes.sliced(x, place, 0, -1)
        x = elementwise.not_equal(ahead, behind) if x.dtype.kind == "b" else ahead - behind
    return x


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """Return elements of the first of the choices whose condition is true, else of the default."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions, but {len(choicelist)} choices.")
    out = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        out = elementwise.where(condition, choice, out)
    return as_tensor(out)


# -- new arrays -------------------------------------------------------------------------------


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


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    """Return an array of the shape of `x`, and of its dtype by default, that repeats a value."""
    return shapes.broadcast_to(elementwise.cast(fill_value, dtype or as_tensor(x).dtype), shape(x))


def shape(x: Any) -> tuple[int, ...]:
    """Return the lengths of the axes."""
    return as_tensor(x).shape


def ndim(x: Any) -> int:
    """Return the number of axes."""
    return as_tensor(x).ndim


def size(x: Any, *, axis: Any = None) -> int:
    """Return the number of elements, along `axis` if one is given."""
    x = as_tensor(x)
    axes = shapes.axes_of(x, axis)
    return x.size if axes is None else math.prod(x.shape[i] for i in axes)


# -- lists that contain tensors, which come here by `as_tensor` --------------------------------


def gathered(data: Any, like: np.dtype | None = None) -> Tensor:
    """Return nested lists or tuples that contain tensors as one tensor: `stack` at every level.

    Python numbers take the dtype `like`, by default that of the tensors, arrays and NumPy scalars;
    integers become floating beside floating ones.

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


def copied(data: Any, dtype: Any = None) -> Tensor:
    """Return a tensor, or nested lists of them, as a new tensor, converted to `dtype` if given."""
    t = as_tensor(data)
    return copy(t if dtype is None else elementwise.cast(t, dtype))
