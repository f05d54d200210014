"""A run as text, as Markdown, and as the tables of README and docs. Read next: `plots.py`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .results import counted, quiet
from .works import GOALS, KINDS, Goal

Run = dict[str, Any]
MARKS = "<!-- from the committed run: python -m benchmarks readme -->\n", "<!-- end -->\n"


def number(value: float) -> str:
    """Format with three significant digits, two below 0.1, and thousands separators."""
    if value >= 100:
        return f"{round(value):,}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"
    if value < 0.1:
        return f"{value:.2g}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


# The contestants in the README.
FEW = ("tinynet", "tinynet-c", "numpy", "products", "keras-jax", "torch", "jax-scan")


def times_base(ratio: float) -> str:
    """Format a ratio; two decimals between 0.1 and 10."""
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else number(ratio)


def of_work(run: Run, work: str) -> dict[str, dict[str, Any]]:
    """Return the results of a work by contestant."""
    return {r["contestant"]: r for r in run["results"] if r["work"] == work}


def text(name: str, work: dict[str, Any], rows: Iterable[Any], labels: dict[str, str]) -> str:
    """Return a work's results as text, the fastest first."""
    kind = KINDS[work["kind"]]
    head = f"{name}: {kind.meaning}, {kind.unit}"
    if work["kind"] not in ("import", "size", "function"):
        shape = "-".join(map(str, work["sizes"]))
        head += f"  ({shape}, {work['rows']} rows, batch {work['batch']}, {work['optimizer']})"
    lines = [head, f"{'':28}{'best':>11}{'median':>11}{'ratio':>9}  loss"]
    for row in sorted(rows, key=lambda r: (r["best"] is None, r["best"] or 0)):
        label = labels[row["contestant"]]
        if row["status"] != "ok":
            lines.append(f"  {label:26} {row['status']}: {row['note']}")
            continue
        ratio = times_base(row["ratio"]) if row["ratio"] else ""
        loss = f"{row['loss']:.6f}" if row["loss"] is not None else ""
        cells = [number(row[key] / kind.scale) for key in ("best", "median")]
        lines.append(f"  {label:26}{cells[0]:>11}{cells[1]:>11}{ratio:>9}  {loss}".rstrip())
    return "\n".join(lines) + "\n"


def disturbed(control: dict[str, Any]) -> str:
    """Return a warning if rounds were disturbed, else an empty string."""
    if not control["disturbed"]:
        return ""
    return (
        f"The machine was not quiet: in {control['disturbed']} of {control['rounds']} rounds the "
        f"control took more than {control['threshold']:g} times its best time."
    )


_BRACKETS = "Best of all rounds; in brackets the median over rounds of the ratio to"


def table(run: Run, works: list[str], few: bool = False) -> str:
    """Return a Markdown table: a row for each contestant, a column for each work.

    With `few`, only the contestants of the README, and not what disturbed the machine.
    """
    found = {work: of_work(run, work) for work in works}
    base = run["contestants"][run["base"]]["label"] if run["base"] in run["contestants"] else ""
    units = [f"{work}, {KINDS[run['works'][work]['kind']].unit}" for work in works]
    lines = [_row(["", *units]), _row(["---"] * (1 + len(works)))]
    for name, contestant in run["contestants"].items():
        cells = [_cell(run, work, found[work].get(name)) for work in works]
        if any(cells) and (name in FEW or not few):
            lines.append(_row([contestant["label"], *cells]))
    if not few:
        disturbed_rounds = [_rounds(run, work) for work in works]
        lines.append(_row(["rounds in which the machine was disturbed", *disturbed_rounds]))
    return "\n".join(lines) + (f"\n\n{_BRACKETS} {base}.\n" if base else "\n")


def _rounds(run: Run, work: str) -> str:
    """Return during how many rounds of a work the machine was disturbed, as text."""
    rounds = quiet(run["control"]["readings"], work)
    return f"{rounds.count(False)} of {len(rounds)}" if rounds else ""


def goals(run: Run) -> str:
    """Return a table of the ratios that are wanted, as far as they were measured."""
    columns = ["work", "", "against", "ratio", "wanted", "disturbed rounds"]
    rows = [_goal(run, goal) for goal in GOALS if goal.work in run["works"]]
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, filter(None, rows))]
    return "\n".join(lines) + "\n" if any(rows) else ""


