"""Files from the web in Keras's cache folder: `get_file`.

A download goes to a hidden file beside its target, which is renamed once it is complete and its
hash is right. So the target is never incomplete, and an interrupted download can be continued. A
lock makes other processes wait for the one that downloads.

Imports the engine's checks and the progress bar. Read next: `published.py`.
"""

import glob
import hashlib
import os
import sys
import tarfile
import tempfile
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ..callbacks.progbar import Progbar, write
from ..configs.files import lock, opened
from ..engine.expect import expect
from ..engine.refusal import answering

TIMEOUT = 60.0  # seconds without an answer
BLOCK = 1 << 18  # bytes that are read at a time
MOST_TIMES, MOST_AT_LEAST = 100, 2**30  # limit an archive's contents, as in `allowance`
MOST_HEADER = 2**20  # bytes of a header in a tar archive
HASHES = {32: "md5", 64: "sha256"}  # by the number of digits


@answering
def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Return the path of a file in the cache; download it if it is not there.

    Parameters
    ----------
    fname : str, optional
        The name of the file, by default the last part of the URL.
    origin : str
        The URL.
    untar : bool
        The same as ``extract=True, archive_format="tar"``.
    md5_hash, file_hash : str, optional
        The expected MD5 hash; the expected hash. A file in the cache with another hash is
        downloaded again.
    cache_subdir : str
        A folder in `cache_dir`, or the path of another folder.
    hash_algorithm : "sha256", "md5" or "auto"
        "auto" decides by the length of `file_hash`.
    extract : bool
        Extract the archive, and return the folder with its files. As in Keras, the folder has the
        name `fname`, and the archive ends in ``_archive``; with a dot in `fname`, the archive has
        that name, and the folder is the part before the dot with ``_extracted``.
    archive_format : "auto", "tar", "zip", or a list of them
    cache_dir : path, optional
        By default ``$KERAS_HOME`` or ``~/.keras``, Keras's own cache.
    force_download : bool
        Download the file even if it is in the cache.

    Raises
    ------
    ValueError
        For an invalid argument, for a downloaded file with another hash, which is removed, for a
        file that is not an archive, and for an archive with members outside of its folder.
    OSError
        When the download fails; it names the URL and the reason. The next call continues it, if
        the server can and the file there is still the same.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder, "page.txt")
    ...     _ = page.write_text("Hello")
    ...     path = get_file(origin=page.as_uri(), cache_dir=folder)  # doctest: +ELLIPSIS
    ...     print(pathlib.Path(path).read_text())
    Downloading data from file:///...page.txt
    5/5 - 0s - ...
    Hello
    """
    url = str(origin or "")
    expect(urlsplit(url).scheme, "origin", "a URL", origin)
    digits = (file_hash or md5_hash or "").lower()
    algorithm = HASHES.get(len(digits), "")
    valid = not digits or (algorithm and hash_algorithm in (algorithm, "auto"))
    expect(valid, "file_hash", f"the digits of a hash ({hash_algorithm})", digits)
    name = str(fname or os.path.basename(urlsplit(url).path))
    plain = name == os.path.basename(name) and name not in ("", ".", "..")
    expect(plain, "fname", "the name of a file, without folders", fname or origin)
    formats = "tar" if untar else "tar zip" if archive_format == "auto" else archive_format
    root = os.fspath(cache_dir or os.environ.get("KERAS_HOME", "~/.keras"))
    folder = result = os.path.join(os.path.expanduser(root), cache_subdir)
    if unpacks := extract or untar:
        dotted = fname and "." in name
        result = os.path.join(folder, f"{name.split('.')[0]}_extracted" if dotted else name)
        name = name if dotted else f"{name}_archive"
    target = os.path.join(folder, name)
    if force_download or not _is_right(target, digits) or not os.path.isdir(result):
        try:
            os.makedirs(folder, exist_ok=True)
            with _lock(target):
                fresh = force_download or not _is_right(target, digits)
                if fresh:
                    _download(url, target, digits)
                if unpacks and (fresh or not os.path.isdir(result)):
                    _extract(target, result, formats or ())
        except (OSError, HTTPException) as error:
            reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
            advice = "Call again, or put the file there yourself."
            raise OSError(f"Cannot get {url} as {target}: {reason}. {advice}") from error
    return result if unpacks else target


def _is_right(path: str, digits: str) -> bool:
    """Return whether a file exists and has the hash, if there are digits of one."""
    return os.path.isfile(path) and (not digits or _hash(path, HASHES[len(digits)]) == digits)


def _hash(path: str, algorithm: str) -> str:
    found = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


@contextmanager
def _lock(target: str) -> Iterator[None]:
    """Wait until no other process or thread holds the lock of `target`, and hold it.

    The system releases it when a process ends, in whatever way.
    """
    folder, name = os.path.split(target)
    with open(os.path.join(folder, f".{name}.lock"), "ab") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # OSError after ten seconds
        else:
            lock(file, wait=True)  # on a file system without locks, only the hash protects
        yield


# -- downloads ------------------------------------------------------------------------------------


def _download(url: str, target: str, digits: str) -> None:
    """Download a URL to `target`, which is replaced if the file has the expected hash."""
    write(f"Downloading data from {url}\n")
    part = _fetch(url, target)
    if not _is_right(part, digits):
        found = _hash(part, HASHES[len(digits)])
        os.remove(part)
        raise ValueError(f"{url}: expected a file with the hash {digits}, received {found}.")
    os.replace(part, target)


def _fetch(url: str, target: str) -> str:
    """Return the path of a hidden file beside `target` with the contents of a URL.

    Its name contains a digest of the version that the server states (an ETag or a date), so that
    parts of two versions are never joined. An interrupted download is continued.
    """
    folder, name = os.path.split(target)
    hidden = os.path.join(folder, f".{name}.")
    old = glob.glob(f"{glob.escape(hidden)}{'?' * 16}.part")[:1]  # there is one at most
    start = os.path.getsize(old[0]) if old else 0
    try:
        request = Request(url, headers={"Range": f"bytes={start}-"} if start else {})
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if not start or error.code != 416:  # which says that there are no bytes in this range
            error.close()
            raise
        response = error
    with response:
        version = response.headers["ETag"] or response.headers["Last-Modified"]
        part = f"{hidden}{hashlib.sha256(f'{url} {version}'.encode()).hexdigest()[:16]}.part"
        continues = response.status == 206 and version and old == [part]
        fits = continues or response.status not in (206, 416)
        for path in old:
            if path != part or not fits:
                os.remove(path)
        if fits:
            _write(response, part, start if continues else 0)
            return part
    return _fetch(url, target)  # from the start, since the file on the server has changed


def _write(response: Any, path: str, start: int) -> None:
    """Append the body of a response to the first `start` bytes of a file, with a progress bar."""
    size = response.headers["Content-Length"]  # of the body; None if the server does not say
    total = None if size is None else start + int(size)
    bar, done = Progbar(total), start
    with open(path, "ab" if start else "wb") as file:
        while block := response.read(BLOCK):
            done += file.write(block)
            bar.update(done, finalize=False)
        file.flush()
        os.fsync(file.fileno())
    bar.update(done, finalize=True)
    if total is not None and done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")


class _Member(tarfile.TarInfo):
    """A member whose header is small: tarfile reads a long name into memory, however long it is."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.size > MOST_HEADER and not self.isreg() and not self.issparse():
            raise tarfile.ReadError(f"a header of {self.size} bytes is too large")
        return vars(tarfile.TarInfo)["_proc_member"](self, archive)


