"""Models and layers that several threads use first at the same time."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import normal, over

import tinynet as tn
from tinynet.layers import Dense, Input, Layer

X = normal(0, 4, 3)
THREADS = 8


class Block(Layer):
    """A layer that makes its weights and its inner layers in `build`."""

    def build(self, input_shape: Any) -> None:
        self.inner = [Dense(3) for _ in range(2)]
        self.scale = self.add_weight(input_shape[-1:], "ones")

    def call(self, inputs: Any) -> Any:
        for layer in self.inner:
            inputs = layer(inputs)
        return inputs * self.scale


class Network(tn.Model):
    """A subclassed model, whose layers are built by its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Dense(4, "tanh"), Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.second(self.first(inputs))


# A function that makes an unbuilt layer or model, and its number of weights once built.
UNBUILT: dict[str, tuple[Callable[[], Any], int]] = {
    "a Dense layer": (lambda: Dense(2), 2),
    "a layer of layers": (Block, 5),
    "a Sequential model": (lambda: tn.Sequential([Dense(4, "tanh"), Dense(2)]), 4),
    "a subclassed model": (Network, 4),
    "a model of models": (lambda: tn.Sequential([tn.Sequential([Block()]), Network()]), 9),
}


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    """Switch between threads as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(function: Callable[[], Any]) -> list[Any]:
    """Return the results of a function that all threads call at the same moment."""
    barrier, results = threading.Barrier(THREADS), []

    def run() -> None:
        barrier.wait()
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@over(UNBUILT, "case")
def test_first_calls_from_many_threads_build_a_layer_once(case):
    make, count = case
    for _ in range(20):
        layer = make()
        results = at_once(lambda layer=layer: layer(X).numpy())
        assert len(layer.weights) == len({w.path for w in layer.weights}) == count
        for result in results:
            np.testing.assert_array_equal(result, layer(X).numpy())


def test_a_placeholder_and_arrays_from_many_threads_build_a_layer_once():
    for _ in range(20):
        layer, kinds = Block(), iter([X, Input((3,))] * THREADS)
        at_once(lambda layer=layer, kinds=kinds: layer(next(kinds)))
        assert len(layer.weights) == 5


def test_building_by_hand_from_many_threads_builds_a_model_once():
    for _ in range(20):
        model = tn.Sequential([Dense(4, "tanh"), Dense(2)])
        at_once(lambda model=model: model.build((None, 3)))
        assert len(model.weights) == 4


def test_first_predictions_from_many_threads_agree():
    for _ in range(5):
        model = Network()
        results = at_once(lambda model=model: model.predict(X, verbose=0))
        assert len(model.weights) == 4
        for result in results:
            np.testing.assert_array_equal(result, model.predict(X, verbose=0))
