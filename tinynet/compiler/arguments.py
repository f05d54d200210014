"""The arguments of compiled functions: which are data, and which are settings.

Arrays, and what is converted to arrays, are leaves: data that can differ at each call. Integers,
bools, strings, None, tuples of these and static arguments are settings: they are passed on as they
are, and a function is compiled for each of their values.

Imports `../configs/watched.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from .. import tree
from ..configs.lookup import name_of
from ..configs.watched import Fingerprint, Watched
from ..engine import dtypes
from ..engine.tensor import Operand, Tensor, as_tensor

_SETTINGS = frozenset((bool, int, str, type(None)))
_type = attrgetter("shape", "dtype")


@dataclass(frozen=True)
class Hole:
    """A placeholder for a leaf in a tree; `name` is that of the parameter."""

    name: str = ""
    shape = ()  # so that lists of holes are trees, as lists of arrays are


@dataclass(frozen=True)
class Static:
    """A static argument, or the object whose method is called."""

    value: Any = field(repr=False)


def _key(x: Any, leaves: list[Any]) -> Any:
    """Return a key of the types in a tree of arrays, which are added to `leaves`.

    LookupError for a tree of anything else. Quick, since it runs at each call.
    """
    kind = type(x)
    if kind is np.ndarray or kind is Tensor:
        leaves.append(x)
        return x.shape, x.dtype
    if kind is dict:
        return kind, *x, *[_key(x[name], leaves) for name in sorted(x)]
    if kind is list or kind is tuple:
        return kind, *[_key(part, leaves) for part in x]
    raise LookupError


def filled(form: Any, leaves: Iterator[Any]) -> Any:
    """Return a tree with leaves in its holes; arrays and lists in it are copied."""

    def fill(x: Any) -> Any:
        if type(x) is Hole:
            return next(leaves)
        return x.value if type(x) is Static else copy(x) if type(x) in (np.ndarray, list) else x

    return tree.map_structure(fill, form)


class Parameters:
    """The parameters of a function: they tell which arguments are data, and which are settings.

    Attributes
    ----------
    names : list of str, of the positional parameters
    """

    def __init__(self, function: Callable[..., Any], static: str | Iterable[str]) -> None:
        self.of = name_of(function)
        self._static = frozenset([static] if isinstance(static, str) else static)
        given: list[inspect.Parameter] = []
        with suppress(TypeError, ValueError):  # some callables have no signature
            given += inspect.signature(function).parameters.values()
        self.names = [p.name for p in given if p.kind < p.VAR_POSITIONAL]
        self._self = {"self", "cls"}.intersection(self.names[:1])
        self._all_data = not (self._static or self._self)
        self._last: tuple[list[Any], Any] = [], None  # static arguments, and their fingerprint
        known = [p.name for p in given]
        wrong = sorted(self._static.difference(known))
        if wrong and all(p.kind != p.VAR_KEYWORD for p in given):
            raise ValueError(f"static_argnames: expected names among {known}, received {wrong}.")

    def flat(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], Any]:
        """Return the leaves of the arguments, and a key of their types and of the settings."""
        if not kwargs and self._all_data:
            if len(args) == 1 and type(x := args[0]) is np.ndarray:  # the same, but quicker
                return args, ((x.shape, x.dtype), dtypes.settings)
            found: list[Any] = []
            try:
                return found, (*[_key(x, found) for x in args], dtypes.settings)
            except (LookupError, TypeError):  # the latter for keys that cannot be sorted
                found.clear()
        leaves, form, seen = self.form(args, kwargs)
        return leaves, (tuple(map(_type, leaves)), dtypes.settings, repr(form), seen)

    def form(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return the leaves of the arguments, their form, and the `Fingerprint` of static ones.

        The form is a pair of dicts, of the positional and of the keyword arguments, with holes for
        leaves.
        """
        leaves: list[Any] = []
        static: list[Any] = []
        named = enumerate(zip((*self.names, *[""] * len(args)), args, strict=False))
        form = (
            {i: self._part(name, x, leaves, static) for i, (name, x) in named},
            {name: self._part(name, kwargs[name], leaves, static) for name in sorted(kwargs)},
        )
        return leaves, form, self._fingerprint(static) if static else None

    def _fingerprint(self, static: list[Any]) -> Fingerprint:
        """Return the fingerprint of static arguments: the last one, if nothing has changed."""
        before, found = self._last
        if [*map(id, static)] != [*map(id, before)] or not found.is_current():
            found = Fingerprint(static)
            self._last = static, found
        return found

    def _part(self, name: str, x: Any, leaves: list[Any], static: list[Any]) -> Any:
        """Return an argument with holes for its leaves, which are added to `leaves`.

        The parts of a static argument are added to `static`: of an object whose method is called,
        the attributes alone, so that it is not kept alive.
        """

        def leaf(x: Any) -> Any:
            if type(x) in _SETTINGS or (type(x) is tuple and _SETTINGS.issuperset(map(type, x))):
                return x
            leaves.append(x if type(x) is np.ndarray else as_tensor(x))
            return Hole(name)

        is_self = name in self._self and not tree.is_structure(x)
        if is_self or name in self._static:
            if isinstance(x, (np.ndarray, Operand)):
                text = f"{self.of}: static argument {name}: received an array, which is data."
                raise TypeError(text)
            parts = getattr(x, "__dict__", x) if is_self and not isinstance(x, type) else x
            static += [id(x)] if isinstance(x, Watched) else [type(x), parts]
            return Static(x)
        try:
            return tree.map_structure(leaf, x)
        except ValueError as error:
            advice = f"If it is a setting and not data, pass static_argnames={name!r}."
            raise ValueError(f"{self.of}: argument {name}: {error} {advice}") from None
