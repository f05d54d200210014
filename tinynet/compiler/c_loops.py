"""Loops in C over the axes of arrays: which axes there are, and their text.

Imports `kernels.py`. Read next: `c_calls.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .kernels import Single
from .memory import Slot

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # as CBLAS calls them
Axis = tuple[int, ...]  # a length, and the strides of each array


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """Return the same elements with fewer axes: none of length 1, and none that continue others."""
    found: list[Axis] = []
    for n, *steps in axes:
        if found and all(before == n * s for before, s in zip(found[-1][1:], steps, strict=True)):
            found[-1] = (found[-1][0] * n, *steps)
        elif n != 1:
            found.append((n, *steps))
    return found


def axes_over(shape: Axis, *strides: Axis) -> list[Axis]:
    """Return the axes of loops over `shape`, for arrays of these strides that broadcast to it."""
    whole = [(0,) * (len(shape) - len(steps)) + steps for steps in strides]
    return merged([*zip(shape, *whole, strict=True)])


def axes_of(each: Single) -> tuple[list[Axis], list[Axis]]:
    """Return the axes that a reduction keeps, with the strides of both arrays, and the others."""
    (x,), out, axis = each.args, each.out, each.params["axis"]
    rank = len(x.shape)
    given = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {i % rank for i in given}
    left = [i for i in range(rank) if i not in gone]
    steps = [out.strides[i] for i in left] if each.params.get("keepdims") else out.strides
    kept = [(x.shape[i], x.strides[i], step) for i, step in zip(left, steps, strict=True)]
    reduced = sorted([(x.shape[i], x.strides[i]) for i in gone], key=lambda axis: -abs(axis[1]))
    return merged(kept), merged(reduced)


def loop_axes(body: Sequence[Single]) -> tuple[list[Slot], list[Axis]]:
    """Return the slots of maps, and the axes of their loops with the strides of these slots."""
    shape = body[0].out.shape
    slots = list(dict.fromkeys(x for each in body for x in each.slots))
    return slots, axes_over(shape, *[x.strides for x in slots])


def blas_step(shape: Axis, strides: Axis) -> tuple[int, int] | None:
    """Return how BLAS names a matrix of these strides: its order, and the step between rows."""
    (rows, columns), (row, column) = shape, strides
    if (columns == 1 or column == 1) and (rows == 1 or row >= columns):
        return PLAIN, max(row, columns)
    if (rows == 1 or row == 1) and (columns == 1 or column >= rows):
        return TRANSPOSED, max(column, rows)
    return None


# -- text -----------------------------------------------------------------------------------------


def plus(place: str) -> str:
    return f" + {place}" if place != "0" else ""


def index(steps: Sequence[int]) -> str:
    """Return the place of an element as text: ``i0 * 8 + i1``."""
    terms = [f"i{k} * {s}" if s != 1 else f"i{k}" for k, s in enumerate(steps) if s]
    return " + ".join(terms) or "0"


def nest(
    sizes: Sequence[int],
    lines: Sequence[str],
    before: Sequence[str] = (),
    at: int = 0,
    part: bool = False,
) -> Iterator[str]:
    """Yield loops around lines, from the index `at` on; in a block with the lines before them.

    With `part`, the outermost loop is over a part, from `first_` to `last_`.
    """
    if before or (not sizes and len(lines) > 1):
        yield "{"
        inner = nest(sizes, lines, at=at, part=part) if sizes else lines
        yield from (f"    {line}" for line in (*before, *inner))
        yield "}"
        return
    ends = [("first_", "last_") if part and k == 0 else ("0", n) for k, n in enumerate(sizes)]
    loops = [f"for (ptrdiff_t i{k} = {a}; i{k} < {n}; i{k}++)" for k, (a, n) in enumerate(ends, at)]
    if len(lines) > 1:
        loops[-1] += " {"
    indents = ["    " * k for k in range(len(loops) + 1)]
    yield from (indent + line for indent, line in zip(indents, loops, strict=False))
    yield from (indents[-1] + line for line in lines)
    if len(lines) > 1:
        yield f"{indents[-2]}}}"
