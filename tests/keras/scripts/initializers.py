"""Initial weights of all kinds, with seeds of their own."""

import keras
import numpy as np
from keras import initializers

kinds = {
    "glorot": initializers.GlorotNormal(seed=1),
    "he": initializers.HeUniform(seed=2),
    "normal": initializers.RandomNormal(mean=1.0, stddev=0.1, seed=3),
    "truncated": initializers.TruncatedNormal(stddev=0.5, seed=4),
    "scaled": initializers.VarianceScaling(2.0, "fan_avg", "uniform", seed=5),
    "orthogonal": initializers.Orthogonal(seed=6),
    "constant": initializers.Constant(0.25),
    "identity": initializers.Identity(2.0),
}
results = {}
for name, kind in kinds.items():
    layer = keras.layers.Dense(4, kernel_initializer=kind, bias_initializer="ones")
    layer.build((None, 4))
    results[name] = [np.array(w) for w in layer.weights]
keras.utils.set_random_seed(24)
results["unseeded"] = np.array(keras.layers.Dense(2)(np.ones((1, 3), "float32")))
