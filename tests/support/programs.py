"""Strategies for the compiler's tests: functions of tensors, composed of all operations.

A step of a function is drawn by running it. Steps that an operation refuses, or whose results are
too large to stay finite, are left out. The drawn function runs again on other numbers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SEEDS, as_function, has_arrays, shapes_of

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler import kernels, numpy_printer
from tinynet.compiler.executable import Executable
from tinynet.compiler.program import Program
from tinynet.compiler.record import record
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.tensor import Primitive, Tensor

Step = Callable[[Tensor, Tensor], Tensor]

FLOATS = st.sampled_from(["float32", "float64"])
DTYPES = FLOATS | st.sampled_from(["int32", "int64", "bool"])
SHAPES = st.sampled_from(
    [(), (1,), (3,), (17,), (2, 3), (3, 3), (3, 1), (1, 3), (2, 1, 3), (0, 3)],
)


# -- strategies: Hypothesis takes long for a new one, so the same are used again ---------------

lists, one_of, sampled_from = map(cache, (st.lists, st.one_of, st.sampled_from))
valid_axes, basic_indices = map(cache, (hnp.valid_tuple_axes, hnp.basic_indices))
integer_array_indices, arrays = map(cache, (hnp.integer_array_indices, hnp.arrays))
permutations = cache(lambda count: st.permutations(range(count)))
or_none = cache(lambda strategy: st.none() | strategy)


# -- operations: each draws a step, a function of two tensors or only the first ---------------


def into(x: Tensor, interval: tuple[float, float]) -> Tensor:
    """Map `x` into the domain of a case."""
    low, high = interval
    wide = not has_arrays(interval) and interval == Case(1).domains[0]
    return x if wide else low + (high - low) * ops.sigmoid(x)


def elementwise(primitive: Primitive) -> Any:
    case = primitive.cases[0]
    function = getattr(ops, primitive.name, partial(bind, primitive))
    ends = [case.domains[min(i, len(case.domains) - 1)] for i in range(case.shapes)]
    return lambda draw, a, b: lambda *ab: function(*map(into, ab, ends))


def reduction(function: Any) -> Any:
    def operation(draw, a, b):
        axis, keepdims = draw(or_none(valid_axes(a.ndim))), draw(st.booleans())
        return lambda a, b: function(a, axis, keepdims)

    return operation


def step_of(*steps: Step) -> Any:
    return lambda draw, a, b: draw(sampled_from(steps))


NUMBERS = st.sampled_from([1.0, 2.0, 0.5, -4.0, 3.0, 0.1, 0.0, 32.0])


def beside_a_number(draw, a, b):
    number = draw(NUMBERS)
    function = draw(sampled_from((ops.add, ops.subtract, ops.multiply)))
    return draw(
        st.sampled_from(
            [
                lambda a, b: function(a, number),
                lambda a, b: function(number, a),
                lambda a, b: a / (number or 1.0),
            ]
        )
    )


def beside_a_constant(draw, a, b):
    x = numbers(draw(SEEDS), draw(sampled_from((a.shape, a.shape[1:], (1,)))), draw(FLOATS))
    constant = draw(st.sampled_from([x, tn.tensor(x), tn.Variable(x, trainable=False)]))
    return lambda a, b: a * constant


def converted(draw, a, b):
    dtype = draw(DTYPES)
    return lambda a, b: ops.cast(a, dtype)


def reshaped(draw, a, b):
    shapes = [(a.size,), (1, *a.shape), (*a.shape, 1), a.shape, *[()] * (a.size == 1)]
    shapes += [(n, a.size // n) for n in (2, 3) if a.size % n == 0]
    shape = draw(sampled_from(tuple(shapes)))
    return lambda a, b: ops.reshape(a, shape)


def transposed(draw, a, b):
    axes = tuple(draw(permutations(a.ndim)))
    return lambda a, b: ops.transpose(a, axes)


def repeated(draw, a, b):
    shape = tuple(draw(st.integers(0, 4)) if n == 1 else n for n in a.shape)
    shape = (*draw(sampled_from(((), (1,), (2,), (4,)))), *shape)
    return lambda a, b: ops.broadcast_to(a, shape)


def indexed(draw, a, b):
    kinds = [basic_indices(a.shape, allow_newaxis=True, max_dims=4)]
    if a.size and a.ndim:
        kinds += [integer_array_indices(a.shape), arrays(bool, a.shape)]
    index = draw(one_of(*kinds))
    return lambda a, b: a[index]


def along_an_axis(function: Any) -> Any:
    def operation(draw, a, b):
        axis = draw(or_none(st.integers(0, max(a.ndim - 1, 0))))
        return lambda a, b: function(a, axis)

    return operation


def as_in_its_cases(primitive: Primitive) -> Any:
    """Return an operation on as many elements of the two tensors as a case needs."""

    def operation(draw, a, b):
        case = draw(st.sampled_from(primitive.cases))
        shapes = shapes_of(case, [a.shape, b.shape])

        def fitted(x: Tensor, shape: tuple[int, ...], i: int) -> Tensor:
            places = np.arange(math.prod(shape)).reshape(shape) % len(ops.ravel(x)[:99])
            return into(ops.ravel(x)[places], case.domains[min(i, len(case.domains) - 1)])

        return lambda a, b: as_function(primitive, case)(
            *(fitted((a, b)[i % 2], shape, i) for i, shape in enumerate(shapes))
        )

    return operation


def flat(*xs: Tensor) -> Tensor:
    return ops.concatenate([ops.reshape(x, (-1,)) for x in xs])


def operation_of(primitive: Primitive) -> Any:
    """Return an operation for a primitive that has none below, by the params of its cases."""
    params, public = primitive.cases[0].params, getattr(ops, primitive.name, None)
    if public and set(params) == {"axis", "keepdims"}:
        return reduction(public)
    if public and set(params) == {"axis"} and len(primitive.cases[0].shapes) == 1:
        return along_an_axis(public)
    plain = isinstance(primitive.cases[0].shapes, int) and not params
    return elementwise(primitive) if plain else as_in_its_cases(primitive)


OPERATIONS: dict[str, Any] = {
    name: operation_of(primitive) for name, primitive in PRIMITIVES.items()
} | {
    "beside a number": beside_a_number,
    "beside a constant": beside_a_constant,
    "where": step_of(lambda a, b: ops.where(a > b, a, b), lambda a, b: ops.where(a, b, 0.0)),
    "cast": converted,
    "mean": reduction(ops.mean),
    "softmax": step_of(lambda a, b: ops.softmax(a)),
    "reshape": reshaped,
    "transpose": transposed,
    "broadcast_to": repeated,
    "getitem": indexed,
    "concatenate": step_of(
        lambda a, b: ops.concatenate([a, b, a], 0),
        lambda a, b: flat(a, b),
        lambda a, b: flat(b, b[:1], a),
        lambda a, b: flat(a, ops.transpose(a), b * 2.0),
    ),
    "matmul": step_of(ops.matmul, lambda a, b: a.T @ b, lambda a, b: a @ b.T),
    "detach": step_of(lambda a, b: a.detach()),
}


# -- functions --------------------------------------------------------------------------------

FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "one": lambda xs: xs[0],
    "list": list,
    "tuple": tuple,
    "dict": lambda xs: {"z": xs[0], "a": xs[1:]},
}


class Drawn(NamedTuple):
    """A function of tensors, and arguments of the same types for two calls."""

    function: Callable[..., Any]
    first: list[np.ndarray]
    second: list[np.ndarray]


def numbers(seed: int, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Return numbers, some of them whole, zero or equal."""
    rng = np.random.default_rng(seed)
    quarters = rng.integers(-8, 9, shape) / 4
    return np.asarray(np.where(rng.random(shape) < 0.5, quarters, rng.normal(size=shape)), dtype)


