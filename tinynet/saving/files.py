"""Files that are read without trusting them: one error for all defects, and a limit on memory.

Imports `layers/symbolic.py`, whose allocator a file limits. Read next: `weights.py`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ..engine.tensor import as_dtype
from ..layers.symbolic import Allocator, Shape

# The memory that a file may claim: a multiple of its own size, and enough for a small model.
TIMES, AT_LEAST = 20, 64 * 2**20
NODE = 128  # bytes that a number, string, list or dict of JSON takes in memory, about


@contextmanager
def refusing(source: str) -> Iterator[None]:
    """Turn any error in reading `source`, a file or text, into one ValueError that names it."""
    try:
        yield
    except (Warning, ImportError):
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"Cannot load {source}: {kind}{error}") from error


def allowance(source: BinaryIO | bytes) -> int:
    """Return how many bytes of memory a file, or a text, may claim."""
    size = len(source) if isinstance(source, bytes) else os.fstat(source.fileno()).st_size
    return TIMES * size + AT_LEAST


def parsed(text: bytes, allowed: int) -> Any:
    """Return the data in a JSON text; ValueError if its parts would take more than `allowed` bytes.

    They are counted before the text is parsed: each follows one of the characters `,[{:`.
    """
    claimed = NODE * sum(map(text.count, (b",", b"[", b"{", b":")))
    if claimed > allowed:
        raise ValueError(f"Its config claims {claimed} bytes, more than the {allowed} allowed.")
    return json.loads(text)


class Budget(Allocator):
    """Makes weights of zeros, as a file holds their numbers, while they fit in `size` bytes."""

    def __init__(self, size: int) -> None:
        self.left = size

    def weight(self, initializer: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return zeros instead of what `initializer` makes, and charge them to the budget."""
        self.check(shape, dtype)
        array = np.zeros(shape, as_dtype(dtype))
        self.left -= array.nbytes
        return array

    def check(self, shape: Shape, dtype: Any) -> None:
        """Raise ValueError for an array that exceeds what is left of the budget."""
        size = math.prod(n for n in shape if n is not None) * as_dtype(dtype).itemsize
        if size > self.left:
            raise ValueError(f"an array of shape {shape} exceeds what is left of {self.left} bytes")
