"""`vmap` equals a loop over the examples, for every primitive and every choice of axes."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, normal
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from programs import assert_same_results, eagerly, poisoned_buffers
from strategies import CASES, SEEDS, over_cases, typical, with_given

import tinynet as tn
from tinynet import ops
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.tensor import Primitive, Tensor, wrap

SIZE = 3  # of a batch
OURS = [p for p in PRIMITIVES.values() if not p.elementwise]


def stacked(results: Sequence[Any]) -> list[np.ndarray]:
    """Return each of several results of the examples as one array."""
    return [np.stack([t.numpy() for t in parts]) for parts in zip(*results, strict=True)]


def batch_of(case: Case) -> list[np.ndarray]:
    """Return a batch of all inputs of the case; index arrays and conditions differ, too."""
    draws = [with_given(case, typical(case, seed)) for seed in range(SIZE)]
    for k, draw in enumerate(draws):
        for i in case.given:
            draw[i] = np.roll(draw[i], k) if draw[i].dtype.kind != "f" else draw[i]
    return [np.stack(each) for each in zip(*draws, strict=True)]


def value_and_cotangents(primitive: Primitive, case: Case) -> Callable[..., Any]:
    """Return a function that computes the primitive's value, and its cotangents from one of it."""

    def function(*xs: Any) -> Any:
        xs = [*map(ops.convert_to_tensor, xs)]
        floating = [i for i, x in enumerate(xs) if x.dtype.kind == "f"]

        def of_floating(*some: Any) -> Tensor:
            places = dict(enumerate(xs)) | dict(zip(floating, some, strict=True))
            return bind(primitive, *places.values(), **case.params)

        y, pullback = tn.vjp(of_floating, *(xs[i] for i in floating))
        return [y, *pullback(ops.cos(y))] if y.dtype.kind == "f" else [y]

    return function


def choices(batch: Sequence[Any]) -> Iterator[tuple[list[Any], tuple[Any, ...]]]:
    """Yield arguments and their axes, for each choice of those that differ between examples."""
    for axes in itertools.product((0, None), repeat=len(batch)):
        if 0 in axes:
            yield [x if a == 0 else x[0, ...] for x, a in zip(batch, axes, strict=True)], axes


def assert_equals_a_loop(f: Callable[..., Any], args: Any, axes: Any, tolerance: float) -> None:
    """Assert that `vmap` of `f`, which returns a list, equals `f` of each example, stacked."""
    given = [*zip(args, axes, strict=True)]
    examples = [[x[k, ...] if a == 0 else x for x, a in given] for k in range(SIZE)]
    expected = stacked([f(*map(tn.tensor, example)) for example in examples])
    for found, right in zip(tn.vmap(f, axes)(*args), expected, strict=True):
        assert (found.dtype, found.shape) == (right.dtype, right.shape)
        assert_close(found, right, tolerance, tolerance)


# -- the law ----------------------------------------------------------------------------------


@over_cases(CASES)
def test_a_batch_equals_a_loop_over_its_examples_in_value_and_cotangents(primitive, case):
    for args, axes in choices(batch_of(case)):
        assert_equals_a_loop(value_and_cotangents(primitive, case), args, axes, 1e-12)


@over_cases(CASES)
def test_without_a_rule_a_batch_equals_a_loop_exactly(primitive, case):
    without = replace(primitive, batched=None, elementwise=False)
    for args, axes in choices(batch_of(case)):
        f = lambda *xs: [bind(without, *map(ops.convert_to_tensor, xs), **case.params)]  # noqa: E731
        assert_equals_a_loop(f, args, axes, 0.0)


@over_cases(CASES)
@np.errstate(all="ignore")
def test_a_compiled_batch_equals_an_eager_one_bit_for_bit(primitive, case):
    for args, axes in choices(batch_of(case)):
        mapped = tn.vmap(value_and_cotangents(primitive, case), axes)
        with poisoned_buffers():
            found = tn.jit(mapped)(*args)
        assert_same_results(found, eagerly(mapped, args))


@over_cases(CASES)
def test_an_empty_batch_gives_empty_results_of_the_same_types(primitive, case):
    f = value_and_cotangents(primitive, case)
    for args, axes in choices(batch_of(case)):
        some = tn.vmap(f, axes)(*args)
        empty = [x[:0] if a == 0 else x for x, a in zip(args, axes, strict=True)]
        none = tn.vmap(f, axes)(*empty)
        expected = [((0, *y.shape[1:]), y.dtype) for y in some]
        assert [(y.shape, y.dtype) for y in none] == expected


@pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=PRIMITIVES)
def test_each_primitive_computes_a_batch_at_once(primitive):
    assert primitive.elementwise or primitive.batched is not None


@over_cases([(primitive, case) for primitive, case in CASES if primitive.elementwise])
def test_an_element_of_an_elementwise_result_depends_on_its_place_alone(primitive, case):
    arrays = np.broadcast_arrays(*with_given(case, typical(case)))
    whole = bind(primitive, *map(wrap, arrays), **case.params).data
    for place in np.ndindex(whole.shape):
        element = bind(primitive, *(wrap(x[(*place, ...)]) for x in arrays), **case.params)
        assert_close(element.data, whole[(*place, ...)])


# -- shapes that are drawn --------------------------------------------------------------------


def weighted(f: Callable[..., Tensor]) -> Callable[..., Any]:
    """Return a function that computes the value of `f` and its cotangents in all arguments."""

    def function(*xs: Any) -> Any:
        y, pullback = tn.vjp(f, *map(ops.convert_to_tensor, xs))
        return [y, *pullback(ops.cos(y))]

    return function


SIGNED = hnp.mutually_broadcastable_shapes(
    signature=np.matmul.signature, max_dims=2, min_side=1, max_side=3
)


@given(SIGNED, SEEDS)
def test_products_of_any_ranks(shapes, seed):
    batch = [
        normal(seed + i, SIZE, *shape, dtype="float64")
        for i, shape in enumerate(shapes.input_shapes)
    ]
    for args, axes in choices(batch):
        assert_equals_a_loop(weighted(ops.matmul), args, axes, 1e-12)


@st.composite
def indices(draw: Any, shape: tuple[int, ...]) -> tuple[list[Any], list[np.ndarray]]:
    """Draw an index, with "array" in place of arrays, and a batch of each array."""
    index: list[Any] = []
    arrays: list[np.ndarray] = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        index.append(draw(st.integers(-n, n - 1) | st.slices(n) | st.just("array")))
        if index[-1] == "array":
            lengths = (SIZE, *draw(st.sampled_from([(), (2,), (1,), (3, 1), (3, 2)])))
            arrays.append(draw(hnp.arrays("int64", lengths, elements=st.integers(-n, n - 1))))
    for other in [None] * draw(st.integers(0, 2)) + [Ellipsis] * draw(st.integers(0, 1)):
        index.insert(draw(st.integers(0, len(index))), other)
    return index, arrays


@given(st.data(), SEEDS)
def test_any_index_of_any_arrays(data, seed):
    shape = data.draw(st.sampled_from([(2,), (3, 2), (2, 3, 4), (2, 1, 3, 2)]))
    index, arrays = data.draw(indices(shape))

    def f(x: Any, *arrays: Any) -> Any:
        rest = iter(arrays)
        at = tuple(next(rest) if isinstance(i, str) else i for i in index)
        return weighted(lambda x: x[at])(x)

    for args, axes in choices([normal(seed, SIZE, *shape, dtype="float64"), *arrays]):
        assert_equals_a_loop(f, args, axes, 1e-12)
