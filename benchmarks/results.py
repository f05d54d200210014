"""The file of results: what is in it, with which machine, and whether a file is one.

`SCHEMA` is JSON Schema, with a description of every field; `problems` checks what of it is used
here. Read next: `report.py`.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

VERSION = 1
STATUSES = {
    "ok": "measured, and the numbers are right",
    "missing": "not installed; the note says what",
    "skipped": "not asked; the note says why",
    "wrong": "other losses or outputs than the reference",
    "crashed": "the note is the last line of its error",
    "late": "no answer within the limit",
}


class ContestantError(Exception):
    """A contestant has no time; the status says how that is counted, the note why."""

    def __init__(self, status: str, note: str) -> None:
        """Keep both."""
        super().__init__(note)
        self.status, self.note = status, note


@dataclasses.dataclass
class Result:
    """What one contestant did at one work; the fields are those of the file, see `SCHEMA`."""

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
        """Add a round."""
        self.best_of_rounds.append(best)
        self.median_of_rounds.append(median)

    @contextlib.contextmanager
    def or_failed(self) -> Iterator[None]:
        """Note the failure of what is done within."""
        try:
            yield
        except ContestantError as failure:
            self.status, self.note = failure.status, failure.note


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
        date=_field("string", "when the run began, in UTC"),
        seconds=_field("number", "how long the run took"),
        machine=_table("processor, cores allowed, memory, system", _field("string", "as text")),
        versions=_table("of Python, and of the libraries present", _field("string", "its version")),
        settings=_object(
            "how it was run",
            threads=_field("integer", "that each contestant may use"),
            rounds=_field("integer", "of a work, at most"),
            seconds=_field("number", "of one turn of one contestant"),
            limit=_field("number", "seconds, for one answer of a contestant"),
            patience=_field("integer", "how often a round waits for a quiet machine"),
        ),
        tolerance=_field("number", "the largest error of a loss or output that is right"),
        base=_field("string", "the contestant that the ratios are to"),
        works=_table(
            "by name",
            _object(
                "a work: networks have sigmoid hidden layers, a linear output, squared error",
                group=_field("string", "works that are shown together"),
                kind=_field("string", "what is measured"),
                meaning=_field("string", "the same in words"),
                sizes=_list("units of the layers, inputs first", _field("integer", "units")),
                rows=_field("integer", "of the data"),
                batch=_field("integer", "rows of a step"),
                epochs=_field("integer", "of a whole fit"),
                optimizer=_field("string", "adam or sgd"),
                rate=_field("number", "the learning rate"),
                data=_field("string", "normal, or a seed's"),
                at=_field("integer|null", "the place on the axis of a sweep"),
            ),
        ),
        contestants=_table(
            "by name",
            _object(
                "a contestant",
                label=_field("string", "as it is shown"),
                limit=_field("boolean", "does less than the work: nothing can be faster"),
            ),
        ),
        results=_list(
            "of every contestant at every work",
            _object(
                "a result",
                work=_field("string", "its name"),
                contestant=_field("string", "its name"),
                status=_field("string", "what came of it", enum=[*STATUSES]),
                note=_field("string", "why it is not ok"),
                loss=_field("number|null", "after the epochs by which it was checked"),
                error=_field("number|null", "the largest of its losses or outputs, relative"),
                best=_field("number|null", "the best of all rounds"),
                median=_field("number|null", "the median of the rounds' medians"),
                ratio=_field("number|null", "to the base: the median of rounds' bests by its"),
                best_of_rounds=_list("one for each round", _field("number", "its best")),
                median_of_rounds=_list("one for each round", _field("number", "its median")),
            ),
        ),
        control=_object(
            "a work that is always the same, timed before and after each round",
            threshold=_field("number", "times the best reading, above which it is disturbed"),
            rounds=_field("integer", "of all works"),
            disturbed=_field("integer", "of these, with a disturbed control beside them"),
            readings=_table(
                "by work",
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
    """Return what is wrong with a value, by the parts of JSON Schema that `SCHEMA` uses."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = [isinstance(value, _TYPES[kind]) for kind in kinds]
    if not any(fits) or (isinstance(value, bool) and "boolean" not in kinds):
        return [f"{path} should be {' or '.join(kinds)}, is {value!r}"]
    if value not in schema.get("enum", [value]):
        return [f"{path} should be one of {schema['enum']}, is {value!r}"]
    if isinstance(value, list):
        parts = [problems(v, schema["items"], f"{path}[{i}]") for i, v in enumerate(value)]
        return [problem for part in parts for problem in part]
    if not isinstance(value, dict):
        return []
    found = [f"{path}.{key} is missing" for key in schema.get("required", ()) if key not in value]
    others = schema["additionalProperties"]
    for key, part in value.items():
        wanted = schema.get("properties", {}).get(key, others)
        found += (
            problems(part, wanted, f"{path}.{key}") if wanted else [f"{path}.{key} is not known"]
        )
    return found


def save(run: dict[str, Any], path: Path) -> None:
    """Write a run; what is not finite, which JSON cannot say, is null."""
    path.write_text(json.dumps(_finite(run), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(path: str | Path) -> dict[str, Any]:
    """Return a run from its file.

    Raises
    ------
    ValueError
        For a file that is none, with the first thing that is wrong in it.
    """
    try:
        run = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    wrong = problems(run)
    if wrong:
        raise ValueError(f"{path} is no file of results of version {VERSION}: {wrong[0]}")
    return run


def processors() -> int:
    """Return how many processors this process may use, which may be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Return what this machine is, as far as it tells."""
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
    """Return the versions of Python and of the modules that are there."""
    found = {"python": platform.python_version()}
    for name in modules:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(_distribution(name))
    return found


def _distribution(module: str) -> str:
    return importlib.metadata.packages_distributions().get(module, [module])[0]


def installed_bytes(modules: Sequence[str]) -> int:
    """Return the size of modules and of all that they require, as installed, without bytecode.

    Raises
    ------
    ContestantError
        For a module that belongs to no installed package, whose size would be none.
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
        except importlib.metadata.PackageNotFoundError:  # required on other systems
            continue
        total += sum(map(_size, _files(distribution, modules)))
        required = distribution.requires or []
        pending += [re.split(r"[^\w.-]", r)[0] for r in required if "extra ==" not in r]
    return total


def _files(distribution: Any, modules: Sequence[str]) -> Iterator[Path]:
    """Yield the files of a distribution; of one used where it is developed, those of its module."""
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
