"""Figures of a run: bars for each work, and scaling curves. Read next: `compare.py`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .report import Run, groups, number, of_work
from .works import KINDS, SWEEPS

# The colour-blind safe palette of Okabe and Ito, for the contestants of most interest.
COLOURS = {
    "tinynet": "#D55E00",
    "tinynet-c": "#F0E442",
    "tinynet-eager": "#E69F00",
    "numpy": "#0072B2",
    "keras-jax": "#009E73",
    "torch": "#CC79A7",
    "jax": "#56B4E9",
}
OTHER, LIMIT = "#9A9A9A", "#222222"
LIMITS = {"c": ":", "products": "--"}  # lower limits, drawn in these line styles
MARKERS = dict(zip(COLOURS, "osD^vPX*", strict=False))  # lines differ without their colours, too
FIXED = {
    "width": "2 hidden layers, batches of 32",
    "depth": "32 units per layer, batches of 32",
    "batch": "2 hidden layers of 64 units",
}
AXES = {"width": "units per layer", "depth": "hidden layers", "batch": "batch size"}


def measured(run: Run, work: str) -> dict[str, float]:
    """Return the best time or size of each contestant at a work, in the unit of its kind."""
    scale = KINDS[run["works"][work]["kind"]].scale
    found = of_work(run, work)
    ok = {name: found[name] for name in run["contestants"] if name in found}
    return {name: r["best"] / scale for name, r in ok.items() if r["status"] == "ok"}


def bars(run: Run, group: str) -> Any:
    """Return a bar chart of a group: a panel for each work, a bar for each contestant."""
    from matplotlib.figure import Figure

    works = groups(run)[group]
    shown = [measured(run, work) for work in works]
    names = [name for name in run["contestants"] if any(name in values for values in shown)]
    columns = min(3, len(works))  # more would be too small on a page
    rows = math.ceil(len(works) / columns)
    figure = Figure(figsize=(2.2 + 2.6 * columns, rows * (1.0 + 0.27 * len(names))))
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax in axes.flat[len(works) :]:
        ax.remove()
    for ax, work, values in zip(axes.flat, works, shown, strict=False):
        heights = [values.get(name, float("nan")) for name in names]
        colours = [LIMIT if name in LIMITS else COLOURS.get(name, OTHER) for name in names]
        shown_bars = ax.barh(range(len(names)), heights, color=colours, log=True)
        labels = [number(values[name]) if name in values else "" for name in names]
        ax.bar_label(shown_bars, labels, padding=2, fontsize=7)
        ax.set(title=work, xlabel=KINDS[run["works"][work]["kind"]].unit)
        ax.xaxis.set_minor_formatter("")
        # Bars on a logarithmic axis start at a power of ten. The labels need room at the end.
        least, most = min(values.values(), default=1), max(values.values(), default=1)
        ax.set_xlim(10 ** math.floor(math.log10(least / 1.5)), most * (most / least) ** 0.3 * 1.5)
        if "numpy" in values:
            ax.axvline(values["numpy"], color=COLOURS["numpy"], lw=0.8, zorder=0)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(names)), [run["contestants"][n]["label"] for n in names])
    axes[0, 0].invert_yaxis()
    figure.set_layout_engine("tight")
    return figure


def scaling(run: Run) -> Any:
    """Return a figure with a panel for each sweep and a curve for each contestant."""
    from matplotlib.figure import Figure

    sweeps = {group: groups(run)[group] for group in SWEEPS if group in groups(run)}
    figure = Figure(figsize=(2.0 + 3.6 * len(sweeps), 4.6))
    axes = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0]
    for ax, (group, works) in zip(axes, sweeps.items(), strict=True):
        points = {run["works"][work]["at"]: measured(run, work) for work in works}
        ends: dict[str, tuple[float, float]] = {}
        for name, contestant in run["contestants"].items():
            curve = [(at, values[name]) for at, values in sorted(points.items()) if name in values]
            if curve:
                style = {"color": COLOURS.get(name, OTHER), "marker": MARKERS.get(name, ".")}
                style |= {"lw": 1.4, "ms": 5}
                if name in LIMITS:
                    style = {"color": LIMIT, "ls": LIMITS[name], "lw": 1.2}
                elif name not in COLOURS:
                    style["lw"] = 0.8
                ax.plot(*zip(*curve, strict=True), label=contestant["label"], **style)
                if name not in COLOURS and name not in LIMITS:
                    ends[contestant["label"]] = curve[-1]
        ax.set(xscale="log", yscale="log", xlabel=AXES[group])
        ax.set_title(FIXED[group], fontsize=9)
        lowest = 0.0
        for label, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
            lowest = max(y, 1.3 * lowest)  # so that labels do not overlap
            ax.text(x, lowest, f"  {label}", fontsize=6, color=OTHER, va="center")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("µs per step")
    lines = {line.get_label(): line for ax in axes for line in ax.get_lines()}
    named = [run["contestants"][n]["label"] for n in (*COLOURS, *LIMITS) if n in run["contestants"]]
    named = [label for label in named if label in lines]
    figure.legend([lines[n] for n in named], named, loc="outside right center", frameon=False)
    figure.set_layout_engine("constrained")
    return figure


def draw(run: Run, folder: Path) -> list[Path]:
    """Save all figures of a run; return their paths."""
    plain = [group for group in groups(run) if group not in SWEEPS]
    figures = {group.replace(" ", "-"): bars(run, group) for group in plain}
    if len(plain) < len(groups(run)):
        figures["scaling"] = scaling(run)
    paths = [folder / f"{name}.png" for name in figures]
    for figure, path in zip(figures.values(), paths, strict=True):
        figure.savefig(path, dpi=110)
    return paths
