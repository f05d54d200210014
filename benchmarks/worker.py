"""The process in which a contestant runs: it answers requests, one line of JSON each.

It imports a library only on request, because imports are measured, too. Output of libraries goes to
the error stream. Read next: `harness.py`, which sends the requests.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

SHORTEST = 2e-3  # seconds; shorter calls are repeated for one reading of the clock


class Bench:
    """A contestant and its current measurement."""

    def __init__(self, module: str, needs: list[str], options: dict[str, Any]) -> None:
        """Import nothing yet."""
        self.module, self.needs, self.options = module, needs, options
        self.once: Callable[[], Iterator[float]] = lambda: iter(())

    def imports(self) -> dict[str, Any]:
        """Import the contestant's libraries; return the seconds and the peak memory."""
        start = time.perf_counter()
        for name in self.needs:
            importlib.import_module(name)
        return {"seconds": time.perf_counter() - start, "bytes": peak_memory()}

    def prepare(self, work: Any) -> dict[str, Any]:
        """Prepare a work; return the losses or outputs for the check."""
        from .works import Work

        work = Work(*work)
        contestant = importlib.import_module(self.module, "benchmarks.contestants")
        gc.collect()
        if work.kind in ("predict", "function"):
            self.once, found = self._calls(contestant, work)
            return {"outputs": found}
        fit = contestant.train(work, **self.options)
        _, losses = fit(work.checked, False)
        if work.kind == "fit":
            self.once = _epochs(fit, work)
        elif work.kind == "whole":
            self.once = self._whole(contestant, work)
        return {"losses": losses, "bytes": peak_memory()}

    def measure(self, seconds: float) -> dict[str, Any]:
        """Measure for that many seconds, at least once; return best and median."""
        end = time.perf_counter() + seconds
        found: list[float] = []
        while not found or time.perf_counter() < end:
            found += self.once()
        found.sort()
        return {"best": found[0], "median": found[len(found) // 2]}

    def drop(self) -> dict[str, Any]:
        """Release the work."""
        self.once = lambda: iter(())
        gc.collect()
        return {}

    def control(self) -> dict[str, Any]:
        """Return the seconds of a fixed computation: matrix products and a Python loop."""
        import numpy as np

        matrix = np.ones((512, 512), "float32")

        def once() -> float:
            start = time.perf_counter()
            for _ in range(4):
                matrix @ matrix
            for number in range(10_000):
                number * number
            return time.perf_counter() - start

        return {"seconds": sorted(once() for _ in range(9))[4]}

    def _whole(self, contestant: Any, work: Any) -> Callable[[], Iterator[float]]:
        def once() -> Iterator[float]:
            start = time.perf_counter()
            contestant.train(work, **self.options)(work.epochs, True)
            yield time.perf_counter() - start

        return once

    def _calls(self, contestant: Any, work: Any) -> tuple[Callable[[], Iterator[float]], Any]:
        """Return a measurement of calls of a prediction or of a function, and the outputs."""
        import numpy as np

        from .functions import flat
        from .works import columns

        given = columns(work)[:1] if work.kind == "predict" else ()
        call = getattr(contestant, work.kind)(work, **self.options)
        outputs = flat(call()) if work.kind == "function" else np.array(call(*given))
        start = time.perf_counter()
        call(*given)
        repeats = 1 + int(SHORTEST / (time.perf_counter() - start))

        def once() -> Iterator[float]:
            start = time.perf_counter()
            for _ in range(repeats):
                call(*given)
            yield (time.perf_counter() - start) / repeats

        return once, outputs.tolist()


def _epochs(fit: Any, work: Any) -> Callable[[], Iterator[float]]:
    """Return a measurement of steps: fits of as many epochs as the clock's precision needs.

    A reading is the mean of a fit, since some contestants run all of its epochs in one call.
    """
    epochs = 1
    while (seconds := sum(fit(epochs, True)[0])) < 10 * SHORTEST:
        epochs = 1 + int(epochs * min(10, 12 * SHORTEST / max(seconds, 1e-9)))

    def once() -> Iterator[float]:
        times, losses = fit(epochs, True)
        if losses[-1] != losses[-1] and losses[0] == losses[0]:
            raise ArithmeticError("the loss became NaN during the measurement")
        yield sum(times) / epochs / work.steps

    return once


def peak_memory() -> int:
    """Return the peak memory of this process in bytes; 0 if the system does not report it."""
    try:  # Linux, where `getrusage` may return the peak of the parent process
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if "VmHWM" in line)
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS


def keep_to_threads(threads: int) -> None:
    """Bind this process to that many processors, if the system can."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def serve(bench: Bench, requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more; a failure is answered with its error's last line."""
    for line in requests:
        request = json.loads(line)
        try:
            answer = getattr(bench, request.pop("do"))(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": "".join(traceback.format_exception_only(error)).splitlines()[-1]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    keep_to_threads(given.pop("threads"))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(Bench(**given), sys.stdin, answers)
