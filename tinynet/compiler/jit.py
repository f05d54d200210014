"""`jit`: a function of tensors, recorded once for each type of arguments, and run as source.

Imports `executable.py`. Read next: `../training/step.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from operator import attrgetter
from typing import Any

import numpy as np

from .. import tree
from ..configs.lookup import name_of
from ..configs.watched import Fingerprint, Watched
from ..engine.bind import grad_mode, modes
from ..engine.tensor import Tensor, as_tensor, floatx, wrap
from ..engine.variable import Variable
from .executable import CACHE_SIZE, Cache, Executable, copies
from .passes import simplify
from .record import record


@dataclass
class Compiled:
    """A function, compiled for one type of arguments."""

    executable: Executable
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    tracked: bool  # does a gradient flow from the results to tensors that are not arguments?
    frozen: tuple[Variable, ...]  # the results would be tracked if one of these became trainable
    watched: list[object]  # objects whose attributes the function may have read
    attributes: Fingerprint  # as they were then

    def is_current(self) -> bool:
        """Return whether the attributes that the function may have read are the same as then."""
        if not self.attributes.is_current():
            now = Fingerprint(self.watched)
            if now.key != self.attributes.key:
                return False
            self.attributes = now
        return True


class Jit:
    """A function of tensors that runs compiled; made by `jit`.

    Attributes
    ----------
    compilations : int
        How often the function was compiled.
    """

    def __init__(self, function: Callable[..., Any], cache_size: int = CACHE_SIZE) -> None:
        self.function = function
        self._compiled: Cache[Compiled] = Cache(cache_size, Compiled.is_current)
        update_wrapper(self, function)

    @property
    def compilations(self) -> int:
        """How often the function was compiled: once for each type of arguments in the cache."""
        return self._compiled.made

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns, computed by its compiled form."""
        if not _flat(args):  # as is checked at once, since most calls have plain arguments
            args = tuple([tree.map_leaves(_leaf, x) for x in args])
        leaves = args if _flat(args) else tree.leaves(args)
        recording = modes.recorder is not None or modes.substitutes
        tensors = [x for x in leaves if type(x) is not np.ndarray]
        if recording or (modes.grad and any(x.tracked for x in tensors)):
            return self._inlined(args)
        arrays = [x if type(x) is np.ndarray else x.numpy() for x in leaves]
        compiled = self._compiled_for(args, arrays)
        if modes.grad and (compiled.tracked or any(v.trainable for v in compiled.frozen)):
            return self._inlined(args)
        results = map(wrap, compiled.run(arrays))
        return tree.pack_sequence_as(compiled.executable.program.form, results)

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
        args = tuple([tree.map_leaves(as_tensor, x) for x in args])
        return self._compiled_for(args, [t.data for t in tree.leaves(args)])

    def _inlined(self, args: Any) -> Any:
        """Call the function itself."""
        return self.function(*tree.map_leaves(as_tensor, args))

    def _compiled_for(self, args: Any, arrays: list[np.ndarray]) -> Compiled:
        """Return the function compiled for arguments with these leaves."""
        form = "" if _flat(args) else repr(tree.map_leaves(lambda _: 0, args))
        key = tuple(map(_type, arrays)), form, floatx()
        return self._compiled.get(key, lambda: self._compile(args))

    def _compile(self, args: Any) -> Compiled:
        results: list[Any] = []

        def traced(*args: Any) -> Any:
            result = tree.map_leaves(as_tensor, self.function(*args))
            if result is None:
                raise ValueError("jit: expected a function that returns tensors, received None.")
            results[:] = tree.leaves(result)
            return result

        with grad_mode(True):
            program = record(traced, tree.map_leaves(as_tensor, args), self._names())
        executable = Executable(simplify(program), name_of(self.function))
        tracked = any(t.tracked for t in results)
        frozen = tuple(v for v in program.captured.values() if not v.trainable)
        watched = [*program.watched, *_watched(self.function)]
        run = executable.runner(executable.fill, copies)
        return Compiled(executable, run, tracked, frozen, watched, Fingerprint(watched))

    def _names(self) -> list[str]:
        """Return the names of the positional parameters."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # some callables have no signature
            return []
        return [p.name for p in parameters if p.kind < p.VAR_POSITIONAL]


_LEAVES = {np.ndarray, Tensor}
_type = attrgetter("shape", "dtype")


def _flat(args: tuple[Any, ...]) -> bool:
    return {*map(type, args)} <= _LEAVES


def _leaf(x: Any) -> Any:
    """Return a leaf of the arguments as an array if it is one, otherwise as a tensor."""
    return x if type(x) is np.ndarray else as_tensor(x)


def _watched(function: Callable[..., Any]) -> list[Watched]:
    """Return the watched objects that a function refers to by name."""
    try:
        names = inspect.getclosurevars(inspect.unwrap(function))
    except TypeError:  # not a Python function
        return []
    found = {**names.globals, **names.nonlocals, "": getattr(function, "__self__", None)}
    return [x for x in found.values() if isinstance(x, Watched)]


def jit(function: Callable[..., Any], cache_size: int = CACHE_SIZE) -> Jit:
    """Return `function` compiled: recorded once for each type of arguments, then run as NumPy.

    Parameters
    ----------
    function : function of tensors (or trees of them: lists, tuples, dicts) that returns such
        It is run once to record what it does, so Python's own branches and loops are those of that
        run: a branch on a number raises and says what to use instead. Variables it reads are read
        at each call; other tensors from outside are constants, and so are the random numbers that
        it draws. Layers that it calls, and losses, regularizers and the like that it refers to by
        name, are watched: when one of their attributes is assigned, it is recorded again. Other
        Python values stay those of the recording, and what else it does (print, count, append) is
        done while it is recorded only.
        Numbers among the arguments become tensors of `floatx`.
    cache_size : int
        How many compiled forms to keep, one for each type of arguments. The least recently used
        one is let go first, with its memory.

    Returns
    -------
    Jit
        Called with the function's arguments by position; its results are new tensors, equal to the
        function's own.
        ``.source(*args)`` and ``.program(*args)`` show what runs, ``.compilations`` counts.

    Raises
    ------
    ValueError
        Unless `cache_size` is an integer of at least 1.

    Notes
    -----
    Another `floatx` counts as another type. Where the result has a gradient, as an argument or a
    variable requires one and `no_grad` is off, or where another function is being recorded, the
    function itself is called.

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
    return Jit(function, cache_size)
