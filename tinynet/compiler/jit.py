"""`jit`: a function of tensors, recorded once for each type of arguments, and run as source.

Imports `numpy_printer.py`. Read next: `../training/step.py`.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import partial, update_wrapper
from operator import is_not
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..configs import lookup as registry
from ..engine.tensor import as_tensor, floatx, grad_mode, state, wrap
from ..engine.variable import Memory, Variable, aligned
from .numpy_printer import Source
from .passes import simplify
from .program import Program, Var
from .record import record


class Executable:
    """A program with its source and its buffers, ready to run, one run at a time.

    Arrays that live elsewhere (captured variables, and the inputs named in `live`, each with a
    function that returns its array) are used where they live, so that changes to them are seen.

    Attributes
    ----------
    inputs : dict from Var to array, to be filled before a run
    """

    def __init__(
        self,
        program: Program,
        name: str,
        donate: dict[Var, Var] | None = None,
        live: dict[Var, Callable[[], np.ndarray]] | None = None,
    ) -> None:
        self.program = program
        self.source = Source(program, name, donate)
        self.lock = threading.Lock()
        self._live = dict(live or {})
        self._live |= {v: partial(getattr, w, "array") for v, w in program.captured.items()}
        self.inputs = {v: aligned(v.shape, v.dtype) for v in program.inputs if v not in self._live}
        self._living: list[np.ndarray] | None = None
        self._bound: tuple[Callable[[], None], tuple[Any, ...]]
        self._made = -1  # how many memories there had been when `_living` was looked up

    def ready(self) -> tuple[Callable[[], None], tuple[Any, ...]]:
        """Return the function that runs, and the arrays of the outputs."""
        if self._made == Memory.made:
            return self._bound
        made = Memory.made
        living = [read() for read in self._live.values()]
        self._made = made
        if self._living is None or any(map(is_not, living, self._living)):
            self._living = living
            arrays = {**self.inputs, **dict(zip(self._live, living, strict=True))}
            arrays |= self.program.constants
            self._bound = self.source.bind([arrays[v] for v in self.source.arguments])
        return self._bound

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs, copied, for arrays of the types of the inputs.

        Raises
        ------
        ValueError
            When an array has another shape or dtype than its input; nothing is broadcast or cast.
        """
        for v, array in zip(self.inputs, arrays, strict=True):
            if array.shape != v.shape or array.dtype != v.dtype:
                given = Var(array.shape, array.dtype).type_text
                raise ValueError(
                    f"{self.source.name}: expected {v.type_text} for {v.name or 'an input'}, "
                    f"received {given}."
                )
        with self.lock:
            for buffer, array in zip(self.inputs.values(), arrays, strict=True):
                np.copyto(buffer, array)
            run, outputs = self.ready()
            run()
            return [np.array(out) for out in outputs]


class Compiled(NamedTuple):
    """A function, compiled for one type of arguments."""

    executable: Executable
    tracked: bool  # does a gradient flow from them to tensors that are no arguments?
    frozen: tuple[Variable, ...]  # what they would be tracked by, too, if it became trainable


class Jit:
    """A function of tensors that runs compiled; made by `jit`.

    Attributes
    ----------
    compilations : int
        How many types of arguments it was compiled for.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._compiled: dict[str, Compiled] = {}
        self._lock = threading.Lock()
        update_wrapper(self, function)

    @property
    def compilations(self) -> int:
        """How many types of arguments the function was compiled for."""
        return len(self._compiled)

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns, computed by its compiled form."""
        args = tuple(tree.map_structure(as_tensor, x) for x in args)
        tensors = tree.flatten(args)
        inlined = state.recording is not None or state.values
        if inlined or (state.grad and any(t.tracked for t in tensors)):
            return self.function(*args)
        compiled = self._for(args)
        if state.grad and (compiled.tracked or any(v.trainable for v in compiled.frozen)):
            return self.function(*args)
        executable = compiled.executable
        results = map(wrap, executable(*(t.data for t in tensors)))
        return tree.pack_sequence_as(executable.program.form, results)

    def __reduce__(self) -> str:
        """Copy and pickle as Python does with functions: by name."""
        return self.function.__qualname__

    def program(self, *args: Any) -> str:
        """Return the simplified program for arguments of these types, as text."""
        return str(self._for(args).executable.program)

    def source(self, *args: Any) -> str:
        """Return the NumPy source for arguments of these types."""
        return self._for(args).executable.source.text

    def _for(self, args: Any) -> Compiled:
        args = tuple(tree.map_structure(as_tensor, x) for x in args)
        types = tree.map_structure(lambda t: f"{t.dtype}{t.shape}", args)
        with self._lock:
            key = f"{types} {floatx()}"
            if key not in self._compiled:
                self._compiled[key] = self._compile(args)
            return self._compiled[key]

    def _compile(self, args: Any) -> Compiled:
        tracked = False

        def traced(*args: Any) -> Any:
            nonlocal tracked
            result = tree.map_structure(as_tensor, self.function(*args))
            tracked = any(t.tracked for t in tree.leaves(result))
            return result

        with grad_mode(True):
            program = record(traced, args, self._names())
        executable = Executable(simplify(program), registry.name_of(self.function))
        frozen = tuple(v for v in program.captured.values() if not v.trainable)
        return Compiled(executable, tracked, frozen)

    def _names(self) -> list[str]:
        """Return the names of the positional parameters."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # some callables have no signature
            return []
        return [p.name for p in parameters if p.kind < p.VAR_POSITIONAL]


def jit(function: Callable[..., Any]) -> Jit:
    """Return `function` compiled: recorded once for each type of arguments, then run as NumPy.

    Parameters
    ----------
    function : function of tensors (or lists and dicts of them) that returns such
        It is run once to record what it does, so Python's own branches and loops are those of that
        run: a branch on a number raises and says what to use instead. Variables it reads are read
        at each call; other tensors from outside are constants, and so are the random numbers that
        it draws. What else it does (print, count, append) is done while it is recorded only.
        Numbers among the arguments become tensors of `floatx`.

    Returns
    -------
    Jit
        Called with the function's arguments by position; its results are new tensors, equal to the
        function's own.
        ``.source(*args)`` and ``.program(*args)`` show what runs, ``.compilations`` counts.
        Another `floatx` counts as another type. Where the result has a gradient, as an argument or
        a variable requires one and `no_grad` is off, or where another function is being recorded,
        the function itself is called.

    >>> import tinynet as tn
    >>> @tn.jit
    ... def f(x):
    ...     return tn.ops.tanh(x * 2.0) + 1.0
    >>> f([0.0, 1.0])
    tensor([1.       , 1.9640276], dtype=float32)
    >>> print(f.source([0.0, 1.0]))
    def make(xp, x):
        c2 = xp.array(2.0, "float32")
        c1 = xp.array(1.0, "float32")
        t1 = xp.empty((2,), "float32")
        add, multiply, tanh = xp.add, xp.multiply, xp.tanh
    <BLANKLINE>
        def f():
            multiply(x, c2, t1)
            tanh(t1, t1)
            add(t1, c1, t1)
    <BLANKLINE>
        return f, (t1,)
    <BLANKLINE>
    """
    return Jit(function)
