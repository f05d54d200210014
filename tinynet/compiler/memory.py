"""Memory plans: which elements of which buffer hold each variable of a program.

A plan is made of integers: it allocates no array. Buffers are reused after their last use, an
elementwise result overwrites an operand that is not needed any more, a view costs nothing, parts of
a concatenation are computed in place, and outputs can overwrite inputs (donation), so that state is
updated in place.

Imports the engine and `program.py`. Read next: `kernels.py`.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..engine import bind
from ..engine.primitives.shapes import Slice
from .program import Program, Type, Var, is_elementwise

NEVER = 1 << 60  # the position of a last use that never comes
VIEWS = {*bind.VIEWS, "broadcast_to"}
IN_ORDER = ("matmul", "power")  # repeating an operand by strides of 0 changes their last bits

_BYTE = np.empty(1, "uint8")


@dataclass(eq=False, repr=False)
class Buffer:
    """A block of memory that holds arrays of one shape and dtype, one after another.

    Attributes
    ----------
    shape : tuple of int; (block,) if only a loop in blocks uses it
    dtype : dtype
    label : str, a name for readers of the source; empty if none is known
    value : array or None, the number, if it is a constant that the source holds as a literal
    first, last : int, the positions of the first and the last equation that use it
        -1 and `NEVER` if it is given to the program.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    label: str = ""
    value: np.ndarray | None = None
    first: int = -1
    last: int = NEVER

    @property
    def slot(self) -> Slot:
        """The whole buffer."""
        return Slot(self, 0, self.shape, row_major(self.shape))


class Slot(NamedTuple):
    """Elements of a buffer as an array; offset and strides count elements.

    The stride of an axis of length 1 is 0, as are all strides of an empty array. So slots are equal
    if they have the same elements in the same order.
    """

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

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


