"""Callbacks compared with Keras: what they do, log, print and write, and when."""

import io
import sys
import warnings
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from side_by_side import WIDTH, Library, assert_agree, assert_both_agree, in_both, numbers

import tinynet as tn

some = settings(max_examples=30, deadline=None)

X, Y = numbers(0, 12, WIDTH), numbers(1, 12, 1)


def small(lib: Library, **options: Any) -> Any:
    model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(1)])
    model.compile(lib.optimizers.SGD(0.1), "mse", **options)
    return model


class Driven:
    """A callback of either library, called for epochs with given logs."""

    def __init__(self, lib: Library, callback: Any, epochs: list[dict[str, Any]]) -> None:
        self.model, self.logs = small(lib), []
        seen = lib.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: self.logs.append(logs))
        calls = lib.callbacks.CallbackList([callback, seen], model=self.model)
        output = io.StringIO()
        with mock.patch.object(sys, "stdout", output), warnings.catch_warnings(record=True) as all_:
            warnings.simplefilter("always")
            calls.on_train_begin()
            for epoch, logs in enumerate(epochs):
                calls.on_epoch_begin(epoch)
                self.model.set_weights([np.full((WIDTH, 1), epoch), np.zeros(1)])
                calls.on_epoch_end(epoch, logs)
                if self.model.stop_training:
                    break
            calls.on_train_end(logs)
        warned = [w.message for w in all_ if w.category is UserWarning]
        self.warned = [str(message).rstrip(".") for message in warned]
        self.printed = output.getvalue()
        self.ends_with_epoch = int(self.model.get_weights()[0][0, 0])


def assert_driven_alike(make: Any, epochs: list[dict[str, Any]], *attributes: str) -> None:
    def run(lib: Library) -> Any:
        callback = make(lib)
        driven = Driven(lib, callback, epochs)
        found = [getattr(callback, name) for name in attributes]
        return driven.logs, driven.printed, driven.warned, driven.ends_with_epoch, found

    mine, theirs = in_both(run)
    assert mine == theirs


# -- monitors -------------------------------------------------------------------------------------

QUANTITIES = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.3 + 1e-9, 0.5, -1.0, np.inf, -np.inf])
LOGS = st.fixed_dictionaries({"loss": QUANTITIES}, optional={"val_loss": QUANTITIES})
EPOCHS = st.lists(LOGS, min_size=1, max_size=9)
WATCHED = {
    "monitor": st.sampled_from(["loss", "val_loss"]),
    "mode": st.sampled_from(["auto", "min", "max"]),
    "min_delta": st.sampled_from([0, 0.1, -0.2]),
    "patience": st.integers(0, 3),
    "verbose": st.integers(0, 1),
}


SMALLEST = {"monitor": "loss", "mode": "min", "min_delta": 0.1, "patience": 1, "verbose": 1}


@some
@example(options=SMALLEST, epochs=[{"loss": 0.8}, {"loss": 0.7}, {"loss": 0.6}])  # in float32
@given(
    options=st.fixed_dictionaries(
        WATCHED,
        optional={
            "baseline": QUANTITIES,
            "restore_best_weights": st.just(True),
            "start_from_epoch": st.integers(0, 3),
        },
    ),
    epochs=EPOCHS,
)
def test_training_stops_early_when_it_does_in_keras(options, epochs):
    state = ("wait", "stopped_epoch", "best_epoch", "best")
    assert_driven_alike(lambda lib: lib.callbacks.EarlyStopping(**options), epochs, *state)


@some
@given(
    options=st.fixed_dictionaries(
        WATCHED,
        optional={
            "factor": st.sampled_from([0.5, 0.3]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.02, 0.1]),
        },
    ),
    epochs=EPOCHS,
)
def test_the_learning_rate_is_reduced_when_it_is_in_keras(options, epochs):
    state = ("wait", "cooldown_counter", "best")
    assert_driven_alike(lambda lib: lib.callbacks.ReduceLROnPlateau(**options), epochs, *state)


METRICS = ["mae", "accuracy", "MeanSquaredError", "r2_score"]


