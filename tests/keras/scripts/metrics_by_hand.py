"""Metrics outside of models, updated over batches and reset."""

import keras
import numpy as np

rng = np.random.default_rng(52)
truth, guess = rng.integers(0, 2, (30, 1)), rng.uniform(size=(30, 1)).astype("float32")
several = [
    keras.metrics.Mean(),
    keras.metrics.MeanSquaredError(),
    keras.metrics.RootMeanSquaredError(),
    keras.metrics.BinaryAccuracy(),
    keras.metrics.AUC(num_thresholds=50),
    keras.metrics.F1Score(threshold=0.5),
    keras.metrics.FalsePositives([0.3, 0.7]),
    keras.metrics.R2Score(),
    keras.metrics.CosineSimilarity(),
]
results = {}
for metric in several:
    values = []
    for rows in (slice(0, 20), slice(20, 30)):
        given = (guess[rows],) if metric.name == "mean" else (truth[rows], guess[rows])
        metric.update_state(*given)
        values.append(np.array(metric.result()))
    metric.reset_state()
    results[metric.name] = values
