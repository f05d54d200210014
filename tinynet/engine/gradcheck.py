"""Checks of derivatives against finite differences.

Imports `autodiff.py`. Read next: `../compiler/record.py`. `tests/engine/test_gradcheck.py` breaks
every rule of every primitive and expects `check_grads` to fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .autodiff import vjp
from .bind import no_grad
from .tensor import Tensor, as_tensor, wrap


def check_grads(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    order: int = 2,
    *,
    rtol: float = 1e-4,
    step: float = 1e-4,
    seed: int = 0,
) -> None:
    """Compare the derivatives of `f` at `args`, up to `order`, with central differences.

    For random cotangents ct and directions v it compares ``<ct, J v>``, by differences, with
    ``<pullback(ct), v>``, one argument at a time; the second order does the same with the pullback
    itself. Everything is computed in float64, whatever the dtypes of `args`.

    Parameters
    ----------
    f : function of tensors
        Smooth within `step` of `args`; returns one tensor.
    args : tuple of arrays
        Integers and bools among them are passed on unchanged.
    rtol : float
        The largest error allowed, relative to the sizes of the terms of the product.
    step : float
        Half the distance of the two points. The error of a difference is about ``step ** 2``.

    Raises
    ------
    AssertionError
        If they differ or are not finite, with a table of the arguments; also if `f` or its
        derivative changes an argument in place.

    >>> import tinynet as tn
    >>> tn.check_grads(lambda x: tn.ops.tanh(x) ** 2, ([0.5, -0.3],))
    """
    tensors = {str(i): as_tensor(x) for i, x in enumerate(args)}
    kinds = {name: "float64" if x.data.dtype.kind == "f" else None for name, x in tensors.items()}
    given = {name: Tensor(x.data, kinds[name]) for name, x in tensors.items()}
    _check(f, given, "f", order, rtol, step, np.random.default_rng(seed))


def _check(
    f: Any, args: dict[str, Tensor], of: str, order: int, rtol: float, step: float, rng: Any
) -> None:
    """Check the derivatives of `f`, which messages call `of`, in its floating arguments."""
    chosen = {name: x for name, x in args.items() if x.data.dtype.kind == "f"}

    def at(*xs: Any) -> Tensor:
        return as_tensor(f(*{**args, **dict(zip(chosen, xs, strict=True))}.values()))

    before = {name: x.data.copy() for name, x in args.items()}
    y, pullback = vjp(at, *chosen.values())
    ct = rng.standard_normal(y.shape)
    slopes = pullback(ct)
    for name, x in args.items():
        if not np.array_equal(x.data, before[name], equal_nan=True):
            raise AssertionError(f"check_grads: {of} changes argument {name} in place.")
    rows = []
    for (name, x), slope in zip(chosen.items(), slopes, strict=True):
        v = rng.standard_normal(x.shape)
        ends = ({**chosen, name: wrap(x.data + by * v)} for by in (step, -step))
        with no_grad(), np.errstate(all="ignore"):  # the table shows what is not finite
            ahead, behind = (at(*end.values()).data for end in ends)
            left, right = ct * ((ahead - behind) / (2 * step)), slope.data * v
            size = np.abs(left).sum() + np.abs(right).sum() + 1e-6
            is_right = abs(left.sum() - right.sum()) <= rtol * size < np.inf
            rows.append((name, str(x.shape), left.sum(), right.sum(), is_right))
    if not all(row[-1] for row in rows):
        raise AssertionError(_table(rows, of))
    if order > 1:
        ct_name = "ct" + "'" * sum(name.startswith("ct") for name in chosen)
        for i, name in enumerate(chosen):

            def pulled_back(*xs: Any, i: int = i) -> Tensor:
                return vjp(at, *xs[:-1])[1](xs[-1])[i]

            what = f"the pullback to argument {name} of {of}"
            _check(pulled_back, {**chosen, ct_name: wrap(ct)}, what, order - 1, rtol, step, rng)


def _table(rows: list[Any], of: str) -> str:
    lines = [f"check_grads: wrong derivative of {of} (ct is its random cotangent)"]
    lines.append(f"{'argument':>8}  {'shape':<12}  {'by differences':>16}  {'by pullback':>16}")
    for name, shape, left, right, is_right in rows:
        mark = "" if is_right else "  <-- wrong"
        lines.append(f"{name:>8}  {shape:<12}  {left:>16.9g}  {right:>16.9g}{mark}")
    return "\n".join(lines)
