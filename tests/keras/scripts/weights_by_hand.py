"""Weights are set by hand, averaged over models, and read by name."""

import keras
import numpy as np

keras.utils.set_random_seed(40)
x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")
xor = keras.Sequential(
    [keras.Input((2,)), keras.layers.Dense(2, "relu", name="h"), keras.layers.Dense(1, name="o")]
)
random = xor.get_weights()
exact = [np.ones((2, 2)), np.array([0, -1.0]), np.array([[1.0], [-2.0]]), np.zeros(1)]
xor.set_weights(exact)
answers = xor.predict(x, verbose=0)
xor.get_layer("h").kernel.assign(np.full((2, 2), 0.5))
xor.layers[1].set_weights([np.array([[3.0], [1.0]]), np.array([0.5])])
changed = xor.predict(x, verbose=0)
xor.set_weights([(a + b) / 2 for a, b in zip(random, exact)])

results = {
    "answers": answers,
    "changed": changed,
    "averaged": xor.predict(x, verbose=0),
    "names": [w.name for w in xor.weights],
}
