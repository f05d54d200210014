"""The package is found where it is installed. `.ci/run` tries a clone and a wheel."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import tinynet

PROJECT = Path(tinynet.__file__).parent.parent


def test_a_clone_with_the_package_s_name_does_not_hide_the_package(tmp_path):
    """An editable install puts the clone on sys.path, behind the folder of the script."""
    settings = configparser.ConfigParser()
    settings.read(PROJECT / "setup.cfg", encoding="utf-8")
    assert settings["options"]["package_dir"].split() == ["=", "."]  # else only a finder, too late
    (tmp_path / "tinynet").mkdir()
    command = [sys.executable, "-c", "import tinynet; print(tinynet.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert found.stdout.strip() == tinynet.__file__
