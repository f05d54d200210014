"""Distillation: a model with its own `compile` and `compute_loss`, which holds two models."""

import keras
import numpy as np
from keras import ops


class Distiller(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.student, self.teacher = student, teacher

    def compile(self, optimizer, metrics, student_loss, distillation_loss, alpha, temperature):
        super().compile(optimizer=optimizer, metrics=metrics)
        self.student_loss, self.distillation_loss = student_loss, distillation_loss
        self.alpha, self.temperature = alpha, temperature

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
        of_teacher = self.teacher(x, training=False)
        soft = [ops.softmax(p / self.temperature, axis=1) for p in (of_teacher, y_pred)]
        distilled = self.distillation_loss(*soft) * self.temperature**2
        return self.alpha * self.student_loss(y, y_pred) + (1 - self.alpha) * distilled

    def call(self, x):
        return self.student(x)


keras.utils.set_random_seed(32)
x = np.random.default_rng(32).normal(size=(24, 4)).astype("float32")
y = np.arange(24) % 3
teacher = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]
)
teacher.trainable = False
model = Distiller(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), teacher)
model.compile(
    optimizer=keras.optimizers.Adam(0.01),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
    student_loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    distillation_loss=keras.losses.KLDivergence(),
    alpha=0.1,
    temperature=10,
)
history = model.fit(x, y, batch_size=8, epochs=2, verbose=0)

results = {"history": history.history, "again": model.evaluate(x, y, verbose=0)}
