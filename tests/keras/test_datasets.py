"""The data sets, from small files of their formats, compared with Keras's functions.

Both read the same cache. The hashes are those of the small files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from dataset_files import FILES, npz
from helpers import assert_same, refused
from hypothesis import given, strategies as st
from server import serving

import tinynet as tn
from tinynet.datasets import published

IMAGES = ["mnist", "fashion_mnist", "cifar10", "cifar100"]
NAMES = [*IMAGES, "boston_housing", "california_housing", "imdb", "reuters"]


@pytest.fixture(scope="module", autouse=True)
def published_files(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Publish the small files on the loopback; let both libraries use one new cache."""
    cache = tmp_path_factory.mktemp("cache")
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        server.files.update(FILES)
        patch.setenv("KERAS_HOME", str(cache))
        patch.setattr(published, "HASHES", hashes)
        patch.setattr(published, "KERAS", server.url(""))
        patch.setattr(published, "CIFAR", server.url(""))
        original = keras.utils.get_file

        def from_cache(*args: Any, **options: Any) -> str:
            """Return what Keras's `get_file` finds in the cache; a download would fail."""
            options["origin"] = "http://127.0.0.1:9/" + options["origin"].split("/")[-1]
            return original(*args, cache_dir=cache, **{**options, "file_hash": None})

        for name in NAMES:
            module = importlib.import_module(f"keras.src.datasets.{name}")
            patch.setattr(module, "get_file", from_cache)
        yield server


def assert_same_splits(found: Any, expected: Any) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)


def both(name: str, *args: Any, function: str = "load_data", **options: Any) -> tuple[Any, Any]:
    """Call a function of both libraries; ours is first, and downloads."""
    modules = getattr(tn.datasets, name), getattr(keras.datasets, name)
    found, expected = (getattr(module, function)(*args, **options) for module in modules)
    return found, expected


@pytest.mark.parametrize("name", [n for n in NAMES if n != "cifar10"])
def test_data_sets_equal_those_of_keras(name):
    assert_same_splits(*both(name))


def test_cifar10_equals_what_keras_reads_of_each_file():
    (x, y), test = tn.datasets.cifar10.load_data()
    folder = os.path.join(
        os.environ["KERAS_HOME"], "datasets/cifar-10-batches-py-target/cifar-10-batches-py"
    )
    load = importlib.import_module("keras.src.datasets.cifar").load_batch
    files = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    parts = [load(os.path.join(folder, file)) for file in files]
    images = [part[0].transpose(0, 2, 3, 1) for part in parts]
    labels = [np.array(part[1], np.uint8)[:, None] for part in parts]
    expected = (np.concatenate(images[:-1]), np.concatenate(labels[:-1])), (images[-1], labels[-1])
    assert_same_splits(((x, y), test), expected)


def test_cifar100_has_coarse_labels():
    assert_same_splits(*both("cifar100", "coarse"))
    with refused(ValueError, "label_mode", "middle"):
        tn.datasets.cifar100.load_data("middle")


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
@pytest.mark.parametrize("options", [{"test_split": 0.0}, {"test_split": 0.37, "seed": 5}])
def test_housing_is_split_as_keras_splits_it(name, options):
    assert_same_splits(*both(name, **options))


def test_california_housing_has_a_small_version():
    assert_same_splits(*both("california_housing", "small"))
    with refused(ValueError, "version", "middle"):
        tn.datasets.california_housing.load_data("middle")


@pytest.mark.parametrize("name", ["boston_housing", "california_housing", "reuters", "digits"])
def test_a_split_outside_of_0_to_1_is_refused(name):
    with refused(ValueError, "test_split", "1.0"):
        getattr(tn.datasets, name).load_data(test_split=1.0)


numbers = partial(st.integers, 0)
OPTIONS = st.fixed_dictionaries(
    {
        "num_words": st.none() | st.integers(1, 40),
        "skip_top": numbers(10),
        "maxlen": st.none() | st.integers(5, 12),
        "seed": numbers(1000),
        "start_char": st.none() | numbers(3),
        "oov_char": st.none() | numbers(3),
        "index_from": numbers(4),
    }
)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
@given(options=OPTIONS)
def test_texts_are_numbered_as_in_keras(name, options):
    found, expected = both(name, **options)
    for (x, y), (x_keras, y_keras) in zip(found, expected, strict=True):
        assert x.tolist() == x_keras.tolist()
        assert (x.dtype, x.shape) == (x_keras.dtype, (len(x),))  # not, as in Keras, 2-D by chance
        assert_same(y, y_keras)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_a_maxlen_below_all_lengths_is_refused(name):
    with refused(ValueError, "maxlen", "1"):
        getattr(tn.datasets, name).load_data(maxlen=1)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_word_indices_equal_those_of_keras(name):
    found, expected = both(name, function="get_word_index")
    assert found == expected


def test_the_topics_of_reuters_equal_those_of_keras():
    assert_names = both("reuters", function="get_label_names")
    assert assert_names[0] == assert_names[1]


@pytest.mark.parametrize("name", NAMES)
def test_functions_have_the_parameters_of_keras(name):
    ours, theirs = getattr(tn.datasets, name), getattr(keras.datasets, name)
    functions = [f for f in dir(theirs) if not f.startswith("_")]
    assert dir(ours) == functions
    for function in functions:
        signatures = (inspect.signature(getattr(m, function)) for m in (ours, theirs))
        found, expected = ([(p.name, p.default) for p in s.parameters.values()] for s in signatures)
        assert found == [pair for pair in expected if pair[0] != "kwargs"]


def test_hashes_and_places_are_those_of_keras(monkeypatch):
    monkeypatch.undo()
    modules = [importlib.import_module(f"keras.src.datasets.{name}") for name in NAMES]
    source = "".join(map(inspect.getsource, modules))
    fresh = importlib.util.module_from_spec(published.__spec__)
    published.__spec__.loader.exec_module(fresh)
    assert len(fresh.HASHES) == 9
    assert [k for k, digits in fresh.HASHES.items() if digits not in source] == []
    assert [k for k in fresh.HASHES if k not in source] == []
    assert fresh.KERAS in source
    assert fresh.CIFAR in source


def test_a_file_of_another_hash_is_not_read(published_files):
    published_files.files["mnist.npz"] = npz(x_train=np.zeros(3))
    with refused(ValueError, "mnist.npz", "hash"):
        tn.datasets.mnist.load_data("other.npz")
    published_files.files["mnist.npz"] = FILES["mnist.npz"]
