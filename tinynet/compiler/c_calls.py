"""The text in C of primitives that are no loops over single elements: scans, draws, places.

Imports `c_loops.py`, `c_text.py`. Read next: `c_printer.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .c_loops import axes_of, index, nest, plus
from .kernels import Single
from .memory import Buffer, row_major, view_of
from .program import NotInCError

Lines = Iterator[str]


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
    """Yield zeros, and a copy of numbers to some places; these are known, or it is refused."""
    (x, *computed), out = each.args, each.out
    if computed:
        raise NotInCError("C has no text for the primitive 'scatter' at places that are arrays")
    zero = Buffer((), out.buffer.dtype, value=np.zeros((), out.buffer.dtype)).slot
    part: Any = view_of(out, "getitem", index=each.params["index"])
    for to, numbers in ((out, zero), (part, x)):
        yield from printer.loop((each._replace(out=to, args=(numbers,), op=None),))


CALLS: dict[str, Callable[[Any, Single], Lines]] = {
    "cumsum": _cumsum,
    "random_bits": _random_bits,
    "scatter": _scatter,
}
