"""The arguments of compiled functions: which are data, and which are settings.

Arrays, and what becomes one, are leaves: data that can differ at each call. Integers, bools,
strings, None, tuples of these and static arguments are settings: they stay what they are, and a
function is compiled for each of their values.

Imports `../configs/watched.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from .. import tree
from ..configs.lookup import name_of
from ..configs.watched import Fingerprint, Watched
from ..engine.dtypes import floatx
from ..engine.tensor import Operand, Tensor, as_tensor

_ARRAYS = frozenset((np.ndarray, Tensor))
_SETTINGS = frozenset((bool, int, str, type(None)))
_type = attrgetter("shape", "dtype")


class Hole:
    """What stands in a tree in the place of a leaf."""

    shape = ()  # so that lists of holes are trees, as lists of arrays are

    def __repr__(self) -> str:
        return "*"


HOLE = Hole()


@dataclass
class Static:
    """A static argument, or the object whose method is called.

    `seen` keeps alive what it consists of: of an object whose method is called, the attributes
    alone. They are compared by value or identity, as `Fingerprint` does.
    """

    value: Any
    seen: Fingerprint
    key: str

    def __repr__(self) -> str:
        return self.key


def filled(form: Any, leaves: Iterator[Any]) -> Any:
    """Return a tree with leaves in its holes; arrays and lists in it are copied."""

    def fill(x: Any) -> Any:
        if x is HOLE:
            return next(leaves)
        return x.value if type(x) is Static else copy(x) if type(x) in (np.ndarray, list) else x

    return tree.map_structure(fill, form)


class Parameters:
    """The parameters of a function, which tell data from settings.

    Attributes
    ----------
    names : list of str, of the positional parameters
    """

    def __init__(self, function: Callable[..., Any], static_argnames: str | Iterable[str]) -> None:
        self.of = name_of(function)
        static = [static_argnames] if isinstance(static_argnames, str) else static_argnames
        self._static = frozenset(static)
        self._last: tuple[Any, ...] = (None,) * 4  # of `_seen`
        try:
            given = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # some callables have no signature
            given = {}.values()
        self.names = [p.name for p in given if p.kind < p.VAR_POSITIONAL]
        self._is_method = self.names[:1] in (["self"], ["cls"])
        known = [p.name for p in given]
        wrong = sorted(self._static.difference(known))
        if wrong and all(p.kind != p.VAR_KEYWORD for p in given):
            raise ValueError(f"static_argnames: expected names among {known}, received {wrong}.")

    def flat(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the leaves of the arguments, the key of their type, and their form.

        The form is a tree with holes for leaves: a dict of the positional arguments, one of the
        others. It is None if all arguments are arrays.
        """
        if not (kwargs or self._static) and _ARRAYS.issuperset(map(type, args)):
            return args, (tuple(map(_type, args)), floatx()), None
        leaves: list[Any] = []
        named = enumerate(zip((*self.names, *[""] * len(args)), args, strict=False))
        form = (
            {i: self._part(name, x, leaves) for i, (name, x) in named},
            {name: self._part(name, kwargs[name], leaves) for name in sorted(kwargs)},
        )
        return leaves, (tuple(map(_type, leaves)), floatx(), repr(form)), form

    def _part(self, name: str, x: Any, leaves: list[Any]) -> Any:
        """Return an argument with holes for its leaves, which are added to `leaves`."""

        def leaf(x: Any) -> Any:
            if type(x) in _SETTINGS or (type(x) is tuple and _SETTINGS.issuperset(map(type, x))):
                return x
            leaves.append(x if type(x) is np.ndarray else as_tensor(x))
            return HOLE

        is_self = self._is_method and name == self.names[0] and not tree.is_structure(x)
        if name in self._static and isinstance(x, (np.ndarray, Operand)):
            raise TypeError(f"{self.of}: static argument {name}: received an array, which is data.")
        if is_self or name in self._static:
            has_attributes = is_self and not isinstance(x, (type, Watched))
            return Static(x, *self._seen(x, getattr(x, "__dict__", x) if has_attributes else x))
        try:
            return tree.map_structure(leaf, x)
        except ValueError as error:
            advice = f"Declare what is no array: static_argnames={name!r}."
            raise ValueError(f"{self.of}: argument {name}: {error} {advice}") from None

    def _seen(self, x: Any, parts: Any) -> tuple[Fingerprint, str]:
        """Return a fingerprint of `parts`, which `x` consists of, and its key as text."""
        kind, known, seen, key = self._last
        if kind is not type(x) or known is not parts or not seen.is_current():
            seen = Fingerprint([id(x)] if isinstance(x, Watched) else [type(x), parts])
            key = repr(seen.key)
            self._last = type(x), parts, seen, key
        return seen, key

    def leaf_names(self, form: Any) -> list[str]:
        """Return the name of the parameter that each leaf belongs to."""
        if form is None:
            return self.names
        pairs = [*zip(self.names, form[0].values(), strict=False), *form[1].items()]
        return [name for name, part in pairs for x in tree.flatten(part) if x is HOLE]
