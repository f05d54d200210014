"""The model that a user writes with Keras's API: in tinynet, or in Keras on a backend."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..functions import FUNCTIONS
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

    seconds = 0.0

    class Clock(face.callbacks.Callback):
        """Reads the clock before the first and after the last epoch."""

        def on_train_begin(self, logs: Any = None) -> None:
            nonlocal seconds
            seconds = -time.perf_counter()

        def on_train_end(self, logs: Any = None) -> None:
            nonlocal seconds
            seconds += time.perf_counter()

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        nonlocal seconds
        given = {"batch_size": work.batch, "epochs": epochs, "verbose": 0, "shuffle": shuffle}
        # Keras needs milliseconds to prepare a fit, which do not count here. Tinynet's do: it runs
        # several epochs in one call if there is no callback.
        calls = [Clock()] if library == "keras" else []
        start = time.perf_counter()
        history = model.fit(x, y, callbacks=calls, **given)
        if not calls:
            seconds = time.perf_counter() - start
        if options.get("jit_compile") and not model.train_function.native:
            raise RuntimeError("the training step does not run as C")
        return [seconds / epochs] * epochs, history.history["loss"]

    return fit


def function(work: Work, library: str, jit_compile: bool = False) -> Callable[[], Any]:
    """Return the derivative of the work's function at its point, compiled by `tinynet.jit`."""
    face: Any = importlib.import_module(library)
    chosen = FUNCTIONS[work.data]

    def derivative(u: Any) -> Any:
        return face.grad(lambda x: u(x).sum())

    differentiated = getattr(face, chosen.derivative)(chosen.make(face.ops, derivative))
    call = face.jit(differentiated, native=jit_compile)
    point = face.tree.map_structure(face.tensor, chosen.point())
    return lambda: call(point)


def predict(work: Work, library: str, **options: Any) -> Callable[[np.ndarray], Any]:
    """Return a prediction in one batch: `predict`, or for Keras the call that it recommends."""
    _, model = _model(work, library, **options)
    if work.rows == 1:
        return model.predict_on_batch
    return lambda x: model.predict(x, batch_size=len(x), verbose=0)
