"""MyGrad, without its memory guard, as its manual recommends for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, initial
from . import Fit, step_by_step, updater


def _tensors(work: Work) -> list[Any]:
    import mygrad

    mygrad.turn_memory_guarding_off()
    return [mygrad.tensor(w) for w in initial(work)]


def _forward(weights: list[Any], x: Any) -> Any:
    import mygrad
    from mygrad.nnet.activations import sigmoid

    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = sigmoid(mygrad.matmul(x, kernel) + bias)
    return mygrad.matmul(x, weights[-2]) + weights[-1]


def train(work: Work) -> Fit:
    """Return the fit."""
    import mygrad

    weights = _tensors(work)
    changes = updater(work, [w.data for w in weights])

    def step(x: Any, y: Any) -> Any:
        loss = mygrad.mean((_forward(weights, x) - y) ** 2)
        loss.backward()
        for w, change in zip(weights, changes([w.grad for w in weights]), strict=True):
            w.data += change
        return loss.data

    return step_by_step(work, step)


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network with its initial weights; it records no graph."""
    import mygrad

    weights = _tensors(work)

    def call(x: np.ndarray) -> np.ndarray:
        with mygrad.no_autodiff:
            return _forward(weights, x).data

    return call
