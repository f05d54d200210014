"""Memory that is missing: an error, after which everything is whole and the call can be repeated.

`tests/support/allocations.py` refuses memory to calls: one allocation of an array, one of an object
of Python, or address space. HYPOTHESIS_PROFILE=thorough refuses every array of every call.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import allocations
import pytest
from hypothesis import settings
from native import NATIVE

import tinynet as tn

THOROUGH = settings.default.max_examples > 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and RLIMIT_AS")

LACKING = set() if importlib.util.find_spec("h5py") else {"load_model", "save"}
SMALL = [x for x in allocations.OPERATIONS if "large" not in x and x not in LACKING]
LARGE = [name for name in allocations.OPERATIONS if "large" in name]
KINDS = "arrays", "objects"
STEPS = ["step NumPy", "step C"]
# The type of error, where it is not a MemoryError: files that cannot be read are refused, and
# Python and NumPy do not always say what they lack.
OTHERS = "ValueError: Cannot load", "SystemError", "RuntimeError: can't allocate", "PicklingError"
OTHERS += "ArgumentError: argument 1: MemoryError", "crash"


def after_each(folder: Path, memories: str, names: list[str]) -> list[dict[str, Any]]:
    """Return what is found after memory was refused to operations: see `allocations.py`."""
    command = [sys.executable, "-W", "ignore", allocations.__file__, os.fspath(folder), memories]
    environment = {**os.environ, "PYTHONPATH": str(Path(tn.__file__).parents[1])}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["TINYNET_CACHE_DIR"] = os.fspath(folder)
    environment["MALLOC_MMAP_THRESHOLD_"] = "65536"  # so that large arrays go back to the system
    done = subprocess.run([*command, *names], env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert {*names} - {report["operation"] for report in reports} <= {"no_grad"}  # makes no array
    for report in reports:
        # What NumPy itself lacks between two statements of a program may leave a part of its step.
        excused = report["memory"] == "objects" and report.get("in_program")
        assert not report["problem"] or excused, report
    return reports


@pytest.mark.skipif(not NATIVE, reason="needs a C compiler, for an allocator")
def test_an_array_or_object_that_cannot_be_allocated_leaves_a_whole_state(tmp_path):
    memories = "arrays:0,objects:200" if THOROUGH else "arrays:2"
    reports = after_each(tmp_path, memories, SMALL) + after_each(tmp_path, "arrays:0", STEPS)
    arrays, objects = ([r["error"] for r in reports if r["memory"] == k] for k in KINDS)
    assert all(error.startswith(("MemoryError", OTHERS[0])) for error in arrays), arrays
    errors = [*filter(None, objects)]
    assert len(errors) >= len(objects) / 2  # Python and NumPy can do without some of them
    # Python takes a path for something else, if its name as text cannot be made.
    other = [x for x in errors if not x.startswith(("MemoryError", *OTHERS))]
    assert all("os.PathLike" in error for error in other), other
    # Some allocations NumPy does not check; programs in C make none.
    crashes = [error for error in errors if error.startswith("crash")]
    assert not [crash for crash in crashes if "tinynet/compiler/" in crash]
    assert len(crashes) <= len(errors) / 10, crashes


def test_a_step_that_does_not_fit_into_memory_leaves_a_whole_state(tmp_path):
    reports = after_each(tmp_path, f"space:{60 if THOROUGH else 4}", LARGE)
    errors = [report["error"] for report in reports if report["error"]]
    assert len(errors) > len(reports) / 4
    assert all(error.startswith("MemoryError") for error in errors), errors
