"""The derivatives of functions: right to any order, nested in each other, and cheap to walk to."""

import gc
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from differences import assert_slope
from helpers import assert_close, assert_same, leaf, over, refused
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.polynomial import Polynomial

import tinynet as tn
from tinynet import ops
from tinynet.engine.bind import bind, modes
from tinynet.engine.dtypes import floatx, set_floatx
from tinynet.engine.tensor import Primitive
from tinynet.engine.variable import stateless

SMALL = st.floats(-1.5, 1.5)


def vectors(n: int) -> Any:
    return hnp.arrays("float64", (n,), elements=SMALL)


# -- arguments and results --------------------------------------------------------------------


def weighted(a: Any, b: Any, c: Any, scale: float = 1.0, *, power: int = 1) -> Any:
    return scale * ((a * b) ** power).sum() * c


A, B, C = np.array([1.0, 2.0]), np.array([3.0, 5.0]), np.array(7.0)
BY_ARGUMENT = (7 * B, 7 * A, np.array(13.0))  # of 7 a.b, for a.b = 13


@pytest.mark.parametrize("argnum", range(-3, 3))
def test_an_argument_is_chosen_by_position_from_either_end(argnum):
    assert_same(tn.grad(weighted, argnum)(A, B, C), BY_ARGUMENT[argnum])
    value, gradient = tn.value_and_grad(weighted, argnum)(A, B, C)
    assert value.item() == 7 * 13
    assert_same(gradient, BY_ARGUMENT[argnum])
    assert_same(tn.jacobian(weighted, argnum)(A, B, C), BY_ARGUMENT[argnum])


@pytest.mark.parametrize("transform", [tn.grad, tn.jacobian])
@pytest.mark.parametrize("argnums", [(0, 1, 2), (2, 0), (1,), [0, -1], ()])
def test_several_arguments_give_a_tuple_in_their_order(transform, argnums):
    found = transform(weighted, argnums)(A, B, C)
    assert type(found) is tuple
    assert len(found) == len(argnums)
    for gradient, i in zip(found, argnums, strict=True):
        assert_same(gradient, BY_ARGUMENT[i])


def test_other_arguments_reach_the_function_unchanged():
    seen = []

    def f(x, *args, **kwargs):
        seen.append((args, kwargs))
        return x.sum()

    anything = object()
    for transform in (tn.grad, tn.value_and_grad, tn.jacobian, tn.hessian):
        transform(f)(A, anything, "text", key=anything)
    assert all(call == ((anything, "text"), {"key": anything}) for call in seen)
    assert_close(tn.grad(weighted, 1)(A, B, C, 0.5, power=2), 0.5 * 2 * A * A * B * 7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0)])
def test_derivatives_have_the_shape_and_dtype_of_the_argument(shape, dtype):
    x = np.ones(shape, dtype)

    def f(x):
        return (x * x * np.float64(1.5) * np.ones((), "float64")).sum()

    gradient = tn.grad(f)(x)
    assert (gradient.shape, gradient.dtype) == (shape, dtype)
    second = tn.hessian(f)(x)
    assert (second.shape, second.dtype) == (shape + shape, dtype)
    product = tn.hvp(f, x, x)
    assert (product.shape, product.dtype) == (shape, dtype)
    for found in (gradient, second, product):
        assert isinstance(found, tn.Tensor)


@pytest.mark.parametrize("x", [2, 2.0, np.float32(2), np.array(2.0), tn.tensor(2.0)])
def test_an_argument_may_be_a_number_an_array_or_a_tensor(x):
    assert float(tn.grad(lambda x: x * x)(x)) == 4.0
    assert float(tn.hvp(lambda x: x * x * x, x, x)) == 6 * 2 * 2


def test_a_variable_may_be_an_argument():
    v = tn.Variable(2.0)
    assert float(tn.grad(lambda x: x * x)(v)) == 4.0
    assert v.grad is None


NO_DEPENDENCE = {
    "a constant": lambda x: tn.tensor(3.0),
    "a number": lambda x: 3.0,
    "a detached argument": lambda x: x.detach().sum(),
    "a comparison": lambda x: (x > 0).sum(),
    "without recording": tn.no_grad()(lambda x: x.sum()),
}


