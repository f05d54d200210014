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
    given = {str(i): _as_float64(x) for i, x in enumerate(args)}
    _check(f, given, "f", order, rtol, step, np.random.default_rng(seed))


def _as_float64(x: Any) -> Tensor:
    x = as_tensor(x)
    return Tensor(x.data, "float64" if x.data.dtype.kind == "f" else None)


def _check(
    f: Any, args: dict[str, Tensor], of: str, order: int, rtol: float, step: float, rng: Any
) -> None:
    """Check the derivatives of `f`, which messages call `of`, in its floating arguments."""
    chosen = [name for name, x in args.items() if x.data.dtype.kind == "f"]

    def at(*xs: Any) -> Tensor:
        return as_tensor(f(*{**args, **dict(zip(chosen, xs, strict=True))}.values()))

    primals = [args[name] for name in chosen]
    before = {name: x.data.copy() for name, x in args.items()}
    y, pullback = vjp(at, *primals)
    ct = rng.standard_normal(y.shape)
    slopes = pullback(ct)
    for name, x in args.items():
        if not np.array_equal(x.data, before[name], equal_nan=True):
            raise AssertionError(f"check_grads: {of} changes argument {name} in place.")
    rows = []
    for i, (name, x, slope) in enumerate(zip(chosen, primals, slopes, strict=True)):
        v = rng.standard_normal(x.shape)
        rows.append((name, x.shape, *_products(at, primals, i, v, ct, slope.data, step)))
    bad = [row for row in rows if not abs(row[2] - row[3]) <= rtol * row[4] < np.inf]
    if bad:
        raise AssertionError(_table(rows, bad, of))
    if order > 1:
        ct_name = "ct" + "'" * sum(name.startswith("ct") for name in chosen)
        for i, name in enumerate(chosen):
            inner = {**dict(zip(chosen, primals, strict=True)), ct_name: wrap(ct)}

            def pulled_back(*xs: Any, i: int = i) -> Tensor:
                return vjp(at, *xs[:-1])[1](xs[-1])[i]

            name = f"the pullback to argument {name} of {of}"
            _check(pulled_back, inner, name, order - 1, rtol, step, rng)


def _products(
    at: Any, primals: list[Tensor], i: int, v: Any, ct: Any, slope: Any, step: float
) -> tuple[float, float, float]:
    """Return <ct, J v> by central differences, <slope, v>, and the size of their terms."""

    def shifted(by: float) -> np.ndarray:
        xs = [x.data + by * v if j == i else x.data for j, x in enumerate(primals)]
        with no_grad():
            return at(*(wrap(x) for x in xs)).data

    ahead, behind = shifted(step), shifted(-step)
    with np.errstate(invalid="ignore", over="ignore"):  # the table shows what is not finite
        left, right = ct * ((ahead - behind) / (2 * step)), slope * v
        size = np.abs(left).sum() + np.abs(right).sum() + 1e-6
        return float(left.sum()), float(right.sum()), float(size)


def _table(rows: list[Any], bad: list[Any], of: str) -> str:
    lines = [f"check_grads: wrong derivative of {of} (ct is its random cotangent)"]
    lines.append(f"{'argument':>8}  {'shape':<12}  {'by differences':>16}  {'by pullback':>16}")
    for row in rows:
        mark = "  <-- wrong" if row in bad else ""
        lines.append(f"{row[0]:>8}  {row[1]!s:<12}  {row[2]:>16.9g}  {row[3]:>16.9g}{mark}")
    return "\n".join(lines)