def _tar(path: str) -> tarfile.TarFile | None:
    with suppress(tarfile.TarError):
        return tarfile.open(path, tarinfo=_Member)
    return None


def _extract(archive: str, folder: str, formats: Container[str]) -> None:
    """Extract an archive into a new folder, which replaces `folder` when it is complete.

    An archive with members outside of its folder, or with too large ones, leaves nothing.
    """
    parent, most = os.path.dirname(folder), MOST_TIMES * os.path.getsize(archive) + MOST_AT_LEAST
    left = most

    def checked(info: tarfile.TarInfo, path: str) -> Any:
        nonlocal left
        left -= info.size
        expect(left >= 0, archive, f"at most {most} bytes in it", "more")
        return tarfile.data_filter(info, path)

    with tempfile.TemporaryDirectory(prefix=".", suffix=".extracting", dir=parent) as scratch:
        os.mkdir(new := os.path.join(scratch, "new"))
        try:
            if tar := _tar(archive) if "tar" in formats else None:
                with tar:
                    tar.extractall(new, filter=checked)
            else:
                expect("zip" in formats, "archive_format", f"the format of {archive}", formats)
                with open(archive, "rb") as file:
                    opened(file, most).extractall(new)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(f"{archive}: expected a valid archive: {error}") from error
        if os.path.isdir(folder):
            os.rename(folder, os.path.join(scratch, "old"))
        os.rename(new, folder)
