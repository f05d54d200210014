"""Files that are written completely or not at all, and that are read without trusting them.

Any defect of a file that is read raises ValueError, and the memory that it may claim is limited.

Imports the engine. Read next: `../saving/archive.py`.
"""

from __future__ import annotations

import math
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..engine.expect import expect
from ..engine.tensor import as_dtype

if TYPE_CHECKING:
    from zipfile import ZipFile

# The memory that a file may claim: a multiple of its own size, and enough for a small model.
TIMES, AT_LEAST = 20, 64 * 2**20
NODE = 128  # about how many bytes a number, string, list or dict of JSON takes in memory
OBJECT = 4096  # bytes that a layer's call, or the variable of an array, takes besides its numbers
MOST_WORDS = 2000  # characters of an error's text, which may come from the file

# -- writing ---------------------------------------------------------------------------------------


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
    expect(isinstance(path, (str, bytes, os.PathLike)), argument, "a path", path, TypeError)
    return os.fsdecode(path)


@contextmanager
def _new_file(name: str) -> Iterator[BinaryIO]:
    """Yield a new file, locked as long as it is open."""
    swept = True
    while swept:  # by another process, before it was locked
        with open(name, "xb") as file:
            lock(file, wait=True)
            swept = not os.fstat(file.fileno()).st_nlink
            if not swept:
                yield file


def _sweep(folder: str) -> None:
    """Remove the files of killed processes."""
    for entry in os.scandir(folder):
        known = re.fullmatch(r"\.[0-9a-f]{16}\.saving", entry.name)
        if known and entry.is_file(follow_symlinks=False):
            with suppress(OSError), open(entry.path, "rb") as file:
                if lock(file, wait=False):
                    os.remove(entry.path)


def lock(file: BinaryIO, wait: bool) -> bool | None:
    """Lock a file; return whether that succeeded, None on file systems and platforms without locks.

    The system releases the lock when the file is closed, or the process ends in whatever way.
    """
    try:
        import fcntl  # only on POSIX

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


# -- reading ---------------------------------------------------------------------------------------


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
    import json  # only needed for files

    claimed = NODE * sum(map(text.count, (b",", b"[", b"{", b":")))
    expect(claimed <= allowed, "The bytes that its config claims", f"at most {allowed}", claimed)
    return json.loads(text)


def opened(file: BinaryIO, most: int = 0) -> ZipFile:
    """Return the zip archive in a file; ValueError for a malformed or malicious one.

    Together its members have at most `most` bytes, by default the `allowance`.
    """
    from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile  # slow to import

    archive = ZipFile(file)
    for name, count in Counter(archive.namelist()).items():
        expect(count == 1, "Its members", "unique names", name)
        escapes = name[:1] == "/" or "\\" in name or name[1:2] == ":" or ".." in name.split("/")
        expect(not escapes, "Its members", "paths inside the archive", name)
    for info in archive.infolist():  # other methods decompress without a limit
        known = info.compress_type in (ZIP_STORED, ZIP_DEFLATED)
        expect(known, f"The compression of {info.filename!r}", "'deflate'", info.compress_type)
    claimed, allowed = sum(info.file_size for info in archive.infolist()), most or allowance(file)
    expect(claimed <= allowed, "The bytes that its members claim", f"at most {allowed}", claimed)
    return archive


def member(archive: ZipFile, name: str) -> bytes:
    """Return the contents of a member; no more is decompressed than the archive claims."""
    with archive.open(name) as file:
        return file.read(archive.getinfo(name).file_size)


# -- arrays ----------------------------------------------------------------------------------------


class Budget:
    """Makes the initial arrays of weights, of `size` bytes at most.

    By default there is no limit. While a file is read there is one, and the arrays are zeros, since
    the file holds their numbers.
    """

    def __init__(self, size: float = math.inf) -> None:
        self.left = size

    def weight(self, initializer: Callable[..., Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the first values of a weight; charge them to the budget if it has a limit."""
        if self.left == math.inf:
            return initializer(shape, dtype)
        self.check(shape, dtype)
        array = np.zeros(shape, as_dtype(dtype))
        self.charge(array.nbytes)
        return array

    def check(self, shape: tuple[int | None, ...], dtype: Any) -> None:
        """Raise ValueError for an array that exceeds what is left; charge for its variable."""
        if self.left == math.inf:
            return
        size = math.prod(n for n in shape if n is not None) * as_dtype(dtype).itemsize
        if size + OBJECT > self.left:
            raise ValueError(f"an array of shape {shape} exceeds what is left of {self.left} bytes")
        self.charge(OBJECT)

    def charge(self, size: int) -> None:
        """Take `size` bytes from what is left; ValueError if fewer are left."""
        if size > self.left:
            raise ValueError(f"It describes {size} bytes, and {self.left} are left.")
        self.left -= size


class _Memory(threading.local):
    allocator = Budget()


memory = _Memory()  # of this thread
