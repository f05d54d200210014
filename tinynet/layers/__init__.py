"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``. Read next: `base.py`."""

from typing import Any

from ..configs.lookup import publish
from .base import Layer as Layer
from .core import Dense as Dense, Input as Input, InputLayer as InputLayer
from .merging import Add as Add, Average as Average, Concatenate as Concatenate
from .merging import Maximum as Maximum, Minimum as Minimum, Multiply as Multiply
from .merging import Subtract as Subtract, subtract as subtract
from .merging import add as add, average as average, concatenate as concatenate
from .merging import maximum as maximum, minimum as minimum, multiply as multiply
from .module import INSTEAD
from .preprocessing import Normalization as Normalization, Rescaling as Rescaling
from .regularization import Dropout as Dropout
from .symbolic import KerasTensor as KerasTensor
from .weightless import ELU as ELU, Activation as Activation, LeakyReLU as LeakyReLU
from .weightless import ReLU as ReLU, Softmax as Softmax
from .weightless import Flatten as Flatten, Reshape as Reshape

_names = list(vars().values())
publish("keras.layers", *(c for c in _names if isinstance(c, type) and issubclass(c, Layer)))


def __getattr__(name: str) -> Any:
    """Raise AttributeError, which for Keras's other layers says what to do instead."""
    problem = f"module {__name__!r} has no attribute {name!r}"
    if name[:1].isupper():
        problem += f": tinynet has the layers of dense networks alone. {INSTEAD}"
    raise AttributeError(problem)
