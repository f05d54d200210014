"""Primitives that change shapes, and indexing: getitem, and its transpose scatter.

Imports `elementwise.py`. Read next: `products.py`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..bind import Case, bind
from ..expect import expect, is_integer
from ..tensor import Operand, Primitive, Tensor, as_tensor, wrap
from .elementwise import cast, linear


def _repeated(x: Any, shape: tuple[int, ...]) -> Any:
    out = np.empty(shape, x.dtype)  # several times faster than np.broadcast_to for small arrays
    out[...] = x
    return out


_reshape = linear(
    "reshape",
    lambda x, newshape: x.reshape(newshape),
    lambda ct, y, x, newshape: reshape(ct, x.shape),
    cases=(
        Case(((2, 3),), {"newshape": (3, 1, 2)}),
        Case(((2, 3),), {"newshape": (6,)}),
        Case(((1, 1),), {"newshape": ()}),
    ),
    batched=lambda x, newshape: reshape(x, (len(x), *newshape)),
    reference=lambda x, newshape: np.array(x.ravel().tolist(), x.dtype).reshape(newshape),
)
_transpose = linear(
    "transpose",
    lambda x, axes: x.transpose(axes),
    lambda ct, y, x, axes: transpose(ct, tuple(axes.index(i) for i in range(x.ndim))),
    cases=(Case(((2, 3),), {"axes": (1, 0)}), Case(((2, 3, 4),), {"axes": (1, 2, 0)})),
    batched=lambda x, axes: transpose(x, (0, *(i + 1 for i in axes))),
)
_broadcast_to = linear(
    "broadcast_to",
    _repeated,
    lambda ct, y, x, shape: ct,  # the engine undoes broadcasting
    cases=(Case(((3,),), {"shape": (2, 3)}), Case(((2, 1),), {"shape": (4, 2, 3)})),
    batched=lambda x, shape: broadcast_to(aligned(x, 1 + len(shape)), (len(x), *shape)),
)


def reshape(x: Any, newshape: int | tuple[int, ...]) -> Tensor:
    """Return the elements of `x`, in the same order, in another shape; one length may be -1."""
    x, shape = as_tensor(x), ints(newshape, "newshape")
    if -1 in shape:
        known = -math.prod(shape)
        if known > 0 and x.size % known == 0:
            shape = tuple(x.size // known if n == -1 else n for n in shape)
    return bind(_reshape, x, newshape=shape)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Tensor:
    """Return `x` with its axes in the order `axes`, reversed by default."""
    x = as_tensor(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else axes_of(x, axes, "axes")
    return bind(_transpose, x, axes=order)


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Return `x` with the axes `source` at `destination`; the others keep their order."""
    return _ordered(x, np.moveaxis, source, destination)


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Return `x` with two axes exchanged."""
    return _ordered(x, np.swapaxes, axis1, axis2)


def _ordered(x: Any, function: Any, *args: Any) -> Tensor:
    """Return ``function(x, *args)``, for a NumPy function that only reorders axes."""
    x = as_tensor(x)
    numbered = np.empty(tuple(range(x.ndim)))  # the length of each axis is its number
    return transpose(x, function(numbered, *args).shape)


def swap_last_axes(x: Any) -> Tensor:
    """Return `x` with its last two axes exchanged."""
    x = as_tensor(x)
    return bind(_transpose, x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def row(v: Tensor) -> Tensor:
    """Return vectors as matrices of one row, which scale the columns of a matrix."""
    return reshape(v, (*v.shape[:-1], 1, v.shape[-1]))


def column(v: Tensor) -> Tensor:
    """Return vectors as matrices of one column, which scale the rows of a matrix."""
    return reshape(v, (*v.shape, 1))


def broadcast_to(x: Any, shape: int | tuple[int, ...]) -> Tensor:
    """Return `x` repeated along new axes and axes of length 1 until it has `shape`."""
    x, shape = as_tensor(x), ints(shape, "shape")
    return x if x.shape == shape else bind(_broadcast_to, x, shape=shape)


def all_alike(xs: Any) -> list[Tensor]:
    """Return tensors that can be combined: if one is floating, all are."""
    tensors = [as_tensor(x) for x in xs]
    floating = next((x.dtype for x in tensors if x.data.dtype.kind == "f"), None)
    return [x if floating is None or x.dtype.kind == "f" else cast(x, floating) for x in tensors]


def sliced(x: Tensor, axis: int, *ends: int | None) -> Tensor:
    """Return `x` with ``slice(*ends)`` along `axis`."""
    return x[(slice(None),) * axis + (slice(*ends),)]


def _part(ct: Tensor, xs: tuple[Tensor, ...], position: int, axis: int) -> Tensor:
    """Return the part of a concatenation's cotangent that belongs to the input at `position`."""
    start = sum(x.shape[axis] for x in xs[:position])
    return sliced(ct, axis, start, start + xs[position].shape[axis])


