"""A saved model finds the user's registered functions and layers again."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="own")
def bent(x):
    return ops.sign(x) * ops.sqrt(ops.abs(x) + 1e-3)


@keras.saving.register_keras_serializable(package="own")
class Shift(keras.layers.Layer):
    def __init__(self, by, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def call(self, x):
        return x + self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


keras.utils.set_random_seed(31)
x = np.random.default_rng(31).normal(size=(10, 2)).astype("float32")
model = keras.Sequential([keras.Input((2,)), Shift(0.5), keras.layers.Dense(3, activation=bent)])
model.compile("sgd", "mse")
model.save("own.keras")
loaded = keras.models.load_model("own.keras")

results = {
    "loaded": loaded.predict(x, verbose=0),
    "by": loaded.layers[0].by,
    "difference": float(np.abs(loaded.predict(x, verbose=0) - model.predict(x, verbose=0)).max()),
}
