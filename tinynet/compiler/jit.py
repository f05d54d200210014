"""`jit`: a function of tensors, recorded once for each type of arguments, and run as source.

Its derivative is compiled, too. The results of a call whose arguments or variables require a
gradient have an equation of the primitive `_call`. The rule of `_call` is itself a compiled
function: the recorded program, run once more, and the walk back along it. So derivatives of every
order are compiled, each when it is first used.

Imports `executable.py`. Read next: `../training/step.py`.
"""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial, reduce, update_wrapper
from operator import attrgetter, or_
from types import MethodType
from typing import Any

import numpy as np

from .. import tree
from ..configs.lookup import name_of
from ..configs.watched import Fingerprint, Watched
from ..engine.autodiff import vjp
from ..engine.bind import bind, grad_mode, modes
from ..engine.tensor import Equation, Operand, Primitive, Tensor, as_tensor, floatx, wrap
from .executable import CACHE_SIZE, Cache, Executable
from .passes import simplify
from .program import Program
from .record import record


class Hole:
    """What stands in a tree in the place of a tensor."""

    shape = ()  # so that lists of holes are trees, as lists of arrays are

    def __repr__(self) -> str:
        return "*"


HOLE = Hole()


@dataclass(frozen=True)
class Static:
    """An argument that stays what it is."""

    value: Any


class Compiled:
    """A function, compiled for one type of arguments.

    Attributes
    ----------
    form : tree, the function's result, with a hole in the place of each tensor
    outside : bool
        Whether it uses a tensor from outside that requires a gradient. The next call may find
        another tensor in its place, so the function itself is called where gradients flow.
    dependencies : list of int, one per result
        Bit i is set if gradients flow from the result to input i: arguments, then variables.
    trains : bool, whether gradients flow to tensors that are not arguments
    owner : function that says whether the object whose method it is has not changed
    """

    def __init__(
        self,
        program: Program,
        form: Any,
        name: str,
        watched: Iterable[Any],
        owner: Callable[[], bool] | None = None,
    ) -> None:
        self.program, self.form, self.owner = program, form, owner
        self.executable = Executable(simplify(program), name)
        self.run = self.executable.runner(self.executable.fill, _tensors)
        self.dependencies = _dependencies(program)
        self.outside = any(v.tracked for v in program.constants)
        reached = [bits >> len(program.inputs) for bits in self.dependencies]
        self.trains = self.outside or any(reached)
        self._watched = [*program.watched, *watched]
        self._attributes = self._fingerprint()

    def _fingerprint(self) -> Fingerprint:
        trainable = tuple([v.trainable for v in self.program.captured.values()])
        return Fingerprint([*self._watched, trainable])

    def is_current(self) -> bool:
        """Return whether the attributes that the function may have read are the same as then."""
        if not self._attributes.is_current():
            now = self._fingerprint()
            if now.key != self._attributes.key:
                return False
            self._attributes = now
        return self.owner is None or self.owner()

    def tracked(self, leaves: Sequence[Any], arrays: Sequence[np.ndarray]) -> list[Tensor]:
        """Return the results for these leaves of the arguments, with their equations."""
        inputs = (*map(as_tensor, leaves), *[v.value for v in self.program.captured.values()])
        bits = sum([1 << i for i, x in enumerate(inputs) if x.tracked])
        call = wrap(_NOTHING)
        call.tracked, call.equation = True, Equation(_call, inputs, {"compiled": self})
        results = self.run(arrays)
        for i, result in enumerate(results):
            if self.dependencies[i] & bits:
                result.tracked, result.equation = True, Equation(_result, (call,), {"index": i})
        return results

    @cached_property
    def pullback(self) -> Jit:
        """The compiled function from cotangents of results, by index, to those of inputs."""
        return Jit(_pullback(self.program, self.executable.source.name))


# -- derivatives ------------------------------------------------------------------------------


_NOTHING = np.empty(0)


