"""Helpers that several test files share."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tinynet as tn

ARITHMETIC = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def over(table: dict[str, Any], argument: str) -> Any:
    """Parametrize a test over the values of `table`, with their keys as ids."""
    return pytest.mark.parametrize(argument, table.values(), ids=table)


def leaf(x: Any, dtype: Any = None) -> tn.Tensor:
    return tn.tensor(x, dtype, requires_grad=True)


def assert_same(found: Any, expected: Any) -> None:
    """Assert equality of shape, dtype and every bit."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.tobytes() != expected.tobytes():  # the next line takes ten times as long
        np.testing.assert_array_equal(found, expected)


def assert_close(found: Any, expected: Any, rtol: float = 1e-12, atol: float = 1e-12) -> None:
    """Assert equal shapes, and equal numbers up to a tolerance; NaN is never equal."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol, atol, equal_nan=False)


@contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """Expect exactly this type of error, with these words in its message."""
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        yield
    assert type(caught.value) is error
    message = str(caught.value)
    assert not [word for word in words if word not in message], message


def normal(seed: int, *shape: int, dtype: str = "float32") -> np.ndarray:
    """Return normally distributed numbers."""
    return np.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def everything(model: Any) -> list[np.ndarray]:
    """Return copies of all arrays that training changes: weights and optimizer variables."""
    state = model.optimizer.variables if model.compiled else []
    return [np.array(v) for v in (*model.weights, *state)]


def assert_all_same(found: Any, expected: Any) -> None:
    """Assert that two lists of arrays are equal bit for bit."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


# -- numbers of two programs ------------------------------------------------------------------

# The relative tolerance for two float32 programs that add in different orders. It is relative to a
# number, or to the largest number in the same list (of gradients, weights or losses), because the
# difference of large numbers has their rounding errors.
RTOL = 1e-5


def assert_agree(found: Any, expected: Any, rtol: float = RTOL, scale: float = 0.0) -> None:
    """Assert that two structures have equal keys, order and shapes, and close numbers."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), (found, expected)
        for key in expected:
            assert_agree(found[key], expected[key], rtol)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), (found, expected)
        for mine, theirs in zip(found, expected, strict=True):
            assert_agree(mine, theirs, rtol, _largest(expected))
    elif isinstance(expected, (str, bool, type(None))):
        assert found == expected
    else:
        found, expected = np.asarray(found), np.asarray(expected)
        assert found.shape == expected.shape
        slack = rtol * max(scale, _largest([expected]))
        np.testing.assert_allclose(found, expected, rtol, slack, equal_nan=False)


def _largest(values: Any) -> float:
    """Return the largest magnitude of the arrays and numbers in `values`, not in nested parts."""
    arrays = [np.asarray(v) for v in values if not isinstance(v, (dict, list, tuple, str))]
    return max((float(abs(a).max(initial=0)) for a in arrays if a.dtype.kind in "fiu"), default=0.0)
