"""How training scales with the number of processes, measured and computed.

    python -m benchmarks.scaling --ranks 1 2 4 --out FOLDER

It starts `mpiexec` for each number of ranks, and measures the time of an Allreduce by its size, and
of a step of `fit`: with one batch for all ranks (strong scaling), and with one batch for each (weak
scaling). Each rank has one thread, so that a rank is the same on its own and among others. Two
models are fitted to the times:

- an Allreduce of n bytes on p ranks takes 2 log2(p) alpha + 2 (p - 1) / p n beta seconds, by the
  algorithm of Rabenseifner (Thakur, Rabenseifner and Gropp, "Optimization of collective
  communication operations in MPICH", 2005);
- a step on b samples takes c + d b seconds on one rank.

From both follows the time of a step on any number of ranks, if alpha and beta stay as they were
measured. Times of more ranks than cores are shown, but not fitted. `processes.json` and
`processes.png` mark what was measured and what is computed.

Read next: `../tinynet/distribution/ranks.py`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (784, 256, 128, 10)
BYTES = tuple(4**k for k in range(3, 13))  # 64 bytes to 16 MB
BATCHES = (64, 128, 256, 512)
BATCH = 512
COMPUTED = tuple(2**k for k in range(11))


# -- one process of several -----------------------------------------------------------------------


def allreduce_seconds(size: int, repeats: int) -> float:
    """Return the best time of an Allreduce, given its number of bytes."""
    from tinynet.distribution.ranks import team

    array, times = np.zeros(size // 4, "float32"), []
    for _ in range(repeats):
        team().gather(None)
        start = time.perf_counter()
        team().sum(array)
        times.append(time.perf_counter() - start)
    return min(times)


def step_seconds(batch: int, repeats: int) -> float:
    """Return the best mean time of a step of an epoch of eight batches."""
    import tinynet as tn

    tn.utils.set_random_seed(0)
    hidden = [tn.layers.Dense(n, "relu") for n in SIZES[1:-1]]
    model = tn.Sequential([tn.Input(SIZES[:1]), *hidden, tn.layers.Dense(SIZES[-1])])
    model.compile("adam", "mse")
    x, y = np.ones((8 * batch, SIZES[0]), "float32"), np.zeros((8 * batch, SIZES[-1]), "float32")
    marks: list[float] = []
    mark = lambda epoch, logs: marks.append(time.perf_counter())  # noqa: E731
    calls = [tn.callbacks.LambdaCallback(on_epoch_begin=mark, on_epoch_end=mark)]
    model.fit(x, y, batch, repeats, 0, calls)
    return float(np.diff(marks)[::2].min()) / 8


def worker(batch: int, repeats: int) -> None:
    """Measure on the ranks that there are; rank 0 prints the times as JSON."""
    import tinynet as tn

    parallel = tn.distribution.DataParallel()
    tn.distribution.set_distribution(parallel)
    ranks = parallel.size
    found = {
        "ranks": ranks,
        "allreduce": {n: allreduce_seconds(n, repeats) for n in BYTES if ranks > 1},
        "strong": step_seconds(batch, repeats),
        "weak": step_seconds(batch * ranks, repeats),
        "alone": {b: step_seconds(b, repeats) for b in BATCHES if ranks == 1},
    }
    if parallel.rank == 0:
        print(json.dumps(found))


# -- the models -----------------------------------------------------------------------------------


def nonnegative(columns: Any, values: Any) -> np.ndarray:
    """Return two factors, not below 0, that fit values with the least relative error."""
    scaled = np.asarray(columns, float) / np.asarray(values, float)[:, None]
    ones = np.ones(len(scaled))
    best = np.linalg.lstsq(scaled, ones)[0]
    if (best >= 0).all():
        return best
    single = np.diag([column @ ones / (column @ column) for column in scaled.T])
    return min(single, key=lambda factors: np.sum((scaled @ factors - ones) ** 2))


def allreduce_columns(ranks: Any, size: Any) -> np.ndarray:
    """Return what alpha and beta are multiplied by."""
    p, n = np.broadcast_arrays(np.asarray(ranks, float), size)
    return np.stack([2 * np.log2(p), 2 * (p - 1) / p * n], -1)


def fitted(measured: list[dict[str, Any]], cores: int) -> dict[str, float]:
    """Return alpha, beta, the constants of a step, and the bytes of the Allreduce in it.

    More ranks than cores wait for each other's turns, so their times are not used.
    """
    own = [m for m in measured if m["ranks"] <= cores]
    rows = [(m["ranks"], int(n), t) for m in own for n, t in m["allreduce"].items()]
    alpha, beta = 0.0, 0.0
    if rows:
        ranks, sizes, times = np.array(rows).T
        alpha, beta = nonnegative(allreduce_columns(ranks, sizes), times)
    alone = {int(b): t for m in measured for b, t in m["alone"].items()}
    fixed, each = nonnegative([(1, b) for b in alone], list(alone.values()))
    size = 4 * sum((a + 1) * b for a, b in itertools.pairwise(SIZES))
    return {"alpha": alpha, "beta": beta, "fixed": fixed, "each": each, "bytes": size}


def computed(model: dict[str, float], batch: float, ranks: Any) -> np.ndarray:
    """Return the seconds of a step with this batch of all ranks together."""
    ranks = np.asarray(ranks, float)
    joined = allreduce_columns(ranks, model["bytes"]) @ [model["alpha"], model["beta"]]
    return model["fixed"] + model["each"] * batch / ranks + joined


def useful_ranks(model: dict[str, float], batch: float) -> tuple[int, int]:
    """Return the most ranks that have a parallel efficiency of one half, and the fastest number.

    Only powers of two are considered.
    """
    times = computed(model, batch, COMPUTED)
    efficiency = times[0] / times / COMPUTED
    return COMPUTED[int(np.sum(efficiency >= 0.5)) - 1], COMPUTED[int(np.argmin(times))]


# -- the run --------------------------------------------------------------------------------------


def measure(ranks: int, batch: int, repeats: int) -> dict[str, Any]:
    """Start `mpiexec`, one thread for each rank, and return what rank 0 prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [shutil.which("mpiexec", path=path) or "mpiexec", "-n", str(ranks), sys.executable]
    command += ["-m", "benchmarks.scaling", "--worker", "--batch", str(batch)]
    command += ["--repeats", str(repeats)]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    end, other = os.pipe()  # an input that does not end: else MPICH's `mpiexec` fails now and then
    try:
        done = subprocess.run(
            command, env=alone, stdin=end, capture_output=True, text=True, check=True
        )
    finally:
        os.close(end)
        os.close(other)
    return json.loads(done.stdout)


