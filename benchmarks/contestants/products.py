"""Only the matrix products of the same steps: a lower limit for every program on NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..works import Work, initial
from . import Fit, epoch_by_epoch


def train(work: Work) -> Fit:
    """Return the products of a fit; the loss is NaN."""
    sizes = [min(work.batch, work.rows - start) for start in range(0, work.rows, work.batch)]
    products = {n: _products(work, n) for n in dict.fromkeys(sizes)}

    def epoch(shuffle: bool) -> float:
        for n in sizes:
            for product in products[n]:
                np.dot(*product)
        return float("nan")

    return epoch_by_epoch(epoch)


def _products(work: Work, n: int) -> list[tuple[np.ndarray, ...]]:
    """Return the operands and the output array of each product of a step."""
    kernels = initial(work)[::2]
    layers = [np.ones((n, units), "float32") for units in work.sizes]
    deltas = [np.ones((n, units), "float32") for units in work.sizes]
    there = [(layers[i], kernel, layers[i + 1]) for i, kernel in enumerate(kernels)]
    back: list[tuple[np.ndarray, ...]] = []
    for i, kernel in reversed(list(enumerate(kernels))):
        back.append((layers[i].T, deltas[i + 1], np.empty_like(kernel)))
        if i:
            back.append((deltas[i + 1], kernel.T, deltas[i]))
    return there + back


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the products of a network."""
    kernels = initial(work)[::2]

    def call(x: np.ndarray) -> np.ndarray:
        for kernel in kernels:
            x = np.dot(x, kernel)
        return x

    return call