@lru_cache(1000)
def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a new array."""
    return _normal(shape, [math.prod(shape[i:]) for i in range(1, len(shape) + 1)])


def _normal(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """Return strides with 0 for the axes that need none."""
    filled = 0 not in shape
    return tuple([s if n > 1 and filled else 0 for n, s in zip(shape, strides, strict=True)])


def view_of(slot: Slot, name: str, **params: Any) -> Slot | None:
    """Return the slot of the result of a primitive of `VIEWS`; None where NumPy would copy.

    NumPy itself takes the view, of an array with one byte per element that is never read.
    """
    if name == "reshape":  # possible if reshaping it back gives the same strides
        shape = params["newshape"]
        found = Slot(slot.buffer, slot.offset, shape, _normal(shape, _steps(slot, shape)))
        return found if _steps(found, slot.shape) == slot.strides else None
    if name == "getitem" and ... not in params["index"]:
        params = {"index": (*params["index"], ...)}  # a view of an element, not the element
    array = as_strided(_BYTE, slot.shape, slot.strides)
    view_by = np.broadcast_to if name == "broadcast_to" else bind.PRIMITIVES[name].impl
    view = view_by(array, **params)
    offset = slot.offset + view.ctypes.data - array.ctypes.data
    return Slot(slot.buffer, offset, view.shape, _normal(view.shape, view.strides))


def _steps(slot: Slot, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return for each axis of another shape the step in the buffer from one row to the next."""
    axes = [*zip(row_major(slot.shape), slot.shape, slot.strides, strict=True)]
    rows = row_major(shape)
    return tuple([sum([k // step % n * s for step, n, s in axes if step]) for k in rows])


class View(NamedTuple):
    """How a slot is taken from another one: by a primitive of `VIEWS`."""

    base: Slot
    name: str
    params: dict[str, Any]
    label: str  # a name for readers of the source; empty if none is known


# -- plans ----------------------------------------------------------------------------------------


class Plan:
    """The slots of a program's variables.

    Attributes
    ----------
    slots : dict from Var to Slot
    made : dict from Slot to View or None
        Whole buffers (None) and views of other slots, in the order in which they can be made.
    views : set of Var, those that have the numbers of another one in another shape or order
    arguments : list of Var, inputs, captured and constants except literals: their arrays are given
    computed : list of Var, those whose equation must run: all but views that need no copy
    position : dict from Var to int, that of its equation
    results : list of Slot, those of the outputs
    copies : list of pairs of Slot, what to copy at the end, as (to, from)
        Outputs to the inputs that they are to overwrite, where they could not be computed there.
    """

    def __init__(self, program: Program, donate: Mapping[Var, Var] = {}) -> None:
        self.program = program
        self.slots: dict[Var, Slot] = {}
        self.made: dict[Slot, View | None] = {}
        self.computed: list[Var] = []
        self.position = {v: i for i, v in enumerate(program.equations)}
        self._donate = donate
        equations = program.equations.items()
        self.views = {v for v, (f, xs, _) in equations if f.name in VIEWS and len(xs) == 1}
        self._last = self._last_uses()
        self._ends: dict[int, list[Buffer]] = defaultdict(list)  # by last uses, outdated ones too
        self._free: dict[Type, list[Buffer]] = defaultdict(list)
        self._in_order = {x for _, (f, xs, _) in equations if f.name in IN_ORDER for x in xs}
        self._parts = self._parts_of_concatenations()
        for v in (*program.inputs, *program.captured, *program.constants):
            constant = program.constants.get(v)
            label = v.name or ("x" if constant is None else "c")
            value = constant if is_literal(constant) else None
            self.slots[v] = Buffer(*v.type, label, value).slot
        self.made |= dict.fromkeys(self.slots.values())
        self.arguments = [v for v, slot in self.slots.items() if slot.buffer.value is None]
        for at, v in enumerate(program.equations):
            self.slots[v] = self._viewed(v) or self._computed(v)
            for buffer in self._ends.pop(at, ()):
                if buffer.last == at:  # it was not taken again
                    self._free[buffer.shape, buffer.dtype].append(buffer)
        self.copies = self._copies()

    def inputs(self, v: Var) -> tuple[Slot, ...]:
        """Return the slots that the equation of `v` reads."""
        return tuple([self.slots[x] for x in self.program.equations[v].inputs])

    def view(self, base: Slot, name: str, label: str = "", **params: Any) -> Any:
        """Return a view of a slot, and note how it is made; None where NumPy would copy."""
        slot = view_of(base, name, **params)
        if slot is not None:
            self.made.setdefault(slot, View(base, name, params, label))
        return slot

    # -- what is known before any slot is chosen ----------------------------------------------

    def _last_uses(self) -> dict[Var, int]:
        """Return the position of the last equation that reads a variable or a view of it."""
        last = dict.fromkeys((*self.program.outputs, *self._donate), NEVER)
        for v, equation in reversed(self.program.equations.items()):
            at = self.position[v]
            until = max(at, last.get(v, at)) if v in self.views else at
            for x in equation.inputs:
                last[x] = max(last.get(x, at), until)
        return last

    def _parts_of_concatenations(self) -> dict[Var, tuple[Var, int]]:
        """Map each variable that a 1-D concatenation can hold to it and an offset in it."""
        found: dict[Var, tuple[Var, int]] = {}
        equations = self.program.equations
        for whole, (primitive, parts, _) in equations.items():
            starts = itertools.accumulate([x.size for x in parts], initial=0)
            is_flat = primitive.name == "concatenate" and len(whole.shape) == 1
            for x, start in zip(parts, starts, strict=False) if is_flat else ():
                while x in equations and equations[x].primitive.name == "reshape":
                    (x,) = equations[x].inputs
                free = x in equations and x not in found and x not in self._donate
                if free and x.dtype == whole.dtype and x not in self.views:
                    found[x] = whole, start
        return found

    # -- the choice of slots, best first --------------------------------------------------------

    def _viewed(self, v: Var) -> Slot | None:
        """Return the view of its input that can hold `v`, if there is one."""
        if v not in self.views:
            return None
        primitive, inputs, params = self.program.equations[v]
        slot = self.view(self.slots[inputs[0]], primitive.name, v.name, **params)
        return None if slot is None or (v in self._in_order and slot.repeats) else slot

    def _computed(self, v: Var) -> Slot:
        """Return the slot that the equation of `v` writes to."""
        self.computed.append(v)
        found = self._part(v) or self.slots.get(v)  # a concatenation has its slot already
        return found or self._overwritten(v) or self._fresh(v)

    def _part(self, v: Var) -> Slot | None:
        """Return the slot of `v` in a concatenation, if it is a part of one."""
        if v not in self._parts:
            return None
        whole, start = self._parts[v]
        if whole not in self.slots:
            self.slots[whole] = self._fresh(whole)
            self.slots[whole].buffer.last = NEVER  # parts are in use before the whole is
        index = (Slice(start, start + v.size, None),)
        flat = self.view(self.slots[whole], "getitem", v.name, index=index)
        return self.view(flat, "reshape", v.name, newshape=v.shape)

    def _overwritten(self, v: Var) -> Slot | None:
        """Return the slot that `v` can overwrite: of the input it is donated to, or an operand.

        NumPy's elementwise functions give the same numbers in place, but for powers of one number.
        The equation may read nothing else of that buffer, and nothing later may read its old value.
        """
        primitive, operands, _ = self.program.equations[v]
        if not is_elementwise(primitive) or primitive.name == "power":
            return None
        slots = self.inputs(v)
        given = [self._donate[v]] if v in self._donate else []
        for x in (*given, *operands):
            slot, buffer = self.slots[x], self.slots[x].buffer
            until = self._last.get(x, -1) if x in given else buffer.last
            whole = slot.is_contiguous and slot.size == math.prod(buffer.shape)
            alone = all(y == slot or y.buffer is not buffer for y in slots)
            if x.type == v.type and until <= self.position[v] and whole and alone:
                buffer.label = buffer.label or v.name
                self._use(buffer, v)
                return slot
        return None

    def _fresh(self, v: Var) -> Slot:
        """Return the slot of a free buffer, or of a new one."""
        free, first = self._free[v.type], self.position.get(v, NEVER)
        buffer = free.pop() if free else Buffer(*v.type, v.name, first=first, last=-1)
        self._use(buffer, v)
        self.made.setdefault(buffer.slot, None)
        return buffer.slot

    def _use(self, buffer: Buffer, v: Var) -> None:
        """Keep a buffer in use until the last use of `v`."""
        until = self._last.get(v, self.position.get(v, NEVER))
        if until > buffer.last:
            buffer.last = until
            self._ends[until].append(buffer)

    def _copies(self) -> list[tuple[Slot, Slot]]:
        """Return what to copy at the end, and note the slots of the results.

        Old values that are still needed, for another input or as a result, are saved first.
        """
        slots, outputs = self.slots, self.program.outputs
        moves = {o: slots[i] for o, i in self._donate.items() if slots[o] != slots[i]}
        lost = {slot.buffer for slot in moves.values()}
        needed = dict.fromkeys((*moves, *outputs))
        saved = {v: self._fresh(v) for v in needed if slots[v].buffer in lost}
        self.results = [moves.get(v) or saved.get(v) or slots[v] for v in outputs]
        copies = [(slot, slots[v]) for v, slot in saved.items()]
        return copies + [(slot, saved.get(v) or slots[v]) for v, slot in moves.items()]


def is_literal(constant: np.ndarray | None) -> bool:
    """Return whether a constant is a finite number, which the source can hold as a literal."""
    return constant is not None and not constant.ndim and bool(np.isfinite(constant))
