"""Refusals: errors that name a public function's argument, in place of Python's and NumPy's errors.

The decorator `answering` replaces an error that an argument causes by one that names it. It costs
almost nothing while no error is raised. Errors that the package raises on purpose, and errors in
users' code, stay as they are. `KINDS` says what the annotations of arguments declare.

Imports `expect.py`, `../tree.py` and `../public.py`. Read next: `variable.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, wraps
from inspect import signature
from opcode import opmap
from types import TracebackType
from typing import Any, TypeVar, cast

import numpy as np

from .. import tree
from ..public import advice_for
from .expect import is_integer, is_number, is_real


def _is_array(value: Any) -> bool:
    """Return whether `value` is an array, a tensor, a placeholder, a number, or a list of these."""
    is_other = hasattr(value, "shape") and not isinstance(value, (np.ndarray, np.generic))
    return is_other or np.asarray(value).dtype.kind in "fiub"


F = TypeVar("F", bound=Callable[..., Any])

# What annotations of arguments declare: the words for a message, and a condition.
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a string", lambda value: isinstance(value, str)),
    "bool": ("a bool", lambda value: isinstance(value, (int, np.bool_)) and value in (0, 1)),
    "float": ("a number", lambda value: is_real(value) and value == value),
    "None": ("None", lambda value: value is None),
    "Callable[..., Any]": ("a function", callable),
    "integer": ("an integer", is_integer),
    "axes": ("an integer", lambda value: all(map(is_integer, np.ravel(np.array(value, object))))),
    "dtype": ("a dtype", lambda value: isinstance(value, (str, type, np.dtype, dict, type(None)))),
    "Sequence[float]": ("a list of numbers", lambda value: all(map(is_number, value))),
    "array": ("an array of numbers", lambda value: all(map(_is_array, tree.leaves(value)))),
}
KINDS["int"] = KINDS["float"]  # constructors check whether it is whole

# The kinds of other arguments, by name: used to explain an error, not to find one.
_NAMED = {"axis": ["axes", "None"], "shape": ["axes"]}
_NAMED |= {name: ["array"] for name in ("x", "xs", "x1", "inputs", "a", "b", "values", "array")}
_NAMED |= {name: ["array", "None"] for name in ("x2", "y_true", "y_pred", "sample_weight")}

# Errors that are replaced, and the types that the new error may have: others become ValueErrors.
ANSWERED = ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError
SAME = np.linalg.LinAlgError, ValueError, TypeError, IndexError


@cache
def _declared(function: Any) -> tuple[list[str], dict[str, list[str]]]:
    """Return the names of parameters that can be passed by position and by name, and all kinds.

    The annotation of a parameter declares its kinds, or the name ``dtype``.
    """
    given = signature(function).parameters.values()
    kinds = {p.name: str(p.annotation).split(" | ") for p in given}
    kinds |= {"dtype": ["dtype"]} if "dtype" in kinds else {}
    kinds = {name: parts for name, parts in kinds.items() if KINDS.keys() >= {*parts} != {"None"}}
    return [p.name for p in given if p.kind is p.POSITIONAL_OR_KEYWORD], kinds


def wrong_argument(
    function: Any, args: Any, kwargs: Any, more: Mapping[str, list[str]] = {}
) -> tuple[str, str, Any] | None:
    """Return the first argument of a wrong kind: its name, what is expected, and its value.

    Arguments that can be passed by position alone are not checked. `more` has further kinds.
    """
    names, declared = _declared(function)
    kinds = {**more, **declared}
    for name, value in {**dict(zip(names, args, strict=False)), **kwargs}.items():
        parts = [KINDS[part] for part in kinds.get(name, ())]
        if parts and not any(_holds(condition, value) for _, condition in parts):
            return name, " or ".join(dict.fromkeys(words for words, _ in parts)), value
    return None


def _holds(condition: Callable[[Any], bool], value: Any) -> bool:
    """Return whether a condition holds; False if it raises an error, as for many arrays."""
    try:
        return bool(condition(value))
    except (ValueError, TypeError):
        return False


def answering(function: F) -> F:
    """Return `function` with errors that name the argument which caused them.

    >>> @answering
    ... def half(x: float, name: str = "half"):
    ...     return x / 2
    >>> half("one")
    Traceback (most recent call last):
    TypeError: half: x: expected a number, received 'one'.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ANSWERED as error:
            if (answer := answer_to(function, args, kwargs, error)) is None:
                raise
            raise answer from None

    return cast(F, call)