def _goal(run: Run, goal: Goal) -> list[str]:
    """Return the cells of a goal; the status of a contestant that failed stands for the ratio.

    No cells if one of the two contestants did not take part.
    """
    found = of_work(run, goal.work)
    others = [goal.against]
    if goal.against == "others":
        whole = [n for n in found if not run["contestants"][n]["limit"] and "tinynet" not in n]
        others = [n for n in whole if found[n]["status"] == "ok"]
    if not others or not {goal.contestant, *others} <= {*found}:
        return []
    ratios = {n: ratio(run, goal.work, found[goal.contestant], found[n]) for n in others}
    largest = max(ratios, key=lambda n: ratios[n] or 0)
    labels = [run["contestants"][n]["label"] for n in (goal.contestant, largest)]
    if goal.against == "others":
        labels[1] = f"the fastest other: {labels[1]}"
    failed = [found[n]["status"] for n in (goal.contestant, largest) if not found[n]["best"]]
    shown = times_base(ratios[largest] or 0) if not failed else failed[0]
    return [goal.work, *labels, shown, f"≤ {goal.most:g}", _rounds(run, goal.work)]


def ratio(run: Run, work: str, one: dict[str, Any], other: dict[str, Any]) -> float | None:
    """Return the ratio of two results: the median over rounds of the ratios of best times.

    None if one of them was not measured.
    """
    if not (one["best"] and other["best"]):
        return None
    pairs = [*zip(one["best_of_rounds"], other["best_of_rounds"], strict=True)]
    rounds = counted(len(pairs), quiet(run["control"]["readings"], work))
    return statistics.median(pairs[i][0] / pairs[i][1] for i in rounds)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(run: Run, work: str, result: dict[str, Any] | None) -> str:
    if result is None or result["status"] in ("missing", "skipped"):
        return ""
    if result["status"] != "ok":
        return result["status"]
    value = number(result["best"] / KINDS[run["works"][work]["kind"]].scale)
    return f"{value} ({times_base(result['ratio'])})" if result["ratio"] else value


def header(run: Run) -> str:
    """Return date, machine, number of threads and versions of a run."""
    machine, versions = run["machine"], run["versions"]
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}"
    what = ", ".join(f"{name} {version}" for name, version in versions.items())
    threads = run["settings"]["threads"]
    return f"{run['date']}; {where}, {machine['system']}; {threads} threads.\n{what}.\n"


def groups(run: Run) -> dict[str, list[str]]:
    """Return the names of the works of each group."""
    found: dict[str, list[str]] = {}
    for name, work in run["works"].items():
        found.setdefault(work["group"], []).append(name)
    return found


def markdown(run: Run) -> str:
    """Return the whole run as a Markdown page."""
    parts = ["# Benchmarks\n", header(run)]
    if table_of_goals := goals(run):
        parts += ["## Goals\n", table_of_goals]
    for group, works in groups(run).items():
        parts += [f"## {group.capitalize()}\n", _legend(run, works), table(run, works)]
    notes = {
        (run["contestants"][r["contestant"]]["label"], r["status"], r["note"])
        for r in run["results"]
        if r["status"] not in ("ok", "skipped")
    }
    if notes:
        listed = [f"- {label}: {status}: {note}" for label, status, note in sorted(notes)]
        parts.append("## Not measured\n\n" + "\n".join(listed) + "\n")
    return "\n".join(parts)


def _legend(run: Run, works: list[str]) -> str:
    kinds = dict.fromkeys(run["works"][work]["kind"] for work in works)
    return "; ".join(f"{KINDS[kind].unit}: {KINDS[kind].meaning}" for kind in kinds) + ".\n"


def small(run: Run) -> str:
    """Return the README's table: networks, for few contestants."""
    return table(run, groups(run).get("networks", []), few=True)


def full(run: Run) -> str:
    """Return the tables of docs/speed.md: networks, start-up and memory, machine and versions."""
    chosen = groups(run).get("networks", []), startup(run)
    return "\n".join([*(table(run, works) for works in chosen if works), header(run)])


def startup(run: Run) -> list[str]:
    """Return the works of the second table of docs/speed.md, as far as they were run."""
    wanted = ("first seed", "predict one", "first model", "import", "installed", "memory, wide")
    return [name for name in wanted if name in run["works"]]


def write_between_marks(path: Path, tables: str) -> None:
    """Replace the text between the two marks of a page by tables of a run.

    Raises
    ------
    ValueError
        If the file does not contain each mark exactly once.
    """
    before, after = MARKS
    pattern = re.escape(before) + ".*?" + re.escape(after)
    old = path.read_text(encoding="utf-8")
    new, count = re.subn(pattern, lambda _: f"{before}\n{tables}\n{after}", old, flags=re.S)
    if count != 1:
        raise ValueError(f"{path} must contain the marks {before!r} and {after!r} exactly once")
    path.write_text(new, encoding="utf-8")
