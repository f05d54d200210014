"""Indexing: getitem, and its transpose scatter.

Imports `shapes.py`. Read next: `linalg.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bind import Case, bind, primitive
from ..expect import expect, is_integer
from ..tensor import Operand, Primitive, Tensor, as_tensor, wrap
from .shapes import aligned, broadcast_to, ints, length, moveaxis, reshape


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
    """Return the index of a batch and its arrays, and the places of these arrays' axes.

    `rows` are the places of the examples in the batch, `ndim` is the number of axes of an example.
    An index with arrays gets `rows` as the first of them. NumPy then puts all axes that come from
    arrays in front, not where one example has them: the axes that are to be moved, and their goal.
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


_getitem = primitive(
    "getitem",
    lambda x, *arrays, index: x[_index(index, arrays)],
    lambda ct, y, x, *arrays, index: bind(_scatter, ct, *arrays, index=index, shape=x.shape),
    cases=(
        Case(((4, 3),), {"index": (Slice(1, 4, 2), 0)}),
        Case(((2, 3),), {"index": (Ellipsis, None, Slice(None, None, -1))}),
        Case(((4,), (4,)), {"index": (ARRAY,)}, given={1: [2, 0, 2, 1]}),
        Case(((4, 3), (2,), (2,)), {"index": (ARRAY, ARRAY)}, given={1: [1, 1], 2: [0, 0]}),
    ),
    linear=True,
    batched=_getitem_batched,
)
_scatter: Primitive = primitive(
    "scatter",
    _put,
    lambda ct, y, x, *arrays, index, shape: bind(_getitem, ct, *arrays, index=index),
    cases=(
        Case(((2,),), {"index": (Slice(1, 4, 2), 0), "shape": (4, 3)}),
        Case(((4,), (4,)), {"index": (ARRAY,), "shape": (4,)}, given={1: [2, 0, 2, 1]}),
    ),
    linear=True,
    batched=_scatter_batched,
)


def getitem(x: Any, index: Any) -> Tensor:
    """Return ``x[index]``: integers, slices, ``...``, None, integer and bool arrays, as in NumPy.

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