@pytest.mark.parametrize("monitor", [*METRICS, *(f"val_{m}" for m in METRICS), "nothing", "loss"])
def test_the_mode_auto_is_refused_or_understood_as_by_keras(run_eagerly, monitor):
    def run(lib: Library) -> Any:
        model = small(lib, metrics=METRICS, run_eagerly=run_eagerly[lib])
        stop = lib.callbacks.EarlyStopping(monitor, restore_best_weights=True)
        better = lib.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: logs.update({monitor: float(epoch)})
        )
        try:
            model.fit(X, Y, epochs=3, callbacks=[better, stop], verbose=0)
        except ValueError as error:
            return type(error).__name__, monitor in str(error)
        return stop.best_epoch

    assert_both_agree(run)


# -- the learning rate ----------------------------------------------------------------------------

SCHEDULES = {
    "of both": lambda epoch, rate: rate * 0.5 if epoch else rate,
    "of the epoch": lambda epoch: 0.1 / (epoch + 1),
    "a NumPy number": lambda epoch, rate: np.float32(0.25),
    "with a default": lambda epoch, rate=0.5: rate / 2,
}


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_scheduled_learning_rate_is_set_logged_and_printed_as_in_keras(schedule, verbose):
    epochs = [{"loss": 1.0}] * 3
    assert_driven_alike(lambda lib: lib.callbacks.LearningRateScheduler(schedule, verbose), epochs)


@pytest.mark.parametrize("returned", [None, "0.1"])
def test_a_schedule_that_does_not_return_a_number_is_refused_as_by_keras(returned):
    def run(lib: Library) -> Any:
        schedule = lib.callbacks.LearningRateScheduler(lambda epoch, rate: returned)
        with pytest.raises(ValueError, match="`schedule` function should be a float"):
            Driven(lib, schedule, [{"loss": 1.0}])
        return True

    assert_both_agree(run)


# -- hooks ----------------------------------------------------------------------------------------


def test_lambda_callbacks_and_deprecated_hook_names_are_called_as_by_keras(run_eagerly):
    def run(lib: Library) -> Any:
        calls: list[Any] = []

        class Old(lib.callbacks.Callback):
            def on_batch_begin(self, batch, logs=None):
                calls.append(("begin", batch))

            def on_batch_end(self, batch, logs=None):
                calls.append(("end", batch, sorted(logs)))

        class Both(Old):
            def on_train_batch_end(self, batch, logs=None):
                calls.append(("both", batch))
                super().on_train_batch_end(batch, logs)

        hooks = {
            "on_epoch_begin": lambda epoch, logs: calls.append((epoch, logs)),
            "on_train_batch_end": lambda batch, logs: logs.update(added=batch),
            "on_test_begin": lambda logs: calls.append(logs),
            "on_predict_batch_end": lambda batch, logs: calls.append((batch, sorted(logs))),
            "on_train_end": lambda logs: calls.append(sorted(logs)),
            "on_epoch_end": lambda epoch, logs: logs.update(extra=1.0),
        }
        model = small(lib, run_eagerly=run_eagerly[lib])
        given = [lib.callbacks.LambdaCallback(**hooks), Old(), Both()]
        history = model.fit(
            X, Y, 6, epochs=2, verbose=0, callbacks=given, validation_split=0.5
        ).history
        model.evaluate(X, Y, verbose=0, callbacks=given)
        model.predict(X, verbose=0, callbacks=given[0])
        return calls, list(history), history["extra"]

    assert_both_agree(run)


def test_histories_progress_bars_and_callback_lists_of_the_user_are_used_as_by_keras(run_eagerly):
    def run(lib: Library) -> Any:
        model = small(lib, run_eagerly=run_eagerly[lib])
        history = lib.callbacks.History()
        found = model.fit(X, Y, verbose=0, callbacks=[history, lib.callbacks.ProgbarLogger()])
        same = found is history is model.history
        listed = lib.callbacks.CallbackList([history], model=model, verbose=0, epochs=9, steps=7)
        again = model.fit(X, Y, epochs=2, verbose=2, callbacks=listed)
        return same, again is history, again.history, again.epoch, again.params

    assert_both_agree(run)


