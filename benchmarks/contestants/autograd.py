"""HIPS autograd. The optimizer is written by hand, because its Adam differs from Keras's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, initial
from . import Fit, step_by_step, updater


def _forward(weights: list[Any], x: Any) -> Any:
    import autograd.numpy as anp

    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = 1 / (1 + anp.exp(-(anp.dot(x, kernel) + bias)))
    return anp.dot(x, weights[-2]) + weights[-1]


def train(work: Work) -> Fit:
    """Return the fit."""
    import autograd
    import autograd.numpy as anp

    weights = initial(work)
    changes = updater(work, weights)

    def loss_of(weights: list[Any], x: Any, y: Any) -> Any:
        return anp.mean((_forward(weights, x) - y) ** 2)

    loss_and_gradients = autograd.value_and_grad(loss_of)

    def step(x: Any, y: Any) -> Any:
        loss, gradients = loss_and_gradients(weights, x, y)
        for w, change in zip(weights, changes(gradients), strict=True):
            w += change
        return loss

    return step_by_step(work, step)


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network with its initial weights."""
    weights = initial(work)
    return lambda x: _forward(weights, x)
