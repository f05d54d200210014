"""Derivatives are as tracked as their arguments are, no more: nothing leaks to an outer tape."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, leaf, over

import tinynet as tn
from tinynet import ops

A, V = np.array([0.5, -1.0]), np.array([1.0, 2.0])

# All tensors that a derivative of the scalar function f at x returns.
DERIVATIVES: dict[str, Callable[[Any, Any], list[Any]]] = {
    "grad": lambda f, x: [tn.grad(f)(x)],
    "value_and_grad": lambda f, x: [*tn.value_and_grad(f)(x)],
    "has_aux": lambda f, x: [
        *tn.grad(lambda x: (f(x), f(x * x)), has_aux=True)(x),
    ],
    "vjp": lambda f, x: [tn.vjp(f, x)[0], *tn.vjp(f, x)[1](2.0)],
    "jvp": lambda f, x: [*tn.jvp(f, (x,), (V,))],
    "elementwise_grad": lambda f, x: [tn.elementwise_grad(f)(x)],
    "jacobian": lambda f, x: [tn.jacobian(f)(x)],
    "hessian": lambda f, x: [tn.hessian(f)(x)],
    "hvp": lambda f, x: [tn.hvp(f, x, V)],
}


def reachable(*tensors: Any) -> int:
    """Return how many tensors the given ones keep alive by their equations."""
    seen, pending = set(), [*tensors]
    while pending:
        t = pending.pop()
        if t not in seen:
            seen.add(t)
            pending += t.equation.inputs if t.equation else ()
    return len(seen)


def total(tensors: list[Any]) -> Any:
    return sum((ops.sum(t) for t in tensors), 0.0)


MAKE: dict[str, Any] = {"constant": tn.tensor, "tracked": leaf}


@over(DERIVATIVES, "derivative")
@pytest.mark.parametrize(("x", "w"), [*product(MAKE, MAKE)])
def test_a_derivative_is_tracked_if_and_only_if_it_depends_on_a_tracked_tensor(derivative, x, w):
    at, weight = MAKE[x](A), MAKE[w](2.0, "float64")
    found = derivative(lambda x: ops.exp(x * weight).sum(), at)
    assert {t.requires_grad for t in found} == {"tracked" in (x, w)}
    if "tracked" not in (x, w):
        assert reachable(*found) == len(found)


@over(DERIVATIVES, "inner")
@over(DERIVATIVES, "outer")
@pytest.mark.parametrize(("x", "w"), [*product(MAKE, MAKE)])
@pytest.mark.parametrize("place", ["at the argument", "beside it", "around it"])
def test_so_is_a_derivative_of_a_derivative(inner, outer, x, w, place):
    at, weight = MAKE[x](A), MAKE[w](2.0, "float64")

    def f(x: Any) -> Any:
        if place == "at the argument":
            return total(inner(lambda z: ops.exp(z * weight).sum(), x))
        if place == "beside it":  # the physics-informed network: derivatives at constant points
            return total(inner(lambda z: ops.exp(z * x * weight).sum(), V))
        return total(inner(lambda z: ops.exp(z).sum(), V)) * ops.exp(x * weight).sum()

    found = outer(f, at)
    assert {t.requires_grad for t in found} == {"tracked" in (x, w)}
    if "tracked" not in (x, w):
        assert reachable(*found) == len(found)
    with tn.no_grad():
        silent = outer(f, at)
    assert not any(t.requires_grad for t in silent)
    for one, other in zip(found, silent, strict=True):
        assert_close(one, other)


def test_a_derivative_that_is_constant_is_not_tracked():
    w = leaf(3.0)
    assert not tn.grad(lambda x: 2.0 * x.sum())(leaf(A)).requires_grad
    assert not tn.grad(lambda x: x.sum() + w)(A).requires_grad
    assert tn.grad(lambda x: x.sum() * w)(A).requires_grad
    y, _ = tn.vjp(lambda x: [x * x, x * w], A)
    assert [t.requires_grad for t in y] == [False, True]


def pinn(w: Any) -> Any:
    """Return the loss of a small network u for u'' = -u, u(0) = 0, u'(0) = 1."""

    def u(t: Any) -> Any:
        return (ops.tanh(t * w["a"] + w["b"]) * w["c"]).sum()

    t = np.linspace(0.0, 2.0, 4).reshape(-1, 1)
    u1 = tn.grad(lambda t: u(t))
    u2 = tn.grad(lambda t: u1(t).sum())
    residual = u2(t) + ops.tanh(t * w["a"] + w["b"]) @ w["c"].reshape(-1, 1)
    return (residual * residual).mean() + u(0.0) ** 2 + (u1(np.zeros(())) - 1.0) ** 2


