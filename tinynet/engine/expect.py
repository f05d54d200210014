"""`expect`: the check of one argument. Imports nothing. Read next: `variable.py`."""

from __future__ import annotations

from typing import Any


def expect(holds: Any, argument: str, expected: str, received: Any) -> None:
    """Raise a ValueError about an argument unless a condition holds.

    >>> expect(2 < 1, "steps", "a number below 1", 2)
    Traceback (most recent call last):
    ValueError: steps: expected a number below 1, received 2.
    """
    if not holds:
        shown = received.__name__ if isinstance(received, type) else repr(received)
        raise ValueError(f"{argument}: expected {expected}, received {shown}.")
