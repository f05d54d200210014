"""Utilities: classes as one-hot rows, normalized arrays, and the backend."""

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.layers import Dense
from tinynet.utils import normalize, to_categorical


@given(st.lists(st.integers(0, 5), min_size=1), st.sampled_from([None, 6, 9]))
def test_class_indices_become_one_hot_rows(classes, count):
    rows = to_categorical(classes, count)
    assert rows.shape == (len(classes), count or max(classes) + 1)
    assert rows.sum() == len(classes)
    assert rows.argmax(-1).tolist() == classes
    same = to_categorical(tn.tensor(np.array(classes)), count)
    assert isinstance(same, tn.Tensor)
    assert same.dtype == "float32"
    np.testing.assert_array_equal(same.numpy(), rows)


@pytest.mark.parametrize(
    ("x", "count"),
    [([-1, 0], None), ([3], 3), ([0.5], None), ([np.nan], 2), (["a"], 2), ([], None)],
)
def test_invalid_class_indices_are_refused(x, count):
    with refused(ValueError, "num_classes", str(count)):
        to_categorical(x, count)


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 1, -1, None]))
def test_normalized_vectors_have_norm_1(rows, columns, axis):
    x = np.random.default_rng(rows).normal(size=(rows, columns))
    found = normalize(x, axis)
    np.testing.assert_allclose(np.linalg.norm(found, 2, axis), 1)
    np.testing.assert_allclose(normalize(tn.tensor(x), axis).numpy(), found)
    x[:] = 0
    np.testing.assert_array_equal(normalize(x, axis), x)


def test_backend_has_epsilon_floatx_and_clear_session():
    tn.backend.clear_session()
    assert Dense(1).name == "dense"
    assert (tn.backend.floatx(), tn.backend.epsilon()) == ("float32", 1e-7)
    tn.backend.set_floatx("float64")
    assert Dense(1).dtype == tn.backend.floatx() == "float64"
    tn.backend.set_floatx("float32")
