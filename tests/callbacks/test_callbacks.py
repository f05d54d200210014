"""Callbacks beyond Keras: no file is half written, nothing valid is refused."""

import csv
import json
import os
import pickle
from typing import Any
from unittest import mock

import numpy as np
import pytest
from helpers import normal, refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from tinynet.layers import Dense, Input

ROWS = 8
X, Y = normal(0, ROWS, 3), normal(1, ROWS, 1)


def network(**options: Any) -> tn.Model:
    model = tn.Sequential([Input((3,)), Dense(1)])
    model.compile(tn.optimizers.SGD(0.1), "mse", **options)
    return model


# -- backups --------------------------------------------------------------------------------------


class Crash(BaseException):
    """The end of the process."""


class Marked:
    """A fake model: its weights are one number, which counts batches."""

    built, optimizer, trainable_variables = True, None, ()
    begun = 0  # the epoch that its last run began with
    weights = variables = ()

    def __init__(self) -> None:
        self.updates = 0

    def save_weights(self, path: str, overwrite: bool) -> None:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(self.updates, file)
        os.replace(f"{path}.new", path)

    def load_weights(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            self.updates = json.load(file)


def crashing(at: int) -> Any:
    """Patch `os.replace` to crash in call ``at // 2``, before or after the real one."""
    real, calls = os.replace, iter(range(10_000))

    def replace(source: Any, target: Any) -> None:
        call = next(calls)
        if call == at // 2 and at % 2 == 0:
            raise Crash
        real(source, target)
        if call == at // 2:
            raise Crash

    return mock.patch.object(os, "replace", replace)


def run_on(folder: Any, model: Marked, epochs: int = 5, **options: Any) -> int:
    """Train the fake model with a backup, 3 batches per epoch; return the first epoch."""
    backup = BackupAndRestore(folder, **options)
    calls = CallbackList([backup], model=model)
    calls.on_train_begin()
    begun = model.begun = calls.first_epoch(0)
    assert 3 * begun <= model.updates <= 3 * begun + 3  # saved during the first epoch
    model.updates = 3 * begun
    for epoch in range(begun, epochs):
        calls.on_epoch_begin(epoch)
        for batch in range(3):
            model.updates += 1
            calls.on_train_batch_end(batch)
        calls.on_epoch_end(epoch)
    calls.on_train_end()
    return begun


@given(
    crashes=st.lists(st.integers(0, 40), max_size=4),
    save_freq=st.sampled_from(["epoch", 1, 2, 7]),
    double_checkpoint=st.booleans(),
)
def test_after_a_crash_at_any_moment_weights_and_epoch_belong_together(
    tmp_path_factory, crashes, save_freq, double_checkpoint
):
    folder = tmp_path_factory.mktemp("crash") / "backup"
    options = {"save_freq": save_freq, "double_checkpoint": double_checkpoint}
    before = 0
    for at in crashes:
        model = Marked()
        with crashing(at):
            try:
                begun = run_on(folder, model, **options)
            except Crash:
                begun = model.begun or before  # 0 if it crashed at the start
        finished = not folder.exists()
        assert finished or begun >= before
        before = 0 if finished else begun
    model = Marked()
    run_on(folder, model, **options)
    assert model.updates == 15
    assert not folder.exists()


def test_the_previous_state_is_used_if_the_last_one_cannot_be_read(tmp_path):
    kept = {"double_checkpoint": True, "delete_checkpoint": False}
    run_on(tmp_path, Marked(), epochs=4, **kept)
    (tmp_path / "latest.weights.h5").write_text("nonsense")
    assert run_on(tmp_path, Marked(), **kept) == 3
    (tmp_path / "latest.weights.h5").write_text("nonsense")
    for left in tmp_path.glob("previous*"):
        left.unlink()
    with pytest.raises(ValueError, match="Expecting value"):
        run_on(tmp_path, Marked())


@pytest.mark.parametrize("h5py", [True, None])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(monkeypatch, tmp_path, h5py):
    monkeypatch.setattr("tinynet.callbacks.files.find_spec", lambda name: h5py)

    def interrupt(epoch: int, logs: Any) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    how = {"epochs": 6, "batch_size": 3, "shuffle": False, "verbose": 0}
    first, whole, second = network(), network(), network()
    whole.set_weights(first.get_weights())
    expected = whole.fit(X, Y, **how).history["loss"]
    stop, folder = LambdaCallback(on_epoch_begin=interrupt), tmp_path / "backup"
    with pytest.raises(KeyboardInterrupt):
        first.fit(X, Y, callbacks=[BackupAndRestore(folder), stop], **how)
    history = second.fit(X, Y, callbacks=[BackupAndRestore(folder)], **how)
    assert history.epoch == [3, 4, 5]
    assert history.history["loss"] == expected[3:]
    again = second.fit(X, Y, callbacks=[BackupAndRestore(folder)], **how)
    assert again.epoch == list(range(6))  # the backup of a finished run is removed


def test_a_backup_of_a_model_that_is_not_built_is_refused(tmp_path):
    model = tn.Sequential([Dense(1)])
    model.compile("sgd", "mse")
    calls = CallbackList([BackupAndRestore(tmp_path)], model=model)
    with refused(ValueError, "built", "Input"):
        calls.on_train_begin()


# -- checkpoints and tables -----------------------------------------------------------------------


def test_the_best_model_can_be_saved_after_batches(tmp_path):
    path = tmp_path / "best.keras"
    best = ModelCheckpoint(path, "loss", save_best_only=True, save_freq=1)
    losses = iter([3.0, 1.0, 2.0])
    spoil = LambdaCallback(on_train_batch_end=lambda batch, logs: logs.update(loss=next(losses)))
    weights: list[np.ndarray] = []
    keep = LambdaCallback(on_train_batch_end=lambda *_: weights.append(model.get_weights()[0]))
    model = network()
    model.fit(X, Y, 3, verbose=0, callbacks=[spoil, keep, best])
    assert best.best == 1.0
    np.testing.assert_array_equal(tn.models.load_model(path).get_weights()[0], weights[1])


def test_each_epoch_is_written_to_the_table_at_its_end(tmp_path):
    path, lines = tmp_path / "log.csv", []
    look = LambdaCallback(on_epoch_end=lambda *_: lines.append(path.read_text().splitlines()))
    logger = CSVLogger(path)
    history = network().fit(X, Y, epochs=3, verbose=0, callbacks=[logger, look]).history
    assert [len(seen) for seen in lines] == [2, 3, 4]
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert {*rows[0]} == {"epoch", "loss"}
    pickle.loads(pickle.dumps(logger)).on_epoch_end(3, {"loss": 0.5})
    assert path.read_text().splitlines()[-1] == "3,0.5"


@pytest.mark.parametrize("append", [False, True])
def test_a_csv_log_has_the_columns_of_all_values_there_were(tmp_path, append):
    path = tmp_path / "log.csv"
    data = {"validation_data": (X, Y), "validation_freq": 2}
    network().fit(X, Y, epochs=3, verbose=0, callbacks=[CSVLogger(path)], **data)
    model = network(metrics=["mae"])
    again = model.fit(X, Y, epochs=1, verbose=0, callbacks=[CSVLogger(path, append=append)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {key: float(value) for key, value in rows[-1].items() if value != "NA"} == {
        "epoch": 0.0,
        "loss": again.history["loss"][0],
        "mae": again.history["mae"][0],
    }
    if append:
        assert [*rows[0]] == ["epoch", "loss", "val_loss", "mae"]
        assert [row["val_loss"] == "NA" for row in rows] == [True, False, True, True]
        assert [row["mae"] for row in rows[:3]] == ["NA"] * 3
    else:
        assert [*rows[0]] == ["epoch", "loss", "mae"]


# -- monitored quantities -------------------------------------------------------------------------


def test_the_direction_is_known_for_losses_and_metrics_of_several_outputs():
    inputs = Input((3,))
    model = tn.Model(inputs, [Dense(1, name="a")(inputs), Dense(1, name="b")(inputs)])
    model.compile("sgd", ["mse", "mse"], metrics=[["r2_score"], ["mae"]])
    watched = ("a_loss", "a_r2_score", "b_mae")
    callbacks = [EarlyStopping(monitor, restore_best_weights=True) for monitor in watched]
    rising = LambdaCallback(on_epoch_end=lambda e, logs: logs.update(dict.fromkeys(watched, e)))
    model.fit(X, [Y, Y], epochs=2, verbose=0, callbacks=[rising, *callbacks])
    assert [callback.best_epoch for callback in callbacks] == [0, 1, 0]


def test_a_metric_of_unknown_direction_is_refused_with_a_remedy():
    model = network(metrics=[lambda y_true, y_pred: y_pred - y_true])
    with refused(ValueError, "EarlyStopping: monitor", "'lambda'", "mode='max'", "auto"):
        model.fit(X, Y, verbose=0, callbacks=EarlyStopping("lambda"))
    with refused(ValueError, "monitor", "metric of ['lambda', 'loss']", "received 'val_los'"):
        model.fit(X, Y, verbose=0, callbacks=EarlyStopping("val_los"))
    model.fit(X, Y, verbose=0, callbacks=EarlyStopping("lambda", mode="max"))


@pytest.mark.parametrize("rate", [1, np.float64(0.5), np.int32(2), tn.tensor(0.25)])
def test_a_schedule_may_return_any_number(rate):
    model = network()
    logs = model.fit(X, Y, verbose=0, callbacks=LearningRateScheduler(lambda epoch: rate))
    assert logs.history["learning_rate"] == [float(rate)]


def test_a_type_error_inside_a_schedule_is_raised():
    def schedule(epoch: int, rate: float) -> float:
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        network().fit(X, Y, verbose=0, callbacks=LearningRateScheduler(schedule))


def test_invalid_arguments_of_callbacks_are_refused():
    with refused(ValueError, "on_epoch_end", "on_epoch_endd"):
        LambdaCallback(on_epoch_endd=print)
    with refused(ValueError, "factor=2.0"):
        ReduceLROnPlateau(factor=2.0)
    with refused(ValueError, "callbacks", "print"):
        CallbackList([Callback(), [print]])
    with refused(ValueError, "save_freq", "often"):
        ModelCheckpoint("a.keras", save_freq="often")
    with refused(ValueError, "a.txt", ".keras"):
        ModelCheckpoint("a.txt")
    with refused(ValueError, "LearningRateScheduler: schedule", "a function", "0.1"):
        LearningRateScheduler(0.1)
    with refused(ValueError, "LambdaCallback: on_epoch_end", "a function", "'save'"):
        LambdaCallback(on_epoch_end="save")
    unknown = ModelCheckpoint("{val_lss}.keras")
    with pytest.raises(KeyError, match=r"no .*val_lss.* among .*epoch.*loss"):
        network().fit(X, Y, verbose=0, callbacks=unknown)


def test_a_refused_fit_keeps_the_previous_history():
    model = network()
    history = model.fit(X, Y, verbose=0)
    model.compile("sgd", "nonsense")
    with refused(ValueError, "nonsense"):
        model.fit(X, Y, verbose=0)
    assert model.history is history
