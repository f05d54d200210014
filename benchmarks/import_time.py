"""What `import tinynet` adds to `import numpy`, each measured in fresh processes, in turn.

Run it from the project's folder; the first, uncounted round lets Python write its bytecode:

    python -m benchmarks.import_time
"""

from __future__ import annotations

import os
import subprocess
import sys

ROUNDS = 20
CODE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds_to_import(module: str) -> float:
    """Return the time that a fresh process takes to import `module`."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", CODE.format(module)]
    measured = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(measured.stdout)


def main() -> None:
    """Print the best of several rounds."""
    modules = ("numpy", "tinynet")
    times = [[seconds_to_import(module) for module in modules] for _ in range(1 + ROUNDS)][1:]
    numpy, tinynet = (min(column) * 1e3 for column in zip(*times, strict=True))
    print(f"import numpy:   {numpy:6.1f} ms")
    print(f"import tinynet: {tinynet:6.1f} ms, {tinynet - numpy:.1f} ms more")


if __name__ == "__main__":
    main()
