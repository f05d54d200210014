"""How it is measured: every contestant in a process of its own, in turn, and none without proof.

For a work, each contestant first trains a few epochs on the same batches from the same weights. Its
losses (or outputs) must be those of the loop by hand in float64, else its time does not count. Then
they are timed in rounds, each in turn, the others halted, with shuffling as in daily life. A ratio
is the median over rounds of one time by another of the same round: what slows a whole round slows
both. A control, always the same work, tells before and after each round whether the machine is
disturbed; a round waits for a quiet one, a while, and ratios and medians leave disturbed rounds out
if there are enough others.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .contestants import BASE, Contestant, by_hand
from .results import ContestantError, Result, installed_bytes, processors
from .works import FRESH, Work, columns

TOLERANCE = 1e-4  # relative, of the loss of each epoch, or of outputs
DISTURBED = 1.25  # times the best control
FEWEST = 3  # quiet rounds, for others to be left out
PAUSE = 0.2  # seconds, to wait for a quiet machine
PROJECT = Path(__file__).parent.parent


class Settings(NamedTuple):
    """How long and how often.

    Rounds, seconds for each turn, threads, the limit of one answer, and how often a round waits
    for a quiet machine.
    """

    rounds: int = 5
    seconds: float = 0.1
    threads: int = processors()
    limit: float = 90.0
    patience: int = 5


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


class Control:
    """A work that is always the same, timed before and after each round: is the machine quiet?"""

    def __init__(self, read: Callable[[], float], patience: int) -> None:
        """Keep how its seconds are read, and how often again where they are too many."""
        self.read, self.patience = read, patience
        self.log: dict[str, list[tuple[float, float]]] = {}

    def watch(self, name: str, rounds: Iterator[Callable[[], None]]) -> None:
        """Do the rounds of a work, each when the machine is quiet, or patience at its end."""
        readings = self.log.setdefault(name, [])
        after = None
        for turn in rounds:  # the first comes when all have made ready
            before = self._settled(self.read() if after is None else after)
            turn()
            after = self.read()
            readings.append((before, after))

    def _settled(self, reading: float) -> float:
        for _ in range(self.patience):
            if reading <= self._most(reading):
                break
            time.sleep(PAUSE)
            reading = self.read()
        return reading

    def _most(self, *more: float) -> float:
        """Return what is not more than a quiet machine takes, by the best of all readings."""
        known = itertools.chain(more, *itertools.chain(*self.log.values()))
        return DISTURBED * min(known, default=0)

    def quiet(self, name: str) -> list[bool]:
        """Return for each round of a work whether the machine was quiet before it and after it."""
        return [max(pair) <= self._most() for pair in self.log[name]]

    def heard(self, works: Sequence[str]) -> dict[str, Any]:
        """Return what it says of works: how many rounds there were, and how many disturbed."""
        rounds = [quiet for name in works for quiet in self.quiet(name)]
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
    tell: Callable[[str, list[Result], dict[str, Any]], None] = lambda *_: None,
    control: Callable[[], float] | None = None,
    rounds_of: Callable[[Work], int] | None = None,
) -> tuple[list[Result], dict[str, Any]]:
    """Measure all; return the results of each contestant at each work, and what the control says.

    `tell` hears of each work when it is done: its name, its results, what its control says.
    """
    team = Team({n: c for n, c in contestants.items() if not c.missing()}, settings)
    watch = Control(control or team.control, settings.patience)
    results: dict[str, list[Result]] = {}
    try:
        for name, work in works.items():
            found = results[name] = [_entered(name, work, n, c) for n, c in contestants.items()]
            asked = [result for result in found if result.status == "ok"]
            rounds = rounds_of(work) if rounds_of else settings.rounds
            watch.watch(name, _measured(team, work, asked, settings, rounds))
            summarize(found, watch.quiet(name))
            tell(name, found, watch.heard([name]))
        for name, found in results.items():  # what was quiet is known when all has been heard
            summarize(found, watch.quiet(name))
    finally:
        team.stop()
    return [result for found in results.values() for result in found], watch.heard([*works])


def _entered(name: str, work: Work, contestant: str, who: Contestant) -> Result:
    """Return a contestant's result at a work before it begins: will it take part?"""
    if missing := who.missing():
        return Result(name, contestant, "missing", f"needs {', '.join(missing)}")
    note = who.why_not(work)
    return Result(name, contestant, "skipped" if note else "ok", note)


def _measured(
    team: Team, work: Work, asked: list[Result], settings: Settings, rounds: int
) -> Iterator[Callable[[], None]]:
    """Yield the rounds of a work; its results are added to when they are done."""
    if work.kind == "size":  # no matter of time
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
    team: Team, work: Work, asked: list[Result], rounds: int
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
                if not value:
                    raise ContestantError("skipped", "this system does not tell")
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


def summarize(found: list[Result], quiet: list[bool]) -> None:
    """Compute best, median and ratio of a work's results from rounds that count.

    All rounds count for the best; only quiet ones for the others, unless these are too few.
    """
    base = next((r for r in found if r.contestant == BASE and r.status == "ok"), None)
    for result in found:
        if result.status != "ok":
            continue
        bests, medians = result.best_of_rounds, result.median_of_rounds
        counted = [i for i in range(len(bests)) if quiet[i : i + 1] != [False]]
        if len(counted) < FEWEST:
            counted = [*range(len(bests))]
        result.best = min(bests)
        result.median = statistics.median(medians[i] for i in counted)
        if base:
            result.ratio = statistics.median(bests[i] / base.best_of_rounds[i] for i in counted)
