"""The public names of modules: what `dir` shows and ``from module import *`` imports.

A module exports what it defines and what it imports by ``from .x import A as A``, except names with
a leading underscore. The source says so already, hence there are no lists to keep.

Imports nothing of the package. Read next: `tree.py`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any


class PublicModule(ModuleType):
    """A module that shows its public names alone, and so do the modules imported below it.

    When Python has imported a module, it sets it as an attribute of its package. So a package of
    this class sees each of its modules. The names are looked up when they are asked for.
    """

    @property
    def __all__(self) -> list[str]:
        return public_names(self)

    def __dir__(self) -> list[str]:
        return public_names(self)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if is_below(value, self):
            show_only_public(value)


def show_only_public(module: ModuleType) -> None:
    """Let `module`, and the modules imported below it, show their public names alone."""
    module.__class__ = PublicModule
    for value in [*vars(module).values()]:
        if is_below(value, module):
            show_only_public(value)


def is_below(value: Any, module: ModuleType) -> bool:
    """Return whether `value` is a module directly below `module`."""
    return isinstance(value, ModuleType) and value.__name__.rpartition(".")[0] == module.__name__


def public_names(module: ModuleType) -> list[str]:
    """Return the public names of `module`, sorted."""
    import ast
    import inspect

    try:
        nodes = [*ast.walk(ast.parse(inspect.getsource(module)))]
    except OSError:  # a frozen program has no sources
        nodes = []
    aliases = [a for node in nodes if isinstance(node, ast.ImportFrom) for a in node.names]
    exported = {a.name for a in aliases if a.name == a.asname}
    imported = {a.asname or a.name for a in aliases} - exported
    package = module.__name__.partition(".")[0]
    defined = {
        name
        for name, value in vars(module).items()
        if callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] == package
    }
    return sorted(name for name in exported | defined - imported if not name.startswith("_"))
