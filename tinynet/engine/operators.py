"""Operators, methods and NumPy's protocol: everything that `Operand` gets from functions.

``a + t``, ``t.sum()``, ``np.exp(t)`` and ``array * t`` all give tracked tensors. NumPy asks an
operand before it computes (NEP 13 and NEP 18); the answer is the function of the same name in
`primitives/`, `arrays.py`, `contractions.py` or `functional.py`.

Imports `tape.py` and `lists.py`. Read next: `variable.py`.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from . import arrays, contractions, functional, matrices
from .bind import modes, refuse_to_cut
from .lists import copied, gathered
from .primitives import einsum, elementwise, indexing, products, scans, shapes
from .primitives.special import is_scipys, of_scipy
from .tape import backward
from .tensor import Operand, ShapeOnly, Tensor, as_tensor, wrap

# -- numbers ----------------------------------------------------------------------------------


def numpy(self: Operand) -> np.ndarray:
    """Return the numbers as a read-only view: no copy, no gradient.

    Raises
    ------
    TypeError
        If a function is being recorded, or was, and the numbers are therefore unknown; and within a
        function that is being differentiated, if the tensor depends on its arguments. Use `detach`.
    """
    return _numbers(self, "numpy()")


def _numbers(self: Operand, what: str | None = None) -> np.ndarray:
    """Return the numbers for the operation `what`; None if it is one that has no gradient."""
    t = as_tensor(self)
    if modes.recorder is not None:
        modes.recorder.refuse(t)
    if isinstance(t.data, ShapeOnly):
        t.data.refuse()
    if what is not None:
        refuse_to_cut(t, what)
    view = t.data.view()
    view.flags.writeable = False
    return view


def detach(self: Operand) -> Tensor:
    """Return a tensor of the same numbers through which no gradient flows."""
    t = as_tensor(self)
    out = wrap(t.data)
    if modes.recorder is not None:
        modes.recorder.detached(out, t)
    return out


# -- operators and methods --------------------------------------------------------------------


def _reflected(function: Any) -> Any:
    return lambda self, other: function(other, self)


def _unpacked(function: Any) -> Any:
    """Accept lengths or axes as one tuple or one by one: ``t.reshape(2, 3)``."""
    return lambda self, *n: function(self, *((n,) if len(n) > 1 else n))


_BINARY: dict[str, Any] = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "matmul": products.matmul,
    "pow": elementwise.power,
    "mod": elementwise.remainder,
    "floordiv": elementwise.floor_divide,
    "divmod": functional.divmod,
}
_METHODS: dict[str, Any] = {
    "__neg__": elementwise.negative,
    "__pos__": elementwise.positive,
    "__round__": lambda self, ndigits=None: functional.round(self, ndigits or 0),
    "__abs__": elementwise.absolute,
    "__eq__": elementwise.equal,
    "__ne__": elementwise.not_equal,
    "__lt__": elementwise.less,
    "__le__": elementwise.less_equal,
    "__gt__": elementwise.greater,
    "__ge__": elementwise.greater_equal,
    "__and__": elementwise.logical_and,
    "__or__": elementwise.logical_or,
    "__xor__": elementwise.logical_xor,
    "__invert__": elementwise.logical_not,
    "__getitem__": indexing.getitem,
    "astype": elementwise.cast,
    "sum": products.sum,
    "mean": functional.mean,
    "max": products.max,
    "min": products.min,
    "reshape": _unpacked(shapes.reshape),
    "transpose": _unpacked(shapes.transpose),
    "flatten": arrays.ravel,
    "numpy": numpy,
    "tolist": lambda self: _numbers(self, "tolist()").tolist(),
    "T": property(lambda self: shapes.transpose(self)),
    "mT": property(lambda self: shapes.swap_last_axes(as_tensor(self))),
    "_numbers": _numbers,
    "_gathered": staticmethod(gathered),
    "_copied": staticmethod(copied),
    "detach": detach,
    "backward": backward,
}
# Methods with the arguments of the NumPy functions of the same names.
_BY_NUMPY = """all any argmax argmin argsort clip copy cumprod cumsum diagonal dot nonzero prod ptp
ravel repeat round searchsorted squeeze std swapaxes take trace var"""


# -- NumPy's protocol -------------------------------------------------------------------------


_MODULES: tuple[Any, ...] = (elementwise, shapes, products, scans, einsum)
_MODULES += (arrays, contractions, functional)


def _counterparts() -> dict[Any, Any]:
    """Return our function for each NumPy function that has one of the same name."""
    return {
        theirs: function
        for module in _MODULES
        for name, function in vars(module).items()
        if isinstance(function, FunctionType) and callable(theirs := vars(np).get(name))
    }


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return functional.clip(a, a_min if min is None else min, a_max if max is None else max)


_OURS = _counterparts() | {
    np.amax: products.max,
    np.amin: products.min,
    np.around: functional.round,
    np.fix: elementwise.trunc,
    np.degrees: elementwise.rad2deg,
    np.radians: elementwise.deg2rad,
    np.real: arrays.copy,
    np.conjugate: arrays.copy,
    np.clip: _clip,
}
_OURS |= matrices.COUNTERPARTS
_OF_TYPES = (np.iscomplexobj, np.isrealobj, np.result_type)  # that look at shapes and dtypes alone


def name_of(function: Any) -> str:
    """Return the name of a NumPy function as users write it: ``np.linalg.norm``."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):  # a method: np.add.reduce
        return f"{name_of(owner)}.{function.__name__}"
    module = getattr(function, "__module__", None) or "numpy"
    module = "scipy.special" if is_scipys(function) else module
    return f"{module.replace('numpy', 'np')}.{function.__name__}"


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    """Return our counterpart of `function` on the arguments; without one, `function` on arrays."""
    if function not in _OURS and is_scipys(function):
        _OURS.update(of_scipy())
    if (ours := _OURS.get(function)) is None:
        return _of_arrays(function, args, kwargs)
    leading, same, *rest = _parameters(function)
    try:
        if len(args) > leading or not kwargs.keys() <= same:
            args, kwargs = _translated(function, args, kwargs, *rest)
        return ours(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name_of(function)} of a tensor: {error}") from None


