"""Penalties on kernels, biases and outputs belong to the loss."""

import keras
import numpy as np
from keras import layers, regularizers

keras.utils.set_random_seed(22)
x = np.random.default_rng(22).normal(size=(32, 3)).astype("float32")
model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(8, "relu", kernel_regularizer=regularizers.L1L2(l1=1e-3, l2=1e-2)),
        layers.Dense(8, kernel_regularizer="l2", bias_regularizer=regularizers.L2(0.1)),
        layers.Dense(1, activity_regularizer=regularizers.L2(0.01)),
    ]
)
model.compile("adam", "mse", metrics=["mse"])
history = model.fit(x, x.sum(1), epochs=3, batch_size=16, verbose=0)

results = {
    "history": history.history,
    "penalties": [float(p) for p in model.losses],
    "evaluated": model.evaluate(x, x.sum(1), verbose=0),
}
