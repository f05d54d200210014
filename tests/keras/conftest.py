"""Keras on JAX, in the same process as tinynet."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest
from side_by_side import WAYS


def pytest_configure(config: pytest.Config) -> None:
    """Ignore two warnings.

    The `__array__` of Keras's variables does not know NumPy's `copy`. A worker may read a result of
    XLA that another one is still writing, and then compiles the operation itself.
    """
    for ignored in (
        r"__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras",
        "Error reading persistent compilation cache entry:UserWarning",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{ignored}")


@pytest.fixture(scope="session", params=WAYS, ids=["eager", "compiled"])
def run_eagerly(request: pytest.FixtureRequest) -> dict:
    """Return `run_eagerly` for each library."""
    return request.param
