"""Kernels: a planned program as the loops, reductions, products and copies that compute it.

Consecutive elementwise equations share a loop where that changes no number; loops over long flat
arrays run block by block, so that a block stays in the cache. Kernels hold no text: each printer
writes the same list.

Imports `memory.py`. Read next: `text.py`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..engine.primitives.indexing import Slice
from ..engine.tensor import Primitive
from .memory import VIEWS, Buffer, Plan, Slot
from .program import Var, is_elementwise

BLOCK = 1 << 18  # elements; a handful of such arrays fit the last cache, and calls cost little


class Map(NamedTuple):
    """An elementwise primitive, ``where`` or ``cast``; `args` are broadcast to `out`."""

    op: Primitive
    out: Slot
    args: tuple[Slot, ...]


class Loop(NamedTuple):
    """Maps of one shape that can run element by element together, or in blocks of `block`.

    No map writes what another one reads at another place. Only the loop uses the `local` buffers.
    """

    section: str
    shape: tuple[int, ...]
    body: tuple[Map, ...]
    block: int | None = None
    local: frozenset[Buffer] = frozenset()


class Single(NamedTuple):
    """An equation that no loop takes; `op`, if it is no copy, is its primitive."""

    section: str
    out: Slot
    args: tuple[Slot, ...]
    op: Any = None
    params: dict[str, Any] = {}


class Reduce(Single):
    """The sum, maximum or minimum over axes: a tuple, or None for all of them."""


class Product(Single):
    """A matrix product, as NumPy's `matmul` defines it."""


class Copy(Single):
    """A copy of numbers, broadcast to the shape of `out`."""


class Call(Single):
    """Any other primitive: its own function is called, and the result copied to `out`."""


Kernel = Loop | Single
KINDS = {"sum": Reduce, "max": Reduce, "min": Reduce, "matmul": Product}  # all others are calls


def slots_of(kernel: Kernel) -> Iterator[Slot]:
    """Yield the slots that a kernel writes and reads, as often as it does."""
    for each in kernel.body if isinstance(kernel, Loop) else (kernel,):
        yield each.out
        yield from each.args


def kernels_of(plan: Plan) -> list[Kernel]:
    """Return the kernels of a plan in order, with the copies at its end."""
    kernels: list[Kernel] = []
    loop = _OpenLoop(plan)
    for v in plan.computed:
        primitive, args = plan.program.equations[v].primitive, plan.inputs(v)
        chooses = primitive.name == "where" and args[0].buffer.dtype == bool
        if is_elementwise(primitive) or primitive.name == "cast" or chooses:
            each = Map(primitive, plan.slots[v], tuple(_scalar(plan, v, x) for x in args))
            if not loop.takes(v, each):
                kernels += loop.closed()
                loop = _OpenLoop(plan)
                loop.takes(v, each)
        elif found := _alone(plan, v, args):
            kernels += [*loop.closed(), *found]
            loop = _OpenLoop(plan)
    return [*kernels, *loop.closed(), *(Copy("", out, (x,)) for out, x in plan.copies)]


def _scalar(plan: Plan, v: Var, x: Slot) -> Slot:
    """Return a single number beside arrays as a 0-d view: NumPy is three times as fast with it."""
    single = x.size == 1 and x.shape and v.size > 1
    return plan.view(x, "reshape", newshape=()) if single else x


class _OpenLoop:
    """A loop that more maps can join."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._body: dict[Var, Map] = {}
        self._written: set[Buffer] = set()
        self._used: dict[Buffer, set[Slot]] = defaultdict(set)

    def takes(self, v: Var, each: Map) -> bool:
        """Let a map join if it can run in step with the others, one element after another."""
        first, slots, out = next(iter(self._body), v), (each.out, *each.args), each.out.buffer
        is_long = _is_long(each)
        if first.shape != v.shape or is_long != _is_long(self._body.get(first, each)):
            return False
        used = [x for x in slots if x.buffer is out or x.buffer in self._written]
        elsewhere = any(not self._used[x.buffer] <= {x} for x in used)
        if elsewhere or not (is_long or v.section == first.section):
            return False
        self._body[v] = each
        self._written.add(out)
        for x in slots:
            self._used[x.buffer].add(x)
        return True

    def closed(self) -> list[Kernel]:
        """Return the loop, or nothing if it is empty."""
        if not self._body:
            return []
        first, last = next(iter(self._body)), next(reversed(self._body))
        start, end = self._plan.position[first], self._plan.position[last]
        local = frozenset(b for b in self._written if start <= b.first and b.last <= end)
        block = BLOCK if len(self._body) > 1 and _is_long(self._body[first]) else None
        for buffer in local if block else ():
            buffer.shape = (BLOCK,)  # no more of it is needed
        return [Loop(first.section, first.shape, (*self._body.values(),), block, local)]


def _is_long(each: Map) -> bool:
    """Return whether a map is over flat arrays that do not fit the cache."""
    shape = each.out.shape
    is_flat = len(shape) == 1 and all(x.shape in ((), shape) for x in each.args)
    return is_flat and shape[0] > 2 * BLOCK


def _alone(plan: Plan, v: Var, args: tuple[Slot, ...]) -> list[Kernel]:
    """Return the kernels of an equation that is not elementwise."""
    primitive, _, params = plan.program.equations[v]
    section, out, name = v.section, plan.slots[v], primitive.name
    if name in VIEWS and len(args) == 1:
        x = plan.view(args[0], name, **params) or args[0]  # where NumPy copies, it reshapes
        return [Copy(section, plan.view(out, "reshape", newshape=x.shape), (x,))]
    if name == "concatenate":
        axis = params["axis"]
        ends = itertools.accumulate(x.shape[axis] for x in args)
        before = (Slice(None, None, None),) * axis
        index = [
            (*before, Slice(end - x.shape[axis], end, None))
            for x, end in zip(args, ends, strict=True)
        ]
        parts = [plan.view(out, "getitem", index=i) for i in index]
        pairs = zip(parts, args, strict=True)  # without those that were computed in place
        return [Copy(section, part, (x,)) for part, x in pairs if part != x]
    return [KINDS.get(name, Call)(section, out, args, primitive, params)]