def answer_to(function: Any, args: Any, kwargs: Any, error: Exception) -> Exception | None:
    """Return the error to raise instead, about the arguments; None if `error` is to stay."""
    of_form = isinstance(error, TypeError) and not getattr(error.__traceback__, "tb_next", None)
    if not of_form and not _is_accident(error.__traceback__):
        return None
    kind = next((kind for kind in SAME if isinstance(error, kind)), None)
    kind = kind or (TypeError if isinstance(error, AttributeError) else ValueError)
    name = _name_of(function, args)
    if of_form:  # Python itself says which arguments are missing, or are too many
        text = outdated(name, kwargs)
        for key, value in zip(_declared(function)[0], args, strict=False):
            if key in kwargs and not text:
                both = f"{_shown(value)} by position and {_shown(kwargs[key])} by name"
                text = f"{name}: {key}: expected one value, received {both}."
        return TypeError(text) if text else None
    if found := wrong_argument(function, args, kwargs, _NAMED):
        return kind(f"{name}: {found[0]}: expected {found[1]}, received {_shown(found[2])}.")
    given = signature(function).bind(*args, **kwargs).arguments
    shown = [f"{key}={_shown(x)}" for key, x in given.items() if key not in ("self", "cls")]
    text = f"no key {error}" if isinstance(error, KeyError) else str(error).strip(". ")
    name = "" if text.startswith(f"{name}(") else f"{name}: "
    return kind(f"{name}{text}. Received: {', '.join(shown)}.")


def _name_of(function: Any, args: Any) -> str:
    """Return a function's name for messages: a method's with the class of its object."""
    owner, dot, name = function.__qualname__.rpartition(".")
    if args and next(iter(signature(function).parameters)) in ("self", "cls"):
        owner = (args[0] if isinstance(args[0], type) else type(args[0])).__name__
    return (owner + dot + name).removesuffix(".__init__").removesuffix(".__call__")


def outdated(owner: str, kwargs: Mapping[str, Any]) -> str:
    """Return an error's text for the first argument that only older Keras has; "" if none is."""
    for name, value in kwargs.items():
        if advice := advice_for(f"argument.{name}"):
            expected = f"no argument of this name ({advice[:-1]})"
            return f"{owner}: {name}: expected {expected}, received {_shown(value)}."
    return ""


def _is_accident(traceback: TracebackType | None) -> bool:
    """Return whether Python or NumPy raised an error, in a call that ran no user's code.

    The first frame is that of `answering`: an error there is about the form of the call.
    """
    frames = []
    while traceback := traceback and traceback.tb_next:
        frames.append(traceback)
    homes = [str(t.tb_frame.f_globals.get("__name__")).partition(".")[0] for t in frames]
    names = {t.tb_frame.f_code.co_name for t in frames}
    if not frames or not {*homes} <= _LIBRARIES or "users_own" in names:
        return False
    code, at = frames[-1].tb_frame.f_code, frames[-1].tb_lasti
    return homes[-1] != "tinynet" or code.co_name == "bind" or code.co_code[at] != _RAISE


_RAISE = opmap["RAISE_VARARGS"]
_LIBRARIES = {"tinynet", "numpy", "matplotlib", "PIL", "tensorboardX", *sys.stdlib_module_names}


def _shown(value: Any) -> str:
    """Return a short text of a value for a message."""
    if isinstance(getattr(value, "shape", None), tuple):
        return f"{type(value).__name__} of shape {value.shape}"
    text = value.__name__ if isinstance(value, type) else repr(value)
    text = f"a {type(value).__name__}" if " at 0x" in text else text
    return text if len(text) < 100 else f"{text[:100]}..."
