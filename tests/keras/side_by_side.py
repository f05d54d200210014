"""Comparison of tinynet with Keras: networks that are built in both, and the tolerance.

A test is a function of the library, `run(lib)`. `in_both` runs it in tinynet and in Keras from the
same seed, so that both start with the same weights and shuffle alike.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any, NamedTuple

import keras
import numpy as np
from helpers import RTOL as RTOL, assert_agree as assert_agree
from hypothesis import strategies as st
from roads import ROADS, is_plain, known, taking

import tinynet as tn

Library = ModuleType


def in_both(run: Callable[[Library], Any], seed: int = 0) -> list[Any]:
    """Return the results of `run` for tinynet and for Keras, each after a reset to `seed`.

    Those of Keras are kept for the other roads of tinynet, if they are plain data.
    """
    found = _after_reset(run, tn, seed)
    key = known(run, keras, seed)
    expected = _of_keras.get(key) if key else None
    if expected is None:
        expected = _after_reset(run, keras, seed)
        if key and is_plain(expected):
            _of_keras[key] = copy.deepcopy(expected)
    return [found, copy.deepcopy(expected) if key in _of_keras else expected]


_of_keras: dict[Any, Any] = {}


def _after_reset(run: Callable[[Library], Any], lib: Library, seed: int) -> Any:
    tn.utils.clear_session()
    keras.utils.clear_session(free_memory=False)
    lib.utils.set_random_seed(seed)
    return run(lib)


def assert_both_agree(run: Callable[[Library], Any], seed: int = 0, rtol: float = RTOL) -> None:
    """Assert that `run` returns the same results for tinynet and Keras."""
    assert_agree(*in_both(run, seed), rtol)


def assert_all_roads_agree(run: Callable[[Library, Any], Any], seed: int = 0) -> None:
    """Assert that `run(lib, run_eagerly)` returns the same for tinynet, on all roads, and Keras.

    A test of drawn networks draws others if a fixture calls it again; here Keras runs each once.
    """
    for road in ROADS:
        print(f"tinynet is {road.name}")  # pytest shows it after a failure
        with taking(road, run.__qualname__):
            assert_both_agree(partial(run, run_eagerly=road), seed)


# -- networks -------------------------------------------------------------------------------------

ROWS, WIDTH = 20, 3  # few shapes, because JAX compiles each operation for each shape

ACTIVATIONS = st.sampled_from([None, "linear", "sigmoid", "tanh", "relu", "softmax"])


class Spec(NamedTuple):
    """A dense layer."""

    units: int
    activation: str | None
    use_bias: bool

    def build(self, lib: Library, **kwargs: Any) -> Any:
        return lib.layers.Dense(*self, **kwargs)


class Stack(NamedTuple):
    """A Sequential of dense layers; if `lazy`, it is built when it is first called."""

    layers: list[Spec]
    lazy: bool = False
    inputs = 1

    def build(self, lib: Library) -> Any:
        entrance = [] if self.lazy else [lib.layers.Input((WIDTH,))]
        return lib.Sequential([*entrance, *(spec.build(lib) for spec in self.layers)])


class Graph(NamedTuple):
    """A functional model: each step calls a layer on one tensor, or merges two tensors.

    Tensors are numbered, starting with the inputs. Layers of `pool` may be used several times or
    never, and may be models themselves.
    """

    inputs: int
    pool: list[Spec | Stack]
    steps: list[tuple[int, ...]]  # (layer, tensor) or (-1, tensor, tensor)
    outputs: int

    def build(self, lib: Library) -> Any:
        tensors = [lib.Input((WIDTH,)) for _ in range(self.inputs)]
        layers = [spec.build(lib) for spec in self.pool]
        for layer, *sources in self.steps:
            given = [tensors[i] for i in sources]
            tensors.append(merge(lib)()(given) if layer < 0 else layers[layer](given[0]))
        inputs = tensors[: self.inputs]
        last = lib.layers.Dense(self.outputs)(tensors[-1])
        return lib.Model(inputs if self.inputs > 1 else inputs[0], last)


@cache
def merge(lib: Library) -> Any:
    """Return the class of a custom layer with two inputs and one weight."""

    class Merge(lib.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.gate = self.add_weight(
                shape=input_shape[0][-1:], initializer="glorot_uniform", name="gate"
            )

        def call(self, inputs: Any) -> Any:
            first, second = inputs
            return first * self.gate + second

    return Merge


@st.composite
def specs(draw: Any, widths: Any = st.sampled_from([1, WIDTH])) -> Spec:
    units, activation = draw(widths), draw(ACTIVATIONS)
    # The softmax of a single number warns.
    activation = "tanh" if (units, activation) == (1, "softmax") else activation
    return Spec(units, activation, draw(st.booleans()))


def stacks(lazy: Any = st.just(False)) -> Any:
    return st.builds(Stack, st.lists(specs(), min_size=1, max_size=4), lazy)


@st.composite
def graphs(draw: Any, layers: int = 3, steps: int = 6) -> Graph:
    """Draw a graph of at most that many layers and steps, most of which lead to the output."""
    inputs = draw(st.integers(1, 2))
    spec = specs(st.just(WIDTH))
    model = st.builds(Stack, st.lists(spec, min_size=1, max_size=2))
    pool = draw(st.lists(spec | spec | model, min_size=1, max_size=layers))
    taken: list[tuple[int, ...]] = []
    for count in range(inputs, inputs + draw(st.integers(1, steps))):
        recent = st.integers(max(0, count - 4), count - 1)
        through = st.tuples(st.integers(0, len(pool) - 1), recent)
        together = st.tuples(st.just(-1), recent, recent)
        taken.append(draw(through | together))
    return Graph(inputs, pool, taken, draw(st.sampled_from([1, WIDTH])))


# -- data -----------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**16)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Return normally distributed float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def inputs_for(network: Stack | Graph, seed: int, rows: int = ROWS) -> Any:
    """Return data for a network of one input, or a list of arrays for several."""
    arrays = [numbers(seed + 10 * i, rows, WIDTH) for i in range(network.inputs)]
    return arrays if network.inputs > 1 else arrays[0]


def give_weights(model: Any, seed: int) -> None:
    """Set all weights, including biases, to random numbers."""
    shapes = [w.shape for w in model.weights]
    model.set_weights([0.8 * numbers(seed + i, *shape) for i, shape in enumerate(shapes)])
