"""California housing: prices of houses, from 1990. Imports `published.py`. Read next: `imdb.py`."""

from ..engine.expect import expect
from .published import Split, fetch, read_npz, shuffled_split


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> Split:
    """Return 8 attributes of districts, and the median price of a house there.

    The attributes: median income, age of the houses, rooms and bedrooms per household, population,
    household size, latitude, longitude.

    Parameters
    ----------
    version : "large" or "small"
        20,640 districts, or 600.
    path : str
        The name of the file in the cache.
    test_split : float
        The fraction of the samples that is for tests, from 0 to below 1.
    seed : int
        It determines the order of the samples.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: float32 of shape (n, 8); y: float32 of shape (n,), in dollars.

    Raises
    ------
    ValueError
        For an invalid `version` or `test_split`.
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: R. K. Pace and R. Barry, Statistics & Probability Letters 33 (1997).
    """
    expect(str(version) in ("small", "large"), "version", "'small' or 'large'", version)
    found = read_npz(fetch("california_housing.npz", path))
    rows = slice(600 if version == "small" else None)
    return shuffled_split(found["x"][rows], found["y"][rows], test_split, seed)
