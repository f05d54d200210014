"""Settings under Keras's path: ``tinynet.config.set_floatx("float64")``.

Imports `backend.py`. Read next: `ops.py`.
"""

from .backend import (
    epsilon as epsilon,
    floatx as floatx,
    image_data_format as image_data_format,
    set_epsilon as set_epsilon,
    set_floatx as set_floatx,
)
