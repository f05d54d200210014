"""Ctrl-C, which takes effect between two steps, when weights, slots and counts belong together.

Imports the standard library alone. Read next: `loop.py`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Interrupts(threading.local):  # signals come to the main thread, which sees its own state
    """Holds back KeyboardInterrupt while a step runs; a second Ctrl-C is not held back."""

    held = pending = False

    @contextmanager
    def between_steps(self) -> Iterator[None]:
        """Hold back interrupts from each `hold` to the next `release`.

        Does nothing in other threads than the main one, and where the user handles SIGINT.
        """
        usual = signal.default_int_handler
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) is not usual:
            yield
            return
        self.held = self.pending = False
        signal.signal(signal.SIGINT, self._receive)
        try:
            yield
            self.release()
        finally:
            signal.signal(signal.SIGINT, usual)

    def hold(self) -> None:
        """Note that a step begins."""
        self.held = True

    def release(self) -> None:
        """Note that a step ended; raise KeyboardInterrupt if Ctrl-C was pressed meanwhile."""
        self.held = False
        if self.pending:
            self.pending = False
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: Any) -> None:
        if self.pending or not self.held:
            self.pending = False
            signal.default_int_handler(number, frame)
        self.pending = True


interrupts = _Interrupts()
