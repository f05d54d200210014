"""The last rows validate; the others are shuffled anew in each epoch."""

import keras
import numpy as np

keras.utils.set_random_seed(5)
x = np.random.normal(size=(50, 3)).astype("float32")
y = x @ np.array([[1.0], [-2.0], [0.5]], "float32") + 0.3

model = keras.Sequential([keras.layers.Dense(4, "elu"), keras.layers.Dense(1)])
model.compile("adam", "mse")
split = model.fit(x, y, validation_split=0.2, epochs=3, batch_size=8, verbose=0)
given = model.fit(x, y, validation_data=(x[:9], y[:9]), epochs=4, validation_freq=2, verbose=0)

results = {"split": split.history, "given": given.history, "epochs": split.epoch + given.epoch}
