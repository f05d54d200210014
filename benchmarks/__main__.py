"""The command line; `python -m benchmarks --help` prints how to use it. Read next: `harness.py`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import __doc__ as usage, compare, plots, report, results, small
from .contestants import BASE, CONTESTANTS, Contestant
from .harness import TOLERANCE, Settings, run
from .works import KINDS, QUICK, SWEEPS, WORKS, Work, works_named

HERE = Path(__file__).parent
COMMITTED = HERE / "results" / "results.json"
OURS = [name for name in CONTESTANTS if name.startswith("tinynet")]
FEWER = {"cold": 3, "import": 3, "memory": 1, "size": 1, **dict.fromkeys(SWEEPS, 3)}


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Parse and check the options of a run."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=usage, formatter_class=argparse.RawTextHelpFormatter
    )
    known = ", ".join(CONTESTANTS)
    parser.add_argument(
        "--quick", action="store_true", help="fewer works and rounds: less than a minute"
    )
    parser.add_argument(
        "--works", nargs="+", metavar="WORK", help="names or groups of works, or sizes:rows:batch"
    )
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help=f"some of {known}")
    parser.add_argument(
        "--rounds", type=int, help="rounds of each work; default 5, fewer for long ones"
    )
    parser.add_argument(
        "--threads", type=int, default=results.processors(), help="threads of each contestant"
    )
    parser.add_argument("--limit", type=float, default=90.0, help="seconds for one answer")
    parser.add_argument(
        "--out", type=Path, help="the folder for results.json, results.md and figures"
    )
    options = parser.parse_args(arguments)
    try:
        chosen = works_named(options.works or [*(QUICK if options.quick else WORKS)])
    except ValueError as error:
        parser.error(str(error))
    options.works = chosen
    unknown = [name for name in options.contestants or [] if name not in CONTESTANTS]
    if unknown:
        parser.error(f"--contestants takes names of {known}. Received: {', '.join(unknown)}")
    for name in ("rounds", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more. Received: {getattr(options, name)}")
    if not 0 < options.limit <= threading.TIMEOUT_MAX:
        parser.error(f"--limit must be a number of seconds above 0. Received: {options.limit:g}")
    if options.out:
        try:  # fail before minutes of measuring
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out must be a folder. Received: {options.out}, {error.strerror}")
    return options


def contestants_of(options: argparse.Namespace) -> dict[str, Contestant]:
    """Return the contestants in the options: by default all, or with --quick those not slow."""
    return {
        name: contestant
        for name, contestant in CONTESTANTS.items()
        if (
            name in options.contestants
            if options.contestants
            else not (options.quick and contestant.slow)
        )
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the works in the options, print the results of each work, and return the run."""
    contestants = contestants_of(options)
    rounds = options.rounds or (2 if options.quick else 5)
    seconds = 0.04 if options.quick else 0.1
    settings = Settings(rounds, seconds, options.threads, options.limit)
    labels = {name: contestant.label for name, contestant in contestants.items()}
    works = {name: described(work) for name, work in options.works.items()}
    date, start = results.now(), time.perf_counter()

    def show(name: str, found: list[results.Result], control: dict[str, Any]) -> None:
        rows = [dataclasses.asdict(result) for result in found]
        print(report.text(name, works[name], rows, labels))
        if warning := report.disturbed(control):
            print(f"  {warning}\n")
        sys.stdout.flush()

    fewer = {**FEWER, "cold": 1} if options.quick else FEWER

    def rounds_of(work: Work) -> int:
        if options.rounds and work.kind != "size":
            return options.rounds
        return min(rounds, fewer.get(work.kind, fewer.get(work.group, rounds)))

    found, control = run(options.works, contestants, settings, show, rounds_of=rounds_of)
    modules = dict.fromkeys(name for c in contestants.values() for name in ("numpy", *c.needs))
    return {
        "schema": results.VERSION,
        "date": date,
        "seconds": round(time.perf_counter() - start, 1),
        "machine": results.machine(),
        "versions": results.versions([*modules]),
        "settings": settings._asdict(),
        "tolerance": TOLERANCE,
        "base": BASE,
        "works": works,
        "contestants": {n: {"label": c.label, "limit": c.limit} for n, c in contestants.items()},
        "results": [dataclasses.asdict(result) for result in found],
        "control": control,
    }


def described(work: Work) -> dict[str, Any]:
    """Return a work as a record of the results file."""
    return {
        **work._asdict(),
        "sizes": [*work.sizes],
        "meaning": KINDS[work.kind].meaning,
    }


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code, 1 if `compare` finds that tinynet became slower."""
    if arguments[:1] == ["compare"]:
        return comparison(arguments[1:])
    if arguments[:1] == ["small"]:
        small.main(arguments[1:])
        return 0
    if arguments[:1] == ["readme"]:
        return readme(arguments[1:])
    options = options_of(arguments)
    measured = measure(options)
    if goals := report.goals(measured):
        print(goals)
    print(report.header(measured))
    print(report.disturbed(measured["control"]) or "The machine was quiet during all rounds.")
    if options.out:
        results.save(measured, options.out / "results.json")
        (options.out / "results.md").write_text(report.markdown(measured), encoding="utf-8")
        try:
            plots.draw(measured, options.out)
        except ImportError:
            print("No figures: matplotlib is not installed.")
        print(f"Wrote {options.out} after {measured['seconds']:.0f} s.")
    return 0


def comparison(arguments: list[str]) -> int:
    """Print what changed between two runs; return 1 if tinynet became slower."""
    parser = argparse.ArgumentParser("python -m benchmarks compare")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.15,
        help="the factor above which a change counts; default 1.15",
    )
    parser.add_argument(
        "--contestants", nargs="+", metavar="NAME", help=f"default: {', '.join(OURS)}"
    )
    options = parser.parse_args(arguments)
    if not options.tolerance >= 1:
        parser.error(f"--tolerance must be 1 or more. Received: {options.tolerance:g}")
    old, new = (loaded(parser, path) for path in (options.old, options.new))
    known = {**old["contestants"], **new["contestants"]}
    unknown = [name for name in options.contestants or [] if name not in known]
    if unknown:
        parser.error(
            f"--contestants takes names of {', '.join(known)}. Received: {', '.join(unknown)}"
        )
    found = compare.changes(old, new)
    for difference in compare.comparable(old, new):
        print(f"differs: {difference}")
    for when, measured in (("old", old), ("new", new)):
        if warning := report.disturbed(measured["control"]):
            print(f"{when}: {warning}")
    print(compare.text(found, options.tolerance))
    contestants = options.contestants or OURS
    return int(bool(compare.regressions(found, options.tolerance, contestants)))


def readme(arguments: list[str]) -> int:
    """Write the tables of the README and of docs/speed.md from a run."""
    parser = argparse.ArgumentParser("python -m benchmarks readme")
    parser.add_argument(
        "run", nargs="?", default=COMMITTED, help="a results.json; default the committed one"
    )
    found = loaded(parser, parser.parse_args(arguments).run)
    report.write_between_marks(HERE.parent / "README.md", report.small(found))
    report.write_between_marks(HERE.parent / "docs" / "speed.md", report.full(found))
    return 0


def loaded(parser: argparse.ArgumentParser, path: str | Path) -> dict[str, Any]:
    """Load a run; end the program with a message if the file is missing or malformed."""
    try:
        return results.load(path)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
