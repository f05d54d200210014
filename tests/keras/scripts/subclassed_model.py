"""A model written as a class, with layers as attributes, a list of layers and `training`."""

import keras
import numpy as np
from keras import layers


class Network(keras.Model):
    def __init__(self, depth):
        super().__init__()
        self.blocks = [layers.Dense(8, "relu", name=f"block_{i}") for i in range(depth)]
        self.drop = layers.Dropout(0.4, seed=3)
        self.head = layers.Dense(1)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x)
        return self.head(self.drop(x, training=training))


keras.utils.set_random_seed(15)
x = np.random.default_rng(15).normal(size=(32, 4)).astype("float32")
model = Network(depth=3)
model.compile("adam", "huber", metrics=["mse"])
history = model.fit(x, x.mean(1), epochs=3, verbose=0)

results = {
    "history": history.history,
    "names": [layer.name for layer in model.blocks],
    "training": np.array(model(x[:4], training=True)),
    "parameters": model.count_params(),
}