class _Parts(dict[int, Tensor]):
    """The cotangents of some results of a call, by their indices."""

    data = _NOTHING

    def __add__(self, other: _Parts) -> _Parts:
        return _Parts(self | other)


def _call_joint(ct: _Parts, y: Tensor, wanted: Any, *inputs: Tensor, compiled: Compiled) -> Any:
    bits = reduce(or_, [compiled.dependencies[i] for i in ct])
    reached = tuple([i for i in wanted if bits >> i & 1])
    found = dict(zip(reached, compiled.pullback(dict(ct), inputs, reached), strict=True))
    return map(found.get, wanted)


def _result_joint(ct: Tensor, y: Tensor, wanted: Any, call: Tensor, index: int) -> list[_Parts]:
    return [_Parts({index: ct})]


# The results of a call are parts of one tensor of no elements, whose cotangent has all of theirs.
_call = Primitive("jit", copy, (), joint=_call_joint)
_result = Primitive("result", copy, (), joint=_result_joint)


def _evaluated(program: Program, inputs: Iterable[Tensor]) -> list[Tensor]:
    """Return the results of a program for its inputs and the values of its captured variables."""
    values = {v: wrap(array) for v, array in program.constants.items()}
    values |= zip((*program.inputs, *program.captured), inputs, strict=True)
    for v, (primitive, xs, params) in program.equations.items():
        with grad_mode(v.tracked):
            values[v] = bind(primitive, *[values[x] for x in xs], **params)
    return [values[v] for v in program.outputs]


def _pullback(program: Program, name: str) -> Callable[..., Any]:
    """Return the pullback of a program, in its inputs and captured variables."""

    def pullback(cts: dict[int, Tensor], inputs: Sequence[Tensor], wanted: tuple[int, ...]) -> Any:
        def used_results(*xs: Tensor) -> list[Tensor]:
            known = dict(enumerate(inputs)) | dict(zip(wanted, xs, strict=True))
            results = _evaluated(program, known.values())
            return [results[i] for i in cts]

        return vjp(used_results, *[inputs[i] for i in wanted])[1]([*cts.values()])

    pullback.__name__ = f"{name}_pullback"
    return pullback


def _dependencies(program: Program) -> list[int]:
    """Return for each output the inputs and variables to which gradients flow, as bits."""
    inputs = enumerate((*program.inputs, *program.captured))
    found = {v: 1 << i for i, v in inputs if v.tracked}
    for v, (primitive, xs, _) in program.equations.items():
        if v.tracked:
            bits = (found.get(x, 0) for i, x in enumerate(xs) if i in primitive.differentiable)
            found[v] = reduce(or_, bits)
    return [found.get(v, 0) for v in program.outputs]


# -- compiled functions -----------------------------------------------------------------------

MANY = 16  # compiled forms, when some of them are for different integers: users are warned
_ARRAYS = frozenset((np.ndarray, Tensor))
_SETTINGS = frozenset((bool, int, str, type(None)))
_type = attrgetter("shape", "dtype")


