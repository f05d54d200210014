"""What the compiler's tests draw: functions of tensors, composed of the operations there are.

A step of a function is drawn by running it: what an operation refuses, or makes too large to stay
finite, is not taken. So any composition is drawn that can be, and it runs again on other numbers.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from helpers import assert_same
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SEEDS

import tinynet as tn
from tinynet import ops, tree
from tinynet.engine.primitives import REGISTRY, Case
from tinynet.engine.tensor import Primitive, Tensor, bind

Step = Callable[[Tensor, Tensor], Tensor]


class Drawn(NamedTuple):
    """A function of tensors, and two lists of arguments of the same types."""

    function: Callable[..., Any]
    first: list[np.ndarray]
    second: list[np.ndarray]


# -- the operations: of Hypothesis' draw and two tensors to a step of them ---------------------


def into(x: Tensor, interval: tuple[float, float]) -> Tensor:
    """Return `x`, in the interval that a case demands."""
    low, high = interval
    return x if interval == Case(1).domains[0] else low + (high - low) * ops.sigmoid(x)


def elementwise(primitive: Primitive) -> Callable[..., Step]:
    case = primitive.cases[0]
    function = getattr(ops, primitive.name, partial(bind, primitive))
    ends = [case.domains[min(i, len(case.domains) - 1)] for i in range(case.shapes)]
    return lambda draw, a, b: lambda *ab: function(*map(into, ab, ends))


def reduction(function: Any) -> Callable[..., Step]:
    def operation(draw, a, b):
        axis, keepdims = draw(st.none() | hnp.valid_tuple_axes(a.ndim)), draw(st.booleans())
        return lambda a, b: function(a, axis, keepdims)

    return operation


def with_number(draw, a, b):
    number = draw(st.sampled_from([1.0, 2.0, 0.5, -4.0, 3.0, 0.1, 0.0, 32.0]))
    combine = draw(st.sampled_from([ops.add, ops.subtract, ops.multiply, ops.divide]))
    if draw(st.booleans()) and combine is not ops.divide:
        return lambda a, b: combine(number, a)
    return lambda a, b: combine(a, number or 1.0)


def with_constant(draw, a, b):
    shape = draw(st.sampled_from([a.shape, a.shape[1:], (1,) * a.ndim]))
    x = numbers(draw(SEEDS), shape, draw(FLOATS))
    found = draw(st.sampled_from([x, tn.tensor(x), tn.Variable(x, trainable=False)]))
    return lambda a, b: a * found


def chosen(draw, a, b):
    return draw(st.sampled_from([lambda a, b: ops.where(a > b, a, b), lambda a, b: ops.where(a, b, 0.0)]))


def converted(draw, a, b):
    dtype = draw(DTYPES)
    return lambda a, b: ops.cast(a, dtype)


def reshaped(draw, a, b):
    shapes = [(a.size,), (1, *a.shape), (*a.shape, 1), (a.size, 1), a.shape]
    shapes += [(n, a.size // n) for n in (2, 3) if a.size % n == 0] + [()] * (a.size == 1)
    shape = draw(st.sampled_from(shapes))
    return lambda a, b: ops.reshape(a, shape)


def transposed(draw, a, b):
    axes = tuple(draw(st.permutations(range(a.ndim))))
    return lambda a, b: ops.transpose(a, axes)


def repeated(draw, a, b):
    shape = tuple(draw(st.integers(0, 4)) if n == 1 else n for n in a.shape)
    shape = (*draw(st.sampled_from([(), (1,), (2,), (4,)])), *shape)
    return lambda a, b: ops.broadcast_to(a, shape)


def indexed(draw, a, b):
    kinds = [hnp.basic_indices(a.shape, allow_newaxis=True, max_dims=4)]
    if a.size and a.ndim:
        kinds += [hnp.integer_array_indices(a.shape), hnp.arrays(bool, a.shape)]
    index = draw(st.one_of(*kinds))
    return lambda a, b: a[index]


def joined(draw, a, b):
    axis = draw(st.integers(0, max(a.ndim - 1, 0)))
    flat = lambda *xs: ops.concatenate([ops.reshape(x, (-1,)) for x in xs])
    return draw(
        st.sampled_from(
            [
                lambda a, b: ops.concatenate([a, b, a], axis),
                lambda a, b: flat(a, b),
                lambda a, b: flat(b, b[:1], a),
                lambda a, b: flat(a, ops.transpose(a), b * 2.0),
            ]
        )
    )


def product(draw, a, b):
    return draw(st.sampled_from([ops.matmul, lambda a, b: a.T @ b, lambda a, b: a @ b.T]))


def largest_place(draw, a, b):
    axis = draw(st.none() | st.integers(0, max(a.ndim - 1, 0)))
    return lambda a, b: ops.argmax(a, axis)


OPERATIONS: dict[str, Callable[..., Step]] = {
    name: elementwise(primitive)
    for name, primitive in REGISTRY.items()
    if isinstance(primitive.cases[0].shapes, int) and not primitive.cases[0].params
} | {
    "number": with_number,
    "constant": with_constant,
    "where": chosen,
    "cast": converted,
    "sum": reduction(ops.sum),
    "max": reduction(ops.max),
    "min": reduction(ops.min),
    "mean": reduction(ops.mean),
    "reshape": reshaped,
    "transpose": transposed,
    "broadcast_to": repeated,
    "getitem": indexed,
    "concatenate": joined,
    "matmul": product,
    "argmax": largest_place,
    "detach": lambda draw, a, b: lambda a, b: a.detach(),
    "softmax": lambda draw, a, b: lambda a, b: ops.softmax(a),
}

# -- functions ---------------------------------------------------------------------------------

FLOATS = st.sampled_from(["float32", "float64"])
DTYPES = FLOATS | st.sampled_from(["int32", "int64", "bool"])
SHAPES = st.sampled_from([(), (1,), (3,), (2, 3), (3, 3), (3, 1), (1, 3), (2, 1, 3), (0, 3), (17,)])
FORMS: dict[str, Callable[[list[Any]], Any]] = {
    "one": lambda xs: xs[0],
    "list": list,
    "tuple": tuple,
    "dict": lambda xs: {"z": xs[0], "a": xs[1:]},
}


def numbers(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return numbers of which some are whole, some are 0 and some are equal."""
    rng = np.random.default_rng(seed)
    quarters = rng.integers(-8, 9, shape) / 4
    return np.asarray(np.where(rng.random(shape) < 0.5, quarters, rng.normal(size=shape)), dtype)


