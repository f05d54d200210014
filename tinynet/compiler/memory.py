"""Memory plans: which elements of which buffer hold each variable of a program.

A plan is made of integers: it allocates nothing. Buffers are reused after their last use, an
elementwise result overwrites an operand that is not needed any more, a view costs nothing, parts of
a concatenation are computed in place, and outputs can overwrite inputs (donation), so that state is
updated where it is.

Imports the engine and `program.py`. Read next: `kernels.py`.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..engine.primitives.indexing import Slice
from .program import Program, Var, is_elementwise

NEVER = 1 << 60  # the position of a last use that never comes
IN_ORDER = ("matmul", "power")  # repeating an operand by strides of 0 changes their last bits


@dataclass(eq=False)
class Buffer:
    """A run of memory for arrays of one shape and dtype, one after another.

    Attributes
    ----------
    shape : tuple of int; (block,) if only a loop in blocks uses it
    dtype : dtype
    kind : "input", "state", "constant" or "temporary"
    label : str, what a reader would call it; empty if nothing is known
    value : array or None, the numbers of a constant
    first, last : int, the positions of the first and the last equation that use it
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    kind: str
    label: str
    value: np.ndarray | None = None
    first: int = -1
    last: int = NEVER

    @property
    def slot(self) -> Slot:
        """The whole buffer."""
        return Slot(self, 0, self.shape, row_major(self.shape))


class Slot(NamedTuple):
    """Elements of a buffer as an array; offset and strides count elements.

    The stride of an axis of length 1 is 0, as are all strides of an empty array: slots are equal if
    they are the same elements in the same order.
    """

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in row-major order."""
        return self.strides == row_major(self.shape)

    @property
    def repeats(self) -> bool:
        """Whether several elements of the array are one element of the buffer."""
        axes = zip(self.shape, self.strides, strict=True)
        return self.size > 0 and any(n > 1 and s == 0 for n, s in axes)


# -- views ----------------------------------------------------------------------------------------


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a new array."""
    strides, step = [], int(0 not in shape)
    for n in reversed(shape):
        strides.append(step if n > 1 else 0)
        step *= n
    return tuple(strides[::-1])


