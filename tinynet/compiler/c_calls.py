"""The text in C of primitives that are no loops over single elements: indices, draws, scans.

Imports `c_loops.py`, `c_text.py`. Read next: `c_printer.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .c_loops import axes_of, index, nest, plus
from .kernels import Single
from .memory import VIEWS, Buffer, Slot, row_major, view_of
from .program import NotInCError

Lines = Iterator[str]
MOST_PLACES = 1 << 12  # of an index, which are written as numbers


def _cumsum(printer: Any, each: Single) -> Lines:
    """Yield the sums along an axis."""
    (x,), out, axis = each.args, each.out, each.params["axis"]
    kept, reduced = axes_of(each._replace(params={"axis": axis, "keepdims": True}))
    n, step = reduced[0] if reduced else (1, 0)
    source, target = printer.pointer(x), printer.pointer(out, writes=True)
    function = printer.reduction("cumsum", x.buffer.dtype, out.buffer.dtype)
    at, to = (plus(index([a[i] for a in kept])) for i in (1, 2))
    call = f"{function}({source}{at}, {n}, {step}, {target}{to}, {out.strides[axis]});"
    yield from nest([a[0] for a in kept], [call])


def _random_bits(printer: Any, each: Single) -> Lines:
    """Yield the random bits of each state."""
    (state,), out = each.args, each.out
    if state.buffer.dtype != "uint32" or not out.is_contiguous:
        raise NotInCError(f"C has no text for the primitive 'random_bits' of {state.buffer.dtype}")
    printer.needs("random_bits", "uint32_t")
    *batch, _ = state.shape
    *steps, step = state.strides
    n = math.prod(out.shape[len(batch) :])
    at, to = plus(index(steps)), plus(index([n * s for s in row_major(tuple(batch))]))
    source, target = printer.pointer(state), printer.pointer(out, writes=True)
    yield from nest(batch, [f"random_bits_uint32_t({source}{at}, {step}, {n}, {target}{to});"])


def _scatter(printer: Any, each: Single) -> Lines:
    """Yield zeros, and copies or sums of numbers at some places."""
    (x, *arrays), out = each.args, each.out
    zero = Buffer((), out.buffer.dtype, value=np.zeros((), out.buffer.dtype)).slot
    yield from printer.loop((each._replace(args=(zero,), op=None),))
    if not arrays:
        part: Any = view_of(out, "getitem", index=each.params["index"])
        yield from printer.loop((each._replace(out=part, args=(x,), op=None),))
    if not arrays or not x.size:
        return
    places = _places(printer, each, out, arrays)
    source, target = printer.pointer(x), printer.pointer(out.buffer.slot, writes=True)
    place = f"{places}[{index(row_major(x.shape))}]"
    yield from nest(x.shape, [f"{target}[{place}] += {source}[{index(x.strides)}];"])


def _getitem(printer: Any, each: Single) -> Lines:
    """Yield copies of the numbers at some places."""
    (x, *arrays), out = each.args, each.out
    places = _places(printer, each, x, arrays)
    source, target = printer.pointer(x.buffer.slot), printer.pointer(out, writes=True)
    place = f"{places}[{index(row_major(out.shape))}]"
    yield from nest(out.shape, [f"{target}[{index(out.strides)}] = {source}[{place}];"])


def _places(printer: Any, each: Single, x: Slot, arrays: list[Slot]) -> str:
    """Print the places in the buffer of `x` that an index of constants chooses; return the name."""
    known = [printer.constants.get(array.buffer) for array in arrays]
    if any(a is None for a in known) or not all(a.is_contiguous for a in arrays):
        raise NotInCError(f"C has no text for {each.op.name!r} at computed places")
    strides = zip(np.indices(x.shape), x.strides, strict=True)
    grid = np.full(x.shape, x.offset) + sum(i * step for i, step in strides)
    given = [np.reshape(a, slot.shape) for a, slot in zip(known, arrays, strict=True)]
    places = VIEWS["getitem"](grid, *given, index=each.params["index"])
    if places.size > MOST_PLACES:
        raise NotInCError(f"C has no text for {each.op.name!r} of {places.size} places")
    return printer.table(places)


CALLS: dict[str, Callable[[Any, Single], Lines]] = {
    "cumsum": _cumsum,
    "random_bits": _random_bits,
    "scatter": _scatter,
    "getitem": _getitem,
}
