"""Derivatives by finite differences, computed apart from the package's own `check_grads`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

STEPS = (1e-3, 1e-4, 1e-5, 1e-6)


def slopes(f: Callable[[float], Any]) -> Iterator[np.ndarray]:
    """Yield estimates of the derivative of `f` at 0, with smaller and smaller steps.

    Each combines two central differences such that its error goes with the fourth power of the
    step. Large steps have small rounding errors. Small ones do not reach kinks nearby, and suffice
    where higher derivatives are large. It is hardly possible that one of them agrees with a wrong
    derivative, so a test may compare with the one that agrees best.
    """

    def difference(h: float) -> np.ndarray:
        return (np.asarray(f(h)) - np.asarray(f(-h))) / (2 * h)

    for step in STEPS:
        yield (4 * difference(step) - difference(2 * step)) / 3


def assert_slope(found: Any, f: Callable[[float], Any], rtol: float, atol: float) -> None:
    """Assert that `found` is the derivative of `f` at 0."""
    estimates = list(slopes(f))
    found = np.asarray(found)
    assert found.shape == estimates[0].shape
    assert any(np.allclose(found, by, rtol, atol) for by in estimates), (found, estimates)
