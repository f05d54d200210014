"""Kernels: a planned program as the loops, reductions, products and copies that compute it.

Consecutive elementwise equations share a loop where that changes no number; loops over long flat
arrays run block by block, so that a block stays in the cache. Kernels hold no text: each printer
writes the same list.

Imports `memory.py`. Read next: `text.py`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..engine.bind import PRIMITIVES
from ..engine.primitives.shapes import Slice
from .memory import Buffer, Plan, Slot
from .program import Var, is_elementwise

PART = 40  # kernels in a C function: compiling takes more than linear time in a function's length
BLOCK = 1 << 18  # elements; a few such arrays fit in the last-level cache, and calls cost little


class Single(NamedTuple):
    """One equation; `op` is its primitive, None if it is a copy."""

    section: str
    out: Slot
    args: tuple[Slot, ...]
    op: Any = None
    params: dict[str, Any] = {}

    @property
    def body(self) -> tuple[Single, ...]:
        """The kernel itself, as a loop of one."""
        return (self,)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slot that is written, and those that are read."""
        return self.out, *self.args


class Map(Single):
    """An elementwise primitive, ``where`` or ``cast``; `args` are broadcast to `out`."""


class Reduce(Single):
    """The sum, maximum or minimum over axes: a tuple, or None for all of them."""


class Product(Single):
    """A matrix product, as NumPy's `matmul` defines it."""


class Copy(Single):
    """A copy of numbers, broadcast to the shape of `out`."""


class Call(Single):
    """Any other primitive: its own function is called, and the result copied to `out`."""


class Loop:
    """Maps of one shape that can run element by element together, or in blocks.

    No map writes an element that another one reads at another position of the loop.

    Attributes
    ----------
    section : str
    shape : tuple of int
    body : list of Map
    is_long : bool, whether it is over flat arrays that do not fit in the cache
    first, last : int, the positions of the equations of its first and its last map
    """

    def __init__(self, each: Map, at: int) -> None:
        self.section, self.shape, self.is_long = each.section, each.out.shape, _is_long(each)
        self.first = at
        self.body: list[Map] = []
        self._written: set[Buffer] = set()
        self._used: dict[Buffer, set[Slot]] = defaultdict(set)
        self.takes(each, at)

    @property
    def block(self) -> int | None:
        """The length of a block, or None."""
        return BLOCK if self.is_long and len(self.body) > 1 else None

    @property
    def local(self) -> set[Buffer]:
        """The buffers that only this loop uses."""
        return {b for b in self._written if self.first <= b.first and b.last <= self.last}

    def takes(self, each: Map, at: int) -> bool:
        """Add a map, if it can run element by element with the others; return whether it can."""
        out, is_long = each.out.buffer, _is_long(each)
        alike = each.out.shape == self.shape and is_long == self.is_long
        used = [x for x in each.slots if x.buffer is out or x.buffer in self._written]
        elsewhere = any(not self._used[x.buffer] <= {x} for x in used)
        if not alike or elsewhere or not (is_long or each.section == self.section):
            return False
        self.body.append(each)
        self.last = at
        self._written.add(out)
        for x in each.slots:
            self._used[x.buffer].add(x)
        return True


def _is_long(each: Map) -> bool:
    """Return whether a map is over flat arrays that do not fit in the cache."""
    shape = each.out.shape
    is_flat = len(shape) == 1 and all(x.shape in ((), shape) for x in each.args)
    return is_flat and shape[0] > 2 * BLOCK


Kernel = Loop | Single
KINDS = {"sum": Reduce, "max": Reduce, "min": Reduce, "matmul": Product}  # all others are calls


