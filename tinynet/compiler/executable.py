"""Executables: a program with its source and buffers, and how it is run.

The one place that locks, fills inputs, runs and hands out outputs. `Cache` keeps the executables
that were used last.

Imports `numpy_printer.py`, and `native.py` when a program may run as C. Read next: `jit.py`.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import is_not
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from ..engine.variable import Memory, Variable, all_or_none, allocate, structure
from .numpy_printer import Source
from .program import NotInCError, Program, Var

CACHE_SIZE = 64
AUTO_WORK, AUTO_LENGTH = 1 << 18, 400  # see `Executable.choose`
Native = bool | Literal["auto"]
T = TypeVar("T")


class Executable:
    """A program with its source and its buffers, ready to run, one run at a time.

    Parameters
    ----------
    program : Program
    name : str, of the function in the source
    donate : dict from Var to Var, optional
        Outputs, each with the input whose array it replaces.
    live : dict from Var to Variable or Memory, optional
        Inputs whose arrays belong to other owners, each with its owner. These arrays and those of
        captured variables are used in place, so that changes to them are seen.

    Attributes
    ----------
    inputs : dict from Var to array, the buffers of all other inputs, to be filled before a run
    """

    def __init__(
        self,
        program: Program,
        name: str,
        donate: Mapping[Var, Var] = {},
        live: Mapping[Var, Variable | Memory] = {},
    ) -> None:
        self.program = program
        self.source = Source(program, name, donate)
        self._given = program, name, donate  # arguments of `CSource`
        self._c: Any = None  # the C source, if it is to run
        self._wants_c = False  # what `choose` decided last
        self._live = {**live, **program.captured}
        self.inputs = {v: allocate(v.shape, v.dtype) for v in program.inputs if v not in self._live}
        self._places = [*enumerate(self.inputs.values())]
        self._lock = threading.Lock()
        self._living: list[np.ndarray] | None = None
        self._bound: tuple[Callable[[], None], tuple[np.ndarray, ...]]
        self._seen: object = None  # the version of the structure that `_bound` is for
        self._is_native = False  # whether `_bound` runs C
        self._errors_raise = False  # whether `np.errstate` makes overflows and the like errors
        self._kept: list[list[Any]]  # owners to restore after an error; [1] if `_errors_raise`

    def choose(self, native: Native, runs: float = 0) -> None:
        """Decide whether the next runs use C or NumPy.

        Parameters
        ----------
        native : True, False or "auto"
            NotImplementedError for True, if C has no text for a part of the program, or if there is
            no C compiler. If the compiler fails, users are warned once, and NumPy runs.
        runs : float
            How often it will run. "auto" chooses C, where that is possible, for a program of at
            most 400 equations, if runs * (equations + elements of their results / 2000) is at least
            2 ** 18: then C saves about as much time as its compiler takes.
        """
        self._errors_raise = "raise" in np.geterr().values()
        wanted = runs >= self.runs_for_c if native == "auto" else native
        if wanted == self._wants_c:
            return
        try:
            c = self._printed.compiled() if wanted else None
        except NotImplementedError as error:
            self._wants_c = isinstance(error, NotInCError)  # a second try would fail, too
            if native == "auto":
                return
            raise
        with self._lock:
            self._c, self._wants_c = c, wanted
            self._seen = self._living = None  # to be bound again

    @cached_property
    def runs_for_c(self) -> int:
        """The number of runs in C that save as much time as its compiler takes; see `choose`."""
        equations = self.program.equations
        work = len(equations) + sum(v.size for v in equations) / 2000
        return sys.maxsize if len(equations) > AUTO_LENGTH else math.ceil(AUTO_WORK / (work or 1))

    @cached_property
    def _printed(self) -> Any:
        from .native import CSource  # here, since it needs time to load

        return CSource(*self._given)

    @property
    def c_source(self) -> str:
        """The C source; NotImplementedError if C has no text for a part of the program."""
        return self._printed.text

    @property
    def native(self) -> bool:
        """Whether the program runs as C: not if arrays overlap in a way that C cannot use."""
        return self._is_native if self._living else self._c is not None

    def runner(self, fill: Callable[[Any], Any], take: Callable[[Any], T]) -> Callable[[Any], T]:
        """Return a function ``run(data)`` that runs the program once.

        Under the lock it calls ``fill(data)``, which writes to `inputs`, runs, and returns
        ``take(outputs)``, which copies what is needed: the next run writes to the same arrays. A
        run that raises an error leaves the arrays of other owners as they were.
        """
        lock = self._lock

        def run(data: Any) -> T:
            with lock:
                if self._seen is not structure.version:
                    self._bind()
                go, outputs = self._bound
                fill(data)
                kept = self._kept[self._errors_raise]
                all_or_none(kept, go) if kept else go()
                return take(outputs)

        return run

    def take_steps(
        self, steps: int, given: Any, wanted: Mapping[int, Any], at: int = -1, most: Any = 0
    ) -> int:
        """Run many times in one call; return the number of runs, 0 if that is not possible.

        Parameters
        ----------
        steps : int
        given : list of (buffer, source, rows)
            What to copy to inputs before each run: see `native._move`.
        wanted : dict from int to array
            From the position of an output to an array for its values in all runs, in order.
        at, most : int, float
            Stop after a run whose output at position `at` is NaN or above `most`; never if -1.
        """
        with self._lock:
            if self._seen is not structure.version:
                self._bind()
            go, outputs = self._bound
            if not self._is_native or not all(outputs[i].flags.c_contiguous for i in wanted):
                return 0
            moves = [(to, outputs[i], None) for i, to in wanted.items()]
            loss = None if at < 0 else outputs[at]
            return self._c.take_steps(go, steps, given, moves, loss, most)

    def _bind(self) -> None:
        """Bind the source to the arrays, unless those of other owners are still the same."""
        version, living = structure.version, [owner.current() for owner in self._live.values()]
        if self._living is None or any(map(is_not, living, self._living)):
            self._living = None  # until all is bound: memory may be too small for the buffers
            arrays = {**self.inputs, **dict(zip(self._live, living, strict=True))}
            arrays |= self.program.constants
            given = [arrays[v] for v in self.source.arguments]
            bound = self._c and self._c.bind(given)
            self._is_native = bound is not None
            parts = ([], []) if bound else self.source.overwritten
            self._kept = [[self._live[v] for v in part if v in self._live] for part in parts]
            self._bound = bound or self.source.bind(given)
            self._living = living
        self._seen = version

    def fill(self, arrays: Sequence[np.ndarray]) -> None:
        """Copy arrays to the inputs' buffers."""
        for i, buffer in self._places:
            buffer[...] = arrays[i]


class Cache(Generic[T]):
    """A cache of values by key that drops the least recently used one when it exceeds `size`.

    Attributes
    ----------
    size : int, at least 1
    made : int, how many values were made so far, each counted once
    is_current : function of a value to a bool
        If it returns False, the value is made again.
    last : tuple, the key that was used last and its value
    """

    def __init__(self, size: int = CACHE_SIZE, is_current: Any = lambda value: True) -> None:
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"cache_size: expected an integer of at least 1, received {size!r}.")
        self.size, self.is_current = size, is_current
        self.made = 0
        self._values: dict[Hashable, T] = {}  # in the order of their last use
        self.last: tuple[Any, Any] = None, None
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[T]:
        return iter([*self._values.values()])

    def get(self, key: Hashable, make: Callable[..., T], *args: Any) -> T:
        """Return the value of `key`; a new one, ``make(*args)``, if there is none."""
        with self._lock:
            if (value := self._values.pop(key, None)) is None or not self.is_current(value):
                value = make(*args)
                self.made += value not in self._values.values()
            self._values[key] = value  # as the last one
            self.last = key, value
            if len(self._values) > self.size:
                del self._values[next(iter(self._values))]
            return value
