"""Fashion-MNIST: clothes, in the form of MNIST. Imports `published.py`. Read next: `cifar10.py`."""

import gzip
from typing import Any

import numpy as np

from ..configs.files import allowance, refusing
from ..engine.expect import expect
from .published import Split, fetch


def load_data() -> Split:
    """Return 60,000 images of ten kinds of clothes for training, and 10,000 for tests.

    The classes 0 to 9: T-shirt or top, trousers, pullover, dress, coat, sandal, shirt, sneaker,
    bag, ankle boot.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: uint8 of shape (n, 28, 28), from 0 to 255; y: uint8 of shape (n,).

    Raises
    ------
    OSError
        When a file is not in the cache and cannot be downloaded.

    Source: https://github.com/zalandoresearch/fashion-mnist (MIT).
    """
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    x, y, x_test, y_test = map(_read, names)
    return (x, y), (x_test, y_test)


def _read(name: str) -> Any:
    """Return the array in an IDX file: its rank is the fourth byte, its shape the next integers."""
    path = fetch(f"{name}-ubyte.gz", cache_subdir="datasets/fashion-mnist")
    with refusing(f"'{path}'"), open(path, "rb") as packed, gzip.open(packed) as file:
        data = file.read(allowed := allowance(packed))
        expect(not file.read(1), "the file", f"at most {allowed} bytes in it", "more")
        shape = np.frombuffer(data, ">u4", data[3], 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
