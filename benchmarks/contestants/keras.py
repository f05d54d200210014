"""The model that a user writes with Keras's API: in tinynet, or in Keras on a backend."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, data, initial
from . import Fit


def _model(work: Work, library: str, **options: Any) -> tuple[Any, Any]:
    """Return the library and its model, built as in the first seed, and compiled."""
    face: Any = importlib.import_module(library)
    inputs = outputs = face.Input(shape=[work.sizes[0]])
    for units in work.sizes[1:-1]:
        outputs = face.layers.Dense(units, activation="sigmoid")(outputs)
    outputs = face.layers.Dense(work.sizes[-1], activation="linear")(outputs)
    model = face.models.Model(inputs=inputs, outputs=outputs)
    model.set_weights(initial(work))
    optimizer = {"adam": face.optimizers.Adam, "sgd": face.optimizers.SGD}[work.optimizer]
    rate = optimizer(learning_rate=work.rate)
    model.compile(loss="mean_squared_error", optimizer=rate, **options)
    return face, model


def train(work: Work, library: str, **options: Any) -> Fit:
    """Return the model's fit."""
    face, model = _model(work, library, **options)
    x, y = data(work)

    class Clock(face.callbacks.Callback):
        times: list[float]

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.times.append(time.perf_counter() - self.start)

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        clock = Clock()
        clock.times = []
        given = {"batch_size": work.batch, "epochs": epochs, "verbose": 0, "shuffle": shuffle}
        history = model.fit(x, y, callbacks=[clock], **given)
        return clock.times, history.history["loss"]

    return fit


def predict(work: Work, library: str, **options: Any) -> Callable[[np.ndarray], Any]:
    """Return a prediction in one batch: `predict`, or for Keras the call that it recommends."""
    _, model = _model(work, library, **options)
    if work.rows == 1:
        return model.predict_on_batch
    return lambda x: model.predict(x, batch_size=len(x), verbose=0)
