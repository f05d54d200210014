"""The C compiler of this machine, a cache of the libraries that it made, and NumPy's BLAS.

A library is a file in a folder that only this user can write to. Its name holds a SHA-256 of all
that it was made from, and one of its contents, so that a damaged file is not loaded; nothing is
unpickled. It appears under its name by renaming, so that processes can compile side by side.

Imports NumPy. Read next: `native.py`.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

# No -ffast-math: NaN, infinities, and the order of operations keep their meaning.
FLAGS = (
    "-std=c99",
    "-O3",  # vectorizes loops
    # All instructions of this processor; the key holds its name. Clang on ARM has no -march=native.
    "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native",
    "-fno-math-errno",  # nobody reads errno, and sqrt is an instruction
    "-fno-trapping-math",  # nobody reads the processor's flags, so branches become selections
    "-ffp-contract=off",  # a * b - c * d is 0 where eager's is; products fuse, by attribute
    "-fwrapv",  # integers overflow as NumPy's do
    "-fPIC",
    "-shared",
)
MOST_BYTES = 1 << 28  # of the libraries in the cache; those used last stay
SECONDS = 600  # for which a compiler may work
_warned: set[str] = set()


def compiler() -> list[str] | None:
    """Return the command of the C compiler: $CC, cc, gcc or clang, whichever is there first."""
    words: list[str] = []
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        with suppress(ValueError):  # for a quote without an end
            words = shlex.split(command)
        if words and (found := shutil.which(words[0])):
            return [found, *words[1:]]
    return None


def load(source: str) -> Any:
    """Return the library that C source compiles to; None without a compiler that works.

    A compiler that fails is warned of once.
    """
    command = compiler()
    if command is None:
        return None
    try:
        parts = source, FLAGS, command, _identity(*command)
        folder, key = _folder(), hashlib.sha256(repr(parts).encode()).hexdigest()
        return _cached(folder, key) or _compiled(folder, key, command, source)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or b""
        text = f"{error} {output.decode(errors='replace')[:500]}".strip()
        _warn("compiler", f"C is not used, NumPy runs instead: {text}")
        return None


def _warn(kind: str, text: str) -> None:
    """Warn, once for each kind of trouble."""
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(text, RuntimeWarning, stacklevel=3)


@cache
def _identity(*command: str) -> tuple[str, str]:
    """Return the version of a compiler, and the features of the processor."""
    version = subprocess.run(
        [*command, "--version"], capture_output=True, check=True, timeout=SECONDS
    )
    features = f"{platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = ("model name", "flags", "Features", "CPU part")
        features += "".join(sorted({line for line in lines if line.startswith(known)}))
    except OSError:  # not Linux
        pass
    return version.stdout.decode(errors="replace"), features


# -- BLAS ---------------------------------------------------------------------------------------


@cache
def blas(dtype: str) -> tuple[str, int]:
    """Return the integer type and the address of the product of NumPy's BLAS; ("", 0) if unknown.

    The symbols of the libraries that NumPy's core depends on are found through it.
    """
    letter = {"float32": "s", "float64": "d"}[dtype]
    library = _numpy_library()
    for name, integer in (
        (f"scipy_cblas_{letter}gemm64_", "int64_t"),
        (f"cblas_{letter}gemm64_", "int64_t"),
        (f"cblas_{letter}gemm", "int"),
    ):
        if hasattr(library, name):
            return integer, ctypes.cast(library[name], ctypes.c_void_p).value or 0
    return "", 0


@cache
def _numpy_library() -> Any:
    """Return NumPy's core as a library, None for a NumPy that is built in another way."""
    with suppress(OSError, AttributeError, KeyError):
        return ctypes.CDLL(vars(np)["_core"]._multiarray_umath.__file__)
    return None


def limit_threads(count: int) -> None:
    """Let BLAS use `count` threads, at least one, unless the user has set the number."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    if not any(name in os.environ for name in names):
        os.environ |= dict.fromkeys(names, str(max(1, count)))  # of libraries loaded later
        name = "openblas_set_num_threads"  # of the library that NumPy has loaded
        for symbol in (f"scipy_{name}64_", f"{name}64_", name):
            if hasattr(_numpy_library(), symbol):
                _numpy_library()[symbol](max(1, count))


def usable_cores() -> set[int]:
    """Return the numbers of the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return set(affinity(0))


# -- the cache --------------------------------------------------------------------------------


def _folder() -> Path:
    """Return the folder of the cache, or a temporary one if only that is safe to use."""
    with suppress(OSError, RuntimeError):  # a user without a home
        folder = Path(os.environ.get("TINYNET_CACHE_DIR") or _user_folder()).expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return _private_folder()


def _user_folder() -> str:
    """Return the folder for caches that the platform gives this user."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA", "~"), "tinynet")
    if sys.platform == "darwin":
        return "~/Library/Caches/tinynet"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "tinynet")


@cache
def _private_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="tinynet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _is_ours(path: Path) -> bool:
    """Return whether a file or folder is this user's, nobody else can write to it, and no link."""
    found = path.lstat()
    kind = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    if not hasattr(os, "geteuid"):  # Windows, whose user folders have lists of users instead
        return kind
    return kind and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _cached(folder: Path, key: str) -> Any:
    """Return a library from the cache; None if there is none that is whole and ours."""
    for path in sorted(folder.glob(f"{key}-*.so")):
        with suppress(FileNotFoundError):  # another process has removed it
            if not _is_ours(path):
                continue
            if path.stem == f"{key}-{hashlib.sha256(path.read_bytes()).hexdigest()}":
                os.utime(path)
                return ctypes.CDLL(str(path))
            path.unlink()
            _warn("damaged", f"A library in the cache was damaged, and is compiled again: {path}")
    return None


def _compiled(folder: Path, key: str, command: list[str], source: str) -> Any:
    """Compile source to a library in the cache, and return it."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="new-") as work:
        text, made = Path(work, "program.c"), Path(work, "program.so")
        text.write_text(source, encoding="utf-8")
        arguments = [*command, *FLAGS, str(text), "-o", str(made), "-lm"]
        subprocess.run(arguments, capture_output=True, check=True, timeout=SECONDS)
        made.chmod(0o700)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        path = folder / f"{key}-{digest}.so"
        library = ctypes.CDLL(str(made))  # garbage gets no further
        os.replace(made, path)
    with suppress(FileNotFoundError):  # another process does the same
        _forget_oldest(folder)
    return library


def _forget_oldest(folder: Path) -> None:
    """Remove the libraries that were not used for the longest time, until the rest is small."""
    total = 0
    for path in sorted(folder.glob("*.so"), key=lambda p: p.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
    for path in folder.glob("new-*"):  # of compilations that were killed
        if time.time() - path.stat().st_mtime > 2 * SECONDS:
            shutil.rmtree(path, ignore_errors=True)
