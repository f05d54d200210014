"""Batches come from a generator without an end, and from one that ends."""

import keras
import numpy as np


def batches(seed, size=8):
    rng = np.random.default_rng(seed)
    while True:
        x = rng.uniform(-1, 1, (size, 2)).astype("float32")
        yield x, x[:, :1] * x[:, 1:]


keras.utils.set_random_seed(27)
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
history = model.fit(
    batches(1),
    steps_per_epoch=5,
    epochs=3,
    validation_data=next(batches(2)),
    verbose=0,
)

results = {
    "history": history.history,
    "evaluated": model.evaluate(batches(3), steps=4, verbose=0),
    "predicted": model.predict(((x,) for x, _ in batches(4)), steps=1, verbose=0),
}
