"""The command; `python -m benchmarks --help` and the package's docstring tell its use."""

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
FEWER = {"cold": 3, "import": 3, "memory": 1, "size": 1, **dict.fromkeys(SWEEPS, 3)}


def options_of(arguments: list[str]) -> argparse.Namespace:
    """Return the options of a run, complete."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=usage, formatter_class=argparse.RawTextHelpFormatter
    )
    known = ", ".join(CONTESTANTS)
    parser.add_argument("--quick", action="store_true", help="in less than a minute")
    parser.add_argument(
        "--works", nargs="+", metavar="WORK", help="names, groups, or sizes:rows:batch"
    )
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help=f"of {known}")
    parser.add_argument("--rounds", type=int, help="of every work; else 5, fewer where it is long")
    parser.add_argument("--threads", type=int, default=results.processors())
    parser.add_argument("--limit", type=float, default=90.0, help="seconds, for a single answer")
    parser.add_argument("--out", type=Path, help="a folder for results.json, .md and pictures")
    options = parser.parse_args(arguments)
    try:
        chosen = works_named(options.works or [*(QUICK if options.quick else WORKS)])
    except ValueError as error:
        parser.error(str(error))
    options.works = chosen
    unknown = [name for name in options.contestants or [] if name not in CONTESTANTS]
    if unknown:
        parser.error(f"Contestants are {known}. Received: {', '.join(unknown)}")
    for name in ("rounds", "threads"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name} should be 1 or more. Received: {getattr(options, name)}")
    if not 0 < options.limit <= threading.TIMEOUT_MAX:
        parser.error(f"--limit should be seconds, more than 0. Received: {options.limit:g}")
    if options.out:
        try:  # before it is measured for minutes
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out should be a folder. Received: {options.out}, {error.strerror}")
    return options


def contestants_of(options: argparse.Namespace) -> dict[str, Contestant]:
    """Return the contestants asked for; without a wish, all, or the quick ones."""
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
    """Run what is asked for, tell of each work when it is done, and return the run."""
    contestants = contestants_of(options)
    rounds = options.rounds or (2 if options.quick else 5)
    seconds = 0.04 if options.quick else 0.1
    settings = Settings(rounds, seconds, options.threads, options.limit)
    labels = {name: contestant.label for name, contestant in contestants.items()}
    works = {name: described(work) for name, work in options.works.items()}
    date, start = results.now(), time.perf_counter()

    def tell(name: str, found: list[results.Result], control: dict[str, Any]) -> None:
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

    found, control = run(options.works, contestants, settings, tell, rounds_of=rounds_of)
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
    """Return a work as the file of results has it."""
    return {
        **work._asdict(),
        "sizes": [*work.sizes],
        "meaning": KINDS[work.kind].meaning,
    }


def main(arguments: list[str]) -> int:
    """Do what is asked; return 1 if something became slower."""
    if arguments[:1] == ["compare"]:
        return comparison(arguments[1:])
    if arguments[:1] == ["small"]:
        small.main(arguments[1:])
        return 0
    if arguments[:1] == ["readme"]:
        return readme(arguments[1:])
    options = options_of(arguments)
    measured = measure(options)
    print(report.header(measured))
    print(report.disturbed(measured["control"]) or "The machine was quiet.")
    if options.out:
        results.save(measured, options.out / "results.json")
        (options.out / "results.md").write_text(report.markdown(measured), encoding="utf-8")
        try:
            plots.draw(measured, options.out)
        except ImportError:
            print("No pictures: they are drawn with matplotlib.")
        print(f"Written to {options.out}, in {measured['seconds']:.0f} s.")
    return 0


def comparison(arguments: list[str]) -> int:
    """Print what changed between two runs; return 1 if tinynet became slower."""
    parser = argparse.ArgumentParser("python -m benchmarks compare")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--tolerance", type=float, default=1.15, help="a factor, else 1.15")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="else those of tinynet")
    options = parser.parse_args(arguments)
    if not options.tolerance >= 1:
        parser.error(f"--tolerance should be 1 or more. Received: {options.tolerance:g}")
    old, new = (loaded(parser, path) for path in (options.old, options.new))
    known = {**old["contestants"], **new["contestants"]}
    unknown = [name for name in options.contestants or [] if name not in known]
    if unknown:
        parser.error(f"Contestants are {', '.join(known)}. Received: {', '.join(unknown)}")
    found = compare.changes(old, new)
    for difference in compare.comparable(old, new):
        print(f"different: {difference}")
    for when, measured in (("old", old), ("new", new)):
        if warning := report.disturbed(measured["control"]):
            print(f"{when}: {warning}")
    print(compare.text(found, options.tolerance))
    contestants = options.contestants or ["tinynet", "tinynet-eager"]
    return int(bool(compare.regressions(found, options.tolerance, contestants)))


def readme(arguments: list[str]) -> int:
    """Write the README's tables from a run."""
    parser = argparse.ArgumentParser("python -m benchmarks readme")
    parser.add_argument("run", nargs="?", default=COMMITTED, help="a file, else the committed one")
    found = loaded(parser, parser.parse_args(arguments).run)
    report.write_readme(found, HERE.parent / "README.md")
    return 0


def loaded(parser: argparse.ArgumentParser, path: str | Path) -> dict[str, Any]:
    """Return a run from its file; end with a message where there is none."""
    try:
        return results.load(path)
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
