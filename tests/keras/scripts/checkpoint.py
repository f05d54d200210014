"""The best model is kept in a file, and one file of weights for each epoch."""

import glob

import keras
import numpy as np
from keras.callbacks import ModelCheckpoint

keras.utils.set_random_seed(9)
x = np.random.default_rng(9).normal(size=(32, 3)).astype("float32")
y = x.prod(1)

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "gelu"), keras.layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.1), "mse")
best = ModelCheckpoint("best.keras", monitor="val_loss", save_best_only=True)
each = ModelCheckpoint("w-{epoch:02d}.weights.h5", save_weights_only=True)
history = model.fit(x, y, validation_split=0.25, epochs=5, callbacks=[best, each], verbose=0)
kept = keras.models.load_model("best.keras")
model.load_weights("w-02.weights.h5")

results = {
    "lowest": min(history.history["val_loss"]),
    "kept": kept.evaluate(x[24:], y[24:], verbose=0),
    "second": model.evaluate(x[24:], y[24:], verbose=0) - history.history["val_loss"][1],
    "files": sorted(glob.glob("*")),
}
