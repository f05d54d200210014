"""Trees: nested lists, tuples, named tuples and dicts of arrays, as functions take and return.

Imports NumPy alone. Read next: `engine/tensor.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np


def is_structure(value: Any) -> bool:
    """Return whether `value` is a structure: a dict, or a list or tuple of arrays or None.

    A list or tuple of numbers, nested or not, is data, and so a leaf, unless it is a named tuple.

    >>> import numpy as np
    >>> is_structure([np.ones(2), np.ones(3)]), is_structure([[1.0, 2.0], [3.0, 4.0]])
    (True, False)
    """
    if isinstance(value, (list, tuple)):
        return not value or hasattr(value, "_fields") or any(map(_is_part, value))
    return isinstance(value, dict)


def _is_part(value: Any) -> bool:
    is_array = hasattr(value, "shape") and not isinstance(value, np.generic)
    return value is None or is_array or is_structure(value)


def _sorted(keys: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:
        text = f"a dict: expected keys of one type that can be sorted, received {[*keys]}."
        raise TypeError(text) from None


def flatten(structure: Any) -> list[Any]:
    """Return the leaves of `structure`, with None, in order; those of a dict by sorted keys."""
    found: list[Any] = []
    map_structure(found.append, structure)
    return found


def map_structure(f: Callable[[Any], Any], structure: Any) -> Any:
    """Return a structure of the same form with `f` applied to each leaf and None, in order.

    The order is that of `flatten`; a dict keeps its own order of keys.
    """
    if not isinstance(structure, (dict, list, tuple)):  # the most frequent case
        return f(structure)
    if isinstance(structure, dict):
        parts = {key: map_structure(f, structure[key]) for key in _sorted(structure)}
        return {key: parts[key] for key in structure}
    if is_structure(structure):
        found = [map_structure(f, part) for part in structure]
        return type(structure)(*found) if hasattr(structure, "_fields") else type(structure)(found)
    return f(structure)


def map_leaves(f: Callable[[Any], Any], structure: Any) -> Any:
    """Return a structure of the same form with `f` applied to each leaf; None stays None."""
    return map_structure(lambda leaf: None if leaf is None else f(leaf), structure)


def leaves(structure: Any) -> list[Any]:
    """Return the leaves of `structure`, as `flatten` does, without None."""
    return [leaf for leaf in flatten(structure) if leaf is not None]


def parts_like(form: Any, structure: Any, argument: str) -> list[tuple[str, Any]]:
    """Return pairs of path and part of `structure`, one for each leaf of `form` except None.

    Raises
    ------
    ValueError
        Where the two differ in type, length or keys, with the path from `argument` to that place.

    >>> import numpy as np
    >>> parts_like({"a": np.ones(2), "b": [None, np.ones(3)]}, {"a": 1, "b": [None, [2, 3]]}, "ct")
    [("ct['a']", 1), ("ct['b'][1]", [2, 3])]
    """
    if isinstance(form, dict):
        kind: Any = dict
        places = [(f"[{key!r}]", key) for key in _sorted(form)]
        expected = f"a dict with the keys {_sorted(form)}"
    elif is_structure(form):
        kind = (list, tuple)
        names = getattr(form, "_fields", None)
        places = [(f".{names[i]}" if names else f"[{i}]", i) for i in range(len(form))]
        expected = f"a {type(form).__name__} of length {len(form)}"
    elif form is None:
        kind, places, expected = type(None), [], "None"
    else:
        return [(argument, structure)]
    is_alike = isinstance(structure, kind) and (form is None or len(structure) == len(form))
    if not is_alike or (kind is dict and structure.keys() != form.keys()):
        raise ValueError(f"{argument}: expected {expected}, received {structure!r}.")
    parts = [parts_like(form[key], structure[key], argument + name) for name, key in places]
    return [part for found in parts for part in found]


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """Return a structure of the same form with these leaves, in order; None stays None.

    The inverse of `leaves`.

    Raises
    ------
    ValueError
        If `flat_sequence` has fewer or more elements than `structure` has leaves.

    >>> import numpy as np
    >>> pack_sequence_as({"a": np.ones(2), "b": [None, np.ones(3)]}, [1, 2])
    {'a': 1, 'b': [None, 2]}
    """
    given, count = [*flat_sequence], len(leaves(structure))
    if len(given) != count:
        what = f"expected {count} elements, one per leaf, received {len(given)}"
        raise ValueError(f"flat_sequence: {what}.")
    rest = iter(given)
    return map_leaves(lambda _: next(rest), structure)


def by_path(given: Any, form: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield pairs of path and part of `given`, one for each leaf of `form`.

    A path consists of keys and positions. Parts that `form` does not have are yielded, too.

    >>> list(by_path({"b": [1, {"c": 2}], "z": 3}, {"a": 0, "b": [0, {"c": 0}]}))
    [('b/0', 1), ('b/1/c', 2), ('z', 3)]
    """
    if not (is_structure(form) and isinstance(given, (dict, list, tuple))):
        yield path, given
        return
    places, inner = (dict(x if isinstance(x, dict) else enumerate(x)) for x in (given, form))
    for place in sorted(places) if isinstance(given, dict) else places:
        yield from by_path(places[place], inner.get(place), f"{path}/{place}".lstrip("/"))


def instances(
    kind: type | tuple[type, ...], container: Any, around: tuple[int, ...] = ()
) -> Iterator[Any]:
    """Yield the objects of a type in a list, tuple or dict and in those nested inside.

    A container that contains itself is searched once; `around` has the ids of those around it.

    >>> list(instances(str, {"a": "x", "b": [1, ("y", {"c": "z"})]}))
    ['x', 'y', 'z']
    """
    around = (*around, id(container))
    for thing in tuple(container.values() if isinstance(container, dict) else container):
        if isinstance(thing, kind):
            yield thing
        elif isinstance(thing, (list, tuple, dict)) and id(thing) not in around:
            yield from instances(kind, thing, around)
