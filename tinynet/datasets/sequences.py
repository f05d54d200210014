"""Texts as lists of word numbers: what `imdb.py` and `reuters.py` share.

Imports the engine's checks. Read next: `imdb.py`.
"""

from typing import Any

import numpy as np

from ..engine.expect import expect
from ..engine.refusal import answering


@answering
def encode(parts: list[tuple[Any, Any]], *options: Any) -> Any:
    """Return parts of a data set with the words numbered as the options say.

    Parameters
    ----------
    parts : list of (texts, labels)
    options
        Positionally, in this order, as follows.
    seed : int
        Of the order of the texts in each part.
    num_words : int, optional
        Words are numbered by how frequent they are; only numbers below `num_words` are kept. By
        default the largest number there is, which is not kept, as in Keras.
    skip_top : int
        Numbers below it are not kept, either.
    maxlen : int, optional
        Texts of as many words or more are left out.
    start_char : int, optional
        Stands before each text.
    oov_char : int, optional
        Stands for each word that is not kept; None leaves these words out.
    index_from : int, optional
        What is added to the numbers in the file.

    Raises
    ------
    ValueError
        If `maxlen` leaves a part empty.
    """
    seed, num_words, skip_top, maxlen, start_char, oov_char, index_from = options
    orders = map(np.random.RandomState(seed).permutation, [len(y) for _, y in parts])
    start, shift = [] if start_char is None else [start_char], index_from or 0
    rows = [
        [(start + [w + shift for w in xs[i]], ys[i]) for i in order]
        for (xs, ys), order in zip(parts, orders, strict=True)
    ]
    if maxlen:
        rows = [[(x, y) for x, y in part if len(x) < maxlen] for part in rows]
        expect(all(rows), "maxlen", "a number above the length of some text", maxlen)
    most = num_words or max(w for part in rows for x, _ in part for w in x)

    def kept(x: list[int]) -> list[int]:
        if oov_char is None:
            return [w for w in x if skip_top <= w < most]
        return [w if skip_top <= w < most else oov_char for w in x]

    return tuple(
        (np.fromiter((kept(x) for x, _ in p), object, len(p)), np.array([y for _, y in p]))
        for p in rows
    )
