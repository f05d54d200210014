"""A trained model is saved as one file, loaded, and trained further."""

import keras
import numpy as np

keras.utils.set_random_seed(29)
x = np.random.default_rng(29).normal(size=(32, 3)).astype("float32")
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(8, "relu", name="hidden"), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
model.fit(x, x[:, 2], epochs=2, verbose=0)
model.save("model.keras")
loaded = keras.saving.load_model("model.keras")
further = loaded.fit(x, x[:, 2], epochs=2, verbose=0)

results = {
    "further": further.history,
    "rate": float(loaded.optimizer.learning_rate),
    "steps": int(loaded.optimizer.iterations),
    "layers": [layer.name for layer in loaded.layers],
    "equal": bool((model.predict(x, verbose=0) != loaded.predict(x, verbose=0)).any()),
}
