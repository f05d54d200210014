"""Find what became slower between two runs.

It compares the ratios to NumPy by hand, because those do not depend on the machine. Results without
a ratio are compared by their best times.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .report import Run

_PARTS = ("machine", "versions", "settings")


class Change(NamedTuple):
    """A result in both runs; the factor is infinite if the contestant failed in the new run."""

    work: str
    contestant: str
    factor: float
    note: str


def changes(old: Run, new: Run) -> list[Change]:
    """Return the changes of all results that both runs contain, the largest factor first."""
    then = {(r["work"], r["contestant"]): r for r in old["results"] if r["status"] == "ok"}
    found = []
    for now in new["results"]:
        key = now["work"], now["contestant"]
        if key not in then or now["status"] in ("missing", "skipped"):
            continue
        if now["status"] != "ok":
            found.append(Change(*key, float("inf"), f"{now['status']}: {now['note']}"))
            continue
        by = "ratio" if then[key]["ratio"] and now["ratio"] else "best"
        before, after = then[key][by], now[by]
        if now["contestant"] == new["base"]:
            by, before, after = "best", then[key]["best"], now["best"]
        found.append(Change(*key, after / before, f"{by} {before:.3g} -> {after:.3g}"))
    return sorted(found, key=lambda change: -change.factor)


def regressions(found: list[Change], tolerance: float, contestants: list[str]) -> list[Change]:
    """Return the changes of these contestants whose factor is above `tolerance`."""
    return [c for c in found if c.contestant in contestants and c.factor > tolerance]


def comparable(old: Run, new: Run) -> list[str]:
    """Return the other differences between two runs: machine, versions, settings, works."""
    shared = [name for name in old["works"] if name in new["works"]]
    then, now = _facts(old, shared), _facts(new, shared)
    return [
        f"{fact} {then.get(fact)} -> {now.get(fact)}"
        for fact in {**then, **now}
        if then.get(fact) != now.get(fact)
    ]


def _facts(run: Run, works: list[str]) -> dict[str, Any]:
    parts = {f"{part} {key}:": v for part in _PARTS for key, v in run[part].items()}
    return parts | {f"works {n}: {key}": v for n in works for key, v in run["works"][n].items()}


def text(found: list[Change], tolerance: float) -> str:
    """Return the changes by more than a factor of `tolerance`, in either direction, as text."""
    large = [c for c in found if not 1 / tolerance <= c.factor <= tolerance]
    lines = [f"{c.factor:8.2f}  {c.work:22}{c.contestant:18}{c.note}" for c in large]
    return "\n".join(lines or [f"No change by more than a factor of {tolerance:g}."])
