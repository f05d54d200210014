"""Checks of derivatives against finite differences.

Imports `autodiff.py` and `../tree.py`. Read next: `../compiler/record.py`.
`tests/engine/test_gradcheck.py` breaks every rule of every primitive and expects `check_grads` to
fail.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np

from ..tree import leaves, map_leaves, pack_sequence_as, parts_like
from .autodiff import vjp
from .bind import no_grad
from .expect import expect, is_integer
from .primitives.elementwise import cast
from .primitives.shapes import concatenate, reshape
from .refusal import answering
from .tensor import Operand, Tensor, as_tensor, wrap

Function = Callable[..., Any]
Tensors = dict[str, Tensor]  # by their paths in the arguments
COLUMNS = ("argument", "shape", "by differences", "their error", "by pullback", "")
UNKNOWN, WRONG = "<-- cannot tell", "<-- wrong"
STEPS = 24  # each is half of the one before: the last is 1e-7 of the first
ADVICE = (
    "The differences do not converge: there may be a kink or the edge of the domain. Take another "
    "point or seed. If f computes in float32, take a larger step and rtol."
)
RANDOM = (
    "gives another result when called again with the same arguments. Make it deterministic: fix "
    "its random numbers, or switch dropout off."
)


@answering
def check_grads(
    f: Function, args: Any, order: int = 2, *, rtol: float = 1e-5, step: float = 1e-3, seed: int = 0
) -> None:
    """Compare the derivatives of `f` at `args`, up to `order`, with central differences.

    For random cotangents ct and directions v it compares ``<ct, J v>``, by differences, with
    ``<pullback(ct), v>``, one argument at a time; the second order does the same with the pullback
    itself. The differences are extrapolated to step 0, which also estimates their error (Ridders,
    "Accurate computation of F'(x) and F'(x) F''(x)", 1982). Everything is computed in float64,
    whatever the dtypes of `args`.

    Parameters
    ----------
    f : function
        Returns a tensor, or a tree of them (nested lists, tuples and dicts).
    args : tuple of arrays or trees of arrays
        Integers and bools among them are passed on unchanged.
    order : int
        The highest order of the derivatives that are checked.
    rtol : float
        The largest difference allowed, in addition to the error of the differences: relative to the
        larger of the two numbers, or to 1e-5 of ``1 + sum(abs(ct * f))`` if that is larger.
    step : float
        The first and largest step, relative to 1 + abs(x). It is halved until the differences
        converge, so `f` need not be smooth, or defined, so far from `args`.
    seed : int
        Of the random numbers.

    Raises
    ------
    AssertionError
        With a table of the arguments, if the two differ or are not finite ("wrong derivative"), or
        if the differences do not converge, as at a kink ("cannot tell"). Also if `f` is not finite
        at `args`, is random, or changes an argument in place.
    TypeError
        Unless `args` is a tuple or list.
    ValueError
        If there are no floats among the arguments or in the result.

    >>> import tinynet as tn
    >>> tn.check_grads(lambda x: tn.ops.tanh(x) ** 2, ([0.5, -0.3],))
    >>> tn.check_grads(lambda p, x: x @ p["w"] + p["b"], ({"w": [0.5, 2.0], "b": 1.0}, [1.0, 2.0]))
    """
    is_tuple = isinstance(args, (tuple, list))
    expect(is_tuple, "args", "a tuple, one per argument of f", type(args), TypeError)
    expect(is_integer(order), "order", "an integer", order)
    trees = [map_leaves(_in_float64, arg) for arg in args]
    given = dict(part for i, x in enumerate(trees) for part in parts_like(x, x, str(i)))
    kinds = ", ".join(x.dtype.name for x in given.values()) or "no arrays"
    expect(_floats(given), "args", "floats to differentiate in", kinds)

    def flat(*xs: Tensor) -> Tensor:
        return _joined(f(*pack_sequence_as(trees, xs)))

    _check(flat, given, "f", order, np.random.default_rng(seed), {"rtol": rtol, "step": step})


def _in_float64(x: Any) -> Tensor:
    return Tensor(x, "float64" if as_tensor(x).dtype.kind == "f" else None)


def _floats(tensors: Tensors) -> Tensors:
    return {name: x for name, x in tensors.items() if x.data.dtype.kind == "f"}


def _joined(result: Any) -> Tensor:
    """Return the only floating tensor of a result, or all of them joined to one vector."""
    # np.asarray: a Python float that f returns has the precision of float64.
    found = [as_tensor(x if isinstance(x, Operand) else np.asarray(x)) for x in leaves(result)]
    floats = [x for x in found if x.data.dtype.kind == "f"]
    kinds = ", ".join(x.dtype.name for x in found) or "None"
    expect(floats, "check_grads: f returns nothing to check", "floats", kinds)
    if len(floats) == 1:
        return floats[0]
    return concatenate([reshape(cast(x, "float64"), -1) for x in floats])


def _ensure(holds: Any, what: str) -> None:
    if not holds:
        raise AssertionError(f"check_grads: {what}")


def _check(f: Function, args: Tensors, of: str, order: int, rng: Any, options: Any) -> None:
    """Check the derivatives of `f`, which messages call `of`, in its floating arguments."""
    chosen = _floats(args)

    def at(*xs: Any) -> Tensor:
        return f(*{**args, **dict(zip(chosen, xs, strict=True))}.values())

    before = [x.data.copy() for x in args.values()]
    y, pullback = vjp(at, *chosen.values())
    _ensure(np.isfinite(y.data).all(), f"{of} is not finite at these arguments: it is {y.data}.")
    # Random numbers that are not close to 0, so that every element counts.
    ct = rng.choice([-1.0, 1.0], y.shape) * rng.uniform(0.5, 1.5, y.shape).astype(y.dtype)
    slopes = pullback(ct)
    for (name, x), old in zip(args.items(), before, strict=True):
        unchanged = np.array_equal(x.data, old, equal_nan=True)
        _ensure(unchanged, f"{of} changes argument {name} in place.")
    rows: list[tuple[str, ...]] = []
    with no_grad(), np.errstate(all="ignore"):  # the table shows what is not finite
        for (name, x), slope in zip(chosen.items(), slopes, strict=True):
            # With the signs of the slopes, terms do not cancel, so an error in any of them shows.
            place = np.where(np.isfinite(x.data), x.data, 0.0)
            v = np.copysign(rng.uniform(0.5, 1.5, x.shape) * (1 + abs(place)), slope.data)

            def along(h: float, name: str = name, x: Tensor = x, v: Any = v) -> np.ndarray:
                return ct * at(*{**chosen, name: wrap(x.data + h * v)}.values()).data

            right, size = (float((slope.data * by).sum()) for by in (v, np.copysign(place, v)))
            rows.append((name, str(x.shape), *_compare(along, ct * y.data, right, size, **options)))
        if any(row[-1] for row in rows):
            _ensure(np.array_equal(at(*chosen.values()).data, y.data), f"{of} {RANDOM}")
            _ensure(False, _table(rows, of))
    ct_name = "ct" + "'" * sum(name.startswith("ct") for name in chosen)
    for i, name in enumerate(chosen if order > 1 else ()):

        def pulled_back(*xs: Any, i: int = i) -> Tensor:
            return vjp(at, *xs[:-1])[1](xs[-1])[i]

        what = f"the pullback to argument {name} of {of}"
        _check(pulled_back, {**chosen, ct_name: wrap(ct)}, what, order - 1, rng, options)


def _compare(
    along: Function, y: np.ndarray, right: float, size: float, rtol: float, step: float
) -> tuple[str, str, str, str]:
    """Compare `right`, by a pullback, with the slope of ``along(h).sum()`` at ``h = 0``.

    `y` is ``along(0)``; `size` is the slope in the direction of the argument itself. Returns the
    slope by differences, its error, `right`, and the verdict, as texts for the table.
    """
    scale = 1 + float(abs(y).sum())
    noise = 4 * float(np.finfo(y.dtype).eps) * (scale + size)  # of the result and the argument

    def difference(h: float) -> float:
        return float((along(h) - along(-h)).sum()) / (2 * h)

    def allowed(slope: float) -> float:
        return rtol * max(abs(slope), 1e-5 * scale)

    left, error = extrapolated(difference, allowed, step, noise)
    off = abs(left - right)
    is_right = off <= max(allowed(left), allowed(right)) + error < inf
    is_known = error <= rtol * max(abs(left), 1e-3 * scale)
    if is_known and not is_right:
        h = step / 1000  # at a kink, central differences converge to the mean of two slopes
        jump = abs(float((along(h) - 2 * y + along(-h)).sum())) / h
        is_known = not off <= 0.6 * jump < inf
    verdict = UNKNOWN if not is_known else "" if is_right else WRONG
    return f"{left:.9g}", f"{error:.2g}", f"{right:.9g}", verdict


def extrapolated(difference: Any, allowed: Any, step: float, noise: float) -> tuple[float, float]:
    """Return the limit of central differences for small steps and an estimate of its error.

    Ridders' method: the error of a difference is a series in the square of its step, so each two
    estimates combine to a better one. The error of an estimate is the larger of its distances to
    the two from which it was computed, plus the rounding error `noise` divided by the step. The
    best estimate is the one whose error is smallest relative to ``allowed(estimate)``. A much
    smaller step confirms it, since large ones can miss a narrow peak.
    """
    best, error, ratio, row = nan, inf, inf, list[float]()
    for h in step * 0.5 ** np.arange(STEPS):
        previous, row = row, [difference(h)]
        for k, coarse in enumerate(previous):
            fine = row[k]
            row.append(fine + (fine - coarse) / (4 ** (k + 1) - 1))
            distance = max(abs(row[-1] - fine), abs(row[-1] - coarse)) + noise / h
            if distance < ratio * allowed(row[-1]):
                best, error, ratio = row[-1], distance, distance / allowed(row[-1])
        if ratio <= 0.1 or len(row) == STEPS:
            small = min(h, step / 64) / 64
            error = max(abs(difference(small) - best) - noise / small, error)
            ratio = error / allowed(best)
            if ratio <= 1:
                break
    return best, error


def _table(rows: list[tuple[str, ...]], of: str) -> str:
    verdicts = [row[-1] for row in rows]
    what = "wrong derivative of" if WRONG in verdicts else "cannot tell about the derivative of"
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = ["  ".join(map(str.rjust, line, widths)).rstrip() for line in (COLUMNS, *rows)]
    advice = [ADVICE] if UNKNOWN in verdicts else []
    return "\n".join([f"{what} {of} (ct is its random cotangent)", *lines, *advice])
