"""The published files of the data sets: their URLs, their hashes, and how they are read.

`encode` numbers the words of texts. Imports `download.py`. Read next: `mnist.py`.
"""

import io
import pickle
from typing import Any

import numpy as np

from ..configs.files import member, opened, refusing
from ..engine.expect import check_number, expect
from ..engine.refusal import answering
from .download import get_file

Split = tuple[tuple[Any, Any], tuple[Any, Any]]  # (x_train, y_train), (x_test, y_test)

CIFAR = "https://www.cs.toronto.edu/~kriz/"
KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

# The hash of each file, as in Keras, which has none for Fashion-MNIST.
HASHES = {
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "cifar-100-python.tar.gz": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    "boston_housing.npz": "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    "california_housing.npz": "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    "imdb.npz": "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb_word_index.json": "bfafd718b763782e994055a2d397834f",
    "reuters.npz": "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    "reuters_word_index.json": "4d44cc38712099c9e383dc6e5f11a921",
}


@answering
def fetch(name: str, path: str | None = None, **options: Any) -> str:
    """Return the path of a published file in the cache, named `path` there; see `get_file`."""
    origin = (CIFAR if name.startswith("cifar") else KERAS) + name
    return get_file(path or name, origin, file_hash=HASHES.get(name), **options)


@answering
def shuffled_split(x: Any, y: Any, test_split: float, seed: int) -> Split:
    """Return samples in random order, the last `test_split` of them for tests, as Keras does.

    ValueError unless `test_split` is from 0 to below 1.
    """
    order = np.random.RandomState(seed).permutation(len(x))
    at = int(len(x) * (1 - check_number("test_split", test_split, below=1)))
    return (x[order[:at]], y[order[:at]]), (x[order[at:]], y[order[at:]])


def read_npz(path: str) -> dict[str, np.ndarray]:
    """Return the arrays in an ``.npz`` file; those of objects are read by `read_pickle`."""
    with refusing(f"'{path}'"), open(path, "rb") as file:
        archive = opened(file)
        names = archive.namelist()
        return {name.removesuffix(".npy"): _array(member(archive, name)) for name in names}


def _array(data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    if np.lib.format.read_array_header_1_0(file)[-1].hasobject:
        rows = read_pickle(file).state[-1]
        return np.fromiter(rows, object, len(rows))
    file.seek(0)
    return np.load(file, allow_pickle=False)


class SavedArray:
    """A stand-in for an array, or a dtype, in a pickle; an array's `state` ends with its elements.

    Thus unpickling makes nothing but these and plain Python data.
    """

    def __init__(self, *args: Any) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return `SavedArray` for the names that arrays need; UnpicklingError for all others."""
        if module.split(".")[0] == "numpy" and name in ("ndarray", "dtype", "_reconstruct"):
            return SavedArray
        raise pickle.UnpicklingError(f"A data set needs no {module}.{name}: it was not loaded.")


def read_pickle(file: Any) -> Any:
    """Return the plain Python data in a pickle, whose arrays are `SavedArray`s; it runs no code.

    Strings of Python 2 are bytes. UnpicklingError for a pickle that names anything else.

    >>> read_pickle(io.BytesIO(pickle.dumps({"labels": [1, 2]})))
    {'labels': [1, 2]}
    """
    return _Unpickler(file, encoding="bytes").load()


def read_cifar(path: str, label: bytes) -> tuple[Any, Any]:
    """Return the images in a file of CIFAR, of shape (n, 32, 32, 3), and labels, (n, 1)."""
    with refusing(f"'{path}'"), open(path, "rb") as file:
        found = read_pickle(file)
        x = np.frombuffer(found[b"data"].state[-1], np.uint8).reshape(-1, 3, 32, 32)
        return x.transpose(0, 2, 3, 1), np.array(found[label]).reshape(-1, 1)


@answering
def encode(parts: list[tuple[Any, Any]], *options: Any) -> Any:
    """Return parts of a data set with the words numbered as the options say.

    Parameters
    ----------
    parts : list of (texts, labels)
    options
        Positional, in the following order.
    seed : int
        It determines the order of the texts in each part.
    num_words : int, optional
        Words are numbered by their rank in frequency; only numbers below `num_words` are kept. By
        default it is the largest number there is, which is then not kept, as in Keras.
    skip_top : int
        Numbers below it are not kept, either.
    maxlen : int, optional
        Texts of as many words or more, `start_char` included, are left out.
    start_char : int, optional
        Stands before each text.
    oov_char : int, optional
        Stands for each word that is not kept; None leaves these words out.
    index_from : int, optional
        Added to the numbers in the file.

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
