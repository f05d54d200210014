"""Schedules of the learning rate as functions of the step, and in an optimizer."""

import keras
import numpy as np
from keras.optimizers import schedules

keras.utils.set_random_seed(10)
x = np.random.default_rng(10).normal(size=(32, 2)).astype("float32")
all_schedules = {
    "exponential": schedules.ExponentialDecay(0.1, decay_steps=4, decay_rate=0.5, staircase=True),
    "polynomial": schedules.PolynomialDecay(0.1, decay_steps=6, end_learning_rate=0.01, power=2.0),
    "cosine": schedules.CosineDecay(0.1, decay_steps=8, warmup_target=0.2, warmup_steps=2),
    "inverse": schedules.InverseTimeDecay(0.1, 2, 0.5),
    "pieces": schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.05, 0.01]),
}
results = {}
for name, schedule in all_schedules.items():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    history = model.fit(x, x[:, :1], epochs=2, batch_size=16, verbose=0)
    rates = [float(schedule(step)) for step in range(10)]
    results[name] = rates, history.history["loss"], float(model.optimizer.learning_rate)
