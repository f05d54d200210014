"""Training: what fit, evaluate and predict do, step by step, against NumPy and plain loops."""

import pickle
import random
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, everything, normal, over, refused
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import ops
from tinynet.callbacks import Callback
from tinynet.layers import Dense, Input, Layer

ROWS, WIDTH = 10, 3
X, Y = normal(0, ROWS, WIDTH), normal(1, ROWS, 1)


def network(seed: int = 0, optimizer: Any = None, **options: Any) -> tn.Model:
    """Return a compiled network of two layers whose weights the seed decides, in float64."""
    layers = [Dense(4, "tanh", dtype="float64"), Dense(1, dtype="float64")]
    model = tn.Sequential([Input((WIDTH,)), *layers])
    model.set_weights([normal(seed + i, *w.shape) for i, w in enumerate(model.weights)])
    model.compile(optimizer or tn.optimizers.Adam(0.05), **{"loss": "mse", **options})
    return model


def outputs(model: tn.Model, x: np.ndarray) -> np.ndarray:
    """Return the outputs of `network`, computed by NumPy."""
    w, b, v, c = model.get_weights()
    return np.tanh(x @ w + b) @ v + c


def generators() -> bytes:
    """Return the states of Python's and NumPy's global generators."""
    return pickle.dumps((random.getstate(), np.random.get_state()))


# -- the whole of fit, written out in NumPy -------------------------------------------------------


class Line:
    """Linear regression by gradient descent on the mean squared error."""

    def __init__(self, w: np.ndarray, b: np.ndarray, rate: float) -> None:
        self.w, self.b, self.rate = w, b, rate

    def errors(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x @ self.w + self.b - y

    def loss(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        return float(((self.errors(x, y) ** 2).mean(1) * weight).sum() / len(x))

    def step(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
        """Take a step; return the loss before it."""
        loss, g = self.loss(x, y, weight), 2 * self.errors(x, y) * weight[:, None] / y.size
        self.w, self.b = self.w - self.rate * x.T @ g, self.b - self.rate * g.sum(0)
        return loss


def batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[i : i + size] for i in range(0, len(order), size)]


def drawn_orders(shuffle: Any, n: int, size: int, epochs: int, seed: int) -> Iterator[list[Any]]:
    """Yield the rows of each batch of each epoch, as `np.random.seed(seed)` makes `fit` draw."""
    rng, rows = np.random.RandomState(seed), np.arange(n)
    if shuffle:  # one order is thrown away
        rng.permutation(n if shuffle is True else min(size, n))
    for _ in range(epochs):
        if shuffle == "batch":
            yield [rng.permutation(len(part)) + part[0] for part in batches(rows, size)]
        else:
            yield batches(rng.permutation(n) if shuffle else rows, size)


@settings(max_examples=40)
@given(
    n=st.integers(1, 12),
    units=st.integers(1, 3),
    size=st.integers(1, 6),
    epochs=st.integers(0, 3),
    shuffle=st.sampled_from([True, False, "batch"]),
    weighted=st.booleans(),
    eager=st.booleans(),
    seed=SEEDS,
)
def test_fit_descends_the_gradient_batch_by_batch_as_written_out(
    n, units, size, epochs, shuffle, weighted, eager, seed
):
    x, y = normal(seed, n, WIDTH), normal(seed + 1, n, units)
    weight = abs(normal(seed + 2, n)) if weighted else np.ones(n)
    model = tn.Sequential([Input((WIDTH,)), Dense(units, dtype="float64")])
    start = normal(seed + 3, WIDTH, units), normal(seed + 4, units)
    model.set_weights(start)
    model.compile(tn.optimizers.SGD(0.125), "mse", run_eagerly=eager)
    line = Line(*(w.astype("float64") for w in start), 0.125)
    expected = []
    for rows in drawn_orders(shuffle, n, size, epochs, seed):
        losses = [line.step(x[r], y[r], weight[r]) * len(r) for r in rows]
        expected.append(sum(losses) / n)
    np.random.seed(seed)
    given_weight = weight if weighted else None
    options = {"sample_weight": given_weight, "batch_size": size, "verbose": 0}
    history = model.fit(x, y, epochs=epochs, shuffle=shuffle, **options)
    assert_close(history.history.get("loss", []), np.array(expected), 1e-6)
    for found, value in zip(model.get_weights(), [line.w, line.b], strict=True):
        assert_close(found, value, 1e-6, 1e-6)
    assert int(model.optimizer.iterations) == epochs * -(-n // size)
    assert_close(model.evaluate(x, y, **options), line.loss(x, y, weight), 1e-6)
    assert_close(model.predict(x, size, verbose=0), line.errors(x, 0 * y), 1e-6, 1e-6)