_concatenate = linear(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis),
    each=lambda i: lambda ct, y, *xs, axis: _part(ct, xs, i, axis),
    cases=(Case(((2, 3), (2, 1), (2, 2)), {"axis": 1}), Case(((2, 3), (2, 3)), {"axis": 0})),
    batched=lambda *xs, axis: concatenate(in_full(xs), axis + 1),
    reference=lambda *xs, axis: (np.vstack, np.hstack)[axis](xs),
)


def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """Return the tensors `xs` joined along `axis`.

    ValueError if there are none, or if their shapes differ along another axis.
    """
    tensors = all_alike(xs)
    expect(tensors, "concatenate", "at least one tensor, not none", tensors)
    return bind(_concatenate, *tensors, axis=axis_of(tensors[0], axis))


# -- arguments ---------------------------------------------------------------------------------


def axes_of(x: Tensor, axis: Any, argument: str = "axis") -> tuple[int, ...] | None:
    """Return `axis` counted from the front, as a tuple; None stays None, for all axes.

    Raises
    ------
    ValueError
        If an axis is out of range or given twice.
    """
    if axis is None:
        return None
    ndim = x.data.ndim
    found = tuple([i + ndim if i < 0 else i for i in ints(axis, argument)])
    if len({*found, *range(ndim)}) != ndim or (len(found) > 1 and len(set(found)) != len(found)):
        raise ValueError(f"{argument}: expected different axes of {x.shape}, received {axis}.")
    return found


def axis_of(x: Tensor, axis: Any, argument: str = "axis") -> int:
    """Return one `axis` counted from the front; ValueError if out of range or more than one."""
    found = axes_of(x, axis, argument) or ()
    expect(len(found) == 1, argument, "one axis", axis)
    return found[0]


def ints(value: Any, argument: str) -> tuple[int, ...]:
    """Return an integer or a sequence of integers as a tuple; errors name `argument`."""
    try:
        sequence = value if isinstance(value, (tuple, list, range, np.ndarray)) else (value,)
        return tuple(map(operator.index, sequence))
    except (TypeError, AttributeError):
        raise TypeError(f"{argument}: expected integers, received {value!r}.") from None


