"""Real Keras, on JAX, beside tinynet in one process."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras
import pytest

import tinynet as tn


@pytest.fixture(scope="session", params=[True], ids=["eager"])
def run_eagerly(request: pytest.FixtureRequest) -> dict:
    """For each library, the road that `compile` is to choose; Keras' own is quicker eager here."""
    return {tn: request.param, keras: True}
