"""Some of Keras's own unit tests; `python tests/keras/unit_tests.py` runs all of them."""

import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

FILES = ["losses/losses", "layers/merging", "models/sequential", "optimizers/sgd", "constraints"]


@pytest.mark.skipif(not keras.__version__.startswith("3.15."), reason="the list is Keras 3.15's")
def test_keras_s_own_unit_tests_pass_but_for_listed_ones():
    command = [sys.executable, str(Path(__file__).with_name("unit_tests.py")), *FILES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.findall(r"^ *(\d+) passed$", done.stdout, re.M)
    assert int(passed[0]) >= 140
