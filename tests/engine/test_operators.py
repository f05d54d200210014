"""NumPy's own functions and operators on tensors: ours where we have them, else a clear refusal."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import ARITHMETIC, COMPARISONS, assert_same, leaf, over, refused
from hypothesis import given
from strategies import BROADCASTABLE, typical

import tinynet as tn
from tinynet import ops
from tinynet.engine.bind import PRIMITIVES

A = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
SQUARE = np.array([[2.0, 1.0], [0.5, 3.0]])

Call = Callable[..., Any]


UFUNCS = sorted(name for name in PRIMITIVES if isinstance(getattr(np, name, None), np.ufunc))


def gradients(call: Call, *arrays: np.ndarray) -> tuple[Any, list[Any]]:
    """Return the result of `call`, and the gradients at a cotangent that tells elements apart."""
    xs = [leaf(a) for a in arrays]
    y = call(*xs)
    if isinstance(y, tn.Tensor) and y.requires_grad:
        y.backward(np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape))
    return y, [x.grad for x in xs]


def assert_ours(call: Call, of_ops: Call, of_numpy: Call, arrays: list[np.ndarray]) -> None:
    """Assert NumPy's numbers and, where there is a gradient, that of `tn.ops`."""
    found, by_numpy = gradients(call, *arrays)
    expected, by_ops = gradients(of_ops, *arrays)
    assert_same(found, of_numpy(*arrays))
    assert type(found) is type(expected)
    assert getattr(found, "requires_grad", False) == getattr(expected, "requires_grad", False)
    for a, b in zip(by_numpy, by_ops, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_same(a, b)


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_of_tensors_calls_our_function_of_that_name(name):
    f = getattr(np, name)
    for arrays in (typical(case) for case in PRIMITIVES[name].cases):
        assert_ours(f, getattr(ops, name), f, arrays)
        found, _ = gradients(f, *arrays)
        assert isinstance(found, tn.Tensor)
        assert found.requires_grad == (PRIMITIVES[name].rule(0) is not None)


def test_arrays_and_tensors_are_joined_along_the_first_axis():
    t = leaf(A)
    for joined in (np.concatenate([t, A]), ops.concatenate([t, A])):
        assert_same(joined, np.concatenate([A, A]))


def test_numpys_argument_names_are_accepted():
    t = leaf(A)
    assert_same(np.clip(t, a_min=0.0, a_max=1.0), A.clip(0.0, 1.0))
    assert_same(np.sum(t, axis=0, keepdims=True, out=None), A.sum(0, keepdims=True))
    assert_same(np.concatenate([t, t], axis=1), np.concatenate([A, A], axis=1))


# -- operators with an array or a NumPy scalar on the left --------------------------------------


@over(ARITHMETIC | COMPARISONS, "op")
@given(shapes=BROADCASTABLE[2])
def test_an_array_on_the_left_of_an_operator_gives_a_tensor(op, shapes):
    a, b = (np.linspace(1.0, 2.0, int(np.prod(shape))).reshape(shape) for shape in shapes)
    for make in (leaf, tn.Variable):
        x = make(b)
        y = op(a, x)
        assert isinstance(y, tn.Tensor)
        assert_same(y, np.asarray(op(a, b)))
        if op in ARITHMETIC.values():
            y.sum().backward()
            assert_same(x.grad, gradients(lambda t, a=a: op(tn.tensor(a), t).sum(), b)[1][0])


def test_an_array_on_the_left_of_a_matrix_product_gives_a_tensor():
    t = leaf(SQUARE)
    (A.T @ t).sum().backward()
    assert_same(t.grad, A @ np.ones((3, 2)))


@over(ARITHMETIC, "op")
@pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.float16(2), np.int64(2)])
def test_a_numpy_scalar_on_the_left_gives_a_tensor_of_numpys_dtype(op, scalar):
    t = leaf([1.0, 2.0])
    y = op(scalar, t)
    same = scalar if isinstance(scalar, np.floating) else np.float32(scalar)
    assert_same(y, op(same, np.array([1.0, 2.0], "float32")))
    y.sum().backward()
    assert t.grad.dtype == "float32"


# -- refusals ---------------------------------------------------------------------------------

IN_PLACE = {f"{name}=": getattr(operator, f"i{op.__name__}") for name, op in ARITHMETIC.items()}
WRITING = {
    **{f"a {name} t": lambda a, t, op=op: op(a, t) for name, op in IN_PLACE.items()},
    "@=": lambda a, t: operator.imatmul(a, t),
    "ufunc": lambda a, t: np.add(a, t, out=a),
    "ufunc by position": lambda a, t: np.multiply(t, t, a),
    "ufunc of one": lambda a, t: np.exp(t, out=a),
    "ufunc we lack": lambda a, t: np.heaviside(t, t, out=a),
    "function": lambda a, t: np.sum(t, axis=1, keepdims=True, out=a),
    "function by position": lambda a, t: np.max(t, None, a),
    "join": lambda a, t: np.concatenate([t], out=a),
    "method of a ufunc": lambda a, t: np.add.reduce(t, out=a),
}


@over(WRITING, "write")
@pytest.mark.parametrize("make", [leaf, tn.tensor, tn.Variable])
def test_writing_a_tensor_to_an_array_is_refused_and_leaves_the_array_unchanged(write, make):
    a = SQUARE.copy()
    with refused(TypeError, "np."):
        write(a, make(SQUARE))
    assert_same(a, SQUARE)


def test_the_error_of_an_operation_in_place_says_what_to_write_instead():
    a = SQUARE.copy()
    with refused(TypeError, "np.add", "in place", "a = np.add(a, t)"):
        a += leaf(SQUARE)
    with refused(TypeError, "np.sum", "out="):
        np.sum(leaf(SQUARE), out=a)


LACKING = {
    "interp": lambda t: np.interp(0.5, xp=[0.0, 1.0], fp=t[0]),
    "convolve": lambda t: np.convolve(t[0], [1.0, 2.0]),
    "norm": lambda t: np.linalg.cond(t),
    "in a list": lambda t: np.block([[SQUARE], [t]]),
    "reduce": lambda t: np.add.reduce(t),
    "outer": lambda t: np.multiply.outer(t, SQUARE),
    "accumulate": lambda t: np.maximum.accumulate(t),
    "several results": lambda t: np.modf(t),
}


@over(LACKING, "call")
def test_a_numpy_function_that_we_lack_is_refused_if_a_gradient_would_be_lost(call):
    for x in (leaf(SQUARE), tn.Variable(SQUARE), leaf(SQUARE) * 1.0):
        with refused(TypeError, "np.", "no gradient", "t.detach()"):
            call(x)


@over(LACKING, "call")
def test_a_numpy_function_that_we_lack_gives_numpys_result_if_no_gradient_flows(call):
    expected = call(SQUARE)
    for x in (tn.tensor(SQUARE), tn.Variable(SQUARE, trainable=False), leaf(SQUARE).detach()):
        found = call(x)
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found, expected)
