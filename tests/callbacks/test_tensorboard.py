"""The callback TensorBoard: the curves and histograms in its files, read back."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, normal, refused
from tensorboardX.proto.event_pb2 import Event

import tinynet as tn
from tinynet.callbacks import TensorBoard

X, Y = normal(0, 20, 3), normal(1, 20, 1)  # three batches of at most 8


def values_in(folder: Path) -> dict[tuple[str, int], Any]:
    """Return what the event files of a folder hold, by tag and step."""
    found = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        while data:  # a record: its length, a checksum, the event, a checksum
            (size,) = struct.unpack("<Q", data[:8])
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            for value in event.summary.value:
                found[value.tag, event.step] = value
    return found


def fitted(tmp_path: Path, epochs: int = 2, **options: Any) -> tuple[tn.Model, dict[str, Any]]:
    tn.utils.clear_session()
    model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(1)])
    model.compile(tn.optimizers.SGD(0.125), "mse", metrics=["mae"])
    board = TensorBoard(tmp_path / "logs", **options)
    history = model.fit(X, Y, 8, epochs, 0, [board], validation_data=(X, Y)).history
    return model, history


def test_the_curves_of_training_and_validation_hold_the_logs_of_the_epochs(tmp_path):
    _, history = fitted(tmp_path)
    train, held_out = (values_in(tmp_path / "logs" / part) for part in ("train", "validation"))
    for epoch in range(2):
        for name in ("loss", "mae"):
            assert_close(train[f"epoch_{name}", epoch].simple_value, history[name][epoch], 1e-6)
            value = held_out[f"epoch_{name}", epoch].simple_value
            assert_close(value, history[f"val_{name}"][epoch], 1e-6)
            value = held_out[f"evaluation_{name}_vs_iterations", 3 * epoch + 3].simple_value
            assert_close(value, history[f"val_{name}"][epoch], 1e-6)
        assert train["epoch_learning_rate", epoch].simple_value == 0.125
    assert len(train) == 6


@pytest.mark.parametrize(("freq", "steps"), [("batch", [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6])])
def test_batches_are_written_at_the_chosen_frequency(tmp_path, freq, steps):
    fitted(tmp_path, update_freq=freq)
    train = values_in(tmp_path / "logs" / "train")
    assert sorted(step for tag, step in train if tag == "batch_loss") == steps


def test_histograms_hold_the_weights_of_each_epoch_that_is_due(tmp_path):
    model, _ = fitted(tmp_path, epochs=3, histogram_freq=2)
    train = values_in(tmp_path / "logs" / "train")
    histograms = {key: value.histo for key, value in train.items() if "histogram" in key[0]}
    names = ("sequential/dense/kernel/histogram", "sequential/dense/bias/histogram")
    assert set(histograms) == {(name, epoch) for name in names for epoch in (0, 2)}
    assert_close(histograms[names[0], 2].sum, np.sum(model.get_weights()[0]), 1e-5)


@pytest.mark.parametrize("option", ["write_images", "profile_batch", "embeddings_freq"])
def test_options_that_only_keras_has_are_refused(option):
    with refused(ValueError, "TensorBoard", option):
        TensorBoard(**{option: 1})
    with refused(ValueError, "update_freq"):
        TensorBoard(update_freq="hour")
