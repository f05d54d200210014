"""Objects whose attributes compiled steps may have read, and a fingerprint of these attributes.

A step is recorded once, with the numbers and functions that it reads from layers, losses, metrics,
regularizers and the optimizer. `fingerprint` is part of its key, so a changed attribute leads to
another step, and a restored one to the first. Assigning an attribute of a `Watched` object changes
`structure.version`; only then is a fingerprint computed again.

Imports the engine. Read next: `configurable.py`.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import numpy as np

from ..engine.variable import structure

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype)
_CONTAINERS = (tuple, list, dict, set, frozenset)


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
    """The attributes of `Watched` objects at one moment, to be compared.

    Numbers, strings and the contents of lists, tuples, sets and dicts are compared by value, other
    objects by identity. Not seen: numbers written into an array, attributes of an object that is
    not `Watched`, and global variables.

    Parameters
    ----------
    things : iterable
        Objects whose attributes count, with those of all `Watched` objects among their attributes.
    skipped : set of tuple (id of an object, name), optional
        Attributes that do not count.

    Attributes
    ----------
    values : dict from (id of an object, name) to a hashable stand-in for the attribute's value
    key : tuple, equal for equal attributes

    >>> from tinynet.layers import Activation
    >>> layer = Activation("relu")
    >>> before = Fingerprint([layer])
    >>> layer.activation = abs
    >>> before.key == Fingerprint([layer]).key, before.is_current()
    (False, False)
    """

    def __init__(self, things: Iterable[Any], skipped: Container[tuple[int, str]] = ()) -> None:
        self._version = structure.version
        self._skipped = skipped
        self._kept: dict[int, Any] = {}  # alive, so that no other object gets their ids
        self._containers: dict[int, Any] = {}  # by id; their contents may change unseen
        self.values: dict[tuple[int, str], Hashable] = {}
        self.values |= {(i, "thing"): self._of(thing) for i, thing in enumerate(things)}
        self.key = tuple(self.values.items())
        self._contents = self._of_containers()

    def is_current(self) -> bool:
        """Return whether all attributes are as they were; quick if nothing was assigned."""
        if self._version is not structure.version:
            return False
        return not self._containers or self._contents == self._of_containers()

    def differences(self, later: Fingerprint) -> dict[tuple[int, str], Any]:
        """Return the attributes whose values differ, each with its object."""
        kept = self._kept | later._kept
        changed = dict(self.values.items() ^ later.values.items())
        return {key: kept[key[0]] for key in changed if key[0] in kept}

    def _of_containers(self) -> list[Hashable]:
        return [self._of(container) for container in tuple(self._containers.values())]

    def _of(self, value: Any) -> Hashable:
        if isinstance(value, PLAIN):
            return repr(value)  # which tells 1 from 1.0 and True, and 0.0 from -0.0
        if isinstance(value, _CONTAINERS):
            if not isinstance(value, (tuple, frozenset)):
                self._containers[id(value)] = value
            parts = [self._of(x) for x in (value.items() if isinstance(value, dict) else value)]
            return frozenset(parts) if isinstance(value, (set, frozenset)) else tuple(parts)
        if id(value) not in self._kept:
            self._kept[id(value)] = value
            if isinstance(value, Watched):
                self._add_attributes(value)
        return id(value)

    def _add_attributes(self, thing: Watched) -> None:
        for name, value in tuple(vars(thing).items()):  # another thread may add attributes
            key = id(thing), name
            if name not in thing._unwatched and key not in self._skipped:
                self.values[key] = self._of(value)
