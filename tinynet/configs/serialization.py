"""Objects to plain data, which JSON can hold, and back: Keras's serialization format.

All objects, from models to plain functions, take the same path. A config never makes this module
import or run code that it names: a name in a config is in one of the tables here, or is refused.

Imports the engine's tensors. Read next: `lookup.py`, where users' names are looked up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from ..engine.expect import expect, package_of
from ..engine.refusal import answering
from ..engine.temporarily import temporarily
from ..engine.tensor import Tensor, to_array

Config = dict[str, Any]  # plain data: what `get_config` returns

# Keras's modules by name; for each the classes and functions that tinynet has, by name.
MODULES: dict[str, dict[str, Any]] = {}

_PLAIN = (str, int, float, bool, type(None))
_KEYS = ("module", "class_name", "config", "registered_name")
_REGISTER = "use `tinynet.saving.register_keras_serializable()`."
ADVICE = f"Pass your own in `custom_objects`, or {_REGISTER}"


@cache
def _published() -> dict[str, dict[str, Any]]:
    """Return `MODULES`, complete: `models` imports all other modules that publish classes."""
    rarely_used = ["group_normalization", "merging", "normalization", "operation", "weightless"]
    layers = (f"layers.{name}" for name in rarely_used)
    for name in ("models", *layers, "metrics.lookup", "optimizers.schedules"):
        import_module(f"{__name__.partition('.')[0]}.{name}")
    return MODULES


class _State(threading.local):
    """This thread's settings while configs are read or written."""

    scope: dict[str, Any] = {}  # the objects of `custom_object_scope`
    path: tuple[str, ...] = ()  # the objects around the current one, for messages
    shared: dict[Any, Any] | None = None  # in `sharing`, objects and their configs by id
    custom: dict[str, Any] | None = None  # in `noting_custom_objects`, users' objects by name


_state = _State()

# -- users' own objects ----------------------------------------------------------------------------

_registered: dict[str, Any] = {}


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Any:
    """Return a decorator that registers a class or function as ``package>name``.

    Models that use it can then be loaded without `custom_objects`.

    Raises
    ------
    ValueError
        For a class without `get_config`.

    >>> import tinynet as tn
    >>> @tn.saving.register_keras_serializable("mine")
    ... def double(x):
    ...     return 2 * x
    >>> tn.layers.Activation("mine>double")([1.0])
    tensor([2.], dtype=float32)
    """

    def register(thing: Any) -> Any:
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(f"Cannot register a class without get_config(), received {thing}.")
        _registered[f"{package}>{name or thing.__name__}"] = thing
        return thing

    return register


def get_custom_objects() -> dict[str, Any]:
    """Return the registry of users' objects by name: the dict itself, which may be changed."""
    return _registered


class CustomObjectScope:
    """A context in which names stand for the user's own objects: ``{name: object}``.

    >>> import tinynet as tn
    >>> with CustomObjectScope({"double": lambda x: 2 * x}):
    ...     layer = tn.layers.Activation("double")
    >>> layer([1.0])
    tensor([2.], dtype=float32)
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        is_table = custom_objects is None or isinstance(custom_objects, Mapping)
        expect(is_table, "custom_objects", "a dict of names and objects", custom_objects)
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        self._before, _state.scope = _state.scope, _state.scope | self.custom_objects
        return self

    def __exit__(self, *_: Any) -> None:
        _state.scope = self._before


custom_object_scope = CustomObjectScope


def get_registered_name(obj: Any) -> str:
    """Return the name under which `obj` is registered, else its own name."""
    name = getattr(obj, "__name__", None)
    expect(name, "obj", "a class or function", obj, TypeError)
    return next((name for name, known in _registered.items() if known is obj), str(name))


@answering
def get_registered_object(
    name: Any,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return the object called `name` in the scope, the registry or these tables, else None."""
    tables = (_state.scope, _registered, custom_objects or {}, module_objects or {})
    return next((table[name] for table in tables if name in table), None)


def noting_custom_objects(found: dict[str, Any]) -> temporarily:
    """Return a context that adds the users' objects of all configs written in it to `found`."""
    return temporarily(_state, custom=found)


# -- objects to configs ----------------------------------------------------------------------------


