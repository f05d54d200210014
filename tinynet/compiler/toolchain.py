"""The C compiler of this machine, a cache of the libraries that it made, and NumPy's BLAS.

A library is a file in a folder that only this user can write to. Its name holds the SHA-256 of all
that it was made from, and that of its contents, so that a damaged file is not loaded; nothing is
unpickled. It gets its name by renaming, so that processes can compile at the same time; of those
that need the same library, such as the ranks of one machine, one compiles it.

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

# No -ffast-math: NaN, infinities and the order of operations are respected.
FLAGS = (
    "-std=c99",
    "-O3",  # vectorizes loops
    # All instructions of this processor; the key holds its name. Clang on ARM has no -march=native.
    "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native",
    "-fno-math-errno",  # nobody reads errno, and sqrt is an instruction
    "-fno-trapping-math",  # nobody reads the processor's flags, so branches become selections
    "-ffp-contract=off",  # a * b - c * d is 0 where eager's is; matrix products fuse by attribute
    "-fwrapv",  # integers overflow as NumPy's do
    "-fPIC",
    "-shared",
)
MOST_BYTES = 1 << 28  # of the libraries in the cache; those used last stay
SECONDS = 600  # after which a compiler is killed
WAIT = 60  # seconds to wait for another process that compiles the same
PREFIX = "tinynet-"  # of the names of our files: other files in the folder are left alone
_warned: set[str] = set()
_hung: set[tuple[str, ...]] = set()  # commands of compilers that hung


def compiler() -> list[str] | None:
    """Return the command of the C compiler: the first of $CC, cc, gcc and clang that is installed.

    None on Windows, where gcc puts vectors on the stack at misaligned addresses, which crashes.
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

    A failure is warned of once; a compiler that hung is not started again.
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
    """Return what a command prints; after SECONDS, or Ctrl-C, kill it and all that it started."""
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
    """Return NumPy's core library, through which symbols of its dependencies are found."""
    with suppress(OSError, AttributeError, KeyError):  # a NumPy that is built in another way
        return ctypes.CDLL(vars(np)["_core"]._multiarray_umath.__file__)
    return None


def _symbol(name: str) -> tuple[str, Any]:
    """Return the name of a BLAS function in NumPy's library, and the function; or "", None."""
    names = f"scipy_{name}64_", f"{name}64_", name
    return next(((x, _core()[x]) for x in names if hasattr(_core(), x)), ("", None))


@cache
def blas(dtype: str) -> tuple[str, int]:
    """Return the integer type and the address of gemm in NumPy's BLAS; "" and 0 if not found."""
    name, gemm = _symbol(f"cblas_{'s' if dtype == 'float32' else 'd'}gemm")
    integer = "int64_t" if name.endswith("64_") else "int" if name else ""
    return integer, ctypes.cast(gemm, ctypes.c_void_p).value or 0


THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def threads() -> int:
    """Return the number of threads that NumPy's BLAS uses, by default one per usable core."""
    for name in THREADS[:2]:
        if (number := os.environ.get(name, "")).isdecimal() and int(number):
            return int(number)
    return len(usable_cores())


def usable_cores() -> set[int]:
    """Return the numbers of the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return set(affinity(0))


def limit_threads(count: int) -> None:
    """Limit BLAS to `count` threads, at least one, unless the user has set the number."""
    if not any(name in os.environ for name in THREADS):
        os.environ |= dict.fromkeys(THREADS, str(max(1, count)))  # of libraries loaded later
        _, set_number = _symbol("openblas_set_num_threads")  # of the library that NumPy has loaded
        if set_number:
            set_number(max(1, count))


# -- the cache --------------------------------------------------------------------------------


def cache_folder() -> Path | None:
    """Return the folder of the cache, created if needed; None if it is not safe to use."""
    with suppress(OSError, RuntimeError):  # a user without a home
        folder = Path(os.environ.get("TINYNET_CACHE_DIR") or _user_folder()).expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def _user_folder() -> str:
    """Return the cache folder of tinynet, where the platform keeps this user's caches."""
    if sys.platform == "darwin":
        return "~/Library/Caches/tinynet"
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "tinynet")


@cache
def _private_folder(process: int) -> Path:
    """Return a new folder that is removed when this process, not a fork of it, ends."""
    folder = tempfile.mkdtemp(prefix=PREFIX)

    @atexit.register
    def remove() -> None:
        if os.getpid() == process:
            shutil.rmtree(folder, ignore_errors=True)

    return Path(folder)


def _is_ours(path: Path) -> bool:
    """Return whether a file or folder is this user's, is not a link, and only they can write it."""
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
        library = ctypes.CDLL(str(made))  # an error here keeps a broken file out of the cache
        os.replace(made, folder / f"{_name(key, made)}.so")
    with suppress(FileNotFoundError):  # another process does the same
        _forget_oldest(folder)
    return library


def _forget_oldest(folder: Path) -> None:
    """Remove the least recently used libraries, until the rest has at most `MOST_BYTES`."""
    total = 0
    for path in sorted(libraries(folder), key=lambda p: p.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
    for path in folder.glob(f"{PREFIX}new-*"):  # left by compilations that were killed
        if time.time() - path.stat().st_mtime > 2 * SECONDS:
            shutil.rmtree(path, ignore_errors=True)
            with suppress(OSError):
                path.unlink()  # a file that was locked
