"""The C compiler of this machine, a cache of the libraries that it made, and NumPy's BLAS.

A library is a file in a folder that only this user can write to. Its name holds a SHA-256 of all
that it was made from, and one of its contents, so that a damaged file is not loaded; nothing is
unpickled. It appears under its name by renaming, so that processes can compile side by side; of
those that need the same library, such as the ranks of one machine, one compiles it.

Imports NumPy and `configs/`. Read next: `native.py`.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..configs.files import lock

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
WAIT = 60  # seconds, for which another process may compile the same
PREFIX = "tinynet-"  # of the names of our files: other files in the folder are left alone
_warned: set[str] = set()
_hung: set[tuple[str, ...]] = set()  # commands of compilers that did not end


def compiler() -> list[str] | None:
    """Return the command of the C compiler: $CC, cc, gcc or clang, whichever is there first.

    None on Windows, where gcc places vectors on the stack at addresses that the processor refuses.
    """
    words: list[str] = []
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang") if os.name == "posix" else ():
        with suppress(ValueError):  # for a quote without an end
            words = shlex.split(command)
        if words and (found := shutil.which(words[0])) and _is_installed(found):
            return [found, *words[1:]]
    return None


@cache
def _is_installed(path: str) -> bool:
    """Return whether a command can run: those of macOS may only offer to install a compiler."""
    is_stub = sys.platform == "darwin" and path.startswith("/usr/bin/")
    return not is_stub or not subprocess.run(["xcode-select", "-p"], capture_output=True).returncode


def load(source: str) -> Any:
    """Return the library that C source compiles to; None without a compiler that works.

    A compiler that fails is warned of once; one that did not end is not started again.
    """
    command = compiler()
    if command is None or tuple(command) in _hung:
        return None
    try:
        parts = source, FLAGS, command, identity(*command)
        folder = cache_folder() or _private_folder(os.getpid())
        key = hashlib.sha256(repr(parts).encode()).hexdigest()
        return _cached(folder, key) or _compiled(folder, key, command, source)
    except (OSError, subprocess.SubprocessError) as error:
        if isinstance(error, subprocess.TimeoutExpired):
            _hung.add(tuple(command))
        text = f"{error} {(getattr(error, 'stderr', None) or '')[:500]}".strip()
        _warn("compiler", f"C is not used, NumPy runs instead: {text}")
        return None


def _warn(kind: str, text: str) -> None:
    """Warn, once for each kind of trouble."""
    if kind not in _warned:
        _warned.add(kind)
        warnings.warn(text, RuntimeWarning, stacklevel=3)


def _output(*command: str) -> str:
    """Return what a command prints; after SECONDS, or Ctrl-C, all that it started is ended."""
    pipes: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes |= {"encoding": "utf-8", "errors": "replace", "start_new_session": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            out, error = process.communicate(timeout=SECONDS)
        except BaseException:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()  # after Ctrl-C, Popen itself does not wait
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out, error)
    return out


@cache
def identity(*command: str) -> tuple[str, str]:
    """Return the version of a compiler, and the features of the processor."""
    version, is_mac = _output(*command, "--version"), sys.platform == "darwin"
    known = "model name", "flags", "Features", "CPU part", "machdep.cpu.", "hw.optional."
    query = "sysctl", "machdep.cpu", "hw.optional"
    lines = (_output(*query) if is_mac else Path("/proc/cpuinfo").read_text()).splitlines()
    return version, "".join(sorted({line for line in lines if line.startswith(known)}))


# -- BLAS ---------------------------------------------------------------------------------------


@cache
def _core() -> Any:
    """Return NumPy's core; symbols of the libraries that it depends on are found through it."""
    with suppress(OSError, AttributeError, KeyError):  # a NumPy that is built in another way
        return ctypes.CDLL(vars(np)["_core"]._multiarray_umath.__file__)
    return None


def _symbol(name: str) -> tuple[str, Any]:
    """Return the name that a function of BLAS has in the library of NumPy, and it; or "", None."""
    names = f"scipy_{name}64_", f"{name}64_", name
    return next(((x, _core()[x]) for x in names if hasattr(_core(), x)), ("", None))


