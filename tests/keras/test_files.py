"""Files in both directions: Keras loads what tinynet saves, and the reverse."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given, settings, strategies as st
from side_by_side import (
    RTOL,
    SEEDS,
    WIDTH,
    assert_agree,
    give_weights,
    graphs,
    in_both,
    inputs_for,
    merge,
    numbers,
    stacks,
)

import tinynet as tn

some = settings(max_examples=12, deadline=None)
few = settings(max_examples=6, deadline=None)
BOTH = pytest.mark.parametrize(("writer", "reader"), [(tn, keras), (keras, tn)], ids=["to", "from"])

OPTIMIZERS = {
    "SGD": lambda lib: lib.optimizers.SGD(0.02),
    "momentum": lambda lib: lib.optimizers.SGD(0.02, momentum=0.9, nesterov=True),
    "Adam": lambda lib: lib.optimizers.Adam(0.01),
    "amsgrad": lambda lib: lib.optimizers.Adam(0.01, amsgrad=True, weight_decay=0.01),
    "RMSprop": lambda lib: lib.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Adagrad": lambda lib: lib.optimizers.Adagrad(0.1, initial_accumulator_value=0.5),
    "Adamax": lambda lib: lib.optimizers.Adamax(0.01),
    "Nadam": lambda lib: lib.optimizers.Nadam(0.01, epsilon=1e-3),
    "averages": lambda lib: lib.optimizers.SGD(0.02, 0.9, use_ema=True, ema_overwrite_frequency=3),
    "sums": lambda lib: lib.optimizers.Nadam(0.02, use_ema=True, gradient_accumulation_steps=2),
    "clipping": lambda lib: lib.optimizers.Adam(0.01, global_clipnorm=0.5),
    "schedule": lambda lib: lib.optimizers.Adam(
        lib.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    ),
}


def own(lib: Any) -> dict[str, Any]:
    return {"Merge": merge(lib)}


def state(model: Any) -> list[np.ndarray]:
    return [v.numpy() for v in (*model.weights, *model.optimizer.variables)]


def slot_names(model: Any) -> list[str]:
    names = [v.name for v in model.optimizer.variables]
    return [re.sub(r"^variable_\d+$", "variable", name) for name in names]  # Keras numbers these


def computed(model: Any, x: Any) -> np.ndarray:
    return np.asarray(model(x))


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config))


def train(model: Any, x: Any, y: Any) -> list[float]:
    model.run_eagerly = isinstance(model, keras.Model)  # eager is faster for few steps
    return model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@BOTH
@some
@given(network=st.one_of(stacks(), graphs()), seed=SEEDS)
def test_a_model_predicts_the_same_after_loading_in_the_other_library(
    folder, writer, reader, network, seed
):
    path, x = folder / "m.keras", inputs_for(network, seed)
    model = network.build(writer)
    give_weights(model, seed)
    model.save(path)
    loaded = reader.models.load_model(path, custom_objects=own(reader))
    assert_close(computed(loaded, x), computed(model, x), 1e-6, 1e-6)
    assert_agree(loaded.get_weights(), model.get_weights(), 0)
    with_path = [(w.path, w.name, w.trainable) for w in loaded.weights]
    assert with_path == [(w.path, w.name, w.trainable) for w in again(writer, path).weights]


def again(lib: Any, path: Path) -> Any:
    return lib.models.load_model(path, custom_objects=own(lib))


@BOTH
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_training_continues_in_the_other_library_as_in_the_first(folder, writer, reader, make):
    path, x, y = folder / "m.keras", numbers(1, 20, WIDTH), numbers(2, 20, 1)
    layers = writer.layers
    model = writer.Sequential(
        [writer.Input((WIDTH,)), layers.Dense(4, "tanh"), layers.Dense(1, trainable=False)]
    )
    give_weights(model, 3)
    options = {"loss": "mse", "metrics": ["mae"], "run_eagerly": True}
    model.compile(make(writer), **options)
    train(model, x, y)
    model.save(path)
    loaded = reader.models.load_model(path)
    # Keras rounds a product of Nadam's at each step.
    rounded = 2e-7 if type(loaded.optimizer).__name__ == "Nadam" else 0
    assert_agree(state(loaded), state(model), rounded)
    assert slot_names(loaded) == slot_names(again(writer, path))
    assert_agree(train(loaded, x, y), train(model, x, y), RTOL)
    assert_agree(state(loaded), state(model), RTOL)


@BOTH
@few
@given(network=st.one_of(stacks(), graphs()), seed=SEEDS)
def test_a_weights_file_transfers_weights_and_optimizer_state(
    folder, writer, reader, network, seed
):
    path, built = folder / "m.weights.h5", []
    for lib in (writer, reader):
        model = network.build(lib)
        give_weights(model, seed)
        model.compile(lib.optimizers.Adam(0.01), "mse", run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
        built.append(model)
    model, other = built
    for i, variable in enumerate(model.optimizer.variables):
        variable.assign(numbers(seed + i, *variable.shape).astype(variable.dtype))
    model.save_weights(path)
    other.load_weights(path)
    assert_agree(state(other), state(model), 0)


def test_weights_can_be_loaded_from_the_file_of_a_whole_model(folder):
    path = folder / "m.keras"
    for writer, reader in ((tn, keras), (keras, tn)):
        model, other = (
            lib.Sequential([lib.Input((2,)), lib.layers.Dense(3)]) for lib in (writer, reader)
        )
        model.save(path)
        other.load_weights(path)
        assert_agree(other.get_weights(), model.get_weights(), 0)


class Kit:
    """Return a subclassed model with layers in lists, dicts and private attributes."""

    def __new__(cls, lib: Any) -> Any:
        layers = lib.layers

        class Block(layers.Layer):
            def __init__(self, width, **kwargs):
                super().__init__(**kwargs)
                self.width = width
                self.inner = layers.Dense(width)
                self.more = [layers.Dense(width), {"deep": layers.Dense(width)}]

            def build(self, input_shape):
                self.scale = self.add_weight(shape=(self.width,), name="scale", trainable=False)
                for layer in (self.inner, self.more[0], self.more[1]["deep"]):
                    layer.build((None, self.width))

            def call(self, inputs):
                return self.more[1]["deep"](self.more[0](self.inner(inputs))) * self.scale

            def get_config(self):
                return {**super().get_config(), "width": self.width}

        class Network(lib.Model):
            def __init__(self, width=WIDTH, **kwargs):
                super().__init__(**kwargs)
                self.width = width
                self.zeta = [layers.Dense(width), layers.Dense(width, "tanh")]
                self.block = Block(width)
                self._hidden = layers.Dense(width)
                self.named = {"q": layers.Dense(width), "p": [Block(width), layers.Dense(1)]}

            def call(self, inputs):
                x = self._hidden(self.block(self.zeta[1](self.zeta[0](inputs))))
                return self.named["p"][1](self.named["p"][0](self.named["q"](x)))

            def get_config(self):
                return {**super().get_config(), "width": self.width}

        network = Network(name="mine")
        network.known = {"Network": Network, "Block": Block}
        return network


@BOTH
def test_a_subclassed_model_is_loaded_by_the_other_library(folder, writer, reader):
    path, x, y = folder / "m.keras", numbers(1, 20, WIDTH), numbers(2, 20, 1)
    model = Kit(writer)
    model.compile("adam", "mse", run_eagerly=True)
    train(model, x, y)
    model.save(path)
    loaded = reader.models.load_model(path, custom_objects=Kit(reader).known)
    assert_close(computed(loaded, x), computed(model, x), 1e-6, 1e-6)
    assert_agree(train(loaded, x, y), train(model, x, y), RTOL)


LAYERS = {
    "Activation": lambda lib: lib.layers.Activation("gelu"),
    "Add": lambda lib: lib.layers.Add(),
    "Concatenate": lambda lib: lib.layers.Concatenate(axis=1),
    "Dense": lambda lib: lib.layers.Dense(2, kernel_regularizer=lib.regularizers.L2(0.5)),
    "Dropout": lambda lib: lib.layers.Dropout(0.5),
    "AlphaDropout": lambda lib: lib.layers.AlphaDropout(0.5, (None, 1), seed=3),
    "BatchNormalization": lambda lib: lib.layers.BatchNormalization(
        momentum=0.5, gamma_constraint="non_neg", beta_initializer="ones"
    ),
    "Dense with constraints": lambda lib: lib.layers.Dense(
        2, kernel_constraint=lib.constraints.MinMaxNorm(0.1, 0.5), bias_constraint="non_neg"
    ),
    "GaussianNoise": lambda lib: lib.layers.GaussianNoise(0.5),
    "Lambda": lambda lib: lib.layers.Lambda(lib.activations.gelu, arguments={"approximate": True}),
    "LayerNormalization": lambda lib: lib.layers.LayerNormalization(epsilon=0.1, center=False),
    "RMSNormalization": lambda lib: lib.layers.RMSNormalization(epsilon=0.1),
    "UnitNormalization": lambda lib: lib.layers.UnitNormalization(axis=-1),
    "GroupNormalization": lambda lib: lib.layers.GroupNormalization(-1, epsilon=0.1),
    "PReLU": lambda lib: lib.layers.PReLU(lib.initializers.RandomNormal(seed=1)),
    "Identity": lambda lib: lib.layers.Identity(),
    "Flatten": lambda lib: lib.layers.Flatten(),
    "LeakyReLU": lambda lib: lib.layers.LeakyReLU(0.25),
    "Multiply": lambda lib: lib.layers.Multiply(),
    "Normalization": lambda lib: adapted(lib.layers.Normalization()),
    "Normalization by numbers": lambda lib: lib.layers.Normalization(
        mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0]
    ),
    "ReLU": lambda lib: lib.layers.ReLU(max_value=0.5),
    "Rescaling": lambda lib: lib.layers.Rescaling(0.5, offset=1.0),
    "Reshape": lambda lib: lib.layers.Reshape((WIDTH, 1)),
    "Softmax": lambda lib: lib.layers.Softmax(),
    "Subtract": lambda lib: lib.layers.Subtract(),
}


def adapted(layer: Any) -> Any:
    layer.adapt(numbers(9, 20, WIDTH))
    return layer


@BOTH
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_of_each_kind_are_loaded_by_the_other_library(folder, writer, reader, make):
    path, x = folder / "m.keras", numbers(1, 20, WIDTH)
    inputs, layer = writer.Input((WIDTH,)), make(writer)
    merges = {"Add", "Concatenate", "Multiply", "Subtract"}
    hidden = layer([inputs, inputs]) if type(layer).__name__ in merges else layer(inputs)
    outputs = writer.layers.Dense(1)(writer.layers.Flatten()(hidden))
    model = writer.Model(inputs, outputs)
    model.save(path)
    loaded = reader.models.load_model(path)
    assert_close(computed(loaded, x), computed(model, x), 1e-6, 1e-6)
    assert plain(loaded.layers[1].get_config()) == plain(layer.get_config())


def test_a_dropout_layer_from_keras_drops_only_in_training(folder):
    inputs = keras.Input((100,))
    keras.Model(inputs, keras.layers.Dropout(0.5)(inputs)).save(folder / "m.keras")
    loaded = tn.models.load_model(folder / "m.keras")
    x = np.ones((1, 100), "float32")
    assert 20 < np.count_nonzero(loaded(x, training=True).numpy()) < 80
    assert np.count_nonzero(loaded(x).numpy()) == 100


# -- layout ---------------------------------------------------------------------------------------


def contents(path: Path) -> dict[str, Any]:
    """Return the contents of a file by name: groups with attributes, arrays with dtypes."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        found["members"] = [(info.filename, info.compress_type) for info in archive.infolist()]
        found["metadata"] = list(json.loads(archive.read("metadata.json")))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
            file.visititems(
                lambda name, thing: found.update(
                    {
                        name: (
                            dict(thing.attrs),
                            getattr(thing, "shape", 0),
                            getattr(thing, "dtype", 0),
                        )
                    }
                )
            )
    return found


