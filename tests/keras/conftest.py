"""Keras on JAX, in the same process as tinynet."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras
import pytest

import tinynet as tn


def pytest_configure(config: pytest.Config) -> None:
    """Ignore a warning: the `__array__` of Keras's variables does not know NumPy's `copy`."""
    ignored = r"ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    config.addinivalue_line("filterwarnings", ignored + ":keras")


@pytest.fixture(scope="session", params=[True, False], ids=["eager", "compiled"])
def run_eagerly(request: pytest.FixtureRequest) -> dict:
    """Return `run_eagerly` for each library; Keras always runs eagerly, which is faster here."""
    return {tn: request.param, keras: True}
