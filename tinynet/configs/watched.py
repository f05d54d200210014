"""Objects whose attributes compiled steps may have read, and a fingerprint of these attributes.

A step is recorded once, with the numbers and functions that it reads from layers, losses, metrics,
regularizers and the optimizer. `Fingerprint` is part of its key, so a changed attribute leads to
another step, and a restored one to the first. Assigning an attribute of a `Watched` object changes
`structure.version`. A fingerprint is computed again only then, or when something of the users' own
has changed: a list, an array, an object, a global variable that their function reads.

Imports the engine. Read next: `configurable.py`.
"""

from __future__ import annotations

import dis
import sys
from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import cache, lru_cache
from itertools import chain
from operator import attrgetter, is_
from types import CellType, CodeType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any

import numpy as np

from ..engine import dtypes
from ..engine.variable import structure

# Compared by value. The `repr` of a float tells 0.0 from -0.0.
_PLAIN, _BY_REPR = frozenset((type(None), bool, int, str, bytes)), (float, complex)
_CONTAINERS = (tuple, list, dict, set, frozenset, deque)
MOST = 1 << 10  # items of a list or an array that are compared one by one, at each call
Place = tuple[str, Callable[[Any], Any], Any]  # a name, and a function and argument that read it


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
    and what users' functions read: global variables, variables of enclosing functions, defaults,
    variables of users' modules. Numbers, strings, arrays and the contents of lists, tuples, sets
    and dicts are compared by value, other objects by identity. Not seen: items of lists and arrays
    of more than 1,024 items, what objects and functions of installed packages read, modules that
    objects hold, and what is looked up by a string: ``globals()["rate"]``, an environment variable.

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
        self._version, self._settings = structure.version, dtypes.settings
        self._skipped = skipped
        self._kept: dict[int, Any] = {}  # alive, so that no other object gets their ids
        # What can change without a new version: what functions return for an argument, the items of
        # containers, arrays.
        self._results: list[tuple[Callable[[Any], Any], Any, Any]] = []
        self._items: list[tuple[Iterable[Any], list[Any]]] = []
        self._arrays: list[tuple[np.ndarray, np.dtype, tuple[int, ...], bytes]] = []
        self._inside: set[int] = set()  # ids of the containers that are being read
        self._unread: list[Any] = []  # objects whose parts are still to be read
        self.values: dict[tuple[int, str], Hashable] = {}
        self.values |= {(i, "thing"): self._of(thing) for i, thing in enumerate(things)}
        while self._unread:
            self._read(self._unread.pop())
        self._key = self._settings, tuple(self.values.items())
        self._hash = hash(self._key)
        self._has_own = bool(self._results or self._items or self._arrays)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Fingerprint) and self._key == other._key)

    def __hash__(self) -> int:
        return self._hash

    def is_current(self) -> bool:
        """Return whether nothing has changed since; fast if users' own code is not involved."""
        if self._version is not structure.version or self._settings is not dtypes.settings:
            return False
        if not self._has_own:
            return True
        try:
            for get, argument, before in self._results:
                if get(argument) is not before:
                    return False
        except (ValueError, AttributeError):  # a variable or an attribute was deleted
            return False
        for part, items in self._items:
            now = list(part)
            if len(now) != len(items) or not all(map(is_, now, items)):
                return False
        for array, dtype, shape, numbers in self._arrays:
            if array.dtype is not dtype or array.shape != shape or array.tobytes() != numbers:
                return False
        return True

    def differences(self, later: Fingerprint) -> dict[tuple[int, str], Any]:
        """Return the attributes whose values differ, each with its object."""
        kept = self._kept | later._kept
        changed = dict(self.values.items() ^ later.values.items())
        return {key: kept[key[0]] for key in changed if key[0] in kept}

    def _of(self, value: Any) -> Hashable:
        kind = type(value)
        if kind in _PLAIN:
            return kind, value
        if kind in _BY_REPR or isinstance(value, (np.generic, np.dtype)):
            return kind, repr(value)
        at, is_new = id(value), id(value) not in self._kept
        self._kept[at] = value
        if isinstance(value, np.ndarray) and value.size <= MOST:
            self._arrays.append((value, value.dtype, value.shape, value.tobytes()))
            return self._arrays[-1][1:]
        is_container = isinstance(value, _CONTAINERS)
        if is_new and (not is_container or _is_users(kind.__module__)):
            self._unread.append(value)
        if not is_container or len(value) > MOST or at in self._inside:
            return at
        self._inside.add(at)
        parts = [value, value.values()] if isinstance(value, dict) else [value]
        items = [list(part) for part in parts]
        if not isinstance(value, (tuple, frozenset)):
            self._items += zip(parts, items, strict=True) if items[0] else ()
            self._results += () if items[0] else [(len, value, 0)]
        kind = frozenset if isinstance(value, (set, frozenset)) else tuple
        found = [kind(map(self._of, part)) for part in items]
        self._inside.discard(at)
        return tuple(found)

    def _read(self, thing: Any) -> None:
        """Read the parts of an object or a function."""
        at, (places, held, fixed) = id(thing), _parts_of(thing)
        unwatched = thing._unwatched if isinstance(thing, Watched) else _UNREAD
        places += [(name, held.get, name) for name in [*(held or ())] if name not in unwatched]
        rows = [row for row in places if (at, row[0]) not in self._skipped]
        found = {name: (get, argument, get(argument)) for name, get, argument in rows}
        if not fixed:
            self._results += found.values()
            self._items += [] if held is None else [(held, [*held])]
        self.values |= {(at, name): self._of(value) for name, (*_, value) in found.items()}


