"""C programs equal eager to the bit; sums, products and functions such as exp within ulps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, refused
from hypothesis import given, settings, strategies as st
from native import CACHE, NATIVE, in_c, missing, ulps
from programs import (
    FLOATS,
    OPERATIONS,
    assert_same_results,
    eagerly,
    functions,
    numbers,
    poisoned_buffers,
    recorded,
    run,
)

import tinynet as tn
from tinynet import ops, tree
from tinynet.compiler import c_printer, toolchain
from tinynet.compiler.c_text import TYPES, C, merged, plain
from tinynet.compiler.executable import Executable
from tinynet.compiler.passes import simplify
from tinynet.compiler.record import label
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.primitives.elementwise import cast

FEW = max(1, settings.default.max_examples // 2)


@pytest.fixture(autouse=True, scope="module")
def poisoned() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, poisoned_buffers():
        patch.setenv("TINYNET_CACHE_DIR", CACHE)
        yield


def test_every_dtype_of_tensors_but_float16_has_its_type_in_c():
    for dtype in map(np.dtype, "?bhilqBHILQfd"):
        integer = f"{dtype.name}_t" if dtype.kind in "iu" else ""
        assert TYPES[dtype.name] == (
            integer or {"?": "bool", "f": "float", "d": "double"}[dtype.char]
        )


# -- programs ---------------------------------------------------------------------------------

ROUNDED = {"exp", "log", "tanh", "sum", "dot", "matmul", "mean", "softmax", "sigmoid", "softplus"}
ROUNDED |= {name for name, row in C.items() if "$s(" in row} - {"sqrt", "absolute", "fabs", "rint"}
ROUNDED |= {"logaddexp", "erfc", "power"}
ROUNDED -= {"floor", "ceil", "trunc"}
COMPOSED = {"beside a number", "beside a constant", "where", "cast", "reshape", "transpose"}
COMPOSED |= {"broadcast_to", "concatenate", "detach", "max", "min", "relu"}
# A drawn operation with a narrow domain maps its operands there, by a sigmoid.
CASES = {name: PRIMITIVES[name].cases[0] for name in C if name in PRIMITIVES}
WIDE = {name for name, case in CASES.items() if case.domains == Case(1).domains}
EXACT = [name for name in OPERATIONS if name in COMPOSED | (WIDE - ROUNDED)]
JUMPS = {"sign", "floor", "ceil", "trunc", "rint", "floor_divide", "remainder", "signbit", "where"}
JUMPS |= {
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "isfinite",
    "cast",
}
JUMPS |= {"logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "max", "min"}
SMOOTH = [name for name in OPERATIONS if name in {*C, *COMPOSED, *ROUNDED} - JUMPS]


@pytest.fixture
def quickly_compiled(monkeypatch: Any) -> None:
    """Compile without optimization, which takes a third of the time, where the text matters."""
    monkeypatch.setattr(toolchain, "FLAGS", (*(f for f in toolchain.FLAGS if f != "-O3"), "-O0"))


def is_in_c(drawn: Any) -> bool:
    return missing(simplify(recorded(drawn.function, drawn.first))) is None


@settings(max_examples=3 * settings.default.max_examples)
@given(functions(names=EXACT, steps=20))
def test_drawn_programs_without_rounded_functions_equal_eager_to_the_bit(drawn):
    if is_in_c(drawn):
        assert_same_results(
            in_c(drawn.function, *drawn.first), eagerly(drawn.function, drawn.first)
        )


@given(functions(st.just("float64"), names=SMOOTH))
def test_drawn_programs_of_smooth_functions_equal_eager_closely(drawn):
    if is_in_c(drawn):
        found, expected = in_c(drawn.function, *drawn.first), eagerly(drawn.function, drawn.first)
        for one, other in zip(tree.flatten(found), tree.flatten(expected), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one.data, other.data, rtol=1e-10, atol=1e-10)


def test_a_product_and_a_sum_are_rounded_each():
    x, y = np.random.default_rng(0).normal(size=(2, 1000)).astype("float32")
    found = in_c(lambda x, y, z: [x * y - z, z - x * y, x * y + -z], x, y, x * y)
    for difference in found:
        assert_same(difference.data, np.zeros(1000, "float32"))


def test_most_drawn_operations_have_a_text_in_c():
    assert len(EXACT) > 35
    assert len(SMOOTH) > 40


@settings(max_examples=FEW)
@given(functions(FLOATS, names=SMOOTH, steps=4))
def test_the_gradient_of_a_compiled_function_runs_as_c_too(drawn):
    jitted = tn.jit(drawn.function, native=NATIVE)

    def total(f: Any) -> Any:
        return lambda *xs: sum((ops.sum(t) for t in tree.flatten(f(*xs))), start=ops.sum(xs[0]))

    arguments = tuple(range(len(drawn.first)))
    if not is_in_c(drawn):
        return
    with np.errstate(all="ignore"):
        try:
            found = tn.grad(total(jitted), arguments)(*drawn.first)
        except NotImplementedError:
            return
        expected = tn.grad(total(drawn.function), arguments)(*drawn.first)
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, float(np.max(np.abs(other.data), initial=0.0)))
        np.testing.assert_allclose(one.data, other.data, rtol=2e-4, atol=2e-4 * scale)


# -- each row of the table --------------------------------------------------------------------

ORDINARY = [0.0, 0.5, 1.0, 2.0, 3.0, 88.0, 1e-3, 7.25]
EXTREMES = [np.inf, np.nan, 1e-45, 5e-324, 1e-310, 1e-40, 1.2e-38, 3e38, 1e308, 88.8, 709.7]
EXTREMES += [104.0, 745.2, 2.0**31, 2.0**63, 1e20, 0.3465736]
BY_LIBM_IN_NUMPY = 4.0  # ulps by which NumPy's functions and those of libm may differ
OF_TWO = {name for name, row in C.items() if "{1}" in row and "/" not in name and name != "where"}


def samples(dtype: str) -> np.ndarray:
    """Return numbers of a dtype and their negatives, extremes included."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([True, False])
    if kind.kind in "iu":
        info = np.iinfo(kind)
        small = [0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1]
        return np.array(small + [-1, -2, -3, -7] * (kind.kind == "i"), kind)
    with np.errstate(all="ignore"):
        known = np.array(ORDINARY + EXTREMES).astype(kind)
        drawn = np.random.default_rng(0).normal(size=2000).astype(kind)
    return np.concatenate([known, -known, drawn, 30 * drawn, 0.01 * drawn])


