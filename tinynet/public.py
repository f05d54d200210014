"""The public names of a module: what `dir` shows and ``from module import *`` imports.

A module exports what it defines and what it imports by ``from .x import A as A``, except names with
a leading underscore. The source says so already, hence there are no lists to keep.

Imports nothing of the package. Read next: `tree.py`.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def only_public(name: str) -> None:
    """Let `dir` and ``import *`` show the public names of the module `name` and no others.

    They are looked up when they are asked for, so that importing the module costs nothing.
    """
    module = sys.modules[name]
    former = vars(module).get("__getattr__")

    def missing(attribute: str) -> Any:
        if attribute == "__all__":
            return public_names(module)
        if former is not None:
            return former(attribute)
        raise AttributeError(f"module {name!r} has no attribute {attribute!r}")

    vars(module).update(__getattr__=missing, __dir__=lambda: public_names(module))


def public_names(module: ModuleType) -> list[str]:
    """Return the public names of `module`, sorted."""
    try:
        source = inspect.getsource(module)
    except OSError:  # a frozen program has no sources
        return sorted(name for name in vars(module) if not name.startswith("_"))
    return sorted({name for name in _names(ast.parse(source).body, module) if name[0] != "_"})


def _names(statements: list[ast.stmt], module: ModuleType) -> Iterator[str]:
    """Yield the names that statements export or define; of assigned values those of the package."""
    for node in statements:
        if isinstance(node, ast.If):  # TYPE_CHECKING
            yield from _names(node.body, module)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name == alias.asname)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            targets = (part for target in node.targets for part in ast.walk(target))
            names = (part.id for part in targets if isinstance(part, ast.Name))
            yield from (name for name in names if _is_ours(vars(module)[name]))


def _is_ours(value: Any) -> bool:
    """Return whether `value` is a class or function of the package."""
    home = getattr(value, "__module__", None) or ""
    return callable(value) and home.startswith("tinynet.")
