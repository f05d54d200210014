"""Placeholders, which stand for tensors in a graph of layers, and where a call takes place.

Imports the engine, `configs/`. Read next: `base.py`.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..configs.lookup import unique_name
from ..engine.temporarily import temporarily
from ..engine.tensor import as_dtype

Shape = tuple[int | None, ...]


class Node(NamedTuple):
    """One call of a layer on placeholders; the input layer's has no inputs."""

    layer: Any
    inputs: Any  # a structure of KerasTensors
    outputs: list[KerasTensor]
    options: dict[str, Any] = {}  # the keywords of the call


class KerasTensor:
    """A placeholder in a graph of layers: a shape and a dtype, no numbers.

    Made by `Input`, and by calling a layer on another one. A length of None is any length.
    """

    def __init__(self, shape: Shape, dtype: str, node: Node, name: str | None = None) -> None:
        claim(shape, dtype, once=True)
        self.shape = shape
        self.dtype = dtype
        self.node = node
        self.number = next(_numbers)  # placeholders made later have larger ones
        self.name = name or unique_name("keras_tensor")
        node.outputs.append(self)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __bool__(self) -> bool:
        raise TypeError("A symbolic KerasTensor cannot be used as a boolean.")

    def _no_numbers(self, *_: Any, **__: Any) -> Any:
        raise ValueError(
            f"{self!r} is symbolic: it has a shape and a dtype, but no numbers. Compute with it in "
            "the `call` of a Layer, or call the model on data."
        )

    __array__ = __float__ = __int__ = __add__ = __radd__ = __sub__ = __rsub__ = _no_numbers
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __matmul__ = __neg__ = _no_numbers

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self.shape}, dtype={self.dtype}, sparse=False, ragged=False, "
            f"name={self.name}>"
        )


_numbers = itertools.count()


class _Context(threading.local):
    """Where this thread is: within which layers (for the paths of weights), in training or not."""

    scope: tuple[Any, ...] = ()
    training = False
    allowance: int | None = None  # while a file is loaded: the bytes that its weights may take
    inside = False  # is a layer being called?

    def __init__(self) -> None:
        # What layers added to the loss, each in the last call from outside that it took part in.
        self.losses: Any = WeakKeyDictionary()


context = _Context()


def within(**changes: Any) -> temporarily:
    """Change the `context` of calls, and restore it on leaving."""
    return temporarily(context, **changes)


def claim(shape: Shape, dtype: Any, once: bool = False) -> None:
    """Raise ValueError if a file that is being loaded asks for more memory than it may.

    With `once` only for this shape by itself, which is not to be held.
    """
    if context.allowance is None:
        return
    size = math.prod(n for n in shape if n is not None) * as_dtype(dtype).itemsize
    if size > context.allowance:
        raise ValueError(
            f"it describes an array of shape {shape}, but such a file may have {context.allowance} "
            "more bytes of them"
        )
    if not once:
        context.allowance -= size


def map_shapes(f: Callable[[Shape], Any], shapes: Any) -> Any:
    """Return `f` of a shape, or of each in a structure of shapes, in the same structure."""
    if isinstance(shapes, dict):
        return {key: map_shapes(f, shape) for key, shape in sorted(shapes.items())}
    if all(n is None or isinstance(n, (int, np.integer)) for n in shapes):
        return f(tuple(shapes))
    return [map_shapes(f, shape) for shape in shapes]


def common_shape(first: tuple[int, ...], second: tuple[int, ...]) -> Shape:
    return tuple(a if a == b else None for a, b in zip(first, second, strict=True))


def to_shape(value: Any) -> Shape:
    """Return what a user gave for a shape as a tuple of lengths, None for any.

    Raises
    ------
    ValueError
        ``Cannot convert '3' to a shape.``
    """
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"Cannot convert '{value}' to a shape.")
    for n in value:
        if n is not None and (not isinstance(n, (int, np.integer)) or n < 0):
            raise ValueError(
                f"Cannot convert '{value}' to a shape. Found invalid dimension '{n}': expected "
                "None or an integer of at least 0."
            )
    return tuple(None if n is None else int(n) for n in value)