def pairs(dtype: str) -> list[np.ndarray]:
    """Return all pairs of such numbers."""
    x = samples(dtype)[: 2 * len(ORDINARY + EXTREMES)]
    return [a.ravel() for a in np.meshgrid(x, x)]


ROWS = [name for name in C if "/" not in name and name != "where"]


@pytest.mark.parametrize("dtype", TYPES)
def test_each_row_of_the_table_gives_the_numbers_of_eager(dtype):
    names = [name for name in ROWS if is_defined(name, dtype)]
    assert len(names) > 25
    arrays = {1: [samples(dtype)], 2: pairs(dtype)}

    def f(*xs: Any) -> Any:
        return {n: bind(PRIMITIVES[n], *(xs[1:] if n in OF_TWO else xs[:1])) for n in names}

    given = [*arrays[1], *arrays[2]]
    found, expected = in_c(f, *given), eagerly(f, given)
    for name in names:
        assert_row(name, found[name].data, expected[name].data, arrays[1 + (name in OF_TWO)])


def is_defined(name: str, dtype: str) -> bool:
    """Return whether NumPy has the function for this dtype, and C a text for it."""
    xs = [np.ones(1, dtype)] * (1 + (name in OF_TWO))
    try:
        with np.errstate(all="ignore"):
            bind(PRIMITIVES[name], *map(tn.tensor, xs))
    except TypeError:
        return False
    lacks = missing(simplify(recorded(lambda *xs: bind(PRIMITIVES[name], *xs), xs)))
    assert not lacks or "float16" in lacks or name in ("power", "reciprocal", "remainder", "erfc")
    return not lacks


def assert_row(name: str, found: Any, expected: Any, arrays: list[np.ndarray]) -> None:
    assert (name, found.dtype, found.shape) == (name, expected.dtype, expected.shape)
    if found.dtype.kind != "f" or name not in ROUNDED:
        np.testing.assert_array_equal(found, expected, name)
    elif name in ("exp", "log", "tanh") and NATIVE:
        wide = [a.astype("longdouble" if found.dtype == "float64" else "float64") for a in arrays]
        with np.errstate(all="ignore"):
            exact = PRIMITIVES[name].impl(*wide)
        assert (name, ulps(found, exact) <= 2) == (name, True)
    else:
        tiny = np.abs(expected) < np.finfo(found.dtype).tiny  # where libraries differ
        distance = ulps(found[~tiny], expected[~tiny])
        assert (name, distance) <= (name, 8.0 if name == "erfc" else BY_LIBM_IN_NUMPY)
        np.testing.assert_allclose(found[tiny], expected[tiny], 0, np.finfo(found.dtype).tiny, name)


def test_every_elementwise_primitive_has_a_row_or_is_made_of_others():
    elementwise = {n for n, p in PRIMITIVES.items() if p.elementwise and "scipy" not in n}
    composed = {n for n in elementwise if PRIMITIVES[n].composite}
    with_params = {n for n in elementwise if PRIMITIVES[n].cases[0].params}
    assert elementwise - composed - with_params - {"alias"} <= {*C}
    assert {row.split("/")[0] for row in C} <= elementwise


