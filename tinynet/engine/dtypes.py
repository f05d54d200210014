"""dtypes, and the conversion of users' data to arrays.

Python numbers and lists get the dtype `floatx`; arrays and NumPy scalars keep their own.

Imports NumPy and `expect.py`. Read next: `tensor.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .expect import check_number, check_unmasked, expect

_floatx, _epsilon = np.dtype("float32"), 1e-7  # in all threads
settings = _floatx, _epsilon  # a new object after each change


def floatx() -> str:
    """Return the dtype of Python numbers and lists, ``"float32"`` unless it was set."""
    return _floatx.type.__name__  # which is quicker than .name


def set_floatx(value: str) -> None:
    """Set the dtype that Python numbers, lists and new layers get, in every thread.

    Raises
    ------
    ValueError
        Unless `value` is ``"float16"``, ``"float32"`` or ``"float64"``.
    """
    global _floatx, settings
    known = str(value) in ("float16", "float32", "float64")
    expect(known, "set_floatx", "float16, float32 or float64", value)
    _floatx = np.dtype(value)
    settings = _floatx, _epsilon


def epsilon() -> float:
    """Return the small number that keeps arguments of logarithms and divisors away from 0.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Set `epsilon`, in every thread; ValueError for a negative number."""
    global _epsilon, settings
    _epsilon = check_number("epsilon", value)
    settings = _floatx, _epsilon


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """Return `data` as a new array of a floating, integer or bool dtype (see `Tensor`)."""
    if type(data) is not np.ndarray:
        check_unmasked("data", data)
    try:
        array = np.array(data, order="C")  # so that equal numbers give equal sums
    except ValueError as error:
        raise ValueError(f"data: expected numbers in a regular shape: {error}") from None
    if array.dtype.kind not in "fiub":
        received = type(data).__name__ + " (of a function without return?)" * (data is None)
        kind = f"{array.dtype.name}. data: expected numbers, received {received}"
        raise ValueError(f"Invalid dtype: {kind}.")
    if dtype is None:
        dtype = array.dtype if type(data) is np.ndarray else _default_dtype(data, array.dtype)
    return array.astype(as_dtype(dtype), copy=False)


def types_in(data: Any) -> set[type]:
    """Return the set of the type of `data`, or of all types in nested lists or tuples."""
    if not isinstance(data, (list, tuple)):
        return {type(data)}
    found = {*map(type, data)}
    if any(issubclass(kind, (list, tuple)) for kind in found):
        found = found.union(*map(types_in, data))
    return found


def is_weak(x: Any) -> bool:
    """Return whether `x` is a Python number, which takes the dtype of what it is combined with."""
    return isinstance(x, (int, float)) and not isinstance(x, np.generic)  # as np.float64 is


def _default_dtype(data: Any, found: np.dtype) -> np.dtype:
    """Return the dtype for `data`, of which NumPy makes an array of dtype `found`.

    NumPy scalars and arrays in `data` determine it. Python numbers alone give `floatx`, or bool.
    """
    python = (int, float, list, tuple)
    strong = [k for k in types_in(data) if not issubclass(k, python) or issubclass(k, np.generic)]
    if not all(issubclass(kind, np.generic) for kind in strong):
        return found
    own = strong_dtype(kind() for kind in strong)
    if own is None:
        return found if found.kind == "b" else _floatx
    return own if own.kind == "f" else _floatx if found.kind == "f" else found


def strong_dtype(things: Iterable[Any]) -> np.dtype | None:
    """Return the dtype that Python numbers take among arrays, tensors and NumPy scalars.

    The floating one if there is any; None if all are Python's.
    """
    found = [np.dtype(x.dtype) for x in things if hasattr(x, "dtype")]
    floating = [dtype for dtype in found if dtype.kind == "f"]
    return np.result_type(*(floating or found)) if found else None


def as_dtype(dtype: Any) -> np.dtype:
    """Return `dtype` as NumPy's; ValueError unless it is floating, integer or bool."""
    try:
        found = np.dtype(object if dtype is None else dtype)
    except (TypeError, ValueError):
        found = np.dtype(object)
    if found.kind not in "fiub":
        raise ValueError(f"Invalid dtype: {dtype}. Expected floats, integers or bool.")
    return found if found.isnative else found.newbyteorder("=")


def weak_dtype(scalar: np.ndarray, like: np.dtype) -> np.dtype:
    """Return the dtype that `scalar` takes when combined with integers or bools of dtype `like`."""
    own = scalar.dtype
    fits = own.kind == "b" or (own.kind in "iu" and like.kind in "iu")
    if fits and scalar.astype(like) == scalar:
        return like
    return _floatx if own.kind == "f" else own
