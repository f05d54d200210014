"""Two inputs by name, joined in the middle; data as a dict, as a list, and as one batch."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(16)
rng = np.random.default_rng(16)
numbers, flags = rng.normal(size=(32, 3)), rng.integers(0, 2, (32, 2))
numbers, flags = numbers.astype("float32"), flags.astype("float32")
y = numbers.sum(1) * flags[:, 0]

first = keras.Input(shape=(3,), name="numbers")
second = keras.Input(shape=(2,), name="flags")
hidden = layers.Dense(8, activation="relu")(first)
joined = layers.concatenate([hidden, second])
model = keras.Model(inputs=[first, second], outputs=layers.Dense(1, name="answer")(joined))
model.compile("adam", "mse")
by_name = model.fit({"numbers": numbers, "flags": flags}, y, epochs=2, verbose=0)
in_order = model.fit([numbers, flags], y, epochs=2, verbose=0)

results = {
    "by name": by_name.history,
    "in order": in_order.history,
    "predicted": model.predict([numbers[:3], flags[:3]], verbose=0),
}
