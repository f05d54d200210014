"""MNIST: handwritten digits. Imports `published.py`. Read next: `fashion_mnist.py`."""

from .published import Split, fetch, read_npz


def load_data(path: str = "mnist.npz") -> Split:
    """Return 60,000 images of the digits 0 to 9 for training, and 10,000 for tests.

    Parameters
    ----------
    path : str
        The name of the file in the cache.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: uint8 of shape (n, 28, 28), from 0 to 255; y: uint8 of shape (n,).

    Raises
    ------
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: Y. LeCun, C. Cortes, http://yann.lecun.com/exdb/mnist (CC BY-SA 3.0).
    """
    found = read_npz(fetch("mnist.npz", path))
    return (found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])
