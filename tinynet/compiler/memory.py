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
from typing import Any, NamedTuple

import numpy as np

from ..engine.primitives import REGISTRY, Slice
from ..engine.tensor import Equation
from .program import Program, Var, is_elementwise

NEVER = 1 << 60  # the position of a last use that never comes
IN_ORDER = ("matmul", "power")  # repeating an operand by strides of 0 changes their last bits


class Buffer:
    """A run of memory for the elements of one array after another, all of one shape and dtype.

    Attributes
    ----------
    shape, dtype
    kind : "input", "state", "constant" or "temporary"
    label : str, what a reader would call it; empty if nothing is known
    value : array or None, the array of a constant
    first, last : int, the positions of the first and the last equation that use it
    """

    __slots__ = ("dtype", "first", "kind", "label", "last", "shape", "value")

    def __init__(self, v: Var, kind: str, first: int = -1, value: np.ndarray | None = None) -> None:
        self.shape, self.dtype, self.label = v.shape, v.dtype, v.name
        self.kind, self.value = kind, value
        self.first, self.last = first, -1 if kind == "temporary" else NEVER

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def slot(self) -> Slot:
        """The whole buffer."""
        return Slot(self, 0, self.shape, row_major(self.shape))


class Slot(NamedTuple):
    """Elements of a buffer as an array; offset and strides count elements.

    The stride of an axis of length 1 is 0, as are all strides of an empty array, so that equal
    slots are the same memory.
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
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.buffer.dtype

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in row-major order."""
        return self.strides == row_major(self.shape)

    @property
    def repeats(self) -> bool:
        """Whether several elements of the array are one element of the buffer."""
        return any(n > 1 and not s for n, s in zip(self.shape, self.strides, strict=True))


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a new array."""
    strides, step = [], int(0 not in shape)
    for n in reversed(shape):
        strides.append(step if n > 1 else 0)
        step *= n
    return tuple(strides[::-1])


def reshaped(slot: Slot, newshape: tuple[int, ...]) -> Slot | None:
    """Return a slot in another shape; None where NumPy would copy.

    Axes that follow each other in memory are merged; each new axis must lie in one merged axis.
    """
    if not slot.size:
        return slot._replace(shape=newshape, strides=(0,) * len(newshape))
    merged: list[tuple[int, int]] = []
    for n, stride in zip(slot.shape, slot.strides, strict=True):
        if n > 1 and merged and merged[-1][1] == n * stride:
            merged[-1] = merged[-1][0] * n, stride
        elif n > 1:
            merged.append((n, stride))
    strides, left, step = [], 1, 0
    for n in reversed(newshape):
        if n > 1 and left == 1:
            left, step = merged.pop()
        if left % n:
            return None
        strides.append(step if n > 1 else 0)
        left, step = left // n, step * n
    return slot._replace(shape=newshape, strides=tuple(strides[::-1]))


def _transposed(slot: Slot, axes: tuple[int, ...]) -> Slot:
    shape = tuple(slot.shape[i] for i in axes)
    return slot._replace(shape=shape, strides=tuple(slot.strides[i] for i in axes))


def _broadcast(slot: Slot, shape: tuple[int, ...]) -> Slot:
    strides = slot.strides if math.prod(shape) else (0,) * slot.ndim
    return slot._replace(shape=shape, strides=(0,) * (len(shape) - slot.ndim) + strides)


def _indexed(slot: Slot, index: tuple[Any, ...]) -> Slot:
    """Return the elements at a static index of integers, slices, None and ``...``."""
    named = sum(i is not None and i is not Ellipsis for i in index)
    rest = (Slice(None, None, None),) * (slot.ndim - named)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    axes = iter(zip(slot.shape, slot.strides, strict=True))
    offset, kept = slot.offset, list[tuple[int, int]]()
    for i in (*index[:at], *rest, *index[at + 1 :]):
        if i is None:
            kept.append((1, 0))
            continue
        n, stride = next(axes)
        taken = range(n)[slice(*i) if isinstance(i, Slice) else i]
        if isinstance(taken, int):
            offset += taken * stride
        else:
            offset += taken.start * stride if taken else 0
            kept.append((len(taken), taken.step * stride))
    shape = tuple(n for n, _ in kept)
    if not math.prod(shape):
        return Slot(slot.buffer, slot.offset, shape, (0,) * len(shape))
    return Slot(slot.buffer, offset, shape, tuple(s if n > 1 else 0 for n, s in kept))


def part(slot: Slot, start: int, stop: int, shape: tuple[int, ...]) -> Slot:
    """Return elements of a flat slot as a slot of its own shape."""
    return Slot(slot.buffer, slot.offset + start, shape, row_major(shape))


VIEWS: dict[str, Any] = {  # primitives whose result shows the numbers of its first input
    "reshape": reshaped,
    "transpose": _transposed,
    "broadcast_to": _broadcast,
    "getitem": _indexed,
    "alias": lambda slot: slot,
    "part": part,
}


class View(NamedTuple):
    """How a slot is taken from another one: by a function of `VIEWS`.

    Without a label of its own it can be named after the slot `like`.
    """

    base: Slot
    name: str
    params: dict[str, Any]
    label: str = ""
    like: Slot | None = None

    @property
    def slot(self) -> Slot | None:
        """The slot, or None if it needs a copy."""
        return VIEWS[self.name](self.base, **self.params)


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
        outside = [Buffer(v, "input") for v in program.inputs]
        outside += [Buffer(v, "state") for v in program.captured]
        outside += [Buffer(v, "constant", value=a) for v, a in program.constants.items()]
        self.made: dict[Slot, View | None] = {buffer.slot: None for buffer in outside}
        given = (*program.inputs, *program.captured, *program.constants)
        self.slots: dict[Var, Slot] = dict(zip(given, self.made, strict=True))
        self.computed: list[Var] = []
        self.position = {v: i for i, v in enumerate(program.equations)}
        self._last = self._last_uses()
        self._in_use: list[tuple[int, int, Buffer]] = []  # a heap by last uses, outdated ones too
        self._free: dict[Any, list[tuple[int, Buffer]]] = defaultdict(list)  # heaps by first use
        self._in_place = self._possible_donations(donate or {})
        self._in_order = {
            x
            for primitive, inputs, _ in program.equations.values()
            if primitive.name in IN_ORDER
            for x in inputs
        }
        self._parts = self._parts_of_concatenations()
        for v, equation in program.equations.items():
            self._place(v, equation)
        self.copies = self._copies(donate or {})

    @property
    def nbytes(self) -> int:
        """The size of all temporary buffers."""
        buffers = (slot.buffer for slot, view in self.made.items() if view is None)
        return sum(b.nbytes for b in buffers if b.kind == "temporary")

    # -- what is known before anything is placed ----------------------------------------------

    def _last_uses(self) -> dict[Var, int]:
        """Return the position of the last equation that reads a variable or a view of it."""
        last = dict.fromkeys(self.program.outputs, NEVER)
        for v, equation in reversed(self.program.equations.items()):
            at = self.position[v]
            until = max(at, last.get(v, at)) if _may_be_view(equation) else at
            for x in equation.inputs:
                last[x] = max(last.get(x, at), until)
        return last

    def _possible_donations(self, donate: dict[Var, Var]) -> dict[Var, Var]:
        """Return the donations whose input is not read after it is overwritten."""
        return {
            out: given
            for out, given in donate.items()
            if out in self.position
            and _may_overwrite(self.program.equations[out].primitive)
            and self._last.get(given, -1) <= self.position[out]
            and out.type == given.type
        }

    def _parts_of_concatenations(self) -> dict[Var, tuple[Var, int]]:
        """Map each variable that a 1-D concatenation can hold to the concatenation and a start."""
        found: dict[Var, tuple[Var, int]] = {}
        equations = self.program.equations
        for whole, (primitive, parts, _) in equations.items():
            if primitive is not REGISTRY["concatenate"] or whole.ndim != 1:
                continue
            start = 0
            for x in parts:
                size = x.size
                while x in equations and equations[x].primitive is REGISTRY["reshape"]:
                    (x,) = equations[x].inputs
                free = x in equations and x not in found and x not in self._in_place
                if free and x.dtype == whole.dtype and not _may_be_view(equations[x]):
                    found[x] = whole, start
                start += size
        return found

    # -- placing ------------------------------------------------------------------------------

    def _place(self, v: Var, equation: Equation) -> None:
        if _may_be_view(equation) and self._place_view(v, equation):
            return
        self.computed.append(v)
        if v in self._in_place and self._is_alone(v, self.slots[self._in_place[v]]):
            self.slots[v] = self.slots[self._in_place[v]]
        elif v in self._parts:
            whole, start = self._parts[v]
            params = {"start": start, "stop": start + v.size, "shape": v.shape}
            base = self._whole(whole, self.position[v])
            like = next(iter(self.inputs(v)), None)
            self.slots[v] = self.take(View(base, "part", params, v.name, like))
        elif v not in self.slots:  # a concatenation can be there already
            overwritten = self._overwritten(v, equation)
            self.slots[v] = self.fresh(v, self.position[v]) if overwritten is None else overwritten

    def _place_view(self, v: Var, equation: Equation) -> bool:
        """Let `v` be a view of its input; return whether that is possible."""
        name, base, params = (
            equation.primitive.name,
            self.slots[equation.inputs[0]],
            equation.params,
        )
        if name == "broadcast_to" and base.size == v.size:  # NumPy lets nobody write to it
            name, params = "reshape", {"newshape": v.shape}
        view = View(base, name, params, v.name, base)
        possible = view.slot is not None and not (v in self._in_order and view.slot.repeats)
        if possible:
            self.slots[v] = self.take(view)
        return possible

    def take(self, view: View) -> Slot:
        """Return the slot of a view, and note how it is made."""
        slot = view.slot
        assert slot is not None, f"{view.name} is not a view"
        self.made.setdefault(slot, view)
        return slot

    def inputs(self, v: Var) -> tuple[Slot, ...]:
        """Return the slots that the equation of `v` reads."""
        return tuple(self.slots[x] for x in self.program.equations[v].inputs)

    def _whole(self, v: Var, at: int) -> Slot:
        """Return the slot of a concatenation whose first part is computed at `at`."""
        if v not in self.slots:
            self.slots[v] = self.fresh(v, at)
            self.slots[v].buffer.last = NEVER  # one part may be read long before the next is there
        return self.slots[v]

    def _overwritten(self, v: Var, equation: Equation) -> Slot | None:
        """Return the slot of an operand that is not needed any more and has the result's type."""
        if not _may_overwrite(equation.primitive):
            return None
        for slot in self.inputs(v):
            buffer = slot.buffer
            whole = slot.is_contiguous and slot.size == math.prod(buffer.shape)
            fits = whole and (slot.shape, slot.dtype) == v.type
            if fits and buffer.last == self.position[v] and self._is_alone(v, slot):
                buffer.label = buffer.label or v.name
                self._use(buffer, v)
                return slot
        return None

    def _is_alone(self, v: Var, slot: Slot) -> bool:
        """Return whether the equation of `v` reads nothing else of the slot's buffer."""
        return all(x == slot or x.buffer is not slot.buffer for x in self.inputs(v))

    def fresh(self, v: Var, at: int) -> Slot:
        """Return a buffer that is free at the equation `at`, or a new one."""
        while self._in_use and self._in_use[0][0] < at:
            last, first, buffer = heapq.heappop(self._in_use)
            if buffer.last == last:  # it was not taken again
                heapq.heappush(self._free[buffer.shape, buffer.dtype], (first, buffer))
        if self._free[v.type]:
            _, buffer = heapq.heappop(self._free[v.type])
        else:
            buffer = Buffer(v, "temporary", at)
            self.made[buffer.slot] = None
        self._use(buffer, v)
        return buffer.slot

    def _use(self, buffer: Buffer, v: Var) -> None:
        """Keep a temporary buffer in use until the last use of `v`."""
        until = self._last.get(v, self.position.get(v, NEVER))
        if until != buffer.last:
            buffer.last = until
            if until < NEVER:
                heapq.heappush(self._in_use, (until, buffer.first, buffer))

    def _copies(self, donate: dict[Var, Var]) -> list[tuple[Slot, Slot]]:
        """Return what to copy at the end, and note the slots of the results.

        Old values that are still needed, for another input or as a result, are saved first.
        """
        slots, outputs = self.slots, self.program.outputs
        moves = {o: slots[i] for o, i in donate.items() if slots[o] != slots[i]}
        lost = {slot.buffer for slot in moves.values()}
        needed = dict.fromkeys((*moves, *outputs))
        saved = {v: self.fresh(v, NEVER) for v in needed if slots[v].buffer in lost}
        self.results = [moves.get(v) or saved.get(v) or slots[v] for v in outputs]
        copies = [(slot, slots[v]) for v, slot in saved.items()]
        return copies + [(slot, saved.get(v) or slots[v]) for v, slot in moves.items()]


def _may_overwrite(primitive: Any) -> bool:
    """Return whether a primitive gives the same numbers when it writes over an operand.

    NumPy's elementwise functions do, except for powers of single numbers.
    """
    return is_elementwise(primitive) and primitive is not REGISTRY["power"]


def _may_be_view(equation: Equation) -> bool:
    """Return whether an equation gives the same numbers in another shape or order."""
    return equation.primitive.name in VIEWS and len(equation.inputs) == 1
