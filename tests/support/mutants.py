"""Mutation testing: changes the package in one place at random, and tells what no test notices.

`python mutants.py calls` runs the tests and notes which functions of ROOMS each calls.
`python mutants.py 100 7` then makes 100 changes, by seed 7, in a copy of the clone. For each, the
tests that call the changed function run, the quickest first; if all pass, the change is printed.

One process collects the tests, and each change runs its tests in a fork of it, where functions get
their changed code. Only for code that runs while the package is imported, the fork imports it.

Cosmic Ray makes the changes; the section [mutants] of setup.cfg says which, and how long each is
tested. Its own driver is not used: it runs one test command for all changes, minutes for each.
"""

import ast
import difflib
import gc
import inspect
import itertools
import json
import math
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import hypothesis
import hypothesis.extra.numpy
import hypothesis.stateful
import numpy  # noqa: F401 (tests run in forks, which then need not import it)
import pytest

try:  # it is no part of the environment of the tests, which only import this file
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
except ImportError:
    plugins = None

SETTINGS = ConfigParser()
SETTINGS.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
ROOMS, MORE, INPUTS = (SETTINGS["mutants"][x].split() for x in ("rooms", "more_tests", "inputs"))
LEFT_OUT = re.compile(SETTINGS["mutants"]["left_out"])
SECONDS, FIRST = SETTINGS.getint("mutants", "seconds"), SETTINGS.getint("mutants", "first")
NOTES = Path(".pytest_cache/mutants.json")
OPTIONS = "-qx", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"
LEAST, TIMES = 10, 10  # a test may take LEAST + TIMES * (the CPU seconds that were noted)
IMPORT = "import"  # what stands for a test in the notes: the import of the package

Notes = dict[str, Any]  # for each test its CPU time, and the places that it calls


@contextmanager
def noting(notes: Notes, name: str) -> Iterator[None]:
    """Note the CPU time of a block, and the places in ROOMS that it calls."""
    codes: set[CodeType] = set()
    start = time.process_time()
    threading.settrace(lambda frame, event, arg: codes.add(frame.f_code))
    sys.settrace(threading.gettrace())
    yield
    sys.settrace(None)
    called = {(os.path.relpath(code.co_filename), code.co_firstlineno) for code in codes}
    inside = [call for call in called if call[0].startswith(tuple(f"tinynet/{r}/" for r in ROOMS))]
    notes[name] = time.process_time() - start, inside


class Calls:
    """A plugin of pytest that notes what each test calls that passes."""

    def __init__(self) -> None:
        self.notes: Notes = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        failed = item.session.testsfailed
        with noting(self.notes, item.nodeid):
            result = yield
        if item.session.testsfailed > failed:
            del self.notes[item.nodeid]
        return result


def note_calls() -> None:
    hypothesis.settings.register_profile("few", max_examples=4, deadline=None, derandomize=True)
    os.environ["HYPOTHESIS_PROFILE"] = "few"
    sys.path.insert(0, os.getcwd())
    calls = Calls()
    with noting(calls.notes, IMPORT):
        for module in pkgutil.walk_packages(import_module("tinynet").__path__, "tinynet."):
            if not re.search(r"__main__|\.mpi$", module.name):
                import_module(module.name)
        import_module("tinynet.engine.primitives.special").functions()
    paths = [f"{top}/{room}" for top in ("tests", "tinynet") for room in ROOMS]
    pytest.main([*OPTIONS, "--maxfail=99", *paths, *MORE], plugins=[calls])
    NOTES.write_text(json.dumps(calls.notes))


def inside(code: CodeType) -> list[CodeType]:
    """Return the functions and classes in a code."""
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def without(code: CodeType) -> CodeType:
    """Return a code without the functions and classes in it."""
    rest = tuple([const for const in code.co_consts if not isinstance(const, CodeType)])
    return code.replace(co_consts=rest, co_linetable=b"")  # which has the columns of functions


