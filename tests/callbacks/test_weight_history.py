"""WeightHistory records copies of the weights, with their epochs and steps."""

import copy
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, normal, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.callbacks import Callback, EarlyStopping, WeightHistory
from tinynet.layers import Dense, Input

X, Y = normal(0, 10, 3), normal(1, 10, 1)  # three batches of at most 4


class Witness(Callback):
    """Store the weights of the model after every batch."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.seen = [self.model.get_weights()]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(self.model.get_weights())


def network(eager: bool = False) -> tn.Model:
    model = tn.Sequential([Input((3,)), Dense(2, "tanh"), Dense(1)])
    model.compile(tn.optimizers.Adam(0.1), "mse", run_eagerly=eager)
    return model


def fitted(record: WeightHistory, model: tn.Model | None = None, **options: Any) -> Witness:
    witness, model = Witness(), model or network()
    options = {"epochs": 3, "batch_size": 4, "verbose": 0} | options
    model.fit(X, Y, callbacks=[witness, record], **options)
    return witness


def assert_recorded(record: WeightHistory, witness: Witness, steps: list[int]) -> None:
    assert record.steps == steps
    for step, weights in zip(record.steps, record.weights, strict=True):
        for found, expected in zip(weights, witness.seen[step], strict=True):
            assert_same(found, expected)


@pytest.mark.parametrize("eager", [False, True])
@given(every=st.integers(1, 10))
def test_every_nth_batch_and_the_first_and_last_weights_are_recorded(eager, every):
    record = WeightHistory(every)
    witness = fitted(record, network(eager))
    assert_recorded(record, witness, sorted({*range(0, 10, every), 9}))
    before = [step - 1 for step in record.steps[1:]]  # steps taken before the last one
    assert record.epochs == [0, *(step // 3 for step in before)]


def test_frequency_accepts_epoch_and_batch():
    epochs, batches = WeightHistory(), WeightHistory("batch")
    assert_recorded(epochs, fitted(epochs), [0, 3, 6, 9])
    assert_recorded(batches, fitted(batches), [*range(10)])
    assert epochs.epochs == [0, 0, 1, 2]
    assert epochs.names == [v.path for v in epochs.model.trainable_weights]


@pytest.mark.parametrize("frequency", ["epoch", 3])
def test_recorded_losses_are_those_of_the_logs(frequency):
    record, model = WeightHistory(frequency), network()
    fitted(record, model)
    assert np.isnan(record.losses[0])
    assert record.losses[1:] == model.history.history["loss"]


def test_one_step_of_gradient_descent_by_hand():
    model = tn.Sequential([Input((1,)), Dense(1, kernel_initializer="ones")])
    model.compile(tn.optimizers.SGD(0.25), "mse")
    record = WeightHistory("batch")
    model.fit([2.0], [1.0], verbose=0, callbacks=[record])
    # 1 x 2 + 0 is 1 too much: the gradient is 2 x 1 x (2, 1), a quarter of it (1, 0.5)
    assert [[v.item() for v in weights] for weights in record.weights] == [[1.0, 0.0], [0.0, -0.5]]
    assert record.losses[1] == 1.0


def test_another_fit_continues_the_record_and_another_model_starts_a_new_one():
    record, model = WeightHistory(), network()
    fitted(record, model)
    kept = [weights[0].copy() for weights in record.weights]
    fitted(record, model, initial_epoch=3, epochs=4)
    assert record.steps == [0, 3, 6, 9, 12]
    assert record.epochs == [0, 0, 1, 2, 3]
    for weights, before in zip(record.weights, kept, strict=False):
        assert_same(weights[0], before)  # copies, which training does not change
    fitted(record)
    assert record.steps == [0, 3, 6, 9]


def test_weights_assigned_between_two_fits_are_recorded():
    record, model = WeightHistory(), network()
    fitted(record, model)
    model.set_weights([np.ones_like(w) for w in model.get_weights()])
    fitted(record, model)
    assert record.steps == [0, 3, 6, 9, 9, 12, 15, 18]


def test_early_stopping_and_frozen_weights_are_recorded_correctly():
    record, model = WeightHistory(100), network()
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    stop = EarlyStopping("loss", patience=0, min_delta=1e9)
    model.fit(X, Y, epochs=9, batch_size=4, verbose=0, callbacks=[record, stop])
    assert record.steps == [0, 6]
    assert [w.shape for w in record.weights[-1]] == [(2, 1), (1,)]


def test_a_copy_of_a_record_can_record():
    record = WeightHistory("batch")
    fitted(record)
    again = copy.deepcopy(record)
    fitted(again)
    assert len(record.steps) == len(again.steps) == 10


@pytest.mark.parametrize("frequency", [0, -1, True, 1.5, "step", None])
def test_other_frequencies_are_refused(frequency):
    with refused(ValueError, "frequency", repr(frequency)):
        WeightHistory(frequency)
