"""CIFAR-100: small images of a hundred classes. Imports `published.py`. Read next: `imdb.py`."""

import os

from ..engine.expect import expect
from .published import Split, fetch, read_cifar


def load_data(label_mode: str = "fine") -> Split:
    """Return 50,000 colour images for training, and 10,000 for tests.

    Parameters
    ----------
    label_mode : "fine" or "coarse"
        Labels of 100 classes, or of 20 groups of them.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: uint8 of shape (n, 32, 32, 3), from 0 to 255; y: int64 of shape (n, 1).

    Raises
    ------
    ValueError
        For an invalid `label_mode`.
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    expect(str(label_mode) in ("fine", "coarse"), "label_mode", "'fine' or 'coarse'", label_mode)
    archive = fetch("cifar-100-python.tar.gz", "cifar-100-python-target", extract=True)
    paths = (os.path.join(archive, "cifar-100-python", name) for name in ("train", "test"))
    train, test = (read_cifar(path, f"{label_mode}_labels".encode()) for path in paths)
    return train, test
