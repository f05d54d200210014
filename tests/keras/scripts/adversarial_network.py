"""An adversarial network by `train_on_batch`: the critic is frozen in the combined model alone."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(31)
maker = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(8),
        layers.LeakyReLU(negative_slope=0.2),
        layers.BatchNormalization(momentum=0.8),
        layers.Dense(6, activation="tanh"),
    ]
)
critic = keras.Sequential([keras.Input((6,)), layers.Dense(8, "gelu"), layers.Dense(1, "sigmoid")])
critic.compile(keras.optimizers.Adam(2e-3, beta_1=0.5), "binary_crossentropy", metrics=["accuracy"])
critic.trainable = False
noise = keras.Input((4,))
combined = keras.Model(noise, critic(maker(noise)))
combined.compile(keras.optimizers.Adam(2e-3, beta_1=0.5), "binary_crossentropy")

rng = np.random.default_rng(31)
losses = []
for _ in range(3):
    z = rng.normal(size=(8, 4)).astype("float32")
    real = critic.train_on_batch(rng.uniform(size=(8, 6)), np.ones((8, 1)))
    made = critic.train_on_batch(maker.predict(z, verbose=0), np.zeros((8, 1)))
    losses.append([*real, *made, float(combined.train_on_batch(z, np.ones((8, 1))))])

results = {"losses": losses, "weights": maker.get_weights() + critic.get_weights()}
