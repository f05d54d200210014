"""Functions of tensors beside those of keras.ops on JAX: the same values from the same calls."""

import ast
import inspect
from typing import Any

import jax
import keras
import numpy as np
import pytest
from calls import CONSTANT, OF_NUMBERS, SMOOTH, arguments, calls, evaluated, functions_in

import tinynet as tn


def is_known(call: str) -> bool:
    """Return whether Keras has all functions of a call, with these keywords."""
    for node in ast.walk(ast.parse(call)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = getattr(keras.ops, node.func.id, None)
            if function is None:
                return False
            try:
                inspect.signature(function).bind(
                    *node.args, **{str(k.arg): k.value for k in node.keywords}
                )
            except TypeError:
                return False
    return bool(functions_in(call))


# Lists and scalars that JAX refuses, and dtypes that it has only on request.
REFUSED_BY_JAX = {"hstack((v, w, [1.0, 2.0]))", "repeat(v, [1, 0, 2])"}
KNOWN = [
    call
    for call in calls(SMOOTH) + calls(CONSTANT) + calls(OF_NUMBERS)
    if is_known(call) and call not in REFUSED_BY_JAX and "64" not in call
]


def parts(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def test_most_functions_are_compared():
    assert len(KNOWN) > 200
    assert len(set().union(*map(functions_in, KNOWN))) > 110


@pytest.fixture(scope="module")
def by_keras() -> dict[str, Any]:
    """Return the values of Keras. JAX compiles nearly all calls as one program: quicker."""
    functions = {call: evaluated(call, keras.ops) for call in KNOWN}
    given = {
        call: [*map(keras.ops.convert_to_tensor, arguments(call, "float32"))] for call in KNOWN
    }
    alone = {}  # of calls that JAX cannot compile, as of `nonzero`
    for call in KNOWN:
        try:
            jax.eval_shape(functions[call], *given[call])
        except TypeError:
            alone[call] = functions[call](*given[call])
    others = {call: given[call] for call in KNOWN if call not in alone}
    return alone | jax.jit(lambda others: {c: functions[c](*xs) for c, xs in others.items()})(
        others
    )


@pytest.mark.parametrize("call", KNOWN)
def test_the_value_is_that_of_keras(call, by_keras):
    ours = evaluated(call, tn.ops)(*map(tn.tensor, arguments(call, "float32")))
    theirs = by_keras[call]
    assert len(parts(ours)) == len(parts(theirs))
    for one, other in zip(parts(ours), parts(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), 2e-5, 1e-6)


NEW = """
arange(5); arange(1, 7, 2); arange(0.5, 2.0, 0.5); arange(3, dtype="float32"); full((2, 3), 2.5)
full((2,), 1, "int32"); eye(3); eye(2, 4, k=1); identity(2, "int32"); linspace(0, 1, 5)
linspace(0.0, 3.0, 4, endpoint=False); linspace(array([0.0, 1]), array([2.0, 5]), 3, axis=1)
linspace(0, 1, 5, retstep=True); top_k(array([3, 1, 3], "int32"), 2); top_k(array([[1.0, 5]]), 1)
top_k(array([[2.0, float("nan"), 3, 3, float("inf"), float("nan")]]), 5)
top_k(array([-128, 0, 127, 0], "int8"), 3); top_k(array([0, 9, 0], "uint8"), 3)
average(array([1, 2, 4]), weights=array([1, 1, 2])); average([[1.0, 2.0]], -1, [0.5, 2.0])
"""


@pytest.mark.parametrize("call", calls(NEW))
def test_arrays_of_numbers_have_the_values_and_dtypes_of_keras(call):
    ours, theirs = (parts(eval(call, vars(lib.ops).copy())) for lib in (tn, keras))
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), 1e-6)
        assert getattr(one, "dtype", "float32") == getattr(other, "dtype", "float32")
