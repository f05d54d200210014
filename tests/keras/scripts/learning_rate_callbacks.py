"""Callbacks change the learning rate: by a function of the epoch, and on a plateau."""

import keras
import numpy as np

keras.utils.set_random_seed(11)
x = np.random.default_rng(11).normal(size=(32, 2)).astype("float32")
y = (x > 0).astype("float32")


def warm_up(epoch, lr):
    return 0.02 * (epoch + 1) if epoch < 3 else lr * 0.9


model = keras.Sequential([keras.layers.Dense(2, "sigmoid")])
model.compile("adamw", "mse")
first = model.fit(
    x, y, epochs=5, verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(warm_up)]
)
plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.5)
second = model.fit(x, y, epochs=5, verbose=0, callbacks=[plateau])

results = {"by epoch": first.history, "on plateau": second.history}
