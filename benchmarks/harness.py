"""How it is measured: every contestant in a process of its own, in turn, and none without proof.

For a work, each contestant first trains a few epochs on the same batches from the same weights. Its
losses (or outputs) must be those of the loop by hand in float64, else its time does not count. Then
they are timed in rounds, each in turn, the others halted, with shuffling as in daily life. A ratio
is the median over rounds of one time by another of the same round: what slows a whole round slows
both. Before each round a control, always the same work, tells whether the machine is disturbed;
ratios and medians leave such rounds out if there are others.
Read next: `results.py`.
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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .contestants import BASE, Contestant, by_hand
from .results import ContestantError, Result, installed_bytes
from .works import FRESH, Work, columns

TOLERANCE = 1e-4  # relative, of the loss of each epoch, or of outputs
DISTURBED = 1.25  # times the best control
PROJECT = Path(__file__).parent.parent


class Settings(NamedTuple):
    """How long and how often: rounds, seconds for each turn, threads, the limit of one answer."""

    rounds: int = 5
    seconds: float = 0.1
    threads: int = os.cpu_count() or 1
    limit: float = 90.0


class Worker:
    """A contestant's process, seen from outside."""

    def __init__(self, contestant: Contestant, settings: Settings) -> None:
        """Start it."""
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
        """Return the answer to a request.

        Raises
        ------
        ContestantError
            For an error on the other side, a process that died, and one that took too long.
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
                raise ContestantError("late", f"gave no answer within {self.settings.limit:g} s")
            raise ContestantError("crashed", self.last_words() or f"ended with code {code}")
        self.signal("SIGSTOP")
        answer = json.loads(line)
        if "error" in answer:
            raise ContestantError("crashed", answer["error"])
        return answer

    def signal(self, name: str) -> None:
        """Halt the process or let it go on, where the system can.

        Threads that wait for work may do so by spinning; between its turns a contestant is halted.
        """
        if hasattr(signal, name):
            self.process.send_signal(getattr(signal, name))

    def last_words(self) -> str:
        """Return the last line of what it wrote to the error stream."""
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1].strip() if lines else ""

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):  # what it was too late to read
                stream.close()


def environment(contestant: Contestant, threads: int) -> dict[str, str]:
    """Return the environment of a contestant's process, where the number of threads is said."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    said = dict.fromkeys(names, str(threads))
    return {**os.environ, **said, "PYTHONDONTWRITEBYTECODE": "", **contestant.environment}


class Team:
    """The workers that are alive, by contestant; one that failed is begun anew when asked again."""

    def __init__(self, contestants: dict[str, Contestant], settings: Settings) -> None:
        """Start no process yet."""
        self.contestants, self.settings = contestants, settings
        self.workers: dict[str, Worker] = {}
        self.control_worker = Worker(Contestant("control", ""), settings)

    def start(self, names: list[str]) -> None:
        """Start the processes that are not there, and let them import at the same time."""

        def start(name: str) -> None:
            with contextlib.suppress(ContestantError):  # it fails again when it is to work
                self.ask(name, "imports")

        with ThreadPoolExecutor(self.settings.threads) as pool:
            list(pool.map(start, set(names) - set(self.workers)))

    def ask(self, name: str, do: str, **request: Any) -> dict[str, Any]:
        """Return a contestant's answer; end its process if there is none."""
        if name not in self.workers:
            self.workers[name] = Worker(self.contestants[name], self.settings)
        try:
            return self.workers[name].ask(do, **request)
        except ContestantError:
            self.workers.pop(name).stop()
            raise

    def ask_fresh(self, name: str, do: str, **request: Any) -> tuple[dict[str, Any], float]:
        """Return the answer of a new process, and the seconds since it was started."""
        worker = Worker(self.contestants[name], self.settings)
        try:
            return worker.ask(do, **request), time.perf_counter() - worker.started
        finally:
            worker.stop()

    def control(self) -> float:
        """Return the seconds of the control."""
        return self.control_worker.ask("control")["seconds"]

    def stop(self) -> None:
        """End all processes."""
        for worker in (*self.workers.values(), self.control_worker):
            worker.stop()


def expected(work: Work) -> dict[str, list[Any]]:
    """Return what the loop by hand finds in float64: losses of epochs, or outputs."""
    if work.kind == "predict":
        x, _ = columns(work, "float64")
        return {"outputs": by_hand.predict(work, "float64")(x).tolist()}
    return {"losses": by_hand.train(work, "float64")(work.checked, False)[1]}


def error_of(answer: dict[str, Any], reference: dict[str, list[Any]]) -> float:
    """Return the largest error of losses, relative, or of outputs, relative to the largest.

    It is infinite where the numbers are not as many as they should be, or are no numbers.
    """
    ((key, values),) = reference.items()
    found, right = np.asarray(answer[key], float), np.asarray(values, float)
    if found.shape != right.shape or not np.isfinite(found).all():
        return float("inf")
    scale = np.abs(right) if key == "losses" else np.abs(right).max()
    return float(np.max(np.abs(found - right) / scale))