def tests_of(path: str, source: str, line: int, callers: dict[Any, list[str]]) -> list[str]:
    """Return the tests that call the innermost function on a line, then its statement, module."""
    codes, whole, found = [compile(source, path, "exec")], [], defaultdict(list)
    for code in codes:  # which grows
        codes += inside(code)
        first, last = code.co_firstlineno, max(at[2] or 0 for at in code.co_lines())
        if code.co_flags & inspect.CO_OPTIMIZED:  # no class, no module
            whole.append(first)
            found[last - first if first <= line <= last else math.inf].append(first)
    body = next(n for n in ast.parse(source).body if line <= n.end_lineno)
    statement = [first for first in whole if body.lineno <= first <= body.end_lineno]
    levels = [*(found[size] for size in sorted(found) if size < math.inf), statement, whole]
    return list(
        dict.fromkeys(t for level in levels for first in level for t in callers[path, first])
    )


def runs(node: Any) -> bool:
    """Return whether a node of a syntax tree is not part of an annotation."""
    above = node.parent
    kind, annotation = getattr(above, "type", None), getattr(above, "annotation", None)
    if above and getattr(above.children[0], "value", None) in INPUTS:
        return False
    if kind == "annassign":
        annotation = above.children[1]
    return above is None or (kind != "tfpdef" and node is not annotation and runs(above))


