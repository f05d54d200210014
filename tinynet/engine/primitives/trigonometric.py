"""Elementwise primitives of angles: trigonometric and hyperbolic functions and their inverses.

The formulas of the slopes are in any table of derivatives, e.g. chapter 4 of Abramowitz and Stegun,
Handbook of Mathematical Functions, 1964.

Imports `elementwise.py`. Read next: `shapes.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..bind import Case
from ..tensor import Tensor
from .elementwise import Binary, Unary, binary, sqrt, unary, where

_NEAR_0: dict[str, Any] = {"cases": (Case(1, domains=((-0.7, 0.7),)),)}
_ABOVE_1 = (Case(1, domains=((1.3, 3.0),)),)

tan = unary(
    np.tan, "Return the tangent of radians.", lambda ct, y, x: ct * (1.0 + y * y), **_NEAR_0
)
arcsin = unary(np.arcsin, "Return the inverse of sin.", lambda ct, y, x: ct / _leg(x), **_NEAR_0)
arccos = unary(np.arccos, "Return the inverse of cos.", lambda ct, y, x: -ct / _leg(x), **_NEAR_0)
arctan = unary(np.arctan, "Return the inverse of tan.", lambda ct, y, x: ct / (1.0 + x * x))
sinh = unary(np.sinh, "Return the hyperbolic sine.", lambda ct, y, x: ct * cosh(x))
cosh: Unary = unary(np.cosh, "Return the hyperbolic cosine.", lambda ct, y, x: ct * sinh(x))
arcsinh = unary(np.arcsinh, "Return the inverse of sinh.", lambda ct, y, x: ct / cosh(y))
_ARCCOSH = "Return the inverse of cosh, for x >= 1."
arccosh = unary(np.arccosh, _ARCCOSH, lambda ct, y, x: ct / sinh(y), cases=_ABOVE_1)
arctanh = unary(
    np.arctanh, "Return the inverse of tanh.", lambda ct, y, x: ct / (1.0 - x * x), **_NEAR_0
)


def _leg(x: Tensor) -> Tensor:
    """Return the leg of a right triangle with hypotenuse 1 whose other leg is `x`."""
    return sqrt((1.0 - x) * (1.0 + x))


_DEG = math.pi / 180.0
deg2rad = unary(np.deg2rad, "Return degrees as radians.", lambda ct, y, x: ct * _DEG, linear=True)
rad2deg = unary(np.rad2deg, "Return radians as degrees.", lambda ct, y, x: ct / _DEG, linear=True)


def _radius(x1: Tensor, x2: Tensor) -> Tensor:
    """Return the distance from the origin, and 1 at the origin, where all slopes become 0."""
    r = hypot(x1, x2)
    return where(r == 0.0, 1.0, r)


_AWAY = (
    Case(2, domains=((-2.0, 2.0), (0.3, 3.0))),
    Case(2, domains=((0.3, 3.0), (-2.0, 2.0))),
)
hypot: Binary = binary(
    np.hypot,
    "Return sqrt(x1 ** 2 + x2 ** 2), without overflow; the gradient at the origin is 0.",
    lambda ct, y, x1, x2: ct * (x1 / _radius(x1, x2)),
    lambda ct, y, x1, x2: ct * (x2 / _radius(x1, x2)),
    cases=_AWAY,
    floating=True,
)
arctan2 = binary(
    np.arctan2,
    "Return the angle of the point (x2, x1), from -pi to pi; the gradient at the origin is 0.",
    lambda ct, y, x1, x2: ct * (x2 / _radius(x1, x2) / _radius(x1, x2)),
    lambda ct, y, x1, x2: -ct * (x1 / _radius(x1, x2) / _radius(x1, x2)),
    cases=_AWAY,
    floating=True,
)