def run(
    works: dict[str, Work],
    contestants: dict[str, Contestant],
    settings: Settings,
    tell: Callable[[str, list[Result], dict[str, Any]], None] = lambda *_: None,
    control: Callable[[], float] | None = None,
    rounds_of: Callable[[Work], int] | None = None,
) -> tuple[list[Result], dict[str, Any]]:
    """Measure all; return the results of each contestant at each work, and what the control says.

    `tell` hears of each work when it is done: its name, its results, what its control says.
    """
    missing = {name: c.missing() for name, c in contestants.items()}
    present = {name: c for name, c in contestants.items() if not missing[name]}
    absent = {name: f"needs {', '.join(names)}" for name, names in missing.items() if names}
    team = Team(present, settings)
    results: list[Result] = []
    log: dict[str, list[float]] = {}
    try:
        for name, work in works.items():
            readings: list[float] = []
            rounds = rounds_of(work) if rounds_of else settings.rounds
            found = [Result(name, n, "missing", note) for n, note in absent.items()]
            for n, contestant in present.items():
                note = contestant.why_not(work)
                found.append(Result(name, n, "skipped" if note else "ok", note))
            asked = [result for result in found if result.status == "ok"]
            if work.kind == "size":
                for result in asked:
                    size = installed_bytes(present[result.contestant].needs)
                    result.best_of_rounds, result.median_of_rounds = [size], [size]
            else:
                read = control or team.control
                measured = _fresh if work.kind in FRESH else _warm
                for turn in measured(team, work, asked, settings, rounds):
                    readings.append(read())
                    turn()
                readings.append(read())
            log[name] = readings
            results += found
            summarize(found, quiet_rounds(readings, log))
            tell(name, found, heard(log, [name]))
        # What was quiet is known when all has been heard.
        for name in works:
            summarize([r for r in results if r.work == name], quiet_rounds(log[name], log))
    finally:
        team.stop()
    return results, heard(log, list(works))


def _warm(
    team: Team, work: Work, asked: list[Result], settings: Settings, rounds: int
) -> Iterator[Callable[[], None]]:
    """Make all ready for a work, check them, and yield the rounds."""
    reference = expected(work)

    team.start([result.contestant for result in asked])
    for result in asked:  # one by one: two libraries that use all cores take much longer together
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
    team: Team, work: Work, asked: list[Result], settings: Settings, rounds: int
) -> Iterator[Callable[[], None]]:
    """Yield the rounds of a work for which every process is new."""
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
                result.add(best=value, median=value)

    yield from [turn] * rounds


def check(
    result: Result, answer: dict[str, Any], reference: dict[str, list[Any]], team: Team
) -> None:
    """Note the loss and its error; what is wrong is not timed."""
    if team.contestants[result.contestant].limit:
        return
    result.loss = answer.get("losses", [None])[-1]
    result.error = error_of(answer, reference)
    if not result.error <= TOLERANCE:
        (key,) = reference
        raise ContestantError(
            "wrong", f"{key} are off by {result.error:.1e}, more than {TOLERANCE:g}"
        )


def quiet_rounds(readings: list[float], log: dict[str, list[float]]) -> list[bool]:
    """Return for each round of a work whether the control was quiet before it and after it."""
    most = DISTURBED * min((reading for found in log.values() for reading in found), default=0)
    return [max(pair) <= most for pair in itertools.pairwise(readings)]


def summarize(found: list[Result], quiet: list[bool]) -> None:
    """Compute best, median and ratio of a work's results from rounds that count.

    All rounds count for the best; only quiet ones for the others, unless none was quiet.
    """
    base = next((r for r in found if r.contestant == BASE and r.status == "ok"), None)
    for result in found:
        if result.status != "ok":
            continue
        bests, medians = result.best_of_rounds, result.median_of_rounds
        counted = [i for i in range(len(bests)) if quiet[i : i + 1] != [False]]
        counted = counted or [*range(len(bests))]
        result.best = min(bests)
        result.median = statistics.median(medians[i] for i in counted)
        if base:
            result.ratio = statistics.median(bests[i] / base.best_of_rounds[i] for i in counted)


def heard(log: dict[str, list[float]], works: list[str]) -> dict[str, Any]:
    """Return what the control says of works: how many rounds there were, and how many disturbed."""
    rounds = [quiet for name in works for quiet in quiet_rounds(log[name], log)]
    return {
        "threshold": DISTURBED,
        "rounds": len(rounds),
        "disturbed": rounds.count(False),
        "readings": {name: log[name] for name in works},
    }
