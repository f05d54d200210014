"""Linear algebra by NumPy's names: values, gradients of any order, stacks, compiled, errors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_same, leaf, over, refused

import tinynet as tn
from tinynet.engine.operators import _OURS, name_of

RNG = np.random.default_rng(5)
SQUARE = RNG.normal(size=(2, 3, 3)) + 3 * np.eye(3)  # a stack of two
SYMMETRIC = SQUARE + SQUARE.swapaxes(-1, -2)
POSITIVE = SQUARE @ SQUARE.swapaxes(-1, -2)
TALL = RNG.normal(size=(2, 4, 3))
WIDE = RNG.normal(size=(2, 2, 3))
COLUMNS = RNG.normal(size=(2, 3, 2))
VECTOR = RNG.normal(size=3)
LA = np.linalg

# A call of NumPy's function (each result of several is one case), and its arrays.
CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "solve, vector": (LA.solve, (SQUARE, VECTOR)),
    "solve, columns": (LA.solve, (SQUARE, COLUMNS)),
    "solve, one matrix for a stack": (LA.solve, (SQUARE[0], COLUMNS)),
    "inv": (LA.inv, (SQUARE,)),
    "inv, by keyword": (lambda x: LA.inv(a=x), (SQUARE,)),
    "det": (LA.det, (SQUARE,)),
    "slogdet": (lambda x: LA.slogdet(x).logabsdet, (-SQUARE,)),
    "eigvalsh": (LA.eigvalsh, (SYMMETRIC,)),
    "eigh, values": (lambda x: LA.eigh(x).eigenvalues, (SYMMETRIC,)),
    "eigh, vectors": (lambda x: LA.eigh(x).eigenvectors, (SYMMETRIC,)),
    "cholesky": (LA.cholesky, (POSITIVE,)),
    "cholesky, upper": (lambda x: LA.cholesky(x, upper=True), (POSITIVE,)),
    "matrix_transpose": (LA.matrix_transpose, (TALL,)),
    "matmul": (LA.matmul, (WIDE, COLUMNS)),
    "multi_dot": (lambda *xs: LA.multi_dot(xs), (VECTOR, TALL[0].T, TALL[1], COLUMNS[0])),
    "multi_dot, column": (lambda *xs: LA.multi_dot(xs), (TALL[0], SQUARE[0], VECTOR)),
    "tensordot": (LA.tensordot, (WIDE, COLUMNS)),
    "outer": (LA.outer, (VECTOR, TALL[0, :, 0])),
}
for _name, _x in {"square": SQUARE, "tall": TALL, "wide": WIDE}.items():
    CALLS |= {
        f"svd, U, {_name}": (lambda x: LA.svd(x, full_matrices=False).U, (_x,)),
        f"svd, S, {_name}": (lambda x: LA.svd(x, False)[1], (_x,)),
        f"svd, Vh, {_name}": (lambda x: LA.svd(x, full_matrices=False).Vh, (_x,)),
        f"svd, values alone, {_name}": (lambda x: LA.svd(x, compute_uv=False), (_x,)),
        f"svdvals, {_name}": (LA.svdvals, (_x,)),
        f"pinv, {_name}": (LA.pinv, (_x,)),
        f"trace, {_name}": (lambda x: LA.trace(x, offset=1), (_x,)),
        f"diagonal, {_name}": (LA.diagonal, (_x,)),
        f"diagonal below, {_name}": (lambda x: LA.diagonal(x, offset=-1), (_x,)),
    }
CALLS["svd, full, square"] = lambda x: LA.svd(x).U, (SQUARE,)
for _n in (-3, -1, 0, 1, 2, 7):
    CALLS[f"matrix_power {_n}"] = partial(lambda n, x: LA.matrix_power(x, n), _n), (SQUARE / 3,)

NORMS = {
    "": [((), {}), ((), {"keepdims": True}), ((None, (0, 2)), {}), ((None, 1), {"keepdims": True})],
    "of vectors": [((p, 1), {}) for p in (None, 1, 2, 3, 0.5, -1, 2.5, 0, np.inf, -np.inf)],
    "of matrices": [
        ((p, axes), {"keepdims": keepdims})
        for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
        for axes, keepdims in (((1, 2), False), ((2, 0), True), ((-1, -2), True))
    ],
}
for _kind, _calls in NORMS.items():
    for _args, _options in _calls:
        _call = partial(lambda a, o, x: LA.norm(x, *a, **o), _args, _options)
        CALLS[f"norm {_kind} {_args} {_options}"] = _call, (TALL,)
CALLS["norm of one matrix"] = lambda x: LA.norm(x, 2), (TALL[0],)
CALLS["norm of one vector"] = lambda x: LA.norm(x, ord=4), (VECTOR,)

every_call = over(CALLS, "case")


@every_call
def test_the_value_is_numpys(case):
    call, arrays = case
    expected = call(*arrays)
    for make in (leaf, tn.tensor, tn.Variable):
        found = call(*map(make, arrays))
        assert isinstance(found, tn.Tensor)
        assert found.dtype == "float64"
        assert_close(found, expected, 1e-12, 1e-12)


CONSTANT = {"matrix_power 0", *(name for name in CALLS if "(0, 1)" in name)}


@over({name: case for name, case in CALLS.items() if name not in CONSTANT}, "case")
def test_derivatives_of_two_orders_agree_with_finite_differences(case):
    call, arrays = case
    assert call(*map(leaf, arrays)).requires_grad
    tn.check_grads(call, arrays)


@every_call
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_values_and_gradients_equal_the_eager_ones(case, dtype):
    call, arrays = case
    arrays = [x.astype(dtype) for x in arrays]

    def value_and_gradients(*xs: Any) -> Any:
        y, pullback = tn.vjp(call, *xs)
        return y, pullback(tn.ops.cos(y))

    compiled = tn.jit(value_and_gradients)
    for factor in (1.0, 1.5):
        xs = [np.asarray(x * factor, dtype) for x in arrays]
        (y, cts), (expected, expected_cts) = compiled(*xs), value_and_gradients(*xs)
        assert_same(y, expected)
        for ct, other in zip(cts, expected_cts, strict=True):
            assert_same(ct, other)
    assert compiled.compilations == 1


def test_a_vjp_of_a_stack_is_the_stack_of_the_vjps():
    for name, (call, arrays) in CALLS.items():
        if len(arrays) == 1 and arrays[0].ndim == 3 and "norm" not in name and "axis" not in name:
            y, pullback = tn.vjp(call, arrays[0])
            (found,) = pullback(np.cos(y.numpy()))
            for i, x in enumerate(arrays[0]):
                y, pullback = tn.vjp(call, x)
                assert_close(found[i], pullback(np.cos(y.numpy()))[0], 1e-9, 1e-9)


def test_each_function_that_replaces_numpys_is_tested_here():
    names = {f.__name__ for f in _OURS if name_of(f).startswith("np.linalg.")}
    assert names == {name.replace(",", " ").split()[0] for name in CALLS}


# -- known derivatives ----------------------------------------------------------------------------


def test_known_gradients():
    x = POSITIVE[0]
    inverse = LA.inv(x)
    assert_close(tn.grad(LA.det)(x), LA.det(x) * inverse.T)
    assert_close(tn.grad(lambda x: LA.slogdet(x)[1])(SQUARE[0]), LA.inv(SQUARE[0]).T)
    assert_close(tn.grad(lambda x: LA.trace(LA.inv(x)))(x), -(inverse @ inverse).T)
    # The logarithm of the determinant by Cholesky: the inverse, which is symmetric.
    f = tn.grad(lambda x: 2 * np.sum(np.log(LA.diagonal(LA.cholesky(x)))))
    assert_close(f(x), inverse, 1e-9)
    assert_close(tn.grad(lambda x: LA.norm(x))(VECTOR), VECTOR / LA.norm(VECTOR))
    u, _, vh = LA.svd(TALL[0], full_matrices=False)
    assert_close(tn.grad(lambda x: LA.norm(x, "nuc"))(TALL[0]), u @ vh)
    assert_close(tn.grad(lambda x: LA.norm(x, 2))(TALL[0]), np.outer(u[:, 0], vh[0]))


def test_the_gradient_of_eigenvalues_alone_is_right_where_they_are_equal():
    gradient = tn.grad(lambda x: np.sum(LA.eigvalsh(x) ** 3))
    assert_close(gradient(2 * np.eye(3)), 12 * np.eye(3))
    assert_close(tn.grad(lambda x: np.sum(LA.eigh(x)[0]))(np.eye(3)), np.eye(3))
    assert_close(tn.grad(lambda x: np.sum(LA.svdvals(x) ** 2))(np.eye(3)), 2 * np.eye(3))


@np.errstate(all="ignore")
def test_the_gradient_of_the_vectors_of_equal_values_is_not_finite():
    for f in (lambda x: LA.eigh(x)[1], lambda x: LA.svd(x)[0], lambda x: LA.svd(x)[2]):
        gradient = tn.grad(lambda x, f=f: np.sum(f(x) * SQUARE[0]))(np.eye(3))
        assert not np.isfinite(gradient.numpy()).all()


def test_the_gradient_of_a_determinant_is_refused_where_the_matrix_is_singular():
    with pytest.raises(LA.LinAlgError, match="Singular"):
        tn.grad(LA.det)(np.ones((2, 2)))


@pytest.mark.parametrize("p", [None, 1, 2, 3, 0.5, 0, -1, -2, -0.5, np.inf, -np.inf])
def test_the_norm_of_zeros_and_infinities_is_numpys_for_every_order(p):
    for x in (np.zeros(3), np.array([0.0, 2.0]), np.full(2, np.inf), np.array([np.inf, 1.0])):
        with np.errstate(divide="ignore"):  # 0 to a negative power
            expected, found = LA.norm(x, p), LA.norm(tn.tensor(x), p)
        np.testing.assert_allclose(found.numpy(), expected, 1e-13)


@pytest.mark.parametrize("p", [None, 1, 1.5, 2, 3, np.inf])
def test_the_gradient_of_a_norm_at_zero_is_zero(p):
    assert_same(tn.grad(lambda x: LA.norm(x, p))(np.zeros(3)), np.zeros(3))
    assert_same(tn.grad(lambda x: LA.norm(x))(np.zeros((2, 3))), np.zeros((2, 3)))


def test_symmetric_functions_depend_on_the_symmetric_part():
    x = SQUARE + np.array([[0.0, 5.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]) + 9 * np.eye(3)
    for f in (LA.cholesky, LA.eigvalsh, lambda x: LA.eigh(x)[1]):
        y, pullback = tn.vjp(f, x)
        assert_close(y, f((x + x.swapaxes(-1, -2)) / 2))
        (found,) = pullback(np.cos(y.numpy()))
        assert_close(found, found.numpy().swapaxes(-1, -2))


def test_gradients_agree_with_jax():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy.linalg
    calls: list[tuple[Callable[[Any, Any], Any], np.ndarray]] = [
        (lambda la, x: la.inv(x), SQUARE),
        (lambda la, x: la.det(x), SQUARE),
        (lambda la, x: la.cholesky(x), POSITIVE),
        (lambda la, x: la.eigh(x)[0], SYMMETRIC),
        (lambda la, x: la.svd(x, full_matrices=False)[1], TALL),
        (lambda la, x: la.pinv(x), TALL),
        (lambda la, x: la.norm(x, 2, (1, 2)), TALL),
    ]
    with jax.enable_x64(True):
        for call, x in calls:
            y, pullback = jax.vjp(partial(call, jnp), x)
            (expected,) = pullback(jax.numpy.cos(y))
            y, pullback = tn.vjp(partial(call, LA), x)
            (found,) = pullback(np.cos(y.numpy()))
            assert_close(found, expected, 1e-8, 1e-8)


# -- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["eigh", "svd", "slogdet"])
def test_several_results_are_a_named_tuple_with_numpys_names(name):
    found, expected = getattr(LA, name)(leaf(POSITIVE)), getattr(LA, name)(POSITIVE)
    assert type(found).__name__ == type(expected).__name__
    assert found._fields == expected._fields
    assert len(found) == len(getattr(tn.ops, name)(POSITIVE)) == len(expected)


def test_the_sign_of_a_determinant_is_a_constant():
    sign, logabsdet = LA.slogdet(leaf(-SQUARE))
    assert_same(sign, [-1.0, -1.0])
    assert (sign.requires_grad, logabsdet.requires_grad) == (False, True)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64"])
def test_other_dtypes(dtype):
    x = np.array([[2, 1], [1, 3]], dtype)
    y = tn.ops.inv(x)
    assert y.dtype == ("float32" if dtype == "int64" else dtype)
    assert_close(y, [[0.6, -0.2], [-0.2, 0.4]], 1e-3)


def test_empty_matrices_and_stacks():
    assert_same(LA.det(leaf(np.zeros((0, 0)))), 1.0)
    assert LA.inv(leaf(np.zeros((0, 3, 3)))).shape == (0, 3, 3)
    assert LA.solve(leaf(np.zeros((3, 3)) + np.eye(3)), np.zeros((3, 0))).shape == (3, 0)


def test_full_matrices_of_constants_are_numpys():
    for found, expected in zip(LA.svd(tn.tensor(TALL)), LA.svd(TALL), strict=True):
        assert_same(found, expected)


def test_the_longest_length_that_matrices_share_is_summed_first():
    arrays = [np.ones(shape) for shape in ((2, 5), (5, 9), (9, 3), (3, 4))]
    assert "empty((5, 3)" in tn.jit(lambda *xs: LA.multi_dot(xs)).source(*arrays)


def test_full_matrices_are_numpys_where_no_gradient_is_kept():
    x = tn.tensor(TALL[0], requires_grad=True)
    with tn.no_grad():
        assert_close(LA.svd(x).U, np.linalg.svd(TALL[0]).U)


# -- errors ---------------------------------------------------------------------------------------

SINGULAR = {
    "inv": lambda: LA.inv(leaf(np.ones((2, 2)))),
    "solve": lambda: LA.solve(leaf(np.ones((2, 2))), np.ones(2)),
    "cholesky": lambda: LA.cholesky(leaf(-np.eye(2))),
    "det": lambda: LA.det(leaf(TALL)),
    "svdvals": lambda: LA.svdvals(leaf([1.0, 2.0])),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_numpys_linalgerror_is_raised_with_the_name_and_shape(name):
    with pytest.raises(LA.LinAlgError, match=rf"^{name}\(\) of shape \("):
        SINGULAR[name]()


def test_a_compiled_function_raises_for_the_matrix_that_is_singular():
    f = tn.jit(lambda x: tn.ops.inv(x))
    f(np.eye(2))
    with pytest.raises(LA.LinAlgError):
        f(np.ones((2, 2)))
    assert_same(f(2 * np.eye(2)), np.eye(2) / 2)


REFUSED = {
    "order of a vector": (ValueError, lambda t: LA.norm(t[0, 0], "fro"), "ord: expected a number"),
    "order of a matrix": (ValueError, lambda t: LA.norm(t[0], 3), "ord: expected one of"),
    "axes": (ValueError, lambda t: LA.norm(t, 1), "axis: expected one or two axes of (2, 4, 3)"),
    "full": (ValueError, lambda t: LA.svd(t), "full_matrices=False"),
    "cut-off": (TypeError, lambda t: LA.pinv(t, rcond=0.4), "rcond= is not supported"),
    "triangle": (TypeError, lambda t: LA.eigh(t[:, :3], UPLO="U"), "np.linalg.eigh of a tensor"),
    "lacking": (TypeError, lambda t: LA.cond(t), "np.linalg.cond has no gradient"),
    "lstsq": (TypeError, lambda t: LA.lstsq(t[0], t[1]), "np.linalg.lstsq has no gradient"),
    "in place": (TypeError, lambda t: LA.multi_dot([t[0], t[0].T], out=TALL), "out="),
}


@over(REFUSED, "case")
def test_what_is_refused_says_why(case):
    error, call, words = case
    with refused(error, words):
        call(leaf(TALL))


@pytest.mark.parametrize("name", ["cond", "matrix_rank", "eigvals"])
def test_a_function_without_a_derivative_gives_numpys_result_for_constants(name):
    function = getattr(LA, name)
    np.testing.assert_array_equal(function(tn.tensor(SQUARE)), function(SQUARE))