@over(NO_DEPENDENCE, "f")
def test_the_derivative_is_zero_if_the_result_does_not_depend_on_the_argument(f):
    x = np.ones(2, "float16")
    zero, zeros = np.zeros(2, "float16"), np.zeros((2, 2), "float16")
    assert_same(tn.grad(f)(x), zero)
    assert_same(tn.jacobian(f)(x), zero)
    assert_same(tn.hvp(f, x, x), zero)
    assert_same(tn.hessian(f)(x), zeros)


def test_a_function_may_return_its_argument():
    y, pullback = tn.vjp(lambda a, b: b, 1.0, 2.0)
    assert y.item() == 2.0
    assert [float(ct) for ct in pullback(5.0)] == [0.0, 5.0]
    assert_same(tn.jacobian(lambda x: x)(A), np.eye(2))


def test_one_tensor_passed_twice_is_two_arguments():
    x = leaf(3.0)
    da, db = tn.grad(lambda a, b: a * a * b, (0, 1))(x, x)
    assert (float(da), float(db)) == (2 * 9.0, 9.0)


@given(vectors(3), vectors(3), vectors(3), SMALL)
def test_a_pullback_is_linear_and_can_be_used_again(x, ct1, ct2, c):
    _, pullback = tn.vjp(lambda x: ops.tanh(x * x[::-1]), x)
    (a,), (b,), (both,) = pullback(ct1), pullback(ct2), pullback(ct1 + c * ct2)
    assert_close(both, a.numpy() + c * b.numpy())
    assert_same(pullback(ct1)[0], a.numpy())


def test_derivatives_leave_nothing_in_grad():
    x, w = leaf(A), leaf(B)
    for results in RESULTS.values():
        results(lambda x: (w * cubes(x)).sum(), x)
    assert x.grad is None
    assert w.grad is None


REFUSED = {
    "grad of a vector": (lambda: tn.grad(lambda x: x)(A), ValueError, ["scalar", "(2,)", "sum"]),
    "hessian of a vector": (lambda: tn.hessian(lambda x: x)(A), ValueError, ["scalar", "(2,)"]),
    "hvp of a vector": (lambda: tn.hvp(lambda x: x, A, A), ValueError, ["scalar", "(2,)"]),
    "an argument of integers": (
        lambda: tn.grad(lambda x: x.sum())(np.arange(3)),
        ValueError,
        ["argument 0", "floating", "int64"],
    ),
    "no such argument": (lambda: tn.grad(weighted, 3)(A, B, C), ValueError, ["argnums", "3"]),
    "no such argument back": (lambda: tn.jacobian(weighted, (0, -4))(A, B, C), ValueError, ["-4"]),
    "argument by name": (lambda: tn.grad(weighted, "a")(A, B, C), TypeError, ["argnums", "'a'"]),
    "a result of nothing": (lambda: tn.grad(lambda x: None)(A), ValueError, ["NoneType"]),
    "a cotangent": (lambda: tn.vjp(lambda x: x, A)[1](C), ValueError, ["ct", "(2,)", "()"]),
    "too few vectors": (lambda: tn.hvp(weighted, (A, B, C), (A,)), ValueError, ["hvp", "3", "1"]),
    "a vector": (lambda: tn.hvp(lambda x: x.sum(), A, C), ValueError, ["vectors", "(2,)", "()"]),
}


@over(REFUSED, "case")
def test_an_error_says_what_was_received(case):
    call, error, words = case
    with refused(error, *words):
        call()


# -- the derivatives themselves ---------------------------------------------------------------


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6), st.integers(-3, 3))
def test_derivatives_of_polynomials_are_right_to_the_third_order(coefficients, at):
    def f(x: Any) -> Any:
        return sum((c * x**n for n, c in enumerate(coefficients)), 0.0 * x)

    of_numpy = Polynomial(coefficients)
    assert float(f(tn.tensor(at))) == of_numpy(at)
    for order in (1, 2, 3):
        f = tn.grad(f)
        assert float(f(at)) == of_numpy.deriv(order)(at)


ELEMENTARY = {
    # name: (f, its first, second and third derivative)
    "exp": (ops.exp, np.exp, np.exp, np.exp),
    "sin": (ops.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)),
    "log": (ops.log, lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3),
    "sqrt": (ops.sqrt, lambda x: x**-0.5 / 2, lambda x: -(x**-1.5) / 4, lambda x: 3 * x**-2.5 / 8),
    "reciprocal": (lambda x: 1 / x, lambda x: -(x**-2), lambda x: 2 * x**-3, lambda x: -6 * x**-4),
    "x ** x": (
        lambda x: x**x,
        lambda x: x**x * (np.log(x) + 1),
        lambda x: x**x * ((np.log(x) + 1) ** 2 + 1 / x),
        lambda x: x**x * ((np.log(x) + 1) ** 3 + 3 * (np.log(x) + 1) / x - x**-2),
    ),
}


