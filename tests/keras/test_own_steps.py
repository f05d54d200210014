"""Steps, metrics and logs that users define, beside Keras.

Keras on JAX has another form of `train_step`, without backward and optimizer. So a step in the form
of Keras's guides for its other backends is compared with the numbers of Keras's own step, which
does the same. What is defined in one form for both runs in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from side_by_side import ROWS, WIDTH, assert_all_roads_agree, assert_both_agree, numbers

import tinynet as tn

X, Y, WEIGHT = numbers(0, ROWS, WIDTH), numbers(1, ROWS, 1), abs(numbers(2, ROWS))


def guide(lib: Any) -> Any:
    """Return the class of Keras's guide "Customizing what happens in fit"."""
    if lib is not tn:
        return lib.Model

    class CustomModel(tn.Model):
        def train_step(self, data):
            x, y, sample_weight = tn.utils.unpack_x_y_sample_weight(data)
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
            self.zero_grad()
            loss.backward()
            trainable_weights = [*self.trainable_weights]
            gradients = [v.value.grad for v in trainable_weights]
            with tn.no_grad():
                self.optimizer.apply(gradients, trainable_weights)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss, sample_weight=len(x))
                else:
                    metric.update_state(y, y_pred, sample_weight=sample_weight)
            return {m.name: m.result() for m in self.metrics}

        def test_step(self, data):
            x, y, sample_weight = tn.utils.unpack_x_y_sample_weight(data)
            y_pred = self(x, training=False)
            loss = self.compute_loss(y=y, y_pred=y_pred, sample_weight=sample_weight)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss, sample_weight=len(x))
                else:
                    metric.update_state(y, y_pred, sample_weight=sample_weight)
            return {m.name: m.result() for m in self.metrics}

    class Graph(CustomModel):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.inner = tn.Model(inputs, outputs)

        def call(self, x):
            return self.inner(x)

    return Graph


def graph(lib: Any, kind: Any) -> Any:
    x = lib.Input((WIDTH,))
    hidden = lib.layers.Dropout(0.3, seed=5)(lib.layers.Dense(6, "tanh")(x))
    return kind(x, lib.layers.Dense(1, kernel_regularizer="l2")(hidden))


def numbers_of(lib: Any, model: Any, run_eagerly: Any, **options: Any) -> list[Any]:
    adam = lib.optimizers.Adam(0.02, clipnorm=0.5)
    model.compile(adam, "mse", run_eagerly=run_eagerly[lib], metrics=["mae", "mse"])
    fit = model.fit(X, Y, 8, 3, verbose=0, validation_data=(X, Y), **options)
    test = model.evaluate(X, Y, 8, 0, return_dict=True)
    return [fit.history, test, model.predict(X, 8, 0), model.get_weights()]


def test_the_steps_of_the_guide_reach_the_numbers_of_keras():
    def run(lib: Any, run_eagerly: Any) -> Any:
        return numbers_of(lib, graph(lib, guide(lib)), run_eagerly)

    assert_all_roads_agree(run)


def with_logs(lib: Any) -> Any:
    """Return a class with the logs of `compute_metrics`, and a metric of its own."""

    class Logs(lib.Sequential):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            self.largest.update_state(lib.ops.max(lib.ops.abs(y_pred)))
            logs = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**logs, "rows": float(y.shape[0])}

    return Logs


def test_the_logs_of_compute_metrics_and_the_attached_metrics_are_those_of_keras():
    def run(lib: Any, run_eagerly: Any) -> Any:
        layers = [lib.Input((WIDTH,)), lib.layers.Dense(4, "tanh"), lib.layers.Dense(1)]
        model = with_logs(lib)(layers)
        model.largest = lib.metrics.Mean(name="largest")
        found = numbers_of(lib, model, run_eagerly, shuffle=False, sample_weight=WEIGHT)
        listed = model.evaluate(X, Y, 8, 0)
        return [*found, dict(sorted(found[1].items())), listed, model.metrics_names]

    assert_all_roads_agree(run)


def test_metrics_that_a_model_lists_are_those_of_keras():
    def kind(lib: Any) -> Any:
        class Listed(lib.Sequential):
            @property
            def metrics(self):
                return [self.zeta, self.alpha]

            def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
                loss = lib.ops.mean((y - y_pred) ** 2)
                self.zeta.update_state(loss)
                self.alpha.update_state(2.0 * loss)
                return loss

        return Listed

    def run(lib: Any, run_eagerly: Any) -> Any:
        model = kind(lib)([lib.Input((WIDTH,)), lib.layers.Dense(1)])
        model.zeta, model.alpha = lib.metrics.Mean(name="zeta"), lib.metrics.Mean(name="alpha")
        model.compile(lib.optimizers.SGD(0.1), run_eagerly=run_eagerly[lib])
        history = model.fit(X, Y, 8, 3, verbose=0, validation_data=(X, Y)).history
        named = model.test_on_batch(X, Y, return_dict=True)
        named = {key: float(value) for key, value in named.items()}
        return [history, named, model.metrics_names, np.array(model.evaluate(X, Y, 8, 0))]

    assert_all_roads_agree(run)


def test_packing_and_unpacking_are_those_of_keras():
    def run(lib: Any) -> Any:
        pack, unpack = lib.utils.pack_x_y_sample_weight, lib.utils.unpack_x_y_sample_weight
        packed = [pack(X), pack((X, X)), pack(X, Y), pack(X, Y, WEIGHT)]
        return [*packed, *map(unpack, [*packed, (X,), [X, Y]])]

    assert_both_agree(run)
