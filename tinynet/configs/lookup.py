"""Names: what a user may write for an object, and the names that objects get.

Activations, initializers, losses, metrics and optimizers are looked up by `lookup`, each kind in
its own table; users' registered objects come first. Imports `serialization.py`. Read next:
`../activations.py`, the simplest table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..public import absent, advice_for, nearest
from . import serialization


def publish(module: str, *objects: Any) -> dict[str, Any]:
    """Let configs name classes and functions as Keras does in `module`; return a table of names.

    The table holds each object under its own name and under that name in snake_case.
    """
    own_names = {thing.__name__: thing for thing in objects}
    serialization.MODULES.setdefault(module, {}).update(own_names)
    return {snake_case(name): thing for name, thing in own_names.items()} | own_names


def defined_in(*namespaces: dict[str, Any]) -> list[Any]:
    """Return the public classes and functions that modules define, not what they import.

    Modules are given by their namespaces: `globals()` for what a module has defined until then.
    """
    found = ((names["__name__"], *item) for names in namespaces for item in names.items())
    return [x for home, name, x in found if name[0] != "_" and getattr(x, "__module__", "") == home]


def lookup(identifier: Any, table: Mapping[str, Any], kind: str) -> Any:
    """Return the object that `identifier` stands for; None for None.

    Parameters
    ----------
    identifier : str, dict, class, callable or None
        A name of a custom object or in `table`; a config ``{"class_name": ..., "config": {...}}``
        as Keras writes it; a class, of which an instance with default arguments is returned; or a
        callable, which is returned unchanged.
    table : mapping from names to functions and classes
    kind : the kind of object, for the error message

    Raises
    ------
    ValueError
        When the name is unknown, or `identifier` has another type.

    >>> lookup("twice", {"twice": lambda x: 2 * x}, "function")(21)
    42
    """
    found = identifier
    if isinstance(identifier, str):
        found = serialization.get_registered_object(identifier, module_objects=table)
    elif isinstance(identifier, dict) and serialization.class_named(identifier, table) is not None:
        return serialization.deserialize_part({"config": {}, **identifier}, table)
    if callable(found) or identifier is None:
        return found() if isinstance(found, type) else found
    name = str(identifier.get("class_name") if isinstance(identifier, dict) else identifier)
    listed = f"Expected one of: {', '.join(sorted(table))}. {serialization.ADVICE}"
    advice = f"{nearest(name, table)} {listed}"
    for path in absent():  # such as optimizers.Ftrl, for the optimizer "ftrl"
        module, _, last = path.partition(".")
        if module[:4] == kind[:4] and snake_case(last) == snake_case(name):
            advice = f" {advice_for(path)}"
    where = f"{identifier}{serialization.location()}."
    raise ValueError(f"Could not interpret {kind} identifier: {where}{advice}")


def config_of(thing: Any, table: Mapping[str, Any]) -> Any:
    """Return the config of `thing` as Keras writes it: its name if `table` has it, else a dict."""
    name = next((name for name, known in table.items() if known is thing), None)
    return name or serialization.serialize_keras_object(thing)


def snake_case(name: str) -> str:
    """Return a class's name in snake_case.

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


def automatic_name(obj: Any) -> str:
    """Return a unique name for `obj`: its class's name in snake_case, numbered from the second on.

    >>> clear_session()
    >>> class Thing: ...
    >>> automatic_name(Thing()), automatic_name(Thing())
    ('thing', 'thing_1')
    """
    return unique_name(snake_case(type(obj).__name__))


def clear_session(free_memory: bool = True) -> None:
    """Restart the numbering of automatic names.

    `free_memory` has no effect: no models are kept whose memory could be freed.

    >>> import tinynet as tn
    >>> tn.utils.clear_session()
    >>> tn.layers.Dense(1).name, tn.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    _counts.clear()
