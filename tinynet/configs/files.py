"""Files that are written completely or not at all.

Imports nothing of the project. Read next: `reading.py`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Any) -> Iterator[BinaryIO]:
    """Yield a new file that replaces `path` when everything is written to it.

    Until then it has another name in the same folder. So a crash at any moment leaves the old file
    or the new one, and an exception removes the new one. What a killed process left is removed by
    the next call for the same folder; a lock protects what another process writes. Permissions are
    those of the old file, or what ``open(path, "wb")`` gives.

    Raises
    ------
    TypeError
        Unless `path` is a path.
    FileNotFoundError
        If its folder does not exist.
    ValueError
        If `path` is a folder or a device.
    OSError
        If the old file or the folder must not be written to, or the disk is full. It names `path`.
    """
    target = os.path.realpath(as_path(path))  # a link stays a link
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise ValueError(f"Cannot save to {os.fspath(path)!r}: it is not a regular file.")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"No permission to write to {os.fspath(path)!r}.")
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot save to {os.fspath(path)!r}: there is no {folder!r}.")
    temporary = os.path.join(folder, f".{os.urandom(8).hex()}.saving")
    try:
        _sweep(folder)
        with _new_file(temporary) as file:
            if os.path.exists(target):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "posix":  # while the lock protects it from other processes
                os.replace(temporary, target)
        if os.name != "posix":  # renames no open file
            os.replace(temporary, target)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with suppress(OSError):  # it has its final name, or was never made
            os.remove(temporary)
    if hasattr(os, "O_DIRECTORY"):  # on POSIX: make the renaming durable
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # some file systems refuse
            os.fsync(number)
        os.close(number)


def appended(path: Any, data: bytes) -> None:
    """Append all of `data` to a file, or nothing if the disk is full; OSError names `path`."""
    with open(path, "ab", buffering=0) as file:
        size = file.tell()
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            with suppress(OSError):  # of a device
                file.truncate(size)
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def as_path(path: Any, argument: str = "filepath") -> str:
    """Return a path as a string; TypeError that names `argument` for anything but a path."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"{argument}: expected a path, received {path!r}.")
    return os.fsdecode(path)


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """Yield a new file, locked as long as it is open."""
    swept = True
    while swept:  # by another process, before it was locked
        with open(name, "xb") as file:
            _lock(file, wait=True)
            swept = not os.fstat(file.fileno()).st_nlink
            if not swept:
                yield file


def _sweep(folder: str) -> None:
    """Remove the files of killed processes."""
    for entry in os.scandir(folder):
        known = re.fullmatch(r"\.[0-9a-f]{16}\.saving", entry.name)
        if known and entry.is_file(follow_symlinks=False):
            with suppress(OSError), open(entry.path, "rb") as file:
                if _lock(file, wait=False):
                    os.remove(entry.path)


def _lock(file: BinaryIO, wait: bool) -> bool:
    """Lock a file; return whether that succeeded, which it cannot on some file systems."""
    try:
        import fcntl  # POSIX alone

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (ImportError, OSError):
        return False
    return True