@cache
def blas(dtype: str) -> tuple[str, int]:
    """Return the integer type and the address of the product of NumPy's BLAS; "" if unknown."""
    name, gemm = _symbol(f"cblas_{'s' if dtype == 'float32' else 'd'}gemm")
    integer = "int64_t" if name.endswith("64_") else "int" if name else ""
    return integer, ctypes.cast(gemm, ctypes.c_void_p).value or 0


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def threads() -> int:
    """Return how many threads NumPy's BLAS uses, by default one on each core of this process."""
    for name in THREADS[:2]:
        if (number := os.environ.get(name, "")).isdecimal() and int(number):
            return int(number)
    return len(usable_cores())


def usable_cores() -> set[int]:
    """Return the numbers of the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return set(affinity(0))


def limit_threads(count: int) -> None:
    """Let BLAS use `count` threads, at least one, unless the user has set the number."""
    if not any(name in os.environ for name in THREADS):
        os.environ |= dict.fromkeys(THREADS, str(max(1, count)))  # of libraries loaded later
        _, set_number = _symbol("openblas_set_num_threads")  # of the library that NumPy has loaded
        if set_number:
            set_number(max(1, count))


# -- the cache --------------------------------------------------------------------------------


def cache_folder() -> Path | None:
    """Return the folder of the cache, which is made if needed; None if it is not safe to use."""
    with suppress(OSError, RuntimeError):  # a user without a home
        folder = Path(os.environ.get("TINYNET_CACHE_DIR") or _user_folder()).expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def _user_folder() -> str:
    """Return the folder for caches that the platform gives this user."""
    if sys.platform == "darwin":
        return "~/Library/Caches/tinynet"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "tinynet")


@cache
def _private_folder(process: int) -> Path:
    """Return a new folder, which is removed when this process ends, not when a fork of it does."""
    folder = tempfile.mkdtemp(prefix=PREFIX)

    @atexit.register
    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    return Path(folder)


def _is_ours(path: Path) -> bool:
    """Return whether a file or folder is this user's, nobody else can write to it, and no link."""
    found = path.lstat()
    kind = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    return kind and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def libraries(folder: Path, key: str = "") -> list[Path]:
    """Return the libraries in the cache: of this key, or all."""
    return sorted(folder.glob(f"{PREFIX}{key}*.so"))


def _cached(folder: Path, key: str) -> Any:
    """Return a library from the cache; None if there is none that is whole and ours."""
    for path in libraries(folder, key):
        with suppress(FileNotFoundError):  # another process has removed it
            if not _is_ours(path):
                continue
            if path.stem == _name(key, path):
                os.utime(path)
                return ctypes.CDLL(str(path))
            path.unlink()
            _warn("damaged", f"A library in the cache was damaged, and is compiled again: {path}")
    return None


def _name(key: str, path: Path) -> str:
    return f"{PREFIX}{key}-{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _compiled(folder: Path, key: str, command: list[str], source: str) -> Any:
    """Compile source to a library in the cache, unless another process does; return it."""
    turn, until = folder / f"{PREFIX}new-{key}", time.monotonic() + WAIT
    with ExitStack() as ends:
        file = ends.enter_context(open(turn, "ab", opener=partial(os.open, mode=0o600)))
        ends.callback(turn.unlink, missing_ok=True)  # then nobody waits any more
        while lock(file, wait=False) is False and turn.exists() and time.monotonic() < until:
            time.sleep(0.02)
        if library := _cached(folder, key):
            return library
        work = ends.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix=f"{PREFIX}new-"))
        text, made = Path(work, "program.c"), Path(work, "program.so")
        text.write_text(source, encoding="utf-8")
        _output(*command, *FLAGS, str(text), "-o", str(made), "-lm")
        made.chmod(0o700)
        library = ctypes.CDLL(str(made))  # garbage gets no further
        os.replace(made, folder / f"{_name(key, made)}.so")
    with suppress(FileNotFoundError):  # another process does the same
        _forget_oldest(folder)
    return library


def _forget_oldest(folder: Path) -> None:
    """Remove the libraries that were not used for the longest time, until the rest is small."""
    total = 0
    for path in sorted(libraries(folder), key=lambda p: p.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
    for path in folder.glob(f"{PREFIX}new-*"):  # of compilations that were killed
        if time.time() - path.stat().st_mtime > 2 * SECONDS:
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink()  # a file that was locked
