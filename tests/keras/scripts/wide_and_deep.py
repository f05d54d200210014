"""A wide and a deep path as a class: one input goes to the output directly."""

import keras
import numpy as np
from keras import layers


class WideAndDeep(keras.Model):
    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization()
        self.one, self.two = layers.Dense(units, "relu"), layers.Dense(units, "relu")
        self.main, self.side = layers.Dense(1), layers.Dense(1)

    def call(self, inputs, training=None):
        wide, deep = inputs
        deep = self.two(self.one(self.norm(deep, training=training)))
        joined = layers.concatenate([wide, deep])
        return self.main(joined), self.side(deep)


keras.utils.set_random_seed(50)
wide, deep = np.random.default_rng(50).normal(size=(2, 32, 3)).astype("float32")
y = wide[:, :1] + deep[:, :1] ** 2
model = WideAndDeep(name="wide_and_deep")
model.compile("adam", loss=["mse", "mse"], loss_weights=[0.9, 0.1])
history = model.fit((wide, deep), (y, y), epochs=3, verbose=0)

results = {"loss": history.history["loss"], "predicted": model.predict((wide, deep), verbose=0)}
