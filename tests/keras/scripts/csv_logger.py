"""The history as a table in a file, continued by a second training."""

import csv

import keras
import numpy as np

keras.utils.set_random_seed(44)
x = np.random.default_rng(44).normal(size=(40, 2)).astype("float32")
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
for append in (False, True):
    logger = keras.callbacks.CSVLogger("log.csv", separator=";", append=append)
    model.fit(x, x[:, 0], epochs=2, validation_split=0.2, callbacks=[logger], verbose=0)
with open("log.csv", newline="") as file:
    rows = list(csv.DictReader(file, delimiter=";"))

results = {"columns": list(rows[0]), "rows": [[float(v) for v in row.values()] for row in rows]}
