"""The training loop in C, compiled by the system's compiler on first use; one thread.

It has no overhead besides arithmetic: a lower limit for small networks.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..works import Work, columns, initial
from . import Fit, epoch_by_epoch, order_of

SOURCE = Path(__file__).with_name("loop.c")
FLAGS = ["-O3", "-ffast-math", "-fPIC"]


@functools.cache
def _library() -> Any:
    """Return the compiled loop; it is cached in the folder of Python's bytecode."""
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:16]
    compiled = SOURCE.parent / "__pycache__" / f"loop-{digest}.so"
    if not compiled.exists():
        compiled.parent.mkdir(exist_ok=True)
        new = compiled.with_suffix(f".{os.getpid()}")
        part = f"{new}.o"
        try:
            _cc(*FLAGS, "-march=native", "-c", str(SOURCE), "-o", part)
        except RuntimeError:  # not all compilers have that option
            _cc(*FLAGS, "-c", str(SOURCE), "-o", part)
        # Linked without -ffast-math, which would flush denormals to 0 in the whole process.
        _cc("-shared", part, "-o", str(new), "-lm")
        os.remove(part)
        new.replace(compiled)
    library = ctypes.CDLL(str(compiled))
    library.epoch.restype = ctypes.c_double
    return library


def _cc(*arguments: str) -> None:
    done = subprocess.run(["cc", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"cc ended with code {done.returncode}")


def _network(work: Work) -> tuple[Any, ...]:
    """Return the arguments for C: layers, sizes, all weights in one array, working memory."""
    sizes = np.array(work.sizes, np.int64)
    parameters = np.concatenate([w.ravel() for w in initial(work)])
    room = np.zeros(2 * work.batch * int(sizes.sum()) + int(sizes.max()), np.float32)
    return len(sizes), sizes, parameters, room


def _arguments(values: Any) -> list[Any]:
    """Convert values for C: arrays to addresses, integers to int64, floats to double."""
    kinds = {int: ctypes.c_int64, float: ctypes.c_double}
    return [
        ctypes.c_void_p(v.ctypes.data) if isinstance(v, np.ndarray) else kinds[type(v)](v)
        for v in values
    ]


def train(work: Work) -> Fit:
    """Return the fit."""
    x, y = columns(work)
    layers, sizes, parameters, room = _network(work)
    gradients, m, v = (np.zeros_like(parameters) for _ in range(3))
    taken, order = np.zeros(1, np.int64), np.zeros(work.rows, np.int64)
    kept = (x, y, order, work.rows, work.batch, layers, sizes, parameters.size, parameters)
    kept += (gradients, m, v, room, taken, work.rate, int(work.optimizer == "adam"))
    run, arguments = _library().epoch, _arguments(kept)

    # The default keeps the arrays alive whose addresses C has.
    def epoch(shuffle: bool, kept: Any = kept) -> float:
        order[:] = order_of(work, shuffle)
        return run(*arguments)

    return epoch_by_epoch(epoch)


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network with its initial weights."""
    layers, sizes, parameters, room = _network(work)
    out = np.empty((work.rows, work.sizes[-1]), np.float32)
    rest = _arguments((work.rows, layers, sizes, parameters, room, out))
    forward = _library().predict

    def call(x: np.ndarray, kept: Any = (sizes, parameters, room)) -> np.ndarray:
        forward(ctypes.c_void_p(x.ctypes.data), *rest)
        return out

    return call
