"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``."""

from .base import KerasTensor, Layer
from .core import Activation, Dense, Input, InputLayer

__all__ = ["Activation", "Dense", "Input", "InputLayer", "KerasTensor", "Layer"]
