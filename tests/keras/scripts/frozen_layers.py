"""Transfer: the layers of a trained model are frozen under a new head, then trained gently."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(33)
x = np.random.default_rng(33).normal(size=(32, 5)).astype("float32")
base = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu"), layers.Dense(8, "relu")])
pretrained = keras.Sequential([base, layers.Dense(1)])
pretrained.compile("adam", "mse")
pretrained.fit(x, x.sum(1), epochs=2, verbose=0)

base.trainable = False
inputs = keras.Input((5,))
model = keras.Model(inputs, layers.Dense(2, "softmax")(base(inputs, training=False)))
labels = (x[:, 0] > 0).astype("int32")
model.compile("adam", "sparse_categorical_crossentropy")
kept = base.get_weights()
frozen = model.fit(x, labels, epochs=2, verbose=0)
moved = [float(np.abs(a - b).max()) for a, b in zip(kept, base.get_weights())]
base.trainable = True
model.compile(keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
tuned = model.fit(x, labels, epochs=2, verbose=0)

results = {
    "frozen": frozen.history,
    "moved": moved,
    "tuned": tuned.history,
    "trainable": len(model.trainable_weights),
}
