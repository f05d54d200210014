"""The workloads: networks, data and initial weights, equal for all contestants; and the goals.

The networks have sigmoid hidden layers, a linear output and the mean squared error, in float32.
Imports NumPy. Read next: `contestants/__init__.py`, then `functions.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Kind(NamedTuple):
    """What is measured: the unit, its size in seconds or bytes, and the meaning in words."""

    unit: str
    scale: float
    meaning: str


KINDS = {
    "fit": Kind("µs", 1e-6, "a step of `fit`, with shuffling, gathering and the loss"),
    "whole": Kind("ms", 1e-3, "building the model and the whole `fit`, repeated in one process"),
    "predict": Kind("µs", 1e-6, "one prediction call"),
    "function": Kind("µs", 1e-6, "one call of a compiled function, in float64"),
    "cold": Kind("s", 1.0, "from starting Python to a trained model, with warm compiler caches"),
    "import": Kind("ms", 1e-3, "the import in a new process"),
    "memory": Kind("MB", 2.0**20, "the peak memory of a new process that trains"),
    "size": Kind("MB", 2.0**20, "the installed size, including dependencies"),
}
FRESH = ("cold", "import", "memory")  # a new process for each round


class Work(NamedTuple):
    """A workload: layer sizes, rows, batch size, optimizer; `at` is its position in a sweep.

    `data` names the data, or for the kind "function" the function of `functions.FUNCTIONS`.
    """

    group: str
    kind: str
    sizes: tuple[int, ...] = (1, 1)
    rows: int = 96
    batch: int = 32
    epochs: int = 2
    optimizer: str = "adam"
    rate: float = 0.001
    data: str = "normal"
    at: int | None = None

    @property
    def steps(self) -> int:
        """The steps per epoch; the last batch may be smaller."""
        return -(-self.rows // self.batch)

    @property
    def multiplications(self) -> int:
        """The multiplications of the forward passes of an epoch."""
        return self.rows * sum(a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))

    @property
    def checked(self) -> int:
        """The epochs whose losses are compared: two, or as many as have twelve steps if timed."""
        if self.kind == "cold":
            return self.epochs
        return 2 if self.kind == "memory" else max(2, -(-12 // self.steps))


NEURON = ((1, 1), 96, 32)
LONG = ((1, 1), 96_000, 32)
SMALL = ((8, 32, 32, 1), 1024, 32)
MEDIUM = ((1, 64, 64, 1), 4096, 32)
MNIST = ((784, 256, 128, 10), 6400, 128)
WIDE = ((1024, 2048, 2048, 10), 1536, 512)
FIRST = {"sizes": (1, 1), "rows": 100, "epochs": 30, "rate": 0.6, "data": "first seed"}
SECOND = {"sizes": (1, 1), "rows": 50, "epochs": 200, "rate": 0.01, "data": "second seed"}

WORKS = {
    "neuron": Work("networks", "fit", *NEURON),
    "neuron, 96000 rows": Work("networks", "fit", *LONG),
    "small": Work("networks", "fit", *SMALL),
    "1-64-64-1": Work("networks", "fit", *MEDIUM),
    "mnist-sized": Work("networks", "fit", *MNIST),
    "wide": Work("networks", "fit", *WIDE),
    "first seed": Work("seeds", "whole", **FIRST),
    "second seed": Work("seeds", "whole", optimizer="sgd", **SECOND),
    "predict one": Work("predict", "predict", *NEURON[:1], 1, 1),
    "predict one, small": Work("predict", "predict", *SMALL[:1], 1, 1),
    "predict 10000, small": Work("predict", "predict", *SMALL[:1], 10_000, 10_000),
    "logistic gradient": Work("functions", "function", (10, 1), 100, 100, data="logistic"),
    "physics-informed": Work("functions", "function", (1, 16, 16, 1), 32, 32, data="physics"),
    "Hessian, 10 inputs": Work("functions", "function", (10, 1), 1, 1, data="rosenbrock"),
    "Jacobian, 30 x 3": Work("functions", "function", (3, 1), 30, 30, data="decay"),
    "first model": Work("start", "cold", **FIRST),
    "import": Work("start", "import"),
    "installed": Work("start", "size"),
    "memory, small": Work("memory", "memory", *SMALL),
    "memory, wide": Work("memory", "memory", *WIDE),
}
WORKS |= {
    f"width {n}": Work("width", "fit", (16, n, n, 1), 16 * 32, 32, at=n)
    for n in (4, 16, 64, 256, 1024)
}
WORKS |= {
    f"depth {n}": Work("depth", "fit", (16, *[32] * n, 1), 16 * 32, 32, at=n)
    for n in (1, 2, 4, 8, 16)
}
WORKS |= {
    f"batch {n}": Work("batch", "fit", (16, 64, 64, 1), 16 * n, n, at=n)
    for n in (1, 8, 64, 512, 4096)
}
SWEEPS = ("width", "depth", "batch")
QUICK = ("neuron", "small", "mnist-sized", "first seed", "predict one", "first model")


class Goal(NamedTuple):
    """The largest ratio that a contestant of tinynet may have to another one at a work.

    Against "others", it is the largest ratio to any contestant that does the whole work.
    """

    work: str
    against: str
    most: float
    contestant: str = "tinynet-c"


GOALS = (
    Goal("neuron, 96000 rows", "jax-scan", 0.15),
    Goal("neuron, 96000 rows", "numpy", 0.02),
    Goal("neuron", "jax-scan", 0.35),
    Goal("neuron", "numpy", 0.5),
    Goal("small", "jax-scan", 0.33),
    Goal("small", "numpy", 0.16),
    Goal("1-64-64-1", "jax-scan", 0.70),
    Goal("1-64-64-1", "numpy", 0.28),
    Goal("mnist-sized", "jax-scan", 0.80),
    Goal("mnist-sized", "numpy", 0.62),
    Goal("wide", "jax-scan", 0.90),
    Goal("wide", "others", 1.0),
    Goal("wide", "numpy", 0.80),
    Goal("logistic gradient", "jax", 0.8),
    Goal("physics-informed", "jax", 0.8),
    Goal("Hessian, 10 inputs", "jax", 0.8),
    Goal("Jacobian, 30 x 3", "jax", 1.0),
    Goal("first seed", "mygrad", 1.0, "tinynet"),
    Goal("memory, small", "tinynet", 1.0),
    Goal("memory, wide", "tinynet", 1.0),
)


def works_named(names: list[str]) -> dict[str, Work]:
    """Return the works of these names, groups, or descriptions sizes:rows:batch.

    Raises
    ------
    ValueError
        For an unknown name, fewer than two sizes, or a number below 1.
    """
    found: dict[str, Work] = {}
    for name in names:
        group = {n: work for n, work in WORKS.items() if name in (n, work.group)}
        if not group:
            try:
                sizes, rows, batch = name.split(":")
                layers = tuple(map(int, sizes.split("-")))
                work = Work("asked for", "fit", layers, int(rows), int(batch))
                if len(layers) < 2 or min(*layers, work.rows, work.batch) < 1:
                    raise ValueError
                group = {name: work}
            except ValueError:
                known = ", ".join(dict.fromkeys([w.group for w in WORKS.values()] + [*WORKS]))
                raise ValueError(
                    f"A work must be a name, a group or sizes:rows:batch such as 8-32-1:1024:32, "
                    f"with at least two sizes and no number below 1. "
                    f"Received: {name!r}, known: {known}"
                ) from None
        found |= group
    return found


def data(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets as a user passes them; the seed scripts use float64 vectors."""
    rng = np.random.default_rng(0)
    if work.data == "first seed":
        x = np.linspace(0, 1, work.rows)
        return x, 1.35 * x + rng.standard_normal(x.shape) * 0.33 + 0.5
    if work.data == "second seed":
        x = (rng.random(work.rows) * 10).reshape(-1, 1)
        return x, 0.1 * x + 2 + (rng.standard_normal(work.rows) * 0.1).reshape(-1, 1)
    x = rng.standard_normal((work.rows, work.sizes[0]), "float32")
    return x, rng.standard_normal((work.rows, work.sizes[-1]), "float32")


def columns(work: Work, dtype: Any = "float32") -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets as matrices of one dtype."""
    x, y = (np.asarray(a, dtype).reshape(work.rows, -1) for a in data(work))
    return x, y


def initial(work: Work) -> list[np.ndarray]:
    """Return the initial weights: each kernel, followed by its bias."""
    rng = np.random.default_rng(1)
    weights: list[np.ndarray] = []
    for before, after in zip(work.sizes, work.sizes[1:], strict=False):
        limit = (6 / (before + after)) ** 0.5
        weights.append(rng.uniform(-limit, limit, (before, after)).astype("float32"))
        weights.append(np.zeros(after, "float32"))
    return weights
