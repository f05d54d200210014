"""Training ends when the validation loss does not improve; the best weights return."""

import keras
import numpy as np

keras.utils.set_random_seed(8)
rng = np.random.default_rng(8)
x, y = rng.normal(size=(30, 6)).astype("float32"), rng.normal(size=30).astype("float32")

model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.05), "mse")
stop = keras.callbacks.EarlyStopping(
    monitor="val_loss", patience=3, min_delta=1e-3, restore_best_weights=True
)
history = model.fit(x, y, epochs=40, validation_split=0.3, callbacks=[stop], verbose=0)

results = {
    "epochs": len(history.history["loss"]),
    "stopped": stop.stopped_epoch,
    "best": float(stop.best),
    "validated": model.evaluate(x[21:], y[21:], verbose=0),
}