@over(ELEMENTARY, "row")
@given(x=st.floats(0.5, 2.0))
def test_elementary_functions_have_their_three_derivatives(row, x):
    f, *derivatives = row
    for of_numpy in derivatives:
        f = tn.grad(f)
        assert_close(f(np.array(x)), of_numpy(x))


@given(hnp.arrays("float64", (2, 3), elements=SMALL), vectors(3))
def test_the_jacobian_of_a_linear_map_is_its_matrix(matrix, x):
    assert_close(tn.jacobian(lambda x: matrix @ x)(x), matrix)


@given(vectors(4))
def test_the_jacobian_of_an_elementwise_function_is_diagonal(x):
    assert_close(tn.jacobian(ops.sin)(x), np.diag(np.cos(x)))


@given(vectors(4))
def test_the_jacobian_of_softmax_is_diag_y_minus_y_y_transposed(x):
    p = np.exp(x) / np.exp(x).sum()
    assert_close(tn.jacobian(ops.softmax)(x), np.diag(p) - np.outer(p, p))


@pytest.mark.parametrize("inner", [(), (2,), (3, 2), (0,)])
@pytest.mark.parametrize("outer", [(), (4,), (1, 2), (0,)])
def test_a_jacobian_has_the_shape_of_the_result_followed_by_that_of_the_argument(inner, outer):
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((*outer, int(np.prod(inner))))
    x = rng.standard_normal(inner)
    found = tn.jacobian(lambda x: (matrix @ ops.reshape(x, -1)).reshape(outer))(x)
    assert_close(found, matrix.reshape(outer + inner))


@given(hnp.arrays("float64", (3, 3), elements=SMALL), vectors(3))
def test_the_hessian_of_a_quadratic_form_is_its_symmetric_part(matrix, x):
    assert_close(tn.hessian(lambda x: x @ matrix @ x)(x), matrix + matrix.T)


SMOOTH = {
    "tanh": ops.tanh,
    "sin": ops.sin,
    "sigmoid": ops.sigmoid,
    "softmax": ops.softmax,
    "square": ops.square,
    "log-sum-exp": lambda x: ops.logsumexp(x, keepdims=True) * x,
    "standardized": lambda x: (x - x.mean()) / (1.0 + ops.var(x)),
    "rolled": lambda x: ops.concatenate([x[1:], x[:1]]) * x,
    "quotient": lambda x: x / (1.0 + x * x),
}


