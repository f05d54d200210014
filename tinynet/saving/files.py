"""Files that are read with suspicion: one error for all defects, and a limit on memory.

Imports nothing of the project. Read next: `weights.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

# What a file may make us take: so many times its own size, and as much as a small model has.
TIMES, AT_LEAST = 20, 64 * 2**20


@contextmanager
def refusing(what: Any) -> Iterator[None]:
    """Turn whatever goes wrong with `what`, a file or text, into one ValueError that names it."""
    try:
        yield
    except (Warning, ImportError):
        raise
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"Cannot load {what}: {kind}{error}") from error


def allowance(file: BinaryIO) -> int:
    """Return how many bytes of memory a file may make us take."""
    return TIMES * os.fstat(file.fileno()).st_size + AT_LEAST
