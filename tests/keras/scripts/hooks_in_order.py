"""A callback that notes the order of all hooks, and the keys of the logs that each receives."""

import keras
import numpy as np

hooks = [f"on_{what}_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")]
hooks += [f"on_epoch_{when}" for when in ("begin", "end")]
hooks += [
    f"on_{what}_batch_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")
]
noted = []


def noting(hook):
    def method(self, *args, logs=None):
        *number, given = args if len(args) > ("epoch" in hook or "batch" in hook) else (*args, logs)
        noted.append([hook, *number, sorted(given or {})])

    return method


Noting = type("Noting", (keras.callbacks.Callback,), {hook: noting(hook) for hook in hooks})

keras.utils.set_random_seed(34)
x = np.random.default_rng(34).uniform(size=(24, 6)).astype("float32")
model = keras.Sequential([keras.layers.Dense(1)])
model.compile(keras.optimizers.RMSprop(0.1), "mean_squared_error", metrics=["mae"])
model.fit(x, x[:, 0], batch_size=8, epochs=2, verbose=0, validation_split=0.5, callbacks=[Noting()])
model.evaluate(x, x[:, 0], batch_size=16, verbose=0, callbacks=[Noting()])
model.predict(x, batch_size=16, verbose=0, callbacks=[Noting()])

results = {"noted": noted}