@st.composite
def smooth(draw: Any) -> Callable[[Any], Any]:
    """Draw a smooth function of three numbers to one: layers of matrices and SMOOTH."""
    layers = draw(st.lists(st.sampled_from(list(SMOOTH)), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    matrices = [rng.uniform(-1, 1, (3, 3)) for _ in layers]

    def f(x: Any) -> Any:
        for name, matrix in zip(layers, matrices, strict=True):
            x = SMOOTH[name](matrix @ x)
        return (x * x).sum()

    return f


@given(smooth(), vectors(3), vectors(3))
def test_hessians_are_symmetric_and_hvp_multiplies_by_them(f, x, v):
    hessian = tn.hessian(f)(x).numpy()
    assert_close(hessian, hessian.T, atol=1e-10)
    assert_close(tn.hvp(f, x, v), hessian @ v, atol=1e-10)
    assert_slope(hessian @ v, lambda h: tn.grad(f)(x + h * v), rtol=1e-6, atol=1e-6)


@given(smooth(), vectors(3), vectors(3))
def test_all_ways_to_compute_a_gradient_agree(f, x, v):
    expected = tn.grad(f)(x).numpy()
    t = leaf(x)
    f(t).backward()
    assert_same(t.grad, expected)
    y, pullback = tn.vjp(f, x)
    assert_same(pullback(1.0)[0], expected)
    assert_same(tn.jacobian(f)(x), expected)
    assert_same(tn.value_and_grad(f)(x)[0], y.numpy())
    slope = tn.grad(lambda s: f(x + s * v))(np.array(0.0))
    assert_close(slope, expected @ v, atol=1e-10)


def test_hvp_takes_a_tuple_of_arguments():
    da, db = np.array([1.0, -1.0]), np.array([2.0, 0.5])
    found = tn.hvp(lambda a, b: (a * a * b).sum(), (A, B), (da, db))
    assert_same(found[0], 2 * B * da + 2 * A * db)
    assert_same(found[1], 2 * A * da)


def test_a_pullback_can_be_differentiated_in_its_cotangent():
    def f(ct):
        return tn.vjp(lambda x: x * x, A)[1](ct)[0].sum()

    assert_same(tn.grad(f)(np.ones(2)), 2 * A)


# -- derivatives within derivatives -----------------------------------------------------------

D = tn.grad
NESTED = {
    # name: (a function with derivatives inside, where, its derivative there)
    "closure": (lambda x: x * D(lambda y: x + y)(1.0), 1.0, 1.0),
    "product": (lambda x: x * D(lambda y: x * y)(2.0), 3.0, 2 * 3.0),
    "outer as inner": (lambda x: D(lambda y: x * y)(x), 5.0, 1.0),
    "outer as both": (lambda x: D(lambda y: x * y * y)(x), 3.0, 4 * 3.0),
    "computed as inner": (lambda x: D(lambda y: x * y * y)(x * x), 2.0, 6 * 4.0),
    "shadowed": (lambda x: D(lambda x: x * x)(x) * x, 3.0, 4 * 3.0),
    "three": (
        # d/dz xyz = xy at z = y; d/dy xyy = 2xy at y = x; x times that is 2 x^3
        lambda x: x * D(lambda y: y * D(lambda z: x * y * z)(y))(x),
        2.0,
        6 * 2.0**2,
    ),
    "side by side": (lambda x: D(lambda y: y * x)(1.0) * D(lambda y: y * y * x)(x), 2.0, 6 * 4.0),
    "inner ignores outer": (lambda x: x * D(lambda y: y**3)(2.0), 1.0, 12.0),
    "outer ignored": (lambda x: D(lambda y: y**3)(2.0), 1.0, 0.0),
    "value": (lambda x: tn.value_and_grad(lambda y: x * y)(x)[0], 3.0, 2 * 3.0),
    "pullback": (lambda x: tn.vjp(lambda y: x * y, 1.0)[1](x)[0], 3.0, 2 * 3.0),
    "jacobian": (lambda x: tn.jacobian(lambda y: y * y * x)([1.0, 2.0]).sum(), 3.0, 6.0),
    "hessian": (lambda x: tn.hessian(lambda y: x * y**3)(x), 2.0, 12 * 2.0),
    "hvp": (lambda x: tn.hvp(lambda y: x * x * y**3, 2.0, x), 1.0, 36.0),
    "in a detached outer": (lambda x: D(lambda y: x.detach() * y)(1.0) * x, 3.0, 3.0),
    "first of two": (lambda x: D(lambda a, b: a * b, 0)(1.0, x) * x, 3.0, 2 * 3.0),
}


@over(NESTED, "case")
def test_nested_derivatives_do_not_mix_their_tangents(case):
    f, at, expected = case
    assert float(D(f)(at)) == expected
    t = leaf(at)
    y = f(t)
    if y.requires_grad:
        y.backward()
    assert float(0.0 if t.grad is None else t.grad) == expected


PENALTIES = {
    # name: a function of w that holds a derivative in x, which is 2wx for f = w x^2
    "grad": lambda w: tn.grad(lambda x: w * x * x)(3.0),
    "value_and_grad": lambda w: tn.value_and_grad(lambda x: w * x * x)(3.0)[1],
    "vjp": lambda w: tn.vjp(lambda x: w * x * x, 3.0)[1](1.0)[0],
    "jacobian": lambda w: tn.jacobian(lambda x: w * x * x)(3.0),
    "hessian": lambda w: tn.hessian(lambda x: w * x * x)(3.0) * 3.0,
    "hvp": lambda w: tn.hvp(lambda x: w * x * x, 3.0, 3.0),
}


@over(PENALTIES, "slope")
@pytest.mark.parametrize("make", [leaf, tn.Variable])
def test_a_penalty_on_a_derivative_has_a_gradient_in_the_weights(slope, make):
    w = make(2.0)
    penalty = slope(w) * slope(w)
    assert penalty.item() == 144.0  # (2wx)^2
    penalty.backward()
    assert w.grad == 144.0  # 8 w x^2


def test_the_value_of_value_and_grad_has_a_gradient_in_the_weights_too():
    w = leaf(2.0)
    y, slope = tn.value_and_grad(lambda x: w * x * x)(3.0)
    (y + slope).backward()
    assert w.grad == 9.0 + 6.0


@given(smooth(), vectors(3), vectors(3))
def test_the_gradient_of_a_gradient_penalty_agrees_with_finite_differences(f, x, w):
    def penalty(w):
        return ops.square(tn.grad(lambda x: f(w * x))(x)).sum()

    t = leaf(w)
    penalty(t).backward()
    for i, e in enumerate(np.eye(3)):
        assert_slope(t.grad[i], lambda h, e=e: penalty(w + h * e), rtol=1e-6, atol=1e-6)


# -- who may ask further ----------------------------------------------------------------------


def cubes(x: Any) -> Any:
    return (x * x * x).sum()


RESULTS = {
    # name: all tensors that a derivative of f returns
    "grad": lambda f, x: [tn.grad(f)(x)],
    "value_and_grad": lambda f, x: [*tn.value_and_grad(f)(x)],
    "vjp": lambda f, x: [tn.vjp(f, x)[0], *tn.vjp(f, x)[1](1.0)],
    "jacobian": lambda f, x: [tn.jacobian(f)(x)],
    "hessian": lambda f, x: [tn.hessian(f)(x)],
    "hvp": lambda f, x: [tn.hvp(f, x, B)],
}


@over(RESULTS, "results")
def test_results_are_tracked_only_if_they_can_be_differentiated_further(results):
    x, w = leaf(A), leaf(2.0)
    expected = results(cubes, A)
    assert not any(t.requires_grad for t in expected)
    assert not any(t.requires_grad for t in results(cubes, tn.tensor(A)))
    assert all(t.requires_grad for t in results(cubes, x))
    assert all(t.requires_grad for t in results(lambda x: cubes(x) * w, A))
    with tn.no_grad():
        for f in (cubes, lambda x: cubes(x) * w * 0.5):
            found = results(f, x)
            assert not any(t.requires_grad for t in found)
            for t, same in zip(found, expected, strict=True):
                assert_same(t, same.numpy())


# -- the walk ---------------------------------------------------------------------------------

LONG = 100_000


def test_a_chain_of_100000_operations_can_be_differentiated_and_is_freed():
    t = leaf(1.0)
    y = t
    for _ in range(LONG // 2):
        y = (y + 1.0) * 1.0
    middle = weakref.ref(y.equation.inputs[0])
    assert y.item() == LONG // 2 + 1
    y.backward()
    assert t.grad == 1.0
    del y
    assert middle() is None


def test_a_long_chain_works_with_grad_and_vjp_too():
    def f(x):
        y = x
        for _ in range(LONG // 10):
            y = y + x
        return y * y

    n = LONG // 10 + 1
    assert float(tn.grad(f)(np.array(1.0))) == 2.0 * n**2
    assert float(tn.hvp(f, np.array(1.0), np.array(1.0))) == 2.0 * n**2


class Counted:
    """An addition that counts how often its rules run, and how often they record."""

    def __init__(self) -> None:
        self.rules = self.recorded = 0
        self.primitive = Primitive("counted", np.add, (self.rule, self.rule))

    def rule(self, ct: Any, y: Any, a: Any, b: Any) -> Any:
        self.rules += 1
        self.recorded += (ct * a * b).requires_grad
        return ct

    def __call__(self, a: tn.Tensor, b: tn.Tensor) -> tn.Tensor:
        return bind(self.primitive, a, b)


@pytest.mark.parametrize("depth", [1, 2, 60])
def test_the_walk_runs_each_rule_once_per_operation(depth):
    add, t = Counted(), leaf(1.0, "float64")
    y = t
    for _ in range(depth):
        y = add(y, y)  # 2 ** depth ways lead back
    y.backward()
    assert t.grad == 2.0**depth
    assert add.rules == 2 * depth  # one per input


def test_the_walk_waits_for_all_uses_of_a_tensor():
    add, t = Counted(), leaf(1.0, "float64")
    y, skipped = t, []
    for _ in range(30):
        skipped.append(y)
        y = add(y, y)
    for x in skipped:  # short cuts from the end back to each level
        y = add(y, x)
    y.backward()
    assert t.grad == 2.0**30 + sum(2.0**k for k in range(30))
    assert add.rules == 2 * 60


def test_rules_on_no_path_to_the_arguments_do_not_run():
    add, t, other, constant = Counted(), leaf(1.0), leaf(1.0), tn.tensor(1.0)
    y = add(add(t, constant), constant)
    y.backward()
    assert add.rules == 2
    add.rules = 0
    tn.grad(lambda x: add(add(other, other), x))(1.0)
    assert add.rules == 1
    add.rules = 0
    with tn.no_grad():
        add(t, t)
    assert not add(constant, constant).requires_grad


@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1), (1, 0)])
def test_a_primitive_may_compute_all_its_cotangents_together(wanted):
    asked = []

    def joint(ct: Any, y: Any, wanted: Any, a: Any, b: Any, by: float) -> Any:
        asked.append(wanted)
        return [ct * (b, a)[i] * by for i in wanted]

    product = Primitive("product", lambda a, b, by: a * b * by, (), joint=joint)
    found = tn.grad(lambda a, b: bind(product, a, b, by=2.0), wanted)(
        tn.tensor(3.0), tn.tensor(5.0)
    )
    assert [float(g) for g in found] == [(10.0, 6.0)[i] for i in wanted]
    assert asked == [tuple(sorted(wanted))]
    second = tn.jacobian(tn.grad(lambda a, b: bind(product, a, b, by=2.0)), 1)(
        tn.tensor(3.0), tn.tensor(5.0)
    )
    assert float(second) == 2.0


def test_walks_leave_equations_only_if_they_can_be_differentiated_further():
    add, t = Counted(), leaf(1.0)
    add(t, t).backward()
    tn.grad(lambda x: add(x, x))(1.0)
    with tn.no_grad():
        tn.grad(lambda x: add(x, t))(t)
    assert (add.rules, add.recorded) == (5, 0)
    tn.grad(lambda x: add(x, t))(1.0)
    assert (add.rules, add.recorded) == (6, 1)


def test_backward_leaves_no_equations():
    t = leaf(2.0)
    y = t * t * t
    with tn.no_grad():
        y.backward()
    assert t.grad == 12.0


# -- memory -----------------------------------------------------------------------------------


def refused_call() -> None:
    with suppress(ValueError):
        leaf([1.0, 2.0]) @ np.ones(3)


def without_recording() -> None:
    with tn.no_grad():
        leaf(A) * 2.0


def in_a_variables_place() -> None:
    v = tn.Variable(A)
    with stateless({v: leaf(B)}):
        cubes(v).backward()
    v.assign(v - 0.1 * v)


CHORES = {
    "backward": lambda: cubes(leaf(A)).backward(),
    "forward alone": lambda: cubes(leaf(A)),
    "indexing": lambda: leaf(A)[[0, 0]].sum().backward(),
    **{name: lambda f=f: f(cubes, leaf(A)) for name, f in RESULTS.items()},
    "nested": lambda: tn.grad(NESTED["three"][0])(2.0),
    "penalty": lambda: PENALTIES["grad"](leaf(2.0)).backward(),
    "NumPy's functions": lambda: np.sum(np.exp(leaf(A)) * A).backward(),
    "no_grad": without_recording,
    "stateless": in_a_variables_place,
    "a refusal": refused_call,
    "check_grads": lambda: tn.check_grads(cubes, (A,)),
}


@pytest.fixture
def no_collector():
    """Run without the cyclic garbage collector, from a clean start; skip what exists by then."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()


@over(CHORES, "chore")
def test_derivatives_leave_no_reference_cycles(chore, no_collector):
    chore()  # what is made once, such as caches
    gc.collect()
    for _ in range(3):
        chore()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        ours = [x for x in gc.garbage if type(x).__module__.startswith("tinynet")]
        arrays = [x for x in gc.garbage if isinstance(x, np.ndarray)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
    assert not ours
    assert not arrays


def test_a_tape_is_freed_with_its_last_result(no_collector):
    t = leaf(A)
    inner = t * 2.0
    alive = [weakref.ref(inner), weakref.ref(inner.equation.inputs[1])]
    y = (inner * inner).sum()
    del inner
    y.backward()
    assert all(ref() is not None for ref in alive)
    del y
    assert all(ref() is None for ref in alive)


def test_a_detached_result_keeps_no_tape_alive(no_collector):
    inner = leaf(A) * 2.0
    alive = weakref.ref(inner)
    kept = [(inner * inner).detach(), tn.value_and_grad(cubes)(inner.detach())]
    del inner
    assert alive() is None
    assert len(kept) == 2


# -- grad mode --------------------------------------------------------------------------------


def recording() -> bool:
    return (leaf(1.0) * 2.0).requires_grad


def test_no_grad_is_a_context_manager_that_nests():
    assert recording()
    with tn.no_grad():
        assert not recording()
        with tn.no_grad():
            assert not recording()
        assert not recording()
    assert recording()


def test_no_grad_is_a_decorator_for_every_call():
    @tn.no_grad()
    def fact(n: int) -> list[bool]:
        """Say whether calls record, from the inside out."""
        return [*(fact(n - 1) if n else []), recording()]

    assert (fact.__name__, fact.__doc__) == (
        "fact",
        "Say whether calls record, from the inside out.",
    )
    for _ in range(2):
        assert fact(2) == [False] * 3
        assert recording()


def test_no_grad_is_undone_by_an_exception():
    @tn.no_grad()
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert recording()
    with pytest.raises(ZeroDivisionError), tn.no_grad():
        raise ZeroDivisionError
    assert recording()
    with tn.no_grad():
        with pytest.raises(ZeroDivisionError):
            fails()
        assert not recording()


FAILING = {
    **{name: lambda f, of=of: of(f, leaf(A)) for name, of in RESULTS.items()},
    "under no_grad": tn.no_grad()(lambda f: tn.grad(f)(A)),
}


@over(FAILING, "call")
def test_an_exception_in_the_function_restores_the_grad_mode(call):
    def fails(*args):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call(fails)
    assert modes.grad
    assert recording()


def test_an_exception_in_a_rule_leaves_grads_and_grad_mode_unchanged():
    def fails(*args):
        raise ZeroDivisionError

    broken = Primitive("broken", np.positive, (fails,))
    t, other = leaf(1.0), leaf(2.0)
    y = other * bind(broken, t) + t
    with pytest.raises(ZeroDivisionError):
        y.backward()
    assert t.grad is None
    assert other.grad is None
    assert recording()


def test_derivatives_are_computed_inside_no_grad():
    with tn.no_grad():
        assert float(tn.grad(tn.grad(lambda x: x**3))(2.0)) == 12.0
        assert not recording()


def in_threads(*functions: Callable[[], Any]) -> list[Any]:
    """Run the functions at the same time and return what they return."""
    results: dict[int, Any] = {}

    def run(i: int) -> None:
        results[i] = functions[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return [results[i] for i in range(len(functions))]


def test_grad_mode_belongs_to_a_thread():
    inside, done = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def without():
        with tn.no_grad():
            inside.wait()
            found = recording()
            done.wait()
        return found, recording()

    def within():
        inside.wait()
        found = recording()
        done.wait()
        return found, recording()

    assert in_threads(without, within) == [(False, True), (True, True)]


def test_a_new_thread_starts_in_the_default_grad_mode():
    with tn.no_grad():
        assert in_threads(recording) == [True]
        assert not recording()


def test_all_threads_share_floatx():
    set_floatx("float16")
    try:
        assert in_threads(lambda: leaf(1.0).dtype, floatx) == ["float16", "float16"]
        in_threads(lambda: set_floatx("float64"))
        assert leaf(1.0).dtype == floatx() == "float64"
    finally:
        set_floatx("float32")


def test_a_variable_is_substituted_in_one_thread_only():
    v = tn.Variable(1.0)
    inside, done = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def substituted():
        with stateless({v: tn.tensor(2.0)}):
            inside.wait()
            found = float(v)
            done.wait()
        return found, float(v)

    def plain():
        inside.wait()
        found = float(v)
        done.wait()
        return found, float(v)

    assert in_threads(substituted, plain) == [(2.0, 1.0), (1.0, 1.0)]


def test_several_threads_can_differentiate_at_once():
    def work() -> float:
        t = leaf(1.0)
        for _ in range(200):
            cubes(t * A).backward()
        return float(t.grad)

    assert in_threads(*[work] * 4) == [200 * 3 * (1 + 8)] * 4


@pytest.mark.parametrize("count", [0, 1, 3])
def test_hvp_takes_one_vector_for_each_primal(count):
    with refused(ValueError, "hvp: vectors", "2 of them", str(count)):
        tn.hvp(lambda x, y: (x * y).sum(), (A, A), (A,) * count)
