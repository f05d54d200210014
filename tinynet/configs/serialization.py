"""Objects and configs: what Keras writes of an object is plain data, which JSON can hold.

There is one way for all kinds of objects, from models to plain functions. Nothing is imported or
run because a config says so: what it names is in one of the tables here, or is refused.

Imports the engine's tensors. Read next: `registry.py`, where names are looked up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, to_array

# Keras's modules by name, and what we have of them by name.
MODULES: dict[str, dict[str, Any]] = {}

_PLAIN = (str, int, float, bool, type(None))
ADVICE = (
    "What is your own is found when it is among `custom_objects`, or was registered by "
    "`tinynet.saving.register_keras_serializable()`."
)


def publish(module: str, *things: Any) -> None:
    """Let configs name these classes and functions as what Keras has in `module`."""
    MODULES.setdefault(module, {}).update({thing.__name__: thing for thing in things})


def _published() -> dict[str, dict[str, Any]]:
    """Return `MODULES`, complete: `models` imports whatever publishes; `import tinynet` does not."""
    import_module(f"{__name__.partition('.')[0]}.models")
    return MODULES


class _State(threading.local):
    """What holds in this thread while configs are read or written."""

    scope: dict[str, Any] = {}  # the objects of `custom_object_scope`
    where: tuple[str, ...] = ()  # within which objects we are, for messages
    shared: dict[Any, Any] | None = None  # within `sharing`, objects and their configs by id
    seen: dict[str, Any] | None = None  # within `noting_custom_objects`, users' objects by name


_state = _State()


@contextmanager
def _within(**changes: Any) -> Iterator[None]:
    before = {key: getattr(_state, key) for key in changes}
    vars(_state).update(changes)
    try:
        yield
    finally:
        vars(_state).update(before)


# -- users' own objects ----------------------------------------------------------------------------

_registered: dict[str, Any] = {}


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Any:
    """Return a decorator that makes a class or function known as ``package>name``.

    Models that use it can then be saved and loaded without `custom_objects`.

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
            raise ValueError(
                "Cannot register a class that does not have a get_config() method. Received: "
                f"{thing}"
            )
        _registered[f"{package}>{name or thing.__name__}"] = thing
        return thing

    return register


def get_custom_objects() -> dict[str, Any]:
    """Return the registered objects by name: the dict itself, to be changed."""
    return _registered


class CustomObjectScope:
    """A context within which names stand for objects of the user's own: ``{name: object}``.

    >>> import tinynet as tn
    >>> with CustomObjectScope({"double": lambda x: 2 * x}):
    ...     layer = tn.layers.Activation("double")
    >>> layer([1.0])
    tensor([2.], dtype=float32)
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        self._before, _state.scope = _state.scope, {**_state.scope, **self.custom_objects}
        return self

    def __exit__(self, *_: Any) -> None:
        _state.scope = self._before


custom_object_scope = CustomObjectScope


def get_registered_name(obj: Any) -> str:
    """Return the name under which `obj` is registered, else its own."""
    return next((name for name, known in _registered.items() if known is obj), obj.__name__)


def get_registered_object(
    name: Any,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Return what `name` stands for in the scope, the registry or these tables; None if nothing."""
    tables = (_state.scope, _registered, custom_objects or {}, module_objects or {})
    return next((table[name] for table in tables if name in table), None)


@contextmanager
def noting_custom_objects() -> Iterator[dict[str, Any]]:
    """Yield a dict that gets the users' objects of all configs that are written meanwhile."""
    with _within(seen={}):
        yield _state.seen  # type: ignore[misc]


# -- objects to configs ----------------------------------------------------------------------------


@contextmanager
def sharing() -> Iterator[None]:
    """Let an object that is met several times while configs are written or read be one object."""
    with _within(shared={}):
        yield


