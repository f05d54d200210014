"""Functions whose derivatives are measured, written once for all libraries with NumPy's names.

Imports NumPy. Read next: `harness.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .works import Work


class Function(NamedTuple):
    """A function, the point where it is differentiated, and which derivative is computed.

    ``make(xp, derivative)`` returns the function of a point. `xp` has NumPy's functions.
    ``derivative(u)`` is the derivative of a function `u` that maps each element on its own. The
    derivative is "grad", "value_and_grad", "jacobian" or "hessian", the names in tinynet.
    """

    make: Callable[[Any, Any], Callable[[Any], Any]]
    point: Callable[[], Any]
    derivative: str


def _logistic(xp: Any, derivative: Any) -> Callable[[Any], Any]:
    """Return the log-density of a logistic regression's weights, as in Hamiltonian Monte Carlo."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 10))
    y = (rng.random(100) < 0.5).astype("float64")

    def log_density(w: Any) -> Any:
        z = x @ w
        return (y * z - xp.logaddexp(z, 0.0)).sum() - 0.5 * (w * w).sum()

    return log_density


def _physics(xp: Any, derivative: Any) -> Callable[[Any], Any]:
    """Return how much a network u of given weights violates u'' = -u, squared, on average."""
    places = np.linspace(0, 5, 32).reshape(-1, 1)

    def violation(weights: Any) -> Any:
        def u(x: Any) -> Any:
            for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
                x = xp.tanh(x @ kernel + bias)
            return x @ weights[-2] + weights[-1]

        return ((derivative(derivative(u))(places) + u(places)) ** 2).mean()

    return violation


def _weights() -> list[np.ndarray]:
    rng, sizes = np.random.default_rng(1), (1, 16, 16, 1)
    kernels = [rng.standard_normal(n) / n[0] ** 0.5 for n in pairwise(sizes)]
    return [array for kernel in kernels for array in (kernel, np.zeros(kernel.shape[1]))]


def _rosenbrock(xp: Any, derivative: Any) -> Callable[[Any], Any]:
    return lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def _decay(xp: Any, derivative: Any) -> Callable[[Any], Any]:
    """Return a curve of three parameters at 30 places, as it is fitted to measurements."""
    places = np.linspace(0, 3, 30)
    return lambda p: p[0] * xp.exp(-p[1] * places) + p[2]


FUNCTIONS = {
    "logistic": Function(_logistic, lambda: np.linspace(-1, 1, 10), "grad"),
    "physics": Function(_physics, _weights, "value_and_grad"),
    "rosenbrock": Function(_rosenbrock, lambda: np.linspace(-1, 1, 10), "hessian"),
    "decay": Function(_decay, lambda: np.array([1.0, 0.5, 0.1]), "jacobian"),
}


def flat(value: Any) -> np.ndarray:
    """Return all numbers of nested lists and tuples of arrays in one array."""
    if isinstance(value, (list, tuple)):
        return np.concatenate([flat(part) for part in value])
    return np.ravel(np.asarray(value))


def reference(work: Work) -> list[float]:
    """Return all numbers of the derivative, by differences of the function in plain NumPy."""
    chosen = FUNCTIONS[work.data]
    point = chosen.point()
    shapes = [np.shape(part) for part in (point if isinstance(point, list) else [point])]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])

    def of_numbers(x: np.ndarray) -> Any:
        parts = np.split(x, ends[:-1])
        arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return function(arrays if isinstance(point, list) else arrays[0])

    function = chosen.make(np, lambda u: lambda x: _difference(u, x, np.float64(1)))
    x = flat(point)
    found = _jacobian(of_numbers)(x)
    if chosen.derivative == "hessian":
        found = _jacobian(_jacobian(of_numbers))(x)
    value = [of_numbers(x)] if chosen.derivative == "value_and_grad" else []
    return [*value, *found.ravel()]


def _jacobian(f: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of the derivatives of `f`, whose last axis is that of the inputs."""
    return lambda x: np.stack([_difference(f, x, unit) for unit in np.eye(len(x))], -1)


def _difference(f: Callable[[Any], Any], x: np.ndarray, along: np.ndarray, h: float = 0.003) -> Any:
    """Return the derivative of `f` along a direction, by central differences of fourth order."""
    near = np.asarray(f(x + h * along)) - f(x - h * along)
    far = np.asarray(f(x + 2 * h * along)) - f(x - 2 * h * along)
    return (8 * near - far) / (12 * h)
