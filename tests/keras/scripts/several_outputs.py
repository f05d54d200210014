"""Two outputs with losses, weights and metrics by name."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(18)
x = np.random.default_rng(18).normal(size=(32, 4)).astype("float32")
targets = {"size": x.sum(1), "kind": (x[:, 0] > 0).astype("int32")}

inputs = keras.Input((4,))
trunk = layers.Dense(8, "relu")(inputs)
size = layers.Dense(1, name="size")(trunk)
kind = layers.Dense(2, "softmax", name="kind")(trunk)
model = keras.Model(inputs, {"size": size, "kind": kind})
model.compile(
    "adam",
    loss={"size": "mse", "kind": "sparse_categorical_crossentropy"},
    loss_weights={"size": 0.3, "kind": 1.0},
    metrics={"size": ["mae"], "kind": ["accuracy"]},
)
history = model.fit(x, targets, epochs=3, verbose=0)

results = {
    "history": history.history,
    "predicted": model.predict(x[:3], verbose=0),
    "evaluated": model.evaluate(x, targets, return_dict=True, verbose=0),
}
