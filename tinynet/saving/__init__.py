"""Saving, under Keras's path: models as files that Keras reads, and objects as configs.

Read next: `archive.py`, then `weights.py`.
"""

_HOMES = {
    ".configs.serialization": "CustomObjectScope custom_object_scope deserialize_keras_object "
    "get_custom_objects get_registered_name get_registered_object register_keras_serializable "
    "serialize_keras_object",
    "archive": "load_model load_weights save_model save_weights",
}
