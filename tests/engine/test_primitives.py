"""The laws that every primitive obeys, over the registry and its cases: no test names a primitive.

A law is one test. What it is tested on stands in the primitive's own stanza; numbers, shapes
and memory layouts are drawn from there.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from differences import slopes
from helpers import assert_close, assert_same
from programs import assert_same_results, eagerly, poisoned_buffers
from strategies import (
    CASES,
    FLOATS,
    MODULES,
    as_function,
    coarse_units,
    inputs,
    one_of,
    over_cases,
    over_draws,
    typical,
    with_given,
)

import tinynet as tn
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.tensor import Primitive, Tensor, wrap

FLOATING = [
    (primitive, case)
    for primitive, case in CASES
    if as_function(primitive, case)(*map(wrap, typical(case))).dtype.kind == "f"
]
LINEAR = [(primitive, case) for primitive, case in CASES if primitive.linear]
every_primitive = pytest.mark.parametrize("primitive", PRIMITIVES.values(), ids=PRIMITIVES)


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.uniform(-1.0, 1.0, shape))


# -- law 1: a pullback is the transpose of the Jacobian ---------------------------------------


Functions = Callable[..., list[Tensor]]


def flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(x) for x in arrays])


def jvps(f: Functions, xs: Sequence[Tensor], i: int, v: np.ndarray) -> Any:
    """Yield estimates of J v for the Jacobian J in argument i, by differences of several steps."""

    def along(h: float) -> np.ndarray:
        with tn.no_grad():
            return flat([y.data for y in f(*xs[:i], wrap(xs[i].data + h * v), *xs[i + 1 :])])

    return slopes(along)


def are_equal_products(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, tol: float
) -> bool:
    """Return whether <a, b> == <c, d> up to `tol`, relative to their terms; NaN is unequal."""
    left, right = a * b, c * d
    scale = np.abs(left).sum() + np.abs(right).sum() + 1e-3
    return bool(abs(left.sum() - right.sum()) <= tol * scale < math.inf)


def assert_equal_products(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray, tol: float):
    assert are_equal_products(a, b, c, d, tol)


def assert_transpose(f: Functions, xs: Sequence[Tensor], rng: Any, order: int) -> None:
    ys, pullback = tn.vjp(f, *xs)
    cts = [direction(rng, y.shape) for y in ys]
    # Each result is compared alone, so that a large one hides no error in a small one.
    alone = [[ct * (i == k) for i, ct in enumerate(cts)] for k in range(len(ys))]
    found = [(flat(each), pullback(each)) for each in alone]
    for i, x in enumerate(xs):
        v = direction(rng, x.shape)
        assert any(
            all(are_equal_products(ct, jv, pulled[i].data, v, tol=1e-7) for ct, pulled in found)
            for jv in jvps(f, xs, i, v)
        )
    if order > 1:
        count, inputs = len(xs), (*xs, *map(wrap, cts))
        assert_transpose(
            lambda *a: list(tn.vjp(f, *a[:count])[1](list(a[count:]))), inputs, rng, order - 1
        )


@over_cases(FLOATING)
@over_draws
def test_the_pullback_is_the_transpose_of_the_jacobian(primitive, case, rng):
    xs = [wrap(x) for x in inputs(case, rng, units=coarse_units)]
    f = as_function(primitive, case)
    assert_transpose(lambda *xs: [f(*xs)], xs, rng, order=2)


@over_cases([(primitive, case) for primitive, case in CASES if (primitive, case) not in FLOATING])
@over_draws
def test_a_result_of_integers_or_bools_is_a_constant(primitive, case, rng):
    f = as_function(primitive, case)
    xs = [tn.tensor(x, requires_grad=True) for x in inputs(case, rng)]
    assert not f(*xs).requires_grad


@over_cases(FLOATING)
@over_draws
def test_float32_gradients_agree_with_those_in_float64(primitive, case, rng):
    single = inputs(case, rng, ("float32",))
    f = as_function(primitive, case)
    y, pullback = tn.vjp(f, *map(wrap, single))
    _, exact = tn.vjp(f, *(wrap(x.astype("float64")) for x in single))
    ct = direction(rng, y.shape).astype("float32")
    for found, expected in zip(pullback(ct), exact(ct), strict=True):
        scale = 1 + np.abs(expected.data).max(initial=0.0)
        assert (np.abs(found.data - expected.data) <= 1e-5 * scale).all()


# -- law 2: a cotangent is of its primal's kind, and nothing is changed or shared -------------


@over_cases(FLOATING)
@over_draws
def test_a_cotangent_has_the_shape_and_dtype_of_its_primal(primitive, case, rng):
    xs = inputs(case, rng, FLOATS)
    y, pullback = tn.vjp(as_function(primitive, case), *xs)
    found = pullback(np.ones(y.shape))
    assert [(ct.shape, ct.dtype) for ct in found] == [(x.shape, x.dtype) for x in xs]
    assert {type(t.data) for t in (y, *found)} == {np.ndarray}


@over_cases(CASES)
@over_draws
def test_nothing_is_mutated(primitive, case, rng):
    arrays = inputs(case, rng)  # the tensors work on these very arrays
    before = [x.copy() for x in arrays]
    y, pullback = tn.vjp(as_function(primitive, case), *map(wrap, arrays))
    ct = wrap(direction(rng, y.shape).astype(y.dtype))
    arrays += [y.data, ct.data]
    before += [y.data.copy(), ct.data.copy()]
    for _ in range(3):
        cts = [t.data for t in pullback(ct)]
        arrays += cts
        before += [x.copy() for x in cts]
        for now, then in zip(arrays, before, strict=True):
            assert_same(now, then)


@over_cases(CASES)
@over_draws
def test_no_result_shares_memory_with_a_users_array(primitive, case, rng):
    arrays = inputs(case, rng)
    writeable = [x.flags.writeable for x in arrays]
    y, pullback = tn.vjp(as_function(primitive, case), *arrays)
    ct = direction(rng, y.shape).astype(y.dtype)
    for result in (y, *pullback(ct)):
        assert not any(np.shares_memory(result.data, array) for array in (*arrays, ct))
    assert [x.flags.writeable for x in arrays] == writeable


# -- law 3: linear is what is called linear ---------------------------------------------------


@over_cases(LINEAR)
@over_draws
def test_a_linear_primitive_is_its_own_derivative_exactly(primitive, case, rng):
    f = as_function(primitive, case)
    xs = inputs(case, rng)
    vs = [direction(rng, x.shape) for x in xs]
    y, pullback = tn.vjp(f, *xs)
    ct = direction(rng, y.shape)
    assert_equal_products(ct, f(*map(wrap, vs)).data, flat(pullback(ct)), flat(vs), tol=1e-14)


@pytest.mark.parametrize(
    "primitive", [p for p in PRIMITIVES.values() if p.rule(0) and not p.linear], ids=repr
)
@np.errstate(all="ignore")
def test_a_primitive_that_is_not_marked_linear_is_not_linear(primitive):
    def is_additive(f: Callable[..., Tensor], xs: Any, zs: Any) -> bool:
        at = (xs, zs, [x + z for x, z in zip(xs, zs, strict=True)])
        fx, fz, f_sum = (f(*map(wrap, point)).data.astype("float64") for point in at)
        return np.allclose(f_sum, fx + fz)

    def is_linear(case: Case) -> bool:
        f = as_function(primitive, case)
        xs, zs = typical(case, seed=1), typical(case, seed=2)
        zeros = [np.zeros_like(x) for x in xs]
        return is_additive(f, xs, zs) and is_additive(f, zeros, zeros)

    assert not all(is_linear(case) for case in primitive.cases)


# -- law 4: the value is NumPy's --------------------------------------------------------------


def numpy_index(index: tuple[Any, ...], arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple(
        next(rest) if isinstance(i, str) else slice(*i) if isinstance(i, tuple) else i
        for i in index
    )


def reference_of_scatter(ct: np.ndarray, *arrays: np.ndarray, index: Any, shape: Any) -> np.ndarray:
    places = np.arange(math.prod(shape)).reshape(shape)[numpy_index(index, arrays)]
    out = np.bincount(places.ravel(), ct.ravel(), math.prod(shape)).reshape(shape)
    return out.astype(ct.dtype)


def enciphered(key: list[int], counter: int) -> int:
    """Return 32 bits of Threefry-2x32 under a key, in Python's integers."""
    keys, x, y = [*key, key[0] ^ key[1] ^ 0x1BD11BDA], counter >> 32, counter % 2**32
    for i in range(20):
        if i % 4 == 0:
            x, y = x + keys[i // 4 % 3], y + keys[(i // 4 + 1) % 3] + i // 4
        turn = (13, 15, 26, 6, 17, 29, 16, 24)[i % 8]
        x, y = (x + y) % 2**32, y % 2**32
        y = x ^ (y << turn | y >> 32 - turn) % 2**32
    return (x + keys[2] ^ y + keys[0] + 5) % 2**32


def reference_of_random_bits(state: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    words = [enciphered(state.tolist(), n) for n in range(math.prod(shape))]
    return np.array(words, "uint32").reshape(shape)


def reference_of_getitem(x: np.ndarray, *arrays: np.ndarray, index: Any) -> np.ndarray:
    return x[numpy_index(index, arrays)]


def reference_of(primitive: Primitive) -> Callable[..., Any]:
    """Return the stanza's reference, a longer one from this file, or NumPy's function."""
    name = primitive.name
    longer = globals().get(f"reference_of_{name}")
    return primitive.reference or longer or getattr(np, name)


@over_cases(CASES)
@over_draws
def test_the_value_equals_numpys(primitive, case, rng):
    dtype = one_of(rng, ("float32", "float64"))
    free = inputs(case, rng, (dtype,))
    expected = np.asarray(reference_of(primitive)(*with_given(case, free), **case.params))
    found = as_function(primitive, case)(*map(wrap, free)).data
    assert found.dtype == expected.dtype
    few_units = 16 * float(np.finfo(dtype).eps)
    assert_close(found, expected, few_units, few_units)


@over_cases([(p, case) for p, case in CASES if not case.params and hasattr(tn.ops, p.name)])
def test_the_public_function_of_its_name_runs_the_primitive(primitive, case):
    xs = [tn.tensor(x, requires_grad=x.dtype.kind == "f") for x in with_given(case, typical(case))]
    found, expected = getattr(tn.ops, primitive.name)(*xs), bind(primitive, *xs)
    assert_same(found.data, expected.data)
    assert found.equation == expected.equation


# -- law 5: compiled equals eager -------------------------------------------------------------


@over_cases(CASES)
@np.errstate(all="ignore")
def test_compiled_equals_eager_bit_for_bit_in_value_and_pullback(primitive, case):
    f = as_function(primitive, case)

    @tn.jit
    def value_and_cotangents(ct: Any, *xs: Any) -> Any:
        y, pullback = tn.vjp(f, *xs)
        return y, list(pullback(ct)) if y.dtype.kind == "f" else []

    @over_draws
    def are_equal(primitive: Primitive, case: Case, rng: np.random.Generator) -> None:
        arrays = inputs(case, rng, FLOATS)
        args = [direction(rng, f(*map(wrap, arrays)).shape), *arrays]
        with poisoned_buffers():
            found = value_and_cotangents(*args)
        assert_same_results(found, eagerly(value_and_cotangents.__wrapped__, args))

    are_equal(primitive, case)


# -- law 6: nothing is left out ---------------------------------------------------------------


@every_primitive
def test_every_rule_is_executed_by_a_case(primitive):
    executed = set()

    def watched(position: int) -> Any:
        rule = primitive.rule(position)

        def spy(*args: Any, **params: Any) -> Any:
            executed.add(position)
            return rule(*args, **params)

        return rule and spy

    for case in primitive.cases:
        xs = typical(case)
        y, pullback = tn.vjp(as_function(replace(primitive, vjps=watched), case), *xs)
        pullback(np.ones(y.shape))
    longest = max(len(with_given(case, typical(case))) for case in primitive.cases)
    inputs_in_all = longest if callable(primitive.vjps) else max(longest, len(primitive.vjps))
    assert executed == {i for i in range(inputs_in_all) if primitive.rule(i) is not None}


@every_primitive
def test_every_primitive_has_a_case(primitive):
    assert primitive.cases


PUBLIC = {
    name: function
    for module in MODULES
    for name, function in vars(module).items()
    if inspect.isfunction(function) and (name in PRIMITIVES or callable(getattr(np, name, None)))
}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_of_tensors_is_in_ops_and_documented(name):
    function = getattr(tn.ops, name)
    assert PUBLIC[name] in (function, getattr(function, "__wrapped__", None))
    assert function.__name__ == name
    assert inspect.getdoc(function)


# -- law 7: the Jacobian-vector product is the transpose of the vector-Jacobian product --------


@over_cases(FLOATING)
@over_draws
def test_the_product_with_a_tangent_is_the_transpose_of_the_pullback(primitive, case, rng):
    f = as_function(primitive, case)
    xs = inputs(case, rng)
    vs = tuple(direction(rng, x.shape) for x in xs)
    y, tangent = tn.jvp(f, tuple(xs), vs)
    same, pullback = tn.vjp(f, *xs)
    assert_same(y, same.data)
    assert (tangent.shape, tangent.dtype) == (y.shape, y.dtype)
    ct = direction(rng, y.shape)
    assert_equal_products(ct, tangent.data, flat(pullback(ct)), flat(vs), tol=1e-12)
