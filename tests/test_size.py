"""The limits of the package's size. `python tests/test_size.py` prints the sizes.

A line of code is a line that is not blank, not a comment and not part of a docstring.
"""

import ast
import io
import re
import statistics
import tokenize
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[1]
MOST_CODE = {"": 15_628, "engine": 2_615, "compiler": 2_015}
MOST_LINES = 400  # of a file, with all its lines
MOST_BODY = 40  # lines of a function's body, without its docstring
MEDIAN_BODY = 5
MOST_IGNORES = 15  # comments of the form `type: ignore`

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Size(NamedTuple):
    """What is counted of a file."""

    lines: int
    code: int
    ignores: int
    bodies: dict[str, int]  # lines of the body of each function, by its place and name


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is a node's docstring."""
    documented = isinstance(node, ast.Module | ast.ClassDef | Function)
    return node.body[0] if documented and ast.get_docstring(node, clean=False) else None


def lines_of(node: ast.stmt) -> range:
    return range(node.lineno, node.end_lineno + 1)


def size_of(path: Path) -> Size:
    source = path.read_text(encoding="utf-8")
    nodes = [*ast.walk(ast.parse(source))]
    left_out = {n for d in map(docstring_of, nodes) if d for n in lines_of(d)}
    ignores = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            ignores += "type: ignore" in token.string
            if token.line.lstrip().startswith("#"):
                left_out.add(token.start[0])
    lines = source.splitlines()
    code = sum(1 for n, line in enumerate(lines, 1) if line.strip() and n not in left_out)
    bodies = {}
    for node in nodes:
        if isinstance(node, Function):
            body = node.body[1:] if docstring_of(node) and len(node.body) > 1 else node.body
            place = f"{path.relative_to(PROJECT).as_posix()}:{node.lineno} {node.name}"
            bodies[place] = node.end_lineno - body[0].lineno + 1
    return Size(len(lines), code, ignores, bodies)


@cache
def sizes() -> dict[str, Size]:
    """Return the size of each file of the package."""
    package = PROJECT / "tinynet"
    files = sorted(package.rglob("*.py"))
    return {path.relative_to(package).as_posix(): size_of(path) for path in files}


def bodies() -> dict[str, int]:
    return {place: length for size in sizes().values() for place, length in size.bodies.items()}


def code_of(room: str = "") -> int:
    """Return the lines of code of a room, or of the package."""
    folder = f"{room}/" if room else ""
    return sum(size.code for name, size in sizes().items() if name.startswith(folder))


def report() -> str:
    """Return the sizes as text."""
    rooms = Counter()
    for name, size in sizes().items():
        rooms[name.split("/")[0]] += size.code
    lines = [f"{code:7,}  {room}" for room, code in sorted(rooms.items())]
    lines.append(f"{code_of():7,}  lines of code in {len(sizes())} files")
    longest = max(sizes(), key=lambda name: sizes()[name].lines)
    lines.append(f"{sizes()[longest].lines:7,}  lines of the longest file, {longest}")
    longest = max(bodies(), key=bodies().get)
    lines.append(f"{bodies()[longest]:7,}  lines of the longest function, {longest}")
    lines.append(f"{statistics.median(bodies().values()):7g}  lines of the median function")
    lines.append(f"{sum(size.ignores for size in sizes().values()):7}  type: ignore")
    return "\n".join(lines)


@pytest.mark.parametrize("room", MOST_CODE, ids=lambda room: room or "tinynet")
def test_lines_of_code_keep_to_the_limit(room):
    assert code_of(room) <= MOST_CODE[room]


def test_no_file_is_longer_than_400_lines():
    assert {name: s.lines for name, s in sizes().items() if s.lines > MOST_LINES} == {}


def test_no_function_has_more_than_40_lines_and_the_median_has_5():
    print(report())
    assert {name: length for name, length in bodies().items() if length > MOST_BODY} == {}
    assert statistics.median(bodies().values()) <= MEDIAN_BODY


def test_type_ignores_are_few_and_training_has_none():
    ignores = {name: size.ignores for name, size in sizes().items() if size.ignores}
    assert sum(ignores.values()) <= MOST_IGNORES, ignores
    assert [name for name in ignores if name.startswith("training/")] == []


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md"])
def test_the_stated_size_of_the_package_is_right_to_a_twentieth(file):
    text = (PROJECT / file).read_text(encoding="utf-8")
    stated = re.findall(r"(\d+,\d{3})\s+lines\s+of\s+code", text)
    assert stated, f"{file} does not say how many lines of code the package has"
    for number in stated:
        assert int(number.replace(",", "")) == pytest.approx(code_of(), rel=0.05)


def test_blank_lines_comments_and_docstrings_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PROJECT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(
        '"""A module."""\n\n# a comment\nX = 1  # code: type: ignore\n\n\n'
        'def f():\n    """A function,\n\n    with text."""\n    # a comment\n'
        '    y = """no\n    docstring"""\n    return y\n'
    )
    assert size_of(path) == Size(14, 5, 1, {"module.py:7 f": 3})


if __name__ == "__main__":
    print(report())
