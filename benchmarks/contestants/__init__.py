"""The contestants: a table of them, and the functions that they share.

A contestant's module has two functions. ``train(work, **options)`` returns a function
``fit(epochs, shuffle)``, which continues the training and returns the seconds and the loss of each
epoch. Rows are in their given order unless `shuffle`. ``predict(work, **options)`` returns a
function from inputs to outputs, with the initial weights. Some have ``function(work, **options)``,
which returns a function without arguments: the compiled derivative of a function of `functions.py`.
They import the library themselves, so that the module can be imported without it.

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
    """A row of the table.

    `module` is relative to this package, or absolute. `needs` lists the modules and `programs` the
    commands that it requires. It is not measured at works whose kind or group is in `leaves`, or
    which have more multiplications than `largest`. ``--quick`` leaves out those that are `slow`. A
    `limit` computes only a part of the work, and has no loss to compare. Those that `differentiate`
    also take part in the works of the kind "function".
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
    differentiates: bool = False

    def missing(self) -> list[str]:
        """Return the requirements that are not installed."""
        modules = [name for name in self.needs if importlib.util.find_spec(name) is None]
        return modules + [name for name in self.programs if shutil.which(name) is None]

    def why_not(self, work: Work) -> str:
        """Return why it is not measured at a work, or an empty string."""
        if work.kind == "function" and not self.differentiates:
            return "not measured at works of this kind"
        if work.kind in self.leaves or work.group in self.leaves:
            return "not measured at works of this kind"
        return "would take too long" if work.multiplications > self.largest else ""


def _keras_on(backend: str, label: str, options: Any = None, **more: Any) -> Contestant:
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    needs, given = (backend, "keras"), {"library": "keras", **(options or {})}
    return Contestant(label, ".keras", needs, given, environment, **more)


def _tinynet(label: str, options: dict[str, Any], **more: Any) -> Contestant:
    return Contestant(label, ".keras", ("tinynet",), {"library": "tinynet", **options}, **more)


FRESH_AND_SIZE = ("cold", "import", "memory", "size")
CONTESTANTS = {
    "tinynet": _tinynet("tinynet", {"jit_compile": False}, differentiates=True),
    "tinynet-c": _tinynet(
        "tinynet in C",
        {"jit_compile": True},
        programs=("cc",),
        leaves=("import", "size"),
        differentiates=True,
    ),
    "tinynet-eager": _tinynet("tinynet, eager", {"run_eagerly": True}, leaves=("import", "size")),
    "numpy": Contestant("NumPy by hand", ".by_hand", ("numpy",)),
    "c": Contestant("C by hand", ".c", ("numpy",), programs=("cc",), largest=4e8),
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
        "Keras on JAX, 32 steps per call",
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
    "jax": Contestant("JAX, jitted step", ".jax", ("jax",), differentiates=True),
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
BASE = "numpy"  # the contestant that ratios refer to


def epoch_by_epoch(epoch: Callable[[bool], float]) -> Fit:
    """Return a fit that calls `epoch` for each epoch."""

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        times, losses = [], []
        for _ in range(epochs):
            start = time.perf_counter()
            losses.append(epoch(shuffle))
            times.append(time.perf_counter() - start)
        return times, losses

    return fit


def step_by_step(work: Work, step: Callable[[Any, Any], Any]) -> Fit:
    """Return a fit that calls `step` for each batch; a step returns the loss.

    Losses are converted to floats at the end of an epoch, so that a library may run asynchronously.
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
    """Return the order of the rows in an epoch."""
    return np.random.permutation(work.rows) if shuffle else np.arange(work.rows)


def updater(work: Work, weights: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function from gradients to changes of the weights, by Keras's formulas.

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
