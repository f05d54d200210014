"""Models and layers that several threads use first at the same time."""

import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import normal, over
from native import NATIVE

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


def at_once(function: Callable[[], Any], count: int = THREADS) -> list[Any]:
    """Return the results of a function that `count` threads call at the same moment."""
    barrier, results = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
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


@pytest.mark.parametrize(
    "options", [{}, {"run_eagerly": True}, {"jit_compile": NATIVE}], ids=["numpy", "eager", "c"]
)
def test_an_evaluation_by_each_of_many_threads_is_that_of_its_own_data(options):
    def network() -> Any:
        model = tn.Sequential([Dense(2, kernel_initializer="ones")])
        model.compile("sgd", "mse", metrics=["mae", "accuracy"], **options)
        return model

    def evaluated(model: Any, i: int) -> tuple[int, list[float]]:
        x, y = normal(i, 40, 3), normal(i + 100, 40, 2)
        return i, model.evaluate(x, y, batch_size=8, verbose=0)

    expected = dict(evaluated(network(), i) for i in range(THREADS))
    for _ in range(3):
        model, numbers = network(), iter(range(THREADS))
        found = at_once(lambda model=model, numbers=numbers: evaluated(model, next(numbers)))
        assert dict(found) == expected


def test_training_and_evaluating_at_once_give_the_numbers_of_each_alone():
    def fitted(others: int) -> Any:
        model = tn.Sequential([Dense(1, kernel_initializer="ones")])
        model.compile("sgd", "mse", metrics=["mae"])
        calls = iter([partial(model.fit, shuffle=False)] + [model.evaluate] * others)

        def run() -> None:
            x, y = normal(3, 64, 3), normal(4, 64, 1)
            next(calls)(x, y, batch_size=4, verbose=0)

        assert at_once(run, 1 + others) == [None] * (1 + others)
        return model.history.history

    assert fitted(4) == fitted(0)


def test_first_predictions_from_many_threads_agree():
    for _ in range(5):
        model = Network()
        results = at_once(lambda model=model: model.predict(X, verbose=0))
        assert len(model.weights) == 4
        for result in results:
            np.testing.assert_array_equal(result, model.predict(X, verbose=0))