def _slot(base: Slot, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Slot:
    """Return elements of `base.buffer`, `offset` of them after those of `base`."""
    strides = [s if n > 1 and 0 not in shape else 0 for n, s in zip(shape, strides, strict=True)]
    return Slot(base.buffer, base.offset + offset, tuple(shape), tuple(strides))


def _reshaped(slot: Slot, newshape: tuple[int, ...]) -> Slot | None:
    """Merge axes that follow each other in memory; each new axis must lie in one merged axis."""
    if not slot.size:
        return _slot(slot, newshape, newshape)
    merged: list[tuple[int, int]] = []
    for n, stride in zip(slot.shape, slot.strides, strict=True):
        if merged and merged[-1][1] == n * stride:
            merged[-1] = merged[-1][0] * n, stride
        elif n > 1:
            merged.append((n, stride))
    strides, left, step = [], 1, 0
    for n in reversed(newshape):
        if n > 1 and left == 1:
            left, step = merged.pop()
        if left % n:
            return None
        strides.append(step)
        left, step = left // n, step * n
    return _slot(slot, newshape, strides[::-1])


def _transposed(slot: Slot, axes: tuple[int, ...]) -> Slot:
    return _slot(slot, [slot.shape[i] for i in axes], [slot.strides[i] for i in axes])


def _broadcast(slot: Slot, shape: tuple[int, ...]) -> Slot:
    return _slot(slot, shape, (0,) * (len(shape) - slot.ndim) + slot.strides)


def _indexed(slot: Slot, index: tuple[Any, ...]) -> Slot:
    """Take the elements at a static index of integers, slices, None and ``...``."""
    at = index.index(...) if ... in index else len(index)
    rest = slot.ndim - sum(i not in (None, ...) for i in index)
    axes = iter(zip(slot.shape, slot.strides, strict=True))
    shape, strides, offset = list[int](), list[int](), 0
    for i in (*index[:at], *[Slice(None, None, None)] * rest, *index[at + 1 :]):
        n, stride = (1, 0) if i is None else next(axes)
        if isinstance(i, int):
            offset += range(n)[i] * stride
        else:
            taken = range(n)[slice(*(i or (None,)))]
            offset += taken.start * stride
            shape.append(len(taken))
            strides.append(taken.step * stride)
    return _slot(slot, shape, strides, offset)


def _part(slot: Slot, start: int, stop: int, shape: tuple[int, ...]) -> Slot:
    return _slot(slot, shape, row_major(shape), start)


VIEWS: dict[str, Callable[..., Slot | None]] = {
    "reshape": _reshaped,
    "transpose": _transposed,
    "broadcast_to": _broadcast,
    "getitem": _indexed,
    "alias": lambda slot: slot,
    "part": _part,  # no primitive: elements of a flat array in another shape
}


class View(NamedTuple):
    """How a slot is taken from another one: by a function of `VIEWS`.

    Without a label of its own it can be named after the slot `like`, or after its base.
    """

    base: Slot
    name: str
    params: dict[str, Any]
    label: str = ""
    like: Slot | None = None

    @property
    def slot(self) -> Slot | None:
        """The slot, or None where NumPy would copy."""
        return VIEWS[self.name](self.base, **self.params)


# -- plans ----------------------------------------------------------------------------------------


class Plan:
    """The slots of a program's variables.

    Attributes
    ----------
    slots : dict from Var to Slot
    made : dict from Slot to View or None
        Whole buffers (None) and views of other slots, in the order in which they can be made.
    computed : list of Var, those whose equation must run, as that of a view must not
    position : dict from Var to int, that of its equation
    results : list of Slot, those of the outputs
    copies : list of pairs of Slot, what to copy at the end, as (to, from)
        Outputs to the inputs that they are to overwrite, where they could not be computed there.
    """

    def __init__(self, program: Program, donate: dict[Var, Var] | None = None) -> None:
        self.program = program
        self.slots: dict[Var, Slot] = {}
        self.made: dict[Slot, View | None] = {}
        self.computed: list[Var] = []
        self.position = {v: i for i, v in enumerate(program.equations)}
        self._donate = donate or {}
        self._last = self._last_uses()
        self._in_use: list[tuple[int, int, Buffer]] = []  # a heap by last uses, outdated ones too
        self._free: dict[Any, list[tuple[int, Buffer]]] = defaultdict(list)  # heaps by first use
        equations = program.equations.values()
        self._in_order = {x for e in equations if e.primitive.name in IN_ORDER for x in e.inputs}
        self._parts = self._parts_of_concatenations()
        kinds = {"input": program.inputs, "state": program.captured, "constant": program.constants}
        for kind, vs in kinds.items():
            for v in vs:
                self.slots[v] = self._made(Buffer(*v.type, kind, v.name, program.constants.get(v)))
        for v in program.equations:
            self._place(v)
        self.copies = self._copies()

    def inputs(self, v: Var) -> tuple[Slot, ...]:
        """Return the slots that the equation of `v` reads."""
        return tuple(self.slots[x] for x in self.program.equations[v].inputs)

    def take(self, view: View) -> Slot:
        """Return the slot of a view, and note how it is made."""
        slot = view.slot
        assert slot is not None, f"{view.name} is not a view"
        self.made.setdefault(slot, view)
        return slot

    def _made(self, buffer: Buffer) -> Slot:
        self.made[buffer.slot] = None
        return buffer.slot

    # -- what is known before anything is placed ----------------------------------------------

    def _last_uses(self) -> dict[Var, int]:
        """Return the position of the last equation that reads a variable or a view of it."""
        last = dict.fromkeys((*self.program.outputs, *self._donate), NEVER)
        for v, equation in reversed(self.program.equations.items()):
            at = self.position[v]
            until = max(at, last.get(v, at)) if _may_be_view(equation) else at
            for x in equation.inputs:
                last[x] = max(last.get(x, at), until)
        return last

    def _parts_of_concatenations(self) -> dict[Var, tuple[Var, int]]:
        """Map each variable that a 1-D concatenation can hold to the concatenation and a start."""
        found: dict[Var, tuple[Var, int]] = {}
        equations = self.program.equations
        for whole, (primitive, parts, _) in equations.items():
            start = 0
            for x in parts if primitive.name == "concatenate" and whole.ndim == 1 else ():
                stop = start + x.size
                while x in equations and equations[x].primitive.name == "reshape":
                    (x,) = equations[x].inputs
                free = x in equations and x not in found and x not in self._donate
                if free and x.dtype == whole.dtype and not _may_be_view(equations[x]):
                    found[x] = whole, start
                start = stop
        return found

    # -- placing ------------------------------------------------------------------------------

    def _place(self, v: Var) -> None:
        equation, at = self.program.equations[v], self.position[v]
        if _may_be_view(equation) and self._place_view(v, equation.primitive.name, equation.params):
            return
        self.computed.append(v)
        if v in self._parts:
            whole, start = self._parts[v]
            if whole not in self.slots:
                self.slots[whole] = self._fresh(whole, at)
                self.slots[whole].buffer.last = NEVER  # parts are in use before the whole is
            params = {"start": start, "stop": start + v.size, "shape": v.shape}
            like = next(iter(self.inputs(v)), None)
            self.slots[v] = self.take(View(self.slots[whole], "part", params, v.name, like))
        elif v not in self.slots:  # where a concatenation is already
            self.slots[v] = self._overwritten(v, equation.primitive) or self._fresh(v, at)

    def _place_view(self, v: Var, name: str, params: dict[str, Any]) -> bool:
        """Let `v` be a view of its input; return whether that is possible."""
        (base,) = self.inputs(v)
        if name == "broadcast_to" and base.size == v.size:  # NumPy lets nobody write to it
            name, params = "reshape", {"newshape": v.shape}
        view = View(base, name, params, v.name)
        slot = view.slot
        if slot is None or (v in self._in_order and slot.repeats):
            return False
        self.slots[v] = self.take(view)
        return True

    def _overwritten(self, v: Var, primitive: Any) -> Slot | None:
        """Return the slot that `v` can overwrite: of the input it is donated to, or an operand.

        NumPy's elementwise functions give the same numbers then, except for powers of single ones.
        The equation may read nothing else of that buffer, and nothing later may read what it holds.
        """
        if not is_elementwise(primitive) or primitive.name == "power":
            return None
        slots = self.inputs(v)
        given = [self._donate[v]] if v in self._donate else []
        for x in (*given, *self.program.equations[v].inputs):
            slot, buffer = self.slots[x], self.slots[x].buffer
            until = self._last.get(x, -1) if x in given else buffer.last
            whole = slot.is_contiguous and slot.size == math.prod(buffer.shape)
            alone = all(y == slot or y.buffer is not buffer for y in slots)
            if x.type == v.type and until <= self.position[v] and whole and alone:
                if buffer.kind == "temporary":
                    buffer.label = buffer.label or v.name
                self._use(buffer, v)
                return slot
        return None

    def _fresh(self, v: Var, at: int) -> Slot:
        """Return a buffer that is free at the equation `at`, or a new one."""
        while self._in_use and self._in_use[0][0] < at:
            last, first, buffer = heapq.heappop(self._in_use)
            if buffer.last == last:  # it was not taken again
                heapq.heappush(self._free[buffer.shape, buffer.dtype], (first, buffer))
        if self._free[v.type]:
            _, buffer = heapq.heappop(self._free[v.type])
        else:
            buffer = Buffer(*v.type, "temporary", v.name, None, at, -1)
            self._made(buffer)
        self._use(buffer, v)
        return buffer.slot

    def _use(self, buffer: Buffer, v: Var) -> None:
        """Keep a buffer in use until the last use of `v`."""
        until = self._last.get(v, self.position.get(v, NEVER))
        if until > buffer.last:
            buffer.last = until
            if until < NEVER:
                heapq.heappush(self._in_use, (until, buffer.first, buffer))

    def _copies(self) -> list[tuple[Slot, Slot]]:
        """Return what to copy at the end, and note the slots of the results.

        Old values that are still needed, for another input or as a result, are saved first.
        """
        slots, outputs = self.slots, self.program.outputs
        moves = {o: slots[i] for o, i in self._donate.items() if slots[o] != slots[i]}
        lost = {slot.buffer for slot in moves.values()}
        needed = dict.fromkeys((*moves, *outputs))
        saved = {v: self._fresh(v, NEVER) for v in needed if slots[v].buffer in lost}
        self.results = [moves.get(v) or saved.get(v) or slots[v] for v in outputs]
        copies = [(slot, slots[v]) for v, slot in saved.items()]
        return copies + [(slot, saved.get(v) or slots[v]) for v, slot in moves.items()]


def _may_be_view(equation: Any) -> bool:
    """Return whether an equation gives the same numbers in another shape or order."""
    return equation.primitive.name in VIEWS and len(equation.inputs) == 1
