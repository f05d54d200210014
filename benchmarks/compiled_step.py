"""What a step of `fit` costs, beside a loop written by hand and beside other frameworks.

Sigmoid hidden layers, a linear output, mean squared error, Adam, float32, on shuffled batches. The
loop by hand is what a careful person would write in NumPy: flat parameters, preallocated buffers,
`out=` everywhere, and the same shuffling, gathering and bookkeeping of the loss. Each contestant
runs in a process of its own, in turn with the others; its time is that of its best epoch. What is
not installed is left out.

    python -m benchmarks.compiled_step [WORK ...] [--rounds N] [--threads N] [--memory]

A work is a name below or sizes:rows:batch, such as 8-32-32-1:1024:32. With `--memory`, the peak of
memory in an epoch is measured instead, without the data, for those that keep it in NumPy arrays.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Work(NamedTuple):
    """The sizes of the layers, the number of rows, the batch, and how many epochs to time."""

    sizes: tuple[int, ...]
    rows: int
    batch: int
    epochs: int


WORKS = {
    "neuron": Work((1, 1), 96, 32, 2000),
    "small": Work((8, 32, 32, 1), 1024, 32, 80),
    "mnist-sized": Work((784, 256, 128, 10), 6400, 128, 6),
    "wide": Work((1024, 2048, 2048, 10), 1536, 512, 3),
}


def work_named(name: str) -> Work:
    """Return a work by its name, or by its sizes:rows:batch."""
    if name in WORKS:
        return WORKS[name]
    sizes, rows, batch = name.split(":")
    return Work(tuple(map(int, sizes.split("-"))), int(rows), int(batch), 20)


def data(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets, the same in every process."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((work.rows, work.sizes[0]), "float32")
    y = rng.standard_normal((work.rows, work.sizes[-1]), "float32")
    return x, y


def initial(work: Work) -> list[np.ndarray]:
    """Return the initial kernels and biases, the same in every process."""
    rng = np.random.default_rng(1)
    weights: list[np.ndarray] = []
    for before, after in zip(work.sizes, work.sizes[1:], strict=False):
        limit = (6 / (before + after)) ** 0.5
        weights.append(rng.uniform(-limit, limit, (before, after)).astype("float32"))
        weights.append(np.zeros(after, "float32"))
    return weights


def by_hand(work: Work) -> Callable[[], float]:
    """Return an epoch in hand-written NumPy; it returns the loss."""
    x_all, y_all = data(work)
    weights = initial(work)
    parameters = np.concatenate([w.ravel() for w in weights])
    gradients, m, v, t1, t2 = (np.zeros_like(parameters) for _ in range(5))
    ends = np.cumsum([w.size for w in weights])
    views = [
        [flat[end - w.size : end].reshape(w.shape) for w, end in zip(weights, ends, strict=True)]
        for flat in (parameters, gradients)
    ]
    kernels, biases = views[0][::2], views[0][1::2]
    d_kernels, d_biases = views[1][::2], views[1][1::2]
    n = work.batch
    x = np.empty((n, work.sizes[0]), "float32")
    y = np.empty((n, work.sizes[-1]), "float32")
    outputs = [np.empty((n, units), "float32") for units in work.sizes[1:]]
    deltas = [np.empty_like(out) for out in outputs]
    slopes = [np.empty_like(out) for out in outputs]
    inputs = [x, *outputs[:-1]]
    one, scale, share_1, share_2, epsilon, alpha, mean = (
        np.array(number, "float32")
        for number in (1, 2 / y.size, 1 - 0.9, 1 - 0.999, 1e-7, 0, 1 / y.size)
    )
    loss = np.empty((), "float32")
    step = 0
    last = len(outputs) - 1
    add, subtract, multiply, divide = np.add, np.subtract, np.multiply, np.divide
    dot, exp, negative, square, sqrt, reduce = (
        np.dot,
        np.exp,
        np.negative,
        np.square,
        np.sqrt,
        np.add.reduce,
    )
    # NumPy adds an array of one element faster if it has no axes.
    shifts = [b.reshape(()) if b.size == 1 else b for b in biases]
    kernels_t, inputs_t = [k.T for k in kernels], [a.T for a in inputs]

    def epoch() -> float:
        nonlocal step
        total = 0.0
        order = np.random.permutation(work.rows)
        for start in range(0, work.rows, n):
            rows = order[start : start + n]
            x_all.take(rows, 0, x, "clip")
            y_all.take(rows, 0, y, "clip")
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
            square(delta, slopes[last])
            reduce(slopes[last], None, None, loss)
            multiply(loss, mean, loss)
            multiply(delta, scale, delta)
            for i in range(last, -1, -1):
                delta = deltas[i]
                dot(inputs_t[i], delta, d_kernels[i])
                reduce(delta, 0, None, d_biases[i])
                if i:
                    dot(delta, kernels_t[i], deltas[i - 1])
                    subtract(one, outputs[i - 1], slopes[i - 1])
                    multiply(slopes[i - 1], outputs[i - 1], slopes[i - 1])
                    multiply(deltas[i - 1], slopes[i - 1], deltas[i - 1])
            step += 1
            alpha[()] = 0.001 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
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
            total += float(loss) * n
        return total / work.rows

    return epoch


def _keras_like(work: Work, library: object) -> Callable[[int], tuple[list[float], list[float]]]:
    """Return a fit of a model in a library with Keras's face: times and losses of its epochs."""
    layers, callbacks = library.layers, library.callbacks  # type: ignore[attr-defined]
    x, y = data(work)
    hidden = [layers.Dense(units, activation="sigmoid") for units in work.sizes[1:-1]]
    model = library.Sequential(  # type: ignore[attr-defined]
        [library.Input((work.sizes[0],)), *hidden, layers.Dense(work.sizes[-1])]  # type: ignore[attr-defined]
    )
    model.set_weights(initial(work))
    model.compile(optimizer="adam", loss="mse")

    class Clock(callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            self.times.append(time.perf_counter() - self.start)

    def fit(epochs: int) -> tuple[list[float], list[float]]:
        clock = Clock()
        history = model.fit(
            x, y, batch_size=work.batch, epochs=epochs, verbose=0, callbacks=[clock]
        )
        return clock.times, history.history["loss"]

    return fit


def tinynet(work: Work) -> Callable[[int], tuple[list[float], list[float]]]:
    """Return the fit of tinynet."""
    import tinynet as library

    return _keras_like(work, library)


def keras(work: Work) -> Callable[[int], tuple[list[float], list[float]]]:
    """Return the fit of Keras on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras as library

    return _keras_like(work, library)


def torch(work: Work) -> Callable[[], float]:
    """Return an epoch in PyTorch, eager, with its fused Adam."""
    import torch as library

    x, y = (library.from_numpy(a) for a in data(work))
    layers: list[object] = []
    for before, after in zip(work.sizes, work.sizes[1:], strict=False):
        layers += [library.nn.Linear(before, after), library.nn.Sigmoid()]
    model = library.nn.Sequential(*layers[:-1])
    with library.no_grad():
        for p, w in zip(model.parameters(), initial(work), strict=True):
            p.copy_(library.from_numpy(w.T.copy() if w.ndim == 2 else w))
    optimizer = library.optim.Adam(model.parameters(), lr=0.001, eps=1e-7, fused=True)
    loss_of = library.nn.MSELoss()

    def epoch() -> float:
        total = 0.0
        order = library.randperm(work.rows)
        for start in range(0, work.rows, work.batch):
            rows = order[start : start + work.batch]
            loss = loss_of(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        return total / work.rows

    return epoch


def timed(epoch: Callable[[], float]) -> Callable[[int], tuple[list[float], list[float]]]:
    """Return a fit made of single epochs."""

    def fit(epochs: int) -> tuple[list[float], list[float]]:
        times, losses = [], []
        for _ in range(epochs):
            start = time.perf_counter()
            losses.append(epoch())
            times.append(time.perf_counter() - start)
        return times, losses

    return fit


CONTESTANTS: dict[str, tuple[str, Callable[[Work], Callable[[int], tuple[list, list]]]]] = {
    "by hand": ("numpy", lambda work: timed(by_hand(work))),
    "tinynet": ("tinynet", tinynet),
    "keras on jax": ("keras", keras),
    "torch eager": ("torch", lambda work: timed(torch(work))),
}


def measure(contestant: str, work: Work) -> dict[str, float]:
    """Return seconds per step, at best, and the loss of the last epoch, in this process."""
    np.random.seed(0)
    fit = CONTESTANTS[contestant][1](work)
    fit(2)
    times, losses = fit(work.epochs)
    steps = -(-work.rows // work.batch)
    return {"seconds": min(times) / steps, "loss": losses[-1]}


def measure_memory(contestant: str, work: Work) -> dict[str, float]:
    """Return the bytes of NumPy's arrays at the peak of an epoch, beside the data itself."""
    np.random.seed(0)
    importlib.import_module(CONTESTANTS[contestant][0])
    given = sum(array.nbytes for array in data(work))
    tracemalloc.start()
    fit = CONTESTANTS[contestant][1](work)
    fit(2)
    gc.collect()
    tracemalloc.reset_peak()
    _, losses = fit(1)
    return {"bytes": tracemalloc.get_traced_memory()[1] - given, "loss": losses[-1]}


def main() -> None:
    """Run the contestants in turn, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", default=list(WORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measured = measure_memory if options.memory else measure
        print(json.dumps(measured(options.one, work_named(options.works[0]))))
        return
    present = [n for n, (module, _) in CONTESTANTS.items() if importlib.util.find_spec(module)]
    key, unit, scale = "seconds", "us per step", 1e6
    if options.memory:
        present, key, unit, scale = ["by hand", "tinynet"], "bytes", "kB", 1 / 1024
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads)
    )
    print(f"{options.threads} threads, best of {options.rounds} rounds; {unit} (ratio)")
    for name in options.works:
        results: dict[str, list[dict[str, float]]] = {n: [] for n in present}
        for _ in range(options.rounds):
            for contestant in present:
                command = [sys.executable, "-m", "benchmarks.compiled_step", name]
                run = subprocess.run(
                    [*command, "--one", contestant, *["--memory"] * options.memory],
                    env={**os.environ, **threads},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                results[contestant].append(json.loads(run.stdout.splitlines()[-1]))
        best = {n: min(r[key] for r in found) for n, found in results.items()}
        for n, amount in best.items():
            ratio = amount / best["by hand"]
            loss = results[n][0]["loss"]
            print(f"{name:>12} {n:>13}: {amount * scale:10.1f} ({ratio:6.2f})  loss {loss:.5f}")


if __name__ == "__main__":
    main()
