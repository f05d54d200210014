"""A custom loop over batches, with an evaluation after each epoch."""

import keras
import numpy as np

keras.utils.set_random_seed(39)
x = np.random.default_rng(39).normal(size=(32, 2)).astype("float32")
y = np.abs(x[:, :1])
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adagrad(0.1), "mse", metrics=["mae"])
losses, tests = [], []
for epoch in range(2):
    order = np.random.default_rng(epoch).permutation(32)
    for rows in np.array_split(order, 4):
        losses.append(model.train_on_batch(x[rows], y[rows])[0])
    tests.append(model.test_on_batch(x, y, return_dict=True))

results = {"losses": losses, "tests": tests, "last": model.train_on_batch(x, y, return_dict=True)}
