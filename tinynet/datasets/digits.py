"""Handwritten digits of scikit-learn: a small stand-in for MNIST that needs no network.

Imports `published.py`, and scikit-learn when it is used. Read next: `mnist.py`.
"""

from ..engine.extras import imported
from .published import Split, shuffled_split


def load_data(test_split: float = 0.2, seed: int = 113) -> Split:
    """Return 1,797 images of the digits 0 to 9. Keras has no such function.

    Parameters
    ----------
    test_split : float
        The fraction of the samples that is for tests, from 0 to below 1.
    seed : int
        It determines the order of the samples.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: uint8 of shape (n, 8, 8), from 0 to 16; y: uint8 of shape (n,).

    Raises
    ------
    ImportError
        Without scikit-learn, whose package contains the data.
    ValueError
        For an invalid `test_split`.

    Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository (1998).

    >>> (x, y), _ = load_data()
    >>> int(x.max()), y.dtype
    (16, dtype('uint8'))
    """
    found = imported("sklearn.datasets", "datasets.digits", "sklearn").load_digits()
    return shuffled_split(found.images.astype("u1"), found.target.astype("u1"), test_split, seed)
