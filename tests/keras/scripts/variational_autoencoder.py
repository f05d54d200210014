"""A layer that samples, and adds the Kullback-Leibler divergence to the loss."""

import keras
import numpy as np
from keras import layers, ops


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(35)

    def call(self, inputs):
        mean, log_var = inputs
        kl = -0.5 * ops.sum(1 + log_var - ops.square(mean) - ops.exp(log_var), axis=1)
        self.add_loss(0.01 * ops.mean(kl))
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_var) * noise


keras.utils.set_random_seed(35)
x = np.random.default_rng(35).normal(size=(32, 5)).astype("float32")
inputs = keras.Input((5,))
h = layers.Dense(8, "relu")(inputs)
z = Sampling()([layers.Dense(2)(h), layers.Dense(2)(h)])
model = keras.Model(inputs, layers.Dense(5)(z))
model.compile("adam", "mse")
history = model.fit(x, x, epochs=3, batch_size=16, verbose=0)

results = {"loss": history.history["loss"], "evaluated": model.evaluate(x, x, verbose=0)}