def is_tame(t: Tensor) -> bool:
    return bool((np.abs(t.data.astype("float64")) <= 1e3).all()) and t.size <= 200


@st.composite
def functions(draw: Any, dtypes: Any = DTYPES, steps: int = 10, forms: Any = FORMS) -> Drawn:
    """Draw a function of one to three tensors, and arguments for it."""
    types = draw(st.lists(st.tuples(SHAPES, dtypes), min_size=1, max_size=3))
    seeds = [draw(SEEDS) for _ in types]
    runs = [[numbers(s + n, *t) for s, t in zip(seeds, types, strict=True)] for n in (0, 1)]
    values = [[tn.tensor(x) for x in run] for run in runs]
    taken: list[tuple[Step, int, int]] = []
    with np.errstate(all="ignore"):
        for name in draw(st.lists(st.sampled_from(list(OPERATIONS)), max_size=steps)):
            i, j = (draw(st.integers(0, len(values[0]) - 1)) for _ in "ij")
            try:
                step = OPERATIONS[name](draw, values[0][i], values[0][j])
                found = [step(run[i], run[j]) for run in values]
            except (ValueError, TypeError, IndexError):
                continue
            if all(map(is_tame, found)):
                for run, t in zip(values, found, strict=True):
                    run.append(t)
                taken.append((step, i, j))
    count = len(values[0])
    picked = draw(st.lists(st.integers(max(0, count - 4), count - 1) | st.integers(0, count - 1), min_size=1, max_size=3))
    form = forms[draw(st.sampled_from(list(forms)))]

    def function(*xs: Tensor) -> Any:
        values = list(xs)
        for step, i, j in taken:
            values.append(step(values[i], values[j]))
        return form([values[i] for i in picked])

    return Drawn(function, *runs)


# -- what is expected --------------------------------------------------------------------------


@contextmanager
def results_in_c_order() -> Iterator[None]:
    """Let primitives leave new arrays in the layout of buffers, as sums depend on it."""

    def in_order(impl: Any) -> Any:
        def run(*xs: Any, **params: Any) -> Any:
            out = np.asarray(impl(*xs, **params))
            return out if out.base is not None else np.array(out, order="C")

        return run

    impls = {primitive: primitive.impl for primitive in REGISTRY.values()}
    for primitive, impl in impls.items():
        object.__setattr__(primitive, "impl", in_order(impl))
    try:
        yield
    finally:
        for primitive, impl in impls.items():
            object.__setattr__(primitive, "impl", impl)


def eagerly(f: Callable[..., Any], args: Any) -> Any:
    with results_in_c_order():
        return f(*(tn.tensor(x) for x in args))


def assert_same_results(found: Any, expected: Any) -> None:
    """Assert that structures of tensors are the same in form, types and numbers."""
    form = [tree.map_structure(lambda t: (t.shape, t.dtype), each) for each in (found, expected)]
    assert form[0] == form[1]
    for one, other in zip(tree.flatten(found), tree.flatten(expected), strict=True):
        assert_same(one.data, other.data)
