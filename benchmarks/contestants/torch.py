"""PyTorch with its fused Adam; eager, or with the model and the loss compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, columns, initial
from . import Fit, epoch_by_epoch


def _model(work: Work) -> Any:
    import torch

    layers: list[Any] = []
    for before, after in zip(work.sizes, work.sizes[1:], strict=False):
        layers += [torch.nn.Linear(before, after), torch.nn.Sigmoid()]
    model = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, w in zip(model.parameters(), initial(work), strict=True):
            p.copy_(torch.from_numpy(w.T.copy() if w.ndim == 2 else w))
    return model


def train(work: Work, compiled: bool = False) -> Fit:
    """Return the usual training loop.

    PyTorch adds Adam's epsilon to the bias-corrected velocity, Keras to the uncorrected one. So the
    epsilon for PyTorch is divided by the correction at each step.
    """
    import torch

    x, y = (torch.from_numpy(a) for a in columns(work))
    model = _model(work)
    weights = list(model.parameters())
    optimizer = (
        torch.optim.Adam(weights, lr=work.rate, eps=1e-7, fused=True)
        if work.optimizer == "adam"
        else torch.optim.SGD(weights, lr=work.rate)
    )
    settings, step = optimizer.param_groups[0], 0
    mean_squared_error = torch.nn.MSELoss()

    def loss_of(x: Any, y: Any) -> Any:
        return mean_squared_error(model(x), y)

    if compiled:
        loss_of = torch.compile(loss_of)

    def epoch(shuffle: bool) -> float:
        nonlocal step
        total = torch.zeros(())
        order = torch.randperm(work.rows) if shuffle else torch.arange(work.rows)
        for start in range(0, work.rows, work.batch):
            rows = order[start : start + work.batch]
            loss = loss_of(x[rows], y[rows])
            optimizer.zero_grad()
            loss.backward()
            step += 1
            if "eps" in settings:
                settings["eps"] = 1e-7 / (1 - 0.999**step) ** 0.5
            optimizer.step()
            total += loss.detach() * len(rows)
        return total.item() / work.rows

    return epoch_by_epoch(epoch)


def predict(work: Work, compiled: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """Return the model, from an array to an array."""
    import torch

    model = _model(work)
    forward = torch.compile(model) if compiled else model

    def call(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return forward(torch.from_numpy(x)).numpy()

    return call
