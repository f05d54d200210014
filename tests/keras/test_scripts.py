"""Short scripts, one per way of using a dense network, run in Keras and, with the imports changed
alone, in tinynet: each number of their `results` is the same."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import keras
import pytest
from keras.src.trainers.trainer import Trainer
from side_by_side import assert_agree

import tinynet as tn

SCRIPTS = sorted(
    p for p in Path(__file__).with_name("scripts").glob("*.py") if p.stem != "conftest"
)


def with_imports_changed(script: str) -> str:
    """Return a script of Keras as one of tinynet."""
    script = re.sub("^import keras$", "import tinynet as keras", script, flags=re.M)
    return re.sub("^from keras", "from tinynet", script, flags=re.M)


def results_of(script: str, path: Path) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": path.stem}
    exec(compile(script, path, "exec"), names)
    return names["results"]


@pytest.fixture
def keras_runs_eagerly(monkeypatch):
    """Let Keras run steps eagerly: XLA takes longer to compile one than to run these few."""
    always = property(lambda model: True, lambda model, value: None)
    monkeypatch.setattr(Trainer, "run_eagerly", always)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_with_only_its_imports_changed_has_the_numbers_of_keras(
    path, tmp_path, monkeypatch, keras_runs_eagerly
):
    script = path.read_text(encoding="utf-8")

    def run(lib, text):
        folder = tmp_path / lib.__name__
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        lib.utils.clear_session(free_memory=False)
        with warnings.catch_warnings(action="ignore" if lib is keras else None):
            return results_of(text, path)

    found = run(tn, with_imports_changed(script))
    for tries in (1, 2, 3):  # in one run of thirty, Keras 3.15 loses what `add_loss` added
        try:
            assert_agree(found, run(keras, script))
            break
        except AssertionError:
            if tries == 3:
                raise


def test_a_script_of_tinynet_does_not_use_keras():
    for path in SCRIPTS:
        script = with_imports_changed(path.read_text(encoding="utf-8"))
        assert not re.search(r"^\s*(import|from) keras", script, re.M), path.name
        assert re.search(r"^results = ", script, re.M), path.name
