"""Blocks that add to their input, with skip connections and layer normalization."""

import keras
import numpy as np
from keras import layers


def block(x, width):
    y = layers.LayerNormalization()(x)
    y = layers.Dense(2 * width, activation="swish")(y)
    y = layers.Dense(width)(y)
    return layers.add([x, y])


keras.utils.set_random_seed(19)
data = np.random.default_rng(19).normal(size=(32, 5)).astype("float32")
inputs = keras.Input((5,))
x = layers.Dense(6)(inputs)
for _ in range(2):
    x = block(x, 6)
model = keras.Model(inputs, layers.Dense(1)(x), name="residual")
model.compile(keras.optimizers.Adam(0.003, clipnorm=1.0), "mse")
history = model.fit(data, data[:, 0] * data[:, 1], epochs=4, batch_size=16, verbose=0)

results = {"loss": history.history["loss"], "layers": len(model.layers), "name": model.name}
