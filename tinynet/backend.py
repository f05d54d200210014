"""Settings under Keras's path: ``tinynet.backend.epsilon()``.

Imports the engine and `configs/lookup.py`. Read next: `ops.py`.
"""

from .configs.lookup import clear_session as clear_session
from .engine.dtypes import floatx as floatx, set_floatx as set_floatx
from .engine.expect import check_number
from .engine.variable import structure

_epsilon = 1e-7


def epsilon() -> float:
    """Return the small number that keeps arguments of logarithms and divisors away from 0.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set `epsilon`, in every thread; ValueError for a negative number.

    Functions that `jit` has compiled keep the former one.
    """
    global _epsilon
    _epsilon = check_number("epsilon", value)
    structure.change()


def image_data_format() -> str:
    """Return ``"channels_last"``: the axis of the features is the last one."""
    return "channels_last"
