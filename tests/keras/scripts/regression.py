"""A network of one hidden layer fits the sine of a number."""

import keras
import numpy as np

keras.utils.set_random_seed(1)
x = np.linspace(-3, 3, 64).reshape(-1, 1).astype("float32")
y = np.sin(x)

model = keras.Sequential([keras.Input((1,))])
model.add(keras.layers.Dense(8, activation="tanh"))
model.add(keras.layers.Dense(1))
model.compile(optimizer="adam", loss="mean_squared_error", metrics=["mae"])
history = model.fit(x, y, epochs=5, batch_size=16, verbose=0)

results = {
    "history": history.history,
    "evaluated": model.evaluate(x, y, verbose=0),
    "predicted": model.predict(x[:5], verbose=0),
}