def sharing() -> temporarily:
    """Return a context in which an object that several configs contain remains one object."""
    return temporarily(_state, shared={})


@answering
def serialize_keras_object(obj: Any) -> Any:
    """Return plain data that describes `obj`, as Keras writes it.

    Numbers, strings and None stay as they are; lists, tuples and dicts are described part by part,
    arrays and tensors by their numbers, functions by their names. Other objects become
    ``{"module", "class_name", "config", "registered_name"}`` with the result of `get_config`.

    Raises
    ------
    TypeError
        For an object without `get_config`.
    ValueError
        For a function that its name does not identify: a lambda, or a function with the name of
        one in tinynet.

    >>> import tinynet as tn
    >>> serialize_keras_object(tn.initializers.Constant(2.0))["config"]
    {'value': 2.0}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        return (tuple if isinstance(obj, tuple) else list)(map(serialize_keras_object, obj))
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and not obj.ndim):
        return obj.item()
    for class_name, (cls, config_of, _) in _SPECIAL.items():
        if isinstance(obj, cls):
            return {"class_name": class_name, "config": config_of(obj)}
    return _describe(obj) if hasattr(obj, "get_config") else _function_config(obj)


def _array_config(array: Any) -> dict[str, Any]:
    return {"value": np.asarray(array).tolist(), "dtype": array.dtype.name}


_ENDS = ("start", "stop", "step")


def _slice_config(ends: slice) -> dict[str, Any]:
    return {key: serialize_keras_object(getattr(ends, key)) for key in _ENDS}


# Values by the name that Keras gives to their type: the type, its config, and the inverse.
_SPECIAL: dict[str, tuple[Any, Callable[[Any], dict[str, Any]], Callable[[Any], Any]]] = {
    "DTypePolicy": ((), dict, lambda x: x["name"]),  # only read
    "__bytes__": (bytes, lambda x: {"value": x.decode()}, lambda x: x["value"].encode()),
    "__ellipsis__": (type(...), lambda x: {}, lambda x: ...),
    "__numpy__": (np.ndarray, _array_config, lambda x: to_array(x["value"], x["dtype"])),
    "__slice__": (slice, _slice_config, lambda x: slice(*map(x.get, _ENDS))),
    "__tensor__": (Tensor, _array_config, lambda x: Tensor(x["value"], x["dtype"])),
}


def _function_config(function: Any) -> dict[str, Any]:
    """Return the config of a function: its name."""
    if not hasattr(function, "__name__"):
        raise TypeError(f"Cannot serialize {function}: its class must define `get_config()`.")
    name = get_registered_name(function)
    known = _function(name)
    ours = package_of(function) in ("tinynet", "numpy")
    if name == "<lambda>" or (known not in (None, function) and not ours):
        problem = f"'{name}' does not identify it. Give it another name by `def`, or {_REGISTER}"
        raise ValueError(f"Cannot serialize {function}{location()}: {problem}")
    if known is None or not ours:
        _custom_name(function)
    return dict(zip(_KEYS, ("builtins", "function", name, "function"), strict=True))


def _describe(obj: Any) -> dict[str, Any]:
    """Return the config of an object that has `get_config`."""
    cls = type(obj)
    module = next((m for m, table in MODULES.items() if table.get(cls.__name__) is cls), None)
    registered = cls.__name__ if module and ".src." in module else None
    if module is None:
        module = None if cls.__module__ == "__main__" else cls.__module__
        registered = _custom_name(cls)
    with _in_object(cls.__name__, getattr(obj, "name", None)):
        config = obj.get_config()
        if not isinstance(config, dict):
            raise TypeError(f"{cls.__name__}.get_config() must return a dict, received {config}.")
        values = (module, cls.__name__, serialize_keras_object(config), registered)
        found = dict(zip(_KEYS, values, strict=True))
        for key in ("build_config", "compile_config"):
            more = getattr(obj, f"get_{key}", lambda: None)()
            if more is not None:
                found[key] = serialize_keras_object(more)
    if _state.shared is not None:
        # The object is kept too, so that no new object gets its id.
        _, first = _state.shared.setdefault(("written", id(obj)), (obj, found))
        if first is not found:
            first["shared_object_id"] = found["shared_object_id"] = id(obj)
    return found


def _custom_name(thing: Any) -> str:
    """Return the registered name of a user's object, and report it to `noting_custom_objects`."""
    name = get_registered_name(thing)
    if _state.custom is not None:
        _state.custom[name] = thing
    return name


