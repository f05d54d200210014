"""The progress bar that a terminal shows while a network trains.

Imports `distribution/`. Read next: `base.py`, whose `ProgbarLogger` moves the bar.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..configs.configurable import Checked
from ..distribution.ranks import team

BOLD, GREEN, GREY, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"
Values = Iterable[tuple[str, Any]] | None  # pairs of names and values
ESCAPES = r"\x1b\[\d+m"
# Replacements for an output that can only encode ASCII.
ASCII = str.maketrans("━─│┃…", "=-||~") | dict.fromkeys(map(ord, "┏┳┓┡╇┩├┼┤└┴┘"), "+")


def write(text: str) -> None:
    """Print `text` and flush; characters that the output cannot encode are replaced or dropped.

    Only rank 0 prints, and nothing is printed without an output, as in `pythonw`.
    """
    if team().rank or sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(text.translate(ASCII).encode(encoding, "ignore").decode(encoding))
    sys.stdout.flush()


def in_terminal() -> bool:
    """Return whether printed lines can be overwritten, as in a terminal or a notebook."""
    shown = getattr(sys.stdout, "isatty", bool)()
    return shown or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


class Progbar(Checked):
    """A progress bar that counts steps and shows their time and given values.

    If the output is not a terminal, only the last update is printed, as with ``verbose=2``.

    Parameters
    ----------
    target : int, optional
        The number of steps; None if it is unknown.
    width : int
        Width of the bar in characters.
    verbose : 0, 1 or 2
        Nothing; the bar; or one line after the last step.
    interval : float
        The least number of seconds between two drawings; the last update is always drawn.
    stateful_metrics : names, optional
        Values with these names are shown as they are; all others are averaged over the steps.
    stateless_metrics : names, optional
        The opposite: only values with these names are averaged.
    unit_name : str
        The word for a step.

    Raises
    ------
    ValueError
        If both kinds of names are given.

    >>> bar = Progbar(target=2, verbose=2)
    >>> bar.add(1, [("loss", 3.0)])
    >>> bar.add(1, [("loss", 2.0)])  # doctest: +ELLIPSIS
    2/2 - 0s - ...s/step - loss: 2.0000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        both = stateful_metrics, stateless_metrics
        if None not in both:
            raise ValueError(f"Expected stateful_metrics or stateless_metrics, received {both}.")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self.stateful_metrics, self.stateless_metrics = both
        self._named = {*(stateful_metrics or stateless_metrics or ())}
        self.moves = self.verbose == 1 and in_terminal()
        self._seen = 0
        self._sums: dict[str, tuple[Any, int]] = {}  # sums of values, and the number of steps
        self._started = time.time()
        self._first_step: float | None = None  # when it ended
        self._drawn = 0.0
        self._drawn_width, self._is_open = 0, False  # of the last line; if it lacks its newline

    def add(self, n: int, values: Values = None) -> None:
        """Advance the bar by `n` steps, with pairs of names and values."""
        self.update(self._seen + int(n), values)

    def update(self, current: int, values: Values = None, finalize: bool | None = None) -> None:
        """Set the number of finished steps, with pairs of names and values.

        `finalize` makes this the last update; by default, it is when the target is reached. The
        last update shows the given values, not their averages.
        """
        current = int(current)
        reached = self.target is not None and current >= self.target
        finalize = reached if finalize is None else bool(finalize)
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            total, count = self._sums.get(name, (-0.0, 0))  # -0.0 keeps the sign of a zero
            averaged = (name in self._named) == (self.stateless_metrics is not None)
            if finalize or not averaged:
                self._sums[name] = (value, 1)
            else:
                self._sums[name] = (total + value * steps, count + steps)
        self._seen = current
        if self.is_due(current) or (finalize and (self.moves or (self.verbose and self.target))):
            self._draw(current, finalize)

    def is_due(self, current: int) -> bool:
        """Return whether the bar should be drawn again; call this after each step."""
        now = time.time()
        if current == 1:
            self._first_step = now
        return self.moves and now - self._drawn >= self.interval

    def _draw(self, current: int, finalize: bool) -> None:
        """Draw the bar over the previous one, or the last line if it cannot move."""
        self._drawn = now = time.time()
        each, clock = self._step_time(current, now), f"{now - self._started:.0f}s"
        pace, target = step_time(each, self.unit_name), self.target or "Unknown"
        count = f"{current:{len(str(target))}d}/{target}"
        if not self.moves:
            write(f"{count} - {clock} - {pace}{self._values(size=float)}\n")
            return
        if self.target:
            done = int(self.width * (current / self.target))
            bar = f"{GREEN}{'━' * done}{PLAIN}" * bool(done)
            count = f"{BOLD}{count}{PLAIN} {bar}{GREY}{'━' * (self.width - done)}{PLAIN}"
            clock = clock if finalize else remaining(each * (self.target - current))
        text = f"{count} {BOLD}{clock}{PLAIN} {pace}{self._values(size=abs)}"
        width = len(re.sub(ESCAPES, "", text))
        blank = " " * (self._drawn_width - width)
        write("\b" * self._drawn_width + "\r" + text + blank + "\n" * finalize)
        self._drawn_width, self._is_open = width, not finalize

    def close(self) -> None:
        """End the line of an unfinished bar, after an exception."""
        write("\n" * self._is_open)
        self._is_open = False

    def _values(self, size: Callable[[float], float]) -> str:
        """Return names and values; `size` is abs in the bar, and float in the line, as in Keras."""
        means = ((name, _mean(total) / n) for name, (total, n) in self._sums.items())
        return "".join(f" - {name}: {number(mean, size(mean))}" for name, mean in means)

    def _step_time(self, current: int, now: float) -> float:
        """Return the seconds per step, without the first one, which takes longer."""
        if self._first_step is not None and current > 1:
            return (now - self._first_step) / (current - 1)
        return (now - self._started) / current if current else 0.0


def _mean(value: Any) -> float:
    return value if isinstance(value, float) else float(np.mean(value))  # np.mean(-0.0) is 0.0


def number(value: float, size: float) -> str:
    """Return a value with four decimals, with an exponent if its `size` is small.

    >>> number(8.53049, 8.5), number(0.00012, 0.00012), number(0.0, 0.0)
    ('8.5305', '1.2000e-04', '0.0000e+00')
    """
    return f"{value:.4f}" if size > 1e-3 else f"{value:.4e}"


def step_time(seconds: float, unit_name: str = "step") -> str:
    """Return the time of a step in a suitable unit.

    >>> step_time(2.4), step_time(0.157), step_time(0.000635)
    ('2s/step', '157ms/step', '635us/step')
    """
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1 or not seconds:
            return f"{seconds * factor:.0f}{unit}/{unit_name}"
    return f"{seconds * 1e6:.0f}us/{unit_name}"


def remaining(seconds: float) -> str:
    """Return the remaining time as text: seconds, m:ss or h:mm:ss.

    >>> remaining(59.9), remaining(61), remaining(7325)
    ('59s', '1:01', '2:02:05')
    """
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"
