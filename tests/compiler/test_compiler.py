"""The compiler of functions: what is compiled equals what is not, bit for bit, and reads well.

Functions are drawn (see `programs.py`). Buffers are full of NaN before the first run, so that what
is read before it is written shows.
"""

import itertools
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers import assert_all_same, assert_same
from hypothesis import given, settings, strategies as st
from programs import (
    FLOATS,
    OPERATIONS,
    assert_same_results,
    eagerly,
    functions,
    gradient,
    numbers,
    poisoned_buffers,
    recorded,
)
from strategies import LAYOUTS

import tinynet as tn
from tinynet import ops, tree
from tinynet.engine.bind import PRIMITIVES
from tinynet.engine.tensor import Tensor

MANY = 10 * settings.default.max_examples
BLOCKS = st.sampled_from([2, 1 << 20])  # in both ways: piece by piece, and at once


@pytest.fixture(autouse=True, scope="module")
def poisoned() -> Iterator[None]:
    with poisoned_buffers():
        yield


# -- compiled equals eager --------------------------------------------------------------------


@settings(max_examples=2 * MANY)
@given(functions(), BLOCKS)
@np.errstate(all="ignore")
def test_compiled_equals_eager_bit_for_bit(drawn, block):
    with poisoned_buffers(block):
        compiled = tn.jit(drawn.function)
        for args in (drawn.first, drawn.second, drawn.first):
            assert_same_results(compiled(*args), eagerly(drawn.function, args))
    assert compiled.compilations == 1


@pytest.mark.parametrize("order", [1, 2])
@settings(max_examples=MANY // 2)
@given(data=st.data())
@np.errstate(all="ignore")
def test_a_compiled_gradient_equals_the_eager_one_bit_for_bit(order, data):
    drawn = data.draw(functions(FLOATS, steps=8 // order))
    f = gradient(drawn, order)
    compiled = tn.jit(f)
    for args in (drawn.first, drawn.second):
        assert_same_results(compiled(*args), eagerly(f, args))


@pytest.mark.parametrize("name", PRIMITIVES)
@given(st.data())
@np.errstate(all="ignore")
def test_each_primitive_can_be_drawn(name, data):
    a, b = (tn.tensor(np.linspace(0.3, 0.9, 9).reshape(3, 3) + i) for i in range(2))
    assert OPERATIONS[name](data.draw, a, b)(a, b).shape is not None


@settings(max_examples=MANY)
@given(functions(FLOATS), st.lists(st.sampled_from(list(LAYOUTS)), min_size=3, max_size=3))
@np.errstate(all="ignore")
def test_arguments_are_only_read_and_results_are_new_and_stay(drawn, layouts):
    args = [np.asarray(LAYOUTS[n](x)) for n, x in zip(layouts, drawn.first, strict=False)]
    before = [(x.copy(), x.flags.writeable, x.strides) for x in args]
    compiled = tn.jit(drawn.function)
    results = [t.data for t in tree.flatten(compiled(*args))]
    kept = [x.copy() for x in results]
    assert_all_same(results, [t.data for t in tree.flatten(eagerly(drawn.function, args))])
    again = [t.data for xs in (drawn.second, args) for t in tree.flatten(compiled(*xs))]
    assert_all_same(results, kept)
    assert_all_same(again[len(results) :], kept)
    for x, (numbers_before, *form) in zip(args, before, strict=True):
        assert_same(x, numbers_before)
        assert [x.flags.writeable, x.strides] == form
    executable = compiled._for(*args).executable
    outputs = executable.runner(lambda _: None, lambda outputs: outputs)(None)
    inside = [x for out in outputs for x in (out, out.base) if x is not None]
    everything = [*args, *results, *again, *executable.inputs.values()]
    for x, y in itertools.product([*results, *again], [*everything, *inside]):
        assert x is y or not np.shares_memory(x, y)


@settings(max_examples=MANY)
@given(functions())
@np.errstate(all="ignore")
def test_arguments_may_be_structures(drawn):
    compiled = tn.jit(lambda parts, rest: drawn.function(*parts["z"], parts["a"], *rest))
    for x, *rest in (drawn.first, drawn.second):
        found = compiled({"a": x, "z": []}, rest)
        assert_same_results(found, eagerly(lambda *xs: drawn.function(*xs), [x, *rest]))


def test_each_type_of_arguments_is_compiled_once():
    f = tn.jit(lambda *xs: sum((ops.sum(x) for x in tree.flatten(list(xs))), start=0.0))
    x = np.ones((2, 3), "float32")
    types = [
        (x,),
        (x[:1],),
        (x[0],),
        (x.astype("float64"),),
        (x.astype("int32"),),
        (x > 0,),
        (x, x),
        ([x, x],),
        ((x, x),),
        ({"a": x, "b": x},),
        ({"a": x, "c": x},),
        (1.0,),
        (),
    ]
    for _ in range(2):
        for count, args in enumerate(types, start=1):
            f(*args)
            assert f.compilations == max(count, f.compilations)
    assert f.compilations == len(types)
    f(np.asfortranarray(x))
    f(tn.tensor(x + 1))
    f(np.zeros((2, 3), "float32")[::-1])
    assert f.compilations == len(types)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("big", [False, True])
def test_numbers_in_the_source_are_exact(dtype, big):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 63, 300, "uint64").astype(f"uint{np.dtype(dtype).itemsize * 8}")
    constants = np.abs(bits.view(dtype)) if big else numbers(0, (300,), dtype)
    constants = [*constants[np.isfinite(constants)], *np.array([-0.0, 1 / 3, 1e-7], dtype)]
    f = tn.jit(lambda x: [tn.tensor(np.array(c)) for c in constants])
    for found, c in zip(f(1.0), constants, strict=True):
        assert_same(found, c)
        assert np.signbit(found.data) == np.signbit(c)


@given(functions())
@np.errstate(all="ignore")
def test_a_program_prints_each_variable_under_a_name_of_its_own(drawn):
    program = recorded(drawn.function, drawn.first)
    names = program.names()
    assert len({*names.values()}) == len(names)
    lines = str(program).splitlines()
    assert len([line for line in lines if " = " in line and "(" in line]) == len(program.equations)


def chain(length: int) -> Callable[[Tensor], Tensor]:
    def f(x: Tensor) -> Tensor:
        for _ in range(length):
            x = ops.tanh(x * 3.0) + x
        return x

    return f


def test_recording_needs_memory_for_one_operation_however_many_there_are():
    peaks = []
    x = numbers(0, (1000, 250))
    for n in (2, 20):
        tracemalloc.start()
        recorded(chain(n), [x])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 3.5 * x.nbytes
