"""Functions as layers, between layers with weights."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(36)
x = np.random.default_rng(36).normal(size=(32, 4)).astype("float32")
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Lambda(lambda t: ops.concatenate([t, ops.square(t)], axis=-1)),
        layers.Dense(8, "tanh"),
        layers.Lambda(lambda t: t / (1e-6 + ops.norm(t, axis=-1, keepdims=True))),
        layers.Dense(1),
        layers.Rescaling(2.0, offset=-1.0),
    ]
)
model.compile("adam", "mse")
history = model.fit(x, (x**2).sum(1), epochs=3, verbose=0)

results = {"loss": history.history["loss"], "predicted": model.predict(x[:3], verbose=0)}
