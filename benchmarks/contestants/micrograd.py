"""micrograd: scalars only. It has no sigmoid, so one is defined here in its own style.

Its backward pass is recursive, as deep as the longest sum.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, initial
from . import Fit, step_by_step, updater


def _sigmoid(value: Any) -> Any:
    from micrograd.engine import Value

    out = Value(1 / (1 + math.exp(-value.data)), (value,), "sigmoid")

    def _backward() -> None:
        value.grad += out.data * (1 - out.data) * out.grad

    out._backward = _backward
    return out


def _values(work: Work) -> list[Any]:
    """Return the weights as lists of scalars: a kernel has a list for each unit."""
    from micrograd.engine import Value

    weights = [w.T.tolist() for w in initial(work)]
    return [
        [[Value(n) for n in unit] if isinstance(unit, list) else Value(unit) for unit in w]
        for w in weights
    ]


def _forward(weights: list[Any], row: list[Any]) -> list[Any]:
    for i in range(0, len(weights), 2):
        sums = [
            sum((w * x for w, x in zip(unit, row, strict=True)), bias)
            for unit, bias in zip(weights[i], weights[i + 1], strict=True)
        ]
        row = [_sigmoid(value) for value in sums] if i < len(weights) - 2 else sums
    return row


def train(work: Work) -> Fit:
    """Return the fit."""
    sys.setrecursionlimit(100_000)
    weights = _values(work)
    flat = [n for w in weights for unit in w for n in (unit if isinstance(unit, list) else [unit])]
    changes = updater(work, [n.data for n in flat])

    def step(x: Any, y: Any) -> float:
        outputs = [_forward(weights, row) for row in x.tolist()]
        errors = [
            (out - wanted) ** 2
            for row, targets in zip(outputs, y.tolist(), strict=True)
            for out, wanted in zip(row, targets, strict=True)
        ]
        loss = sum(errors[1:], errors[0]) * (1 / len(errors))
        for n in flat:
            n.grad = 0
        loss.backward()
        for n, change in zip(flat, changes([n.grad for n in flat]), strict=True):
            n.data += change
        return loss.data

    return step_by_step(work, step)


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the network with its initial weights."""
    weights = _values(work)
    return lambda x: np.array([[n.data for n in _forward(weights, row)] for row in x.tolist()])