@pytest.mark.parametrize("verbose", ["auto", 0, True])
def test_callbacks_receive_the_verbosity_that_fit_was_given(capsys, verbose):
    def run(lib: Library) -> Any:
        model, callback = small(lib), lib.callbacks.Callback()
        model.fit(X, Y, verbose=verbose, callbacks=[callback])
        return callback.params

    assert_both_agree(run)


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf, 1.0])
@pytest.mark.parametrize("raise_error", [False, True])
def test_terminate_on_nan_stops_after_the_same_batch_as_keras(
    run_eagerly, loss, raise_error, capsys
):
    def run(lib: Library) -> Any:
        model = small(lib, run_eagerly=run_eagerly[lib])
        spoil = lib.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: logs.update(loss=[1.0, loss][batch == 1])
        )
        watch = lib.callbacks.TerminateOnNaN(raise_error)
        try:
            model.fit(X, Y, 3, epochs=3, verbose=0, callbacks=[spoil, watch])
            outcome = [len(model.history.epoch)]
        except RuntimeError as error:
            outcome = [str(error).split(".")[0]]
        return outcome, int(model.optimizer.iterations), capsys.readouterr().out

    assert_both_agree(run)


# -- files ----------------------------------------------------------------------------------------

CELLS = st.sampled_from([0.5, 1e-9, np.float32(0.1), 3, "text, with a comma", [1, 2], np.nan])
NAMES = st.sets(st.sampled_from(["loss", "b", "a,b"])).map(lambda names: {*names, "val_loss"})
ROWS = NAMES.flatmap(
    lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(sorted(names), CELLS)), min_size=1)
)


@some
@given(rows=ROWS, runs=st.integers(1, 2), append=st.booleans(), separator=st.sampled_from(",;\t"))
def test_the_csv_log_of_a_fit_with_validation_equals_keras_byte_for_byte(
    tmp_path_factory, rows, runs, append, separator
):
    folder = tmp_path_factory.mktemp("tables")

    def run(lib: Library) -> bytes:
        path = folder / f"{lib.__name__}.csv"
        for _ in range(runs):
            logger = lib.callbacks.CSVLogger(path, separator=separator, append=append)
            logger.on_train_begin()
            for epoch, logs in enumerate(rows):
                logger.on_epoch_end(epoch, logs)
            logger.on_train_end()
        return path.read_bytes()

    mine, theirs = in_both(run)
    assert mine == theirs


@some
@given(
    options=st.fixed_dictionaries(
        {
            "monitor": st.sampled_from(["loss", "val_loss"]),
            "mode": st.sampled_from(["auto", "min", "max"]),
            "verbose": st.integers(0, 1),
            "save_best_only": st.booleans(),
            "save_weights_only": st.booleans(),
        },
        optional={"initial_value_threshold": QUANTITIES},
    ),
    epochs=EPOCHS,
)
def test_a_checkpoint_is_saved_when_keras_saves_one(tmp_path_factory, options, epochs):
    folder = tmp_path_factory.mktemp("checkpoints")
    ending = ".weights.h5" if options["save_weights_only"] else ".keras"
    saved: list[Any] = []

    def make(lib: Library) -> Any:
        path = folder / ("new/{epoch:02d}-{loss:.1f}" + ending)
        callback = lib.callbacks.ModelCheckpoint(path, **options)
        given = callback.set_model

        def set_model(model: Any) -> None:
            for way in ("save", "save_weights"):
                vars(model)[way] = lambda path, overwrite, way=way: saved.append((lib, way, path))
            given(model)

        callback.set_model = set_model
        return callback

    assert_driven_alike(make, epochs, "best")
    assert [s for lib, *s in saved if lib is tn] == [s for lib, *s in saved if lib is not tn]


