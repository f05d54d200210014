"""What the bookkeeping of gradients costs: one eager step beside the same arithmetic by hand.

The first seed's network: one linear neuron, a batch of 32, mean squared error, Adam. By hand means
the NumPy that one writes without a thought for speed. Run it from the project's folder:

    python -m benchmarks.eager_step
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

ROUNDS, WINDOWS, STEPS = 5, 400, 10


def by_hand() -> Callable[[], object]:
    """Return a step of the neuron in naive NumPy."""
    x, y = _data()
    w, b = np.ones((1, 1), "float32"), np.zeros(1, "float32")
    slots = [[np.zeros_like(p), np.zeros_like(p)] for p in (w, b)]
    rate, beta_1, beta_2, epsilon = 0.001, 0.9, 0.999, 1e-7
    t = 0

    def step() -> object:
        nonlocal w, b, t
        prediction = x @ w + b
        error = prediction - y
        loss = np.mean(error**2)
        ct = 2 * error / error.size
        t += 1
        alpha = rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
        new = []
        for p, g, mv in zip((w, b), (x.T @ ct, ct.sum(axis=0)), slots, strict=True):
            mv[0] = mv[0] + (g - mv[0]) * (1 - beta_1)
            mv[1] = mv[1] + (g * g - mv[1]) * (1 - beta_2)
            new.append(p - alpha * mv[0] / (np.sqrt(mv[1]) + epsilon))
        w, b = new
        return loss

    return step


def eager() -> Callable[[], object]:
    """Return a step of the same neuron as a plain training loop with tinynet takes it."""
    import tinynet as tn

    x, y = (tn.tensor(a) for a in _data())
    model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    weights = model.trainable_weights
    loss_of = tn.losses.MeanSquaredError()
    optimizer = tn.optimizers.Adam()

    def step() -> object:
        loss = loss_of(y, model(x))
        loss.backward()
        optimizer.apply([w.grad for w in weights], weights)
        return loss

    return step


def _data() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 1, 32, dtype="float32").reshape(32, 1)
    return x, 1.35 * x + 0.5


CONTESTANTS = {"by hand": by_hand, "eager": eager}


def seconds_per_step(name: str) -> float:
    """Return the time of one step in this process: the best of many short windows."""
    step = CONTESTANTS[name]()
    best = float("inf")
    for _ in range(WINDOWS):
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        best = min(best, time.perf_counter() - start)
    return best / STEPS


def main() -> None:
    """Run the contestants in turn, each in a process of its own; print the best of each."""
    best = dict.fromkeys(CONTESTANTS, float("inf"))
    for _ in range(ROUNDS):
        for name in CONTESTANTS:
            command = [sys.executable, "-m", "benchmarks.eager_step", name]
            measured = subprocess.run(command, check=True, capture_output=True, text=True)
            best[name] = min(best[name], float(measured.stdout))
    for name, seconds in best.items():
        print(f"{name:>8}: {seconds * 1e6:7.1f} us per step")
    print(f"   ratio: {best['eager'] / best['by hand']:7.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(seconds_per_step(sys.argv[1]))
    else:
        main()
