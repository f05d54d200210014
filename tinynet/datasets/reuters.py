"""Reuters: news items and their topics. Imports `published.py`. Read next: `digits.py`."""

import json

from ..engine.expect import check_number
from .published import Split, encode, fetch, read_npz

_TOPICS = """cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade
reserves ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold
tin strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem
dlr gas silver wpi hog lead"""


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Split:
    """Return 11,228 news items on 46 topics, each a list of word numbers.

    Parameters
    ----------
    path : str
        The name of the file in the cache.
    test_split : float
        The fraction of the news items that is for tests, from 0 to below 1.
    seed : int
        It determines the order of the news items.
    num_words, skip_top, maxlen, start_char, oov_char, index_from
        Which words are kept, and their numbers: see `published.encode`.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: an array of lists; y: int64, the topics (see `get_label_names`).

    Raises
    ------
    ValueError
        For an invalid `test_split`, or if no text is shorter than `maxlen`.
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: Reuters-21578.
    """
    share = check_number("test_split", test_split, below=1)
    found = read_npz(fetch("reuters.npz", path))
    options = seed, num_words, skip_top, maxlen, start_char, oov_char, index_from
    ((x, y),) = encode([(found["x"], found["y"])], *options)
    at = int(len(x) * (1 - share))
    return (x[:at], y[:at]), (x[at:], y[at:])


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Return the number of each word; `index_from` of `load_data` is not added to it.

    OSError when the file is not in the cache and cannot be downloaded.
    """
    with open(fetch("reuters_word_index.json", path), encoding="utf-8") as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """Return the names of the topics, in the order of their numbers.

    >>> get_label_names()[3]
    'earn'
    """
    return tuple(_TOPICS.split())