def _in_object(kind: Any, name: Any) -> temporarily:
    """Return a context that adds an object to `location`, with its name if it has one."""
    return temporarily(_state, path=(*_state.path, f"{kind} '{name}'" if name else str(kind)))


def location() -> str:
    """Return the path of the config that is read or written, for messages."""
    return f" (in {' > '.join(_state.path)})" if _state.path else ""


# -- configs to objects ----------------------------------------------------------------------------


@answering
def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return the object that a config describes: the inverse of `serialize_keras_object`.

    Parameters
    ----------
    config : dict, list, str, number or None
    custom_objects : dict of names and objects, optional
    safe_mode : bool
        Accepted as in Keras, and without effect: code in a config is never run.
    module_objects : dict of names and objects, optional
        Searched first for names without a module.

    Raises
    ------
    ValueError
        For an unknown class or function, with its location in the config; for code (lambdas).

    >>> import tinynet as tn
    >>> layer = tn.layers.Dense(3, name="mine")
    >>> deserialize_keras_object(serialize_keras_object(layer))
    <Dense name=mine, built=False>
    """
    with CustomObjectScope(custom_objects):
        return deserialize_part(config, module_objects or {})


def deserialize_part(config: Any, table: Mapping[str, Any]) -> Any:
    """Return the object that a part of a config describes; names are searched in `table` first."""
    if isinstance(config, _PLAIN):  # the name of a custom object stands for the object
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, (list, tuple)):
        return [deserialize_part(part, table) for part in config]
    if not isinstance(config, dict):
        raise ValueError(f"Could not parse config: {config!r}{location()}")
    if "class_name" not in config or "config" not in config:
        return {key: deserialize_part(value, table) for key, value in config.items()}
    inner = config["config"]
    with _in_object(config["class_name"], isinstance(inner, dict) and inner.get("name")):
        return _deserialize_object(config, table)


def _deserialize_object(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    name, inner = config["class_name"], config["config"]
    if isinstance(name, str) and name in _SPECIAL:
        return _SPECIAL[name][-1](inner)
    shared, known = config.get("shared_object_id"), _state.shared
    if known and shared in known:
        return known[shared]
    found = cls = class_named(config, table)
    if found is None:
        raise ValueError(f"Unknown {name!r} of {config.get('module')!r}{location()}. {ADVICE}")
    if not isinstance(found, type):
        return found
    try:
        thing = cls.from_config(inner)
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        reason = f"{location()}: {type(error).__name__}: {error}"
        raise ValueError(f"{cls} could not be created from its config{reason}") from error
    if config.get("build_config") and not getattr(thing, "built", True):
        thing.build_from_config(config["build_config"])
        thing.built = True
    if config.get("compile_config"):
        thing.compile_from_config(config["compile_config"])
    if known is not None and shared is not None:
        known[shared] = thing
    return thing


def class_named(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    """Return the class or function that a config names, None if it is unknown.

    ValueError for code, which Keras writes for a lambda.
    """
    name, inner = config.get("class_name"), config.get("config")
    if name == "function":
        found = _function(inner, table) if isinstance(inner, str) else None
        old = (f for key, f in _registered.items() if key.endswith(f">{inner}"))  # Keras 3.6
        return next(old, None) if found is None else found
    registered, module = config.get("registered_name"), config.get("module")
    if not all(isinstance(x, (str, type(None))) for x in (name, registered, module)):
        return None
    ours = _published().get(module, {}).get(name or "") if module else None
    found = get_registered_object(registered) or ours
    found = found or get_registered_object(name, module_objects=table)
    if found is None and name == "__lambda__":
        raise ValueError(f"tinynet never runs the Python code of a config{location()}. {ADVICE}")
    return found


def _function(name: str, table: Mapping[str, Any] = {}) -> Any:
    """Return the user's function of this name, or the one in any module, else None."""
    found = get_registered_object(name, module_objects=table)
    builtin = (known.get(name) for known in _published().values())
    functions = (f for f in builtin if isinstance(f, FunctionType))
    return next(functions, None) if found is None else found
