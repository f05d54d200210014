"""Derivatives with respect to trees, and of functions that return trees."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_same, leaf, over, refused

import tinynet as tn
from tinynet import ops, tree

A, B, C = np.array([1.0, 2.0]), np.array([[3.0], [5.0]]), np.array(7.0)


class Weights(NamedTuple):
    a: Any
    b: Any
    c: Any = None


TREES: dict[str, Any] = {
    "a dict": {"a": A, "b": B, "c": C},
    "a list": [A, B, C],
    "a tuple": (A, B, C),
    "a named tuple": Weights(A, B, C),
    "a nested tree": {"first": [A, (B, None)], "then": Weights(C, None)},
    "a tree of tensors": [tn.tensor(A), {"b": tn.Variable(B), "c": C}],
    "an array": A,
    "None": None,
    "an empty list": [],
}


def energy(*trees: Any) -> Any:
    """Return the sum of the cubes of all elements: the gradient is 3 x^2, the Hessian 6 x."""
    return sum(((x * x * x).sum() for x in tree.leaves(trees)), 0.0)


def assert_like(found: Any, expected: Any) -> None:
    """Assert that two trees have the same structure and the same leaves."""
    same = tree.map_leaves(lambda _: None, found), tree.map_leaves(lambda _: None, expected)
    assert str(same[0]) == str(same[1])
    for (path, one), (_, other) in zip(
        tree.parts_like(found, found, "found"),
        tree.parts_like(found, expected, "expected"),
        strict=True,
    ):
        assert isinstance(one, tn.Tensor), path
        assert_same(one, other)


def times(factor: float, power: int, structure: Any) -> Any:
    return tree.map_leaves(lambda x: factor * np.asarray(x) ** power, structure)


@over(TREES, "at")
def test_a_gradient_is_a_tree_like_the_argument(at):
    assert_like(tn.grad(energy)(at), times(3, 2, at))
    value, gradient = tn.value_and_grad(energy)(at)
    assert_same(np.float64(value), np.float64(energy(at)))
    assert_like(gradient, times(3, 2, at))
    assert_like(tn.jacobian(energy)(at), times(3, 2, at))
    assert_like(tn.grad(energy, (1, 0))(A, at), (times(3, 2, at), 3 * A * A))
    assert_like(tn.vjp(energy, at, A)[1](2.0), (times(6, 2, at), 6 * A * A))


@over(TREES, "at")
def test_products_with_the_hessian_and_the_jacobian_take_trees(at):
    ones = tree.map_leaves(np.ones_like, times(1, 1, at))
    several = isinstance(at, tuple) and not isinstance(at, Weights)
    if tree.leaves(at) or not several:
        found = tn.hvp(energy, at if several else (at,), ones if several else (ones,))
        assert_like(found, times(6, 1, at) if several else (times(6, 1, at),))
    _, tangent = tn.jvp(energy, (at,), (ones,))
    expected = sum(3 * (np.asarray(x) ** 2).sum() for x in tree.leaves(at))
    assert float(tangent) == expected


def test_a_hessian_of_a_tree_is_a_tree_of_trees():
    found = tn.hessian(lambda w: (w["a"] * w["a"]).sum() * w["b"])({"a": A, "b": C})
    expected = {"a": {"a": 14 * np.eye(2), "b": 2 * A}, "b": {"a": 2 * A, "b": np.array(0.0)}}
    assert_like(found, expected)


RESULTS: dict[str, Any] = {
    # name: (function, its Jacobian at A)
    "a list": (lambda x: [x * x, x.sum()], [np.diag(2 * A), np.ones(2)]),
    "a tuple": (lambda x: (x[0], x[1] * 3.0), (np.array([1.0, 0.0]), np.array([0.0, 3.0]))),
    "a dict": (lambda x: {"b": x, "a": [x[1]]}, {"b": np.eye(2), "a": [np.array([0.0, 1.0])]}),
    "a named tuple": (lambda x: Weights(x, x[0]), Weights(np.eye(2), np.array([1.0, 0.0]))),
    "numbers beside tensors": (lambda x: (x[0], 2.0), (np.array([1.0, 0.0]), np.zeros(2))),
    "an array beside tensors": (lambda x: [x, B], [np.eye(2), np.zeros((2, 1, 2))]),
    "one tensor twice": (lambda x: (x, x), (np.eye(2), np.eye(2))),
    "a result and what it depends on": (
        lambda x: (lambda y: [y * y, y])(2.0 * x),
        [np.diag(8 * A), 2 * np.eye(2)],
    ),
    "a comparison": (lambda x: [x > 1.5, x], [np.zeros((2, 2)), np.eye(2)]),
}


@over(RESULTS, "case")
def test_the_jacobian_of_a_tree_of_results_is_a_tree_like_it(case):
    f, expected = case
    assert_like(tn.jacobian(f)(A), expected)
    inside = tn.jacobian(lambda w: f(w["x"]))({"x": A})
    assert_like(inside, tree.map_leaves(lambda j: {"x": j}, expected))


@over(RESULTS, "case")
def test_pullbacks_and_tangents_of_a_tree_of_results_agree_with_its_jacobian(case):
    f, matrices = case
    y, pullback = tn.vjp(f, A)
    cts = tree.map_leaves(lambda t: np.arange(2.0, 2.0 + t.size).reshape(t.shape), y)
    v = np.array([3.0, -1.0])
    tangents = tn.jvp(f, (A,), (v,))[1]
    rows = 0.0
    for t, matrix, ct, tangent in zip(
        *(tree.leaves(x) for x in (y, matrices, cts, tangents)), strict=True
    ):
        if t.dtype.kind == "f":
            rows = rows + np.tensordot(ct, matrix, ct.ndim)
            assert_same(tangent, np.asarray(matrix @ v, t.dtype))
        else:
            assert not tangent.numpy().any()
    assert_same(pullback(cts)[0], np.asarray(rows))


def test_a_cotangent_of_a_list_of_scalars_may_be_a_list_of_numbers():
    (ct,) = tn.vjp(lambda x: [x[0] * x[1], x[1]], A)[1]([2.0, 1.0])
    assert_same(ct, np.array([4.0, 3.0]))


def test_a_list_of_numbers_is_one_argument():
    assert_same(tn.grad(lambda x: (x * x).sum())([1.0, 2.0]), np.array([2, 4], "float32"))
    found = tn.grad(lambda w: (w["x"] * w["x"]).sum())({"x": [1.0, 2.0]})
    assert_same(found["x"], np.array([2, 4], "float32"))


def test_a_named_tuple_of_numbers_keeps_its_fields():
    found = tn.grad(lambda w: w.a * w.b * w.b)(Weights(2.0, 3.0))
    assert found == Weights(found.a, found.b, None)
    assert (float(found.a), float(found.b)) == (9.0, 12.0)


def test_a_tree_of_weights_takes_a_step_of_gradient_descent_without_a_tape():
    w: Any = {"a": 4.0, "b": [tn.tensor(A)]}
    for _ in range(50):
        gradient = tn.grad(lambda w: w["a"] ** 2 + ops.exp(w["b"][0]).sum())(w)
        w = {"a": w["a"] - 0.1 * gradient["a"], "b": [w["b"][0] - 0.1 * gradient["b"][0]]}
    assert not any(t.tracked or t.equation for t in (w["a"], w["b"][0]))
    assert abs(w["a"].item()) < 1e-3


# -- has_aux ----------------------------------------------------------------------------------


def test_what_a_function_returns_besides_its_result_is_passed_on():
    def f(x):
        hidden = ops.exp(x)
        return hidden.sum(), {"hidden": hidden, "note": "text", "count": 3, "none": None}

    (value, aux), gradient = tn.value_and_grad(f, has_aux=True)(A)
    again, same = tn.grad(f, has_aux=True)(A)
    assert_same(again, gradient.numpy())
    assert_same(aux["hidden"], np.exp(A))
    assert (aux["note"], aux["count"], aux["none"]) == ("text", 3, None)
    assert str(same) == str(aux)
    for t in (value, gradient, aux["hidden"]):
        assert not t.requires_grad
        assert t.equation is None


@pytest.mark.parametrize("uses_y", [True, False])
def test_what_is_returned_besides_is_as_tracked_as_the_arguments(uses_y):
    def f(x):
        return (x * x).sum(), [x * 3.0, x * w, w, x]

    w, x = leaf(2.0), leaf(A)
    _, constant = tn.grad(f, has_aux=True)(A)
    assert [t.requires_grad for t in constant] == [False, True, True, False]
    _, tracked = tn.grad(f, has_aux=True)(x)
    assert all(t.requires_grad for t in tracked)
    tracked[0].sum().backward()
    assert_same(x.grad, np.array([3.0, 3.0]))
    with tn.no_grad():
        assert not any(t.requires_grad for t in tn.grad(f, has_aux=True)(x)[1])


# -- errors -----------------------------------------------------------------------------------

TWO = {"y": [A, B]}
REFUSED: dict[str, Any] = {
    # name: (call, words of the ValueError)
    "integers in a tree": (
        lambda: tn.grad(energy)({"w": [A, np.arange(3)]}),
        ["argument 0['w'][1]", "floating", "int64"],
    ),
    "bools in a named tuple": (
        lambda: tn.vjp(energy, A, Weights(A, A > 0)),
        ["argument 1.b", "floating", "bool"],
    ),
    "integers in the second argument": (
        lambda: tn.grad(lambda a, b: energy(a), (0, 1))(A, [np.arange(3)]),
        ["argument 1[0]", "int64"],
    ),
    "a tree of results for a gradient": (lambda: tn.grad(lambda x: [x])(A), ["scalar", "list"]),
    "no aux": (lambda: tn.grad(energy, has_aux=True)(A), ["has_aux", "(y, aux)", "Tensor"]),
    "a cotangent without a key": (
        lambda: tn.vjp(lambda x: TWO, A)[1]({}),
        ["ct", "a dict with the keys ['y']", "{}"],
    ),
    "a cotangent that is too short": (
        lambda: tn.vjp(lambda x: TWO, A)[1]({"y": [A]}),
        ["ct['y']", "a list of length 2"],
    ),
    "a cotangent of another shape": (
        lambda: tn.vjp(lambda x: TWO, A)[1]({"y": [A, A]}),
        ["ct['y'][1]", "(2, 1)", "(2,)"],
    ),
    "one cotangent for several": (lambda: tn.vjp(lambda x: [x, x], A)[1](A), ["ct", "length 2"]),
    "vectors of another structure": (
        lambda: tn.hvp(energy, {"a": A}, {"b": A}),
        ["vectors[0]", "['a']", "'b'"],
    ),
    "tangents of another shape": (
        lambda: tn.jvp(energy, ({"a": A},), ({"a": B},)),
        ["tangents[0]['a']", "(2,)", "(2, 1)"],
    ),
    "too few tangents": (lambda: tn.jvp(energy, (A, A), (A,)), ["tangents", "length 2"]),
    "integers along a tangent": (
        lambda: tn.jvp(energy, ([np.arange(2)],), (0,)),
        ["argument 0[0]"],
    ),
    "a function of nothing": (lambda: tn.vjp(lambda x: None, A), ["NoneType"]),
}


@over(REFUSED, "case")
def test_an_error_names_the_leaf(case):
    call, words = case
    with refused(ValueError, *words):
        call()


def test_keys_that_cannot_be_sorted_are_refused():
    for call in (tn.grad(lambda w: w[1] * w["b"]), tn.jit(lambda w: w[1] * w["b"])):
        with refused(TypeError, "expected keys of one type", "received [1, 'b']"):
            call({1: np.array(2.0), "b": np.array(3.0)})


def test_primals_and_tangents_stand_in_tuples():
    with refused(TypeError, "jvp", "primals", "tuple", "ndarray"):
        tn.jvp(energy, A, A)
