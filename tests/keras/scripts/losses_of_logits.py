"""Losses that take logits, and the probabilities that belong to them."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(43)
rng = np.random.default_rng(43)
x, labels = rng.normal(size=(32, 4)).astype("float32"), rng.integers(0, 3, 32)

model = keras.Sequential([keras.layers.Dense(8, "leaky_relu"), keras.layers.Dense(3)])
model.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
)
history = model.fit(x, labels, epochs=3, verbose=0)
with_softmax = keras.Sequential([model, keras.layers.Softmax()])
binary = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
focal = keras.losses.BinaryFocalCrossentropy(gamma=1.5, from_logits=True)
logits = model.predict(x, verbose=0)

results = {
    "history": history.history,
    "probabilities": with_softmax.predict(x[:3], verbose=0),
    "by hand": np.array(ops.softmax(logits[:3] / 2.0)),
    "binary": np.array(binary(labels[:, None] > 0, logits[:, :1])),
    "focal": float(focal(labels[:, None] > 0, logits[:, :1])),
}
