"""Ctrl-C, which takes effect between two steps, when weights, slots and counts belong together.

Imports the standard library alone. Read next: `loop.py`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupts:
    """Holds back KeyboardInterrupt while a step runs; a second Ctrl-C is not held back.

    Attributes
    ----------
    held : bool, whether a step runs
    pending : bool, whether Ctrl-C was pressed meanwhile
    """

    held = pending = False

    def release(self) -> None:
        """Note that a step ended; raise KeyboardInterrupt if Ctrl-C was pressed meanwhile."""
        self.held = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def receive(self, number: int, frame: Any) -> None:
        """Handle the signal."""
        if self.pending or not self.held:
            self.pending = False
            signal.default_int_handler(number, frame)
        self.pending = True


_OF_MAIN_THREAD = Interrupts()  # the only one that receives signals


def interrupts() -> Interrupts:
    """Return the state of this thread."""
    is_main = threading.current_thread() is threading.main_thread()
    return _OF_MAIN_THREAD if is_main else Interrupts()


@contextmanager
def between_steps() -> Iterator[None]:
    """Let interrupts take effect where a step was released, and where none is held.

    Does nothing in other threads than the main one, and where the user handles SIGINT.
    """
    state, usual = interrupts(), signal.default_int_handler
    if state is not _OF_MAIN_THREAD or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return
    state.held = state.pending = False
    try:
        signal.signal(signal.SIGINT, state.receive)
        yield
        state.release()
    finally:
        state.held = False
        signal.signal(signal.SIGINT, usual)
