"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``."""

from ..objects import publish
from .base import KerasTensor, Layer
from .core import Activation, Dense, Input, InputLayer

__all__ = ["Activation", "Dense", "Input", "InputLayer", "KerasTensor", "Layer"]

_known = list(vars().values())
publish("keras.layers", *(c for c in _known if isinstance(c, type) and issubclass(c, Layer)))
