"""How Hypothesis searches, and the watch over global state.

HYPOTHESIS_PROFILE chooses: ``dev`` (the default, quick), ``ci`` (the same examples each time) or
``thorough``.
"""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from tinynet.engine import tensor as engine

settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def global_state() -> dict[str, Any]:
    """Return what a test must leave as it found it."""
    return {
        "grad mode": engine.state.grad,
        "values standing in for variables": engine.state.values,
        "floatx": engine.floatx(),
        "NumPy's error handling": np.geterr(),
    }


@pytest.fixture(autouse=True)
def no_leak_of_global_state() -> Iterator[None]:
    """Fail a test that leaves global state changed, and restore it for the next one."""
    before = global_state()
    yield
    after = global_state()
    engine.state.grad = before["grad mode"]
    engine.state.values = before["values standing in for variables"]
    engine.set_floatx(before["floatx"])
    np.seterr(**before["NumPy's error handling"])
    leaked = [
        f"{key}: {before[key]} became {after[key]}" for key in before if before[key] != after[key]
    ]
    if leaked:
        pytest.fail("this test leaks global state: " + "; ".join(leaked))
