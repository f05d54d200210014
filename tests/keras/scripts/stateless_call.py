"""The model as a pure function of its variables, and an optimizer as a pure function."""

import keras
import numpy as np

keras.utils.set_random_seed(42)
x = np.random.default_rng(42).normal(size=(12, 3)).astype("float32")
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()]
)
trainable = [np.array(v) * 0.5 for v in model.trainable_variables]
rest = [np.array(v) for v in model.non_trainable_variables]
outputs, moved = model.stateless_call(trainable, rest, x, training=True)

optimizer = keras.optimizers.Adam(0.1)
optimizer.build(model.trainable_variables)
slots = [np.array(v) for v in optimizer.variables]
gradients = [np.ones_like(v) for v in trainable]
stepped, slots = optimizer.stateless_apply(slots, gradients, trainable)

results = {
    "outputs": np.array(outputs),
    "moved": [np.array(v) for v in moved],
    "stepped": [np.array(v) for v in stepped],
    "slots": [np.array(v) for v in slots],
    "unchanged": model.predict(x[:2], verbose=0),
}
