"""`python -m tinynet` shows what was found on this machine."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native import NATIVE

import tinynet as tn
from tinynet.__main__ import EXTRAS, report
from tinynet.compiler import toolchain

ROOT = Path(tn.__file__).parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def lines() -> dict[str, str]:
    """Return the last line of each name."""
    return dict(report())


def printed(**environment: str) -> str:
    """Return what the command prints, which warns of nothing."""
    command = [sys.executable, "-W", "error", "-m", "tinynet"]
    environment = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


def test_the_command_prints_a_line_for_each_thing_found():
    text = printed(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    names = [*dict.fromkeys(line[:10].strip() for line in text.splitlines())]
    shown = ["tinynet", "Python", "NumPy", "BLAS", "compiler", "cache", "extra", "example"]
    assert names == shown
    assert text.startswith(f"tinynet   {tn.__version__}, ")
    assert re.search(r"^BLAS .*, 1 threads$", text, re.M)


def test_a_reader_that_has_ended_is_no_error():
    """As in ``python -m tinynet | head -1``."""
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(
        [sys.executable, "-m", "tinynet"], cwd=ROOT, stdout=start, stderr=subprocess.PIPE, text=True
    )
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")


def test_versions_are_those_in_use():
    found = lines()
    assert found["NumPy"] == np.__version__
    assert found["Python"].startswith(sys.version.split()[0])
    assert Path(found["tinynet"].partition(", ")[2]) == ROOT / "tinynet"


def test_a_compiler_is_shown_with_its_options_and_version(tmp_path, monkeypatch):
    path = script(tmp_path / "my cc", "echo cc 1.2.3; echo more")
    monkeypatch.setenv("CC", f"'{path}' -pipe")
    assert lines()["compiler"] == f"'{path}' -pipe, cc 1.2.3"


@pytest.mark.parametrize("text", ["echo broken >&2; exit 3", "exit 0"])
def test_a_compiler_that_does_not_work_is_shown(text, tmp_path, monkeypatch):
    path = script(tmp_path / "cc", text)
    monkeypatch.setenv("CC", str(path))
    assert lines()["compiler"].startswith(f"{path} does not work, programs run as NumPy: ")


def test_a_missing_compiler_is_shown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert lines()["compiler"] == "none, programs run as NumPy"


def test_the_cache_is_shown_with_its_files(folder):
    assert lines()["cache"] == f"{folder}, 0 libraries, 0.0 MB"
    for i in range(2):
        (folder / f"tinynet-{i}.so").write_bytes(bytes(10**6))
    (folder / "mine.so").write_bytes(bytes(10**6))
    assert lines()["cache"] == f"{folder}, 2 libraries, 2.0 MB"
    toolchain.load("int answer(void) { return 42; }\n")
    assert lines()["cache"].startswith(f"{folder}, {2 + NATIVE} libraries")


def test_a_cache_that_cannot_be_written_or_is_not_safe_is_shown(folder):
    expected = "a temporary folder for each process, 0 libraries, 0.0 MB"
    folder.write_text("a file in its place")
    assert lines()["cache"] == expected
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    assert lines()["cache"] == expected


def test_each_extra_is_shown_whether_it_is_installed_or_not(monkeypatch):
    monkeypatch.setitem(EXTRAS, "none", "no_such_package")
    found = [text for name, text in report() if name == "extra"]
    assert found[-1] == "none, no_such_package is not installed"
    assert [text.partition(",")[0] for text in found] == list(EXTRAS)


def test_the_extras_are_those_of_the_setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    for extra, package in EXTRAS.items():
        published = package.replace("sklearn", "scikit-learn")  # the others have one name
        assert published in parser["options.extras_require"][extra]
    bundles = {"examples", "bench", "test", "docs", "dev"}  # for people who work on tinynet
    assert {*parser["options.extras_require"]} - bundles == {*EXTRAS}


def test_examples_are_shown_only_in_a_clone(tmp_path, monkeypatch):
    examples = [text for name, text in report() if name == "example"]
    assert len(examples) == len([*ROOT.glob("examples/[0-9]*.py")])
    first = os.path.join("examples", "01_one_neuron.py")
    assert examples[1] == f"{first}: One neuron finds the regression line."
    monkeypatch.setattr("tinynet.__main__.ROOT", tmp_path)
    assert "example" not in lines()
