"""What scripts look for in ``keras.backend``.

Imports the engine and `registry.py`. Read next: `utils.py`.
"""

from .configs.lookup import clear_session
from .engine.tensor import floatx, set_floatx
from .losses.functions import EPSILON

__all__ = ["clear_session", "epsilon", "floatx", "set_floatx"]


def epsilon() -> float:
    """Return the small number that keeps logarithms and divisions away from 0.

    >>> epsilon()
    1e-07
    """
    return EPSILON
