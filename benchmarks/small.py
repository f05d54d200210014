"""Micro-benchmarks of single functions, for work on the source, in the format of asv.

`asv` finds them if its `benchmark_dir` is this folder; ``python -m benchmarks small [NAME ...]``
runs them without asv. Read next: `harness.py`.
"""

from __future__ import annotations

import argparse
import inspect
import timeit
from collections.abc import Callable, Iterator

import numpy as np

import tinynet as tn
from tinynet.engine.primitives import REGISTRY
from tinynet.engine.tensor import bind


class Eager:
    """Single operations, and the backward pass."""

    def setup(self) -> None:
        """Make the tensors."""
        self.x = tn.tensor(np.ones((32, 32), "float32"), requires_grad=True)
        self.plain, self.add = self.x.detach(), REGISTRY["add"]

    def time_bind(self) -> None:
        """One operation without a gradient."""
        bind(self.add, self.plain, self.plain)

    def time_bind_with_gradient(self) -> None:
        """One operation that is recorded for the gradient."""
        bind(self.add, self.x, self.x)

    def time_chain_of_20(self) -> None:
        """Twenty operations in a chain."""
        y = self.x
        for _ in range(20):
            y = y + y

    def time_chain_of_20_and_backward(self) -> None:
        """Twenty operations in a chain, and their backward pass."""
        y = self.x
        for _ in range(20):
            y = y + y
        y.sum().backward()
        self.x.zero_grad()


class Training:
    """A network of two hidden layers."""

    def setup(self) -> None:
        """Make the model and compile its steps."""
        units = [tn.layers.Dense(32, activation="sigmoid") for _ in range(2)]
        self.model = tn.Sequential([tn.Input((8,)), *units, tn.layers.Dense(1)])
        self.model.compile(optimizer="adam", loss="mse")
        self.x = np.ones((32, 8), "float32")
        self.y = np.ones((32, 1), "float32")
        self.model.train_on_batch(self.x, self.y)
        self.model.predict(self.x[:1], verbose=0)
        self.many = np.ones((3200, 8), "float32"), np.ones((3200, 1), "float32")

    def time_forward(self) -> None:
        """An eager forward pass."""
        self.model(self.x)

    def time_compiled_step(self) -> None:
        """One compiled training step."""
        self.model.train_on_batch(self.x, self.y)

    def time_epoch_of_100_compiled_steps(self) -> None:
        """`fit` with a hundred compiled steps."""
        self.model.fit(*self.many, verbose=0)

    def time_predict_one_row(self) -> None:
        """`predict` of one row."""
        self.model.predict(self.x[:1], verbose=0)


class Compiling:
    """Building a model and compiling its first step."""

    def setup(self) -> None:
        """Make the data."""
        self.x, self.y = np.ones((32, 8), "float32"), np.ones((32, 1), "float32")

    def time_build(self) -> None:
        """Build a model of three layers."""
        units = [tn.layers.Dense(32, activation="sigmoid") for _ in range(2)]
        self.model = tn.Sequential([tn.Input((8,)), *units, tn.layers.Dense(1)])

    def time_build_compile_and_first_step(self) -> None:
        """Build the model, record and compile its step, and run it once."""
        self.time_build()
        self.model.compile(optimizer="adam", loss="mse")
        self.model.train_on_batch(self.x, self.y)


def benchmarks() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the names and functions, ready to run."""
    for suite in (Eager, Training, Compiling):
        made = suite()
        made.setup()
        for name, function in inspect.getmembers(made, inspect.ismethod):
            if name.startswith("time_"):
                yield f"{suite.__name__}.{name}", function


def main(arguments: list[str]) -> None:
    """Print the best of five times in microseconds, for names that contain one of the words."""
    parser = argparse.ArgumentParser("python -m benchmarks small")
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a name; default all")
    wanted = parser.parse_args(arguments).names
    known = dict(benchmarks())
    unknown = [word for word in wanted if not any(word in name for name in known)]
    if unknown:
        parser.error(f"NAME must be part of {', '.join(known)}. Received: {', '.join(unknown)}")
    for name, function in known.items():
        if not wanted or any(word in name for word in wanted):
            timer = timeit.Timer(function)
            count, _ = timer.autorange()
            best = min(timer.repeat(5, count)) / count
            print(f"{best * 1e6:10.1f} µs  {name}", flush=True)
