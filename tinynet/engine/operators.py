"""Operators, methods and NumPy's protocol: everything that functions add to `Operand`.

``a + t``, ``t.sum()``, ``np.exp(t)`` and ``array * t`` all give tracked tensors. NumPy hands its
calls to an operand (NEP 13 and NEP 18), which calls the function of the same name in `primitives/`,
`arrays.py` or `functional.py`. Functions of `../ops.py` also take placeholders, which stand for
tensors in a graph of calls. The engine knows only their base class.

Imports `functional.py` and `variable.py`. Read next: `../ops.py`.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cache, wraps
from types import FunctionType
from typing import Any, NoReturn

import numpy as np

from .. import tree
from . import arrays, functional
from .bind import modes
from .primitives import elementwise, linalg, products, reductions, shapes
from .primitives.special import is_scipys, of_scipy
from .refusal import ANSWERED, answer_to, answering
from .tape import backward, refuse_to_cut
from .tensor import Operand, ShapeOnly, Tensor, as_tensor, wrap
from .variable import Variable

# -- numbers ----------------------------------------------------------------------------------


def numpy(self: Operand) -> np.ndarray:
    """Return the numbers as a read-only view: no copy, no gradient.

    Raises
    ------
    TypeError
        If the numbers are unknown, since a function is being recorded or the tensor is from such a
        function. Within a function that is being differentiated, if the tensor depends on its
        arguments: use `detach`.
    """
    return _numbers(self, "numpy()")


def _numbers(self: Operand, what: str | None = None) -> np.ndarray:
    """Return the numbers for the operation `what`, None for one that has no gradient anyway."""
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


def _of_bools(function: Any) -> Any:
    """Return a logical function that refuses numbers, whose bits NumPy would combine."""

    @wraps(function)
    def call(*xs: Any) -> Tensor:
        dtypes = [as_tensor(x).data.dtype for x in xs]
        if any(dtype.kind != "b" for dtype in dtypes):
            instead = f"use tn.ops.{function.__name__}, or NumPy for the bits of integers"
            received = " and ".join(map(str, dtypes))
            raise TypeError(f"&, |, ^ or ~: expected bools ({instead}), received {received}.")
        return function(*xs)

    return call


def _refuse_change(*_: Any) -> NoReturn:
    advice = "Use tn.ops.where, or tn.ops.concatenate of its parts."
    raise TypeError(f"A tensor never changes, so item assignment is refused. {advice}")


def _unpacked(function: Any) -> Any:
    """Return a method that takes lengths or axes as a tuple or one by one: ``t.reshape(2, 3)``."""
    return wraps(function)(lambda self, *n: function(self, *((n,) if len(n) > 1 else n)))


def _of_operators(names: str) -> dict[str, Any]:
    """Return operators from a table: each with its name in Python and in `elementwise.py`."""
    return {f"__{a}__": vars(elementwise)[b] for a, b in map(str.split, names.split(","))}


REFLECTED = _of_operators(
    "add add, sub subtract, mul multiply, truediv divide, pow power, mod remainder,"
    "floordiv floor_divide"
) | {"__matmul__": products.matmul, "__divmod__": functional.divmod}
NOT_REFLECTED = _of_operators(
    "neg negative, pos positive, abs absolute, eq equal, ne not_equal, lt less, le less_equal,"
    "gt greater, ge greater_equal"
) | {"__getitem__": shapes.getitem}
_LOGICAL = _of_operators("and logical_and, or logical_or, xor logical_xor, invert logical_not")
NOT_REFLECTED |= {name: _of_bools(function) for name, function in _LOGICAL.items()}
_METHODS: dict[str, Any] = {
    **REFLECTED,
    **{name.replace("__", "__r", 1): _reflected(f) for name, f in REFLECTED.items()},
    **NOT_REFLECTED,
    "__setitem__": _refuse_change,
    "__round__": lambda self, ndigits=None: functional.round(self, ndigits or 0),
    "astype": elementwise.cast,
    **{
        f.__name__: answering(f)
        for f in (reductions.max, reductions.min, reductions.sum, functional.mean)
    },
    **{f.__name__: _unpacked(f) for f in (shapes.reshape, shapes.transpose)},
    "flatten": arrays.ravel,
    "tolist": lambda self: _numbers(self, "tolist()").tolist(),
    "T": property(shapes.transpose),
    "mT": property(shapes.swap_last_axes),
    **{f.__name__: f for f in (numpy, _numbers, detach, backward)},
    "_gathered": staticmethod(arrays.gathered),
}
# Methods with the arguments of the NumPy functions of the same names.
_BY_NUMPY = """all any argmax argmin argsort clip copy cumprod cumsum diagonal dot nonzero prod ptp
ravel repeat round searchsorted squeeze std swapaxes take trace var"""


# -- NumPy's protocol -------------------------------------------------------------------------


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return functional.clip(a, a_min if min is None else min, a_max if max is None else max)


# Our function for each of NumPy's that has one of the same name.
_OURS: dict[Any, Any] = {
    home[name]: function
    for module in (elementwise, shapes, products, reductions, linalg, arrays, functional)
    for name, function in vars(module).items()
    for home in (vars(np), vars(np.linalg))  # `getattr` is slow where there is no such name
    if isinstance(function, FunctionType) and callable(home.get(name))
}
# NumPy's other names, each before the one that we have.
_ALIASES = """amax max, amin min, around round, fix trunc, degrees rad2deg, radians deg2rad,
real copy, conjugate copy"""
for _alias, _name in map(str.split, _ALIASES.split(",")):
    _OURS[getattr(np, _alias)] = _OURS[getattr(np, _name)]
_OURS[np.clip], _OURS[np.linalg.matrix_transpose] = _clip, shapes.swap_last_axes
_OURS[np.take_along_axis] = lambda arr, indices, axis=-1: arrays.take_along_axis(arr, indices, axis)
_OURS[np.linalg.diagonal] = lambda x, offset=0: arrays.diagonal(x, offset, -2, -1)
_OURS[np.linalg.trace] = lambda x, offset=0: functional.trace(x, offset, -2, -1)


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
    if kwargs.pop("out", None) is not None:
        name = name_of(function)
        raise TypeError(f"{name} of a tensor: not in place or with out=. Use a = {name}(a, t).")
    if (ours := _OURS.get(function)) is None:
        return _of_arrays(function, args, kwargs)
    try:
        if kwargs or (len(args) > 1 and not isinstance(function, np.ufunc)):
            args, kwargs = _translated(function, args, kwargs)
        return ours(*args, **kwargs)
    except ANSWERED as error:
        answer = answer_to(ours, args, kwargs, error)
        if not isinstance(answer or error, TypeError):
            raise answer or error from None
        raise TypeError(f"{name_of(function)} of a tensor: {answer or error}") from None


def _translated(function: Any, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the arguments of a NumPy function as arguments of our counterpart."""
    order, names = _parameters(function)
    if order and len(args) > len(order):
        raise TypeError(f"expected at most {len(order)} arguments, received {len(args)}.")
    given = dict(zip(order, args, strict=False)) | kwargs
    given = {n: v for n, v in given.items() if v is not np._NoValue}
    extra = [n for n, v in given.items() if n not in names and v is not None]
    if extra:
        takes = ", ".join(n for n in order or names if n in names)
        raise TypeError(
            f"{'=, '.join(extra)}= is not supported, expected only {takes}. Leave it "
            "out, or compute without gradient, of t.detach().numpy()."
        )
    return args[len(order) :], {names[n]: v for n, v in given.items() if n in names}