def _translated(
    function: Any, args: Any, kwargs: Any, order: Any, names: Any, defaults: Any
) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of a NumPy function as those of ours, with NumPy's defaults."""
    given = dict(zip(order, args, strict=False)) | kwargs
    extra = {n: v for n, v in given.items() if n not in names and v is not defaults.get(n)}
    extra = {n: v for n, v in extra.items() if v is not None and v is not np._NoValue}
    dtype = extra.pop("dtype", None)
    if "out" in extra:
        raise TypeError(f"not in place or with out=. Use a = {name_of(function)}(a, t).")
    if extra:
        takes = ", ".join(n for n in order or names if n in names)
        raise TypeError(
            f"{'=, '.join(extra)}= is not supported, expected only {takes}. Leave it "
            "out, or compute without gradient, of t.detach().numpy()."
        )
    if dtype is not None:
        if not order or isinstance(args[0], (list, tuple)) or np.dtype(dtype).kind != "f":
            raise TypeError(f"dtype={dtype} is not supported. Convert tensors by t.astype(dtype).")
        inputs = order if isinstance(function, np.ufunc) else order[:1]
        given |= {n: elementwise.cast(given[n], dtype) for n in inputs}
    taken = {names[n]: v for n, v in (defaults | given).items() if n in names}
    return () if order else args, {n: v for n, v in taken.items() if v is not np._NoValue}


@cache
def _parameters(function: Any) -> tuple[int, set[str], list[str], dict[str, str], dict[str, Any]]:
    """Return how the arguments of a NumPy function become those of ours.

    First, how many positional arguments, and which keywords, mean the same in both. Then NumPy's
    positional parameters, our names for all of them, and NumPy's defaults. A parameter has the same
    name in our function, or else that of the one at its position. A function of any number of
    arrays (np.einsum) has no positional parameters here.
    """
    ours = theirs = inspect.signature(_OURS[function]).parameters
    if not isinstance(function, np.ufunc):
        with suppress(ValueError):  # before 2.4, some NumPy functions in C have no signature
            theirs = inspect.signature(function).parameters
    defaults = {n: p.default for n, p in theirs.items() if p.default is not p.empty}
    if isinstance(function, np.ufunc):
        defaults |= {"where": True, "casting": "same_kind", "order": "K", "subok": True}
    names = dict(zip(ours, ours, strict=True))
    if any(p.kind == p.VAR_POSITIONAL for p in theirs.values()):
        return sys.maxsize, {*names}, [], names, defaults
    for n, name in zip(theirs, ours, strict=False):
        if name not in theirs:
            names.setdefault(n, name)
    differ = any(n in ours and d not in (ours[n].default, np._NoValue) for n, d in defaults.items())
    plain = (n for n, p in ours.items() if p.kind != p.KEYWORD_ONLY)
    pairs = [names.get(n) == name for n, name in zip(theirs, plain, strict=False)]
    leading = -1 if differ else [*pairs, False].index(False)
    return leading, {*names} & {*names.values()}, [*theirs], names, defaults


def _of_arrays(function: Any, args: Any, kwargs: Any) -> Any:
    """Return a NumPy function that has no counterpart here; TypeError if a gradient would flow."""
    if function in _OF_TYPES:
        args = (np.empty(0, as_tensor(x).dtype) if isinstance(x, Operand) else x for x in args)
        return function(*args, **kwargs)
    name = name_of(function)
    if kwargs.pop("out", None) is not None:
        raise TypeError(f"{name} of a tensor: not in place or with out=. Use a = {name}(a, t).")
    values = _as_arrays([*kwargs.values()], name)
    return function(*_as_arrays(args, name), **dict(zip(kwargs, values, strict=True)))


def _as_arrays(value: Any, name: str) -> Any:
    """Return `value` with arrays for operands; TypeError where `name` would cut off a gradient."""
    if isinstance(value, (tuple, list)):
        return type(value)(_as_arrays(v, name) for v in value)
    if isinstance(value, Operand) and modes.grad and as_tensor(value).tracked:
        raise TypeError(f"{name} has no gradient here. Use tn.ops, or t.detach() for a constant.")
    return np.asarray(value) if isinstance(value, Operand) else value


def _by_numpy(function: Any) -> Any:
    """Return a method with the arguments of a NumPy function."""

    def method(self: Operand, *args: Any, **kwargs: Any) -> Any:
        return _call(function, (self, *args), kwargs)

    return elementwise.named(method, function.__name__, f"Call `np.{function.__name__}` of self.")


def _array_ufunc(self: Operand, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return _call(ufunc if method == "__call__" else getattr(ufunc, method), args, kwargs)


def _array_function(self: Operand, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _call(function, args, kwargs)


for _name, _function in _BINARY.items():
    _METHODS |= {f"__{_name}__": _function, f"__r{_name}__": _reflected(_function)}
for _name in _BY_NUMPY.split():
    _METHODS[_name] = _by_numpy(getattr(np, _name))
_METHODS |= {"__array_ufunc__": _array_ufunc, "__array_function__": _array_function}
for _name, _function in _METHODS.items():
    setattr(Operand, _name, _function)
