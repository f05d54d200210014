"""Points inside and outside of a circle, told apart by one sigmoid."""

import keras
import numpy as np
from keras import layers, metrics

keras.utils.set_random_seed(2)
points = np.random.default_rng(2).uniform(-1, 1, (64, 2)).astype("float32")
inside = (np.hypot(points[:, 0], points[:, 1]) < 0.6).astype("float32")

model = keras.Sequential([layers.Dense(8, "relu"), layers.Dense(1, "sigmoid")])
model.compile(
    optimizer=keras.optimizers.RMSprop(0.01),
    loss="binary_crossentropy",
    metrics=["accuracy", metrics.AUC(name="auc"), metrics.Precision(name="p"), metrics.Recall()],
)
history = model.fit(points, inside, epochs=4, verbose=0)
chances = model.predict(points, verbose=0)

results = {"history": history.history, "chances": chances, "positive": int((chances > 0.5).sum())}