def lengths(shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple. TypeError unless it consists of integers.

    ValueError if a length is negative, or for 2**60 elements or more.
    """
    found = ints(shape, "shape")
    valid = min(found, default=0) >= 0 and math.prod(found) < 2**60
    expect(valid, "shape", "lengths of 0 or more, and fewer than 2**60 elements", shape)
    return found


# -- for the rules of batches ------------------------------------------------------------------


def aligned(x: Tensor, ndim: int) -> Tensor:
    """Return a batch with axes of length 1 after its first axis, so that it has `ndim` axes."""
    new = ndim - x.ndim
    return reshape(x, (len(x), *(1,) * new, *x.shape[1:])) if new else x


def length(xs: Sequence[Tensor]) -> int:
    """Return the batch size of `xs`, some of which may have length 1 instead."""
    return next((len(x) for x in xs if len(x) != 1), 1)


def in_full(xs: Sequence[Tensor]) -> list[Tensor]:
    """Return the batches `xs`, those of length 1 repeated to the length of the others."""
    return [broadcast_to(x, (length(xs), *x.shape[1:])) for x in xs]


# -- indexing ---------------------------------------------------------------------------------


class Slice(NamedTuple):
    """A slice in an equation's params. Python's own is not hashable before 3.12."""

    start: int | None
    stop: int | None
    step: int | None


ARRAY = "array"  # in the params, the place of an index array, which is an input


def _index(index: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the index in NumPy's form."""
    rest = iter(arrays)
    found = [slice(*i) if isinstance(i, Slice) else next(rest) if i == ARRAY else i for i in index]
    return tuple(found)


def _put(ct: Any, *arrays: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, ct.dtype)
    if arrays:
        np.add.at(out, _index(index, arrays), ct)  # an element indexed twice gets both
    else:
        out[_index(index, ())] = ct
    return out


def _getitem_batched(x: Tensor, *arrays: Tensor, index: tuple[Any, ...]) -> Tensor:
    rows = np.arange(length((x, *arrays))) % max(len(x), 1)
    index, arrays, front, inside = _index_in_batch(index, arrays, rows, x.ndim - 1)
    return moveaxis(bind(_getitem, x, *arrays, index=index), front, inside)


def _scatter_batched(
    ct: Tensor, *arrays: Tensor, index: tuple[Any, ...], shape: tuple[int, ...]
) -> Tensor:
    size = length((ct, *arrays))
    index, arrays, front, inside = _index_in_batch(index, arrays, np.arange(size), len(shape))
    ct = moveaxis(broadcast_to(ct, (size, *ct.shape[1:])), inside, front)
    return bind(_scatter, ct, *arrays, index=index, shape=(size, *shape))


def _index_in_batch(index: Any, arrays: Any, rows: np.ndarray, ndim: int) -> Any:
    """Return the index of a batch, its arrays, and two lists of axes.

    `rows` are the positions of the examples in the batch, `ndim` is the number of axes of an
    example. An index with arrays gets `rows` as the first of them. NumPy then puts all axes that
    come from arrays in front, not where one example has them: the two lists of axes say where.
    """
    alone = len(arrays) == 1 and not any(isinstance(i, int) for i in index)
    if not arrays or (alone and len(arrays[0]) == 1):  # NumPy leaves the axes of one in their place
        same = tuple(reshape(x, x.shape[1:]) for x in arrays)
        return (Slice(None, None, None), *index), same, (), ()
    rank = max(x.ndim for x in arrays)
    first = wrap(rows.reshape(-1, *(1,) * (rank - 1)))
    empty = np.zeros((0,) * (rank - 1), int)  # such axes are found in the result by their length
    parts = [empty if i == ARRAY else 0 if isinstance(i, int) else i for i in index]
    whole = tuple(slice(None) if isinstance(i, Slice) else i for i in parts)
    place = (*np.ones((1,) * ndim)[whole].shape, 0).index(0) + 1
    moved = range(1, rank), range(place, place + rank - 1)
    return (ARRAY, *index), (first, *(aligned(x, rank) for x in arrays)), *moved


_getitem = linear(
    "getitem",
    lambda x, *arrays, index: x[_index(index, arrays)],
    lambda ct, y, x, *arrays, index: bind(_scatter, ct, *arrays, index=index, shape=x.shape),
    cases=(
        Case(((4, 3),), {"index": (Slice(1, 4, 2), 0)}),
        Case(((2, 3),), {"index": (Ellipsis, None, Slice(None, None, -1))}),
        Case(((4,), (4,)), {"index": (ARRAY,)}, given={1: [2, 0, 2, 1]}),
        Case(((4, 3), (2,), (2,)), {"index": (ARRAY, ARRAY)}, given={1: [1, 1], 2: [0, 0]}),
    ),
    batched=_getitem_batched,
)
_scatter: Primitive = linear(
    "scatter",
    _put,
    lambda ct, y, x, *arrays, index, shape: bind(_getitem, ct, *arrays, index=index),
    cases=(
        Case(((2,),), {"index": (Slice(1, 4, 2), 0), "shape": (4, 3)}),
        Case(((4,), (4,)), {"index": (ARRAY,), "shape": (4,)}, given={1: [2, 0, 2, 1]}),
    ),
    batched=_scatter_batched,
)


def getitem(x: Any, index: Any) -> Tensor:
    """Return ``x[index]``, for integers, slices, ``...``, None, integer and bool arrays, as NumPy.

    An element that is indexed twice gets both gradients. IndexError if out of range.
    """
    x = as_tensor(x)
    static: list[Any] = []
    arrays: list[Tensor] = []
    for i in index if isinstance(index, tuple) else (index,):
        if isinstance(i, slice):
            ends = (i.start, i.stop, i.step)
            static.append(Slice(*(n if n is None else ints((n,), "slice")[0] for n in ends)))
        elif i is None or i is Ellipsis:
            static.append(i)
        elif is_integer(i) and not isinstance(i, bool):
            static.append(int(i))
        else:
            parts = _index_arrays(x, i, index)
            static.extend(ARRAY for _ in parts)
            arrays.extend(parts)
    return bind(_getitem, x, *arrays, index=tuple(static))


def _index_arrays(x: Tensor, i: Any, index: Any) -> tuple[Tensor, ...]:
    """Return `i`, an array or list in `index`, as index arrays: for a mask, one per axis."""
    if isinstance(i, Operand) and as_tensor(i).data.dtype.kind != "b":
        return (as_tensor(i),)
    found = np.asarray(i, int) if isinstance(i, list) and not np.size(i) else np.asarray(i)
    if found.dtype.kind != "b":
        return (wrap(np.array(found)),)
    expect(found.ndim, "getitem", "integers, slices or arrays", i, IndexError)
    try:
        np.broadcast_to(False, x.shape)[index]  # np.nonzero would accept a mask of another length
    except IndexError as error:
        raise IndexError(f"getitem() of shape {x.shape}: {error}") from None
    return tuple(wrap(part) for part in np.nonzero(found))
