"""The same network with each optimizer."""

import keras
import numpy as np
from keras import optimizers

x = np.random.default_rng(45).normal(size=(32, 3)).astype("float32")
y = np.tanh(x[:, :1] + x[:, 1:2])
choices = {
    "sgd": optimizers.SGD(learning_rate=0.05, momentum=0.9, clipvalue=0.1),
    "adam": optimizers.Adam(0.01, amsgrad=True),
    "adamw": optimizers.AdamW(0.01, weight_decay=0.1),
    "nadam": optimizers.Nadam(0.01),
    "adamax": optimizers.Adamax(0.01),
    "adagrad": optimizers.Adagrad(0.05),
    "rmsprop": optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "average": optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3),
    "sums": optimizers.Adam(0.05, clipnorm=0.1, gradient_accumulation_steps=3),
    "clipped": optimizers.Adam(0.01, global_clipnorm=0.5),
}
results = {}
for name, optimizer in choices.items():
    keras.utils.set_random_seed(45)
    model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    results[name] = model.fit(x, y, epochs=2, batch_size=16, verbose=0).history["loss"]
