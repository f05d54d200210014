"""How Hypothesis searches, and the watch over global state.

HYPOTHESIS_PROFILE chooses: ``dev`` (the default, quick), ``ci`` (the same examples each time) or
``thorough``.
"""

import os
from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import tinynet.random  # noqa: F401 (registers primitives, over which tests run)
from tinynet.engine.bind import modes
from tinynet.engine.tensor import floatx, set_floatx

settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=20, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def engine_state() -> dict[str, Any]:
    """Return this thread's modes (grad, substitutes of variables, recorder) by name, and floatx."""
    found = {name: copy(getattr(modes, name)) for name in dir(modes) if not name.startswith("_")}
    return {**found, "floatx": floatx()}


@pytest.fixture(autouse=True)
def no_leak_of_global_state() -> Iterator[None]:
    """Fail a test that leaves the engine's or NumPy's modes changed; restore them for the next."""
    before, errors = engine_state(), np.geterr()
    yield
    leaked = [name for name, value in engine_state().items() if value != before.get(name)]
    for name in leaked:
        if name == "floatx":
            set_floatx(before[name])
        else:
            setattr(modes, name, before.get(name))
    if np.seterr(**errors) != errors:
        leaked.append("np.geterr()")
    if leaked:
        pytest.fail(f"this test leaves global state changed: {', '.join(leaked)}")
