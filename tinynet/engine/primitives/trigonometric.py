"""Elementwise primitives of angles: trigonometric and hyperbolic functions and their inverses.

The formulas of the slopes are in any table of derivatives, e.g. chapter 4 of Abramowitz and Stegun,
Handbook of Mathematical Functions, 1964.

Imports `elementwise.py`. Read next: `shapes.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bind import Case
from ..tensor import Tensor
from .elementwise import Binary, Unary, binary, sqrt, square, unary, where

_INSIDE: dict[str, Any] = {"cases": (Case(1, domains=((-0.7, 0.7),)),)}  # of the slopes at -1 and 1

tan = unary(
    np.tan, "Return the tangent of radians.", lambda ct, y, x: ct * (1.0 + square(y)), **_INSIDE
)
arcsin = unary(
    np.arcsin, "Return the angle of a sine.", lambda ct, y, x: ct / sqrt(1.0 - x * x), **_INSIDE
)
arccos = unary(
    np.arccos, "Return the angle of a cosine.", lambda ct, y, x: -ct / sqrt(1.0 - x * x), **_INSIDE
)
arctan = unary(np.arctan, "Return the angle of a tangent.", lambda ct, y, x: ct / (1.0 + x * x))
sinh = unary(np.sinh, "Return the hyperbolic sine.", lambda ct, y, x: ct * cosh(x))
cosh: Unary = unary(np.cosh, "Return the hyperbolic cosine.", lambda ct, y, x: ct * sinh(x))
arcsinh = unary(np.arcsinh, "Return the inverse of sinh.", lambda ct, y, x: ct / hypot(x, 1.0))
arccosh = unary(
    np.arccosh,
    "Return the inverse of cosh, for x >= 1.",
    lambda ct, y, x: ct / (sqrt(x - 1.0) * sqrt(x + 1.0)),
    cases=(Case(1, domains=((1.3, 3.0),)),),
)
arctanh = unary(
    np.arctanh, "Return the inverse of tanh.", lambda ct, y, x: ct / (1.0 - x * x), **_INSIDE
)
deg2rad: Unary = unary(
    np.deg2rad, "Return degrees in radians.", lambda ct, y, x: deg2rad(ct), linear=True
)
rad2deg: Unary = unary(
    np.rad2deg, "Return radians in degrees.", lambda ct, y, x: rad2deg(ct), linear=True
)


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
