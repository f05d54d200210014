"""Weights alone go to a file and into another model of the same layers."""

import keras
import numpy as np


def build():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, "relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


keras.utils.set_random_seed(30)
x = np.random.default_rng(30).normal(size=(16, 4)).astype("float32")
one, other = build(), build()
one.compile("adam", "mse")
one.fit(x, x[:, :2], epochs=2, verbose=0)
before = other.predict(x[:2], verbose=0)
one.save_weights("some.weights.h5")
other.load_weights("some.weights.h5")

results = {
    "before": before,
    "after": other.predict(x[:2], verbose=0),
    "expected": one.predict(x[:2], verbose=0),
}
