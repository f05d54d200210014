"""Custom losses: a function, a function that another one returns, and a class with options."""

import keras
import numpy as np
from keras import ops


def log_cosh_of_difference(y_true, y_pred):
    return ops.mean(ops.log(ops.cosh(y_pred - y_true)), axis=-1)


def quantile_loss(q):
    def loss(y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(q * error, (q - 1) * error), axis=-1)

    return loss


class Cubed(keras.losses.Loss):
    def __init__(self, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, y_true, y_pred):
        return self.weight * ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)


x = np.random.default_rng(12).normal(size=(32, 3)).astype("float32")
y = x.max(1, keepdims=True)
results = {}
for name, loss in {
    "cosh": log_cosh_of_difference,
    "q": quantile_loss(0.9),
    "cubed": Cubed(0.5),
}.items():
    keras.utils.set_random_seed(12)
    model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile("adam", loss)
    results[name] = model.fit(x, y, epochs=3, verbose=0).history["loss"]
