"""Long loops run in parts on all cores, and give the same numbers as on one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same
from native import NATIVE, in_c
from programs import eagerly, numbers, poisoned_buffers

import tinynet as tn
from tinynet import ops
from tinynet.compiler import c_printer, native, toolchain
from tinynet.compiler.c_printer import CPrinter


@pytest.fixture(autouse=True)
def in_small_parts(tmp_path_factory: Any) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch, poisoned_buffers():
        patch.setenv("TINYNET_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "pool"))
        patch.setenv("OPENBLAS_NUM_THREADS", "3")
        patch.setattr(CPrinter, "pool_from", 100)
        patch.setattr(c_printer, "POOL_PART", 32)
        native._pool.cache_clear()
        yield patch
    native._pool.cache_clear()


def many_loops(x: Any, y: Any) -> Any:
    """Return results of loops over rows, over a flat array, and with a number from outside."""
    flat = ops.ravel(ops.exp(x * 2.0) - 1.0)
    return [
        x + y,
        x.T * 2.0 - x.T[:1],
        flat / (ops.abs(flat) + ops.max(y)),
        ops.where(x > 0.0, x, 0.0),
    ]


X, Y = numbers(0, (70, 33)), numbers(1, (33,))


@pytest.mark.parametrize("count", ["1", "2", "3"])
def test_results_do_not_depend_on_the_number_of_threads(count, in_small_parts):
    in_small_parts.setattr(CPrinter, "pool_from", float("inf"))
    expected = in_c(many_loops, X, Y)
    in_small_parts.setattr(CPrinter, "pool_from", 100)
    in_small_parts.setenv("OPENBLAS_NUM_THREADS", count)
    assert "in_parts_(" in tn.jit(many_loops).c_source(X, Y)
    assert toolchain.threads() == int(count)
    if NATIVE:
        native._pool.cache_clear()
        assert (native._pool() != 0) == (count != "1")
    for one, other in zip(in_c(many_loops, X, Y), expected, strict=True):
        assert_same(one.data, other.data)


def test_small_loops_and_loops_within_a_row_stay_whole():
    assert "in_parts_" not in tn.jit(many_loops).c_source(X[:2], Y)


def test_threads_that_run_at_once_get_their_own_results():
    f = tn.jit(many_loops, native=NATIVE)
    arrays = [(X + i, Y - i) for i in range(8)]
    expected = [f(*each) for each in arrays]
    functions = [tn.jit(many_loops, native=NATIVE) for _ in arrays]

    def repeated(g: Any, each: Any) -> Any:
        return [g(*each) for _ in range(20)][-1]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(repeated, functions, arrays))
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            assert_same(a.data, b.data)


def test_updates_of_a_state_write_each_element_once():
    v = tn.Variable(np.zeros(1000, "float32"))
    f = tn.jit(lambda x: v + x * x, native=NATIVE)
    for i in range(50):
        v.assign(f(np.full(1000, i, "float32")))
    assert_same(v.numpy(), np.full(1000, sum(i * i for i in range(50)), "float32"))


FORKED = """
import os
import numpy as np
from native import in_c
from test_pool import X, Y, many_loops
from tinynet.compiler import c_printer
from tinynet.compiler.c_printer import CPrinter

CPrinter.pool_from, c_printer.POOL_PART = 100, 32
expected = in_c(many_loops, X, Y)
for generation in range(3):  # a child, and its own child
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = in_c(many_loops, X, Y)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    if child:
        break
os._exit(0)
"""


def test_a_forked_process_has_threads_of_its_own():
    if not hasattr(os, "fork"):  # Windows
        assert native._pool() == 0
        return
    here = Path(__file__).parent
    paths = [here.parents[1], here.parent / "support", here]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


def test_threads_are_those_of_blas_or_one_on_each_core(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = toolchain.threads()
    assert 1 <= cores <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert toolchain.threads() == 5
    for text, expected in (("7", 7), ("0", 5), ("many", 5), ("", 5)):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", text)
        assert toolchain.threads() == expected


def test_without_the_pool_long_loops_run_alone(in_small_parts):
    in_small_parts.setattr(native, "_pool", lambda: 0)
    for one, other in zip(in_c(many_loops, X, Y), eagerly(many_loops, [X, Y]), strict=True):
        np.testing.assert_allclose(one.data, other.data, 1e-5, 1e-6)
