"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from ..configs.serialization import CustomObjectScope as CustomObjectScope
from ..configs.serialization import custom_object_scope as custom_object_scope
from ..configs.serialization import deserialize_keras_object as deserialize_keras_object
from ..configs.serialization import get_custom_objects as get_custom_objects
from ..configs.serialization import get_registered_name as get_registered_name
from ..configs.serialization import get_registered_object as get_registered_object
from ..configs.serialization import register_keras_serializable as register_keras_serializable
from ..configs.serialization import serialize_keras_object as serialize_keras_object
from .archive import load_model as load_model
from .archive import load_weights as load_weights
from .archive import save_model as save_model
from .archive import save_weights as save_weights