def is_tame(t: Tensor) -> bool:
    return t.size <= 200 and bool((np.abs(t.data.astype("float64")) <= 1e3).all())


@cache
def types_of(shapes: Any, dtypes: Any) -> Any:
    return st.lists(st.tuples(SEEDS, shapes, dtypes), min_size=1, max_size=3)


@cache
def results_of(count: int) -> Any:
    """Draw one to three of `count` values, rather late ones."""
    late = st.integers(max(0, count - 4), count - 1) | st.integers(0, count - 1)
    return st.lists(late, min_size=1, max_size=3)


@st.composite
def functions(
    draw: Any,
    dtypes: Any = DTYPES,
    shapes: Any = SHAPES,
    steps: int = 10,
    names: Sequence[str] = tuple(OPERATIONS),
) -> Drawn:
    """Draw a function of one to three tensors."""
    types = draw(types_of(shapes, dtypes))
    runs = [[numbers(seed + i, *rest) for seed, *rest in types] for i in range(2)]
    values = [[tn.tensor(x) for x in run] for run in runs]
    taken: list[tuple[Step, int, int]] = []
    for name in draw(lists(sampled_from(tuple(names)), max_size=steps)):
        i, j = (draw(st.integers(0, len(values[0]) - 1)) for _ in range(2))
        try:
            step = OPERATIONS[name](draw, values[0][i], values[0][j])
            with np.errstate(all="ignore"):
                found = [step(run[i], run[j]) for run in values]
        except (ValueError, TypeError, IndexError):
            continue
        if all(map(is_tame, found)):
            taken.append((step, i, j))
            values = [[*run, t] for run, t in zip(values, found, strict=True)]
    count = len(values[0])
    picked = draw(results_of(count))
    form = FORMS[draw(sampled_from(tuple(FORMS)))]

    def function(*xs: Tensor) -> Any:
        values = list(xs)
        for step, i, j in taken:
            values.append(step(values[i], values[j]))
        return form([values[i] for i in picked])

    return Drawn(function, *runs)


