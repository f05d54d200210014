"""A custom `compute_loss`: the compiled loss, plus a penalty on the outputs."""

import keras
import numpy as np
from keras import ops


class Calm(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight)
        return loss + 0.1 * ops.mean(ops.square(y_pred))


keras.utils.set_random_seed(54)
x = np.random.default_rng(54).normal(size=(32, 2)).astype("float32")
model = Calm()
model.compile("adam", "mse", metrics=["mse"])
history = model.fit(x, x[:, :1], epochs=3, verbose=0)

results = {"history": history.history, "evaluated": model.evaluate(x, x[:, :1], verbose=0)}