def serialize_keras_object(obj: Any) -> Any:
    """Return plain data that describes `obj`, as Keras writes it.

    Numbers, strings and None are themselves; lists, tuples and dicts are described part by part;
    arrays and tensors by their numbers; functions by their names; other objects by
    ``{"module", "class_name", "config", "registered_name"}`` with what `get_config` returns.

    Raises
    ------
    TypeError
        For an object without `get_config`.
    ValueError
        For a function that could not be found again by its name: a lambda, or one that has the
        name of another that is here.

    >>> import tinynet as tn
    >>> serialize_keras_object(tn.initializers.Constant(2.0))["config"]
    {'value': 2.0}
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, (list, tuple)):
        parts = [serialize_keras_object(part) for part in obj]
        return tuple(parts) if isinstance(obj, tuple) else parts
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and not obj.ndim):
        return obj.item()
    if isinstance(obj, (Tensor, np.ndarray)):
        kind = "__tensor__" if isinstance(obj, Tensor) else "__numpy__"
        return _special(kind, value=np.asarray(obj).tolist(), dtype=obj.dtype.name)
    if isinstance(obj, bytes):
        return _special("__bytes__", value=obj.decode("utf-8"))
    if isinstance(obj, slice):
        ends = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return _special("__slice__", **serialize_keras_object(ends))
    if obj is ...:
        return _special("__ellipsis__")
    return _described(obj) if hasattr(obj, "get_config") else _named(obj)


def _special(class_name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": config}


def _named(function: Any) -> dict[str, Any]:
    """Return the config of a function: its name."""
    if not hasattr(function, "__name__"):
        raise TypeError(
            f"Cannot serialize object {function} of type {type(function)}. To be serializable, a "
            "class must implement the `get_config()` method."
        )
    name = get_registered_name(function)
    known = _function(name)
    ours = str(getattr(function, "__module__", None)).partition(".")[0] in ("tinynet", "numpy")
    if name == "<lambda>" or (known not in (None, function) and not ours):
        raise ValueError(
            f"Cannot serialize the function {function}{place()}: by its name '{name}' it would "
            "not be found again. Define it by `def` under a name of its own, or register it by "
            "`tinynet.saving.register_keras_serializable(package)`."
        )
    if known is None or not ours:
        _note(name, function)
    return {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": "function",
    }


def _described(obj: Any) -> dict[str, Any]:
    """Return the config of an object that has `get_config`."""
    cls = type(obj)
    module, name = _public_place(cls)
    registered: str | None = name if module and ".src." in module else None
    if module is None:
        module, registered = cls.__module__, get_registered_name(cls)
        _note(registered, cls)
    with _at(obj):
        config = obj.get_config()
        if not isinstance(config, dict):
            raise TypeError(
                f"The `get_config()` method of {obj} should return a dict. It returned: {config}"
            )
        found = {
            "module": None if module == "__main__" else module,
            "class_name": name,
            "config": serialize_keras_object(config),
            "registered_name": registered,
        }
        for key in ("build_config", "compile_config"):
            more = getattr(obj, f"get_{key}", lambda: None)()
            if more is not None:
                found[key] = serialize_keras_object(more)
    if _state.shared is not None:
        # With the object, so that its id stays taken.
        _, first = _state.shared.setdefault(("written", id(obj)), (obj, found))
        if first is not found:
            first["shared_object_id"] = found["shared_object_id"] = id(obj)
    return found


def _public_place(cls: type) -> tuple[str | None, str]:
    """Return the module and the name under which Keras has a class of ours."""
    for module, table in MODULES.items():
        if table.get(cls.__name__) is cls:
            return module, cls.__name__
    return None, cls.__name__


def _note(name: str, thing: Any) -> None:
    if _state.seen is not None:
        _state.seen[name] = thing


@contextmanager
def _at(thing: Any) -> Iterator[None]:
    """Tell messages that we are within an object, or what a config says is one."""
    if isinstance(thing, dict):
        config, kind = thing["config"], thing["class_name"]
        name = config.get("name") if isinstance(config, dict) else None
    else:
        kind, name = type(thing).__name__, getattr(thing, "name", None)
    with _within(where=(*_state.where, f"{kind} '{name}'" if name else str(kind))):
        yield


def place() -> str:
    """Return in words where in a config we are."""
    return f" (in {' > '.join(_state.where)})" if _state.where else ""


# -- configs to objects ----------------------------------------------------------------------------


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
        Accepted as in Keras. Code in a config is never run, whatever this is.
    module_objects : dict of names and objects, optional
        Where to look first for what comes without a module.

    Raises
    ------
    ValueError
        For a class or function that is not here, with its place; for code (lambdas).

    >>> import tinynet as tn
    >>> layer = tn.layers.Dense(3, name="mine")
    >>> deserialize_keras_object(serialize_keras_object(layer))
    <Dense name=mine, built=False>
    """
    with CustomObjectScope(custom_objects):
        return made(config, module_objects or {})


