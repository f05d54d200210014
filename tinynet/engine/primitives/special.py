"""SciPy's special functions on tensors: a table of their derivatives.

SciPy computes the values. Its functions are ufuncs, which call a tensor's `__array_ufunc__`, so
``scipy.special.gammaln(t)`` leads here. SciPy is imported when a program first uses one of them.

The derivatives are those of the NIST Digital Library of Mathematical Functions, dlmf.nist.gov: 5.2
and 5.15 (gamma and polygamma functions), 7.2 (error functions), 10.29 (modified Bessel functions);
for inverse functions, the reciprocals. They consist of the same functions, so they exist to any
order.

Imports `elementwise.py`. Read next: `../arrays.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..bind import Case
from ..extras import imported
from ..tensor import Tensor
from .elementwise import binary, erfc, exp, expm1, log, log1p, named, sigmoid, square, unary, where

_ROOT_PI, _ROOT_2_PI = math.sqrt(math.pi), math.sqrt(2.0 * math.pi)
_ALL, _POSITIVE, _UNIT = (-2.0, 2.0), (0.3, 3.0), (0.1, 0.9)


def _f(name: str, *xs: Any) -> Tensor:
    """Return SciPy's function `name` of the tensors `xs`."""
    return functions()[name](*xs)


def _ratio(x: Tensor, y: Tensor) -> Tensor:
    """Return x / y, and 0 for 0 / 0, as in the derivative of x log y."""
    return x / where((x == 0.0) & (y == 0.0), 1.0, y)


# For each function the domain of its tests, and its derivative in each input as a function of the
# result and the inputs. None: the input is a constant. The functions with such an input are here
# for the derivatives of other functions.
RULES: dict[str, tuple[Any, ...]] = {
    "gamma": (_POSITIVE, lambda y, x: y * _f("psi", x)),
    "gammaln": (_POSITIVE, lambda y, x: _f("psi", x)),
    "psi": (_POSITIVE, lambda y, x: _f("polygamma", 1.0, x)),
    "polygamma": (_POSITIVE, None, lambda y, n, x: _f("polygamma", n + 1.0, x)),
    "erf": (_ALL, lambda y, x: exp(-square(x)) * (2.0 / _ROOT_PI)),
    "erfinv": ((-0.9, 0.9), lambda y, x: exp(square(y)) * (_ROOT_PI / 2.0)),
    "erfcinv": ((0.1, 1.9), lambda y, x: exp(square(y)) * (-_ROOT_PI / 2.0)),
    "ndtr": (_ALL, lambda y, x: exp(square(x) * -0.5) / _ROOT_2_PI),
    "log_ndtr": (_ALL, lambda y, x: exp(square(x) * -0.5 - y) / _ROOT_2_PI),
    "ndtri": (_UNIT, lambda y, x: exp(square(y) * 0.5) * _ROOT_2_PI),
    "logit": (_UNIT, lambda y, x: 1.0 / (x * (1.0 - x))),
    "log_expit": (_ALL, lambda y, x: sigmoid(-x)),
    "entr": (_POSITIVE, lambda y, x: -log(x) - 1.0),
    "xlogy": (_POSITIVE, lambda z, x, y: log(y), lambda z, x, y: _ratio(x, y)),
    "xlog1py": (_POSITIVE, lambda z, x, y: log1p(y), lambda z, x, y: _ratio(x, 1.0 + y)),
    "i0": (_ALL, lambda y, x: _f("i1", x)),
    "i1": (_ALL, lambda y, x: (_f("i0", x) + _f("iv", 2.0, x)) / 2.0),
    "iv": (_POSITIVE, None, lambda y, v, x: (_f("iv", v - 1.0, x) + _f("iv", v + 1.0, x)) / 2.0),
}


def _made(name: str, ufunc: Any, domain: Any, *derivatives: Any) -> Callable[..., Tensor]:
    """Make the primitive of a SciPy function, and return its function of tensors.

    It has SciPy's full name, since a user may have made a primitive called ``erf``, say.
    """

    def impl(*xs: Any) -> Any:
        return ufunc(*xs).astype(np.result_type(*xs), copy=False)

    rules = [d and (lambda ct, y, *xs, d=d: ct * d(y, *xs)) for d in derivatives]
    given = {0: [1.0, 2.0, 3.0]} if None in rules else {}
    case = Case(((3,), (2, 3)) if given else len(rules), domains=(domain,), given=given)
    make: Any = unary if len(rules) == 1 else binary
    traits = {"floating": True, "cases": (case,), "reference": ufunc}
    return make(named(impl, name, ""), f"Return {name} of tensors.", *rules, **traits)


@cache
def functions() -> dict[str, Callable[..., Tensor]]:
    """Return the functions of tensors by SciPy's names; ImportError without SciPy."""
    scipys = imported("scipy.special", "A special function", "scipy")
    made = {n: _made(f"scipy.special.{n}", getattr(scipys, n), *r) for n, r in RULES.items()}
    return {**made, "erfc": erfc, "expit": sigmoid, "expm1": expm1, "log1p": log1p}


def of_scipy() -> dict[Any, Callable[..., Tensor]]:
    """Return our function for each ufunc of SciPy that has one."""
    scipys = vars(sys.modules["scipy.special"])
    return {scipys[n]: f for n, f in functions().items() if None not in RULES.get(n, ())}


def is_scipys(function: Any) -> bool:
    """Return whether `function` is one of `scipy.special`, without importing SciPy."""
    scipys = sys.modules.get("scipy.special")
    return scipys is not None and getattr(scipys, function.__name__, None) is function


def erf(x: Any) -> Tensor:
    """Return the error function; ImportError without SciPy, which computes it."""
    return _f("erf", x)


def erfinv(x: Any) -> Tensor:
    """Return the inverse of `erf`; ImportError without SciPy, which computes it."""
    return _f("erfinv", x)
