"""Native programs: C source, compiled and bound to arrays.

Imports `c_printer.py`, `toolchain.py`. Read next: `executable.py`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from .c_printer import CPrinter
from .c_text import parts
from .kernels import Single
from .memory import Buffer, Plan, Slot
from .numpy_printer import XP
from .program import Program, Var
from .toolchain import blas, compiler, load, threads


class _Nameless(CPrinter):
    """Prints the same text for programs that differ in names alone, so that it is compiled once."""

    plain = staticmethod(lambda label: "t")


class CSource:
    """The C source of a program; once it is compiled, `bind` makes it run on arrays.

    Attributes
    ----------
    arguments : tuple of Var, the inputs, captured variables and constants, as `bind` takes them
    """

    def __init__(self, program: Program, name: str = "run", donate: Mapping[Var, Var] = {}) -> None:
        self._plan, self._name = Plan(program, donate), name
        self._printer = _Nameless(self._plan, "program")
        self.arguments = tuple(self._plan.arguments)
        self._library: Any = None
        self._keeps: Any = None  # arrays and functions, while C holds pointers to them

    @cached_property
    def text(self) -> str:
        """The source for readers, with the names of layers and weights."""
        return CPrinter(self._plan, self._name).text

    def compiled(self) -> CSource | None:
        """Compile the text; return this source, or None (after a warning) if the compiler fails.

        NotImplementedError if there is no compiler.
        """
        if compiler() is None:
            raise NotImplementedError("No C compiler was found. Install gcc or clang, or set $CC.")
        self._library = load(self._printer.text)
        return self if self._library else None

    def bind(self, arrays: list[np.ndarray]) -> Any:
        """Return the function that runs on `arrays`, one per argument, and the outputs' arrays.

        None if C cannot use these arrays: one is not contiguous, or one that is written overlaps
        another one.
        """
        plan, memory = self._plan, dict[Buffer, np.ndarray]()
        for v, array in zip(self.arguments, arrays, strict=True):
            constant = v in plan.program.constants
            memory[plan.slots[v].buffer] = np.ascontiguousarray(array) if constant else array
        written = [array for b, array in memory.items() if b in self._printer.written]
        shared = (sum(np.may_share_memory(x, y) for y in arrays) > 1 for x in written)
        usable = all(a.flags.c_contiguous and a.flags.aligned for a in memory.values())
        if not usable or any(shared):
            return None
        for buffer in (*self._printer.buffers, *[slot.buffer for slot in plan.results]):
            if buffer.value is not None:
                memory[buffer] = np.array(buffer.value)
            elif buffer not in memory:
                memory[buffer] = XP.empty(buffer.shape, buffer.dtype.name)
        pointers = [memory[buffer].ctypes.data for buffer in self._printer.buffers]
        calls = {key: _call_of(k, memory) for key, k in self._printer.hosts.items()}
        for key in self._printer.outside:
            host = calls.get(key) and ctypes.cast(calls[key], ctypes.c_void_p).value
            pointers.append(host or (_pool() if key == "pool" else blas(key)[1]))
        table = ctypes.byref((ctypes.c_void_p * (len(pointers) or 1))(*pointers))
        run = self._library[self._printer.name]
        run.restype, self._keeps = None, (memory, calls)
        return partial(run, table), tuple(_array(x, memory[x.buffer]) for x in plan.results)

    def take_steps(
        self, go: Any, steps: int, before: Any, after: Any, loss: Any, most: float
    ) -> int:
        """Run `go`, which `bind` returned, up to `steps` times in one call; return the number.

        Each step makes the copies `before` and `after` its run: see `_move`. It stops after a step
        whose `loss`, the array of an output, is NaN or above `most`.
        """
        if (library := _library()) is None:
            return 0
        table = np.array([_move(*each) for each in (*before, *after)], "int64")
        at, size = (None, 0) if loss is None else (loss.ctypes.data, loss.itemsize)
        given = steps, table.ctypes.data, len(before), len(table), at, size, most
        return library.take_steps(go.func, *go.args, *given)


def _move(to: np.ndarray, source: np.ndarray, rows: np.ndarray | None) -> list[int]:
    """Return the entry for C of a copy from `source` to `to`, of one dtype, that each step makes.

    The larger array is C-contiguous and has a part for each step; the other one is copied as a
    whole. With `rows`, an int64 array, a step copies the items at its part of these positions in
    `source`.
    """
    places = [to.ctypes.data, source.ctypes.data, 0 if rows is None else rows.ctypes.data]
    if rows is not None:
        return [*places, len(to), source.strides[0], 0, 0]
    part = min(to.nbytes, source.nbytes)
    return [*places, 1, part, part * (part < to.nbytes), part * (part < source.nbytes)]


def orders(size: int, count: int, to: np.ndarray) -> np.ndarray:
    """Return `count` orders of `size` numbers, one after another, as by `np.random.permutation`.

    They are written to `to` if it has the right length. The random bits are NumPy's, and the
    algorithm of its legacy generator is frozen.
    """
    if (library := _library()) is None or size >> 32:
        return np.concatenate([np.random.permutation(size) for _ in range(count)])
    if len(to) != size * count:
        to = np.empty(size * count, "int64")
    bits = np.random.mtrand.get_bit_generator()
    draw, given = ctypes.cast(bits.ctypes.next_uint32, ctypes.c_void_p), bits.ctypes.state_address
    with bits.lock:
        library.orders(to.ctypes.data, size, count, draw, given)
    return to


@cache
def _library() -> Any:
    """Return the library that takes many steps and draws orders; None if it cannot be compiled."""
    if (library := load(parts()["steps"][1])) is None:
        return None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    library.orders.argtypes = [pointer, number, number, pointer, pointer]
    library.take_steps.argtypes = [pointer, pointer, number, pointer, number, number, pointer]
    library.take_steps.argtypes += [number, ctypes.c_double]
    library.take_steps.restype = number
    return library


@cache
def _pool() -> int:
    """Return the address of the function that runs parts of a loop on all cores; 0 if none."""
    if threads() == 1 or os.name != "posix" or (library := load(parts()["pool"][1])) is None:
        return 0
    library.set_up(threads())
    return ctypes.cast(library.pool, ctypes.c_void_p).value or 0


def _call_of(kernel: Single, memory: Mapping[Buffer, np.ndarray]) -> Any:
    """Return a function for C that runs a primitive's own function on its arrays."""
    out, *given = [_array(x, memory[x.buffer]) for x in kernel.slots]

    def call(*_: Any) -> None:
        try:
            out[...] = kernel.op.impl(*given, **kernel.params)
        except BaseException:  # an exception cannot pass through C, which must not go on
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(call)


def _array(slot: Slot, memory: np.ndarray) -> np.ndarray:
    """Return the elements of a slot as an array."""
    first, *strides = (step * memory.itemsize for step in (slot.offset, *slot.strides))
    return np.ndarray(slot.shape, memory.dtype, memory.reshape(-1), first, strides)
