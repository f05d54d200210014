"""The NumPy source equals eager bit for bit, and reads as a person would have written it."""

import ast
import gc
import itertools
import linecache
import traceback
from collections.abc import Iterator

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import given, settings, strategies as st
from programs import (
    ADAM_STEP,
    assert_same_results,
    eagerly,
    functions,
    numbers,
    poisoned_buffers,
    recorded,
)
from reading import Reading, read

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler import numpy_printer
from tinynet.compiler.numpy_printer import Source
from tinynet.compiler.passes import simplify

MANY = 10 * settings.default.max_examples
BLOCKS = st.sampled_from([2, 1 << 20])  # in both ways: piece by piece, and at once
Y = numbers(1, (6,))


@pytest.fixture(autouse=True, scope="module")
def poisoned() -> Iterator[None]:
    with poisoned_buffers():
        yield


# -- the source of a neuron's training step ---------------------------------------------------

NEURON = """\
def make(xp, parameters, momentum, velocity, x, y, alpha, learning_rate):
    c0_1 = xp.array(0.1, "float32")
    c0_001 = xp.array(0.001, "float32")
    c1e_07 = xp.array(1e-07, "float32")
    c0_03125 = xp.array(0.03125, "float32")
    c0_0625 = xp.array(0.0625, "float32")
    dense_kernel = parameters[0:1].reshape((1, 1))
    dense = xp.empty((32, 1), "float32")
    t1 = xp.empty((32, 1), "float32")
    t1_flat = t1.reshape((32,))
    loss = xp.empty((), "float32")
    gradients = xp.empty((2,), "float32")
    d_dense_bias = gradients[1:2]
    x_T = x.transpose((1, 0))
    d_dense_kernel = gradients[0:1].reshape((1, 1))
    t2 = xp.empty((2,), "float32")
    t3 = xp.empty((2,), "float32")
    dense_bias_0d = parameters[1:2].reshape(())
    add, add_reduce, divide, dot, multiply = xp.add, xp.add.reduce, xp.divide, xp.dot, xp.multiply
    sqrt, square, subtract = xp.sqrt, xp.square, xp.subtract

    def train_step():
{body}
    return train_step, (parameters, momentum, velocity, loss,)
"""


def test_the_source_of_a_neuron_s_adam_step_stays_as_it_is():
    model = tn.Sequential([tn.layers.Input((1,)), tn.layers.Dense(1, name="dense")])
    model.compile(optimizer=tn.optimizers.Adam(0.01), loss="mse")
    x = np.ones((32, 1), "float32")
    model.fit(x, x, epochs=1, verbose=0)
    assert model.train_function.source == NEURON.format(body=ADAM_STEP)


# -- the order of sums ------------------------------------------------------------------------

