"""The compiler of functions: what is compiled equals what is not, bit for bit, and reads well.

Functions are drawn (see `programs.py`). Buffers are full of NaN before the first run, so that what
is read before it is written shows.
"""

import ast
import itertools
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_same, over
from hypothesis import given, settings, strategies as st
from programs import (
    FLOATS,
    OPERATIONS,
    Drawn,
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
from tinynet.compiler.buffers import Plan, total_bytes
from tinynet.compiler.executable import Executable
from tinynet.compiler.passes import simplify
from tinynet.engine.bind import PRIMITIVES
from tinynet.engine.tensor import Tensor

MANY = 10 * settings.default.max_examples
BLOCKS = st.sampled_from([2, 1 << 20])  # in both ways: piece by piece, and at once
FLAT = st.sampled_from([(), (1,), (5,), (7,)])


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


def test_the_drawn_operations_are_all_there_are():
    missing = {*PRIMITIVES} - {*OPERATIONS}
    # Gradients consist of scatter; random_bits takes seeds, as the case it is tested on has them.
    assert missing == {"scatter", "random_bits"}


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
    executable = compiled._for(args).executable
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


# -- the source is there to be read -----------------------------------------------------------


class Reading:
    """The source of a compiled function, as a syntax tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        (self.make,) = ast.parse(text).body
        (self.run,) = (s for s in self.make.body if isinstance(s, ast.FunctionDef))
        self.arguments = [argument.arg for argument in self.make.args.args]

    def nodes(self, kind: Any, within: Any = None) -> list[Any]:
        return [node for node in ast.walk(within or self.make) if isinstance(node, kind)]

    @property
    def statements(self) -> list[str]:
        return [ast.unparse(statement) for statement in self.run.body]

    @property
    def buffers(self) -> int:
        return self.text.count("xp.empty(")


def read(f: Callable[..., Any], *args: Any) -> Reading:
    return Reading(tn.jit(f).source(*args))


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


@pytest.mark.parametrize("path", ["a layer/kernel-0", "1st/2nd", "class", "add", "reshape", "über"])
def test_any_name_of_a_variable_will_do(path):
    variable = tn.Variable([1.0, 2.0, 3.0], trainable=False, path=path)
    f = tn.jit(lambda x: x + variable.reshape(3, 1) * 2.0)
    assert_same(f(Y[:2]), Y[:2] + np.array([[2], [4], [6]], "float32"))


@given(functions())
@np.errstate(all="ignore")
def test_a_program_prints_each_variable_under_a_name_of_its_own(drawn):
    program = recorded(drawn.function, drawn.first)
    names = program.names()
    assert len({*names.values()}) == len(names)
    lines = str(program).splitlines()
    assert len([line for line in lines if " = " in line and "(" in line]) == len(program.equations)


def test_a_traceback_shows_the_line_of_the_source():
    f = tn.jit(lambda x: ops.exp(x) + 1.0 / x)
    f(1.0)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError) as caught:
        f(0.0)
    text = "".join(traceback.format_exception(caught.value))
    assert "divide(c1, x, t2)" in text
    assert f(0.5).item() == np.exp(np.float32(0.5)) + 2


# -- buffers ----------------------------------------------------------------------------------

X, Y = numbers(0, (4, 6)), numbers(1, (6,))


def chain(length: int) -> Callable[[Tensor], Tensor]:
    def f(x: Tensor) -> Tensor:
        for _ in range(length):
            x = ops.tanh(x * 3.0) + x
        return x

    return f


def test_a_chain_of_elementwise_operations_needs_one_buffer():
    assert read(lambda x: ops.tanh(-ops.exp(x * 3.0) + 1.0), X).buffers == 1


def test_a_longer_chain_needs_no_more_memory():
    sizes = [total_bytes(Plan(simplify(recorded(chain(n), [X])))) for n in (2, 20, 100)]
    assert sizes[0] == sizes[1] == sizes[2] == 2 * X.nbytes


def test_recording_needs_memory_for_one_operation_however_many_there_are():
    peaks = []
    x = numbers(0, (1000, 250))
    for n in (2, 20):
        tracemalloc.start()
        recorded(chain(n), [x])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 3.5 * x.nbytes


def test_a_buffer_is_not_written_while_it_is_read_in_another_order():
    assert read(lambda x: ops.tanh((y := ops.exp(x)) + y.T), X[:, :4]).buffers == 2
    assert read(lambda x: ops.tanh((y := ops.exp(x)) + y), X[:, :4]).buffers == 1


def test_results_are_computed_in_c_order_as_sums_depend_on_it():
    x = numbers(0, (9, 10))
    f = tn.jit(lambda x: ops.sum(ops.exp(x).T * 3.0, 0))
    assert_same(f(x), np.ascontiguousarray((np.exp(x) * np.float32(3)).T).sum(0))


def test_what_is_needed_later_is_not_written_over():
    def f(x):
        y = ops.exp(x)
        return ops.sum(y * y[::-1]) + y.T[0, 0] + ops.tanh(y), y

    assert_same_results(tn.jit(f)(X), eagerly(f, [X]))


VIEWS = {
    "a reshape": lambda x: x.reshape(2, 12),
    "a transpose": lambda x: x.T,
    "a slice": lambda x: x[1:, ::2],
    "an element": lambda x: x[1, 2],
    "a row, named by ...": lambda x: x[..., 1, 2],
    "a new axis": lambda x: x[:, None],
    "repetitions": lambda x: ops.broadcast_to(x, (3, 4, 6)),
    "one repetition": lambda x: ops.broadcast_to(x, (1, 4, 6)),
    "a detached tensor": lambda x: x.detach(),
    "views of views": lambda x: x.T.reshape(6, 2, 2)[::-1, 1].T[0],
}


@over({name: view for name, view in VIEWS.items() if name != "views of views"}, "view")
def test_a_view_costs_no_statement(view):
    assert len(read(lambda x: ops.exp(view(x)), X).statements) == 1
    assert read(view, X).statements == ["pass"]


@over(VIEWS, "view")
def test_a_view_shows_what_it_is_a_view_of(view):
    for f in (view, lambda x: view(ops.exp(x)), lambda x: ops.exp(view(ops.exp(x))) * view(x)):
        assert_same_results(tn.jit(f)(X), eagerly(f, [X]))


def test_parts_of_a_concatenation_are_computed_in_their_places():
    def f(x, y):
        return ops.concatenate([ops.exp(x).reshape(-1), ops.sin(y), (x @ y)])

    assert read(f, X, Y).statements == [
        "exp(x, x_view)",
        "sin(y, y_view)",
        "matmul(x, y, x_view_2)",
    ]
    assert_same_results(tn.jit(f)(X, Y), eagerly(f, [X, Y]))


CONCATENATIONS = {
    "the same part twice": lambda x, y: [y, y],
    "a part, and a view of it": lambda x, y: [y, y[:2]],
    "a view of a part, and it": lambda x, y: [y[:2], y],
    "a part in two forms": lambda x, y: [y.reshape(6), y.reshape(3, 2).reshape(6)],
    "a part backwards": lambda x, y: [y, y[::-1]],
    "an argument": lambda x, y: [Y[1:], y, x[0]],
    "parts of several dtypes": lambda x, y: [y, np.ones(2), y * 2.0],
    "one within another": lambda x, y: [ops.concatenate([y, y * 2.0]), y * 3.0],
    "one part": lambda x, y: [y],
}


@over(CONCATENATIONS, "parts")
def test_every_part_of_a_concatenation_is_where_it_belongs(parts):
    def f(x, y):
        y = ops.exp(y)
        whole = ops.concatenate(parts(x, y))
        return whole, y, whole * 2.0, y + 1.0

    assert_same_results(tn.jit(f)(X, Y), eagerly(f, [X, Y]))


def test_a_concatenation_waits_until_its_memory_is_free():
    def f(y):
        first = ops.exp(y)  # as large as the concatenation
        part = ops.sin(y[:2])
        return ops.sum(first), ops.concatenate([part, ops.cos(y[2:])])

    assert_same_results(tn.jit(f)(Y), eagerly(f, [Y]))


def test_a_part_outlives_its_concatenation():
    def f(y):
        part = ops.exp(y)
        total = ops.sum(ops.concatenate([part, y * 2.0]))
        return ops.sum(ops.concatenate([y, y]) * total), part + total

    assert_same_results(tn.jit(f)(Y), eagerly(f, [Y]))


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


# -- donation: outputs that take the place of inputs ------------------------------------------


def donated(f: Any, args: Any, places: dict[int, int]) -> tuple[Reading, list[Any], list[Any]]:
    """Run `f` with outputs donated to inputs, by position: the source, its results, the inputs."""
    program = simplify(recorded(f, args))
    live = {v: np.array(x) for v, x in zip(program.inputs, args, strict=True)}
    donate = {program.outputs[i]: program.inputs[j] for i, j in places.items()}
    executable = Executable(program, "step", donate, {v: lambda x=x: x for v, x in live.items()})
    results = executable()
    return Reading(executable.source.text), results, list(live.values())


def assert_donated_right(f: Any, args: Any, places: dict[int, int]) -> Reading:
    reading, results, inputs = donated(f, args, places)
    expected = [t.data for t in tree.flatten(eagerly(f, args))]
    assert_all_same(results, expected)
    new = {j: expected[i] for i, j in places.items()}
    assert_all_same(inputs, [new.get(j, x) for j, x in enumerate(args)])
    return reading


@settings(max_examples=2 * MANY)
@given(functions(st.just("float32"), FLAT), BLOCKS, st.randoms())
@np.errstate(all="ignore")
def test_donated_outputs_replace_inputs_and_nothing_else_changes(drawn, block, random):
    f: Drawn = drawn.function
    types = [t.shape for t in tree.flatten(eagerly(f, drawn.first))]
    program = simplify(recorded(f, drawn.first))
    places: dict[int, int] = {}
    for i, shape in enumerate(types):
        free = [j for j, x in enumerate(drawn.first) if x.shape == shape]
        free = [j for j in free if j not in places.values()]
        if (
            free
            and program.outputs.index(program.outputs[i]) == i
            and program.outputs[i].dtype == "f"
        ):
            places[i] = random.choice(free)
    with poisoned_buffers(block):
        for args in (drawn.first, drawn.second):
            assert_donated_right(f, args, places)


@pytest.mark.parametrize("block", [2, 1 << 20])
@over(
    {
        "of its old value": lambda s, g: s * 0.5 + g,
        "of others": lambda s, g: ops.exp(g),
        "of a view": lambda s, g: s.reshape(2, 3).reshape(6) - g,
    },
    "f",
)
def test_state_is_updated_where_it_stands(f, block):
    with poisoned_buffers(block):
        reading = assert_donated_right(f, [Y, Y + 1], {0: 0})
    assert "copyto" not in reading.text


@pytest.mark.parametrize("block", [2, 1 << 20])
@over(
    {
        "exchanged": (lambda a, b: [b, a], {0: 0, 1: 1}),
        "passed on": (lambda a, b: [a + b, a], {0: 0, 1: 1}),
        "passed on, the other way round": (lambda a, b: [a, a + b], {0: 1, 1: 0}),
        "backwards": (lambda a, b: [a[::-1], b], {0: 0}),
        "beside itself backwards": (lambda a, b: [a + a[::-1]], {0: 0}),
        "times its first element": (lambda a, b: [a * a[0]], {0: 0}),
        "less that, twice": (lambda a, b: [a * 3.0 - a * a[0]], {0: 0}),
        "and wanted": (lambda a, b: [a * 2.0, a], {0: 0}),
        "and a view of it wanted": (lambda a, b: [a[1:], a * 2.0], {1: 0}),
        "and read later": (lambda a, b: [a * 2.0, ops.exp(a * 2.0) + a], {0: 0}),
        "a product": (lambda a, b: [ops.broadcast_to(a @ b, (6,))], {0: 0}),
        "a concatenation": (lambda a, b: [ops.concatenate([b[3:], a[:3]])], {0: 0}),
        "a constant": (lambda a, b: [tn.tensor(Y * 3), b], {0: 0, 1: 1}),
        "a power": (lambda a, b: [(a * a + 1.0) ** b], {0: 1}),
    },
    "case",
)
def test_donation_is_right_where_the_old_value_is_still_needed(case, block):
    f, places = case
    with poisoned_buffers(block):
        assert_donated_right(f, [Y, Y + 1], places)
