"""Boston housing: prices of houses, from 1978. Imports `published.py`.

Read next: `california_housing.py`, which is the better choice: an attribute here, "B", assumes that
the share of Black inhabitants determines prices.
"""

from .published import Split, fetch, read_npz, shuffled_split


def load_data(path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """Return 13 attributes of 506 districts, and the median price of a house there.

    Parameters
    ----------
    path : str
        The name of the file in the cache.
    test_split : float
        The fraction of the samples that is for tests, from 0 to below 1.
    seed : int
        It determines the order of the samples.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: float64 of shape (n, 13); y: float64 of shape (n,), in thousands of dollars.

    Raises
    ------
    ValueError
        For an invalid `test_split`.
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: D. Harrison and D. L. Rubinfeld, J. Environ. Economics 5 (1978).
    """
    found = read_npz(fetch("boston_housing.npz", path))
    return shuffled_split(found["x"], found["y"], test_split, seed)
