"""Activations by name, as functions and as layers, in one network each."""

import keras
import numpy as np
from keras import layers

x = np.linspace(-3, 3, 12).reshape(4, 3).astype("float32")
names = "relu relu6 leaky_relu elu selu gelu silu mish softplus softsign tanh sigmoid".split()
names += "hard_sigmoid hard_silu exponential linear softmax log_softmax".split()
results = {name: np.array(keras.activations.get(name)(x)) for name in names}
as_layers = [
    layers.LeakyReLU(negative_slope=0.2),
    layers.ELU(alpha=0.5),
    layers.ReLU(max_value=2.0, threshold=0.5),
    layers.Softmax(),
    layers.Activation(lambda t: t**3),
]
for layer in as_layers:
    results[type(layer).__name__] = np.array(layer(x))
