"""Placeholders: objects that stand for tensors in a graph of calls, which others keep.

Imports `tree.py` and `variable.py`. Read next: `../ops.py`, whose functions take placeholders.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import NoneType
from typing import Any

import numpy as np

from .. import tree
from .refusal import ANSWERED, answer_to
from .tensor import Tensor
from .variable import Variable

# Types of arguments that are no placeholders and contain none: a quick answer for most calls.
_OTHERS = {Tensor, Variable, np.ndarray, float, int, bool, str, NoneType, type}


class Placeholder:
    """Base of placeholders. A function of `ops` leaves calls with one to its `_call_of`."""

    def _call_of(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a placeholder for what the function `name` of `ops` returns."""
        raise NotImplementedError


def taking_placeholders(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, so that calls with placeholders are left to them.

    It answers to errors, as functions of `answering` do, without the time of another call.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in (*args, *kwargs.values()) if kwargs else args:
            if type(x) not in _OTHERS:
                for found in tree.instances(Placeholder, (x,)):
                    return found._call_of(name, args, kwargs)
        try:
            return function(*args, **kwargs)
        except ANSWERED as error:
            if (answer := answer_to(function, args, kwargs, error)) is None:
                raise
            raise answer from None

    return call
