"""A second model of the same layers shows what a hidden layer computes."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(49)
x = np.random.default_rng(49).normal(size=(32, 4)).astype("float32")
inputs = keras.Input((4,))
hidden = layers.Dense(3, "relu", name="features")(inputs)
model = keras.Model(inputs, layers.Dense(1, name="score")(hidden))
features = keras.Model(inputs=inputs, outputs=hidden)
before = features.predict(x[:3], verbose=0)
model.compile("sgd", "mse")
model.fit(x, x[:, 0], epochs=2, verbose=0)

results = {
    "before": before,
    "after": features.predict(x[:3], verbose=0),
    "layers": [layer.name for layer in features.layers[1:]],
    "input": list(model.input_shape),
    "output": list(model.output_shape),
}
