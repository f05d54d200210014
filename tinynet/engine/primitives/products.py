"""Products and reductions: matmul, sum, max, min, any, all, argmax, argmin.

Imports `shapes.py`. Read next: `indexing.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..expect import expect
from ..tensor import Primitive, Rule, Tensor, as_tensor
from . import elementwise
from .elementwise import alike, cast, equal, named
from .shapes import aligned, axes_of, axis_of, broadcast_to, reshape, swap_last_axes as _t


def _matrices(ct: Tensor, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a product's cotangent and inputs as matrices; vectors become a row or a column."""
    if x2.ndim == 1:
        ct, x2 = reshape(ct, (*ct.shape, 1)), reshape(x2, (x2.size, 1))
    if x1.ndim == 1:
        ct, x1 = reshape(ct, (*ct.shape[:-1], 1, ct.shape[-1])), reshape(x1, (1, x1.size))
    return ct, x1, x2


def _matmul_rule_1(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, _, right = _matrices(ct, x1, x2)
    return ct @ _t(right)


def _matmul_rule_2(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, left, _ = _matrices(ct, x1, x2)
    out = _t(left) @ ct
    return out if x2.ndim > 1 else reshape(out, out.shape[:-1])


def _product(x1: Any, x2: Any) -> Any:
    # For small matrices np.dot gives the same numbers in half the time.
    return np.dot(x1, x2) if x1.ndim == x2.ndim == 2 else np.matmul(x1, x2)


_PAIRS: list[Any] = [((2, 3), (3, 4)), ((3, 3), (3, 3)), ((2, 1, 4, 3), (5, 3, 2))]
_PAIRS += [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))]
_cases = tuple(map(Case, _PAIRS))


def _matmul_batched(x1: Tensor, x2: Tensor) -> Tensor:
    row, column = x1.ndim == 2, x2.ndim == 2  # is an example a vector?
    left = reshape(x1, (len(x1), 1, *x1.shape[1:])) if row else x1
    right = reshape(x2, (*x2.shape, 1)) if column else x2
    y = _product_of_batches(left, right)
    return reshape(y, y.shape[:-2] + y.shape[-2:][row : 2 - column])


def _product_of_batches(left: Tensor, right: Tensor) -> Tensor:
    if len(right) == 1 and right.ndim == 3:  # the same matrix for all: one large product
        rows = reshape(left, (math.prod(left.shape[:-1]), left.shape[-1]))
        y = matmul(rows, reshape(right, right.shape[1:]))
        return reshape(y, (*left.shape[:-1], y.shape[-1]))
    if len(left) == 1 and left.ndim == 3 and right.shape[-1] == 1:
        return _t(_product_of_batches(_t(right), _t(left)))
    rank = left.ndim if left.ndim > right.ndim else right.ndim
    return matmul(aligned(left, rank), aligned(right, rank))


_matmul = primitive(
    "matmul",
    _product,
    _matmul_rule_1,
    _matmul_rule_2,
    cases=_cases,
    batched=_matmul_batched,
)


def matmul(x1: Any, x2: Any) -> Tensor:
    """Return the matrix product over the last axis of x1 and the second to last of x2.

    Ranks are NumPy's: vectors are rows on the left and columns on the right; leading axes broadcast
    and hold stacks of matrices. ValueError if the lengths do not match.
    """
    return bind(_matmul, *alike(x1, x2))


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


def _after_first(x: Tensor, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of a batch `x` that are `axis` of an example."""
    return tuple(range(1, x.ndim)) if axis is None else tuple(i + 1 for i in axis)


def _reduction(
    name: str, ufunc: np.ufunc, does: str, *rule: Rule, linear: bool = False
) -> Callable[..., Tensor]:
    """Make a reduction by `ufunc` along any axes, and return its function."""

    record: Primitive = primitive(
        name,
        lambda x, axis, keepdims: ufunc.reduce(x, axis, keepdims=keepdims),
        *rule,
        cases=_REDUCTIONS,
        linear=linear,
        batched=lambda x, axis, keepdims: bind(
            record, x, axis=_after_first(x, axis), keepdims=keepdims
        ),
    )

    def reduce(
        x: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None
    ) -> Tensor:
        x = as_tensor(x)
        if where is not None:
            x = masked(x, where, initial if ufunc.identity is None else ufunc.identity, name)
        out = bind(record, x, axis=axes_of(x, axis), keepdims=bool(keepdims))
        return out if initial is None else getattr(elementwise, ufunc.__name__)(out, initial)

    return named(reduce, name, f"{does}\n\n    {_KEYWORDS}")


_KEYWORDS = """axis : an integer, a tuple of them, or None for all axes
    initial : a number or tensor that is reduced, too
    where : bools, which elements are reduced; shapes broadcast"""


def masked(x: Tensor, where: Any, neutral: Any, name: str) -> Tensor:
    """Return `x` with a `neutral` number where `where`, broadcast to its shape, is false."""
    expect(neutral is not None, f"{name}: initial=", "a number, with where=", neutral)
    return elementwise.where(broadcast_to(where, x.shape), x, neutral)


sum = _reduction(
    "sum",
    np.add,
    "Return the sum along `axis`.",
    lambda ct, y, x, axis, keepdims: broadcast_to(
        ct if axis is None else reshape(ct, reduced(x, axis)), x.shape
    ),
    linear=True,
)
_EXTREME = "Return the %s element along `axis`; equal ones share the gradient."
_BUT_NAN = " NaN counts as missing."
max = _reduction("max", np.maximum, _EXTREME % "largest", _extreme_rule)
min = _reduction("min", np.minimum, _EXTREME % "smallest", _extreme_rule)
nanmax = _reduction("nanmax", np.fmax, _EXTREME % "largest" + _BUT_NAN, _extreme_rule)
nanmin = _reduction("nanmin", np.fmin, _EXTREME % "smallest" + _BUT_NAN, _extreme_rule)
any = _reduction("any", np.logical_or, "Return whether an element along `axis` is nonzero.")
all = _reduction("all", np.logical_and, "Return whether all elements along `axis` are nonzero.")


def _place(name: str, impl: Callable[..., Any], which: str) -> Callable[..., Tensor]:
    """Make a function that finds an element along an axis, and return it."""

    cases = (Case(((2, 3),), {"axis": 1}, apart=True),)
    record = primitive(name, impl, cases=cases, batched=lambda x, axis: find(x, axis + 1))

    def find(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        flat = reshape(x, (x.size,)) if axis is None else x
        index = bind(record, flat, axis=axis_of(flat, axis or 0))
        return reshape(index, reduced(x, axes_of(x, axis))) if keepdims else index

    does = f"Return the index along `axis` of the first {which} element; None: in the flat tensor."
    return named(find, name, does)


argmax = _place("argmax", np.argmax, "largest")
argmin = _place("argmin", np.argmin, "smallest")
