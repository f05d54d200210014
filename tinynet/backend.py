"""Settings under Keras's path: ``tinynet.backend.epsilon()``.

Imports the engine and `configs/lookup.py`. Read next: `ops.py`.
"""

from .configs.lookup import clear_session as clear_session
from .engine.tensor import floatx as floatx, set_floatx as set_floatx


def epsilon() -> float:
    """Return the small number that keeps arguments of logarithms and divisors away from 0.

    >>> epsilon()
    1e-07
    """
    return 1e-7
