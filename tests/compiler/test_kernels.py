"""Kernels compute what the program computes, whichever printer writes them.

Here an interpreter runs them. It takes the rows of a loop in any order, and all maps of a loop for
one row before the next one, as a loop in C would.
"""

import ast
import math
from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings, strategies as st
from programs import (
    assert_same_results,
    eagerly,
    functions,
    numbers,
    poisoned,
    poisoned_buffers,
    recorded,
)
from reading import read

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler import kernels
from tinynet.compiler.kernels import Call, Copy, Kernel, Loop, Map, Product, Reduce, kernels_of
from tinynet.compiler.memory import Buffer, Plan, Slot
from tinynet.compiler.passes import simplify
from tinynet.compiler.program import Program
from tinynet.engine.tensor import Tensor

MANY = 10 * settings.default.max_examples
X, Y = numbers(0, (4, 6)), numbers(1, (6,))


class Machine:
    """Flat memory, full of NaN, and what runs kernels in it."""

    def __init__(self, plan: Plan, args: list[np.ndarray], random: Any) -> None:
        self.random = random
        self.memory: dict[Buffer, np.ndarray] = {}
        for slot, view in plan.made.items():
            if view is None:
                flat = poisoned((math.prod(slot.shape),), slot.buffer.dtype.name)
                self.memory[slot.buffer] = flat
        known = dict(zip(plan.program.inputs, args, strict=True)) | plan.program.constants
        known |= {v: variable.array for v, variable in plan.program.captured.items()}
        for v, array in known.items():
            self.memory[plan.slots[v].buffer][:] = array.ravel()
        for kernel in kernels_of(plan):
            getattr(self, type(kernel).__name__.lower())(kernel)
        self.results = [self.array(slot) for slot in plan.results]

    def array(self, slot: Slot) -> np.ndarray:
        flat = self.memory[slot.buffer][slot.offset :]
        strides = [s * flat.itemsize for s in slot.strides]
        return np.lib.stride_tricks.as_strided(flat, slot.shape, strides)

    def loop(self, loop: Loop) -> None:
        rows: list[Any] = list(range(loop.shape[0])) if loop.shape else [...]
        self.random.shuffle(rows)
        for row in rows:
            for each in loop.body:
                self.map(each, row)

    def map(self, each: Map, row: Any) -> None:
        out = self.array(each.out)
        args = [np.broadcast_to(self.array(x), out.shape)[row] for x in each.args]
        params = {"dtype": out.dtype.name} if each.op.name == "cast" else {}
        out[row] = each.op.impl(*args, **params)

    def call(self, kernel: Call | Reduce | Product) -> None:
        args = [self.array(x) for x in kernel.args]
        self.array(kernel.out)[...] = kernel.op.impl(*args, **kernel.params)

    reduce = product = call

    def copy(self, kernel: Copy) -> None:
        (arg,) = kernel.args
        self.array(kernel.out)[...] = self.array(arg)


@settings(max_examples=MANY)
@given(functions(), st.sampled_from([1, 1 << 20]), st.randoms(use_true_random=False))
@np.errstate(all="ignore")
def test_the_rows_of_loops_can_run_in_any_order_and_all_maps_of_a_row_at_once(drawn, block, random):
    program = simplify(recorded(drawn.function, drawn.first))
    with poisoned_buffers(block):
        found = Machine(Plan(program), drawn.first, random).results
    expected = [t.data for t in tree.flatten(eagerly(drawn.function, drawn.first))]
    for one, other in zip(found, expected, strict=True):  # a row alone may end in other bits
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def kernels_for(f: Any, *args: Any) -> list[Kernel]:
    program: Program = simplify(recorded(lambda *xs: [f(*xs)], args))
    return kernels_of(Plan(program))


def kinds(f: Any, *args: Any) -> list[str]:
    return [type(kernel).__name__ for kernel in kernels_for(f, *args)]