def plot(result: dict[str, Any]) -> Any:
    """Return a figure with the measured times as points, and the computed ones as lines."""
    from matplotlib.figure import Figure

    measured, model, batch = result["measured"], result["model"], result["batch"]
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    sizes = np.array(BYTES)
    for m, colour in zip(measured, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=False):
        if m["allreduce"]:
            bytes_of, times = zip(*((int(n), t) for n, t in m["allreduce"].items()), strict=True)
            left.loglog(bytes_of, times, "o", color=colour, label=f"{m['ranks']} ranks")
            line = allreduce_columns(m["ranks"], sizes) @ [model["alpha"], model["beta"]]
            left.loglog(sizes, line, color=colour)
    ranks = [m["ranks"] for m in measured]
    each = batch * np.array(COMPUTED)
    for name, share, batches, colour in (
        ("strong", "all", batch, "#0072B2"),
        ("weak", "each", each, "#D55E00"),
    ):
        label, times = f"one batch for {share} ({name})", computed(model, batches, COMPUTED)
        right.loglog(COMPUTED, times, color=colour, label=label)
        right.loglog(ranks, [m[name] for m in measured], "o", color=colour)
    left.set(xlabel="bytes", ylabel="seconds of an Allreduce")
    right.set(xlabel="ranks", ylabel=f"seconds of a step, batch {batch}")
    for axes in (left, right):
        axes.set_title("points: measured; lines: computed", fontsize=9)
        axes.legend()
    figure.set_layout_engine("tight")
    return figure


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, fit, print and draw; return the result, or {} as a worker."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        worker(options.batch, options.repeats)
        return {}
    counts = sorted({1, *options.ranks})
    measured = [measure(ranks, options.batch, options.repeats) for ranks in counts]
    model = fitted(measured, os.cpu_count() or 1)
    half, fastest = useful_ranks(model, options.batch)
    result = {
        "cores": os.cpu_count(),
        "network": SIZES,
        "batch": options.batch,
        "measured": measured,
        "model": model,
        "computed": {"half efficient": half, "fastest": fastest},
    }
    for m in measured:
        print(
            f"{m['ranks']} ranks: strong {m['strong'] * 1e3:.3f} ms, weak {m['weak'] * 1e3:.3f} ms"
        )
    print(f"alpha {model['alpha'] * 1e6:.2f} us, beta {model['beta'] * 1e9:.3f} ns per byte")
    print(f"computed: up to {half} ranks at half efficiency or better; {fastest} are the fastest")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "processes.json").write_text(json.dumps(result, indent=1) + "\n")
        plot(result).savefig(options.out / "processes.png")
    return result


if __name__ == "__main__":
    main()
