"""Evaluation as a list, as a dict, of some steps, and prediction in batches of any size."""

import keras
import numpy as np

keras.utils.set_random_seed(38)
x = np.random.default_rng(38).normal(size=(23, 3)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
model.compile(
    "sgd", "binary_crossentropy", metrics=["mae", keras.metrics.BinaryAccuracy(threshold=0.4)]
)

results = {
    "list": model.evaluate(x, y, batch_size=5, verbose=0),
    "dict": model.evaluate(x, y, return_dict=True, verbose=0),
    "steps": model.evaluate(x, y, batch_size=4, steps=2, verbose=0),
    "batches": model.predict(x, batch_size=6, verbose=0),
    "batch": model.predict_on_batch(x[:2]),
    "call": np.array(model(x[:2])),
    "names": model.metrics_names,
}
