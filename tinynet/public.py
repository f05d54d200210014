"""The public names of modules: what `dir` shows, and what a package loads when it is first used.

A module exports the functions and classes that it defines, other names for functions (``a = b``),
and what it imports by ``from .x import A as A``, except names with a leading underscore. There are
no lists to keep.

Imports nothing of the package. Read next: `tree.py`.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: it loads names and modules when they are first used.

    `homes` maps each module below the package to the names it defines, separated by spaces. For
    type checkers and `dir`, the package also imports these names under ``if TYPE_CHECKING:``.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name in home_of:
            found = getattr(import_module(f".{home_of[name]}", package), name)
            return vars(sys.modules[package]).setdefault(name, found)
        try:
            if not name.startswith("_"):
                return import_module(f".{name}", package)
        except ModuleNotFoundError as error:
            if error.name != f"{package}.{name}":
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load


class PublicModule(ModuleType):
    """A module that shows its public names alone, and so do the modules imported below it.

    When Python has imported a module, it sets it as an attribute of its package. So a package of
    this class sees each of its modules. The names are looked up when they are asked for.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, ModuleType) and value.__name__ == f"{self.__name__}.{name}":
            value.__class__ = PublicModule
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
