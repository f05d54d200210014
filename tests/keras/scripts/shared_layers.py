"""One encoder for two inputs, and the distance of their codes (a siamese network)."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(17)
a, b = np.random.default_rng(17).normal(size=(2, 32, 3)).astype("float32")
alike = (np.abs(a - b).sum(1) < 3).astype("float32")

encoder = keras.Sequential([layers.Dense(8, "tanh"), layers.Dense(2)], name="encoder")
left, right = keras.Input((3,)), keras.Input((3,))
difference = layers.Subtract()([encoder(left), encoder(right)])
squared = layers.Multiply()([difference, difference])
model = keras.Model([left, right], layers.Dense(1, "sigmoid")(squared))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
history = model.fit([a, b], alike, epochs=4, verbose=0)

results = {
    "history": history.history,
    "same": model.predict([a[:3], a[:3]], verbose=0),
    "weights": len(model.trainable_weights),
}
