"""Objects whose attributes compiled steps may have read, and a fingerprint of these attributes.

A step is recorded once, with the numbers and functions that it reads from layers, losses, metrics,
regularizers and the optimizer. `Fingerprint` is part of its key, so a changed attribute leads to
another step, and a restored one to the first. Assigning an attribute of a `Watched` object changes
`structure.version`; only then is a fingerprint computed again, or when something that users wrote
themselves has changed: a list, an array, an object, a global variable that their function reads.

Imports the engine. Read next: `configurable.py`.
"""

from __future__ import annotations

import dis
import sys
from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cache, lru_cache, partial
from itertools import chain
from operator import attrgetter, is_
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from ..engine.dtypes import settings
from ..engine.variable import structure

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype)
_CONTAINERS = (tuple, list, dict, set, frozenset, deque)
MOST = 1 << 10  # items of a list or an array that are compared one by one, at each call
Read = Callable[[], Sequence[Any]]  # a tuple if it is always the same


class Watched:
    """Base of objects whose attributes compiled steps may read: an assignment is noticed.

    `_unwatched` names the attributes that no step reads.
    """

    _unwatched: frozenset[str] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name not in self._unwatched:
            structure.change()


@contextmanager
def all_or_nothing(*objects: Any) -> Iterator[None]:
    """Give objects back the attributes that they had, if an exception ends the block: Ctrl-C too.

    Lists, sets and dicts among the attributes are restored, what they contain is not.
    """
    before = [
        {k: copy(v) if isinstance(v, _CONTAINERS) else v for k, v in vars(obj).items()}
        for obj in objects
    ]
    try:
        yield
    except BaseException:
        for obj, attributes in zip(objects, before, strict=True):
            object.__setattr__(obj, "__dict__", attributes)
        structure.change()
        raise


class Fingerprint:
    """What compiled steps may have read from objects at one moment, to be compared.

    It covers the attributes of `Watched` objects and of objects of users' classes, these classes,
    and what users' functions read: global variables, variables of enclosing functions, defaults.
    Numbers, strings, arrays and the contents of lists, tuples, sets and dicts are compared by
    value, other objects by identity. Not seen: items of lists and arrays of more than 1,024 items,
    attributes in `__slots__`, and what objects and functions of installed packages read.

    Equal fingerprints are equal keys of a dict.

    Parameters
    ----------
    things : iterable
        Objects, functions and values to compare, with all that they refer to.
    skipped : set of tuple (id of an object, name), optional
        Attributes that do not count.

    Attributes
    ----------
    values : dict from (id of an object, name) to a hashable stand-in for the attribute's value

    >>> from tinynet.layers import Activation
    >>> layer = Activation("relu")
    >>> before = Fingerprint([layer])
    >>> layer.activation = abs
    >>> before == Fingerprint([layer]), before.is_current()
    (False, False)
    """

    def __init__(self, things: Iterable[Any], skipped: Container[tuple[int, str]] = ()) -> None:
        self._version, self._settings = structure.version, settings()
        self._skipped = skipped
        self._kept: dict[int, Any] = {}  # alive, so that no other object gets their ids
        self._unseen: list[tuple[Read, Sequence[Any]]] = []  # what changes without a new version
        self._arrays: list[tuple[np.ndarray, bytes]] = []  # of the same kind
        self._inside: set[int] = set()  # ids of the containers that are being read
        self.values: dict[tuple[int, str], Hashable] = {}
        self.values |= {(i, "thing"): self._of(thing) for i, thing in enumerate(things)}
        self._key = self._settings, tuple(self.values.items())
        self._hash = hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def is_current(self) -> bool:
        """Return whether all is as it was; quick where users wrote nothing themselves."""
        if self._version is not structure.version or self._settings != settings():
            return False
        for read, before in self._unseen:
            now = read()
            if len(now) != len(before) or not all(map(is_, now, before)):
                return False
        arrays = self._arrays
        return not arrays or all(array.tobytes() == numbers for array, numbers in arrays)

    def differences(self, later: Fingerprint) -> dict[tuple[int, str], Any]:
        """Return the attributes whose values differ, each with its object."""
        kept = self._kept | later._kept
        changed = dict(self.values.items() ^ later.values.items())
        return {key: kept[key[0]] for key in changed if key[0] in kept}

    def _of(self, value: Any) -> Hashable:
        if isinstance(value, PLAIN):
            return repr(value)  # which tells 1 from 1.0 and True, and 0.0 from -0.0
        at, is_new = id(value), id(value) not in self._kept
        self._kept[at] = value
        if isinstance(value, np.ndarray) and value.size <= MOST:
            self._arrays.append((value, numbers := value.tobytes()))
            return value.dtype.str, value.shape, numbers
        if isinstance(value, _CONTAINERS):
            return at if len(value) > MOST or at in self._inside else self._contents(value)
        if is_new:
            unwatched = getattr(value, "_unwatched", ())
            for name, part in self._parts(value).items():
                if name not in unwatched:
                    self.values[at, name] = self._of(part)
        return at

    def _contents(self, value: Any) -> Hashable:
        self._inside.add(id(value))
        parts = self._parts(value)
        items = parts.items() if isinstance(value, dict) else parts.values()
        found = [self._of(item) for item in items]
        self._inside.discard(id(value))
        return frozenset(found) if isinstance(value, (set, frozenset)) else tuple(found)

    def _parts(self, thing: Any) -> dict[Any, Any]:
        """Return the parts of a thing that count; note them if they can change unseen."""
        names, read = reader_of(thing)

        def named(now: Sequence[Any]) -> dict[Any, Any]:
            half = len(now) // 2
            rows = (now[:half], now[half:]) if names is None else (names, now)
            every = zip(*rows, strict=False)
            return {k: v for k, v in every if (id(thing), k) not in self._skipped}

        def counting() -> list[Any]:
            return [*chain(*named(read()).items())]

        parts = named(now := read())
        if parts and type(now) is list and not isinstance(thing, (Watched, tuple, frozenset)):
            some = counting, [*chain(*parts.items())]
            self._unseen.append(some if self._skipped else (read, now))
        return parts


