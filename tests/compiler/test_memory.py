"""Memory plans follow NumPy's views, allocate nothing, and never overwrite what is still needed.

In this file every buffer of a compiled function is full of NaN before the first run, so that what
is read before it is written shows.
"""

import math
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, over
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from programs import (
    Drawn,
    assert_same_results,
    eagerly,
    functions,
    gradient,
    numbers,
    poisoned_buffers,
    recorded,
    run,
)
from reading import Reading, read

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler.executable import Executable
from tinynet.compiler.memory import NEVER, Buffer, Plan, Slot, view_of
from tinynet.compiler.numpy_printer import Source
from tinynet.compiler.passes import simplify
from tinynet.compiler.program import Program, Var
from tinynet.engine.bind import PRIMITIVES
from tinynet.engine.primitives.shapes import Slice
from tinynet.engine.tensor import Equation, Tensor

MANY = 10 * settings.default.max_examples
BLOCKS = st.sampled_from([2, 1 << 20])  # in both ways: piece by piece, and at once
FLAT = st.sampled_from([(), (1,), (5,), (7,)])


@pytest.fixture(autouse=True, scope="module")
def poisoned() -> Iterator[None]:
    with poisoned_buffers():
        yield


# -- slots are what NumPy's views are -------------------------------------------------------------


def addresses(slot: Slot) -> np.ndarray:
    """Return the position in the buffer of each element."""
    steps = (i * s for i, s in zip(np.indices(slot.shape), slot.strides, strict=True))
    return np.asarray(sum(steps, start=np.full(slot.shape, slot.offset)))


def buffer_of(shape: tuple[int, ...]) -> Buffer:
    return Buffer(shape, np.dtype("float32"))


