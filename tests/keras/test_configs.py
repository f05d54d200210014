"""Configs compared with Keras: both write the same, and each reads those of the other."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import (
    WIDTH,
    assert_agree,
    assert_both_agree,
    graphs,
    in_both,
    inputs_for,
    merge,
    stacks,
)

import tinynet as tn

some = settings(max_examples=15, deadline=None)


def plain(config: Any) -> Any:
    """Return a config after JSON, without optional entries that Keras adds."""
    if isinstance(config, dict):
        kept = {k: v for k, v in config.items() if k not in ("shared_object_id", "autocast")}
        if kept.get("activity_regularizer", "") is None:
            del kept["activity_regularizer"]
        return {k: plain(v) for k, v in kept.items()}
    return [plain(v) for v in config] if isinstance(config, (list, tuple)) else config


def described(model: Any) -> Any:
    """Return the config of a model, without the module of the custom layer."""
    text = model.to_json().replace('"module": "side_by_side"', '"module": null')
    return plain(json.loads(text))


def own(lib: Any) -> dict[str, Any]:
    return {"Merge": merge(lib)}


NETWORKS = st.one_of(stacks(), graphs())


@some
@given(NETWORKS)
def test_the_config_of_a_network_equals_keras(network):
    mine, theirs = in_both(lambda lib: described(network.build(lib)))
    assert mine == theirs


@some
@given(NETWORKS)
def test_each_library_builds_networks_from_the_configs_of_the_other(network):
    def run(lib):
        other = keras if lib is tn else tn
        text = network.build(lib).to_json()
        built = other.models.model_from_json(text, custom_objects=own(other))
        return described(built)

    mine, theirs = in_both(run)
    assert mine == theirs


@some
@given(graphs(), st.integers(0, 99))
def test_a_network_rebuilt_from_its_config_computes_the_same(network, seed):
    model = network.build(tn)
    again = tn.models.model_from_json(model.to_json(), custom_objects=own(tn))
    again.set_weights(model.get_weights())
    x = inputs_for(network, seed)
    assert_agree(again.predict(x, verbose=0), model.predict(x, verbose=0), 0)


def several(lib: Any) -> Any:
    """Two inputs and outputs in dicts, a shared layer, nested models, one of them called twice."""
    a, b = lib.Input((WIDTH,), name="a"), lib.Input((WIDTH,), name="b")
    shared = lib.layers.Dense(WIDTH, "tanh")
    stack = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(WIDTH, name="inner")])
    entrance = lib.Input((WIDTH,))
    graph = lib.Model(entrance, lib.layers.Dense(WIDTH)(entrance))
    x = graph(graph(stack(shared(a))))
    y = lib.layers.Activation("relu")(shared(b), training=True)
    return lib.Model({"a": a, "b": b}, {"x": x, "y": lib.layers.Dense(2)(y)})


def crossed(lib: Any) -> Any:
    """A layer called on two inputs in turn; the last call leads to the first output."""
    a, b, shared = lib.Input((WIDTH,)), lib.Input((WIDTH,)), lib.layers.Dense(WIDTH)
    first, second = shared(a), shared(b)
    return lib.Model([a, b], [lib.layers.Dense(1)(second), lib.layers.Dense(2)(first)])


def listed(lib: Any) -> Any:
    a = lib.Input((WIDTH,), batch_size=4)
    return lib.Model([a], [lib.layers.Dense(1)(a), lib.layers.Dense(2)(a)], name="listed")


def partly(lib: Any) -> Any:
    model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(2, trainable=False)])
    model.add(lib.layers.Dense(1, use_bias=False, kernel_initializer="he_normal", name="last"))
    return model


def lazy(lib: Any) -> Any:
    return lib.Sequential([lib.layers.Dense(2), lib.layers.Dense(1)], name="lazy")


def called(lib: Any) -> Any:
    model = lazy(lib)
    model(np.ones((4, WIDTH), "float32"))
    return model


def compiled(lib: Any, **options: Any) -> Any:
    model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(2)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return model


def with_objects(lib: Any) -> Any:
    return compiled(
        lib,
        optimizer=lib.optimizers.Adam(0.01, beta_1=0.8, amsgrad=True, clipnorm=1.0),
        loss=lib.losses.MeanAbsoluteError(reduction="sum"),
        loss_weights=2.0,
        metrics=["mae", lib.metrics.MeanSquaredError(name="m")],
        weighted_metrics=[lib.losses.mean_squared_error],
        run_eagerly=True,
    )


MODELS = [several, crossed, listed, partly, lazy, called, compiled, with_objects]


@pytest.mark.parametrize("make", MODELS)
def test_configs_of_all_kinds_of_models_equal_keras_and_rebuild_them(make):
    mine, theirs = in_both(lambda lib: described(make(lib)))
    assert mine == theirs
    for lib in (tn, keras):
        assert described(lib.models.model_from_json(json.dumps(theirs))) == theirs


OBJECTS = {
    "an initializer": lambda lib: lib.initializers.RandomNormal(stddev=0.5, seed=3),
    "constants": lambda lib: lib.initializers.Constant([1.0, 2.0]),
    "a loss": lambda lib: lib.losses.BinaryCrossentropy(from_logits=True),
    "a function": lambda lib: lib.activations.softmax,
    "a loss function": lambda lib: lib.losses.mean_squared_error,
    "a metric": lambda lib: lib.metrics.BinaryAccuracy(threshold=0.25),
    "RMSprop": lambda lib: lib.optimizers.RMSprop(0.5, rho=0.25, centered=True),
    "Adagrad": lambda lib: lib.optimizers.Adagrad(0.5, initial_accumulator_value=0.25),
    "Nadam": lambda lib: lib.optimizers.Nadam(0.5, use_ema=True, ema_momentum=0.75),
    "a constraint": lambda lib: lib.constraints.MinMaxNorm(0.25, 0.5, axis=1),
    "SGD": lambda lib: lib.optimizers.SGD(0.5, momentum=0.5, nesterov=True, weight_decay=0.25),
    "plain data": lambda lib: {"a": [1, (2.5, None)], "b": np.float32(0.5), "c": slice(1, None)},
    "arrays": lambda lib: [np.arange(3), np.ones((2, 2), "float32"), ..., b"bytes"],
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_configs_of_all_kinds_of_objects_equal_keras(make):
    mine, theirs = in_both(lambda lib: lib.saving.serialize_keras_object(make(lib)))
    assert repr(mine) == repr(theirs)
    again = tn.saving.serialize_keras_object(tn.saving.deserialize_keras_object(theirs))
    assert plain(again) == plain(mine)


def named(lib: Any) -> type:
    """Return a custom layer without `get_config`, whose arguments are plain data."""

    class Affine(lib.layers.Layer):
        def __init__(self, factor, offset=0.0, **kwargs):
            super().__init__(**kwargs)
            self.factor, self.offset = factor, offset

        def call(self, inputs):
            return inputs * self.factor + self.offset

    return Affine


def test_a_layer_without_get_config_has_its_arguments_as_config():
    def run(lib):
        config = named(lib)(2.0, offset=1, name="mine").get_config()
        again = named(lib).from_config(config)
        return {**config, "again": (again.name, again.factor, again.offset)}

    assert_both_agree(run)


def test_custom_objects_are_found_by_the_same_names():
    def run(lib):
        scale = lib.saving.register_keras_serializable("pkg", "Scale")(named(lib))
        config = lib.saving.serialize_keras_object(scale(3.0, name="s"))
        found = (
            lib.saving.get_registered_name(scale),
            lib.saving.get_registered_object("pkg>Scale") is scale,
            lib.saving.get_registered_object("pkg>None"),
            config["registered_name"],
            lib.saving.deserialize_keras_object(config).factor,
            lib.utils.get_custom_objects() is lib.saving.get_custom_objects(),
        )
        del lib.saving.get_custom_objects()["pkg>Scale"]
        return found

    assert_both_agree(run)


@pytest.mark.parametrize("make", [several, listed, partly, with_objects])
def test_a_clone_has_the_same_names_and_the_same_new_weights(make):
    def run(lib):
        model = make(lib)
        names = [layer.name for layer in model.layers]
        clone = lib.models.clone_model(model)
        assert [layer.name for layer in clone.layers][-2:] == names[-2:]
        return [clone.name, *clone.get_weights(), clone.compiled]

    assert_both_agree(run)


def test_a_clone_is_made_by_the_functions_given():
    def run(lib):
        def wider(layer):
            config = layer.get_config()
            return type(layer).from_config({**config, "units": 2 * config["units"]})

        entrance = lib.Input((WIDTH,), name="first")
        flat = lib.Model(entrance, lib.layers.Dense(1)(lib.layers.Dense(2)(entrance)))
        called = []

        def call(layer, *args, **kwargs):
            called.append(layer.name)
            return layer(*args, **kwargs)

        other = lib.Input((WIDTH,), name="other")
        return [
            [w.shape for w in lib.models.clone_model(flat, clone_function=wider).weights],
            lib.models.clone_model(flat, other).layers[0].name,
            lib.models.clone_model(flat, call_function=call).count_params(),
            called,
            lib.models.clone_model(several(lib), recursive=True).count_params(),
        ]

    assert_both_agree(run)
