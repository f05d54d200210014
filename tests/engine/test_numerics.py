"""Where derivatives have kinks, and where floating point has edges: what is returned there."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, refused
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SEEDS

import tinynet as tn
from tinynet import ops

DTYPES = ("float32", "float64")
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
loud = np.errstate(over="raise", divide="raise", invalid="raise")


def slopes(f: Callable[..., Any], *args: Any) -> Any:
    """Return the gradient of the sum of f(*args) in each argument."""
    return tn.grad(lambda *xs: f(*xs).sum(), tuple(range(len(args))))(*args)


def slope(f: Callable[[Any], Any], x: Any) -> Any:
    return slopes(f, x)[0]


def curvature(f: Callable[[Any], Any], x: Any) -> Any:
    return slope(lambda t: slope(f, t), x)


# -- kinks ------------------------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize("f", [ops.relu, ops.absolute, lambda x: x * ops.sign(x)])
def test_slope_and_curvature_are_0_at_a_kink_at_0(f, dtype):
    zeros = np.array([0.0, -0.0], dtype)
    assert f(zeros).numpy().tolist() == [0.0, 0.0]
    assert slope(f, zeros).numpy().tolist() == [0.0, 0.0]
    assert curvature(f, zeros).numpy().tolist() == [0.0, 0.0]


WHOLE = hnp.arrays("float64", hnp.array_shapes(max_dims=3, max_side=4), elements=st.integers(0, 2))


@pytest.mark.parametrize(("f", "extreme"), [(ops.max, np.max), (ops.min, np.min)])
@given(WHOLE, st.data())
def test_ties_share_one_unit_of_gradient(f, extreme, x, data):
    axes = st.none() | st.sets(st.integers(0, x.ndim - 1), min_size=1).map(tuple)
    axis = data.draw(axes)
    ties = x == extreme(x, axis, keepdims=True)
    expected = ties / ties.sum(axis, keepdims=True)
    assert_close(slope(lambda t: f(t, axis), x), expected, rtol=1e-15)


def test_each_of_two_equal_inputs_gets_half_of_the_gradient():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    larger = [t.numpy().tolist() for t in slopes(ops.maximum, a, b)]
    smaller = [t.numpy().tolist() for t in slopes(ops.minimum, a, b)]
    assert larger == [[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]]
    assert smaller == larger[::-1]


def test_the_maximum_of_a_tensor_and_itself_has_the_gradient_of_the_tensor():
    assert slope(lambda x: ops.maximum(x, x), 3.0).item() == 1.0


@every_dtype
def test_clip_has_slope_0_outside_and_1_inside_and_at_the_bounds(dtype):
    x = np.array([-2.0, -1.0, 0.5, 1.0, 2.0, -np.inf, np.inf], dtype)
    f = lambda t: ops.clip(t, -1.0, 1.0)  # noqa: E731
    assert f(x).numpy().tolist() == [-1.0, -1.0, 0.5, 1.0, 1.0, -1.0, 1.0]
    assert slope(f, x).numpy().tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert (f(x).dtype, slope(f, x).dtype) == (dtype, dtype)
    assert math.isnan(f(np.array(np.nan)).item())


def test_a_bound_of_clip_gets_the_gradient_of_the_elements_it_replaces():
    low, high = slopes(lambda a, b: ops.clip(np.array([-3.0, -2.0, 0.0, 5.0]), a, b), -1.0, 1.0)
    assert (low.item(), high.item()) == (2.0, 1.0)


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_no_gradient_flows_through_integers_or_bools(dtype):
    x = np.array([-1.5, 0.5, 2.5])
    steps = x.astype(dtype).astype(float)
    assert_same(slope(lambda t: t * t.astype(dtype).astype("float64"), x), steps)
    assert_same(slope(lambda t: t.astype(dtype).astype("float64"), x), np.zeros(3))


# -- indexing ---------------------------------------------------------------------------------


@given(st.lists(st.integers(-5, 4)), SEEDS)
def test_an_element_indexed_repeatedly_gets_the_sum_of_the_cotangents(indices, seed):
    ct = np.random.default_rng(seed).standard_normal(len(indices))
    _, pullback = tn.vjp(lambda x: x[indices], np.zeros(5))
    expected = np.zeros(5)
    for i, c in zip(indices, ct, strict=True):
        expected[i] += c
    assert_close(pullback(ct)[0], expected, rtol=1e-14, atol=1e-15)


def test_rows_and_single_elements_indexed_repeatedly_accumulate_too():
    x = np.zeros((3, 2))
    assert slope(lambda t: t[[0, 0, 2]], x).numpy().tolist() == [[2, 2], [0, 0], [1, 1]]
    assert slope(lambda t: t[[1, 1, -2], [0, 0, 0]], x).numpy().tolist() == [[0, 0], [3, 0], [0, 0]]
    assert slope(lambda t: t[1] + t[1, ::-1] + t[-2], x).numpy().tolist() == [
        [0, 0],
        [3, 3],
        [0, 0],
    ]


# -- powers -----------------------------------------------------------------------------------

DERIVATIVES = {  # of x**n, one after the other
    0: (lambda x: 1.0, lambda x: 0.0, lambda x: 0.0, lambda x: 0.0),
    1: (lambda x: x, lambda x: 1.0, lambda x: 0.0, lambda x: 0.0),
    2: (lambda x: x * x, lambda x: 2 * x, lambda x: 2.0, lambda x: 0.0),
    3: (lambda x: x * x * x, lambda x: 3 * x * x, lambda x: 6 * x, lambda x: 6.0),
}


@every_dtype
@pytest.mark.parametrize("kind", [int, float, np.asarray])
@pytest.mark.parametrize("n", DERIVATIVES)
def test_whole_powers_are_right_below_0_at_0_and_above_to_third_order(n, kind, dtype):
    xs = np.array([-2.0, -0.5, 0.0, 0.25, 1.5], dtype)
    f = lambda x: x ** kind(n)  # noqa: E731
    for derivative in DERIVATIVES[n]:
        assert f(tn.tensor(xs)).numpy().tolist() == [derivative(float(x)) for x in xs]
        f = lambda x, f=f: slope(f, x)  # noqa: E731


@pytest.mark.parametrize("n", [0.0, 1.0, 2.0, 3.0])
def test_a_base_of_0_has_finite_gradients_also_in_a_whole_exponent(n):
    base, exponent = slopes(ops.power, np.array(0.0), np.array(n))
    assert (base.item(), exponent.item()) == (float(n == 1), 0.0)


@pytest.mark.parametrize("x", [0.5, 2.0])
@pytest.mark.parametrize("n", [0.0, 1.0, -1.0, 2.5])
def test_the_mixed_derivative_of_a_power_is_the_same_in_both_orders(x, n):
    expected = x ** (n - 1) * (1 + n * math.log(x))
    xs, ns = np.array(x), np.array(n)
    base_first = slope(lambda m: slopes(ops.power, tn.tensor(xs), m)[0], ns)
    exponent_first = slope(lambda t: slopes(ops.power, t, tn.tensor(ns))[1], xs)
    assert base_first.item() == pytest.approx(expected, rel=1e-14)
    assert exponent_first.item() == pytest.approx(expected, rel=1e-14)


# -- sigmoid ----------------------------------------------------------------------------------


@every_dtype
@given(st.data())
def test_sigmoid_is_exact_to_a_few_ulps(dtype, data):
    info = np.finfo(dtype)
    lowest = math.log(float(info.smallest_subnormal))
    x = np.array(data.draw(st.floats(np.float32(lowest).item(), 100.0, width=32)), dtype)
    exact = float(1 / (1 + (-Decimal(x.item())).exp()))
    error = abs(ops.sigmoid(x).item() - exact)
    assert error <= 4 * float(info.eps) * exact + 2 * float(info.smallest_subnormal)


@pytest.mark.parametrize("dtype", ["float16", *DTYPES])
@loud
def test_sigmoid_gives_no_warning_where_it_saturates(dtype):
    x = np.array([-np.inf, -1000.0, 1000.0, np.inf], dtype)
    y = ops.sigmoid(x)
    assert y.dtype == dtype
    assert y.numpy().tolist() == [0.0, 0.0, 1.0, 1.0]
    assert slope(ops.sigmoid, x).numpy().tolist() == [0.0] * 4
    assert curvature(ops.sigmoid, x).numpy().tolist() == [0.0] * 4


@given(hnp.arrays("float64", 8, elements=st.floats(-30, 30)))
def test_erfc_is_exact_to_a_few_ulps_in_its_tails_too(x):
    exact = np.array([math.erfc(v) for v in x])
    normal = exact > 1e-300  # below that numbers have fewer digits
    assert_close(ops.erfc(x).numpy()[normal], exact[normal], rtol=2e-15, atol=0)
    assert_close(ops.erfc(x).numpy(), exact, atol=1e-300)
    single = x.astype("float32")
    exact = np.array([math.erfc(v) for v in single], "float32")
    assert_close(ops.erfc(single).numpy(), exact, rtol=1.2e-7, atol=1e-44)


@every_dtype
@loud
def test_erfc_has_the_right_limits(dtype):
    x = np.array([0, -0.0, 1000, -1000, np.inf, -np.inf, np.nan], dtype)
    assert_same(ops.erfc(x), np.array([1, 1, 0, 2, 0, 2, np.nan], dtype))
    assert_same(slope(ops.erfc, x)[2:6], np.array([-0.0] * 4, dtype))


@every_dtype
@loud
def test_sigmoid_of_nan_is_nan(dtype):
    x = np.array([np.nan, 0.0], dtype)
    assert np.isnan(ops.sigmoid(x).numpy()).tolist() == [True, False]
    assert np.isnan(slope(ops.sigmoid, x).numpy()).tolist() == [True, False]


# -- softmax, its logarithm, and the logarithm of a sum of exponentials -----------------------

# Multiples of 1/64: adding 1000 to them is exact, in float32 too.
SIXTYFOURTHS = hnp.arrays("float64", (2, 3), elements=st.integers(-128, 128).map(lambda n: n / 64))


@every_dtype
@pytest.mark.parametrize("axis", [-1, 0, (0, 1)])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e3])
@given(SIXTYFOURTHS)
@loud
def test_softmax_and_its_variants_are_exact_for_large_numbers(dtype, axis, offset, x):
    total = np.exp(x).sum(axis, keepdims=True)  # x is between -2 and 2
    far = (x + offset).astype(dtype)
    close = {"rtol": 8 * float(np.finfo(dtype).eps), "atol": 8 * float(np.finfo(dtype).eps)}
    assert_close(ops.softmax(far, axis), np.exp(x) / total, **close)
    assert_close(ops.log_softmax(far, axis), x - np.log(total), **close)
    found = ops.logsumexp(far, axis, keepdims=True).numpy()
    assert_close(found, np.log(total) + offset, **close)
    gradient = slope(lambda t: ops.logsumexp(t, axis), far).numpy()
    assert_close(gradient, np.exp(x) / total, **close)


@every_dtype
@loud
def test_a_probability_of_0_stays_0_and_is_constant(dtype):
    x = np.array([-np.inf, 0.0, 0.0], dtype)
    assert ops.softmax(x).numpy().tolist() == [0.0, 0.5, 0.5]
    assert_close(ops.log_softmax(x), [-np.inf, *[-math.log(2)] * 2], 1e-6)
    assert ops.logsumexp(x).item() == pytest.approx(math.log(2), rel=1e-6)
    assert slope(ops.logsumexp, x).numpy().tolist() == [0.0, 0.5, 0.5]
    weights = np.array([1.0, 2.0, 4.0], dtype)
    assert slope(lambda t: ops.softmax(t) * weights, x).numpy().tolist() == [0.0, -0.5, 0.5]
    assert slope(lambda t: ops.log_softmax(t)[1:], x).numpy().tolist() == [0.0, 0.0, 0.0]


@loud
def test_log_softmax_keeps_the_logarithm_of_a_small_probability():
    x = np.array([0.0, -1000.0], "float32")
    assert ops.softmax(x).numpy().tolist() == [1.0, 0.0]
    assert ops.log_softmax(x).numpy().tolist() == [0.0, -1000.0]


@pytest.mark.parametrize("f", [ops.softmax, ops.log_softmax, ops.logsumexp])
@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_derivatives_of_softmax_and_its_variants_agree_with_finite_differences(f, axis, offset):
    x = np.random.default_rng(0).standard_normal((2, 3, 2)) + offset
    tn.check_grads(lambda t: f(t, axis=axis), (x,))


def test_the_logarithm_of_probability_0_is_minus_infinity():
    with np.errstate(divide="ignore"):
        assert ops.logsumexp(np.array([-np.inf, -np.inf])).item() == -np.inf
    assert ops.logsumexp(np.array([np.inf, 0.0])).item() == np.inf


# -- products of every rank -------------------------------------------------------------------

MATMUL_SHAPES = hnp.mutually_broadcastable_shapes(
    signature=np.matmul.signature, max_dims=2, min_side=0, max_side=3
).map(lambda drawn: drawn.input_shapes)


@given(MATMUL_SHAPES, SEEDS)
def test_matmul_of_every_rank_is_the_sum_of_products_and_its_pullbacks_are_transposes(shapes, seed):
    rng = np.random.default_rng(seed)
    a, b, u, v = (rng.standard_normal(shape) for shape in shapes * 2)

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        left = "...ij" if x.ndim > 1 else "j"
        right = "...jk" if y.ndim > 1 else "j"
        return np.einsum(f"{left},{right}->...{'i' * (x.ndim > 1)}{'k' * (y.ndim > 1)}", x, y)

    y, pullback = tn.vjp(ops.matmul, a, b)
    ct = rng.standard_normal(y.shape)
    ct_a, ct_b = pullback(ct)
    assert_close(y, product(a, b), rtol=1e-12, atol=1e-12)
    assert (ct_a.shape, ct_b.shape) == (a.shape, b.shape)
    near = {"rel": 1e-10, "abs": 1e-10}
    assert (ct_a.numpy() * u).sum() == pytest.approx((ct * product(u, b)).sum(), **near)
    assert (ct_b.numpy() * v).sum() == pytest.approx((ct * product(a, v)).sum(), **near)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2,)), ((2, 2, 2), (3, 2, 2))])
def test_matmul_says_which_shapes_do_not_fit(shapes):
    with refused(ValueError, "matmul", *map(str, shapes)):
        ops.matmul(*map(np.zeros, shapes))


# -- nothing, and one number ------------------------------------------------------------------


@every_dtype
@pytest.mark.parametrize(
    ("f", "shape", "expected"),
    [
        (ops.sum, (0,), ()),
        (lambda x: x.sum(0), (0, 3), (3,)),
        (lambda x: x.max(1), (0, 3), (0,)),
        (lambda x: x.mean(1), (0, 3), (0,)),
        (ops.softmax, (0, 3), (0, 3)),
        (lambda x: x.reshape(-1), (0, 3), (0,)),
        (lambda x: x @ np.ones((0, 2), "float32"), (3, 0), (3, 2)),
        (lambda x: ops.concatenate([x, x], 0), (0, 3), (0, 3)),
        (lambda x: x[:0], (4, 3), (0, 3)),
        (lambda x: x[[]], (4,), (0,)),
        (lambda x: x * np.ones((1, 3), "float32"), (0, 1), (0, 3)),
    ],
)
def test_an_empty_tensor_has_a_shape_a_dtype_and_an_empty_gradient(f, shape, expected, dtype):
    x = np.ones(shape, dtype)
    y, gradient = f(tn.tensor(x)), slope(f, x)
    assert (y.shape, y.dtype, y.numpy().sum()) == (expected, dtype, 0.0)
    assert (gradient.shape, gradient.dtype, gradient.numpy().sum()) == (shape, dtype, 0.0)


def test_the_maximum_of_an_empty_tensor_is_an_error():
    with refused(ValueError, "max"):
        ops.max(np.zeros((0, 3)))


@every_dtype
@pytest.mark.parametrize(
    "f",
    [
        ops.sum,
        ops.max,
        ops.min,
        ops.mean,
        ops.transpose,
        ops.logsumexp,
        lambda x: x[()],
        lambda x: x[...],
        lambda x: x.reshape(1)[0],
        lambda x: x.reshape(()),
        lambda x: ops.broadcast_to(x, (2, 3))[1, 2],
        lambda x: ops.where(True, x, 0.0),
        lambda x: ops.stack([x, x])[1],
        lambda x: 1.0 * x + 0.0,
    ],
)
def test_a_scalar_passes_through_with_slope_1(f, dtype):
    x = np.array(0.75, dtype)
    y, gradient = f(tn.tensor(x)), slope(f, x)
    assert (y.shape, y.dtype, y.item()) == ((), dtype, 0.75)
    assert (gradient.shape, gradient.dtype, gradient.item()) == ((), dtype, 1.0)


# -- special points of NumPy's functions --------------------------------------------------------

NAN, INF = np.nan, np.inf

# A function, a point, and the gradient there of the sum of the results.
POINTS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "prod with one 0": (np.prod, [[2.0, 0.0, 5.0]], [[0.0, 10.0, 0.0]]),
    "prod with two 0": (np.prod, [[2.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]),
    "prod of one": (np.prod, [[3.0]], [[1.0]]),
    "prod of none": (np.prod, [np.zeros(0)], [np.zeros(0)]),
    # y = (a, a b, a b c): slopes 1 + b + b c, a + a c, a b
    "cumprod with a 0": (np.cumprod, [[2.0, 0.0, 5.0]], [[1.0, 12.0, 0.0]]),
    "cumprod of 0": (np.cumprod, [[0.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]]),
    "a tie of max": (np.max, [[2.0, 1.0, 2.0]], [[0.5, 0.0, 0.5]]),
    "a tie of maximum": (np.maximum, [2.0, 2.0], [0.5, 0.5]),
    "a tie of fmin": (np.fmin, [2.0, 2.0], [0.5, 0.5]),
    "fmax beside NaN": (np.fmax, [[NAN, 1.0], [2.0, NAN]], [[0.0, 1.0], [1.0, 0.0]]),
    "nanmax": (np.nanmax, [[NAN, 1.0, 3.0]], [[0.0, 0.0, 1.0]]),
    "a tie of sort": (lambda x: np.sort(x) * [1.0, 2.0, 3.0], [[2.0, 2.0, 1.0]], [[2.0, 3.0, 1.0]]),
    "hypot at the origin": (np.hypot, [0.0, 0.0], [0.0, 0.0]),
    "hypot of large numbers": (np.hypot, [3e200, 4e200], [0.6, 0.8]),
    "arctan2 at the origin": (np.arctan2, [0.0, 0.0], [0.0, 0.0]),
    "arctan2 on the cut": (np.arctan2, [0.0, -2.0], [-0.5, 0.0]),
    "arctan2 of small numbers": (np.arctan2, [0.0, 1e-200], [1e200, 0.0]),
    "sinc at 0": (np.sinc, [0.0], [0.0]),
    "sinc at 1": (np.sinc, [1.0], [-1.0]),
    "logaddexp of -inf": (np.logaddexp, [-INF, 1.0], [0.0, 1.0]),
    "logaddexp of two -inf": (np.logaddexp, [-INF, -INF], [0.5, 0.5]),
    "logaddexp of inf": (np.logaddexp, [INF, 1.0], [1.0, 0.0]),
    "logaddexp of large numbers": (np.logaddexp, [1000.0, 1000.0], [0.5, 0.5]),
    "0 ** 2": (np.power, [0.0, 2.0], [0.0, 0.0]),
    "0 ** 0": (np.power, [0.0, 0.0], [0.0, 0.0]),
    "absolute at 0": (np.fabs, [0.0], [0.0]),
    "nanvar": (np.nanvar, [[NAN, 1.0, 3.0]], [[0.0, -1.0, 1.0]]),
    "var elsewhere": (
        lambda x: np.var(x, where=[False, True, True]),
        [[NAN, 1.0, 3.0]],
        [[0.0, -1.0, 1.0]],
    ),
    "take twice": (lambda x: np.take(x, [1, 1, 0]), [[5.0, 6.0, 7.0]], [[1.0, 2.0, 0.0]]),
    "reflected": (lambda x: np.pad(x, 1, "reflect"), [[5.0, 6.0, 7.0]], [[1.0, 3.0, 1.0]]),
    "remainder": (np.remainder, [-7.0, 3.0], [1.0, 3.0]),  # -7 = 3 * -3 + 2
}


@pytest.mark.parametrize("what", POINTS)
def test_the_gradient_at_a_special_point(what):
    function, points, expected = POINTS[what]
    xs = [tn.tensor(np.array(x, "float64"), requires_grad=True) for x in points]
    with np.errstate(divide="ignore", invalid="ignore"):
        np.sum(function(*xs)).backward()
    for x, gradient in zip(xs, expected, strict=True):
        np.testing.assert_allclose(0.0 if x.grad is None else x.grad, gradient, rtol=1e-12)


def test_the_derivatives_of_sinc_at_0_are_those_of_its_series():
    f = np.sinc  # 1 - (pi x)^2 / 6 + (pi x)^4 / 120 - ...
    for order, slope in enumerate([1.0, 0.0, -(np.pi**2) / 3, 0.0, np.pi**4 / 5]):
        found = f(np.float64(0.0)) if order == 0 else f(tn.tensor(0.0, "float64"))
        assert float(found) == pytest.approx(slope, abs=1e-12)
        f = tn.grad(f)


def test_products_with_zeros_have_right_second_derivatives():
    x = np.array([0.0, 0.0, 5.0])
    expected = [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]  # x1 x2 x3: x3 in (1, 2)
    np.testing.assert_array_equal(tn.hessian(np.prod)(x), expected)
    last = tn.hessian(lambda x: np.cumprod(x)[-1])
    np.testing.assert_array_equal(last(x), expected)


CLIPPED: dict[str, tuple[Any, Any, Any]] = {
    "bounds exchanged": ([0.0, 2.0, 5.0], 3, 1),
    "no lower bound": ([0.0, 2.0, 5.0], None, 3.0),
    "no upper bound": ([0.0, 2.0, 5.0], 3.0, None),
    "NaN as the lower bound": ([0.0, 2.0, 5.0], NAN, 3.0),
    "NaN as the upper bound": ([0.0, 2.0, 5.0], 1.0, NAN),
    "NaN in a bound": ([0.0, 2.0, 5.0], [NAN, 3.0, 1.0], 4.0),
    "NaN": ([NAN, 2.0, 5.0], 1.0, 3.0),
    "arrays as bounds": ([0.0, 2.0, 5.0], [1.0, 1.0, 1.0], [[3.0], [0.5]]),
    "infinite": ([-INF, 2.0, INF], -1.0, INF),
    "integers": ([0, 2, 5], 1, 3),
}


@pytest.mark.parametrize("what", CLIPPED)
def test_clip_gives_numpys_numbers(what):
    x, low, high = CLIPPED[what]
    for found in (
        np.clip(tn.tensor(np.array(x)), low, high),
        tn.tensor(np.array(x)).clip(low, high),
    ):
        np.testing.assert_array_equal(found.data, np.clip(np.array(x), low, high))
        assert found.dtype == np.clip(np.array(x), low, high).dtype


def test_the_gradient_of_clip_is_full_at_a_bound_and_flows_to_the_bounds_outside():
    x, low, high = (
        tn.tensor(a, "float64", requires_grad=True)
        for a in ([0.0, 1.0, 2.0, 3.0, 4.0], np.full(5, 1.0), np.full(5, 3.0))
    )
    np.clip(x, low, high).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(low.grad, [1, 0, 0, 0, 0])
    np.testing.assert_array_equal(high.grad, [0, 0, 0, 0, 1])
    gradient = tn.grad(lambda x: np.clip(x, 3.0, 1.0).sum())(np.array([0.0, 2.0, 5.0]))
    np.testing.assert_array_equal(gradient.data, [0, 0, 0])


# -- averages, sums and orders --------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_weights_of_one_axis_average_along_it(axis):
    x = np.arange(24.0).reshape(2, 3, 4) ** 2
    weights = np.arange(1.0, 1 + x.shape[axis])
    assert_close(ops.average(x, axis, weights), np.average(x, axis, weights), 1e-12)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_single_number_is_accumulated_along_the_axis_that_it_lacks(axis):
    assert_same(ops.cumsum(np.float32(3), axis), np.cumsum(np.float32(3), axis))


@given(hnp.arrays(st.sampled_from(["bool", "uint8", "int8", "float32"]), (2, 4)))
def test_the_largest_elements_come_in_order_whatever_their_dtype(x):
    x[np.isnan(x)] = 0
    found, places = ops.top_k(x, 3)
    order = np.argsort(-x.astype("float64"), -1, kind="stable")[:, :3]
    assert_same(places, order.astype("int32"))
    assert_same(found, np.take_along_axis(x, order, -1))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("length", [3, 16, 300])
def test_of_equal_elements_the_first_comes_first(length, dtype):
    x = np.random.randint(0, 3, (4, length)).astype(dtype)
    rows = [sorted(range(length), key=row.__getitem__) for row in x.tolist()]  # which is stable
    for road in (ops.argsort, tn.jit(ops.argsort), tn.vmap(ops.argsort), tn.jit(np.argsort)):
        np.testing.assert_array_equal(road(x), rows)
    falling = [sorted(range(length), key=lambda i: -row[i]) for row in x.tolist()]
    np.testing.assert_array_equal(ops.top_k(x, 3)[1], np.array(falling)[:, :3])
    for road in (ops.argmax, tn.jit(ops.argmax, native=True)):
        np.testing.assert_array_equal(road(x, axis=1), np.array(falling)[:, 0])


@given(hnp.arrays("float32", (5, 6)), st.sampled_from([2, 3, 6, [2], [1, 3], [4, 2], []]))
def test_parts_of_a_split_are_numpys(x, where):
    for found, expected in zip(ops.split(x, where, 1), np.split(x, where, 1), strict=True):
        assert_same(found, expected)


def test_an_error_of_numpys_names_the_arguments_that_were_given():
    with refused(ValueError, "roll: axis 5 is out of bounds", "shift=1, axis=5"):
        ops.roll(np.ones((2, 3)), 1, 5)


def test_numbers_of_an_interval_are_as_many_as_numpys():
    assert_close(ops.linspace(-1.0, 2.0), np.linspace(-1.0, 2.0), 1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_atleast_says_how_many_axes_there_are(rank):
    function = getattr(ops, f"atleast_{rank}d")
    assert function(2.0).ndim == rank
    assert f"at least {rank} axes" in function.__doc__