def new_shapes(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw shapes of `size` elements."""
    if not size:
        return st.sampled_from([(0,), (2, 0), (0, 1, 3)])
    factors = [n for n in range(1, size + 1) if size % n == 0]
    pairs = st.sampled_from(factors).map(lambda n: (n, size // n))
    triples = st.tuples(pairs, st.sampled_from(factors)).map(lambda t: (*t[0], t[1]))
    fitting = triples.filter(lambda t: t[0] % t[2] == 0).map(lambda t: (t[2], t[0] // t[2], t[1]))
    ones = st.sampled_from([(), (1,)])
    return st.tuples(ones, st.just((size,)) | pairs | fitting, ones).map(lambda t: sum(t, ()))


def drawn_view(draw: Any, array: np.ndarray) -> tuple[str, dict[str, Any], np.ndarray]:
    """Draw the name and the params of a view, and return what NumPy makes of `array`."""
    kind = draw(st.sampled_from(["reshape", "reshape", "transpose", "getitem", "broadcast_to"]))
    if kind == "reshape":
        shape = draw(new_shapes(array.size))
        return kind, {"newshape": shape}, array.reshape(shape)
    if kind == "transpose":
        axes = tuple(draw(st.permutations(range(array.ndim))))
        return kind, {"axes": axes}, array.transpose(axes)
    if kind == "broadcast_to":
        shape = tuple(draw(st.sampled_from([1, 2])) if n == 1 else n for n in array.shape)
        shape = (*draw(st.sampled_from([(), (1,), (2,)])), *shape)
        return kind, {"shape": shape}, np.broadcast_to(array, shape)
    index = draw(hnp.basic_indices(array.shape, allow_newaxis=True, max_dims=4))
    index = index if isinstance(index, tuple) else (index,)
    static = tuple(Slice(i.start, i.stop, i.step) if isinstance(i, slice) else i for i in index)
    whole = index if ... in index else (*index, ...)  # a view of an element, not the element
    return kind, {"index": static}, array[whole]


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)


@settings(max_examples=MANY)
@given(st.data(), SHAPES)
def test_a_slot_is_a_view_where_numpy_takes_one_and_shows_the_same_elements(data, shape):
    slot = buffer_of(shape).slot
    array = np.arange(math.prod(shape)).reshape(shape)
    for _ in range(data.draw(st.integers(1, 6))):
        name, params, found = drawn_view(data.draw, array)
        assume(found.size <= 500)
        after = view_of(slot, name, **params)
        if found.size:
            assert (after is not None) == np.shares_memory(found, array), (slot, name, params)
        if after is None:
            break
        slot, array = after, found
        assert slot.shape == array.shape
        assert slot.is_contiguous == array.flags.c_contiguous
        assert slot.repeats == (np.unique(array).size < array.size)
        np.testing.assert_array_equal(addresses(slot), array)
        strides = zip(slot.shape, slot.strides, array.strides, strict=True)
        assert array.size == 0 or all(n == 1 or s * 8 == t for n, s, t in strides)


def test_a_plan_over_a_large_array_allocates_nothing():
    x = Var((4000, 4000), np.dtype("float32"), "x")
    flat, column = Var((16_000_000,), x.dtype), Var((4000,), x.dtype)
    y, turned, z, total = (Var(x.shape, x.dtype) for _ in range(4))
    equations = {
        y: Equation(PRIMITIVES["exp"], (x,), {}),
        turned: Equation(PRIMITIVES["transpose"], (y,), {"axes": (1, 0)}),
        z: Equation(PRIMITIVES["matmul"], (turned, x), {}),
        flat: Equation(PRIMITIVES["reshape"], (z,), {"newshape": flat.shape}),
        total: Equation(PRIMITIVES["add"], (z, x), {}),
        column: Equation(PRIMITIVES["sum"], (total,), {"axis": (0,), "keepdims": False}),
    }
    program = Program((x,), {}, {}, equations, (flat, column))
    tracemalloc.start()
    source = Source(program)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "dot(t1_T, x, t2)" in source.text
    assert peak < x.size * x.dtype.itemsize / 4  # also counts what other threads allocate


# -- nothing that is still needed is written over -------------------------------------------------


def elements(slot: Slot) -> set[int]:
    return {*addresses(slot).ravel().tolist()}


def donations(program: Program, random: Any) -> dict[Var, Var]:
    """Draw which outputs take the place of inputs."""
    found: dict[Var, Var] = {}
    for out in dict.fromkeys(program.outputs):
        free = [x for x in program.inputs if x.type == out.type and x not in found.values()]
        if free and program.outputs.count(out) == 1 and random.random() < 0.7:
            found[out] = random.choice(free)
    return found


@settings(max_examples=MANY)
@given(functions(), st.booleans(), st.randoms(use_true_random=False))
@np.errstate(all="ignore")
def test_no_equation_writes_over_a_variable_that_is_needed_later(drawn, differentiated, random):
    if differentiated and all(x.dtype.kind == "f" for x in drawn.first):
        program = simplify(recorded(gradient(drawn, 1), drawn.first))
    else:
        program = simplify(recorded(drawn.function, drawn.first))
    plan = Plan(program, donations(program, random))
    last = {x: i for i, v in enumerate(program.equations) for x in program.equations[v].inputs}
    last |= dict.fromkeys(program.outputs, NEVER)
    begun: dict[Var, int] = dict.fromkeys(plan.slots, -1)
    begun |= {v: i for i, v in enumerate(program.equations)}
    for v in plan.computed:
        if program.equations[v].primitive.name == "concatenate":
            continue  # leaves the parts that were computed in place as they are
        i, written = begun[v], plan.slots[v]
        for x, slot in plan.slots.items():
            if begun[x] < i < last.get(x, -1) and slot.buffer is written.buffer:
                assert elements(slot).isdisjoint(elements(written))


@settings(max_examples=MANY)
@given(functions(), st.randoms(use_true_random=False))
@np.errstate(all="ignore")
def test_what_a_kernel_writes_is_read_by_it_at_the_same_place_or_not_at_all(drawn, random):
    program = simplify(recorded(drawn.function, drawn.first))
    plan = Plan(program, donations(program, random))
    for v in plan.computed:
        out = plan.slots[v]
        for x in plan.inputs(v):
            apart = x.buffer is not out.buffer or elements(x).isdisjoint(elements(out))
            assert x == out or apart or program.equations[v].primitive.name == "concatenate"


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


def total_bytes(program: Program) -> int:
    buffers = {slot.buffer for slot in Plan(program).made if slot.buffer.first >= 0}
    return sum(math.prod(b.shape) * b.dtype.itemsize for b in buffers)


def test_a_longer_chain_needs_no_more_memory():
    sizes = [total_bytes(simplify(recorded(chain(n), [X]))) for n in (2, 20, 100)]
    assert sizes[0] == sizes[1] == sizes[2] == 2 * X.nbytes


def test_a_buffer_is_not_written_while_it_is_read_in_another_order():
    assert read(lambda x: ops.tanh((y := ops.exp(x)) + y.T), X[:, :4]).buffers == 2
    assert read(lambda x: ops.tanh((y := ops.exp(x)) + y), X[:, :4]).buffers == 1


def test_what_is_needed_later_is_not_written_over():
    def f(x):
        y = ops.exp(x)
        return ops.sum(y * y[::-1]) + y.T[0, 0] + ops.tanh(y), y

    assert_same_results(tn.jit(f)(X), eagerly(f, [X]))


VIEW_FUNCTIONS = {
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


@over({name: view for name, view in VIEW_FUNCTIONS.items() if name != "views of views"}, "view")
def test_a_view_costs_no_statement(view):
    assert len(read(lambda x: ops.exp(view(x)), X).statements) == 1
    assert read(view, X).statements == ["pass"]


@over(VIEW_FUNCTIONS, "view")
def test_a_view_shows_what_it_is_a_view_of(view):
    for f in (view, lambda x: view(ops.exp(x)), lambda x: ops.exp(view(ops.exp(x))) * view(x)):
        assert_same_results(tn.jit(f)(X), eagerly(f, [X]))


def test_parts_of_a_concatenation_are_computed_in_their_places():
    def f(x, y):
        return ops.concatenate([ops.exp(x).reshape(-1), ops.sin(y), (x @ y)])

    assert read(f, X, Y).statements == [
        "exp(x, t1_reshaped)",
        "sin(y, t1_view)",
        "matmul(x, y, t1_view_2)",
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


# -- donation: outputs that take the place of inputs ------------------------------------------


def donated(f: Any, args: Any, places: dict[int, int]) -> tuple[Reading, list[Any], list[Any]]:
    """Run `f` with outputs donated to inputs, by position: the source, its results, the inputs."""
    program = simplify(recorded(f, args))
    live = {v: np.array(x) for v, x in zip(program.inputs, args, strict=True)}
    donate = {program.outputs[i]: program.inputs[j] for i, j in places.items()}
    executable = Executable(program, "step", donate, {v: lambda x=x: x for v, x in live.items()})
    results = run(executable)
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
