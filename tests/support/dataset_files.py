"""Small files in the formats of the published data sets."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
from typing import Any

import numpy as np


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def objects(rows: list[Any]) -> np.ndarray:
    return np.fromiter(rows, object, len(rows))


class Python2Pickler(pickle._Pickler):
    """Writes bytes as the strings of Python 2, as in the files of CIFAR."""

    def save_string(self, text: bytes) -> None:
        if len(text) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text)
        else:
            self.write(pickle.BINSTRING + len(text).to_bytes(4, "little") + text)
        self.memoize(text)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_string}


def python2_pickle(data: Any) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, 2).dump(data)
    return buffer.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def tar(folder: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.tobytes())


RNG = np.random.default_rng(0)


def bytes_of(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, np.uint8)


def texts(n: int) -> np.ndarray:
    return objects([RNG.integers(1, 30, RNG.integers(1, 9)).tolist() for _ in range(n)])


def cifar(n: int, **labels: int) -> bytes:
    found = {k.encode(): RNG.integers(0, top, n).tolist() for k, top in labels.items()}
    return python2_pickle({**found, b"data": bytes_of(n, 3072), b"batch_label": b"testing"})


CIFAR10 = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
WORDS = json.dumps({"the": 1, "naïve": 2}).encode()
FILES = {
    "mnist.npz": npz(
        x_train=bytes_of(5, 28, 28),
        y_train=bytes_of(5),
        x_test=bytes_of(3, 28, 28),
        y_test=bytes_of(3),
    ),
    "train-images-idx3-ubyte.gz": idx(bytes_of(5, 28, 28)),
    "train-labels-idx1-ubyte.gz": idx(bytes_of(5)),
    "t10k-images-idx3-ubyte.gz": idx(bytes_of(3, 28, 28)),
    "t10k-labels-idx1-ubyte.gz": idx(bytes_of(3)),
    "cifar-10-python.tar.gz": tar(
        "cifar-10-batches-py", {name: cifar(2, labels=10) for name in CIFAR10}
    ),
    "cifar-100-python.tar.gz": tar(
        "cifar-100-python",
        {name: cifar(4, fine_labels=100, coarse_labels=20) for name in ("train", "test")},
    ),
    "boston_housing.npz": npz(x=RNG.random((23, 13)), y=RNG.random(23)),
    "california_housing.npz": npz(x=RNG.random((650, 8), "f4"), y=RNG.random(650, "f4")),
    "imdb.npz": npz(
        x_train=texts(20),
        y_train=RNG.integers(0, 2, 20),
        x_test=texts(15),
        y_test=RNG.integers(0, 2, 15),
    ),
    "imdb_word_index.json": WORDS,
    "reuters.npz": npz(x=texts(30), y=RNG.integers(0, 46, 30)),
    "reuters_word_index.json": WORDS,
}
