"""Weights averaged over the steps take part in validation and in the checkpoint."""

import keras
import numpy as np

keras.utils.set_random_seed(46)
x = np.random.default_rng(46).normal(size=(32, 3)).astype("float32")
y = x[:, 0] * x[:, 1]
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.8), "mse")
callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), keras.callbacks.TerminateOnNaN()]
history = model.fit(
    x, y, epochs=3, batch_size=8, validation_split=0.25, callbacks=callbacks, verbose=0
)

results = {"history": history.history, "weights": model.get_weights()}
