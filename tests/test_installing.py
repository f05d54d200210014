"""The package is found where it is installed. `.ci/run` tries a clone and a wheel."""

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tinynet

PROJECT = Path(tinynet.__file__).parent.parent
IMPORT_ALL = """
import importlib, pkgutil, tinynet
for module in pkgutil.walk_packages(tinynet.__path__, "tinynet."):
    if module.name not in ("tinynet.distribution.mpi", "tinynet.__main__"):
        importlib.import_module(module.name)
"""


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


@pytest.mark.parametrize("options", [["-O"], ["-OO"], ["-bb", "-X", "dev", "-W", "error"]], ids=str)
def test_all_modules_can_be_imported_under_options_of_python(options):
    """Without `assert`, without docstrings, and with every warning an error."""
    command = [sys.executable, *options, "-c", IMPORT_ALL]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr


FROM_ZIP = """
import numpy as np, tinynet as tn
model = tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)], name="line")
model.compile("sgd", "mse", jit_compile=True)
model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
model.export("line.c", format="c")
model.export("line.py", format="numpy")
print(".zip" in tn.__file__, model.train_function.native)
try:
    tn.layers.LSTM
except AttributeError as error:
    print(error)
"""


def test_a_package_in_a_zip_file_trains_in_c_and_exports(tmp_path):
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in (PROJECT / "tinynet").rglob("*.*"):
            if path.suffix in (".py", ".c", ".txt", ".pyi"):
                archive.write(path, path.relative_to(PROJECT))
    environment = {**os.environ, "PYTHONPATH": "package.zip"}
    command = [sys.executable, "-W", "error", "-c", FROM_ZIP]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "\nTrue True\n" in done.stdout, done.stderr
    assert "layers' has no attribute 'LSTM': Keras has" in done.stdout
    assert {"line.c", "line.py"} <= {path.name for path in tmp_path.iterdir()}
