"""With what it is measured: a table of contestants, and what they have in common.

A contestant's module has two functions. ``train(work, **options)`` returns a function
``fit(epochs, shuffle)``, which trains on and returns the seconds and the losses of the epochs; the
batches are taken in the given order unless `shuffle`. ``predict(work, **options)`` returns a
function from inputs to outputs, with the initial weights. Each module imports its library within
these, so that it can be read where the library is missing.
Read next: `by_hand.py`, then `keras.py`.
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..works import SWEEPS, Work, columns

Fit = Callable[[int, bool], tuple[list[float], list[float]]]


class Contestant(NamedTuple):
    """One row of the table.

    `module` is relative to this package, or absolute. `needs` are modules and `programs` commands,
    without which it is left out. `leaves` are kinds and groups of works that it is not asked for,
    `largest` the multiplications of a forward pass above which it isn't; `slow` says that
    ``--quick`` does without it. A `limit` does less than the work: it has no loss to compare.
    """

    label: str
    module: str
    needs: tuple[str, ...] = ()
    options: dict[str, Any] = {}
    environment: dict[str, str] = {}
    programs: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    largest: float = float("inf")
    slow: bool = False
    limit: bool = False

    def missing(self) -> list[str]:
        """Return what it needs and is not installed."""
        modules = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return modules + [name for name in self.programs if shutil.which(name) is None]

    def why_not(self, work: Work) -> str:
        """Return why it is not asked for a work, or nothing."""
        if work.kind in self.leaves or work.group in self.leaves:
            return "not asked for this"
        return "would take too long" if work.multiplications > self.largest else ""


def _keras_on(backend: str, label: str, options: Any = None, **more: Any) -> Contestant:
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    needs, given = (backend, "keras"), {"library": "keras", **(options or {})}
    return Contestant(label, ".keras", needs, given, environment, **more)


FRESH_AND_SIZE = ("cold", "import", "memory", "size")
CONTESTANTS = {
    "tinynet": Contestant("tinynet", ".keras", ("tinynet",), {"library": "tinynet"}),
    "tinynet-eager": Contestant(
        "tinynet, eager",
        ".keras",
        ("tinynet",),
        {"library": "tinynet", "run_eagerly": True},
        leaves=("import", "size"),
    ),
    "numpy": Contestant("NumPy by hand", ".by_hand", ("numpy",)),
    "c": Contestant("C by hand", ".c", ("numpy",), programs=("cc",), largest=3e7),
    "products": Contestant(
        "matrix products alone",
        ".products",
        ("numpy",),
        leaves=("whole", *FRESH_AND_SIZE),
        limit=True,
    ),
    "keras-jax": _keras_on("jax", "Keras on JAX"),
    "keras-jax-many": _keras_on(
        "jax",
        "Keras on JAX, by 32 steps",
        options={"steps_per_execution": 32},
        leaves=("predict", *SWEEPS, *FRESH_AND_SIZE),
        slow=True,
    ),
    "keras-tensorflow": _keras_on("tensorflow", "Keras on TensorFlow", slow=True, leaves=SWEEPS),
    "keras-torch": _keras_on("torch", "Keras on PyTorch", slow=True, leaves=SWEEPS),
    "torch": Contestant("PyTorch", ".torch", ("torch",)),
    "torch-compiled": Contestant(
        "PyTorch, compiled",
        ".torch",
        ("torch",),
        {"compiled": True},
        programs=("g++",),
        leaves=(*SWEEPS, "import", "size"),
        slow=True,
    ),
    "jax": Contestant("JAX, jitted step", ".jax", ("jax",)),
    "jax-scan": Contestant(
        "JAX, scanned epoch",
        ".jax",
        ("jax",),
        {"scanned": True},
        leaves=("predict", "import", "size"),
    ),
    "autograd": Contestant("HIPS autograd", ".autograd", ("autograd",)),
    "mygrad": Contestant("MyGrad", ".mygrad", ("mygrad",)),
    "micrograd": Contestant(
        "micrograd", ".micrograd", ("micrograd",), leaves=("import",), largest=1e3
    ),
    "sklearn": Contestant("scikit-learn MLPRegressor", ".sklearn", ("sklearn",)),
}
BASE = "numpy"  # the contestant that the others are compared with


def epoch_by_epoch(epoch: Callable[[bool], float]) -> Fit:
    """Return a fit made of single epochs."""

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        times, losses = [], []
        for _ in range(epochs):
            start = time.perf_counter()
            losses.append(epoch(shuffle))
            times.append(time.perf_counter() - start)
        return times, losses

    return fit


def step_by_step(work: Work, step: Callable[[Any, Any], Any]) -> Fit:
    """Return a fit made of steps, functions of a batch that return its loss.

    What they return is turned into numbers at the end of the epoch, so that a library may be ahead.
    """
    x, y = columns(work)
    sizes = [min(work.batch, work.rows - start) for start in range(0, work.rows, work.batch)]

    def epoch(shuffle: bool) -> float:
        order = order_of(work, shuffle)
        batches = (order[i * work.batch : i * work.batch + n] for i, n in enumerate(sizes))
        losses = [step(x[rows], y[rows]) for rows in batches]
        return sum(float(loss) * n for loss, n in zip(losses, sizes, strict=True)) / work.rows

    return epoch_by_epoch(epoch)


def order_of(work: Work, shuffle: bool) -> np.ndarray:
    """Return the order in which an epoch takes the rows."""
    return np.random.permutation(work.rows) if shuffle else np.arange(work.rows)


def updater(work: Work, weights: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function from gradients to the changes of weights: Keras's formulas, plainly.

    For libraries without an optimizer; weights and gradients are arrays, or floats.
    """
    m, v, t = [w * 0 for w in weights], [w * 0 for w in weights], 0

    def sgd(gradients: Sequence[Any]) -> Sequence[Any]:
        return [-work.rate * g for g in gradients]

    def adam(gradients: Sequence[Any]) -> Sequence[Any]:
        nonlocal t
        t += 1
        alpha = work.rate * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
        for i, g in enumerate(gradients):
            m[i] += (g - m[i]) * (1 - 0.9)
            v[i] += (g * g - v[i]) * (1 - 0.999)
        return [-alpha * a / (b**0.5 + 1e-7) for a, b in zip(m, v, strict=True)]

    return {"sgd": sgd, "adam": adam}[work.optimizer]
