"""Real Keras, on JAX, beside tinynet in one process."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras
import pytest

import tinynet as tn


def pytest_configure(config: pytest.Config) -> None:
    """Let Keras' variables be made arrays: their `__array__` is older than NumPy's `copy`."""
    ignored = r"ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored + ":keras")


@pytest.fixture(scope="session", params=[True, False], ids=["eager", "compiled"])
def run_eagerly(request: pytest.FixtureRequest) -> dict:
    """For each library, the road that `compile` is to choose; Keras' own is quicker eager here."""
    return {tn: request.param, keras: True}
