"""`temporarily`: set attributes of an object, and restore them on leaving.

Imports nothing of the package. Read next: `tensor.py`.
"""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import Any


class temporarily(ContextDecorator):  # noqa: N801, read as a verb: `with temporarily(...):`
    """Set attributes of `obj`; restore their former values on leaving, also after an exception.

    A context manager and a decorator. A thread-local `obj` is changed for this thread alone.

    >>> from types import SimpleNamespace
    >>> mode = SimpleNamespace(training=False)
    >>> with temporarily(mode, training=True):
    ...     mode.training
    True
    >>> mode.training
    False
    """

    def __init__(self, obj: Any, **changes: Any) -> None:
        self.obj, self.changes = obj, changes

    def __enter__(self) -> None:
        self.before = {name: getattr(self.obj, name) for name in self.changes}
        vars(self.obj).update(self.changes)  # all at once, also if Ctrl-C is pressed

    def __exit__(self, *error: Any) -> None:
        vars(self.obj).update(self.before)  # which needs no memory

    def _recreate_cm(self) -> temporarily:
        """Return a new object for each call of a decorated function: calls may be nested."""
        return temporarily(self.obj, **self.changes)
