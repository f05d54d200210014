"""Files with a variable too few or too many, of every format: refused by name, or skipped."""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers import assert_all_same, everything, over, refused

import tinynet as tn
from tinynet.layers import Dense, Input


def network() -> tn.Model:
    made = tn.Sequential([Input((3,)), Dense(2, name="first"), Dense(1, name="last")])
    made.set_weights([np.full(w.shape, 0.5, "float32") for w in made.weights])
    return made


def changed_h5(path: Path, change: Any) -> None:
    data = io.BytesIO(path.read_bytes()[:-40])  # without the digest
    with h5py.File(data, "a") as file:
        change(file["layers/dense/vars"])
    path.write_bytes(data.getvalue())


def changed_npz(path: Path, change: Any) -> None:
    place = "layers/dense/vars/"
    with np.load(path) as old:
        arrays = dict(old)
    own = {name[len(place) :]: arrays.pop(name) for name in [*arrays] if name.startswith(place)}
    change(own)
    np.savez(path, **arrays, **{place + name: array for name, array in own.items()})


def renamed(group: Any) -> None:
    group["3"] = group["1"][()]
    del group["1"]


CHANGES = {
    "the last is missing": lambda group: group.pop("1"),
    "the first is missing": lambda group: group.pop("0"),
    "all are missing": lambda group: [group.pop(name) for name in ("0", "1")],
    "one more": lambda group: group.__setitem__("2", np.ones(2, "float32")),
    "another number": renamed,
}


@over(CHANGES, "change")
@pytest.mark.parametrize("ending", ["h5", "npz"])
def test_a_layer_with_other_variables_in_the_file_is_refused_or_skipped(tmp_path, ending, change):
    path, model = tmp_path / f"m.weights.{ending}", network()
    saved = network()
    saved.set_weights([2 * w for w in model.get_weights()])
    saved.save_weights(path)
    (changed_h5 if ending == "h5" else changed_npz)(path, change)
    before = everything(model)
    with refused(ValueError, "'first' expected the variables ['kernel', 'bias']", "received ["):
        model.load_weights(path)
    assert_all_same(everything(model), before)
    with pytest.warns(UserWarning, match="A total of 1 objects could not be loaded"):
        model.load_weights(path, skip_mismatch=True)
    assert_all_same(everything(model), [*before[:2], *everything(saved)[2:]])


KINDS = {"float16": "f", "float64": "f", "int32": "i", "uint8": "i", "bool": "b"}


@pytest.mark.parametrize("own", KINDS)
@pytest.mark.parametrize("saved", KINDS)
def test_an_array_is_loaded_only_into_a_variable_of_its_kind(tmp_path, own, saved):
    class Count(tn.layers.Layer):
        def __init__(self, dtype: str) -> None:
            super().__init__()
            self.n = self.add_weight((2,), "zeros", dtype, trainable=False, name="n")

        def call(self, inputs: Any) -> Any:
            return inputs

    path = tmp_path / "m.weights.npz"
    np.savez(path, **{"layers/count/vars/0": np.ones(2, saved)})
    model = tn.Sequential([Input((3,)), Count(own)])
    if KINDS[own] == KINDS[saved]:
        model.load_weights(path)
        assert model.get_weights()[0].tolist() == [1, 1]
    else:
        with refused(ValueError, f"shape (2,) and dtype {own}", f"shape (2,) and dtype {saved}"):
            model.load_weights(path)
        assert model.get_weights()[0].tolist() == [0, 0]
