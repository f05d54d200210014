"""The method: each contestant runs in its own process and is timed only if its numbers are right.

For each work, every contestant first trains a few epochs on the same batches from the same initial
weights. Only contestants that reach the losses (or outputs) of NumPy by hand in float64 are timed.
Timing goes in rounds: the contestants run one after the other, with shuffling, while all other
processes are suspended. A ratio is the median over rounds of two times of the same round, so that a
disturbance of a whole round cancels. A control, always the same computation, runs before and after
each round and shows whether the machine is quiet. A round waits for a limited time until it is.
Medians and ratios leave disturbed rounds out if enough quiet rounds remain.

Read next: `worker.py`, then `results.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .contestants import BASE, Contestant, by_hand
from .functions import reference
from .results import DISTURBED, ContestantError, Result, counted, installed_bytes, processors, quiet
from .works import FRESH, Work, columns

TOLERANCE = 1e-4  # largest relative error of the loss of an epoch, or of an output
PAUSE = 0.2  # seconds between two looks at a machine that is not quiet
PROJECT = Path(__file__).parent.parent


class Settings(NamedTuple):
    """The number of rounds, the seconds of each turn, and the number of threads.

    `limit` is the longest time for one answer, in seconds. `patience` is how many times a round
    waits for a quiet machine.
    """

    rounds: int = 5
    seconds: float = 0.1
    threads: int = processors()
    limit: float = 90.0
    patience: int = 5


class Worker:
    """A contestant's process."""

    def __init__(self, contestant: Contestant, settings: Settings) -> None:
        """Start the process."""
        given = {
            "module": contestant.module,
            "needs": contestant.needs,
            "options": contestant.options,
            "threads": settings.threads,
        }
        self.settings, self.started = settings, time.perf_counter()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=PROJECT,
            env=environment(contestant, settings.threads),
            text=True,
        )

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises
        ------
        ContestantError
            If the process reports an error, dies, or does not answer within the limit.
        """
        clock = threading.Timer(self.settings.limit, self.process.kill)
        clock.start()
        self.signal("SIGCONT")
        try:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        finally:
            late = not clock.is_alive()
            clock.cancel()
        if not line:
            code = self.process.wait()
            if late:
                raise ContestantError("late", f"no answer within {self.settings.limit:g} s")
            raise ContestantError("crashed", self.last_words() or f"ended with code {code}")
        self.signal("SIGSTOP")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError("crashed", answer["error"])
        return answer

    def signal(self, name: str) -> None:
        """Suspend or resume the process, if the system can.

        Idle threads may spin, so a contestant is suspended between its turns.
        """
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))

    def last_words(self) -> str:
        """Return the last line that the process wrote to its error stream."""
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1].strip() if lines else ""

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):  # requests that it never read
                stream.close()


def environment(contestant: Contestant, threads: int) -> dict[str, str]:
    """Return the environment variables of a contestant's process, with the number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    counts = dict.fromkeys(names, str(threads))
    return {**os.environ, **counts, "PYTHONDONTWRITEBYTECODE": "", **contestant.environment}


class Team:
    """The running workers by contestant; one that failed is restarted at the next request."""

    def __init__(self, contestants: dict[str, Contestant], settings: Settings) -> None:
        """Start the control's process only."""
        self.contestants, self.settings = contestants, settings
        self.workers: dict[str, Worker] = {}
        self.control_worker = Worker(Contestant("control", ""), settings)

    def start(self, names: list[str]) -> None:
        """Start the processes that do not run yet; they import their libraries in parallel."""

        def start(name: str) -> None:
            with contextlib.suppress(ContestantError):  # the next request reports it
                self.ask(name, "imports")

        with ThreadPoolExecutor(self.settings.threads) as pool:
            list(pool.map(start, set(names) - set(self.workers)))

    def ask(self, name: str, do: str, **request: Any) -> dict[str, Any]:
        """Return a contestant's answer; end its process if it fails."""
        if name not in self.workers:
            self.workers[name] = Worker(self.contestants[name], self.settings)
        try:
            return self.workers[name].ask(do, **request)
        except ContestantError:
            self.workers.pop(name).stop()
            raise

    def ask_fresh(self, name: str, do: str, **request: Any) -> tuple[dict[str, Any], float]:
        """Return the answer of a new process, and the seconds from its start to the answer."""
        worker = Worker(self.contestants[name], self.settings)
        try:
            return worker.ask(do, **request), time.perf_counter() - worker.started
        finally:
            worker.stop()

    def control(self) -> float:
        """Run the control and return its seconds."""
        return self.control_worker.ask("control")["seconds"]

    def stop(self) -> None:
        """End all processes."""
        for worker in (*self.workers.values(), self.control_worker):
            worker.stop()