# -- what a step may read of an object -------------------------------------------------------------

_UNREAD = {f"__{x}__" for x in ("module", "qualname", "doc", "dict", "weakref", "annotations")}
_OPEN = ("types", "collections")  # modules whose objects users fill: SimpleNamespace, UserDict
_OF_FUNCTIONS = [(x, attrgetter(f"__{x}__")) for x in ("code", "defaults", "kwdefaults", "dict")]
# What a bound method, a property, a partial, a compiled function or a user's primitive calls.
_names = "__func__ __self__ __wrapped__ fget func args keywords impl vjps joint"
_CALLED = _names.split()
_content, _EMPTY = attrgetter("cell_contents"), CellType()
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def _parts_of(thing: Any) -> tuple[list[Place], Any, bool]:
    """Return the parts of an object that a step may read: places, and a dict of others or None.

    The third value is whether they need no comparison: they are fixed, or changes are noticed.
    """
    kind = type(thing)
    module = (thing if isinstance(thing, (FunctionType, type)) else kind).__module__
    is_users = module in _OPEN or _is_users(module)
    places: list[Place] = [("class", type, thing)]
    if isinstance(thing, FunctionType):
        return _places_of(thing) if is_users else _called_by(thing), None, not is_users
    if isinstance(thing, type):
        places.append(("bases", attrgetter("__bases__"), thing))
        return (places, vars(thing), False) if is_users else ([], None, True)
    held = thing.__dict__ if kind.__dictoffset__ else None
    if is_users or isinstance(thing, Watched):
        members = chain(*(vars(base).values() for base in kind.__mro__))
        slots = [x.__name__ for x in members if type(x) is MemberDescriptorType]
        places += [(name, attrgetter(name), thing) for name in slots if hasattr(thing, name)]
        return places, held, isinstance(thing, Watched)
    may_call = callable(thing) or module in ("builtins", "functools")
    names = [x for x in _CALLED if may_call and (hasattr(kind, x) or x in (held or ()))]
    return [(name, attrgetter(name), thing) for name in names], None, True


def _called_by(function: FunctionType) -> list[Place]:
    """Return the places of what an installed function may call, such as `f` in `grad(f)`."""
    full = [cell for cell in function.__closure__ or () if cell != _EMPTY]
    return [(str(i), _content, x) for i, x in enumerate(full) if callable(x.cell_contents)]


def _places_of(function: FunctionType) -> list[Place]:
    """Return the places that a user's function may read."""
    code, known, cells = function.__code__, function.__globals__, function.__closure__ or ()
    names, attributes, imported = _names_in(code)
    places: list[Place] = [(name, get, function) for name, get in _OF_FUNCTIONS]
    places += [(name, known.get, name) for name in names]
    pairs = zip(code.co_freevars, cells, strict=True)
    places += [(name, _content if x != _EMPTY else _EMPTY.__eq__, x) for name, x in pairs]
    places += [(f"import {name}", sys.modules.get, name) for name in imported]
    seen = set()
    for _, get, argument in places:
        module = get(argument)
        if isinstance(module, ModuleType) and module not in seen and _is_users(module.__name__):
            seen.add(module)
            own = vars(module)
            places += [(f"{module.__name__}.{x}", own.get, x) for x in attributes if x in own]
    return places


@lru_cache(1024)
def _names_in(code: CodeType) -> tuple[list[str], list[str], list[str]]:
    """Return the names of globals, attributes and imported modules that a code object reads."""
    codes = [code]
    for each in codes:
        codes += [x for x in each.co_consts if isinstance(x, CodeType)]
    lines = [line for each in codes for line in dis.get_instructions(each)]
    names = dict.fromkeys(line.argval for line in lines if line.opname in _GLOBAL)
    imported = dict.fromkeys(line.argval for line in lines if line.opname == "IMPORT_NAME")
    return [*names], [*dict.fromkeys(name for each in codes for name in each.co_names)], [*imported]


@cache
def _is_users(module: str | None) -> bool:
    """Return whether a module was written by users: it is neither ours nor installed."""
    root = (module or "").partition(".")[0]
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    installed = root in sys.stdlib_module_names or "-packages" in file
    return root != __name__.partition(".")[0] and not installed