LARGER = st.sampled_from([(9, 17), (17, 9), (3, 5, 4), (40,)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=MANY)
@given(data=st.data())
@np.errstate(all="ignore")
def test_sums_of_transposed_operands_equal_eager_ones_bit_for_bit(dtype, data):
    drawn = data.draw(functions(st.just(dtype), LARGER, steps=4))
    axes = data.draw(st.sampled_from([None, 0, -1]))

    def f(*xs):
        results = [t for t in tree.flatten(drawn.function(*xs)) if t.dtype.kind == "f"]
        turned = [ops.exp(ops.transpose(t)) for t in results]
        sums = [ops.sum(t, axes if t.ndim else None) for t in turned]
        return sums, [t @ t.T for t in turned if t.ndim == 2]

    assert_same_results(tn.jit(f)(*drawn.first), eagerly(f, drawn.first))


@pytest.mark.parametrize("order", [(3, 0, 2, 1), (2, 3, 0, 1), (1, 3, 2, 0), (0, 2, 1, 3)])
@pytest.mark.parametrize("axes", [*itertools.combinations(range(4), 2), (1,), (3,)])
def test_sums_of_views_along_several_axes_equal_eager_ones_bit_for_bit(axes, order):
    x = numbers(0, (5, 7, 9, 6))
    f = tn.jit(lambda x: [ops.sum(ops.transpose(x, order), axes, keepdims=k) for k in (0, 1)])
    for found, keepdims in zip(f(x), (False, True), strict=True):
        assert_same(found, x.transpose(order).sum(axes, keepdims=keepdims))


def test_results_are_computed_in_c_order_as_sums_depend_on_it():
    x = numbers(0, (9, 10))
    f = tn.jit(lambda x: ops.sum(ops.exp(x).T * 3.0, 0))
    assert_same(f(x), np.ascontiguousarray((np.exp(x) * np.float32(3)).T).sum(0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_and_powers_of_repeated_numbers_equal_eager_ones_bit_for_bit(dtype):
    def f(x, row, exponent):
        repeated = ops.broadcast_to(ops.exp(row), (17, 17))
        powers = ops.exp(x) ** ops.broadcast_to(exponent * 1.0, (17, 17))
        return x @ repeated, repeated.T @ x, powers

    args = [numbers(0, (17, 17), dtype), numbers(1, (17,), dtype), np.array(2.0, dtype)]
    assert_same_results(tn.jit(f)(*args), eagerly(f, args))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_single_numbers_equal_eager_ones_bit_for_bit(dtype):
    def f(x, exponent):
        return [ops.exp(n) ** (exponent * 1.1) for n in x]

    args = [np.abs(numbers(0, (300,), dtype)), np.array(1.7, dtype)]
    assert_same_results(tn.jit(f)(*args), eagerly(f, args))


# -- the form of the source -------------------------------------------------------------------


@given(functions(), BLOCKS)
@np.errstate(all="ignore")
def test_the_source_has_one_statement_a_line_and_nothing_more(drawn, block):
    with poisoned_buffers(block):
        reading = read(drawn.function, *drawn.first)
    lines = [line for line in reading.text.splitlines() if line.strip()[:1] not in "#"]
    statements = reading.nodes(ast.stmt)
    assert sorted(s.lineno for s in statements) == sorted({s.lineno for s in statements})
    assert len(statements) == len(lines)
    for line in lines:
        assert line == line.rstrip()
        assert "  " not in line.strip()


@settings(max_examples=MANY)
@given(functions(), BLOCKS)
@np.errstate(all="ignore")
def test_every_name_is_given_once_and_needed(drawn, block):
    with poisoned_buffers(block):
        reading = read(drawn.function, *drawn.first)
    names = reading.nodes(ast.Name)
    made = [n.id for n in names if isinstance(n.ctx, ast.Store) and n.id not in "ai"]
    inside_blocks = {"a", "i"}  # the variables of comprehensions
    assert len({*made, *reading.arguments}) == len(made) + len(reading.arguments)
    assert {*made} <= {n.id for n in names if isinstance(n.ctx, ast.Load)} | inside_blocks


@settings(max_examples=MANY)
@given(functions())
@np.errstate(all="ignore")
def test_out_is_given_by_position_except_where_numpy_wants_the_keyword(drawn):
    for call in (reading := read(drawn.function, *drawn.first)).nodes(ast.Call, reading.run):
        if isinstance(call.func, ast.Attribute):  # a view that is part of a statement
            assert call.func.attr in ("reshape", "transpose", "broadcast_to")
            continue
        keywords = {keyword.arg for keyword in call.keywords}
        assert ("out" in keywords) == (call.func.id in ("maximum", "minimum"))
        assert keywords <= {"out", "where"}


def test_the_source_of_a_function_is_what_one_would_write():
    kernel = tn.Variable(np.ones((3, 2), "float32"), trainable=False, path="dense/kernel")

    def layer(x, shift):
        return ops.maximum(x @ kernel + shift, 0.0)

    text = tn.jit(layer).source(np.ones((4, 3), "float32"), 1.0)
    assert text == (
        "def make(xp, x, shift, dense_kernel):\n"
        '    c0 = xp.array(0.0, "float32")\n'
        '    t1 = xp.empty((4, 2), "float32")\n'
        "    add, dot, maximum = xp.add, xp.dot, xp.maximum\n"
        "\n"
        "    def layer():\n"
        "        dot(x, dense_kernel, t1)\n"
        "        add(t1, shift, t1)\n"
        "        maximum(t1, c0, out=t1)\n"
        "\n"
        "    return layer, (t1,)\n"
    )


def test_names_are_those_of_arguments_whatever_these_are():
    def add(xp, make, add, t, t1, t1_view, t1_0d, c2, c_2, view, copyto, sum_with, blocks):
        rest = (xp, make, add, t, t1, t1_view, c2, c_2, view, copyto, sum_with, blocks)
        mixed = ops.exp(t1_view).T * ops.sum(ops.sin(t1_0d), keepdims=True) * 2.0
        for i, x in enumerate(rest):
            mixed = ops.tanh(mixed) + x * (i + 2.0) @ mixed[::-1]
        return mixed, ops.concatenate([mixed, mixed], 0)

    names = list(add.__code__.co_varnames[: add.__code__.co_argcount])
    args = [numbers(i, (3, 3)) for i in range(len(names))]
    compiled = tn.jit(add)
    assert_same_results(compiled(*args), eagerly(add, args))
    shown = Reading(compiled.source(*args)).arguments[1 : len(names) + 1]
    assert [s for s, n in zip(shown, names, strict=True) if s != n] == ["xp_2", "make_2", "add_2"]


def test_an_array_of_a_function_is_called_c_and_an_argument_without_a_name_x():
    text = tn.jit(lambda *rest: rest[0] * Y).source(Y)
    assert text.startswith("def make(xp, x, c):\n")


@pytest.mark.parametrize("path", ["a layer/kernel-0", "1st/2nd", "class", "add", "reshape", "über"])
def test_any_name_of_a_variable_will_do(path):
    variable = tn.Variable([1.0, 2.0, 3.0], trainable=False, path=path)
    f = tn.jit(lambda x: x + variable.reshape(3, 1) * 2.0)
    assert_same(f(Y[:2]), Y[:2] + np.array([[2], [4], [6]], "float32"))


def test_a_traceback_shows_the_line_of_the_source():
    f = tn.jit(lambda x: ops.exp(x) + 1.0 / x)
    f(1.0)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError) as caught:
        f(0.0)
    text = "".join(traceback.format_exception(caught.value))
    assert "divide(c1, x, t2)" in text
    assert f(0.5).item() == np.exp(np.float32(0.5)) + 2


# -- what a source keeps ----------------------------------------------------------------------


def test_the_lines_of_a_source_are_forgotten_with_it():
    program = simplify(recorded(lambda x: ops.exp(x), [Y]))
    before = {*linecache.cache}
    source = Source(program, "forgotten")
    (file,) = {*linecache.cache} - before
    assert "".join(linecache.getlines(file)) == source.text
    del source
    gc.collect()
    assert {*linecache.cache} <= before


def test_a_source_with_many_names_runs_and_its_text_is_the_same():
    def f(x):
        parts = [ops.exp(x * float(i)) for i in range(20)]
        return ops.sum(ops.concatenate(parts)), parts

    program = simplify(recorded(f, [Y]))
    few = Source(program)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_printer, "MANY", 3)
        many = Source(program)
    assert many.text == few.text
    runs = [source.bind([Y, *program.constants.values()][:1]) for source in (few, many)]
    for run, _ in runs:
        run()
    for one, other in zip(*(outputs for _, outputs in runs), strict=True):
        assert_same(one, other)
