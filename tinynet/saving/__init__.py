"""Saving: models as files that Keras reads, and configs, under Keras's path.

Read next: `archive.py`, then `weights.py`.
"""

from ..configs.serialization import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from .archive import load_model, load_weights, model_of, save_model, save_weights
from .files import refusing

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "model_of",
    "refusing",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
