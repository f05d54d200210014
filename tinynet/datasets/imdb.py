"""IMDB: film reviews, positive or negative. Imports `published.py`. Read next: `reuters.py`."""

import json

from .published import Split, encode, fetch, read_npz


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int | None = 3,
) -> Split:
    """Return 25,000 reviews for training, and 25,000 for tests, each a list of word numbers.

    Parameters
    ----------
    path : str
        The name of the file in the cache.
    seed : int
        It determines the order of the reviews.
    num_words, skip_top, maxlen, start_char, oov_char, index_from
        Which words are kept, and their numbers: see `published.encode`.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        x: an array of lists; y: int64, 1 for a positive and 0 for a negative review.

    Raises
    ------
    ValueError
        If `maxlen` leaves no review for training or for tests.
    OSError
        When the file is not in the cache and cannot be downloaded.

    Source: A. L. Maas et al., Learning word vectors for sentiment analysis, ACL 2011.
    """
    found = read_npz(fetch("imdb.npz", path))
    parts = [(found[f"x_{name}"], found[f"y_{name}"]) for name in ("train", "test")]
    return encode(parts, seed, num_words, skip_top, maxlen, start_char, oov_char, index_from)


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Return the number of each word; `index_from` of `load_data` is not added to it.

    OSError when the file is not in the cache and cannot be downloaded.
    """
    with open(fetch("imdb_word_index.json", path), encoding="utf-8") as file:
        return json.load(file)
