"""Primitives along one axis that keep its length, or look things up on it: cumsum, argsort.

Imports `products.py`. Read next: `einsum.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..tensor import Tensor, as_tensor
from .elementwise import alike, cast, less, less_equal
from .products import sum
from .shapes import axis_of, ints, reshape, sliced


def turned(x: Tensor, axis: int) -> Tensor:
    """Return `x` with its elements along `axis` in reverse order."""
    return sliced(x, axis, None, None, -1)


_cumsum = primitive(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis),
    lambda ct, y, x, axis: turned(cumsum(turned(ct, axis), axis), axis),
    cases=(Case(((2, 3),), {"axis": 1}), Case(((4, 2),), {"axis": 0})),
    linear=True,
    batched=lambda x, axis: cumsum(x, axis + 1),
)
_argsort = primitive(
    "argsort",
    np.argsort,
    cases=(Case(((2, 3),), {"axis": 1}, apart=True), Case(((4, 2),), {"axis": 0}, apart=True)),
    batched=lambda x, axis: argsort(x, axis + 1),
)


def _count_below(x: Tensor, values: Tensor, side: str) -> Tensor:
    """Return `searchsorted` of a batch: how many elements of a row lie below each value."""
    rows = reshape(x, (len(x), *(1,) * (values.ndim - 1), x.shape[1]))
    below = less if side == "left" else less_equal
    return sum(cast(below(rows, reshape(values, (*values.shape, 1))), "int64"), -1)


_searchsorted = primitive(
    "searchsorted",
    np.searchsorted,
    cases=tuple(
        Case(((4,), (2, 3)), {"side": side}, given={0: [-1.0, 0.0, 0.5, 1.0]})
        for side in ("left", "right")
    ),
    batched=_count_below,
)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Return the sums of the elements along `axis` up to each; None: of the flat tensor.

    >>> import tinynet as tn
    >>> tn.ops.cumsum([1.0, 2.0, 3.0])
    tensor([1., 3., 6.], dtype=float32)
    """
    x, axis = along(x, axis)
    return bind(_cumsum, x if dtype is None else cast(x, dtype), axis=axis)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Return the indices that sort `x` along `axis`; None: the flat tensor. NaN comes last."""
    x, axis = along(x, axis)
    return bind(_argsort, x, axis=axis)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Return the index at which each value would be inserted, to keep a sorted vector sorted.

    Before equal elements for the side ``"left"``, after them for ``"right"``.
    """
    return bind(_searchsorted, *alike(sorted_sequence, values), side=side)


def along(x: Any, axis: int | None) -> tuple[Tensor, int]:
    """Return a tensor and one of its axes; for None the flat tensor and 0."""
    x = as_tensor(x)
    if axis is None or (not x.ndim and ints(axis, "axis") in ((0,), (-1,))):
        return reshape(x, (x.size,)), 0
    return x, axis_of(x, axis)