def expected(work: Work) -> dict[str, list[Any]]:
    """Return the reference: losses per epoch, or outputs, of NumPy by hand in float64.

    Derivatives are found by differences.
    """
    if work.kind == "predict":
        x, _ = columns(work, "float64")
        return {"outputs": by_hand.predict(work, "float64")(x).tolist()}
    if work.kind == "function":
        return {"outputs": reference(work)}
    return {"losses": by_hand.train(work, "float64")(work.checked, False)[1]}


def error_of(answer: dict[str, Any], reference: dict[str, list[Any]]) -> float:
    """Return the largest relative error of the losses, or of the outputs (relative to the largest).

    It is infinite if the shapes differ or a number is not finite.
    """
    ((key, values),) = reference.items()
    found, right = np.asarray(answer[key], float), np.asarray(values, float)
    if found.shape != right.shape or not np.isfinite(found).all():
        return float("inf")
    scale = np.abs(right) if key == "losses" else np.abs(right).max()
    return float(np.max(np.abs(found - right) / scale))


class Control:
    """Times a fixed computation before and after each round to see whether the machine is quiet."""

    def __init__(self, read: Callable[[], float], patience: int) -> None:
        """`read` runs the computation; it is repeated up to `patience` times before a round."""
        self.read, self.patience = read, patience
        self.log: dict[str, list[tuple[float, float]]] = {}

    def watch(self, name: str, rounds: Iterator[Callable[[], None]]) -> None:
        """Run the rounds of a work, each when the machine is quiet or patience is exhausted."""
        readings = self.log.setdefault(name, [])
        after = None
        for turn in rounds:  # the first is yielded when all contestants are prepared
            before = self._settled(self.read() if after is None else after)
            turn()
            after = self.read()
            readings.append((before, after))

    def _settled(self, reading: float) -> float:
        for _ in range(self.patience):
            if reading <= self._threshold(reading):
                break
            time.sleep(PAUSE)
            reading = self.read()
        return reading

    def _threshold(self, *more: float) -> float:
        """Return the largest reading that counts as quiet: a multiple of the best reading."""
        known = itertools.chain(more, *itertools.chain(*self.log.values()))
        return DISTURBED * min(known, default=0)

    def quiet(self, name: str) -> list[bool]:
        """Return for each round of a work whether the machine was quiet before and after."""
        return quiet(self.log, name)

    def summary(self, works: Sequence[str]) -> dict[str, Any]:
        """Return the readings during these works, and how many of their rounds were disturbed."""
        rounds = [is_quiet for name in works for is_quiet in self.quiet(name)]
        return {
            "threshold": DISTURBED,
            "rounds": len(rounds),
            "disturbed": rounds.count(False),
            "readings": {name: [[*pair] for pair in self.log[name]] for name in works},
        }


def run(
    works: dict[str, Work],
    contestants: dict[str, Contestant],
    settings: Settings,
    on_work_end: Callable[[str, list[Result], dict[str, Any]], None] = lambda *_: None,
    control: Callable[[], float] | None = None,
    rounds_of: Callable[[Work], int] | None = None,
) -> tuple[list[Result], dict[str, Any]]:
    """Measure all works; return each contestant's result at each work, and the control's summary.

    After each work, `on_work_end` is called with its name, its results and its control's summary.
    """
    team = Team({n: c for n, c in contestants.items() if not c.missing()}, settings)
    watch = Control(control or team.control, settings.patience)
    results: dict[str, list[Result]] = {}
    try:
        for name, work in works.items():
            found = results[name] = [_entry(name, work, n, c) for n, c in contestants.items()]
            asked = [result for result in found if result.status == "ok"]
            rounds = rounds_of(work) if rounds_of else settings.rounds
            watch.watch(name, _measured(team, work, asked, settings, rounds))
            summarize(found, watch.quiet(name))
            on_work_end(name, found, watch.summary([name]))
        for name, found in results.items():  # the best reading is known only now
            summarize(found, watch.quiet(name))
    finally:
        team.stop()
    return [result for found in results.values() for result in found], watch.summary([*works])


