"""The results file: its schema, how it is checked, written and read, and facts on the machine.

`SCHEMA` is a JSON Schema that describes every field. `problems` validates a file against the parts
of JSON Schema that it uses. Read next: `report.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

VERSION = 1
DISTURBED = 1.25  # a reading of the control above this multiple of the best one
FEWEST = 3  # quiet rounds from which on disturbed rounds are left out
STATUSES = {
    "ok": "measured, with correct losses or outputs",
    "missing": "a requirement is not installed; the note names it",
    "skipped": "not measured; the note says why",
    "wrong": "losses or outputs differ from the reference",
    "crashed": "failed; the note is the last line of the error",
    "late": "no answer within the time limit",
}


class ContestantError(Exception):
    """A contestant cannot be measured; `status` is one of STATUSES, `note` says why."""

    def __init__(self, status: str, note: str) -> None:
        """Keep status and note."""
        super().__init__(note)
        self.status, self.note = status, note


@dataclasses.dataclass
class Result:
    """The result of one contestant at one work; `SCHEMA` describes the fields."""

    work: str
    contestant: str
    status: str
    note: str = ""
    loss: float | None = None
    error: float | None = None
    best: float | None = None
    median: float | None = None
    ratio: float | None = None
    best_of_rounds: list[float] = dataclasses.field(default_factory=list)
    median_of_rounds: list[float] = dataclasses.field(default_factory=list)

    def add(self, best: float, median: float) -> None:
        """Add the best and the median time of a round."""
        self.best_of_rounds.append(best)
        self.median_of_rounds.append(median)

    @contextlib.contextmanager
    def or_failed(self) -> Iterator[None]:
        """Record a ContestantError of the block as this result's status and note."""
        try:
            yield
        except ContestantError as failure:
            self.status, self.note = failure.status, failure.note


def quiet(readings: Mapping[str, Sequence[Sequence[float]]], work: str) -> list[bool]:
    """Return for each round of a work whether the machine was quiet before and after.

    `readings` are those of the control at all works.
    """
    best = min((n for pairs in readings.values() for pair in pairs for n in pair), default=0)
    return [max(pair) <= DISTURBED * best for pair in readings[work]]


def counted(count: int, is_quiet: Sequence[bool]) -> list[int]:
    """Return which of `count` rounds count: the quiet ones, or all if too few are quiet."""
    rounds = [i for i in range(count) if [*is_quiet[i : i + 1]] != [False]]
    return rounds if len(rounds) >= FEWEST else [*range(count)]


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _table(description: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": of}


def _list(description: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": of}


def _field(kind: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind.split("|"), "description": description, **more}


SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Results of tinynet's benchmarks",
    **_object(
        "One run. Times are in seconds, sizes in bytes.",
        schema=_field("integer", "the version of this schema", enum=[VERSION]),
        date=_field("string", "when the run started, in UTC"),
        seconds=_field("number", "duration of the run"),
        machine=_table("processor, usable cores, memory, system", _field("string", "as text")),
        versions=_table("of Python and of installed libraries", _field("string", "its version")),
        settings=_object(
            "the settings of the run",
            threads=_field("integer", "threads that each contestant may use"),
            rounds=_field("integer", "largest number of rounds of a work"),
            seconds=_field("number", "seconds of one contestant's turn in a round"),
            limit=_field("number", "seconds, for one answer of a contestant"),
            patience=_field("integer", "how many times a round waits for a quiet machine"),
        ),
        tolerance=_field("number", "the largest relative error of a correct loss or output"),
        base=_field("string", "the contestant that ratios refer to"),
        works=_table(
            "works by name",
            _object(
                "a work: networks have sigmoid hidden layers, a linear output, squared error",
                group=_field("string", "group of works that are shown together"),
                kind=_field("string", "what is measured"),
                meaning=_field("string", "what is measured, in words"),
                sizes=_list("units of each layer, first the inputs", _field("integer", "units")),
                rows=_field("integer", "rows of the data"),
                batch=_field("integer", "batch size"),
                epochs=_field("integer", "epochs of a whole fit"),
                optimizer=_field("string", "adam or sgd"),
                rate=_field("number", "the learning rate"),
                data=_field("string", "normal, the data of a seed script, or a function"),
                at=_field("integer|null", "position on the axis of a sweep"),
            ),
        ),
        contestants=_table(
            "contestants by name",
            _object(
                "a contestant",
                label=_field("string", "the name shown"),
                limit=_field("boolean", "whether it is a lower limit: only part of the work"),
            ),
        ),
        results=_list(
            "one result for each contestant and work",
            _object(
                "a result",
                work=_field("string", "name of the work"),
                contestant=_field("string", "name of the contestant"),
                status=_field("string", "whether it was measured", enum=[*STATUSES]),
                note=_field("string", "why the status is not ok"),
                loss=_field("number|null", "loss after the epochs of the check"),
                error=_field("number|null", "largest relative error of its losses or outputs"),
                best=_field("number|null", "best of all rounds"),
                median=_field("number|null", "median of the medians of the rounds"),
                ratio=_field("number|null", "to the base: the median over rounds of best times"),
                best_of_rounds=_list("by round", _field("number", "best of a round")),
                median_of_rounds=_list("by round", _field("number", "median of a round")),
            ),
        ),
        control=_object(
            "a fixed computation, timed before and after each round",
            threshold=_field("number", "times the best reading: disturbed above this"),
            rounds=_field("integer", "rounds of all works"),
            disturbed=_field("integer", "rounds during which the machine was not quiet"),
            readings=_table(
                "readings by work",
                _list("by round", _list("seconds before and after", _field("number", "a reading"))),
            ),
        ),
    ),
}

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "number": (int, float),
    "integer": int,
    "null": type(None),
}


