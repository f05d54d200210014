"""Placeholders, which stand for tensors in a graph of layers, and the context of calls.

The context says where a call takes place: inside which layers, in training or not.

Imports the engine and `configs`. Read next: `module.py`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from ..configs.lookup import unique_name
from ..engine.expect import expect, is_integer
from ..engine.temporarily import temporarily

Shape = tuple[int | None, ...]


# -- the context of calls -------------------------------------------------------------------------

# Held while a layer is built and first called, so that two threads do not build it twice.
building = threading.RLock()


class Allocator:
    """Makes the arrays of weights. A context may have another one, such as one with a limit."""

    def weight(self, initializer: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the first values of a weight."""
        return initializer(shape, dtype)

    def check(self, shape: Shape, dtype: Any) -> None:
        """Raise ValueError if there may be no array of this shape."""


class _Context(threading.local):
    """The state of calls in this thread."""

    scope: tuple[Any, ...] = ()  # the layers that are being called or built, outermost first
    training = False
    inside = False  # is a layer being called?
    allocator = Allocator()

    def __init__(self) -> None:
        # For each layer what it added to the loss, in the last outermost call that reached it.
        self.losses: Any = WeakKeyDictionary()


context = _Context()


def within(**changes: Any) -> temporarily:
    """Change the `context` of calls, and restore it on leaving."""
    return temporarily(context, **changes)


def scope_of(layer: Any) -> tuple[Any, ...]:
    """Return the scope of what happens inside `layer`."""
    return context.scope if layer in context.scope else (*context.scope, layer)


# -- placeholders ---------------------------------------------------------------------------------


class LayerCall:
    """One call of a layer on placeholders, which is a node of a graph of layers.

    Attributes
    ----------
    layer : Layer
    inputs : KerasTensor, or a structure of them
        Empty for an input layer.
    options : dict
        The keywords of the call.
    outputs : list of KerasTensor
    number : int
        Later calls have larger numbers.
    """

    def __init__(self, layer: Any, inputs: Any, options: dict[str, Any] | None = None) -> None:
        self.layer, self.inputs, self.options = layer, inputs, options or {}
        self.outputs: list[KerasTensor] = []
        self.number = next(_numbers)
        layer.symbolic_calls = (*layer.symbolic_calls, self.number)


_numbers = itertools.count()


class KerasTensor:
    """A placeholder in a graph of layers: a shape and a dtype, no numbers.

    Made by `Input`, and by calling a layer on another placeholder. A length of None is unknown.
    """

    def __init__(self, shape: Shape, dtype: str, call: LayerCall, name: str | None = None) -> None:
        context.allocator.check(shape, dtype)
        self.shape, self.dtype, self.call = shape, dtype, call
        self.name = name or unique_name("keras_tensor")
        call.outputs.append(self)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def _no_numbers(self, *_: Any, **__: Any) -> Any:
        raise ValueError(f"{self!r} is symbolic, without numbers: call a layer on it.")

    __array__ = __float__ = __int__ = __add__ = __radd__ = __sub__ = __rsub__ = _no_numbers
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = __neg__ = _no_numbers

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, "
            f"name={self.name}>"
        )


# -- shapes ---------------------------------------------------------------------------------------


def map_shapes(f: Callable[[Shape], Any], shapes: Any) -> Any:
    """Return `f` of a shape, or of each in a structure of shapes, in the same structure."""
    if isinstance(shapes, dict):
        return {key: map_shapes(f, shape) for key, shape in sorted(shapes.items())}
    expect(isinstance(shapes, Iterable) and not isinstance(shapes, str), "shape", "lengths", shapes)
    if all(n is None or is_integer(n) for n in shapes):
        return f(tuple(shapes))
    return [map_shapes(f, shape) for shape in shapes]


def to_shape(value: Any, name: str = "shape", least: int = 0) -> Shape:
    """Return a shape, given as a list or tuple of lengths, as a tuple; None is an unknown length.

    ValueError for another type, or a length that is not an integer of at least `least`.
    """
    lengths = value if isinstance(value, (list, tuple)) else [value, -1]
    if not all(n is None or (is_integer(n) and n >= least) for n in lengths):
        raise ValueError(f"Expected lengths of at least {least} or None, received {name}={value}.")
    return tuple(None if n is None else int(n) for n in value)
