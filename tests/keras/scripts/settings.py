"""Settings: the dtype of numbers, and what float64 data become."""

import keras
import numpy as np

keras.utils.set_random_seed(53)
x = np.random.default_rng(53).normal(size=(32, 2))
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
history = model.fit(x, x[:, 0], epochs=2, verbose=0)
as_numbers = keras.ops.convert_to_numpy(keras.ops.mean(keras.ops.square(x), axis=0))

results = {
    "loss": history.history["loss"],
    "floatx": keras.config.floatx(),
    "dtype": str(model.predict(x, verbose=0).dtype),
    "numbers": as_numbers,
    "epsilon": keras.config.epsilon(),
}
