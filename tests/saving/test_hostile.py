"""What a hostile file costs, and what a killed process leaves."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from helpers import over

import tinynet as tn
from tinynet.configs.files import AT_LEAST, TIMES, replacing
from tinynet.layers import Activation, Dense, Input

BOMBS = {
    "lists": lambda: '{"x": [' + "[]," * 2_000_000 + "[]]}",
    "numbers": lambda: '{"x": [' + "0," * 4_000_000 + "0]}",
    "dicts": lambda: '{"x": [' + "{}," * 2_000_000 + "{}]}",
    "keys": lambda: "{" + ",".join(f'"{i}":{i}' for i in range(600_000)) + "}",
    "nested": lambda: "[" * 100_000,
    "digits": lambda: '{"x": ' + "9" * 1_000_000 + "}",
}


def with_config(path: Path, config: str) -> None:
    """Write a ``.keras`` file, compressed, with this config."""
    model = tn.Sequential([Input((2,)), Dense(1)])
    model.save(path)
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in (members | {"config.json": config.encode()}).items():
            archive.writestr(name, data)


@over(BOMBS, "bomb")
def test_a_json_bomb_is_refused_within_a_multiple_of_its_size(bomb, tmp_path):
    path = tmp_path / "m.keras"
    with_config(path, bomb())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="Cannot load"):
            tn.models.load_model(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < TIMES * path.stat().st_size + AT_LEAST


def test_json_of_a_model_is_bounded_as_a_file_is():
    with pytest.raises(ValueError, match="claims"):
        tn.models.model_from_json(BOMBS["lists"]())


def calls_of(function) -> int:
    """Return how many calls of Python and C functions a function makes."""
    made = 0

    def count(frame, event, arg):
        nonlocal made
        made += event.endswith("call")

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return made


def line(layers: int) -> tn.Model:
    return tn.Sequential([Input((2,)), *[Activation("relu") for _ in range(layers)]])


def graph(layers: int) -> tn.Model:
    x = first = Input((2,))
    for _ in range(layers):
        x = Activation("relu")(x)
    return tn.Model(first, x)


@pytest.mark.parametrize("make", [line, graph])
def test_making_saving_and_loading_take_a_number_of_calls_linear_in_the_layers(make, tmp_path):
    counts = []
    make(3).save(tmp_path / "first.keras")  # imports
    tn.models.load_model(tmp_path / "first.keras")
    for layers in (100, 200, 400):
        path, made = tmp_path / f"{layers}.keras", []
        counts.append(
            [
                calls_of(lambda layers=layers, made=made: made.append(make(layers))),
                calls_of(lambda path=path, made=made: made[0].save(path)),
                calls_of(lambda path=path: tn.models.load_model(path)),
            ]
        )
    first, second, third = map(np.array, counts)
    assert (third - second < 2.1 * (second - first)).all()


# -- what a killed process leaves ------------------------------------------------------------------

WRITER = """
import sys, time
from tinynet.configs.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(path: Path) -> subprocess.Popen:
    """Return a process that is writing a file, until its input ends."""
    command = [sys.executable, "-c", WRITER, os.fspath(path)]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()
    )
    assert child.stdout.readline() == b"writing\n"
    return child


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_the_next_save_removes_what_killed_processes_left_but_no_file_being_written(tmp_path):
    pytest.importorskip("fcntl")
    killed, alive = writer(tmp_path / "a"), writer(tmp_path / "b")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    strangers = ["mine.saving", ".0123456789abcdeg.saving", ".note"]
    for name in strangers:
        (tmp_path / name).write_text("keep")
    os.symlink(tmp_path / ".note", tmp_path / f".{'0' * 16}.saving")  # not a file of ours
    assert len(list(tmp_path.iterdir())) == 2 + 4
    with replacing(tmp_path / "c") as file:
        file.write(b"whole")
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 1 + 4 + 1
    alive.communicate(b"")
    assert alive.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        *strangers,
        f".{'0' * 16}.saving",
        "b",
        "c",
    }
    assert (tmp_path / "b").read_bytes() == b"half"


@pytest.mark.parametrize("as_given", [os.fspath, Path, os.fsencode])
def test_any_kind_of_path_is_taken(as_given, tmp_path):
    model, path = line(1), as_given(tmp_path / "m.keras")
    model.save(path)
    assert len(tn.models.load_model(path).layers) == 1
    weights = as_given(tmp_path / "m.weights.npz")
    model.save_weights(weights)
    model.load_weights(weights)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        line(1).save(tmp_path / "none" / "m.keras")
    assert "none" in str(caught.value)
    assert ".saving" not in str(caught.value)
    for wrong in (None, 3, ["m.keras"]):
        with pytest.raises(TypeError, match="filepath: expected a path, received"):
            line(1).save(wrong)
        with pytest.raises(TypeError, match="filepath: expected a path, received"):
            tn.models.load_model(wrong)


def test_a_model_of_many_layers_is_not_refused():
    text = json.dumps({"class_name": "Sequential"})
    assert len(text) < 100
    model = line(3000)
    assert len(tn.models.model_from_json(model.to_json()).layers) == 3000