@pytest.mark.parametrize("dtype", TYPES)
def test_casts_are_those_of_numpy(dtype):
    x, to = samples(dtype), [kind for kind in TYPES if kind != "uint64"]
    if np.dtype(dtype).kind == "f":  # NumPy's results out of range depend on the processor
        x = np.abs(x[np.abs(x) < 127])

    def f(x: Any) -> Any:
        return [cast(x, kind) for kind in to]

    assert_same_results(in_c(f, x), eagerly(f, [x]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_cast_to_integers_gives_the_least_one_for_nan_and_numbers_out_of_range(dtype):
    beyond = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 1e20], dtype)
    least = np.full(6, -(2**31), "int32")
    if NATIVE:
        assert_same(in_c(lambda x: cast(x, "int32"), beyond).data, least)
        assert_same(in_c(lambda x: cast(x, "int64"), beyond[:3]).data, np.full(3, -(2**63)))


def test_uint64_takes_numbers_from_above_the_largest_int64():
    x = np.array([0.0, 1.5, 2.0**62, 2.0**63, 2.0**63 + 4096])
    found = in_c(lambda x: cast(x, "uint64"), x)
    assert_same(found.data, np.array([0, 1, 2**62, 2**63, 2**63 + 4096], "uint64"))


# -- sums and products ------------------------------------------------------------------------

LAYOUTS: dict[str, Any] = {
    "row-major": lambda x: x,
    "transposed": lambda x: ops.transpose(x),
    "every second": lambda x: x[::2],
    "reversed": lambda x: x[..., ::-1],
    "repeated": lambda x: ops.broadcast_to(x[:1], x.shape),
}


