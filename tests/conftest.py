"""Settings of Hypothesis, the number of workers and threads, and a check of global state.

By default every run draws the same examples. With HYPOTHESIS_PROFILE=thorough in the environment
each run draws others, and more. ``pytest -n auto`` runs the tests in several processes.
"""

import gc
import os
import random
import signal
from collections.abc import Iterator
from copy import copy
from typing import Any

# Workers share the cores, so each uses one thread. BLAS and XLA read this when they are imported.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )

# XLA compiles each operation of Keras for each shape. The workers and later runs share the results.
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.path.abspath(f"{__file__}/../../.pytest_cache/jax")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import numpy as np
import pytest
from hypothesis import settings

import tinynet.random  # noqa: F401 (registers primitives, over which tests run)
from tinynet.engine.bind import modes
from tinynet.engine.dtypes import floatx, set_floatx
from tinynet.engine.primitives import special

special.functions()  # registers primitives, too

settings.register_profile("same", max_examples=20, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=100, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of what a script starts by "&"
    signal.signal(signal.SIGINT, signal.default_int_handler)

MOST_WORKERS = 8  # of ``pytest -n auto``; each imports JAX and Keras, which takes memory


def pytest_collection_finish() -> None:
    """Collect garbage less often, without what exists before the first test: JAX makes it slow."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of ``pytest -n auto``: one for each usable core, up to 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_WORKERS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def engine_state() -> dict[str, Any]:
    """Return this thread's modes (grad, substitutes of variables, recorder) by name, and floatx."""
    found = {name: copy(getattr(modes, name)) for name in dir(modes) if not name.startswith("_")}
    return {**found, "floatx": floatx()}


@pytest.fixture(autouse=True)
def global_state() -> Iterator[None]:
    """Fail a test that leaves the engine's or NumPy's modes changed; restore them for the next.

    Seed the global generators, from which unseeded initializers and layers draw their seeds.
    """
    random.seed(0)
    np.random.seed(0)
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
        pytest.fail(f"The test changes global state: {', '.join(leaked)}")
