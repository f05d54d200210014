"""A rare class counts more in the loss."""

import keras
import numpy as np

keras.utils.set_random_seed(25)
rng = np.random.default_rng(25)
labels = (rng.uniform(size=64) < 0.2).astype("int64")
x = (rng.normal(size=(64, 2)) + 0.8 * labels[:, None]).astype("float32")
negative, positive = np.bincount(labels)
weights = {0: 64 / (2 * negative), 1: 64 / (2 * positive)}

model = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(1, "sigmoid")])
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit(x, labels, epochs=3, class_weight=weights, verbose=0)
confusion = [keras.metrics.TruePositives(0.4), keras.metrics.FalseNegatives(0.4)]
for metric in confusion:
    metric.update_state(labels[:, None], model.predict(x, verbose=0))

results = {"history": history.history, "confusion": [float(m.result()) for m in confusion]}
