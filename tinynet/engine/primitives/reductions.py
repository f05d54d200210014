"""Reductions along axes, and cumulative sums, sorting and search along one axis.

Imports `shapes.py` and `elementwise.py`. Read next: `linalg.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..expect import expect
from ..tensor import Rule, Tensor, as_tensor
from . import elementwise
from .elementwise import alike, cast, equal, less, less_equal, linear, named
from .shapes import axes_of, axis_of, broadcast_to, ints, reshape, sliced

# -- reductions -------------------------------------------------------------------------------


def reduced(x: Tensor, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of `x` with length 1 along `axis`, or along all axes for None."""
    return tuple(1 if axis is None or i in axis else n for i, n in enumerate(x.shape))


def _extreme_rule(ct: Tensor, y: Tensor, x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    shape = reduced(x, axis)
    ties = cast(equal(x, reshape(y, shape)), x.dtype)  # equal extremes share one unit of gradient
    return ties * (reshape(ct, shape) / sum(ties, axis, keepdims=True))


_REDUCTIONS = (
    Case(((2, 3),), {"axis": None, "keepdims": False}, apart=True),
    Case(((2, 3, 2),), {"axis": (0, 2), "keepdims": False}, apart=True),
    Case(((2, 3),), {"axis": (1,), "keepdims": True}, apart=True),
)


_AXIS = (Case(((2, 3),), {"axis": 1}, apart=True), Case(((4, 2),), {"axis": 0}, apart=True))


def _axes_in_batch(x: Tensor, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of a batch `x` that are `axis` of an example."""
    return tuple(range(1, x.ndim)) if axis is None else tuple(i + 1 for i in axis)


def _reduction(
    name: str, ufunc: np.ufunc, does: str, *rule: Rule, linear: bool = False
) -> Callable[..., Tensor]:
    """Make a reduction by `ufunc` along any axes, and return its function."""

    record = primitive(
        name,
        lambda x, axis, keepdims: ufunc.reduce(x, axis, keepdims=keepdims),
        *rule,
        cases=_REDUCTIONS,
        linear=linear,
        batched=lambda x, axis, keepdims: reduce(x, _axes_in_batch(x, axis), keepdims),
    )

    def reduce(
        x: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None
    ) -> Tensor:
        x = as_tensor(x)
        if where is not None:
            x = masked(x, where, initial if ufunc.identity is None else ufunc.identity, name)
        out = bind(record, x, axis=axes_of(x, axis), keepdims=bool(int(keepdims)))
        return out if initial is None else getattr(elementwise, ufunc.__name__)(out, initial)

    return named(reduce, name, f"{does}\n\n    {_KEYWORDS}")


_KEYWORDS = """`axis` is an integer, a tuple of them, or None for all axes; `initial` a number or
    tensor that is reduced, too. Elements where `where` is false are left out; shapes broadcast."""


def masked(x: Tensor, where: Any, neutral: Any, name: str) -> Tensor:
    """Return `x` with a `neutral` number where `where`, broadcast to its shape, is false."""
    expect(neutral is not None, f"{name}: initial=", "a number, with where=", neutral)
    return elementwise.where(broadcast_to(where, x.shape), x, neutral)


def _sum_rule(ct: Tensor, y: Tensor, x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    return broadcast_to(ct if axis is None else reshape(ct, reduced(x, axis)), x.shape)


sum = _reduction("sum", np.add, "Return the sum along `axis`.", _sum_rule, linear=True)
_EXTREME = "Return the %s element along `axis`; equal ones share the gradient."
_BUT_NAN = " NaN counts as missing."
max = _reduction("max", np.maximum, _EXTREME % "largest", _extreme_rule)
min = _reduction("min", np.minimum, _EXTREME % "smallest", _extreme_rule)
nanmax = _reduction("nanmax", np.fmax, _EXTREME % "largest" + _BUT_NAN, _extreme_rule)
nanmin = _reduction("nanmin", np.fmin, _EXTREME % "smallest" + _BUT_NAN, _extreme_rule)
any = _reduction("any", np.logical_or, "Return whether an element along `axis` is nonzero.")
all = _reduction("all", np.logical_and, "Return whether all elements along `axis` are nonzero.")


def _arg_reduction(name: str, impl: Callable[..., Any], which: str) -> Callable[..., Tensor]:
    """Make a primitive that finds an element along an axis, and return its function."""

    record = primitive(name, impl, cases=_AXIS, batched=lambda x, axis: find(x, axis + 1))

    def find(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        flat = reshape(x, (x.size,)) if axis is None else x
        index = bind(record, flat, axis=axis_of(flat, axis or 0))
        return reshape(index, reduced(x, axes_of(x, axis))) if keepdims else index

    does = f"Return the index along `axis` of the first {which} element; None: in the flat tensor."
    return named(find, name, does)


argmax = _arg_reduction("argmax", np.argmax, "largest")
argmin = _arg_reduction("argmin", np.argmin, "smallest")


# -- along one axis ----------------------------------------------------------------------------


def flipped(x: Tensor, axis: int) -> Tensor:
    """Return `x` with its elements along `axis` in reverse order."""
    return sliced(x, axis, None, None, -1)


_cumsum = linear(
    "cumsum",
    lambda x, axis: np.cumsum(x, axis),
    lambda ct, y, x, axis: flipped(cumsum(flipped(ct, axis), axis), axis),
    cases=_AXIS,
    batched=lambda x, axis: cumsum(x, axis + 1),
)
_argsort = primitive(
    "argsort",
    lambda x, axis: np.argsort(x, axis, kind="stable"),
    cases=_AXIS,
    batched=lambda x, axis: argsort(x, axis + 1),
)


def _count_below(x: Tensor, values: Tensor, side: str) -> Tensor:
    """Return `searchsorted` of a batch: how many elements of a row lie below each value."""
    rows = reshape(x, (len(x), *(1,) * (values.ndim - 1), x.shape[1]))
    below = less if side == "left" else less_equal
    return sum(cast(below(rows, reshape(values, (*values.shape, 1))), "int64"), -1)


_SORTED = {0: [-1.0, 0.0, 0.5, 1.0]}
_SIDES = [Case(((4,), (2, 3)), {"side": side}, given=_SORTED) for side in ("left", "right")]
_searchsorted = primitive("searchsorted", np.searchsorted, cases=_SIDES, batched=_count_below)


def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Return the cumulative sums along `axis`; None: of the flat tensor.

    >>> import tinynet as tn
    >>> tn.ops.cumsum([1.0, 2.0, 3.0])
    tensor([1., 3., 6.], dtype=float32)
    """
    x, axis = along(x, axis)
    return bind(_cumsum, x if dtype is None else cast(x, dtype), axis=axis)


def argsort(x: Any, axis: int | None = -1) -> Tensor:
    """Return the indices that sort `x` along `axis`; None: the flat tensor. NaN comes last.

    Of equal elements the first comes first.
    """
    x, axis = along(x, axis)
    return bind(_argsort, x, axis=axis)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Tensor:
    """Return the index at which to insert each value so that a sorted vector stays sorted.

    `side` is ``"left"``, before equal elements, or ``"right"``, after them.
    """
    return bind(_searchsorted, *alike(sorted_sequence, values), side=side)


def along(x: Any, axis: int | None) -> tuple[Tensor, int]:
    """Return a tensor and one of its axes; for None the flat tensor and 0."""
    x = as_tensor(x)
    if axis is None or (not x.ndim and ints(axis, "axis") in ((0,), (-1,))):
        return reshape(x, (x.size,)), 0
    return x, axis_of(x, axis)
