"""`jit`: a function of tensors, recorded once for each type of arguments, and run as source.

Imports `arguments.py`, `derivative.py` and `executable.py`. Read next: `../training/step.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache, partial, update_wrapper
from itertools import repeat
from types import MethodType
from typing import Any, Generic, overload

import numpy as np

from .. import tree
from ..configs.watched import Fingerprint, Watched
from ..engine.bind import grad_mode, modes
from ..engine.expect import expect
from ..engine.tensor import Operand, Tensor, as_tensor, wrap
from ..engine.vmap import P, R
from ..public import notebook_form
from .arguments import Hole, Parameters, Static, filled
from .derivative import attach, dependencies, pullback_of
from .executable import CACHE_SIZE, Cache, Executable, Native
from .passes import simplify
from .program import Program
from .record import record


class Compiled:
    """A function, compiled for one type of arguments.

    Attributes
    ----------
    program : Program, as it was recorded
    form : tree, the function's result, with holes for tensors
    outside : bool
        Whether it uses a tensor from outside that requires a gradient. Where gradients flow, the
        function itself is then called, as compiled code has no inputs for such tensors.
    dependencies : list of int, from `derivative.dependencies`
    trains : bool, whether gradients flow to tensors that are not arguments
    attributes : Fingerprint of all that the function may have read from outside
    pullback : function of `used` and `wanted`
        Returns the compiled `pullback_of` them.
    """

    def __init__(
        self, of: Jit[Any, Any], program: Program, form: Any, static: list[Any], skipped: Any
    ) -> None:
        self.program, self.form, native = program, form, of._native
        self.executable = new = Executable(simplify(program), of._parameters.of)
        new.choose(native)
        # Each call takes an item; when none is left, C has become worth compiling.
        self.left = iter(range(new.runs_for_c)) if native == "auto" else repeat(0)
        self.run = new.runner(new.fill, _one_kept if len(program.outputs) == 1 else _kept)
        self.pullback = lru_cache(CACHE_SIZE)(
            lambda *key: Jit(pullback_of(program, *key), CACHE_SIZE, (), native)
        )
        self.dependencies = dependencies(program)
        self.outside = any(v.tracked for v in program.constants)
        self.trains = self.outside or any(b >> len(program.inputs) for b in self.dependencies)
        self._watched, self._skipped = [of.function, *static], skipped
        self.attributes = self._fingerprint()

    def _fingerprint(self) -> Fingerprint:
        variables = self.program.captured.values()
        things = [*self._watched, *[v.trainable for v in variables]]
        return Fingerprint(things, self._skipped)

    def is_current(self) -> bool:
        """Return whether all that the function may have read from outside is unchanged."""
        if not self.attributes.is_current():
            now = self._fingerprint()
            if now != self.attributes:
                return False
            self.attributes = now
        return True


class Jit(Generic[P, R]):
    """A function of tensors that runs compiled; made by `jit`.

    Attributes
    ----------
    compilations : int
        How often the function was compiled so far.
    """

    def __init__(self, function: Callable[P, R], size: int, static: Any, native: Native) -> None:
        expect(native in (True, False, "auto"), "native", "True, False or 'auto'", native)
        update_wrapper(self, function, updated=())
        self.function, self._native = function, native
        self._parameters = Parameters(function, static)
        self._flat = self._parameters.flat
        self._compiled: Cache[Compiled] = Cache(size, Compiled.is_current)

    @property
    def compilations(self) -> int:
        """How often the function was compiled so far, also for types that were dropped since."""
        return self._compiled.made

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the function's result, computed by its compiled form."""
        leaves, key = self._flat(args, kwargs)
        if modes.recorder is not None or modes.substitutes:
            return self._run(*self._parameters.form(args, kwargs))
        last, compiled = self._compiled.last
        if last != key or not compiled.attributes.is_current():  # else `_get` finds it, but slower
            compiled = self._get(key, args, kwargs)
        arrays, tracked = [], compiled.trains
        for x in leaves:
            if type(x) is Tensor:
                tracked = tracked or x.tracked
                x = x.data if type(x.data) is np.ndarray else x.numpy()  # raises a TypeError
            arrays.append(x)
        tracked = tracked and modes.grad
        if tracked and compiled.outside:
            return self._run(*self._parameters.form(args, kwargs))
        if next(compiled.left, None) is None:
            compiled.left = repeat(0)
            compiled.executable.choose("auto", math.inf)
        results = compiled.run(arrays)
        if tracked:
            attach(results, compiled, leaves)
        form = compiled.form
        return results[0] if type(form) is Hole else filled(form, iter(results))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return this function as a method of `instance`, as Python's functions do."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        """Copy and pickle by name, as Python does with functions."""
        return getattr(self.function, "__qualname__", self._parameters.of)

    def __repr__(self) -> str:
        how = "C" if self.native else "NumPy"
        return f"<compiled function {self._parameters.of}: {how}, {self.compilations} compilations>"

    _repr_html_ = notebook_form

    @property
    def sources(self) -> list[str]:
        """The NumPy sources of all compiled forms in the cache."""
        return [form.executable.source.text for form in self._compiled]

    def program(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the simplified program for arguments of these types, as text."""
        return str(self._for(*args, **kwargs).executable.program)

    def source(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the NumPy source for arguments of these types."""
        return self._for(*args, **kwargs).executable.source.text

    def c_source(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the C source for arguments of these types, if it can be printed as C.

        Otherwise a NotImplementedError that names what C has no text for.
        """
        return self._for(*args, **kwargs).executable.c_source

    @property
    def native(self) -> bool:
        """Whether all compiled forms in the cache run as C; False if there is none."""
        runs_c = [form.executable.native for form in self._compiled]
        return bool(runs_c) and all(runs_c)

    def _for(self, *args: Any, **kwargs: Any) -> Compiled:
        return self._get(self._flat(args, kwargs)[1], args, kwargs)

    def _get(self, key: Any, args: Any, kwargs: Any) -> Compiled:
        made = self._compiled.made
        compiled = self._compiled.get(key, self._compile, args, kwargs)
        if self._compiled.made > made:  # a method that was recorded may have changed `self`
            self._compiled.get(self._flat(args, kwargs)[1], lambda: compiled)
        return compiled

    def _run(self, leaves: Iterable[Any], form: Any, _: Any = None) -> Any:
        """Call the function itself."""
        args, kwargs = filled(form, map(as_tensor, leaves))
        return self.function(*args.values(), **kwargs)

    def _compile(self, args: Any, kwargs: Any) -> Compiled:
        """Record the function for these arguments; return its compiled form."""
        leaves, form, seen = self._parameters.form(args, kwargs)
        result, hole = None, Hole()

        def traced(*leaves: Tensor) -> list[Any]:
            nonlocal result
            for x in leaves:  # so that the program shows where gradients can flow
                x.tracked = x.dtype.kind == "f"
            found = self._run(leaves, form)
            result = tree.map_structure(lambda x: hole if isinstance(x, Operand) else x, found)
            return [x for x in tree.flatten(found) if isinstance(x, Operand)]

        parts = tree.flatten(form)
        names = [x.name for x in parts if type(x) is Hole]
        before = Fingerprint([self.function])
        with grad_mode(True):
            program = record(traced, [*map(as_tensor, leaves)], names)
        unchanged = before.is_current()  # by the function itself
        assigned = {} if unchanged else before.differences(Fingerprint([self.function]))
        static = [x.value for x in parts if type(x) is Static and isinstance(x.value, Watched)]
        return Compiled(self, program, result, [*static, seen], assigned)


def _kept(outputs: Any) -> list[Tensor]:
    """Return copies of outputs, tensors: the next run writes to the same arrays."""
    return [wrap(y.copy("K")) for y in outputs]


def _one_kept(outputs: Any) -> list[Tensor]:
    return [wrap(outputs[0].copy("K"))]


@overload
def jit(function: Callable[P, R], /, *args: Any, **options: Any) -> Jit[P, R]: ...
@overload
def jit(
    function: None = None, /, *args: Any, **options: Any
) -> Callable[[Callable[P, R]], Jit[P, R]]: ...
def jit(
    function: Any = None,
    cache_size: int = CACHE_SIZE,
    static_argnames: Any = (),
    native: Native = "auto",
) -> Any:
    """Return `function` compiled: recorded once per type of arguments, then run as NumPy or C.

    Without `function`, return a decorator. A method can be compiled, too.

    Parameters
    ----------
    function : function of tensors (or trees of them: lists, tuples, dicts) that returns such
        It is run once to record what it does, so Python's own branches and loops are those of that
        run: a branch on a tensor's number raises an error that says what to use instead. Variables
        it reads are read at each call; the random numbers that it draws are constants. It is
        recorded again when something changes that it refers to: an attribute of a layer that it
        calls or of the object whose method it is, a global variable, a variable of an enclosing
        function, an item of a list (`configs/watched.py` says what is not seen). Side effects
        (print, count, append) happen only while it is recorded.
    cache_size : int
        How many compiled forms to keep, one for each type of arguments. The least recently used
        one is dropped first, with its memory.
    static_argnames : str or several, optional
        Names of parameters whose arguments are not data but passed on as they are, such as a
        function, a float that decides a branch, or a tuple of lengths. The function is compiled
        for each of their values; objects other than numbers, strings and containers are equal only
        if they are the same object.
    native : True, False or "auto"
        True runs the function, and its derivatives, as C, which the C compiler of this machine
        compiles (`$CC`, cc, gcc or clang) and keeps in `$TINYNET_CACHE_DIR`, by default a folder in
        the user's folder for caches. Results can differ in the last bits, and NumPy's warnings of
        overflow and the like are not given. False runs NumPy. "auto" begins with NumPy and, where C
        is possible, switches to C once that would have saved the time of its compiler: for at most
        400 equations, after 2 ** 18 / (equations + elements of their results / 2000) calls since it
        was last recorded.

    Returns
    -------
    Jit
        Called with the function's arguments. ``.source(*args)``, ``.c_source(*args)`` and
        ``.program(*args)`` show what runs, ``.native`` says whether it is C, ``.compilations``
        counts.

    Raises
    ------
    ValueError
        Unless `cache_size` is an integer of at least 1 and `static_argnames` are parameters. When
        called, for an argument that is neither data nor static.
    NotImplementedError
        When called with ``native=True``, where there is no C compiler, or C has no text for a
        primitive or a dtype.

    Notes
    -----
    Arrays, floats, NumPy scalars and lists of numbers among the arguments become tensors. Integers,
    bools, strings, None, and tuples of these are passed on as they are, and the function is
    compiled for each of their values: pass a number that changes at each call as a float or an
    array. Another `floatx` counts as another type.

    Results are new tensors in the structure that the function returns; on NumPy they equal the
    function's own to the last bit, except that the sign of a zero may differ. Results that are not
    tensors (None, numbers, strings) are those of the recorded call.

    Derivatives are compiled, too: when arguments or variables require a gradient, it flows through
    the results, and the pullback is recorded from the program when it is first used. In two cases
    the function itself runs instead: inside a function that is being recorded, and where a gradient
    flows to a tensor from outside. Pass such a tensor as an argument, or use a `Variable`.

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
    >>> tn.grad(lambda x: f(x).sum())([0.0, 1.0])
    tensor([2.        , 0.14130163], dtype=float32)
    >>> @tn.jit(static_argnames="activation")
    ... def power(x, n, *, activation):
    ...     return activation(x) ** n
    >>> power([1.0, 2.0], 3, activation=abs)
    tensor([1., 8.], dtype=float32)
    """
    if function is None:
        return partial(jit, cache_size=cache_size, static_argnames=static_argnames, native=native)
    return Jit(function, cache_size, static_argnames, native)