def places() -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Return where ROOMS can be changed: file, line, and the changes (operator, occurrence)."""
    found: dict[Any, list[tuple[str, int]]] = defaultdict(list)
    names = [name for name in sorted(plugins.operator_names()) if not LEFT_OUT.search(name)]
    for path in sorted(p for room in ROOMS for p in Path("tinynet", room).rglob("*.py")):
        nodes = list(ast_nodes(get_ast(path.read_text())))
        for name in names:
            positions = plugins.get_operator(name)().mutation_positions
            spots = [(node, at[0]) for node in nodes for at in positions(node)]
            for i, (node, start) in enumerate(spots):
                if runs(node):
                    found[str(path), start, re.split("_|Replace", name)[0]].append((name, i))
    return [(path, start[0], changes) for (path, start, _), changes in found.items()]


def changed_functions(path: str, source: str, text: str, at_import: set[Any]) -> Any:
    """Return the functions that differ, old to new; None if code differs that runs at import.

    SyntaxError if the text is no Python.
    """
    pairs, found = [(compile(source, path, "exec"), compile(text, path, "exec"))], {}
    for old, new in pairs:  # which grows
        parts, function = (inside(old), inside(new)), old.co_flags & inspect.CO_OPTIMIZED
        alike = old.co_freevars == new.co_freevars and len(parts[0]) == len(parts[1])
        early = not function or (path, old.co_firstlineno) in at_import
        if not alike or (early and without(old) != without(new)):
            return None
        found |= {old: new} if function and old != new else {}
        pairs += zip(*parts, strict=True)
    return found


class Change(NamedTuple):
    """A change of a file, the functions that change, and the tests that may notice it, in order."""

    path: str
    source: str
    text: str
    functions: dict[CodeType, CodeType] | None
    tests: list[str]

    def fork(self) -> int | None:
        """Return None in a fork, with the changed file, and otherwise the exit code of the fork."""
        Path(self.path).write_text(self.text)
        if "toolchain" in self.path:  # it may fill a cache wrongly
            os.environ["TINYNET_TESTS_CACHE_DIR"] += "x"
        if not (child := os.fork()):
            sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
            return None
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        Path(self.path).write_text(self.source)
        return code


class Runs:
    """A plugin of pytest that runs the tests of changes, after it has collected those of all.

    Each change gets a fork, unless it has no `functions`: then this process is its fork. It ends
    when a test fails, or takes much longer than noted.
    """

    def __init__(self, changes: list[Change], seconds: dict[str, float], report: Any) -> None:
        self.changes, self.seconds, self.report = changes, seconds, report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        items, existing = {item.nodeid: item for item in session.items}, defaultdict(list)
        gc.unfreeze()  # so that the next line finds all functions
        for function in gc.get_objects():
            if type(function) is FunctionType and "/tinynet/" in function.__code__.co_filename:
                existing[function.__code__].append(function)
        gc.freeze()
        for change in self.changes:
            if change.functions is not None and (code := change.fork()) is not None:
                self.report(change, code)
                continue
            session.items = [items[test] for test in change.tests if test in items]
            for old, new in (change.functions or {}).items():
                for function in existing[old]:
                    function.__code__ = new
            return None  # so that pytest runs the tests
        return True

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if sum(os.times()[:4]) > SECONDS:  # with the C compilers that tests start
            os._exit(0)
        most = LEAST + TIMES * self.seconds[item.nodeid]
        limit = int(time.process_time() + most)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        signal.alarm(int(TIMES * most))  # for a deadlock


def drawn(seed: int, notes: Notes) -> Iterator[Change]:
    """Yield changes in random order."""
    draws, callers, found = random.Random(seed), defaultdict(list), places()
    at_import = {(path, line) for path, line in notes.pop(IMPORT)[1]}
    for test in sorted(notes, key=lambda test: notes[test][0]):
        for path, line in notes[test][1]:
            callers[path, line].append(test)
    for path, line, changes in draws.sample(found, len(found)):
        operator, occurrence = draws.choice(changes)
        source = Path(path).read_text()
        text = mutate_code(source, plugins.get_operator(operator)(), occurrence)
        with suppress(SyntaxError):
            functions = changed_functions(path, source, text, at_import)
            tests = tests_of(path, source, line, callers)
            spent = itertools.accumulate(notes[test][0] for test in tests)
            few = [test for test, sum in zip(tests, spent, strict=True) if sum < SECONDS]
            yield Change(path, source, text, functions, few)


def main(count: int, seed: int) -> None:
    """Make changes; print those that no test notices, and the numbers of both kinds by room."""
    if plugins is None:
        raise SystemExit("mutants.py needs Cosmic Ray: pip install cosmic-ray")
    notes, counts, out = json.loads(NOTES.read_text()), Counter[str](), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what pytest writes

    def report(change: Change, code: int) -> None:
        found = "killed" if code > 0 else "alive" if code == 0 else "ended"
        counts[f"{Path(change.path).parts[1]}, {found}"] += 1
        if code <= 0:
            texts = change.source.split("\n"), change.text.split("\n")
            print(found, change.path, *difflib.unified_diff(*texts, n=0), file=out, flush=True)

    def run(changes: list[Change]) -> int:
        files = {test.split("::")[0]: None for change in changes for test in change.tests}
        return pytest.main([*OPTIONS, *files], plugins=[Runs(changes, seconds, report)])

    with tempfile.TemporaryDirectory() as parent:
        os.chdir(shutil.copytree(".", Path(parent, "clone"), ignore=shutil.ignore_patterns(".*")))
        sys.path.insert(0, os.getcwd())
        for name in "TINYNET_CACHE_DIR", "TINYNET_TESTS_CACHE_DIR":
            os.environ[name] = str(Path(parent, name))
        changes = [*itertools.islice(drawn(seed, notes), count)]
        seconds, this = {test: note[0] for test, note in notes.items()}, os.getpid()
        notes.clear()
        for change in [change for change in changes if change.functions is None]:
            code = 0
            for tests in filter(None, (change.tests[:FIRST], change.tests[FIRST:])):
                part = change._replace(tests=tests)
                if code == 0 and (code := part.fork()) is None:
                    os._exit(run([part]))
            report(change, code)
        code = run([change for change in changes if change.functions is not None])
        if os.getpid() != this:
            os._exit(code)
    print(f"{count} changes by seed {seed}:", dict(counts), file=out, flush=True)


if __name__ == "__main__":
    note_calls() if sys.argv[1] == "calls" else main(*map(int, sys.argv[1:]))