# -- what a step may read of an object -------------------------------------------------------------

_OWN = attrgetter("__code__", "__defaults__", "__kwdefaults__", "__dict__")  # of a function
# The attributes that name what a bound method, a property, a partial or a compiled function calls.
_CALLED = ("__func__", "__self__", "__wrapped__", "fget", "func", "args", "keywords")


def reader_of(thing: Any) -> tuple[Iterable[Any] | None, Read]:
    """Return the names of the parts of an object on which a step may depend, and what reads them.

    Where names can come and go (None), all names are read first, then all parts.
    """
    kind = type(thing)
    if isinstance(thing, dict):
        return None, lambda: [*thing, *thing.values()]
    if isinstance(thing, _CONTAINERS):
        return range(MOST), partial(list, thing)
    if isinstance(thing, FunctionType):
        return _reader_of_function(thing)
    if isinstance(thing, type):
        own = vars(thing)
        known = _is_users(thing.__module__)
        return None, (lambda: ["bases", *own, thing.__bases__, *own.values()]) if known else list
    if isinstance(thing, Watched) or _is_users(kind.__module__) or kind is SimpleNamespace:
        held = getattr(thing, "__dict__", {})
        return None, lambda: ["class", *held, kind, *held.values()]
    may_call = callable(thing) or kind.__module__ == "builtins"
    names = [name for name in _CALLED if may_call and hasattr(thing, name)]
    return names, lambda: [getattr(thing, name) for name in names]


def _reader_of_function(function: FunctionType) -> tuple[Iterable[Any], Read]:
    code, known, cells = function.__code__, function.__globals__, function.__closure__ or ()
    if not _is_users(function.__module__):  # it may call a user's function, as `grad(f)` does
        called = tuple(filter(callable, map(_content, cells)))
        return range(MOST), lambda: called
    names, attributes = _names_in(code)
    modules = {name: x for name in names if isinstance(x := known.get(name), ModuleType)}
    own = {name: vars(x) for name, x in modules.items() if _is_users(x.__name__)}
    of_modules = [f"{name}.{attribute}" for name in own for attribute in attributes]

    def read() -> list[Any]:
        return [*_OWN(function), *map(known.get, names), *map(_content, cells)]

    def read_all() -> list[Any]:
        return read() + [variables.get(x) for variables in own.values() for x in attributes]

    return [*range(4), *names, *code.co_freevars, *of_modules], read_all if own else read


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


@lru_cache(1024)
def _names_in(code: CodeType) -> tuple[list[str], list[str]]:
    """Return the names of the globals that a code reads, and the names of attributes in it."""
    codes = [code]
    for each in codes:
        codes += [x for x in each.co_consts if isinstance(x, CodeType)]
    lines = (line for each in codes for line in dis.get_instructions(each))
    names = dict.fromkeys(line.argval for line in lines if line.opname == "LOAD_GLOBAL")
    return [*names], [*dict.fromkeys(name for each in codes for name in each.co_names)]


@cache
def _is_users(module: str | None) -> bool:
    """Return whether a module was written by users: it is neither ours nor installed."""
    root = (module or "").partition(".")[0]
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    installed = root in sys.stdlib_module_names or "-packages" in file
    return root != __name__.partition(".")[0] and not installed
