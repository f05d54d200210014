"""CIFAR-10: small images of ten classes. Imports `published.py`. Read next: `cifar100.py`."""

import os

import numpy as np

from .published import Split, fetch, read_cifar


def load_data() -> Split:
    """Return 50,000 colour images for training, and 10,000 for tests.

    The classes 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck. For a
    dense network: ``x_train.reshape(len(x_train), -1) / 255``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: uint8 of shape (n, 32, 32, 3), from 0 to 255; y: uint8 of shape (n, 1).

    Raises
    ------
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    archive = fetch("cifar-10-python.tar.gz", "cifar-10-batches-py-target", extract=True)
    folder = os.path.join(archive, "cifar-10-batches-py")
    parts = [read_cifar(os.path.join(folder, f"data_batch_{i}"), b"labels") for i in range(1, 6)]
    x, y = map(np.concatenate, zip(*parts, strict=True))
    x_test, y_test = read_cifar(os.path.join(folder, "test_batch"), b"labels")
    return (x, y.astype("uint8")), (x_test, y_test.astype("uint8"))
