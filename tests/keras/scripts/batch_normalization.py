"""Batch normalization learns moving statistics in training, and uses them afterwards."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(21)
x = np.random.default_rng(21).normal(3, 5, size=(64, 4)).astype("float32")
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.BatchNormalization(momentum=0.8),
        layers.Dense(8, use_bias=False),
        layers.BatchNormalization(epsilon=1e-4, scale=False),
        layers.Activation("relu"),
        layers.Dense(1),
    ]
)
model.compile("sgd", "mse")
history = model.fit(x, x[:, 0], epochs=3, batch_size=16, validation_split=0.25, verbose=0)

results = {
    "history": history.history,
    "moving": [np.array(w) for w in model.layers[0].non_trainable_weights],
    "trainable": len(model.trainable_weights),
    "predicted": model.predict(x[:3], verbose=0),
}