@pytest.mark.parametrize("save_freq", [1, 3, 4, "epoch"])
def test_a_checkpoint_is_saved_after_the_batches_of_keras_and_loads_in_both(
    run_eagerly, save_freq, tmp_path
):
    def run(lib: Library) -> Any:
        model = small(lib, run_eagerly=run_eagerly[lib])
        name = "{epoch}" if save_freq == "epoch" else "{epoch}-{batch}"
        path = tmp_path / lib.__name__ / f"{name}.keras"
        callback = lib.callbacks.ModelCheckpoint(path, save_freq=save_freq)
        model.fit(X, Y, 3, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        files = sorted(path.parent.iterdir())
        loaded = lib.models.load_model(files[-1])
        return [f.name for f in files], loaded.get_weights(), int(loaded.optimizer.iterations)

    assert_both_agree(run)


@pytest.mark.parametrize("save_freq", ["epoch", 1])
@pytest.mark.parametrize("double_checkpoint", [False, True])
def test_an_interrupted_training_resumes_as_in_keras(
    run_eagerly, save_freq, double_checkpoint, tmp_path
):
    def run(lib: Library) -> Any:
        class Interrupt(lib.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == 3:
                    raise KeyboardInterrupt

        folder = tmp_path / lib.__name__
        options = {"save_freq": save_freq, "double_checkpoint": double_checkpoint}
        model = small(lib, run_eagerly=run_eagerly[lib])
        how = {"batch_size": 4, "epochs": 6, "shuffle": False, "verbose": 0}
        backup = lib.callbacks.BackupAndRestore(folder, **options)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, callbacks=[Interrupt(), backup], **how)
        there = sorted(f.name for f in folder.iterdir() if not f.name.startswith("previous"))
        there = [name for name in there if not name.endswith(".bkp")]
        again = small(lib, run_eagerly=run_eagerly[lib])
        found = lib.callbacks.BackupAndRestore(folder, **options)
        history = again.fit(X, Y, callbacks=[found], **how)
        return there, history.epoch, history.history, again.get_weights(), folder.exists()

    assert_both_agree(run)


MISTAKES = {
    "factor": lambda c, path: c.ReduceLROnPlateau(factor=1.0),
    "save_freq": lambda c, path: c.ModelCheckpoint(path / "a.keras", save_freq="batch"),
    "backup's save_freq": lambda c, path: c.BackupAndRestore(path, save_freq=1.5),
    "backup_dir": lambda c, path: c.BackupAndRestore(""),
    "ending": lambda c, path: c.ModelCheckpoint(path / "a.pickle"),
    "ending of weights": lambda c, path: c.ModelCheckpoint("a.keras", save_weights_only=True),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_wrong_arguments_of_callbacks_are_refused_as_by_keras(mistake, tmp_path):
    def run(lib: Library) -> Any:
        with pytest.raises(ValueError):  # noqa: PT011
            mistake(lib.callbacks, tmp_path)
        return True

    assert_both_agree(run)


def test_an_unknown_mode_warns_as_in_keras():
    def run(lib: Library) -> Any:
        with pytest.warns(UserWarning, match="EarlyStopping mode 'less' is unknown"):
            return lib.callbacks.EarlyStopping(mode="less").mode

    assert_both_agree(run)


def test_an_unlogged_field_in_a_checkpoint_path_is_refused_as_by_keras(tmp_path):
    def run(lib: Library) -> Any:
        callback = lib.callbacks.ModelCheckpoint(tmp_path / "{acc}.keras")
        with pytest.raises(KeyError, match="Failed to format this callback filepath"):
            Driven(lib, callback, [{"loss": 1.0}])
        return True

    assert_agree(*in_both(run))


@pytest.mark.parametrize("on_epoch", [False, True])
def test_swapped_averages_evaluate_and_train_as_in_keras(run_eagerly, on_epoch):
    x, y = numbers(1, 16, 3), numbers(2, 16, 1)

    def run(lib: Any) -> Any:
        model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(1)])
        sgd = lib.optimizers.SGD(0.1, momentum=0.5, use_ema=True, ema_momentum=0.6)
        model.compile(sgd, "mse", run_eagerly=run_eagerly[lib])
        swap, seen = lib.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch), []
        look = lib.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(model.get_weights())
        )
        history = model.fit(x, y, 8, 3, 0, [swap, look], validation_data=(x, y)).history
        model.evaluate(x, y, verbose=0, callbacks=[swap])
        return history, seen, [v.numpy() for v in (*model.weights, *sgd.variables)]

    assert_both_agree(run)


def test_swapping_averages_that_are_not_kept_is_refused():
    model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="use_ema"):
        model.evaluate(
            numbers(1, 4, 3), numbers(2, 4, 1), callbacks=[tn.callbacks.SwapEMAWeights()]
        )
