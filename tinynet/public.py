"""What users see: the names that `dir` shows and a package loads on first use, and HTML.

A module exports the functions and classes that it defines, other names for functions (``a = b``),
and what it imports by ``from .x import A as A``, except names with a leading underscore. There are
no lists to keep, except for names that are loaded on first use (see `LazyModule`).

Imports nothing of the package. Read next: `tree.py`.
"""

from __future__ import annotations

import linecache
import re
from importlib import import_module
from types import ModuleType
from typing import Any


def notebook_form(self: Any) -> str:
    """Return what a notebook shows. `viz` stands below all rooms, so it is loaded by name."""
    return import_module("tinynet.viz.notebook").html(self)


class PublicModule(ModuleType):
    """A module that shows its public names alone, and so do the modules imported below it.

    When Python has imported a module, it sets it as an attribute of its package. So a package of
    this class sees each of its modules. The names are looked up when they are asked for.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}":
            value.__class__ = LazyModule if "_HOMES" in vars(value) else PublicModule
            for key, part in [*vars(value).items()]:
                if isinstance(part, ModuleType):  # perhaps a module below, imported before
                    setattr(value, key, part)

    def __dir__(self) -> list[str]:
        source = "".join(linecache.getlines(str(self.__file__), vars(self)))  # "" if frozen
        exported = re.findall(r"\b(\w+) as \1\b", source)
        exported += re.findall(r"^(\w+) = [a-z]\w*$", source, re.M)
        things = [(k, v) for k, v in vars(self).items() if callable(v)]
        defined = [k for k, v in things if getattr(v, "__module__", "") == self.__name__]
        return sorted(name for name in {*exported, *defined} if not name.startswith("_"))

    __all__ = property(__dir__)


class LazyModule(PublicModule):
    """A package that loads names and modules when they are first used.

    Its dict `_HOMES` maps each module to the names to load from it, separated by spaces; the
    package imports the same names under ``if TYPE_CHECKING:``, for type checkers and `dir`.
    `_ADVICE`, if there is one, is added to the error for an unknown class.
    """

    def __getattr__(self, name: str) -> Any:
        for home, names in self._HOMES.items():
            if name in names.split():
                found = getattr(import_module(f".{home}", self.__name__), name)
                return vars(self).setdefault(name, found)
        try:
            if not name.startswith("_"):
                return import_module(f".{name}", self.__name__)
        except ModuleNotFoundError as error:
            if error.name != f"{self.__name__}.{name}":
                raise
        advice = f": {self._ADVICE}" if name[:1].isupper() and "_ADVICE" in vars(self) else ""
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}{advice}")