@cache
def _parameters(function: Any) -> tuple[list[str], dict[str, str]]:
    """Return NumPy's positional parameters, and our names for those that we have.

    A parameter is the one of the same name in our function, else the one at the same position. For
    a function of any number of arrays (np.einsum), the first result is empty.
    """
    ours = theirs = inspect.signature(_OURS[function]).parameters
    with suppress(ValueError):  # before 2.4, some NumPy functions in C have no signature
        theirs = inspect.signature(function).parameters
    names = {n: name for n, name in zip(theirs, ours, strict=False) if name not in theirs}
    several = any(p.kind == p.VAR_POSITIONAL for p in theirs.values())
    return [] if several else [*theirs], names | dict(zip(ours, ours, strict=True))


# Functions that return bools, integers, types or text, which have no gradient.
_names = """argpartition argwhere array2string array_equal array_equiv array_repr array_str
common_type diag_indices_from digitize flatnonzero iscomplex iscomplexobj isin isneginf isposinf
isreal isrealobj lexsort matrix_rank min_scalar_type nanargmax nanargmin result_type
tril_indices_from triu_indices_from"""
_DISCRETE = frozenset(_names.split())


def _of_arrays(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a NumPy function without a counterpart on arrays; TypeError if a gradient would flow."""
    name, has_gradient = name_of(function), function.__name__ not in _DISCRETE

    def array(x: Any) -> Any:
        if has_gradient and isinstance(x, Operand) and modes.grad and as_tensor(x).tracked:
            advice = "Compose it from tn.ops, give it a rule by tn.primitive, or use t.detach()."
            raise TypeError(f"{name} has no gradient here. {advice}")
        return _numbers(x) if isinstance(x, Operand) else x

    args, kwargs = tree.map_structure(array, (args, kwargs))
    return function(*args, **kwargs)


def _by_numpy(function: Any) -> Any:
    """Return the method of a tensor that takes the arguments of a NumPy function."""

    def method(self: Operand, *args: Any, **kwargs: Any) -> Any:
        return _call(function, (self, *args), kwargs)

    return elementwise.named(method, function.__name__, f"Call `np.{function.__name__}` of self.")


def _array_ufunc(self: Operand, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    if method == "at" and isinstance(args[0], Operand):
        _refuse_change()  # NumPy would write even to a read-only array
    return _call(ufunc if method == "__call__" else getattr(ufunc, method), args, kwargs)


_METHODS |= {name: _by_numpy(getattr(np, name)) for name in _BY_NUMPY.split()}
_METHODS["__array_ufunc__"] = _array_ufunc
_METHODS["__array_function__"] = lambda self, f, types, args, kwargs: _call(f, args, kwargs)
for _name, _function in _METHODS.items():
    setattr(Operand, _name, _function)

# -- placeholders -----------------------------------------------------------------------------

# Types of arguments that are no placeholders and contain none: a quick check for most calls.
_OTHERS = {Tensor, Variable, np.ndarray, float, int, bool, str, type(None), type}


class Placeholder:
    """Base of placeholders. A function of `ops` that gets one calls its `_call_of` instead."""

    def _call_of(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a placeholder for what the function `name` of `ops` returns."""
        raise NotImplementedError


def taking_placeholders(name: str, function: Any) -> Any:
    """Return `function`, except that a placeholder among the arguments gets the call.

    Errors are explained as by `answering`, without the time of another call.
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
