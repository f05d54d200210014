"""Functions as callbacks: the norm of the weights after each epoch, the order of the events."""

import keras
import numpy as np
from keras.callbacks import LambdaCallback

keras.utils.set_random_seed(7)
x = np.random.default_rng(7).normal(size=(32, 2)).astype("float32")
model = keras.Sequential([keras.layers.Input(shape=(2,)), keras.layers.Dense(1)])
model.compile("sgd", "mae")
norms, events = [], []
model.fit(
    x,
    x.sum(1),
    epochs=3,
    batch_size=16,
    verbose=0,
    callbacks=[
        LambdaCallback(
            on_epoch_end=lambda e, logs: norms.append(np.linalg.norm(model.get_weights()[0]))
        ),
        LambdaCallback(on_train_begin=lambda logs: events.append("begin")),
        LambdaCallback(on_train_batch_begin=lambda b, logs: events.append(f"batch {b}")),
    ],
)

results = {"norms": norms, "events": events}
