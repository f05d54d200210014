"""Copies of a model: with fresh weights, and with another activation in each layer."""

import keras
import numpy as np


def with_relu(layer):
    config = layer.get_config()
    if isinstance(layer, keras.layers.Dense):
        config["activation"] = "relu"
    return layer.__class__.from_config(config)


keras.utils.set_random_seed(41)
x = np.random.default_rng(41).normal(size=(5, 3)).astype("float32")
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2, "linear")]
)
fresh = keras.models.clone_model(model)
bent = keras.models.clone_model(model, clone_function=with_relu)
bent.set_weights(model.get_weights())

results = {
    "model": model.predict(x, verbose=0),
    "fresh": fresh.predict(x, verbose=0),
    "bent": bent.predict(x, verbose=0),
}
