"""An encoder and a decoder, trained together and used apart."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(34)
rng = np.random.default_rng(34)
x = (rng.normal(size=(32, 2)) @ rng.normal(size=(2, 6))).astype("float32")

inputs = keras.Input((6,))
code = layers.Dense(2, name="code")(layers.Dense(8, "tanh")(inputs))
encoder = keras.Model(inputs, code, name="encoder")
code_input = keras.Input((2,))
decoder = keras.Model(code_input, layers.Dense(6)(layers.Dense(8, "tanh")(code_input)))
autoencoder = keras.Model(inputs, decoder(encoder(inputs)))
autoencoder.compile("nadam", "mse")
history = autoencoder.fit(x, x, epochs=4, batch_size=16, verbose=0)

results = {
    "loss": history.history["loss"],
    "codes": encoder.predict(x[:4], verbose=0),
    "decoded": decoder.predict(np.eye(2, dtype="float32"), verbose=0),
}
