"""Utilities, under Keras's path: ``tinynet.utils.set_random_seed(0)``."""

from .engine.tensor import floatx, set_floatx
from .random import set_random_seed
from .registry import clear_session

__all__ = ["clear_session", "floatx", "set_floatx", "set_random_seed"]