def kernels_of(plan: Plan, outer: bool = False) -> list[Kernel]:
    """Return the kernels of a plan in order, with the copies at its end.

    With `outer`, a product of a column and a row is a map, which can share a loop with others.
    """
    kernels: list[Kernel] = []
    for v in plan.computed:
        primitive, _, params = plan.program.equations[v]
        args, at = plan.inputs(v), plan.position[v]
        if outer and primitive.name == "matmul" and args[0].shape[1:] == (1,) == args[1].shape[:-1]:
            primitive = PRIMITIVES["multiply"]
        chooses = primitive.name == "where" and args[0].buffer.dtype == bool
        if not (is_elementwise(primitive) or primitive.name == "cast" or chooses):
            kernels += _alone(plan, v, args)
            continue
        numbers = tuple([_scalar(plan, v, x) for x in args])
        each = Map(v.section, plan.slots[v], numbers, primitive, params)
        loop = kernels[-1] if kernels else None
        if not (isinstance(loop, Loop) and loop.takes(each, at)):
            kernels.append(Loop(each, at))
    for loop in kernels:
        for buffer in loop.local if isinstance(loop, Loop) and loop.block else ():
            buffer.shape = (BLOCK,)  # one block is enough
    return kernels + [Copy("", out, (x,)) for out, x in plan.copies]


def _scalar(plan: Plan, v: Var, x: Slot) -> Slot:
    """Return a single number among arrays as a 0-d view: NumPy is three times as fast with it."""
    single = x.size == 1 and x.shape and v.size > 1
    return plan.view(x, "reshape", newshape=()) if single else x


def _alone(plan: Plan, v: Var, args: tuple[Slot, ...]) -> list[Kernel]:
    """Return the kernels of an equation that is not elementwise."""
    primitive, _, params = plan.program.equations[v]
    section, out, name = v.section, plan.slots[v], primitive.name
    if v in plan.views:
        x = plan.view(args[0], name, **params) or args[0]  # where a view needs a copy: a reshape
        return [Copy(section, plan.view(out, "reshape", newshape=x.shape), (x,))]
    if name == "concatenate":
        before, axis = (Slice(None, None, None),) * params["axis"], params["axis"]
        ends = itertools.accumulate(x.shape[axis] for x in args)
        slices = [Slice(end - x.shape[axis], end, None) for x, end in zip(args, ends, strict=True)]
        parts = [plan.view(out, "getitem", index=(*before, part)) for part in slices]
        pairs = zip(parts, args, strict=True)
        return [Copy(section, part, (x,)) for part, x in pairs if part != x]  # not yet in place
    return [KINDS.get(name, Call)(section, out, args, primitive, params)]


# -- for the C printer ----------------------------------------------------------------------------


def sections(kernels: list[Kernel]) -> Iterator[tuple[str, list[Kernel]]]:
    """Yield the name of a section and a run of its kernels, at most `PART` of them."""
    for section, run in itertools.groupby(kernels, key=lambda kernel: kernel.section):
        rest = list(run)
        while rest:
            yield section, rest[:PART]
            rest = rest[PART:]


def dead_stores(plan: Plan, kernels: list[Kernel]) -> dict[Loop, set[Buffer]]:
    """Return for each loop the buffers that nothing reads before they are overwritten.

    Maps whose results nothing reads, since kernels without elements are left out, are removed.
    """
    read = {slot.buffer for slot in plan.results}
    read |= {plan.slots[v].buffer for v in plan.arguments}
    dead: dict[Loop, set[Buffer]] = {}
    for kernel in reversed(kernels):
        outs, body = {each.out for each in kernel.body}, list[Any]()
        needed, is_loop = {x for x in outs if x.buffer in read}, isinstance(kernel, Loop)
        for each in reversed(kernel.body):
            if each.out in needed or not is_loop:
                needed = needed - {each.out} | {*each.args}
                body.insert(0, each)
        if isinstance(kernel, Loop):
            dead[kernel], kernel.body = {x.buffer for x in outs} - read, body
        whole = (x for x in outs if x.is_contiguous and x.size == math.prod(x.buffer.shape))
        read = read - {x.buffer for x in whole} | {x.buffer for x in needed}
    return dead
