"""Files that are written completely or not at all.

Imports nothing of the project. Read next: `../saving/files.py`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Any) -> Iterator[BinaryIO]:
    """Yield a new file that replaces `path` when everything is written to it.

    Until then it has another name in the same folder. So a crash at any moment leaves the old file
    or the new one, and an exception removes the new one. Permissions are those of the old file, or
    what ``open(path, "wb")`` gives.

    Raises
    ------
    ValueError
        If `path` is a folder or a device.
    PermissionError
        If the old file must not be written to.
    """
    target = os.path.realpath(path)  # a link stays a link
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise ValueError(f"Cannot save to {os.fspath(path)!r}: it is not a regular file.")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"No permission to write to {os.fspath(path)!r}.")
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.saving")
    try:
        with open(temporary, "xb") as file:
            if os.path.exists(target):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)
    if hasattr(os, "O_DIRECTORY"):  # on POSIX: make the renaming durable
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # some file systems refuse
            os.fsync(number)
        os.close(number)
