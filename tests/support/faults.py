"""Faults at chosen moments: an action at one line of tinynet's code, and at many of them."""

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import tinynet

PACKAGE = str(Path(tinynet.__file__).parent)
AT_MOST = 60  # lines before the last ones, and as many of these


@cache
def with_lines(name: str) -> frozenset[int] | None:
    """Return the numbers of the lines of a file that start with ``with``; None if not traced."""
    if not name.startswith(PACKAGE) or "callbacks" in name or name.endswith("temporarily.py"):
        return None
    lines = enumerate(linecache.getlines(name), 1)
    return frozenset(number for number, text in lines if text.lstrip().startswith("with "))


def traced(line: int, action: Callable[[], Any]) -> Any:
    """Return a trace function that acts at one line of tinynet's Python code, counted from 1.

    The ways into and out of a ``with`` do not count: Python runs no handler there.
    """
    seen = 0

    class Local:
        """The trace function of a frame; a closure would be a cycle, so garbage, for each call."""

        __slots__ = "entered", "withs"

        def __init__(self, withs: frozenset[int]) -> None:
            self.withs = withs
            self.entered: frozenset[int] = frozenset()

        def __call__(self, frame: Any, event: str, arg: Any) -> Any:
            nonlocal seen
            if event == "line" and (number := frame.f_lineno) not in self.entered:
                if number in self.withs:
                    self.entered |= {number}
                seen += 1
                if seen == line:
                    action()
            return self

    def trace(frame: Any, event: str, arg: Any) -> Any:
        withs = with_lines(frame.f_code.co_filename)
        return None if withs is None else Local(withs)

    return trace


def running(call: Callable[[], Any], trace: Any) -> None:
    """Run `call` with a trace function."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)


def at_each_line(
    make: Callable[[], Any], call: Callable[[Any], Any], error: type[BaseException]
) -> Iterator[Any]:
    """Yield what `make` returns, after ``call(it)`` met `error` at a line of its run.

    At each line of a short run; of a long one at the last lines, and at some before them.
    """
    thing, lines = make(), 0

    def count(frame: Any, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count if frame.f_code.co_filename.startswith(PACKAGE) else None

    def fail() -> None:
        raise error

    with suppress(ValueError):
        running(partial(call, thing), count)
    yield thing
    first = max(1, lines - AT_MOST)
    for line in [*range(1, first, first // AT_MOST + 1), *range(first, lines + 1)]:
        thing = make()
        with suppress(error, ValueError):  # reading a file turns a MemoryError into one
            running(partial(call, thing), traced(line, fail))
        yield thing
