"""Operators, methods and NumPy's protocol: everything that `Operand` gets from functions.

``a + t``, ``t.sum()``, ``np.exp(t)`` and ``array * t`` all give tracked tensors. NumPy asks an
operand before it computes (NEP 13 and NEP 18); the answer is the function of the same name in
`primitives/` or `functional.py`.

Imports `tape.py` and `lists.py`. Read next: `variable.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import functional
from .bind import modes, refuse_to_cut
from .lists import copied, gathered
from .primitives import elementwise, indexing, products, shapes
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


_BINARY = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "matmul": products.matmul,
    "pow": elementwise.power,
}
_METHODS = {
    "__neg__": elementwise.negative,
    "__abs__": elementwise.absolute,
    "__eq__": elementwise.equal,
    "__ne__": elementwise.not_equal,
    "__lt__": elementwise.less,
    "__le__": elementwise.less_equal,
    "__gt__": elementwise.greater,
    "__ge__": elementwise.greater_equal,
    "__and__": elementwise.logical_and,
    "__or__": elementwise.logical_or,
    "__invert__": elementwise.logical_not,
    "__getitem__": indexing.getitem,
    "astype": elementwise.cast,
    "sum": products.sum,
    "mean": functional.mean,
    "max": products.max,
    "min": products.min,
    "reshape": _unpacked(shapes.reshape),
    "transpose": _unpacked(shapes.transpose),
    "numpy": numpy,
    "_numbers": _numbers,
    "_gathered": staticmethod(gathered),
    "_copied": staticmethod(copied),
    "detach": detach,
    "backward": backward,
}
for _name, _function in _BINARY.items():
    _METHODS |= {f"__{_name}__": _function, f"__r{_name}__": _reflected(_function)}


# -- NumPy's protocol -------------------------------------------------------------------------


def _counterparts() -> dict[Any, Any]:
    """Return our function for each NumPy function that has one of the same name."""
    table = {}
    for module in (elementwise, shapes, products, functional):
        for name, function in vars(module).items():
            theirs = getattr(np, name, None)
            if getattr(function, "__module__", None) == module.__name__ and callable(theirs):
                table[theirs] = function
    for reduction in (np.sum, np.mean, np.var, np.std, np.max, np.min):
        table[reduction] = _with_keyword(table[reduction])
    # NumPy calls these arguments otherwise than Keras.
    table[np.concatenate] = lambda arrays, axis=0: shapes.concatenate(arrays, axis)
    table[np.clip] = lambda a, a_min, a_max: functional.clip(a, a_min, a_max)
    return table


def _with_keyword(reduction: Any) -> Any:
    """Take `keepdims` by keyword alone: NumPy has other arguments before it."""
    return lambda a, axis=None, *, keepdims=False: reduction(a, axis, keepdims)


_OURS = _counterparts()


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    """Return our counterpart of `function` on the arguments; without one, `function` on arrays."""
    name = f"np.{function.__name__}"
    if kwargs.pop("out", None) is not None:
        raise TypeError(f"{name} of a tensor: not in place or with out=. Use a = {name}(a, t).")
    if function in _OURS:
        try:
            return _OURS[function](*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name} of a tensor: {error}") from None
    values = _as_arrays([*kwargs.values()], name)
    return function(*_as_arrays(args, name), **dict(zip(kwargs, values, strict=True)))


def _as_arrays(value: Any, name: str) -> Any:
    """Return `value` with arrays for operands; TypeError where `name` would cut off a gradient."""
    if isinstance(value, (tuple, list)):
        return type(value)(_as_arrays(v, name) for v in value)
    if isinstance(value, Operand) and modes.grad and as_tensor(value).tracked:
        raise TypeError(f"{name} has no gradient here. Use tn.ops, or t.detach() for a constant.")
    return np.asarray(value) if isinstance(value, Operand) else value


def _array_ufunc(self: Operand, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    return _call(ufunc if method == "__call__" else getattr(ufunc, method), args, kwargs)


def _array_function(self: Operand, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _call(function, args, kwargs)


_METHODS |= {"__array_ufunc__": _array_ufunc, "__array_function__": _array_function}
for _name, _function in _METHODS.items():
    setattr(Operand, _name, _function)
