"""Utilities, under Keras's path: ``tinynet.utils.set_random_seed(0)``."""

from .engine.tensor import floatx, set_floatx
from .objects import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from .progress import Progbar
from .random import set_random_seed
from .registry import clear_session

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "floatx",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_floatx",
    "set_random_seed",
]
