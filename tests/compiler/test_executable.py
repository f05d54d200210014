"""Executables run one at a time on their own buffers; caches keep the values used last."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from helpers import assert_same, refused
from programs import numbers

import tinynet as tn
from tinynet import ops
from tinynet.compiler.executable import CACHE_SIZE, Cache, Executable
from tinynet.compiler.record import record

X = numbers(0, (3,))


def test_a_runner_fills_runs_and_takes_under_one_lock():
    executable = Executable(record(ops.exp, [tn.tensor(X)]), "f")
    threads = [np.full(3, i, "float32") for i in range(4)]
    results: list[list[np.ndarray]] = [[] for _ in threads]

    def fill(array: np.ndarray) -> None:
        executable.fill([array])
        time.sleep(1e-4)  # so that another thread could write, too

    run = executable.runner(fill, lambda outputs: outputs[0].copy())

    def work(i: int) -> None:
        results[i] = [run(threads[i]) for _ in range(20)]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for array, found in zip(threads, results, strict=True):
        for result in found:
            assert_same(result, np.exp(array))


def test_a_runner_whose_filling_fails_can_run_again():
    executable = Executable(record(ops.exp, [tn.tensor(X)]), "f")
    run = executable.runner(executable.fill, lambda outputs: outputs[0].copy())
    with pytest.raises(ValueError, match="broadcast"):
        run([X[:2]])
    assert_same(run([X]), np.exp(X))


def test_a_cache_keeps_the_values_used_last():
    cache: Cache[int] = Cache(2)
    for key in (1, 2, 1, 3):  # 2 is the one that was not used for the longest time
        cache.get(key, lambda key=key: key * 10)
    assert (list(cache._values.values()), cache.made) == ([10, 30], 3)
    assert cache.get(1, lambda: 0) == 10


def test_a_cache_makes_a_value_again_that_is_not_current():
    cache: Cache[int] = Cache(2, is_current=lambda value: value > 0)
    assert [cache.get("key", lambda n=n: n) for n in (0, 1, 2)] == [0, 1, 1]
    assert cache.made == 2


def test_a_value_that_could_not_be_made_is_made_at_the_next_call():
    cache: Cache[float] = Cache()
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 / 0)
    assert cache.get("key", lambda: 2.0) == 2.0
    assert cache.made == 1


@pytest.mark.parametrize("size", [0, -1, 2.0, None])
def test_a_cache_has_room_for_at_least_one_value(size):
    with refused(ValueError, "cache_size", "at least 1", repr(size)):
        tn.jit(ops.exp, cache_size=size)


def test_a_compiled_function_lets_go_what_was_not_used_for_the_longest_time():
    f = tn.jit(lambda x: ops.tanh(x) * 2.0, cache_size=2)
    shapes = [np.ones(n, "float32") for n in (1, 2, 3)]
    executables = [weakref.ref(f._for(x).executable) for x in shapes]
    buffers = [weakref.ref(next(iter(e().inputs.values())).base) for e in executables[1:]]
    gc.collect()
    assert [e() is None for e in executables] == [True, False, False]
    assert all(buffer() is not None for buffer in buffers)
    assert_same(f(shapes[0]).data, np.tanh(shapes[0]) * 2)
    gc.collect()
    assert [e() is None for e in executables] == [True, True, False]
    assert buffers[0]() is None
    assert f.compilations == 4


def test_many_types_of_arguments_take_the_memory_of_the_last_ones():
    f = tn.jit(lambda x: x * 2.0)
    for n in range(1, CACHE_SIZE + 20):
        f(np.ones(n, "float32"))
    assert len(f._compiled._values) == CACHE_SIZE == 64
