"""`PyDataset` beside Keras: the same calls in the same order, and the same training."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest

import tinynet as tn

X = np.random.default_rng(0).normal(size=(14, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(14, 1)).astype("float32")


def batches(lib: ModuleType, log: list[Any]) -> Any:
    class Batches(lib.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.indices = np.arange(len(X))

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            log.append(index)
            rows = self.indices[4 * index : 4 * index + 4]
            return X[rows], Y[rows]

        def on_epoch_begin(self) -> None:
            log.append("begin")

        def on_epoch_end(self) -> None:
            log.append("end")
            np.random.shuffle(self.indices)

    return Batches()


def run(lib: ModuleType, options: dict[str, Any]) -> Any:
    lib.utils.set_random_seed(3)
    model = lib.Sequential(
        [lib.layers.Input((3,)), lib.layers.Dense(4, "tanh"), lib.layers.Dense(1)]
    )
    model.compile("adam", "mse", run_eagerly=lib is keras)
    logs: dict[str, list[Any]] = {name: [] for name in ("fit", "again", "test", "predict", "val")}
    made = {name: batches(lib, log) for name, log in logs.items()}
    first = model.fit(made["fit"], epochs=2, verbose=0, validation_data=made["val"], **options)
    second = model.fit(made["again"], epochs=2, verbose=0, **options)
    numbers = first.history, second.history, model.evaluate(made["test"], verbose=0)
    predicted = model.predict(made["predict"], verbose=0)
    return logs, numbers, predicted


@pytest.mark.parametrize("options", [{}, {"shuffle": False, "steps_per_epoch": 4}])
def test_batches_are_read_in_the_order_of_keras_and_train_alike(options):
    (logs, numbers, predicted), (expected_logs, expected, expected_predicted) = (
        run(lib, options) for lib in (tn, keras)
    )
    for name, log in logs.items():
        # Batch 0 is looked at first. Keras looks at one in an epoch of its own, if it must build.
        looked = [] if name == "predict" else [0]
        assert log == looked + expected_logs[name][2 if name == "fit" else 0 :]
    for found, theirs in zip(numbers[:2], expected[:2], strict=True):
        for key, values in theirs.items():
            np.testing.assert_allclose(found[key], values, rtol=1e-5)
    np.testing.assert_allclose(numbers[2], expected[2], rtol=1e-5)
    np.testing.assert_allclose(predicted, expected_predicted, rtol=1e-4, atol=1e-6)