def chain(length: int) -> Any:
    def f(x: Tensor) -> Tensor:
        for _ in range(length):
            x = ops.tanh(x * 3.0) + x
        return x

    return f


def test_consecutive_elementwise_operations_are_one_loop():
    (loop,) = kernels_for(lambda x, y: ops.where(x > y, ops.exp(x) * y, 0.0), X, Y)
    assert isinstance(loop, Loop)
    assert [each.op.name for each in loop.body] == ["greater", "exp", "multiply", "where"]
    assert loop.shape == (4, 6)
    assert loop.block is None


def test_every_kind_of_equation_has_its_kernel():
    def f(x, y):
        product = ops.tanh(x @ y)
        parts = ops.concatenate([product, ops.cast(y, "float64"), product])
        return ops.sum(parts) + ops.cast(ops.argmax(parts), "float64")

    found = Counter(kinds(f, X, Y))
    assert found == {"Product": 1, "Loop": 3, "Copy": 2, "Reduce": 1, "Call": 1}


def test_a_view_is_no_kernel():
    assert kinds(lambda x: x.T.reshape(3, 8)[1:, None], X) == ["Copy"]
    assert kinds(lambda x: x.T[1:, None], X) == []


def test_a_map_that_reads_another_place_of_what_a_loop_writes_begins_a_new_loop():
    assert kinds(lambda x: (y := ops.exp(x)) + ops.sin(y), Y) == ["Loop"]
    assert kinds(lambda x: (y := ops.exp(x)) + y[::-1], Y) == ["Loop", "Loop"]
    assert kinds(lambda x: (y := ops.exp(x)) + y[0], Y) == ["Loop", "Loop"]


def test_maps_of_other_shapes_or_sections_begin_a_new_loop():
    assert kinds(lambda x, y: ops.exp(x) + ops.sin(y), X, Y) == ["Loop", "Loop", "Loop"]


def test_only_buffers_that_nothing_outside_of_a_loop_uses_are_local():
    def f(x):
        inner = ops.exp(x) + ops.sin(x)
        return ops.sum(inner) * 2.0

    loop, *_ = kernels_for(f, X)
    assert isinstance(loop, Loop)
    assert len({each.out.buffer for each in loop.body}) == 2
    assert len(loop.local) == 1
    assert loop.body[-1].out.buffer not in loop.local


def test_the_fusion_of_a_long_chain_takes_linear_time():
    program = simplify(recorded(chain(5000), [X]))
    (loop,) = kernels_of(Plan(program))
    assert isinstance(loop, Loop)
    assert len(loop.body) == 15_000


# -- blocks ----------------------------------------------------------------------------------------


def test_long_flat_arrays_are_computed_in_blocks_and_need_one_block_of_memory():
    with poisoned_buffers(block=4):
        x = numbers(0, (15,))
        reading = read(chain(3), x)
        assert "xp.empty((4,)" in reading.text
        assert [type(s) for s in reading.run.body] == [ast.For]
        assert_same_results(tn.jit(chain(3))(x), eagerly(chain(3), [x]))


def test_blocks_do_not_mix_up_an_array_with_itself_in_another_order():
    def f(x):
        y = ops.exp(x)
        return (x + y[::-1]) * x, y * 2.0, y * y[0], y[0] * 3.0

    with poisoned_buffers(block=2):
        assert_same_results(tn.jit(f)(Y), eagerly(f, [Y]))


def test_short_arrays_and_single_maps_are_not_computed_in_blocks():
    assert kernels.BLOCK == 1 << 18
    assert [loop.block for loop in kernels_for(chain(2), Y)] == [None]
    with poisoned_buffers(block=2):
        assert [loop.block for loop in kernels_for(ops.exp, Y)] == [None]
        assert [loop.block for loop in kernels_for(chain(2), Y)] == [2]
        assert [loop.block for loop in kernels_for(chain(2), X)] == [None]
