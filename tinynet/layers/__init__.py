"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``. Read next: `base.py`."""

from typing import Any

from ..configs.lookup import publish
from .base import Layer as Layer
from .core import Dense as Dense, Input as Input, InputLayer as InputLayer
from .merging import (
    Add as Add,
    Average as Average,
    Concatenate as Concatenate,
    Maximum as Maximum,
    Minimum as Minimum,
    Multiply as Multiply,
    Subtract as Subtract,
    add as add,
    average as average,
    concatenate as concatenate,
    maximum as maximum,
    minimum as minimum,
    multiply as multiply,
    subtract as subtract,
)
from .module import INSTEAD
from .preprocessing import Normalization as Normalization, Rescaling as Rescaling
from .regularization import Dropout as Dropout
from .symbolic import KerasTensor as KerasTensor
from .weightless import (
    ELU as ELU,
    Activation as Activation,
    Flatten as Flatten,
    LeakyReLU as LeakyReLU,
    ReLU as ReLU,
    Reshape as Reshape,
    Softmax as Softmax,
)

_names = list(vars().values())
publish("keras.layers", *(c for c in _names if isinstance(c, type) and issubclass(c, Layer)))


def __getattr__(name: str) -> Any:
    """Raise AttributeError, which for Keras's other layers says what to do instead."""
    problem = f"module {__name__!r} has no attribute {name!r}"
    if name[:1].isupper():
        problem += f": tinynet has the layers of dense networks alone. {INSTEAD}"
    raise AttributeError(problem)
