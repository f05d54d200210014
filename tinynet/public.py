"""What users see: names in `dir`, names loaded on first use, advice for missing ones, and HTML.

A module exports the functions and classes that it defines, other names for functions (``a = b``),
and what it imports by ``from .x import A as A``, except names with a leading underscore. The
only lists are those of the names to load on first use, and of the names of Keras that are missing
(`absent.txt`).

Imports nothing of the package. Read next: `tree.py`.
"""

from __future__ import annotations

import linecache
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from opcode import opmap
from types import ModuleType
from typing import Any


def notebook_form(self: Any) -> str:
    """Return HTML for a notebook. `explain` is imported only here, since it imports this module."""
    return import_module("tinynet.explain.tables").html(self)


class PublicModule(ModuleType):
    """A module whose `dir` has its public names alone; modules imported below it get this class.

    When Python has imported a module, it sets it as an attribute of its package. So a package of
    this class sees each of its modules. The names are found when `dir` is called.

    A package with a dict `_HOMES` loads names and modules when they are first used: the dict maps
    each module to the names to load from it, separated by spaces, and "" to modules themselves. For
    type checkers, its stub has these names, or it imports them under ``if TYPE_CHECKING:``.

    A missing name raises an error that says whether Keras has it, and what to use instead:
    ImportError in ``from ... import ...``, which would replace the text of an AttributeError, and
    ModuleNotFoundError for a module (see `_Missing`).

    >>> import tinynet as tn
    >>> tn.layers.LayerNormalisation
    Traceback (most recent call last):
    AttributeError: module 'tinynet.layers' has no attribute 'LayerNormalisation': Keras has no such
    name. Did you mean 'LayerNormalization'?
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
        exported += " ".join(vars(self).get("_HOMES", {}).values()).split()
        things = [(k, v) for k, v in vars(self).items() if callable(v)]
        defined = [k for k, v in things if getattr(v, "__module__", "") == self.__name__]
        return sorted(name for name in {*exported, *defined} if not name.startswith("_"))

    __all__ = property(__dir__)

    def __getattr__(self, name: str) -> Any:
        homes = vars(self).get("_HOMES")
        for home, names in (homes or {}).items():
            if home and name in names.split():
                found = getattr(import_module(f".{home}", self.__name__), name)
                return vars(self).setdefault(name, found)
        try:
            if homes is not None and "__path__" in vars(self) and not name.startswith("_"):
                return import_module(f".{name}", self.__name__)
        except ModuleNotFoundError as error:
            if error.name != f"{self.__name__}.{name}":
                raise
        what = f"module {self.__name__!r} has no attribute {name!r}"
        caller = sys._getframe(1)
        if name == "__path__" and caller.f_code.co_name == "_find_and_load_unlocked":
            return []  # Python looks for a module below this one: `_Missing` raises the error
        if name.startswith("__") or caller.f_code.co_name == "_handle_fromlist":  # frequent: quick
            raise AttributeError(what)
        text = f"{what}: {_advice(self, name)}"
        if caller.f_code.co_code[caller.f_lasti] == opmap["IMPORT_FROM"]:
            raise ImportError(text, name=self.__name__)
        raise AttributeError(text, obj=self)  # with a `name`, Python would suggest another one

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise TypeError: `optimizers.adam` was a class in older Keras, and is a module here."""
        near = nearest(self.__name__.rpartition(".")[2], dir(sys.modules[str(self.__package__)]))
        raise TypeError(f"{self.__name__!r} is a module, which cannot be called.{near}")


class _Missing:
    """The last entry of `sys.meta_path`: says what to use instead of a missing module."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Raise ModuleNotFoundError for a module of tinynet that is imported; else return None."""
        home, _, last = name.rpartition(".")
        if name.startswith("tinynet.") and sys._getframe(2).f_code.co_name.startswith("_find_and"):
            text = f"No module named {name!r}: {_advice(sys.modules[home], last)}"
            raise ModuleNotFoundError(text, name=name)


sys.meta_path.append(_Missing)


def text_of(package: str | None, name: str) -> str:
    """Return the text of a file in a package, which may be in a zip file."""
    from pkgutil import get_data  # slow to load

    return (get_data(str(package), name) or b"").decode()


@cache
def absent() -> dict[str, tuple[str, str]]:
    """Return the table in `absent.txt`: missing names with owner and advice."""
    found: dict[str, tuple[str, str]] = {}
    for section in text_of(__package__, "absent.txt").split("\n\n")[1:]:
        title, names = section.split("\n", 1)
        place, advice = title.split(": ", 1)
        module, _, owner = place.partition(", ")
        found |= {f"{module}.{name}": (owner, advice) for name in names.split()}
    return found


def _advice(module: ModuleType, name: str) -> str:
    """Return whether Keras has a name that a module lacks, and what to use instead."""
    top = sys.modules["tinynet"]
    package = sys.modules.get(module.__name__.rpartition(".")[0], top)
    last = import_module("tinynet.ops") if module in (top, top.backend) else top
    for home in dict.fromkeys((module, package, top, last)):
        if name in dir(home):  # imported as a module but is none, or sought in the wrong module
            return f"Write `from {home.__name__} import {name}`."
        path = f"{home.__name__}.{name}"
        if found := advice_for(path if module is home is top else path.partition(".")[2]):
            return found
    return f"Keras has no such name.{nearest(name, dir(module))}"


def advice_for(path: str) -> str:
    """Return which library has a name that is missing here, and what to use; "" if not listed.

    >>> advice_for("Model.predict_generator")
    'Keras 2 has it, Keras 3 does not. Use `predict`, which takes generators.'
    """
    owner, advice = absent().get(path, ("", ""))
    known = {"": "Keras has it, tinynet does not", "private": "It is private in Keras"}
    has_it = known.get(owner, f"{owner} has it, Keras 3 does not")
    return advice and f"{has_it}. {advice}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests the known name nearest to `name`; "" if none is near.

    >>> nearest("adma", ["adamax", "Adam", "sgd"])
    " Did you mean 'Adam'?"
    """
    from difflib import get_close_matches

    found = {own.lower(): own for own in sorted(known)}
    near = get_close_matches(name.lower(), found)
    near.sort(key=lambda own: sorted(own) != sorted(name.lower()))  # letters swapped
    return f" Did you mean {found[near[0]]!r}?" if near else ""
