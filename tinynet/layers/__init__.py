"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``."""

from typing import Any

from ..configs.serialization import publish
from .base import Layer
from .core import Dense, Input, InputLayer
from .merging import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .module import INSTEAD
from .preprocessing import Normalization, Rescaling
from .regularization import Dropout
from .symbolic import KerasTensor
from .weightless import ELU, Activation, Flatten, LeakyReLU, ReLU, Reshape, Softmax

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "Concatenate",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "InputLayer",
    "KerasTensor",
    "Layer",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

_known = list(vars().values())
publish("keras.layers", *(c for c in _known if isinstance(c, type) and issubclass(c, Layer)))


def __getattr__(name: str) -> Any:
    """Raise AttributeError; for what may be a layer of Keras's, saying what to do instead."""
    problem = f"module {__name__!r} has no attribute {name!r}"
    if name[:1].isupper():
        problem += f": tinynet has the layers of dense networks alone. {INSTEAD}"
    raise AttributeError(problem)