class Jit:
    """A function of tensors that runs compiled; made by `jit`.

    Attributes
    ----------
    compilations : int
        How often the function was compiled.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        cache_size: int = CACHE_SIZE,
        static_argnames: str | Iterable[str] = (),
    ) -> None:
        update_wrapper(self, function, updated=())
        self.function, self._name = function, name_of(function)
        named = isinstance(static_argnames, str)
        self._static: frozenset[Any] = frozenset([static_argnames] if named else static_argnames)
        self._names = _names(function, self._static)
        self._is_method = self._names[:1] in (["self"], ["cls"])
        self._compiled: Cache[Compiled] = Cache(cache_size, Compiled.is_current)

    @property
    def compilations(self) -> int:
        """How often the function was compiled: once for each type of arguments in the cache."""
        return self._compiled.made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the function returns, computed by its compiled form."""
        leaves, key, form = self._flat(args, kwargs)
        if modes.recorder is not None or modes.substitutes:
            return self._run(form, leaves)
        compiled = self._compiled.get(key, self._compile, leaves, form)
        arrays, tracked = [], compiled.trains
        for x in leaves:
            if type(x) is Tensor:
                tracked = tracked or x.tracked
                x = x.data if type(x.data) is np.ndarray else x.numpy()  # which explains
            arrays.append(x)
        if not (tracked and modes.grad):
            results = compiled.run(arrays)
        elif compiled.outside:
            return self._run(form, leaves)
        else:
            results = compiled.tracked(leaves, arrays)
        return results[0] if compiled.form is HOLE else _filled(compiled.form, iter(results))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return this function as a method of `instance`, as Python does with functions."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str:
        """Copy and pickle as Python does with functions: by name."""
        return self.function.__qualname__

    def program(self, *args: Any, **kwargs: Any) -> str:
        """Return the simplified program for arguments of these types, as text."""
        return str(self._for(*args, **kwargs).executable.program)

    def source(self, *args: Any, **kwargs: Any) -> str:
        """Return the NumPy source for arguments of these types."""
        return self._for(*args, **kwargs).executable.source.text

    def _for(self, *args: Any, **kwargs: Any) -> Compiled:
        leaves, key, form = self._flat(args, kwargs)
        return self._compiled.get(key, self._compile, leaves, form)

    def _flat(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the leaves of the arguments, the key of their types, and their form.

        The form is the number of positional arguments, and the name of the parameter with the
        argument for each, where holes stand for leaves. It is None if all arguments are arrays.
        """
        if not (kwargs or self._static) and _ARRAYS.issuperset(map(type, args)):
            return args, (tuple(map(_type, args)), floatx()), None
        leaves: list[Any] = []
        given = [*zip((*self._names, *[""] * len(args)), args, strict=False)]
        given += sorted(kwargs.items())
        found = [(name, *self._part(name, x, leaves)) for name, x in given]
        names, keys = [name for name, *_ in found], [key for *_, key in found]
        key = tuple(map(_type, leaves)), floatx(), tuple(keys), *names[len(args) :]
        return leaves, key, (len(args), [(name, part) for name, part, _ in found])

    def _part(self, name: str, x: Any, leaves: list[Any]) -> tuple[Any, Any]:
        """Return an argument with holes for its leaves, which are added to `leaves`, and a key."""
        if name in self._static:
            return Static(x), _exact(x, name)
        if type(x) in (list, tuple) and x and _ARRAYS.issuperset(map(type, x)):  # quicker
            leaves += x
            return type(x)([HOLE] * len(x)), (type(x), len(x))
        if self._is_method and name == self._names[0] and not tree.is_structure(x):
            return Static(x), id(x)

        def leaf(x: Any) -> Any:
            if type(x) in _SETTINGS or (type(x) is tuple and _SETTINGS.issuperset(map(type, x))):
                return x
            leaves.append(x if type(x) is np.ndarray else as_tensor(x))
            return HOLE

        try:
            part = tree.map_structure(leaf, x)
        except ValueError as error:
            advice = f"Declare what is no array: static_argnames={name!r}."
            raise ValueError(f"{self._name}: argument {name}: {error} {advice}") from None
        return part, repr(part)

    def _run(self, form: Any, leaves: Iterable[Any]) -> Any:
        """Call the function itself."""
        rest = map(as_tensor, leaves)
        if form is None:
            return self.function(*rest)
        count, parts = form
        values = [p.value if type(p) is Static else _filled(p, rest) for _, p in parts]
        names = [name for name, _ in parts[count:]]
        return self.function(*values[:count], **dict(zip(names, values[count:], strict=True)))

    def _compile(self, leaves: Sequence[Any], form: Any) -> Compiled:
        returned: list[Any] = []

        def traced(*leaves: Tensor) -> list[Any]:
            for x in leaves:  # so that the program says through what gradients flow
                x.tracked = x.dtype.kind == "f"
            result = self._run(form, leaves)
            returned[:] = [
                tree.map_structure(lambda x: HOLE if isinstance(x, Operand) else x, result)
            ]
            return [as_tensor(x) for x in tree.flatten(result) if isinstance(x, Operand)]

        _, parts = form or (0, [(name, HOLE) for name in self._names])
        names = [name for name, part in parts for x in tree.flatten(part) if x is HOLE]
        integers = [x for _, part in parts for x in tree.flatten(part) if type(x) is int]
        if integers and self.compilations == MANY:
            text = f"jit: {self._name} was compiled for {MANY} types of arguments. Each integer is "
            text += "one: pass a number that changes as a float, an array or a tensor."
            warnings.warn(text, stacklevel=4)
        with grad_mode(True):
            program = record(traced, [*map(as_tensor, leaves)], names)
        settings = [part.value for _, part in parts if type(part) is Static]
        watched = [x for x in (*settings, *_referred(self.function)) if isinstance(x, Watched)]
        plain = self._is_method and settings and not isinstance(settings[0], Watched)
        owner = _as_it_is(settings[0]) if plain else None
        return Compiled(program, returned[0], self._name, watched, owner)


def _tensors(outputs: Sequence[np.ndarray]) -> list[Tensor]:
    if len(outputs) == 1:  # quicker than a comprehension
        return [wrap(outputs[0].copy("K"))]
    return [wrap(array.copy("K")) for array in outputs]


def _names(function: Callable[..., Any], static: frozenset[str]) -> list[str]:
    """Return the names of the positional parameters; ValueError if static ones are not there."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some callables have no signature
        return []
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if not static.issubset(names) and all(p.kind != p.VAR_KEYWORD for p in parameters):
        wrong = ", ".join(sorted(static.difference(names)))
        raise ValueError(f"static_argnames: expected names among {names}, received {wrong}.")
    return [p.name for p in parameters if p.kind < p.VAR_POSITIONAL]


def _exact(value: Any, name: str) -> Any:
    """Return a key that is equal for equal static values of the same type only."""
    if type(value) is tuple:
        return (tuple, *[_exact(x, name) for x in value])
    try:
        if not isinstance(value, Operand):  # whose == compares elements
            hash(value)
            return type(value), repr(value) if type(value) is float else value
    except TypeError:
        pass
    kind = type(value).__name__
    raise TypeError(f"static_argnames: expected a hashable value of {name}, received {kind}.")


def _filled(part: Any, leaves: Iterator[Any]) -> Any:
    """Return a tree with leaves in its holes; arrays and lists in it are copied."""

    def fill(x: Any) -> Any:
        return next(leaves) if x is HOLE else copy(x) if type(x) in (np.ndarray, list) else x

    return tree.map_structure(fill, part)


def _as_it_is(thing: Any) -> Callable[[], bool]:
    """Return a function that says whether an object lives and has the attributes it has now."""
    try:
        ref: Callable[[], Any] = weakref.ref(thing)
    except TypeError:  # as objects with slots may raise
        ref = partial(getattr, Static(thing), "value")
    before = dict(getattr(thing, "__dict__", {}))

    def is_as_it_was() -> bool:
        found = ref()
        now = getattr(found, "__dict__", {})
        same = [before.get(name, HOLE) is value for name, value in now.items()]
        return found is not None and len(before) == len(now) and all(same)

    return is_as_it_was


def _referred(function: Any) -> list[Any]:
    """Return the objects that a function refers to by name, and those that it is made of."""
    if isinstance(function, partial):
        parts = function.func, *function.args, *function.keywords.values()
        return [x for part in parts for x in (part, *_referred(part))]
    found = [function, getattr(function, "__self__", None)]
    try:
        names = inspect.getclosurevars(inspect.unwrap(function))
    except TypeError:  # not a Python function
        return found
    return [*found, *names.globals.values(), *names.nonlocals.values()]


def jit(
    function: Callable[..., Any] | None = None,
    cache_size: int = CACHE_SIZE,
    static_argnames: str | Iterable[str] = (),
) -> Any:
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
    if function is None:
        return partial(jit, cache_size=cache_size, static_argnames=static_argnames)
    return Jit(function, cache_size, static_argnames)
