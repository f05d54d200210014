"""Mutation testing: changes the package in one place at random, and tells what no test notices.

`python mutants.py calls` runs the tests and notes which functions of ROOMS each calls.
`python mutants.py 100 7` then makes 100 changes, by seed 7, in a copy of the clone. For each, the
tests that call the changed function run, the quickest first; if all pass, the change is printed.

Cosmic Ray makes the changes. It does not read setup.cfg, and its own file of settings has one test
command for all changes, which would take minutes for each: so the settings stand here.
"""

import ast
import difflib
import inspect
import itertools
import json
import math
import os
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
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import numpy  # noqa: F401 (tests run in forks, which then need not import it)
import pytest

try:  # it is no part of the environment of the tests, which only import this file
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
except ImportError:
    plugins = None

ROOMS = "engine", "compiler", "optimizers", "losses", "saving"
MORE = "tests/test_numpy_scalars.py", "tests/metrics/test_metrics.py", "tests/training"
LEFT_OUT = re.compile("Eq_Is$|NotEq_IsNot$|Is_Eq$|IsNot_NotEq$|Variable")  # alike, or need settings
NOTES = Path(".pytest_cache/mutants.json")
OPTIONS = "-qx", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"
FIRST, SECONDS, LIMIT = 40, 30, 100  # tests that run first; CPU time of all tests; of a fork


class Calls:
    """A plugin of pytest that notes the CPU time of each test, and the places that it calls."""

    of: dict[str, Any] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        codes: set[CodeType] = set()
        start = time.process_time()
        threading.settrace(lambda frame, event, arg: codes.add(frame.f_code))
        sys.settrace(threading.gettrace())
        result = yield
        sys.settrace(None)
        called = {(os.path.relpath(code.co_filename), code.co_firstlineno) for code in codes}
        inside = [call for call in called if call[0].split("/")[-2:-1][0] in ROOMS]
        self.of[item.nodeid] = time.process_time() - start, inside
        return result


def note_calls() -> None:
    hypothesis.settings.register_profile("few", max_examples=4, deadline=None, derandomize=True)
    os.environ["HYPOTHESIS_PROFILE"] = "few"
    paths = [f"{top}/{room}" for top in ("tests", "tinynet") for room in ROOMS]
    pytest.main([*OPTIONS, "--maxfail=99", *paths, *MORE], plugins=[Calls()])
    NOTES.write_text(json.dumps(Calls.of))


def tests_of(path: str, line: int, notes: dict[str, Any]) -> list[str]:
    """Return the tests that call the innermost function on a line, else its statement or module."""
    text, found = Path(path).read_text(), defaultdict(list)
    codes, whole = [compile(text, path, "exec")], []
    for code in codes:  # which grows
        codes += [const for const in code.co_consts if isinstance(const, CodeType)]
        first, last = code.co_firstlineno, max(at[2] or 0 for at in code.co_lines())
        if code.co_flags & inspect.CO_OPTIMIZED:  # no class, no module
            whole.append([path, first])
            found[last - first if first <= line <= last else math.inf].append([path, first])
    body = next(n for n in ast.parse(text).body if line <= n.end_lineno)
    inside = [at for at in whole if body.lineno <= at[1] <= body.end_lineno]
    levels = [*(found[size] for size in sorted(found) if size < math.inf), inside, whole]
    called = ([t for t in notes if any(at in notes[t][1] for at in level)] for level in levels)
    return sorted(next(filter(None, called), []), key=lambda test: notes[test][0])


def runs(node: Any) -> bool:
    """Return whether a node of a syntax tree is not part of an annotation."""
    above = node.parent
    kind, annotation = getattr(above, "type", None), getattr(above, "annotation", None)
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


def fails(path: str, text: str, tests: list[str], folder: Path) -> bool:
    """Return whether a test fails or takes too long, in a copy whose file `path` has this text."""
    (folder / path).write_text(text)
    child = os.fork()
    if not child:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        os.environ["TINYNET_CACHE_DIR"] = str(folder / "cache")
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        signal.alarm(10 * LIMIT)  # for a deadlock
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(pytest.main([*OPTIONS, *tests]))
    return os.waitpid(child, 0)[1] != 0


def main(count: int, seed: int) -> None:
    """Make changes; print those that no test notices, and the numbers of both kinds by room."""
    if plugins is None:
        raise SystemExit("mutants.py needs Cosmic Ray: pip install cosmic-ray")
    notes, draws, counts = json.loads(NOTES.read_text()), random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as parent:
        folder = shutil.copytree(".", Path(parent, "clone"), ignore=shutil.ignore_patterns(".*"))
        for path, line, changes in draws.sample(places(), count):
            operator, occurrence = draws.choice(changes)
            source = Path(path).read_text()
            text = mutate_code(source, plugins.get_operator(operator)(), occurrence)
            tests = tests_of(path, line, notes)
            spent = itertools.accumulate(notes[test][0] for test in tests)
            tests = [test for test, sum in zip(tests, spent, strict=True) if sum < SECONDS]
            parts = filter(None, (tests[:FIRST], tests[FIRST:]))
            killed = any(fails(path, text, part, folder) for part in parts)
            (folder / path).write_text(source)
            counts[f"{Path(path).parts[1]}, {'killed' if killed else 'alive'}"] += 1
            if not killed:
                print(path, *difflib.unified_diff(source.split("\n"), text.split("\n"), n=0))
    print(f"{count} changes by seed {seed}:", dict(counts))


if __name__ == "__main__":
    note_calls() if sys.argv[1] == "calls" else main(*map(int, sys.argv[1:]))
