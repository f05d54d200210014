"""Each sample has a weight in the loss and in the weighted metrics, not in the other metrics."""

import keras
import numpy as np

keras.utils.set_random_seed(26)
rng = np.random.default_rng(26)
x, weights = rng.normal(size=(32, 3)).astype("float32"), rng.uniform(0, 2, 32).astype("float32")
y = (x * x).sum(1)

model = keras.Sequential([keras.layers.Dense(8, "softplus"), keras.layers.Dense(1)])
model.compile("rmsprop", "mse", metrics=["mae"], weighted_metrics=["mse"])
history = model.fit(
    x, y, sample_weight=weights, epochs=3, validation_data=(x[:8], y[:8], weights[:8]), verbose=0
)

results = {
    "history": history.history,
    "weighted": model.evaluate(x, y, sample_weight=weights, verbose=0),
    "plain": model.evaluate(x, y, verbose=0),
}
