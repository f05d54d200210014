"""Placeholders, which stand for tensors in a graph of layers, and the context of calls.

The context says where a call takes place: inside which layers, in training or not.

Imports the engine and `configs`. Read next: `shapes.py`.
"""

from __future__ import annotations

import itertools
import threading
from importlib import import_module
from typing import Any
from weakref import WeakKeyDictionary

from .. import ops, tree
from ..configs.files import memory
from ..configs.lookup import unique_name
from ..engine.operators import NOT_REFLECTED, REFLECTED, Placeholder
from ..engine.temporarily import temporarily

Shape = tuple[int | None, ...]


# -- the context of calls -------------------------------------------------------------------------

# Held while a layer is built and first called, so that two threads do not build it twice.
building = threading.RLock()


class _Context(threading.local):
    """The state of calls in this thread."""

    scope: tuple[Any, ...] = ()  # the layers that are being called or built, outermost first
    training: bool | None = None  # None is unknown: layers have their own defaults
    inside = False  # is a layer being called?
    notes = False  # do losses update their means in the logs? (within steps only)

    def __init__(self) -> None:
        # For each layer what it added to the loss, in the last outermost call that reached it.
        self.losses: Any = WeakKeyDictionary()


context = _Context()


def within(**changes: Any) -> temporarily:
    """Change the `context` of calls, and restore it on leaving."""
    return temporarily(context, **changes)


# -- placeholders ---------------------------------------------------------------------------------


class LayerCall:
    """One call of a layer on placeholders, which is a node of a graph of layers.

    Attributes
    ----------
    layer : Layer
    args : tuple
        The positional arguments: placeholders, structures of them, or values.
    options : dict
        The keyword arguments.
    inputs : list of KerasTensor
        The placeholders among all arguments; empty for an input layer.
    outputs : list of KerasTensor
    number : int
        Later calls have larger numbers.
    """

    def __init__(self, layer: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.layer, self.args, self.options = layer, args, options
        self.inputs = placeholders_in((args, options))
        self.outputs: list[KerasTensor] = []
        self.number = next(_numbers)
        layer.first_call = layer.first_call or self
        layer.symbolic_calls = (*layer.symbolic_calls, self.number)


_numbers = itertools.count()


class KerasTensor(Placeholder):
    """A placeholder in a graph of layers: a shape and a dtype, no numbers.

    Made by `Input`, and by calling a layer on another placeholder. A length of None is unknown.
    Operators, indexing and the functions of `ops` give further placeholders.
    """

    sparse = ragged = False  # as in Keras

    def __init__(
        self, shape: Shape, dtype: str = "float32", call: Any = None, name: str | None = None
    ) -> None:
        memory.allocator.check(shape, dtype)
        self.shape, self.dtype, self.call = tuple(shape), dtype, call
        self.name = name or unique_name("keras_tensor")
        if call is not None:
            call.outputs.append(self)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def _call_of(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Loaded when it is needed, and by name, as layers import this module.
        return import_module("tinynet.layers.operation").operation(name, args, kwargs)

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def __iter__(self) -> Any:
        raise NotImplementedError("Iterating over a symbolic KerasTensor is not supported.")

    def __round__(self, ndigits: int | None = None) -> Any:
        return ops.round(self, ndigits or 0)

    def _no_numbers(self, *_: Any, **__: Any) -> Any:
        raise ValueError(f"{self!r} is symbolic, without numbers: call a layer on it.")

    __array__ = __float__ = __int__ = _no_numbers
    __array_ufunc__ = None  # NumPy leaves its operators to ours

    def __repr__(self) -> str:
        about = f"shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False"
        return f"<KerasTensor {about}, name={self.name}>"


def _reflected(function: Any) -> Any:
    return lambda self, other: function(other, self)


def _give_operators() -> None:
    """Give placeholders the operators of tensors, except ``==``: placeholders are keys of dicts."""
    for name, function in {**REFLECTED, **NOT_REFLECTED}.items():
        called = {"divide": "true_divide", "remainder": "mod"}.get(function.__name__)
        ours = getattr(ops, called or function.__name__)
        if name != "__eq__":
            setattr(KerasTensor, name, ours)
        if name in REFLECTED:
            setattr(KerasTensor, name.replace("__", "__r", 1), _reflected(ours))
    KerasTensor.reshape, KerasTensor.squeeze = ops.reshape, ops.squeeze  # type: ignore[attr-defined]


_give_operators()


def of_first(part: str) -> Any:
    """Return a property of layers: the placeholders of their first call, one or a list."""

    def attribute(layer: Any) -> Any:
        if layer.first_call is None:
            raise AttributeError(f"Layer '{layer.name}' has no {part}: never called.")
        found = getattr(layer.first_call, part)
        return found[0] if len(found) == 1 else found

    return property(attribute, doc=f"The {part} of the first call: a placeholder, or a list.")


def placeholders_in(arguments: Any) -> list[KerasTensor]:
    """Return the placeholders in a structure of any values, in order."""
    return [x for x in tree.flatten(arguments) if isinstance(x, KerasTensor)]