def problems(value: Any, schema: dict[str, Any] = SCHEMA, path: str = "$") -> list[str]:
    """Return the violations of a schema, for the parts of JSON Schema that `SCHEMA` uses."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = [isinstance(value, _TYPES[kind]) for kind in kinds]
    if not any(fits) or (isinstance(value, bool) and "boolean" not in kinds):
        return [f"{path} must be {' or '.join(kinds)}. Received: {value!r}"]
    if value not in schema.get("enum", [value]):
        return [f"{path} must be one of {schema['enum']}. Received: {value!r}"]
    if isinstance(value, list):
        parts = [problems(v, schema["items"], f"{path}[{i}]") for i, v in enumerate(value)]
        return [problem for part in parts for problem in part]
    if not isinstance(value, dict):
        return []
    found = [f"{path}.{key} is missing" for key in schema.get("required", ()) if key not in value]
    others = schema["additionalProperties"]
    for key, part in value.items():
        wanted = schema.get("properties", {}).get(key, others)
        found += problems(part, wanted, f"{path}.{key}") if wanted else [f"{path}.{key} is unknown"]
    return found


def save(run: dict[str, Any], path: Path) -> None:
    """Write a run as JSON; numbers that are not finite become null."""
    path.write_text(json.dumps(_finite(run), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(path: str | Path) -> dict[str, Any]:
    """Load a run from its file.

    Raises
    ------
    ValueError
        If the file is malformed; the message names the first violation.
    """
    try:
        run = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    wrong = problems(run)
    if wrong:
        raise ValueError(f"{path} is not a results file of version {VERSION}: {wrong[0]}")
    return run


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Return processor, usable cores, memory and system of this machine."""
    info = _text("/proc/cpuinfo"), _text("/proc/meminfo")
    name = re.search(r"model name\s*:\s*(.*)", info[0])
    memory = re.search(r"MemTotal:\s*(\d+)", info[1])
    return {
        "processor": name[1].strip() if name else platform.processor() or platform.machine(),
        "cores": str(processors()),
        "memory": f"{int(memory[1]) / 2**20:.0f} GB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}",
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def versions(modules: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of those modules that are installed."""
    found = {"python": platform.python_version()}
    for name in modules:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(_distribution(name))
    return found


def _distribution(module: str) -> str:
    return importlib.metadata.packages_distributions().get(module, [module])[0]


def installed_bytes(modules: Sequence[str]) -> int:
    """Return the installed size of modules and of their dependencies, without bytecode.

    Raises
    ------
    ContestantError
        If a module belongs to no installed package.
    """
    known = versions(modules)
    for name in modules:
        if name not in known:
            raise ContestantError("missing", f"{name} is not installed as a package")
    seen: set[str] = set()
    pending = [_distribution(module) for module in modules]
    total = 0
    while pending:
        name = re.sub(r"[-_.]+", "-", pending.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:  # a dependency for other systems
            continue
        total += sum(map(_size, _files(distribution, modules)))
        required = distribution.requires or []
        pending += [re.split(r"[^\w.-]", r)[0] for r in required if "extra ==" not in r]
    return total


def _files(distribution: Any, modules: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a distribution; of an editable install, the files of its module."""
    name = next((module for module in modules if _distribution(module) == distribution.name), "")
    installed = distribution.read_text("RECORD") is not None
    editable = '"editable": true' in (distribution.read_text("direct_url.json") or "")
    if name and (editable or not installed):
        spec = importlib.util.find_spec(name)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield from Path(folder).rglob("*")
    else:
        yield from (Path(str(distribution.locate_file(f))) for f in distribution.files or [])


def _size(path: Path) -> int:
    return path.stat().st_size if path.suffix != ".pyc" and path.is_file() else 0


def now() -> str:
    """Return the date and time, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
