"""A layer learns mean and variance of the data, before training and not in it."""

import keras
import numpy as np

keras.utils.set_random_seed(37)
x = np.random.default_rng(37).normal([10, -5, 0], [4, 1, 0.1], size=(40, 3)).astype("float32")
y = x[:, 0] * 0.3 - x[:, 1]

normalizer = keras.layers.Normalization(axis=-1)
normalizer.adapt(x)
model = keras.Sequential([normalizer, keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.1), "mean_absolute_error")
history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0)

results = {
    "mean": np.array(normalizer.mean),
    "variance": np.array(normalizer.variance),
    "normalized": np.array(normalizer(x[:2])),
    "back": np.array(keras.layers.Normalization(mean=2.0, variance=4.0, invert=True)(x[:2])),
    "history": history.history,
}
