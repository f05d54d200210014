"""Names: what a user may write for an object becomes the object, and an object gets a name.

Activations, initializers, losses, metrics and optimizers all are looked up here, each with its own
table, and objects of users' own beside them. Imports `objects.py`. Read next: `activations.py`, the
simplest table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .serialization import (
    ADVICE,
    find,
    get_registered_object,
    made,
    place,
    publish as publish,
    serialize_keras_object,
)


def lookup(identifier: Any, table: Mapping[str, Any], kind: str) -> Any:
    """Return the object that `identifier` stands for.

    Parameters
    ----------
    identifier : str, dict, class, callable or None
        A name in `table`, or of a custom object, which comes first; a config
        ``{"class_name": ..., "config": {...}}`` as Keras writes it; a class, which is made with its
        defaults; a callable, which is returned as it is.
    table : mapping of names to functions and classes
    kind : what is looked for, as the message of a failure calls it

    Raises
    ------
    ValueError
        When nothing of that name is in the table, or the identifier is of no such type.

    >>> lookup("twice", {"twice": lambda x: 2 * x}, "function")(21)
    42
    """
    found = identifier
    if isinstance(identifier, str):
        found = get_registered_object(identifier, module_objects=table)
    elif isinstance(identifier, dict) and find(identifier, table) is not None:
        return made({"config": {}, **identifier}, table)
    if isinstance(found, type):
        return found()
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret {kind} identifier: {identifier}{place()}. Expected a callable or "
        f"one of: {', '.join(sorted(table))}. {ADVICE}"
    )


def serialize(thing: Any, table: Mapping[str, Any], module: str) -> str | dict[str, Any]:
    """Return the config of `thing` as Keras writes it: a name for a function, else a dict."""
    name = next((name for name, known in table.items() if known is thing), None)
    return name or serialize_keras_object(thing)


def names(*objects: Callable[..., Any]) -> dict[str, Any]:
    """Return a table of the objects under their own names, classes also in snake_case."""
    table: dict[str, Any] = {}
    for thing in objects:
        table[thing.__name__] = thing
        if isinstance(thing, type):
            table[snake_case(thing.__name__)] = thing
    return table


def snake_case(name: str) -> str:
    """Return a class's name in the spelling of variables.

    >>> snake_case("MeanSquaredError"), snake_case("RandomNormal"), snake_case("SGD")
    ('mean_squared_error', 'random_normal', 'sgd')
    """
    word_starts = r"(?<=.)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])"
    return re.sub(word_starts, "_", re.sub(r"\W+", "", name)).lower()


def name_of(function: Callable[..., Any]) -> str:
    """Return the snake_case name of a function, or of the class of a callable object."""
    return snake_case(getattr(function, "__name__", type(function).__name__))


_counts: Counter[str] = Counter()


def unique_name(prefix: str) -> str:
    """Return `prefix` the first time, then ``prefix_1``, ``prefix_2``, until `clear_session`."""
    _counts[prefix] += 1
    return prefix if _counts[prefix] == 1 else f"{prefix}_{_counts[prefix] - 1}"


def clear_session() -> None:
    """Start the numbering of automatic names anew.

    >>> import tinynet as tn
    >>> tn.utils.clear_session()
    >>> tn.layers.Dense(1).name, tn.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    _counts.clear()