def gradient(drawn: Drawn, order: int) -> Callable[..., Any]:
    """Differentiate a scalar function of all floating results `order` times, in each argument.

    The arguments must be floating.
    """

    def total(f: Callable[..., Any]) -> Callable[..., Tensor]:
        def scalar(*xs: Tensor) -> Tensor:
            parts = (ops.sum(t * ops.sin(t)) for t in tree.flatten(f(*xs)) if t.dtype.kind == "f")
            return sum(parts, start=ops.sum(xs[0]) * 0.0)

        return scalar

    f = drawn.function
    for _ in range(order):
        f = tn.grad(total(f), tuple(range(len(drawn.first))))
    return f


def recorded(f: Callable[..., Any], args: Any) -> Program:
    """Return the program of `f`, not simplified."""
    with np.errstate(all="ignore"):
        return record(lambda *xs: tree.flatten(f(*xs)), [tn.tensor(x) for x in args])


def run(executable: Executable, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return the outputs of one run, copied."""
    return executable.runner(executable.fill, lambda outputs: [y.copy("K") for y in outputs])(
        arrays
    )


# -- what is expected, and where it is computed -----------------------------------------------


def eagerly(f: Callable[..., Any], args: Any) -> Any:
    """Return the results of `f` without compiling it."""
    with np.errstate(all="ignore"):
        return f(*(tn.tensor(x) for x in args))


def assert_same_results(found: Any, expected: Any) -> None:
    """Assert that trees of tensors are equal: structure, shapes, dtypes, and every bit."""
    forms = (tree.map_structure(lambda t: (t.shape, t.dtype), each) for each in (found, expected))
    assert len({repr(form) for form in forms}) == 1
    for one, other in zip(tree.flatten(found), tree.flatten(expected), strict=True):
        assert_same(one.data, other.data)


def poisoned(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return a new array that holds NaN, or 77 if it is of integers."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 77, dtype)


@contextmanager
def poisoned_buffers(block: int = kernels.BLOCK) -> Iterator[None]:
    """Let compiled functions find such buffers, and compute long arrays in blocks of `block`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_printer.XP, "empty", poisoned)
        patch.setattr(kernels, "BLOCK", block)
        yield


# The body of the training step of one neuron, for 32 samples, the mean squared error and Adam.
ADAM_STEP = """\
        # forward
        dot(x, dense_kernel, dense)
        add(dense, dense_bias_0d, dense)
        # loss
        subtract(dense, y, dense)
        square(dense, t1)
        add_reduce(t1_flat, None, None, loss)
        multiply(loss, c0_03125, loss)
        # backward
        multiply(dense, c0_0625, dense)
        add_reduce(dense, (0,), None, d_dense_bias)
        dot(x_T, dense, d_dense_kernel)
        # update
        subtract(gradients, momentum, t2)
        multiply(t2, c0_1, t2)
        add(momentum, t2, momentum)
        multiply(gradients, gradients, t2)
        subtract(t2, velocity, t2)
        multiply(t2, c0_001, t2)
        add(velocity, t2, velocity)
        multiply(momentum, alpha, t2)
        sqrt(velocity, t3)
        add(t3, c1e_07, t3)
        divide(t2, t3, t2)
        subtract(parameters, t2, parameters)
"""
