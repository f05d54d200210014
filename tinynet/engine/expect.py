"""Checks of one argument, above all `expect`; also `package_of`, and `warn`.

Imports NumPy. Read next: `refusal.py`.
"""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np


def expect(
    holds: Any, argument: str, expected: str, received: Any, error: type[Exception] = ValueError
) -> None:
    """Raise an error about an argument unless a condition holds.

    >>> expect(2 < 1, "steps", "a number below 1", 2)
    Traceback (most recent call last):
    ValueError: steps: expected a number below 1, received 2.
    """
    if not holds:
        shown = received.__name__ if isinstance(received, type) else repr(received)
        raise error(f"{argument}: expected {expected}, received {shown}.")


def check_unmasked(argument: str, data: Any) -> None:
    """Raise a ValueError for a masked array with masked elements."""
    if hasattr(data, "filled"):
        expected = "an array without masked elements (drop them, or call filled(value))"
        expect(not np.any(data.mask), argument, expected, data)


def check_number(
    argument: str, value: Any, most: float = math.inf, below: float = math.inf
) -> float:
    """Return `value` as a float; ValueError unless it is from 0 to `most` and less than `below`."""
    if not (is_number(value) and 0 <= value <= most and value < below):
        limit = f"< {below}" if below <= most else f"<= {most}"
        raise ValueError(f"Expected a number with 0 <= {argument} {limit}, received {value!r}.")
    return float(value)


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite real number, which a bool is not."""
    real = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def is_real(value: Any) -> bool:
    """Return whether `value` is a Python number or bool, or an array or tensor without axes."""
    one = getattr(value, "shape", None) == () and not isinstance(value, np.bool_)
    return isinstance(value, (int, float)) or (one and hasattr(value, "__float__"))


def is_integer(value: Any) -> bool:
    """Return whether `value` is an integer of Python or NumPy; a bool is one."""
    return isinstance(value, (int, np.integer))


def package_of(thing: Any) -> str:
    """Return the package in which a class or function is defined; "" if it is unknown."""
    return str(getattr(thing, "__module__", None) or "").partition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn about the line of the user's code that led here: the innermost one outside tinynet."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith("tinynet."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
