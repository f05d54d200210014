"""Primitives that users make with `tn.primitive`."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, leaf, over, refused

import tinynet as tn
from tinynet.engine.bind import PRIMITIVES

X, Y = np.array([0.5, -1.0, 2.0]), np.array([[1.0], [2.0]])


def hill(x: Any) -> Any:
    return x / np.sqrt(1.0 + x * x)


MADE: dict[str, tuple[Any, Any]] = {
    # name: (primitive, as a function of tensors)
    "a ufunc": (tn.primitive("s", np.sin, lambda ct, y, x: ct * np.cos(x)), lambda x: np.sin(x)),
    "a function of Python": (
        tn.primitive("hill", hill, lambda ct, y, x: ct * (1.0 + x * x) ** -1.5, elementwise=True),
        hill,
    ),
    "a rule for any input": (
        tn.primitive("total", lambda *xs: sum(xs), each=lambda i: lambda ct, y, *xs: ct),
        lambda *xs: sum(xs),
    ),
    "rules together": (
        tn.primitive("pow4", np.square, joint=lambda ct, y, wanted, x: [ct * 2.0 * x]),
        lambda x: x * x,
    ),
}


@over(MADE, "case")
def test_it_has_gradients_of_any_order_and_is_compiled(case):
    made, same = case
    tn.check_grads(made, (X,), order=3)
    assert_close(made(X), same(tn.tensor(X)))
    assert_close(tn.hessian(lambda x: made(x).sum())(X), tn.hessian(lambda x: same(x).sum())(X))
    compiled = tn.jit(tn.value_and_grad(lambda x: (made(x) * x).sum()))
    for one, other in zip(
        compiled(X), tn.value_and_grad(lambda x: (made(x) * x).sum())(X), strict=True
    ):
        assert_same(one, other)
    assert compiled.compilations == 1


def test_broadcasting_is_undone_and_params_reach_the_rules():
    scaled = tn.primitive(
        "scaled",
        lambda a, b, *, by: by * a * b,
        lambda ct, y, a, b, by: by * ct * b,
        lambda ct, y, a, b, by: by * ct * a,
    )
    tn.check_grads(lambda a, b: scaled(a, b, by=3.0), (X, Y))
    assert_close(scaled(X, Y, by=2.0), 2.0 * X * Y)
    assert_close(tn.grad(lambda b: scaled(X, b, by=2.0).sum())(Y), 2.0 * X.sum() * np.ones((2, 1)))


def test_inputs_are_converted_like_those_of_our_own_functions():
    add = tn.primitive("plus", np.add, lambda ct, y, a, b: ct, lambda ct, y, a, b: ct)
    for dtype in ("float16", "float32", "float64"):
        assert add(X.astype(dtype), 0.1).dtype == add(2, leaf(X, dtype)).dtype == dtype
    assert add(1, 2.5).dtype == "float32"
    assert add(np.float64(0.1), 0.2).numpy() == 0.1 + 0.2
    v = tn.Variable(2.0)
    add([v, 1.0], v).sum().backward()
    assert v.grad == 3.0


def test_a_name_can_be_used_again_and_both_primitives_work_in_one_program():
    def make(factor: float) -> Any:
        return tn.primitive("f", lambda x: factor * x, lambda ct, y, x: factor * ct)

    first, second = make(2.0), make(3.0)
    compiled = tn.jit(lambda x: first(second(x)) + first(x))
    assert_close(compiled(X), 8.0 * X)
    assert_close(tn.grad(lambda x: compiled(x).sum())(X), np.full(3, 8.0))


@pytest.mark.parametrize("name", ["add", "reshape", "sin"])
def test_the_names_of_our_own_primitives_are_taken(name):
    before = dict(PRIMITIVES)
    with refused(ValueError, "primitive", repr(name)):
        tn.primitive(name, np.sin, lambda ct, y, x: ct)
    assert before == PRIMITIVES


sine = tn.primitive(
    "sine", lambda x, n=1: np.sin(n * x), lambda ct, y, x, n=1: ct * np.cos(n * x) * n
)
both = tn.primitive("both", np.multiply, joint=lambda ct, y, wanted, a, b: [ct * b, ct * a])
REFUSED: dict[str, Any] = {
    "an array as a parameter": (lambda: sine(X, n=X), TypeError, ["sine", "n", "ndarray"]),
    "a list as a parameter": (lambda: sine(X, n=[1]), TypeError, ["sine", "n", "list", "position"]),
    "a tensor as a parameter": (lambda: sine(X, n=leaf(2.0)), TypeError, ["sine: n", "Tensor"]),
    "a variable as a parameter": (
        lambda: sine(X, n=tn.Variable(2.0)),
        TypeError,
        ["sine: n", "Variable", "pass arrays by position"],
    ),
    "cotangents of more inputs than wanted": (
        lambda: tn.grad(lambda x: both(x, 2.0).sum())(X),
        ValueError,
        ["both: expected 1 cotangents, received 2"],
    ),
    "an input without a rule": (lambda: sine(X, X), TypeError, ["sine", "1", "2", "None"]),
    "an unknown parameter": (lambda: sine(X, m=1), TypeError, ["sine", "m"]),
    "a rule's result of a wrong shape": (
        lambda: tn.grad(lambda x: tn.primitive("w", np.sin, lambda ct, y, x: x[:2])(x).sum())(X),
        ValueError,
        ["w", "(3,)", "(2,)", "rule of input 0"],
    ),
}


@over(REFUSED, "case")
def test_an_error_names_the_primitive(case):
    call, error, words = case
    with refused(error, *words):
        call()


def test_a_function_may_return_the_same_array_each_time():
    buffer = np.empty(3)
    twice = tn.primitive("twice", lambda x: np.multiply(x, 2.0, out=buffer), lambda ct, y, x: ct)
    first, second = twice(X), twice(10.0 * X)
    assert_same(first, 2.0 * X)
    assert_same(second, 20.0 * X)
    assert_same(tn.jit(lambda x: [twice(x), twice(10.0 * x)])(X)[0], 2.0 * X)
    part = tn.primitive("part", lambda x: buffer[1:], lambda ct, y, x: ct)(X)
    buffer[:] = 0.0
    assert_same(part, 20.0 * X[1:])


@pytest.mark.parametrize("result", [None, 1j, "text", np.array([1j])])
def test_a_function_that_returns_no_numbers_is_refused(result):
    wrong = tn.primitive("wrong", lambda x: result, lambda ct, y, x: ct)
    with refused(ValueError, "wrong() of shape (3,)", "Invalid dtype", "expected numbers"):
        wrong(X)


def test_what_a_rule_reads_is_seen_by_compiled_functions():
    factors = [2.0]
    scaled = tn.primitive("scaled", lambda x: factors[0] * x, lambda ct, y, x: factors[0] * ct)
    gradient = tn.jit(tn.grad(lambda x: scaled(x).sum()))
    constant = tn.jit(lambda x: scaled(tn.tensor(X)) + 0.0 * x)
    for factor in (2.0, 3.0):
        factors[0] = factor
        assert_same(gradient(X), np.full(3, factor))
        assert_same(constant(X), factor * X)


def test_a_rule_may_return_a_number_and_an_array():
    half = tn.primitive("half", lambda x: x / 2.0, lambda ct, y, x: 0.5)
    assert_same(tn.grad(lambda x: half(x).sum())(X), np.full(3, 0.5))
    double = tn.primitive("double", lambda x: x * 2.0, lambda ct, y, x: np.full(3, 2.0))
    assert_same(tn.grad(lambda x: double(x).sum())(X), np.full(3, 2.0))


def test_a_rule_that_reads_numbers_is_refused_where_its_derivative_is_asked_for():
    raw = tn.primitive("raw", np.sin, lambda ct, y, x: ct * np.cos(np.asarray(x)))
    assert_close(tn.grad(lambda x: raw(x).sum())(X), np.cos(X))
    with refused(TypeError, "np.asarray", "detach()"):
        tn.hessian(lambda x: raw(x).sum())(X)
