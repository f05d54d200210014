"""A program that saves a model in child processes, which are killed at chosen moments.

`python killed.py FOLDER COUNT` keeps the files of COUNT children, each in a folder of its own.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.configs import files
from tinynet.saving import archive


def model(value: float) -> tn.Model:
    made = tn.Sequential([tn.Input((3,)), tn.layers.Dense(50), tn.layers.Dense(1)])
    made.compile("adam", "mse")
    made.set_weights([np.full(w.shape, value) for w in made.weights])
    return made


def main(folder: Path, moments: int) -> None:
    old, new = model(1.0), model(2.0)
    old.save(folder / "counted.keras")
    steps = count(lambda: new.save(folder / "counted.keras"))
    for i in range(moments):
        path = folder / str(i) / "m.keras"
        path.parent.mkdir()
        old.save(path)
        child = os.fork()
        if not child:  # most moments near the end, where the file is renamed
            lines = 1 + round((steps - 1) * (i / (moments - 1)) ** 0.25)
            killed_after(lines, partial(new.save, path))
            os._exit(0)
        os.waitpid(child, 0)


def count(f: Any) -> int:
    """Return how many lines of the modules that write files `f` runs."""
    lines = 0

    def step() -> None:
        nonlocal lines
        lines += 1

    traced(step, f)
    return lines


def killed_after(lines: int, f: Any) -> None:
    """Run `f` and kill this process by SIGKILL after that many lines."""

    def step() -> None:
        nonlocal lines
        lines -= 1
        if not lines:
            os.kill(os.getpid(), signal.SIGKILL)

    traced(step, f)


def traced(step: Any, f: Any) -> None:
    """Run `f`, and `step` before each line of the modules that write files, zipfile included."""
    watched = (files.__file__, archive.__file__, "zipfile")

    def trace(frame: Any, event: str, _: Any) -> Any:
        if not any(name in frame.f_code.co_filename for name in watched):
            return None
        if event == "line":
            step()
        return trace

    sys.settrace(trace)
    try:
        f()
    finally:
        sys.settrace(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
