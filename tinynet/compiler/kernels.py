"""Kernels: a planned program as the loops, reductions, products and copies that compute it.

Consecutive elementwise equations share a loop where that changes no number; loops over long flat
arrays run block by block, so that a block stays in the cache. Kernels hold no text: each printer
writes the same list.

Imports `memory.py`. Read next: `text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..engine.tensor import Equation, Primitive
from .memory import VIEWS, Buffer, Plan, Slot, View, part
from .program import Var, is_elementwise

BLOCK = 1 << 18  # elements; a handful of such arrays fit the last cache, and calls cost little
REDUCTIONS = ("sum", "max", "min")


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


class Reduce(NamedTuple):
    """The sum, maximum or minimum of `arg` over axes: a tuple, or None for all of them."""

    section: str
    op: Primitive
    out: Slot
    arg: Slot
    axis: tuple[int, ...] | None
    keepdims: bool


class Product(NamedTuple):
    """A matrix product, as NumPy's `matmul` defines it."""

    section: str
    out: Slot
    left: Slot
    right: Slot


class Copy(NamedTuple):
    """A copy of numbers, broadcast to the shape of `out`."""

    section: str
    out: Slot
    arg: Slot


class Call(NamedTuple):
    """Any other primitive: its own function is called, and the result copied to `out`."""

    section: str
    out: Slot
    op: Primitive
    args: tuple[Slot, ...]
    params: dict[str, Any]


Kernel = Loop | Reduce | Product | Copy | Call


def slots_of(kernel: Kernel) -> Iterator[Slot]:
    """Yield the slots that a kernel writes and reads, as often as it does."""
    for each in kernel.body if isinstance(kernel, Loop) else (kernel,):
        for field in each:
            if isinstance(field, Slot):
                yield field
            elif isinstance(field, tuple):
                yield from (x for x in field if isinstance(x, Slot))


def kernels_of(plan: Plan) -> list[Kernel]:
    """Return the kernels of a plan in order, with the copies at its end."""
    kernels: list[Kernel] = []
    loop = _OpenLoop(plan)
    for v in plan.computed:
        equation, slots = plan.program.equations[v], plan.inputs(v)
        if _is_map(equation.primitive, slots):
            each = Map(equation.primitive, plan.slots[v], slots)
            if not loop.takes(each, v):
                kernels += loop.closed()
                loop = _OpenLoop(plan)
            loop.add(each, v)
        elif found := _alone(plan, v, equation, slots):
            kernels += [*loop.closed(), *found]
            loop = _OpenLoop(plan)
    return [*kernels, *loop.closed(), *(Copy("", *pair) for pair in plan.copies)]


def _is_map(primitive: Primitive, args: tuple[Slot, ...]) -> bool:
    chooses = primitive.name == "where" and args[0].dtype == bool
    return is_elementwise(primitive) or primitive.name == "cast" or chooses


class _OpenLoop:
    """A loop that more maps can join."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._vs: list[Var] = []
        self._body: list[Map] = []
        self._is_long = False
        self._written: dict[Buffer, Slot] = {}
        self._read: dict[Buffer, set[Slot]] = {}

    def takes(self, each: Map, v: Var) -> bool:
        """Return whether a map can run in step with those before it, one element after another."""
        if not self._body or each.out.shape != self._body[0].out.shape:
            return False
        if _is_long(each) != self._is_long or not (self._is_long or v.section == self.section):
            return False
        in_step = all(self._written.get(x.buffer, x) == x for x in (each.out, *each.args))
        return in_step and self._read.get(each.out.buffer, {each.out}) == {each.out}

    def add(self, each: Map, v: Var) -> None:
        """Let a map join."""
        self._is_long = _is_long(each)
        self._vs.append(v)
        self._body.append(each)
        self._written[each.out.buffer] = each.out
        for x in each.args:
            self._read.setdefault(x.buffer, set()).add(x)

    @property
    def section(self) -> str:
        """The section of the first map."""
        return self._vs[0].section

    def closed(self) -> list[Kernel]:
        """Return the loop, or nothing if it is empty."""
        if not self._vs:
            return []
        start, end = (self._plan.position[v] for v in (self._vs[0], self._vs[-1]))
        local = {b for b in self._written if start <= b.first and b.last <= end}
        block = BLOCK if self._is_long and len(self._vs) > 1 else None
        shape = self._vs[0].shape
        return [Loop(self.section, shape, tuple(self._body), block, frozenset(local))]


def _is_long(each: Map) -> bool:
    """Return whether a map is over a flat array that does not fit the cache."""
    out = each.out
    is_flat = out.ndim == 1 and all(x.size == 1 or x.shape == out.shape for x in each.args)
    return is_flat and out.size > 2 * BLOCK


def _alone(plan: Plan, v: Var, equation: Equation, args: tuple[Slot, ...]) -> list[Kernel]:
    """Return the kernels of an equation that is not elementwise."""
    primitive, _, params = equation
    out, name = plan.slots[v], primitive.name
    if name in REDUCTIONS:
        return [Reduce(v.section, primitive, out, args[0], **params)]
    if name == "matmul":
        return [Product(v.section, out, *args)]
    if name in VIEWS and len(args) == 1:
        return [Copy(v.section, *_as_copy(plan, View(args[0], name, params), out))]
    if name == "concatenate" and out.ndim == 1:
        return _joined(plan, v.section, out, args)
    return [Call(v.section, out, primitive, args, params)]


def _as_copy(plan: Plan, view: View, out: Slot) -> tuple[Slot, Slot]:
    """Return what to copy, and to where, for a view that cannot be one."""
    if view.slot is None:  # a reshape: copied in the shape it had
        return plan.take(View(out, "reshape", {"newshape": view.base.shape})), view.base
    return out, plan.take(view)


def _joined(plan: Plan, section: str, out: Slot, args: tuple[Slot, ...]) -> list[Kernel]:
    """Return the copies of a concatenation: of the parts that were not computed in place."""
    copies: list[Kernel] = []
    start = 0
    for x in args:
        place = {"start": start, "stop": start + x.size, "shape": x.shape}
        if part(out, **place) != x:
            copies.append(Copy(section, plan.take(View(out, "part", place)), x))
        start += x.size
    return copies
