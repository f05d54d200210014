"""Settings under Keras's path: ``tinynet.backend.epsilon()``.

Imports the engine and `configs/lookup.py`. Read next: `ops.py`.
"""

from .configs.lookup import clear_session as clear_session
from .engine.dtypes import (
    epsilon as epsilon,
    floatx as floatx,
    set_epsilon as set_epsilon,
    set_floatx as set_floatx,
)


def image_data_format() -> str:
    """Return ``"channels_last"``: the axis of the features is the last one."""
    return "channels_last"
