"""Dropout with seeds: in training numbers are dropped, in prediction none."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(20)
x = np.random.default_rng(20).normal(size=(32, 6)).astype("float32")
model = keras.Sequential(
    [
        layers.Dropout(0.2, seed=1),
        layers.Dense(8, "selu", kernel_initializer="lecun_normal"),
        layers.AlphaDropout(0.1, seed=2),
        layers.GaussianNoise(0.1, seed=3),
        layers.Dense(1),
    ]
)
model.compile("adam", "mse")
history = model.fit(x, x[:, 0], epochs=3, batch_size=16, verbose=0)

results = {
    "loss": history.history["loss"],
    "mask": np.array(layers.Dropout(0.5, seed=7)(np.ones((2, 8), "float32"), training=True)),
    "predicted": model.predict(x[:2], verbose=0),
}
