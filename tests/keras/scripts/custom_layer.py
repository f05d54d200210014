"""A layer with two weights of its own, a penalty, and a behaviour of its own in training."""

import keras
import numpy as np
from keras import ops


class Scaled(keras.layers.Layer):
    def __init__(self, units, penalty=0.01, **kwargs):
        super().__init__(**kwargs)
        self.units, self.penalty = units, penalty

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="he_normal")
        self.s = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, inputs, training=False):
        self.add_loss(self.penalty * ops.sum(ops.square(self.w)))
        out = ops.matmul(inputs, self.w) * self.s
        return out * 0.5 if training else out


keras.utils.set_random_seed(14)
x = np.random.default_rng(14).normal(size=(32, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), Scaled(4), keras.layers.ReLU(), Scaled(1, 0.0)])
model.compile("adam", "mse")
history = model.fit(x, x[:, 0], epochs=3, verbose=0)

results = {
    "loss": history.history["loss"],
    "counted": model.count_params(),
    "evaluated": model.evaluate(x, x[:, 0], verbose=0),
    "weights": model.get_weights(),
}
