"""The next value of a series from a window of earlier ones."""

import keras
import numpy as np

keras.utils.set_random_seed(51)
series = np.sin(np.arange(80) / 4) + np.random.default_rng(51).normal(0, 0.1, 80)
windows = np.lib.stride_tricks.sliding_window_view(series, 9).astype("float32")
x, y = windows[:, :-1], windows[:, -1]

model = keras.Sequential(
    [
        keras.Input((8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "relu"),
        keras.layers.Dense(1),
    ]
)
model.compile("adam", loss=keras.losses.Huber(delta=0.5))
history = model.fit(x[..., None], y, epochs=4, shuffle=False, verbose=0)
window = x[-1]
for _ in range(5):
    following = model.predict(window.reshape(1, 8, 1), verbose=0)[0]
    window = np.concatenate([window[1:], following])

results = {"loss": history.history["loss"], "forecast": window[-5:]}