def _entry(name: str, work: Work, contestant: str, who: Contestant) -> Result:
    """Return a contestant's empty result at a work, or why it does not take part."""
    if missing := who.missing():
        return Result(name, contestant, "missing", f"needs {', '.join(missing)}")
    note = who.why_not(work)
    return Result(name, contestant, "skipped" if note else "ok", note)


def _measured(
    team: Team, work: Work, asked: list[Result], settings: Settings, rounds: int
) -> Iterator[Callable[[], None]]:
    """Yield the rounds of a work; running a round adds to the results."""
    if work.kind == "size":  # nothing to time
        for result in asked:
            with result.or_failed():
                size = installed_bytes(team.contestants[result.contestant].needs)
                result.add(best=size, median=size)
    elif work.kind in FRESH:
        yield from _fresh(team, work, asked, rounds)
    else:
        yield from _warm(team, work, asked, settings, rounds)


def _warm(
    team: Team, work: Work, asked: list[Result], settings: Settings, rounds: int
) -> Iterator[Callable[[], None]]:
    """Prepare and check all contestants for a work, and yield its rounds."""
    reference = expected(work)

    team.start([result.contestant for result in asked])
    for result in asked:  # one by one: two libraries that both use all cores slow each other down
        with result.or_failed():
            answer = team.ask(result.contestant, "prepare", work=work)
            check(result, answer, reference, team)

    def turn() -> None:
        for result in asked:
            if result.status == "ok":
                with result.or_failed():
                    result.add(**team.ask(result.contestant, "measure", seconds=settings.seconds))

    yield from [turn] * rounds
    for result in asked:
        if result.contestant in team.workers:
            with contextlib.suppress(ContestantError):
                team.ask(result.contestant, "drop")


def _fresh(
    team: Team, work: Work, asked: list[Result], rounds: int
) -> Iterator[Callable[[], None]]:
    """Yield the rounds of a work that needs a new process for each measurement."""
    request = {"do": "imports"} if work.kind == "import" else {"do": "prepare", "work": work}
    reference = {} if work.kind == "import" else expected(work)

    def turn() -> None:
        for result in asked:
            if result.status != "ok":
                continue
            with result.or_failed():
                answer, seconds = team.ask_fresh(result.contestant, **request)
                if reference:
                    check(result, answer, reference, team)
                amount = {"import": answer.get("seconds"), "cold": seconds}
                value = amount.get(work.kind, answer["bytes"])
                if not value:
                    raise ContestantError("skipped", "the system does not report the peak memory")
                result.add(best=value, median=value)

    yield from [turn] * rounds


def check(
    result: Result, answer: dict[str, Any], reference: dict[str, list[Any]], team: Team
) -> None:
    """Set the result's loss and error; raise a ContestantError if the error is too large."""
    if team.contestants[result.contestant].limit:
        return
    result.loss = answer.get("losses", [None])[-1]
    result.error = error_of(answer, reference)
    if not result.error <= TOLERANCE:
        (key,) = reference
        raise ContestantError(
            "wrong", f"the {key} have a relative error of {result.error:.1e}, above {TOLERANCE:g}"
        )


def summarize(found: list[Result], is_quiet: list[bool]) -> None:
    """Compute best, median and ratio of a work's results.

    The best is that of all rounds. Median and ratio use the quiet rounds, or all if too few are.
    """
    base = next((r for r in found if r.contestant == BASE and r.status == "ok"), None)
    for result in found:
        if result.status != "ok":
            continue
        bests, medians = result.best_of_rounds, result.median_of_rounds
        rounds = counted(len(bests), is_quiet)
        result.best = min(bests)
        result.median = statistics.median(medians[i] for i in rounds)
        if base:
            result.ratio = statistics.median(bests[i] / base.best_of_rounds[i] for i in rounds)
