"""Weights that stay non-negative, of limited norm, and of norm one."""

import keras
import numpy as np
from keras import constraints, layers

keras.utils.set_random_seed(23)
x = np.random.default_rng(23).normal(size=(32, 3)).astype("float32")
model = keras.Sequential(
    [
        layers.Dense(8, "relu", kernel_constraint=constraints.MaxNorm(0.8)),
        layers.Dense(8, kernel_constraint="unit_norm", bias_constraint="non_neg"),
        layers.Dense(1, kernel_constraint=constraints.MinMaxNorm(0.2, 0.9, rate=0.5)),
    ]
)
model.compile(keras.optimizers.SGD(0.3), "mae")
history = model.fit(x, x[:, 0] - x[:, 1], epochs=3, batch_size=16, verbose=0)

results = {
    "loss": history.history["loss"],
    "norms": [np.linalg.norm(w, axis=0) for w in model.get_weights() if w.ndim == 2],
    "bias": model.layers[1].get_weights()[1],
}