def made(config: Any, table: Mapping[str, Any]) -> Any:
    """Return what `deserialize_keras_object` does, looking in `table` first."""
    if isinstance(config, str):  # the name of a custom object stands for it
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        return [made(part, table) for part in config]
    if not isinstance(config, dict):
        raise ValueError(f"Could not parse config: {config!r}{place()}")
    if "class_name" not in config or "config" not in config:
        return {key: made(value, table) for key, value in config.items()}
    with _at(config):
        return _object(config, table)


def _object(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    name, inner = config["class_name"], config["config"]
    if isinstance(name, str) and name in _SPECIAL:
        return _SPECIAL[name](inner)
    shared = config.get("shared_object_id")
    if _state.shared is not None and shared is not None and shared in _state.shared:
        return _state.shared[shared]
    found = find(config, table)
    if found is None:
        raise ValueError(
            f"tinynet has no {name!r} of module {config.get('module')!r}{place()}. {ADVICE} What "
            "is Keras's own and not here can be used in Keras alone."
        )
    if not isinstance(found, type):
        return found
    if not isinstance(inner, dict) or not hasattr(found, "from_config"):
        raise ValueError(
            f"Expected a config that is a dict, and a class with from_config(){place()}. Received: "
            f"{found} and {inner!r}"
        )
    try:
        thing = found.from_config(inner)
    except (TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{found} could not be made from its config{place()}: {type(error).__name__}: {error}"
        ) from error
    if config.get("build_config") and not getattr(thing, "built", True):
        thing.build_from_config(config["build_config"])
        thing.built = True
    if config.get("compile_config"):
        thing.compile_from_config(config["compile_config"])
    if _state.shared is not None and shared is not None:
        _state.shared[shared] = thing
    return thing


def find(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    """Return the class or function that a config names, None if there is none.

    ValueError for code, which Keras writes for a lambda.
    """
    name, inner = config.get("class_name"), config.get("config")
    if name == "function":
        return _function(inner, table) if isinstance(inner, str) else None
    registered, module = config.get("registered_name"), config.get("module")
    if not all(isinstance(x, (str, type(None))) for x in (name, registered, module)):
        return None
    found = get_registered_object(registered)
    if found is None:
        found = _published().get(module or "", {}).get(name or "")
    if found is None:
        found = get_registered_object(name, module_objects=table)
    if found is None and name in ("__lambda__", "Lambda"):
        raise ValueError(
            f"This config holds Python code{place()}, which tinynet never runs: make a function or "
            "Layer of your own of it, and pass that in `custom_objects`."
        )
    return found


def _function(name: str, table: Mapping[str, Any] = {}) -> Any:
    """Return the function of this name: the user's, or in any module; None if there is none."""
    found = get_registered_object(name, module_objects=table)
    builtin = (known.get(name) for known in _published().values())
    functions = (f for f in builtin if isinstance(f, FunctionType))
    return next(functions, None) if found is None else found


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "DTypePolicy": lambda config: config["name"],
    "__bytes__": lambda config: config["value"].encode("utf-8"),
    "__ellipsis__": lambda config: ...,
    "__numpy__": lambda config: to_array(config["value"], config["dtype"]),
    "__slice__": lambda config: slice(*(config[key] for key in ("start", "stop", "step"))),
    "__tensor__": lambda config: Tensor(config["value"], config["dtype"]),
}