@given(
    st.data(),
    st.sampled_from(["float32", "float64", "int32", "bool"]),
    st.sampled_from([(), (1,), (7,), (300,), (3, 50), (50, 3), (2, 70, 5), (4, 1, 3, 9), (0, 3)]),
    st.booleans(),
)
def test_reductions_over_any_axes_equal_eager(data, dtype, shape, keepdims):
    x = numbers(0, shape, dtype)
    layout = data.draw(st.sampled_from([*LAYOUTS])) if shape and 0 not in shape else "row-major"
    rank = len(shape)
    axes = [None, *range(rank), *[(i, j) for i in range(rank) for j in range(i)]]

    def f(x: Any) -> Any:
        x = LAYOUTS[layout](x)
        functions = [ops.sum, ops.max, ops.min] if x.size else [ops.sum]
        return [g(x, axis, keepdims) for g in functions for axis in axes]

    found, expected = in_c(f, x), eagerly(f, [x])
    for one, other in zip(found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(one.data, other.data, 1e-6, 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_reductions_of_infinities_and_nan_are_those_of_eager(dtype, special):
    x = np.ones((40, 40), dtype)
    x[3, 4], x[30, 5] = special, -special

    def f(x: Any) -> Any:
        return [g(x, axis) for g in (ops.sum, ops.max, ops.min) for axis in (None, 0, 1)]

    assert_same_results(in_c(f, x), eagerly(f, [x]))


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("shape", [(1000, 1000), (3, 200_000), (200_000, 3)])
def test_sums_are_as_accurate_as_pairwise_ones(shape, axis):
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype("float32")
    exact = np.sum(x.astype("float64"), axis)
    pairwise = np.sum(np.ascontiguousarray(x.T if axis == 0 else x), -1 if axis == 0 else axis)
    bound = max(ulps(pairwise, exact), 8.0)  # a lucky sum of NumPy's is no bound
    found = in_c(lambda x: ops.sum(x, axis), x).data
    if NATIVE:
        assert ulps(found, exact) <= bound
    else:
        assert_same(found, np.sum(x, axis))


SIZES = st.sampled_from([1, 2, 3, 5, 6, 7, 8, 13, 16, 17, 31, 32, 33, 64, 70, 300])


@settings(max_examples=2 * settings.default.max_examples)
@given(st.data(), FLOATS, SIZES, SIZES, SIZES)
def test_products_of_all_shapes_and_transposes_equal_eager(data, dtype, m, n, depth):
    left, right = (data.draw(st.booleans()) for _ in range(2))
    batches = data.draw(st.sampled_from([((), ()), ((2,), ()), ((), (3,)), ((2, 1), (3,))]))
    a = numbers(0, (*batches[0], *((depth, m) if left else (m, depth))), dtype)
    b = numbers(1, (*batches[1], *((n, depth) if right else (depth, n))), dtype)

    def f(a: Any, b: Any) -> Any:
        return ops.matmul(a.swapaxes(-1, -2) if left else a, b.swapaxes(-1, -2) if right else b)

    found, expected = in_c(f, a, b), eagerly(f, [a.astype("float64"), b.astype("float64")])
    assert (found.dtype, found.shape) == (dtype, expected.shape)
    eps = np.finfo(dtype).eps
    scale = np.matmul(
        *(np.abs(x.swapaxes(-1, -2) if turned else x) for x, turned in ((a, left), (b, right)))
    )
    assert np.all(np.abs(found.data - expected.data) <= (4 + depth / 16) * eps * scale)


@pytest.mark.parametrize("step", [-1, 2])
@pytest.mark.parametrize("name", ["sin", "cbrt", "negative", "exp"])
@pytest.mark.parametrize("size", [7, 150_001])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loop_that_reads_and_writes_parts_of_one_array_is_run(dtype, size, name, step):
    def f(x: Any) -> Any:
        t = ops.sign(x) * 0.5
        return ops.concatenate([t, getattr(ops, name)(t[::step])])

    x = numbers(0, (size,), dtype)
    np.testing.assert_allclose(in_c(f, x).data, eagerly(f, [x]).data, 1e-5)


LARGE = [(4200, 1000, 1), (1, 1000, 4200), (4200, 1, 1000), (200, 300, 100), (1000, 64, 128)]


@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_products_so_large_that_rows_run_side_by_side_equal_eager(
    dtype, transposed, quickly_compiled
):
    def f(*xs: Any) -> Any:
        pairs = [
            [x.T if t else x for x, t in zip(xs[i : i + 2], transposed, strict=True)]
            for i in places
        ]
        return [ops.matmul(*pair) for pair in pairs]

    places, arrays = range(0, 2 * len(LARGE), 2), list[np.ndarray]()
    for m, depth, n in LARGE:
        for shape, turned in zip(((m, depth), (depth, n)), transposed, strict=True):
            arrays.append(numbers(m, shape[::-1] if turned else shape, dtype))
    for found, expected in zip(in_c(f, *arrays), eagerly(f, arrays), strict=True):
        np.testing.assert_allclose(found.data, expected.data, 1e-5, 1e-3)


@settings(max_examples=FEW)
@given(FLOATS, SIZES, SIZES)
def test_a_product_of_a_column_and_a_row_is_one_loop_with_the_maps_after_it(dtype, m, n):
    arrays = [numbers(i, shape, dtype) for i, shape in enumerate([(m, 1), (1, n), (n,)])]

    def f(x: Any, kernel: Any, bias: Any) -> Any:
        return ops.square(x @ kernel + bias)

    compiled = tn.jit(f, native=NATIVE)
    assert_same(compiled(*arrays).data, eagerly(f, arrays).data)
    text = compiled.c_source(*arrays)
    assert "product_" not in text
    assert text.count("] = ") == 1  # nothing is stored but the result


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((5,), (5,)),
        ((5,), (5, 3)),
        ((3, 5), (5,)),
        ((2, 3, 5), (5,)),
        ((0, 3), (3, 2)),
        ((3, 0), (0, 2)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_products_of_vectors_of_integers_and_of_nothing_equal_eager(a, b, dtype):
    args = [np.round(4 * numbers(i, shape)).astype(dtype) for i, shape in enumerate((a, b))]
    assert_same_results(in_c(ops.matmul, *args), eagerly(ops.matmul, args))


@pytest.mark.parametrize("dtype", [kind for kind in TYPES if np.dtype(kind).kind in "iu"])
def test_products_and_reductions_of_integers_of_any_size_equal_eager_to_the_bit(
    dtype, quickly_compiled
):
    def f(*arrays: Any) -> list[Any]:
        products = [[x @ x.T, x @ x[0], x[:, 0] @ x, x.T @ x, x[0] @ x[0]] for x in arrays]
        reduced = [g(x, axis) for x in arrays for g in (ops.sum, ops.max) for axis in (None, 1)]
        return [*tree.flatten(products), *reduced]

    arrays = [(9 * numbers(n, (3, n))).astype("int64").astype(dtype) for n in (3, 16, 17, 70, 300)]
    assert_same_results(in_c(f, *arrays), eagerly(f, arrays))


HAS_AVX2 = NATIVE and "avx2" in toolchain.identity(*(toolchain.compiler() or []))[1]
OTHERS: list[list[str]] = [[], *([["-mavx2", "-mfma"]] if HAS_AVX2 else [])]


@pytest.mark.parametrize("features", OTHERS, ids=["baseline", "AVX2"][: len(OTHERS)])
def test_programs_for_processors_with_other_vectors_give_the_same_numbers(features, monkeypatch):
    flags = [flag for flag in toolchain.FLAGS if not flag.endswith("=native")]
    monkeypatch.setattr(toolchain, "FLAGS", (*flags, *features))
    a, b = np.random.default_rng(0).normal(size=(2, 45, 45))

    def f(a: Any, b: Any, x: Any) -> Any:
        return [a @ b, a.T @ b, a @ b.T, a[:7, :5] @ b[:5, :3], ops.exp(x), ops.log(x), ops.tanh(x)]

    for dtype, rtol in (("float32", 2e-6), ("float64", 2e-15)):
        args = [a.astype(dtype), b.astype(dtype), samples(dtype)]
        for found, expected in zip(in_c(f, *args), eagerly(f, args), strict=True):
            np.testing.assert_allclose(found.data, expected.data, rtol, 20 * rtol)


def test_large_products_are_those_of_numpy_to_the_bit_where_its_blas_is_found():
    a, b = np.random.default_rng(0).normal(size=(2, 330, 330)).astype("float32")
    found = in_c(lambda a, b: [a @ b, a.T @ b, a @ b.T], a, b)
    assert "gemms(" in tn.jit(ops.matmul).c_source(a, b) or not toolchain.blas("float32")[0]
    expected = [a @ b, a.T @ b, a @ b.T]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.data, other, 1e-4, 1e-4)
        if toolchain.blas("float32")[0]:
            assert_same(one.data, other)


def test_without_a_blas_large_products_are_tiles(monkeypatch):
    monkeypatch.setattr(c_printer, "blas", lambda dtype: ("", 0))
    a, b = np.random.default_rng(0).normal(size=(2, 330, 330))
    assert "product_double(330" in tn.jit(ops.matmul).c_source(a, b)
    np.testing.assert_allclose(in_c(ops.matmul, a, b).data, a @ b, 1e-12, 1e-12)


# -- places, scans and draws ------------------------------------------------------------------

PLACED: dict[str, Any] = {
    "argmax": ops.argmax,
    "argmin": ops.argmin,
    "cumsum": ops.cumsum,
    "any": ops.any,
    "all": ops.all,
    "nanmax": ops.nanmax,
    "nanmin": ops.nanmin,
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", PLACED)
def test_functions_along_an_axis_equal_eager_to_the_bit(name, dtype, request):
    if dtype not in ("float32", "int8"):  # whose loops the compiler vectorizes as those of others
        request.getfixturevalue("quickly_compiled")
    x = np.round(numbers(0, (4, 37, 5), "float64")).astype(dtype)  # whole numbers, some are equal
    if np.dtype(dtype).kind == "f":
        x[0, 3, :], x[1, 4, 1:3], x[2, :, 2], x[3, 5] = np.nan, np.inf, -np.inf, -0.0
        x[2, 7, 2] = np.nan

    def f(x: Any) -> Any:
        layouts = [layout(x) for layout in LAYOUTS.values()]
        return [PLACED[name](x, axis) for x in layouts for axis in (None, 0, 1, 2)]

    assert_same_results(in_c(f, x), eagerly(f, [x]))


def test_any_and_all_of_nothing_are_those_of_eager():
    x = np.ones((0, 3), "float32")
    for f in (ops.any, ops.all):
        assert "has no text" in str(missing(simplify(recorded(lambda x, f=f: f(x, 0), [x]))))


INDICES: list[Any] = [
    1,
    (slice(0, 2), 3),
    (..., None, -1),
    (slice(None, None, -2), slice(1, None, 2), slice(2, 1, -1)),
    slice(2, 2),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", INDICES, ids=range(len(INDICES)))
def test_parts_and_their_gradients_equal_eager_to_the_bit(index, dtype):
    x = numbers(0, (3, 5, 4), dtype)

    def f(x: Any) -> Any:
        gradient = tn.grad(lambda x: ops.sum(x[index] * x[index]))
        return [x[index], gradient(x), (-x.swapaxes(0, 2)).swapaxes(0, 2)[index]]

    assert_same_results(in_c(f, x), eagerly(f, [x]))


@pytest.mark.parametrize("states", [[7, 4], [[0, 2**32 - 1], [5, 0], [5, 1]]])
def test_random_bits_equal_eager_to_the_bit(states):
    states = np.array(states, "uint32")
    draw = PRIMITIVES["random_bits"]

    def f(states: Any) -> Any:
        return [bind(draw, x, shape=s) for x in (states, states + states) for s in ((1,), (3, 37))]

    assert_same_results(in_c(f, states), eagerly(f, [states]))


# -- the text ---------------------------------------------------------------------------------


def everything(x: Any, y: Any) -> Any:
    """Use each function of the prelude."""
    z = ops.exp(x) + ops.log(ops.abs(x) + 1.0) * ops.tanh(y) + ops.logaddexp(x, y)
    i = cast(x, "int32")
    parts = [z, x // (y + 9.0), x % (y + 9.0), i // (i - 1), i % (i + 1), cast(y, "uint64")]
    parts += [ops.cos(x)[:0], ops.max((z * 3.0)[:0] + ops.sin(y)[:0], 1)]  # no elements
    sums = [ops.sum(z, axis) for axis in (None, 0, 1)] + [ops.max(z, 1), ops.min(i, 0)]
    parts += [ops.matmul(*xs) for xs in ((x, y), (x, y[:, 0]), (x.T, y.T), (x.T, y[:, :1]), (i, i))]
    return [*parts, *sums, i > 0]


SQUARES = [numbers(i, (20, 20), dtype) for i, dtype in enumerate(["float32", "float32"])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_text_compiles_without_a_warning(dtype, tmp_path):
    source = tn.jit(everything).c_source(*[x.astype(dtype) for x in SQUARES])
    assert "#include <math.h>" in source
    if NATIVE:
        path = tmp_path / "program.c"
        path.write_text(source)
        flags = [
            *toolchain.FLAGS,
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            str(tmp_path / "program.so"),
        ]
        subprocess.run([*(toolchain.compiler() or []), *flags, str(path), "-lm"], check=True)


COMPILERS = {"found": toolchain.compiler() or [], "clang": [*filter(None, [which("clang")])]}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "logaddexp", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_text_of_one_function_compiles_without_a_warning(dtype, name, compiler, tmp_path):
    arrays = [np.ones(20, dtype)] * (2 if name == "logaddexp" else 1)
    source = tn.jit(getattr(ops, name)).c_source(*arrays)
    (tmp_path / "program.c").write_text(source)
    if COMPILERS[compiler]:
        warn = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-c", "-o", os.devnull]
        subprocess.run([*COMPILERS[compiler], *warn, tmp_path / "program.c"], check=True)


def test_the_program_of_all_functions_equals_eager():
    found, expected = in_c(everything, *SQUARES), eagerly(everything, SQUARES)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.data, other.data, 1e-5, 1e-4)


NAMES = ["int", "exp", "exp_", "i0", "buffers", "run_f", "product_float", "rows_sum_float", "x_1_"]
NAMES += ["HEIGHT", "NAN", "restrict", "float", "product", "t", "_", "_1", "step", "UINT_float"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_parameter_is_a_name_in_c(name, quickly_compiled):
    f = eval(f"lambda {name}: ops.exp({name}) + ops.sum({name} @ {name}, 0)", {"ops": ops})
    x = numbers(0, (20, 20))
    np.testing.assert_allclose(in_c(f, x).data, f(tn.tensor(x)).data, 1e-5, 1e-5)


PLAIN = {"A": "A", "AB": "ab", "A_B": "a_b", "Ab": "Ab", "2D": "t2D", "X_float": "X_float_array"}


@pytest.mark.parametrize("label", PLAIN)
def test_a_label_becomes_a_name_that_no_macro_or_type_has(label):
    assert plain(label) == PLAIN[label]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 4)), max_size=4))
def test_merged_axes_visit_the_same_elements_and_none_has_one(axes):
    def places(axes: Any) -> list[tuple[int, ...]]:
        found = [(0, 0)]
        for n, *steps in axes:
            found = [(a + i * steps[0], b + i * steps[1]) for a, b in found for i in range(n)]
        return found

    assert places(merged(axes)) == places(axes)
    assert all(n > 1 for n, *_ in merged(axes))


def test_the_text_of_a_neuron_s_loss_reads_as_a_person_would_have_written_it():
    model = tn.Sequential([tn.layers.Input((1,)), tn.layers.Dense(1, name="dense")])
    model.compile(tn.optimizers.SGD(0.01), "mse")
    model.fit(np.ones((32, 1)), np.ones((32, 1)), epochs=1, verbose=0)
    text = model.train_function.c_source
    assert LOSS in text
    assert "forward(x, parameters, dense);" in text


LOSS = """\
    for (ptrdiff_t i0 = 0; i0 < 32; i0++) {
        const float dense_1_ = dense[i0];
        const float y_2_ = y[i0];
        const float dense_3_ = dense_1_ - y_2_;
        const float t_4_ = dense_3_ * dense_3_;
        dense[i0] = dense_3_;
        t1[i0] = t_4_;
    }
"""


# -- what C has no text for -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "words"),
    [
        (lambda x: ops.argsort(x), np.ones(3), ["argsort"]),
        (lambda x: x[np.array([1, 0])], np.ones(3), ["getitem"]),
        (tn.grad(lambda x: ops.sum(x[np.array([1, 0])] ** 2)), np.ones(3), ["getitem"]),
        (tn.grad(lambda x: ops.sum(x[np.array([1, 0])])), np.ones(3), ["scatter", "arrays"]),
        (lambda x: x * 2.0, np.ones(3, "float16"), ["float16"]),
        (lambda x: x**x, np.ones(3, "int32"), ["power", "int32"]),
        (lambda x: x @ x, np.ones(3, bool), ["matmul", "bool"]),
    ],
)
def test_a_program_with_a_part_that_c_has_no_text_for_is_refused_by_its_name(f, x, words):
    assert all(word in str(missing(simplify(recorded(f, [x])))) for word in words)
    for call in (tn.jit(f, native=True), tn.jit(f).c_source):
        with pytest.raises(NotImplementedError) as caught:
            call(x)
        assert all(word in str(caught.value) for word in words)
    assert_same_results(tn.jit(f)(x), eagerly(f, [x]))


def test_without_native_the_numpy_road_stays_as_it_is():
    for native in (False, "auto"):
        f = tn.jit(ops.exp, native=native)
        assert_same(f(SQUARES[0]).data, np.exp(SQUARES[0]))
        assert not f.native
    with refused(ValueError, "native", "'auto'", "'C'"):
        tn.jit(ops.exp, native="C")


# -- sanitizers -------------------------------------------------------------------------------

SANITIZED = """
import os
import numpy as np
from hypothesis import given, settings
from native import in_c
from programs import functions, poisoned_buffers
from test_c_printer import EXACT, SMOOTH, SQUARES, everything, is_in_c
from tinynet.compiler import c_printer, toolchain
from tinynet.compiler.c_printer import CPrinter

toolchain.FLAGS = (
    *[flag for flag in toolchain.FLAGS if flag != "-O3"],  # which could remove a wrong access
    *(f"-fsanitize={os.environ['SANITIZERS']}", "-fno-sanitize-recover=all"),
)
count = 0

@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(functions(names=[*EXACT, *SMOOTH]))
def run(drawn):
    global count
    if is_in_c(drawn):
        in_c(drawn.function, *drawn.first)
        count += 1

with poisoned_buffers(), np.errstate(all="ignore"):
    run()
    in_c(everything, *SQUARES)
    CPrinter.pool_from, c_printer.POOL_PART, c_printer.POOL_ROWS, c_printer.POOL_WORK = 1, 16, 2, 1
    in_c(everything, *SQUARES)
assert count > 5, count
"""


def test_drawn_programs_run_clean_under_sanitizers():
    if not NATIVE:
        assert missing(simplify(recorded(everything, SQUARES))) is None
        return
    find = [*(toolchain.compiler() or []), "-print-file-name=libasan.so"]
    library = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
    here, is_found = Path(__file__).parent, os.path.isabs(library)
    environment = {
        **os.environ,
        "LD_PRELOAD": library if is_found else "",
        "SANITIZERS": "address,undefined" if is_found else "undefined",
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join(map(str, [here.parents[1], here.parent / "support", here])),
    }
    command = [sys.executable, "-c", SANITIZED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_in_the_text_are_exact(dtype):
    x = samples(dtype)
    x = x[np.isfinite(x)][:60] if x.dtype.kind == "f" else x
    constants = [tn.tensor(number) for number in x]

    def f(y: Any) -> Any:
        return [ops.where(y, c, c) for c in constants] + [ops.equal(c, c) for c in constants]

    condition = np.array([True, False])
    assert_same_results(in_c(f, condition), eagerly(f, [condition]))


def test_numbers_with_and_without_a_sign_are_not_compared_in_c():
    x, y = np.array([-1, 2]), np.array([1, 2**63], "uint64")
    f = tn.jit(ops.less, native=True)
    with pytest.raises(NotImplementedError, match="'less' of int64, uint64"):
        f(x, y)
    assert_same(tn.jit(ops.less)(x, y).data, x < y)


# -- arrays that C takes ----------------------------------------------------------------------


def test_constants_in_any_layout_are_copied():
    constant = np.asfortranarray(numbers(3, (4, 3)))
    read_only = np.broadcast_to(np.float32(2), (4, 3))
    assert_same_results(
        in_c(lambda x: x * constant + read_only, np.ones((4, 3), "float32")),
        eagerly(lambda x: x * constant + read_only, [np.ones((4, 3), "float32")]),
    )


def owner(array: np.ndarray) -> tn.Variable:
    """Return a variable that lives in `array`."""
    variable = tn.Variable(array)
    variable.array = array
    return variable


def test_arrays_that_overlap_what_is_written_run_in_numpy():
    program = simplify(recorded(lambda x, y: [x + y], [np.ones(4), np.ones(4)]))
    (out,), (x, y) = program.outputs, program.inputs
    memory = np.arange(5.0)
    for other in (memory[1:], memory[:4]):  # one after the other, and the same elements
        memory[:] = range(5)
        live = {x: owner(memory[:4]), y: owner(other)}
        executable = Executable(program, "f", {out: x}, live)
        executable.choose(NATIVE)
        expected = memory[:4] + other
        assert_same(run(executable)[0], expected)
        assert not executable.native


def test_arrays_that_overlap_and_are_only_read_run_in_c():
    program = simplify(recorded(lambda x, y: [x[::-1] + y], [np.ones(4), np.ones(4)]))
    memory = np.arange(5.0)
    live = {v: owner(memory[i : i + 4]) for i, v in enumerate(program.inputs)}
    executable = Executable(program, "f", {}, live)
    executable.choose(NATIVE)
    assert_same(run(executable)[0], np.full(4, 4.0))
    assert executable.native


@pytest.mark.parametrize("wanted", ["int8", "uint8", "int32", "uint32", "int64"])
def test_numbers_as_large_as_an_integer_dtype_has_are_cast_exactly(wanted):
    least, most = np.iinfo(wanted).min, np.iinfo(wanted).max
    x = np.array([least, most // 2, most - 2**11 if wanted == "int64" else most], "float64")
    assert_same(in_c(lambda x: cast(x, wanted), x), x.astype(wanted))


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("right", [1, 2])
def test_large_products_of_matrices_that_blas_has_no_name_for_are_right(left, right, monkeypatch):
    monkeypatch.setattr(c_printer, "BLAS_FROM", 1)
    x, y = numbers(0, (8, 16))[:, ::left], numbers(1, (16 // left, 12))
    found = in_c(lambda x, y: x[:, ::left] @ y[:, ::right], numbers(0, (8, 16)), y)
    np.testing.assert_allclose(found.data, x @ y[:, ::right], 1e-4, 1e-4)


def test_a_part_of_an_array_that_has_a_name_is_written_and_then_read():
    def f(x, y):
        part = label(ops.exp(x), "part")
        return ops.concatenate([part, y]), ops.cos(part[::-1]) * part

    x, y = numbers(0, (8,)), numbers(1, (8,))
    assert_same(in_c(f, x, y)[0][8:], y)
    np.testing.assert_allclose(in_c(f, x, y)[1].data, f(tn.tensor(x), y)[1].data, 1e-5)
    if NATIVE:
        assert "*const part = t1 + 0;" in tn.jit(f, native=True).c_source(x, y)


def test_a_variable_that_moves_is_read_where_it_lives():
    v = tn.Variable([1.0, 2.0])
    f = tn.jit(lambda x: x + v, native=NATIVE)
    assert_same(f([1.0, 1.0]).data, np.array([2, 3], "float32"))
    v.assign([5.0, 6.0])
    assert_same(f([1.0, 1.0]).data, np.array([6, 7], "float32"))


# -- training ---------------------------------------------------------------------------------


def trained(jit_compile: Any, optimizer: str, activation: str) -> tuple[Any, list[float]]:
    tn.utils.set_random_seed(0)
    model = tn.Sequential(
        [
            tn.Input((8,)),
            tn.layers.Dense(20, activation, kernel_regularizer="l2"),
            tn.layers.Dense(3),
        ]
    )
    model.compile(optimizer, "mse", metrics=["mae"], jit_compile=jit_compile)
    x, y = numbers(0, (100, 8)), numbers(1, (100, 3))
    losses = model.fit(x, y, epochs=3, batch_size=32, verbose=0).history["loss"]
    return model, losses


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_fit_in_c_equals_the_fit_in_numpy_closely(optimizer, activation, request):
    if optimizer != "adam":
        request.getfixturevalue("quickly_compiled")
    (model, losses), (other, expected) = (
        trained(jit_compile, optimizer, activation) for jit_compile in (NATIVE, False)
    )
    assert model.train_function.native == NATIVE
    assert not other.train_function.native
    np.testing.assert_allclose(losses, expected, 1e-5)
    for w, v in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(w, v, 1e-5, 1e-6)


def test_auto_and_false_train_as_before_to_the_bit():
    (model, losses), (other, expected) = (trained(j, "adam", "tanh") for j in ("auto", False))
    assert losses == expected
    assert not model.train_function.native
    for w, v in zip(model.get_weights(), other.get_weights(), strict=True):
        assert_same(w, v)


def test_a_fit_says_which_primitive_c_lacks_and_runs_as_numpy():
    model = tn.Sequential([tn.Input((4,)), tn.layers.Dense(3, "softmax")])
    model.compile("adam", "mse", metrics=[lambda y, p: ops.argsort(p)[:, 0]], jit_compile=True)
    x, y = np.ones((8, 4), "float32"), np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2, 0, 1]]
    with pytest.warns(UserWarning, match=r"jit_compile=True: .*argsort.* runs as NumPy"):
        model.fit(x, y, verbose=0)
    assert not model.train_function.native
    with refused(ValueError, "jit_compile", "'auto'", "'yes'"):
        model.compile("adam", "mse", jit_compile="yes")


def test_a_loaded_model_trains_where_there_is_no_compiler(tmp_path):
    model = trained(NATIVE, "sgd", "tanh")[0]
    model.save(tmp_path / "model.keras")
    assert tn.models.load_model(tmp_path / "model.keras").jit_compile in ("auto", False)


@pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
def test_programs_that_differ_in_names_alone_are_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path))
    texts = []
    for names in (["a", "b"], ["kernel", "second one"], ["t", "double"]):
        layers = [tn.layers.Dense(3, "tanh", name=name) for name in names]
        model = tn.Sequential([tn.Input((2,)), *layers])
        model.compile("adam", "mse", jit_compile=True)
        model.fit(np.ones((4, 2)), np.ones((4, 3)), batch_size=4, verbose=0)
        assert model.train_function.native
        texts.append(model.train_function.c_source)
    assert len({*texts}) == 3
    assert "kernel_bias" in texts[1]
    assert len([*tmp_path.glob("*.so")]) == 1
