"""The architecture as JSON and as a config, with fresh weights or the old ones."""

import json

import keras
import numpy as np

keras.utils.set_random_seed(32)
inputs = keras.Input((3,), name="in")
x = keras.layers.Dense(4, "relu", name="one")(inputs)
model = keras.Model(inputs, keras.layers.Dense(2, "softmax", name="two")(x), name="small")
text = model.to_json()
again = keras.models.model_from_json(text)
again.set_weights(model.get_weights())
layer = keras.layers.Dense.from_config(model.get_layer("one").get_config())
data = np.random.default_rng(32).normal(size=(3, 3)).astype("float32")

results = {
    "class": json.loads(text)["class_name"],
    "layers": [layer["class_name"] for layer in json.loads(text)["config"]["layers"]],
    "units": layer.units,
    "predicted": again.predict(data, verbose=0),
    "shapes": [list(w.shape) for w in again.weights],
}
