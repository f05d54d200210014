"""Optimized NumPy code for a dense network, the base of all ratios.

It uses flat parameters, preallocated buffers and `out=` everywhere. In float64 it is also the
reference for losses and outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..works import Work, columns, initial
from . import Fit, epoch_by_epoch, order_of


def train(work: Work, dtype: str = "float32") -> Fit:
    """Return the fit."""
    x_all, y_all = columns(work, dtype)
    weights = [w.astype(dtype) for w in initial(work)]
    parameters = np.concatenate([w.ravel() for w in weights])
    gradients = np.zeros_like(parameters)
    ends = np.cumsum([w.size for w in weights])
    views = [
        [flat[end - w.size : end].reshape(w.shape) for w, end in zip(weights, ends, strict=True)]
        for flat in (parameters, gradients)
    ]
    update = {"adam": _adam, "sgd": _sgd}[work.optimizer](work.rate, parameters, gradients)
    sizes = [min(work.batch, work.rows - start) for start in range(0, work.rows, work.batch)]
    # A smaller last batch has its own buffers.
    of_size = {n: _loss_and_gradients(work, n, *views) for n in dict.fromkeys(sizes)}

    def epoch(shuffle: bool) -> float:
        total = 0.0
        order = order_of(work, shuffle)
        start = 0
        for n in sizes:
            x, y, loss_and_gradients = of_size[n]
            rows = order[start : start + n]
            x_all.take(rows, 0, x, "clip")
            y_all.take(rows, 0, y, "clip")
            loss = loss_and_gradients()
            update()
            total += loss * n
            start += n
        return total / work.rows

    return epoch_by_epoch(epoch)


def _loss_and_gradients(work: Work, n: int, values: list[Any], slopes: list[Any]) -> tuple:
    """Return the buffers of a batch, and a function that computes on them."""
    kernels, biases, d_kernels, d_biases = values[::2], values[1::2], slopes[::2], slopes[1::2]
    dtype = kernels[0].dtype
    x, y = np.empty((n, work.sizes[0]), dtype), np.empty((n, work.sizes[-1]), dtype)
    outputs = [np.empty((n, units), dtype) for units in work.sizes[1:]]
    deltas = [np.empty_like(out) for out in outputs]
    spare = [np.empty_like(out) for out in outputs]
    inputs = [x, *outputs[:-1]]
    one, scale, mean = (np.array(number, dtype) for number in (1, 2 / y.size, 1 / y.size))
    loss = np.empty((), dtype)
    last = len(outputs) - 1
    add, subtract, multiply, divide, square = np.add, np.subtract, np.multiply, np.divide, np.square
    dot, exp, negative, reduce = np.dot, np.exp, np.negative, np.add.reduce
    # NumPy adds an array of one element faster if it has no axes.
    shifts = [b.reshape(()) if b.size == 1 else b for b in biases]
    kernels_t, inputs_t = [k.T for k in kernels], [a.T for a in inputs]

    def loss_and_gradients() -> float:
        for i, out in enumerate(outputs):
            dot(inputs[i], kernels[i], out)
            add(out, shifts[i], out)
            if i < last:
                negative(out, out)
                exp(out, out)
                add(out, one, out)
                divide(one, out, out)
        delta = deltas[last]
        subtract(outputs[last], y, delta)
        square(delta, spare[last])
        reduce(spare[last], None, None, loss)
        multiply(loss, mean, loss)
        multiply(delta, scale, delta)
        for i in range(last, -1, -1):
            delta = deltas[i]
            dot(inputs_t[i], delta, d_kernels[i])
            reduce(delta, 0, None, d_biases[i])
            if i:
                dot(delta, kernels_t[i], deltas[i - 1])
                subtract(one, outputs[i - 1], spare[i - 1])
                multiply(spare[i - 1], outputs[i - 1], spare[i - 1])
                multiply(deltas[i - 1], spare[i - 1], deltas[i - 1])
        return float(loss)

    return x, y, loss_and_gradients


def _adam(rate: float, parameters: np.ndarray, gradients: np.ndarray) -> Callable[[], None]:
    m, v, t1, t2 = (np.zeros_like(parameters) for _ in range(4))
    share_1, share_2, epsilon, alpha = (
        np.array(number, parameters.dtype) for number in (1 - 0.9, 1 - 0.999, 1e-7, 0)
    )
    add, subtract, multiply, divide, sqrt = np.add, np.subtract, np.multiply, np.divide, np.sqrt
    step = 0

    def update() -> None:
        nonlocal step
        step += 1
        alpha[()] = rate * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
        subtract(gradients, m, t1)
        multiply(t1, share_1, t1)
        add(m, t1, m)
        multiply(gradients, gradients, t1)
        subtract(t1, v, t1)
        multiply(t1, share_2, t1)
        add(v, t1, v)
        multiply(m, alpha, t1)
        sqrt(v, t2)
        add(t2, epsilon, t2)
        divide(t1, t2, t1)
        subtract(parameters, t1, parameters)

    return update


def _sgd(rate: float, parameters: np.ndarray, gradients: np.ndarray) -> Callable[[], None]:
    change, alpha = np.empty_like(parameters), np.array(rate, parameters.dtype)

    def update() -> None:
        np.multiply(gradients, alpha, change)
        np.subtract(parameters, change, parameters)

    return update


def predict(work: Work, dtype: str = "float32") -> Callable[[np.ndarray], np.ndarray]:
    """Return the network with its initial weights."""
    weights = [w.astype(dtype) for w in initial(work)]
    *hidden, (kernel, bias) = zip(weights[::2], weights[1::2], strict=True)

    def call(x: np.ndarray) -> np.ndarray:
        for w, b in hidden:
            x = np.dot(x, w)
            np.add(x, b, x)
            np.negative(x, x)
            np.exp(x, x)
            np.add(x, 1, x)
            np.divide(1, x, x)
        x = np.dot(x, kernel)
        return np.add(x, bias, x)

    return call
