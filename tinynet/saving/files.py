"""Files: written whole or not at all, and read with suspicion.

Imports nothing of ours. Read next: `weights.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

# What a file may make us take: so many times its own size, and as much as a small model has.
TIMES, AT_LEAST = 20, 64 * 2**20


@contextmanager
def replacing(path: Any) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when all is written to it.

    It lies beside `path` until then, so that a crash at any moment leaves the old file or the new
    one. After an exception it is removed. Permissions are what a plain ``open(path, "wb")`` gives.
    """
    target = os.path.realpath(path)  # a link stays a link
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise ValueError(f"Cannot save to {os.fspath(path)!r}: that is no plain file.")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"No permission to write to {os.fspath(path)!r}.")
    folder = os.path.dirname(target)
    beside = os.path.join(folder, f".{os.urandom(8).hex()}.saving")
    try:
        with open(beside, "xb") as file:
            if os.path.exists(target):
                os.chmod(beside, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        if os.path.exists(beside):
            os.remove(beside)
        raise
    _sync(folder)


def _sync(folder: str) -> None:
    """Let the renaming of a file last, where systems have a way to say so."""
    if hasattr(os, "O_DIRECTORY"):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # not all can
            os.fsync(number)
        os.close(number)


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
