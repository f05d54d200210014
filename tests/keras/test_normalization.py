"""Normalizing and random layers compared with Keras: training, inference, state, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import SEEDS, assert_both_agree, numbers

import tinynet as tn

SHAPE = (8, 4, 3)
some = settings(max_examples=6, deadline=None)

LAYERS: dict[str, Callable[[Any], Any]] = {
    "BatchNormalization": lambda lib: lib.layers.BatchNormalization(),
    "of an axis": lambda lib: lib.layers.BatchNormalization(axis=1, momentum=0.5, epsilon=0.1),
    "without weights": lambda lib: lib.layers.BatchNormalization(center=False, scale=False),
    "with starts": lambda lib: lib.layers.BatchNormalization(
        beta_initializer=lib.initializers.RandomNormal(seed=1),
        moving_mean_initializer="ones",
        moving_variance_initializer=lib.initializers.Constant(2.0),
        gamma_regularizer="l2",
        beta_constraint="non_neg",
    ),
    "frozen": lambda lib: lib.layers.BatchNormalization(trainable=False),
    "LayerNormalization": lambda lib: lib.layers.LayerNormalization(),
    "of two axes": lambda lib: lib.layers.LayerNormalization(axis=(2, 1), epsilon=0.1),
    "without centre": lambda lib: lib.layers.LayerNormalization(axis=1, center=False),
    "RMSNormalization": lambda lib: lib.layers.RMSNormalization(),
    "RMS of two axes": lambda lib: lib.layers.RMSNormalization((2, 1), epsilon=0.1),
    "UnitNormalization": lambda lib: lib.layers.UnitNormalization(),
    "GroupNormalization": lambda lib: lib.layers.GroupNormalization(3),
    "groups of two": lambda lib: lib.layers.GroupNormalization(2, axis=1, epsilon=0.1),
    "groups of one": lambda lib: lib.layers.GroupNormalization(-1, axis=-2, gamma_regularizer="l2"),
    "one group": lambda lib: lib.layers.GroupNormalization(1, beta_initializer="ones", scale=False),
    "PReLU": lambda lib: lib.layers.PReLU(alpha_initializer=lib.initializers.Constant(0.25)),
    "PReLU of shared axes": lambda lib: lib.layers.PReLU(
        "ones", "l2", alpha_constraint="non_neg", shared_axes=[1]
    ),
    "unit of two axes": lambda lib: lib.layers.UnitNormalization((1, 2)),
    "GaussianNoise": lambda lib: lib.layers.GaussianNoise(0.4, seed=5),
    "AlphaDropout": lambda lib: lib.layers.AlphaDropout(0.3, seed=5),
    "AlphaDropout of rows": lambda lib: lib.layers.AlphaDropout(0.6, (None, 1, 3), seed=5),
    "Dropout": lambda lib: lib.layers.Dropout(0.3, seed=5),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
@some
@given(SEEDS, st.sampled_from([0.0, 5.0]))
def test_a_layer_gives_the_numbers_of_keras_in_training_and_in_inference(make, seed, mean):
    x = numbers(seed, *SHAPE) + np.float32(mean)

    def run(lib: Any) -> Any:
        layer = make(lib)
        layer.build(SHAPE)
        outputs = [np.asarray(layer(x, training=t)) for t in (True, True, False)]
        variables = [(v.name, v.trainable) for v in layer.variables]
        return outputs, variables, layer.get_weights()

    assert_both_agree(run, seed)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_training_through_a_layer_reaches_the_losses_and_weights_of_keras(make, run_eagerly):
    x, y = 3 * numbers(1, 20, *SHAPE[1:]) + 1, numbers(2, 20, 1)

    def run(lib: Any) -> Any:
        layers = [lib.layers.Flatten(), lib.layers.Dense(4, "tanh"), lib.layers.Dense(1)]
        model = lib.Sequential([lib.Input(SHAPE[1:]), make(lib), *layers])
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        history = model.fit(x, y, 8, 2, 0, validation_data=(x[:8], y[:8])).history
        return history, model.get_weights(), model.predict(x, verbose=0)

    assert_both_agree(run)


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_the_configs_equal_those_of_keras_and_rebuild_the_layer(make):
    mine, theirs = make(tn), make(keras)
    for layer in (mine, theirs):
        layer.build(SHAPE)
    plain = {**theirs.get_config(), "name": mine.name}
    assert mine.get_config() == plain
    assert type(mine).from_config(plain).get_config().keys() == plain.keys()


def test_a_frozen_layer_in_a_model_keeps_its_averages_as_in_keras(run_eagerly):
    x, y = numbers(1, 16, 3) + 2, numbers(2, 16, 1)

    def run(lib: Any) -> Any:
        layer = lib.layers.BatchNormalization(momentum=0.5)
        model = lib.Sequential([lib.Input((3,)), layer, lib.layers.Dense(1)])
        found = []
        for trainable in (True, False, True):
            layer.trainable = trainable
            model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
            model.fit(x, y, 8, 2, 0)
            found.append(layer.get_weights())
        return found

    assert_both_agree(run)


@pytest.mark.parametrize("name", ["normal", "uniform", "truncated_normal"])
def test_a_seed_generator_gives_the_draws_of_keras_one_after_the_other(name):
    def run(lib: Any) -> Any:
        generator = lib.random.SeedGenerator(3)
        return [np.asarray(getattr(lib.random, name)((2, 3), seed=generator)) for _ in range(3)]

    assert_both_agree(run, rtol=1e-6)


@pytest.mark.parametrize("noise_shape", [None, (4, 1)])
def test_dropout_of_a_tensor_drops_what_keras_drops(noise_shape):
    x = numbers(0, 4, 5)
    assert_both_agree(lambda lib: np.asarray(lib.random.dropout(x, 0.4, noise_shape, seed=7)))


def test_variational_sampling_in_a_layer_of_ones_own_draws_as_keras(run_eagerly):
    x = numbers(0, 16, 3)

    def run(lib: Any) -> Any:
        class Sampling(lib.layers.Layer):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(**kwargs)
                self.seed_generator = lib.random.SeedGenerator(9)

            def call(self, inputs: Any) -> Any:
                noise = lib.random.normal(lib.ops.shape(inputs), seed=self.seed_generator)
                return inputs + 0.1 * noise

        model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(2), Sampling()])
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        return model.fit(x, x[:, :2], 8, 2, 0).history, model.get_weights()

    assert_both_agree(run)
