"""Keras on JAX, in the same process as tinynet, which runs on each of its roads."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest
from roads import ROADS, Road, taking

with suppress(ImportError, AttributeError):
    # JAX makes a context for each operation that it compiles, a fifth of the time that this takes.
    from jax._src.interpreters import mlir

    mlir.make_ir_context = cache(mlir.make_ir_context)


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


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let Hypothesis draw the same examples on each road, so that Keras runs them once."""
    inner = getattr(getattr(getattr(item, "obj", None), "hypothesis", None), "inner_test", None)
    road = getattr(item, "callspec", None) and item.callspec.params.get("run_eagerly")
    if inner and road:  # Hypothesis has set it to the test's own id
        inner._hypothesis_internal_add_digest = item.nodeid.replace(road.name, "").encode()
    return (yield)


@pytest.fixture(scope="session", params=ROADS, ids=lambda road: road.name)
def run_eagerly(request: pytest.FixtureRequest) -> Road:
    """Return `run_eagerly` for each library; Keras always runs eagerly, which is faster here."""
    return request.param


@pytest.fixture(autouse=True)
def road_of_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a test that takes `run_eagerly` compile steps as that road does."""
    if "run_eagerly" not in request.fixturenames:
        yield
        return
    road = request.getfixturevalue("run_eagerly")
    with taking(road, request.node.name):
        yield
