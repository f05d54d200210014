"""`python -m tinynet`: what was found on this machine, and in a clone the examples.

Imports `compiler/`. Read next: `compiler/toolchain.py`.
"""

from __future__ import annotations

import ast
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import __version__
from .callbacks.progbar import write
from .compiler import toolchain

EXTRAS = {
    **{"plot": "matplotlib", "h5": "h5py", "onnx": "onnx", "scipy": "scipy"},
    **{"mpi": "mpi4py", "tensorboard": "tensorboardX", "sklearn": "sklearn"},
}
ROOT = Path(__file__).parents[1]


def report() -> Iterator[tuple[str, str]]:
    """Yield what was found, as the names of lines and their texts."""
    yield "tinynet", f"{__version__}, {Path(__file__).parent}"
    yield "Python", f"{platform.python_version()}, {platform.platform()}"
    yield "NumPy", np.__version__
    blas = np.show_config("dicts")["Build Dependencies"]["blas"]
    yield "BLAS", f"{blas['name']} {blas['version']}, {toolchain.threads()} threads"
    yield "compiler", _compiler()
    folder = toolchain.cache_folder()
    sizes = [path.stat().st_size for path in toolchain.libraries(folder)] if folder else []
    place = folder or "a temporary folder for each process"
    yield "cache", f"{place}, {len(sizes)} libraries, {sum(sizes) / 1e6:.1f} MB"
    for extra, package in EXTRAS.items():
        yield "extra", f"{extra}, {package}{'' if find_spec(package) else ' is not installed'}"
    if (ROOT / "setup.cfg").exists():  # a clone
        for path in sorted(ROOT.glob("examples/[0-9]*.py")):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield "example", f"{path.relative_to(ROOT)}: {text.partition(chr(10))[0]}"


def _compiler() -> str:
    command = toolchain.compiler()
    if command is None:
        return "none, programs run as NumPy"
    try:
        return f"{shlex.join(command)}, {toolchain.identity(*command)[0].splitlines()[0]}"
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return f"{shlex.join(command)} does not work, programs run as NumPy: {error}"


if __name__ == "__main__":
    try:
        write("".join(f"{name:10}{text}\n" for name, text in report()))
    except BrokenPipeError:  # the reader, such as `head`, has ended
        os._exit(0)