WEIGHTS = {name: np.linspace(-1.0, 1.0, 5) + shift for shift, name in enumerate("abc")}


def test_many_steps_of_gradient_descent_build_no_tape():
    w: Any = dict(WEIGHTS)
    losses = []
    for _ in range(300):
        loss, slopes = tn.value_and_grad(pinn)(w)
        w = {name: w[name] - 0.01 * slopes[name] for name in w}
        losses.append(loss)
    assert reachable(*losses, *w.values()) == len(losses) + len(w)
    assert not any(t.requires_grad for t in (*losses, *w.values()))
    assert losses[-1].item() < 0.1 * losses[0].item()


def test_a_compiled_gradient_with_a_derivative_in_it_runs_its_python_code_once():
    runs = []

    @tn.jit
    @tn.value_and_grad
    def both(w):
        runs.append(w)
        return pinn(w)

    found = [both(WEIGHTS) for _ in range(3)]
    assert (len(runs), both.compilations) == (1, 1)
    value, gradient = tn.value_and_grad(pinn)(WEIGHTS)
    for one, slopes in found:
        assert_close(one, value)
        for name in WEIGHTS:
            assert_close(slopes[name], gradient[name])


# -- pullbacks that are called later, and functions that fail ---------------------------------


def test_a_pullback_stays_right_after_the_derivative_around_it_has_ended():
    kept = []

    def f(x):
        y, pullback = tn.vjp(lambda z: ops.exp(z * x), V)
        kept.append(pullback)
        return (y * pullback(y)[0]).sum()

    tn.grad(f)(A)
    (ct,) = kept[0](np.ones(2))
    assert_close(ct, A * np.exp(V * A))
    assert not ct.requires_grad
    ones = leaf(np.ones(2))
    kept[0](ones)[0].sum().backward()
    assert_close(ones.grad, A * np.exp(V * A))


def test_a_pullback_can_be_differentiated_in_what_its_function_refers_to():
    w = leaf(2.0, "float64")
    _, pullback = tn.vjp(lambda z: ops.exp(z * w), V)
    pullback(np.ones(2))[0].sum().backward()
    assert_close(w.grad, ((1 + 2.0 * V) * np.exp(2.0 * V)).sum())


def test_a_function_that_fails_leaves_what_it_used_as_it_was():
    w, x, seen = leaf(2.0), leaf(A), []

    def f(x):
        seen.append(x * w)
        raise RuntimeError("no result")

    for at in (A, x):
        with pytest.raises(RuntimeError):
            tn.grad(f)(at)
    assert w.requires_grad
    assert x.requires_grad
    seen[1].sum().backward()
    assert_close(x.grad, [2.0, 2.0])


class Watched(tn.Tensor):
    """A tensor that notes what is written to `tracked`."""

    written: list[bool] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "tracked":
            self.written.append(value)
        super().__setattr__(name, value)


def test_a_tensor_from_outside_is_tracked_at_every_moment_as_other_threads_may_use_it():
    outside = Watched(A)
    outside.equation, outside.tracked = (leaf(A) * 2.0).equation, True
    Watched.written.clear()
    tn.grad(lambda x: (x * outside).sum())(A)
    assert Watched.written == [True]


def test_a_tensor_kept_from_inside_a_derivative_is_no_leaf():
    kept = []
    tn.grad(lambda x: (kept.append(x * 2.0), (kept[0] ** 2).sum())[1])(A)
    assert not kept[0].requires_grad
    with pytest.raises(ValueError, match="expected a leaf, received multiply"):
        kept[0].requires_grad = True
    kept[0].requires_grad = False
