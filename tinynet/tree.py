"""Nested lists, tuples and dicts of things, as models take and return them.

Imports NumPy alone. Read next: `layers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def is_structure(value: Any) -> bool:
    """Return whether `value` holds several things: a dict, or a list or tuple of arrays.

    A list of numbers, nested or not, is data: one thing.

    >>> import numpy as np
    >>> is_structure([np.ones(2), np.ones(3)]), is_structure([[1.0, 2.0], [3.0, 4.0]])
    (True, False)
    """
    if isinstance(value, (list, tuple)):
        return not value or any(_is_array(v) or is_structure(v) for v in value)
    return isinstance(value, dict)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and not isinstance(value, np.generic)


def flatten(structure: Any) -> list[Any]:
    """Return the things in `structure` in order, those of a dict in the order of sorted keys."""
    if not is_structure(structure):
        return [structure]
    return [leaf for part in _parts(structure) for leaf in flatten(part)]


def _parts(structure: Any) -> list[Any]:
    if isinstance(structure, dict):
        return [structure[key] for key in sorted(structure)]
    return list(structure)


def map_structure(f: Callable[[Any], Any], structure: Any) -> Any:
    """Return a structure of the same form with `f` applied to each thing, in order."""
    if isinstance(structure, dict):
        return {key: map_structure(f, structure[key]) for key in sorted(structure)}
    if is_structure(structure):
        return type(structure)(map_structure(f, part) for part in structure)
    return f(structure)


def instances(kind: type | tuple[type, ...], container: Any) -> Iterator[Any]:
    """Yield the things of a kind in a list, tuple or dict, also in those nested inside.

    >>> list(instances(str, {"a": "x", "b": [1, ("y", {"c": "z"})]}))
    ['x', 'y', 'z']
    """
    for thing in tuple(container.values() if isinstance(container, dict) else container):
        if isinstance(thing, kind):
            yield thing
        elif isinstance(thing, (list, tuple, dict)):
            yield from instances(kind, thing)
