"""Products and reductions: matmul, sum, max, min, argmax.

Imports `shapes.py`. Read next: `indexing.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..tensor import Primitive, Rule, Tensor, as_tensor
from .elementwise import alike, cast, equal, named
from .shapes import aligned, axes_of, axis_of, broadcast_to, reshape, swap_last_axes


def _matrices(ct: Tensor, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a product's cotangent and inputs as matrices; vectors become a row or a column."""
    if x2.ndim == 1:
        ct, x2 = reshape(ct, (*ct.shape, 1)), reshape(x2, (x2.size, 1))
    if x1.ndim == 1:
        ct, x1 = reshape(ct, (*ct.shape[:-1], 1, ct.shape[-1])), reshape(x1, (1, x1.size))
    return ct, x1, x2


def _matmul_rule_1(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, _, right = _matrices(ct, x1, x2)
    return ct @ swap_last_axes(right)


def _matmul_rule_2(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, left, _ = _matrices(ct, x1, x2)
    out = swap_last_axes(left) @ ct
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
    if len(right) == 1 and right.ndim == 3:  # the same matrix for all: one large product
        y = _rows_times(left, reshape(right, right.shape[1:]))
    elif len(left) == 1 and left.ndim == 3 and right.shape[-1] == 1:
        rows = reshape(right, (*right.shape[:-2], 1, right.shape[-2]))
        y = _rows_times(rows, swap_last_axes(reshape(left, left.shape[1:])))
        y = reshape(y, (*y.shape[:-2], y.shape[-1], 1))
    else:
        rank = left.ndim if left.ndim > right.ndim else right.ndim
        y = matmul(aligned(left, rank), aligned(right, rank))
    return reshape(y, y.shape[:-2] + y.shape[-2:][row : 2 - column])


def _rows_times(x: Tensor, matrix: Tensor) -> Tensor:
    """Return the product of each row in a stack of matrices and one matrix."""
    rows = reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
    return reshape(matmul(rows, matrix), (*x.shape[:-1], matrix.shape[-1]))


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


def _reduction(name: str, ufunc: np.ufunc, does: str, rule: Rule, linear: bool = False) -> Any:
    """Make a reduction by `ufunc` along any axes, and return its function."""

    record: Primitive = primitive(
        name,
        lambda x, axis, keepdims: ufunc.reduce(x, axis, keepdims=keepdims),
        rule,
        cases=_REDUCTIONS,
        linear=linear,
        batched=lambda x, axis, keepdims: bind(
            record, x, axis=_after_first(x, axis), keepdims=keepdims
        ),
    )

    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
        x = as_tensor(x)
        return bind(record, x, axis=axes_of(x, axis), keepdims=bool(keepdims))

    return named(function, name, does)


sum = _reduction(
    "sum",
    np.add,
    "Return the sum along `axis`: an integer, a tuple of them, or None for all axes.",
    lambda ct, y, x, axis, keepdims: broadcast_to(
        ct if axis is None else reshape(ct, reduced(x, axis)), x.shape
    ),
    linear=True,
)
_MAX = "Return the largest element along `axis`; equal ones share the gradient."
_MIN = "Return the smallest element along `axis`; equal ones share the gradient."
max = _reduction("max", np.maximum, _MAX, _extreme_rule)
min = _reduction("min", np.minimum, _MIN, _extreme_rule)
_argmax = primitive(
    "argmax",
    np.argmax,
    cases=(Case(((2, 3),), {"axis": 1}, apart=True), Case(((2, 3),), {"axis": None}, apart=True)),
    batched=lambda x, axis: (
        argmax(reshape(x, (len(x), math.prod(x.shape[1:]))), 1)
        if axis is None
        else argmax(x, axis + 1)
    ),
)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return the index along `axis` of the first largest element; None: in the flat tensor."""
    x = as_tensor(x)
    index = bind(_argmax, x, axis=None if axis is None else axis_of(x, axis))
    return reshape(index, reduced(x, axes_of(x, axis))) if keepdims else index