def layered(lib: Any) -> Any:
    entrance = lib.Input((WIDTH,))
    inner = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(WIDTH), lib.layers.Dense(WIDTH)])
    x = lib.layers.Activation("tanh")(inner(inner(entrance)))
    return lib.Model(entrance, [lib.layers.Dense(1, use_bias=False)(x), lib.layers.Dense(1)(x)])


def trained(lib: Any) -> Any:
    model = lib.Sequential([lib.layers.Dense(WIDTH), lib.layers.Dense(1)])
    model.compile("adam", lib.losses.MeanSquaredError(), metrics=["mae"], run_eagerly=True)
    train(model, numbers(1, 20, WIDTH), numbers(2, 20, 1))
    return model


@pytest.mark.parametrize("make", [layered, trained, Kit])
def test_the_layout_of_a_file_equals_keras(folder, make):
    def run(lib):
        model = make(lib)
        model(numbers(1, 20, WIDTH))
        model.save(folder / "m.keras")
        return contents(folder / "m.keras")

    mine, theirs = in_both(run)
    assert mine == theirs


def test_classes_that_tinynet_does_not_have_are_refused_by_name(folder):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="eyes")])
    keras.Sequential([keras.Input((8, 8, 1)), model], name="outer").save(folder / "m.keras")
    words = ["Conv2D", "eyes", "outer", "m.keras", "custom_objects"]
    with pytest.raises(ValueError, match="Cannot load") as caught:
        tn.models.load_model(folder / "m.keras")
    assert not [word for word in words if word not in str(caught.value)], str(caught.value)


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_in_a_keras_file_is_never_run(folder, safe_mode):
    for layer in (keras.layers.Lambda(lambda x: x), keras.layers.Dense(1, lambda x: x)):
        keras.Sequential([keras.Input((2,)), layer]).save(folder / "m.keras")
        with pytest.raises(ValueError, match=r"Python code|Could not interpret activation"):
            tn.models.load_model(folder / "m.keras", safe_mode=safe_mode)
