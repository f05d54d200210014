"""scikit-learn's MLPRegressor, with options that make it compute the same numbers.

Its loss is half the squared error, summed over the outputs: `factor` times the mean squared error.
Its gradients are larger by the same factor. To get the same updates, Adam's epsilon is multiplied
by the factor, and SGD's learning rate is divided by it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, columns, initial
from . import Fit


def _regressor(work: Work, rate: float) -> Any:
    from sklearn.neural_network import MLPRegressor

    given = iter(initial(work))

    class Regressor(MLPRegressor):
        def _init_coef(self, fan_in: int, fan_out: int, dtype: Any) -> tuple[Any, Any]:
            return next(given), next(given)

    factor = work.sizes[-1] / 2
    return Regressor(
        hidden_layer_sizes=work.sizes[1:-1],
        activation="logistic",
        solver=work.optimizer,
        alpha=0,
        batch_size=work.batch,
        learning_rate_init=rate if work.optimizer == "adam" else rate / factor,
        momentum=0,
        shuffle=False,
        epsilon=1e-7 * factor,
    )


def train(work: Work) -> Fit:
    """Return the regressor's fit, which restarts each time and is timed as a whole.

    A single epoch continues the last fit, so that the start of a fit is not measured.
    """
    x, y = columns(work)
    targets = y[:, 0] if work.sizes[-1] == 1 else y
    model = _regressor(work, work.rate)

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        nonlocal model
        if epochs > 1:
            model = _regressor(work, work.rate)
        # Run all epochs, also if the loss stops improving.
        model.set_params(max_iter=epochs, shuffle=shuffle, tol=0, n_iter_no_change=epochs + 1)
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning that it did not converge
            (model.fit if epochs > 1 else model.partial_fit)(x, targets)
        seconds = time.perf_counter() - start
        return [seconds / epochs] * epochs, [2 * loss for loss in model.loss_curve_[-epochs:]]

    return fit


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the regressor's predict, after a fit that does not change the weights."""
    model = _regressor(work._replace(batch=1, rows=1), 1e-30)
    y = np.zeros(1 if work.sizes[-1] == 1 else (1, work.sizes[-1]), "float32")
    model.partial_fit(np.zeros((1, work.sizes[0]), "float32"), y)
    return lambda x: model.predict(x).reshape(len(x), -1)
