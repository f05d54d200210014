"""Files that are read without trusting them: one error for all defects, and limits on memory.

Imports the engine's dtypes. Read next: `../saving/archive.py`.
"""

from __future__ import annotations

import math
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..engine.tensor import as_dtype

if TYPE_CHECKING:
    from zipfile import ZipFile

# The memory that a file may claim: a multiple of its own size, and enough for a small model.
TIMES, AT_LEAST = 20, 64 * 2**20
NODE = 128  # bytes that a number, string, list or dict of JSON takes in memory, about
OBJECT = 4096  # bytes that a layer's call, or the variable of an array, takes beside its numbers
MOST_WORDS = 2000  # characters of a message: the file may have chosen them


@contextmanager
def refusing(source: str) -> Iterator[None]:
    """Turn any error in reading `source`, a file or text, into one ValueError that names it."""
    try:
        yield
    except (Warning, ImportError):
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        text = f"{kind}{error}"
        shown = text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}..."
        raise ValueError(f"Cannot load {source}: {shown}") from error


def allowance(source: BinaryIO | bytes) -> int:
    """Return how many bytes of memory a file, or a text, may claim."""
    size = len(source) if isinstance(source, bytes) else os.fstat(source.fileno()).st_size
    return TIMES * size + AT_LEAST


def parsed(text: bytes, allowed: int) -> Any:
    """Return the data in a JSON text; ValueError if its parts would take more than `allowed` bytes.

    They are counted before the text is parsed: each follows one of the characters `,[{:`.
    """
    import json  # needed for files alone

    claimed = NODE * sum(map(text.count, (b",", b"[", b"{", b":")))
    if claimed > allowed:
        raise ValueError(f"Its config claims {claimed} bytes, more than the {allowed} allowed.")
    return json.loads(text)


def opened(file: BinaryIO, most: int = 0) -> ZipFile:
    """Return the zip archive in a file; ValueError for a malformed or malicious one.

    Its members have at most `most` bytes, by default the `allowance`.
    """
    from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile  # slow to import

    archive = ZipFile(file)
    for name, count in Counter(archive.namelist()).items():
        if count > 1:
            raise ValueError(f"There are two members called {name!r}.")
        if name.startswith("/") or "\\" in name or name[1:2] == ":" or ".." in name.split("/"):
            raise ValueError(f"The member {name!r} has a path that leads out of the archive.")
    for info in archive.infolist():  # other methods decompress without a limit
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"The member {info.filename!r} is compressed, and not by 'deflate'.")
    claimed, allowed = sum(info.file_size for info in archive.infolist()), most or allowance(file)
    if claimed > allowed:
        raise ValueError(f"It claims to hold {claimed} bytes, more than the {allowed} allowed.")
    return archive


def member(archive: ZipFile, name: str) -> bytes:
    """Return the contents of a member; no more is decompressed than the archive claims."""
    with archive.open(name) as file:
        return file.read(archive.getinfo(name).file_size)


# -- arrays ----------------------------------------------------------------------------------------


class Allocator:
    """Makes the arrays of weights. While a file is read there is another one, with a limit."""

    def weight(self, initializer: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the first values of a weight."""
        return initializer(shape, dtype)

    def check(self, shape: tuple[int | None, ...], dtype: Any) -> None:
        """Raise ValueError if there may be no array of this shape."""

    def charge(self, size: int) -> None:
        """Raise ValueError if this many bytes are not left, and count them."""


class Budget(Allocator):
    """Makes weights of zeros, as a file holds their numbers, while they fit in `size` bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def weight(self, initializer: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return zeros instead of what `initializer` makes, and charge them to the budget."""
        self.check(shape, dtype)
        array = np.zeros(shape, as_dtype(dtype))
        self.charge(array.nbytes)
        return array

    def check(self, shape: tuple[int | None, ...], dtype: Any) -> None:
        """Raise ValueError for an array that exceeds what is left; charge what describes it."""
        self.charge(OBJECT)
        size = math.prod(n for n in shape if n is not None) * as_dtype(dtype).itemsize
        if size > self.left:
            raise ValueError(f"an array of shape {shape} exceeds what is left of {self.left} bytes")

    def charge(self, size: int) -> None:
        """Raise ValueError if this many bytes are not left, and count them."""
        if size > self.left:
            raise ValueError(f"It describes {size} bytes, and {self.left} are left.")
        self.left -= size


class _Memory(threading.local):
    allocator = Allocator()


memory = _Memory()  # of this thread
