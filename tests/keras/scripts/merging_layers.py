"""Two paths, joined in every way."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(48)
x = np.random.default_rng(48).normal(size=(32, 4)).astype("float32")
inputs = keras.Input((4,))
a, b = layers.Dense(3, "tanh")(inputs), layers.Dense(3)(inputs)
parts = [
    layers.Add()([a, b]),
    layers.Average()([a, b]),
    layers.Maximum()([a, b]),
    layers.Minimum()([a, b]),
    layers.Multiply()([a, b, b]),
]
joined = layers.Concatenate()(parts)
folded = layers.Flatten()(layers.Reshape((5, 3))(joined))
model = keras.Model(inputs, [layers.Dense(1)(folded), *parts])
only = keras.Model(inputs, model.outputs[0])
only.compile("adam", "mse")
history = only.fit(x, x[:, 0], epochs=2, verbose=0)

results = {"loss": history.history["loss"], "parts": model.predict(x[:2], verbose=0)}
