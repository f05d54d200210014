"""The files of data sets: pickles run no code; digits; a split that is refused."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

import numpy as np
import pytest
from dataset_files import cifar, npz, objects, python2_pickle
from helpers import assert_same
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.datasets.published import HASHES, read_npz, read_pickle


def test_digits_are_those_of_scikit_learn_in_another_order():
    from sklearn.datasets import load_digits

    (x, y), (x_test, y_test) = tn.datasets.digits.load_data(0.25, seed=3)
    expected = load_digits()
    order = np.random.RandomState(3).permutation(1797)
    assert_same(np.concatenate([x, x_test]), expected.images[order].astype("u1"))
    assert_same(np.concatenate([y, y_test]), expected.target[order].astype("u1"))
    assert len(x_test) == 450


# -- pickles --------------------------------------------------------------------------------------


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, file: str) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (self.file,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: objects([[1], x]), lambda x: {"a": [x]}])
def test_a_pickle_runs_no_code(tmp_path, protocol, wrap):
    data = pickle.dumps(wrap(Evil(str(tmp_path / "made"))), protocol)
    with pytest.raises(pickle.UnpicklingError, match=r"mkdir|encode|_frombuffer|bytearray"):
        read_pickle(io.BytesIO(data))
    assert not (tmp_path / "made").exists()


def test_files_that_may_hold_pickles_have_a_sha256_hash():
    hashes = [digits for name, digits in HASHES.items() if not name.endswith(".json")]
    assert [len(digits) for digits in hashes] == [64] * 7


NAMED = ["os.system", "builtins.eval", "numpy.load", "numpy.lib.npyio.load", "numpy.ndarray.tofile"]


@pytest.mark.parametrize("name", NAMED)
def test_a_pickle_that_names_a_function_is_refused(name):
    module, _, function = name.rpartition(".")
    with pytest.raises(pickle.UnpicklingError, match=name):
        read_pickle(io.BytesIO(f"c{module}\n{function}\n.".encode()))


@given(rows=st.lists(st.lists(st.integers(0, 2**40), max_size=4), max_size=5))
def test_object_arrays_of_lists_are_read_as_numpy_reads_them(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    path.write_bytes(npz(rows=objects(rows), n=np.arange(3)))
    found = read_npz(str(path))
    assert found["rows"].tolist() == rows
    assert found["rows"].dtype == object
    assert_same(found["n"], np.arange(3))


def test_the_pickles_of_python_2_are_read():
    found = read_pickle(io.BytesIO(cifar(2, labels=10)))
    assert found[b"batch_label"] == b"testing"
    assert len(found[b"labels"]) == 2
    assert len(found[b"data"].state[-1]) == 2 * 3072
    rows = read_pickle(io.BytesIO(python2_pickle(objects([[1, 2], [3]])))).state[-1]
    assert rows == [[1, 2], [3]]
