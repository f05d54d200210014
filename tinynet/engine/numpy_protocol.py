"""NumPy's functions on tensors: ``np.exp(t)``, ``np.mean(t)``, ``array * t`` give tracked tensors.

NumPy asks an operand before it computes (NEP 13 and NEP 18); the answer is the function of the same
name among our own. Imports `functional.py` and `primitives.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functional, primitives
from .tensor import Operand, as_tensor


def _ours() -> dict[Any, Any]:
    """Return our function for each of NumPy's that has one of the same name."""
    functions = {
        name: f
        for module in (primitives, functional)
        for name, f in vars(module).items()
        if not name.startswith("_") and getattr(f, "__module__", None) == module.__name__
    }
    theirs = {name: getattr(np, name, None) for name in functions}
    table = {theirs[name]: f for name, f in functions.items() if callable(theirs[name])}
    for reduction in (np.sum, np.mean, np.var, np.std, np.max, np.min):
        table[reduction] = _with_keyword(table[reduction])
    return table | {np.concatenate: concatenate, np.clip: clip}


# Where NumPy's arguments stand in another order, or under other names, than Keras's and ours.


def _with_keyword(reduction: Any) -> Any:
    def reduce(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
        return reduction(a, axis, keepdims)

    reduce.__qualname__ = reduction.__name__
    return reduce


def concatenate(arrays: Any, axis: int = 0) -> Any:
    return primitives.concatenate(arrays, axis)


def clip(a: Any, a_min: Any, a_max: Any) -> Any:
    return functional.clip(a, a_min, a_max)


_OURS = _ours()


def _call(function: Any, args: Any, kwargs: Any, plain: Any) -> Any:
    """Return ours of `function` on the arguments; where we have none, `plain` on arrays."""
    name = f"np.{function.__name__}"
    if kwargs.get("out") is None:
        kwargs = {key: value for key, value in kwargs.items() if key != "out"}
    if function in _OURS and "out" not in kwargs:
        try:
            return _OURS[function](*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name} of a tensor: {error}") from None
    if "out" in kwargs:
        raise TypeError(
            f"{name}: a tensor cannot be written to an array with out= or in place; assign the "
            f"result instead, as in a = {name}(a, t)."
        )
    if _any_tracked(args) or _any_tracked(tuple(kwargs.values())):
        raise TypeError(
            f"{name} has no gradient here. Use tn.ops, or t.numpy() for the numbers alone."
        )
    return plain(*_as_arrays(args), **{key: _as_arrays(value) for key, value in kwargs.items()})


def _any_tracked(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_any_tracked(v) for v in value)
    return isinstance(value, Operand) and as_tensor(value).tracked


def _as_arrays(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(_as_arrays(v) for v in value)
    return np.asarray(value) if isinstance(value, Operand) else value


def _array_ufunc(self: Operand, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    function = ufunc if method == "__call__" else getattr(ufunc, method)
    return _call(function, args, kwargs, function)


def _array_function(self: Operand, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _call(function, args, kwargs, function)


Operand.__array_ufunc__ = _array_ufunc  # type: ignore[attr-defined]
Operand.__array_function__ = _array_function  # type: ignore[attr-defined]
