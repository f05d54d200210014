"""Utilities compared with Keras."""

import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinynet as tn

CLASSES = [[0, 2], [[0], [2]], 1, True, np.zeros((2, 3, 1)), [[1]], np.array([1, 2], "int8"), [2.0]]


@pytest.mark.parametrize("x", CLASSES, ids=str)
@pytest.mark.parametrize("num_classes", [None, 0, 4])
def test_to_categorical_returns_the_rows_of_keras(x, num_classes):
    mine, theirs = (lib.utils.to_categorical(x, num_classes) for lib in (tn, keras))
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(mine, theirs)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
    order=st.sampled_from([1, 2, 3, np.inf]),
)
def test_normalize_returns_the_arrays_of_keras(shape, dtype, order):
    x = np.random.default_rng(len(shape)).integers(-3, 4, shape).astype(dtype)
    mine, theirs = (lib.utils.normalize(x, -1, order) for lib in (tn, keras))
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_max_ulp(
        mine, theirs, 4
    )  # since powers and roots differ in the last bit


NAMED = [
    *("utils.Progbar", "utils.to_categorical", "utils.normalize", "utils.plot_model"),
    *(f"callbacks.{name}" for name in tn.callbacks.__all__ if hasattr(keras.callbacks, name)),
]


@pytest.mark.parametrize("name", NAMED)
def test_signatures_of_utils_equal_keras(name):
    def arguments(lib):
        thing = lib
        for part in name.split("."):
            thing = getattr(thing, part)
        return {
            p.name: p.default
            for p in inspect.signature(thing).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        }

    mine, theirs = arguments(tn), arguments(keras)
    assert list(mine.items()) == list(theirs.items())
