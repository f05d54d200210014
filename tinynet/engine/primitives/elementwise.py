"""Elementwise primitives: a stanza each, the simplest first.

A stanza gives the function of NumPy that is computed, one rule per input, and the cases on which it
is tested (`Case`). A rule takes the cotangent `ct` of the result `y` and the inputs, and returns
the cotangent of its input. It consists of tensor operations, so that it can be differentiated
again, and ignores broadcasting, which `tape.py` undoes. Nothing else needs to know of a new
stanza: gradients of any order, NumPy's protocol, the compiler and the tests read `PRIMITIVES`.

The slopes of the trigonometric and hyperbolic functions are in any table of derivatives, e.g. in
Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, chapter 4.

Imports `bind.py`. Read next: `shapes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..bind import Case, bind, primitive
from ..tensor import Rule, Tensor, as_dtype, as_tensor, floatx, has_operand, is_weak, wrap

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]
ELEMENTWISE = "\n\n    Elementwise; shapes broadcast as NumPy's do."


def _on(*domains: tuple[float, float], **traits: Any) -> dict[str, Any]:
    """Return traits with one case: numbers from these intervals, one interval for each input."""
    return {"cases": (Case(len(domains), domains=domains),), **traits}


POSITIVE, ABOVE_1, SMALL = _on((0.3, 3.0)), _on((1.3, 3.0)), _on((-0.7, 0.7))
APART: dict[str, Any] = {"cases": (Case(1, apart=True),)}
KINKED: dict[str, Any] = {**APART, "floating": False}
FRACTION = _on((-2.0, 2.0), (0.3, 3.0), floating=True)

# -- of one tensor ----------------------------------------------------------------------------


def unary(impl: Any, does: str | None, *vjps: Rule, floating: bool = True, **traits: Any) -> Unary:
    """Make an elementwise primitive of one input, named like `impl`, and return its function.

    `does` is the sentence that documents it, by default that of `impl`. With `floating`, integers
    and bools are converted to `floatx` first. `primitive` takes the other `traits`.
    """
    traits = {"cases": (Case(1),), "elementwise": True, **traits}
    record = primitive(impl.__name__.strip("_"), impl, *vjps, **traits)

    def function(x: Any) -> Tensor:
        return bind(record, as_floating(x) if floating else as_tensor(x))

    return named(function, record.name, (does or impl.__doc__ or "") + ELEMENTWISE)


def _composite(rule: Rule, **traits: Any) -> Callable[[Any], Unary]:
    """Make a primitive of the function that is decorated, which consists of NumPy functions."""
    return lambda impl: unary(impl, None, rule, composite=True, **traits)


def named(function: Any, name: str, doc: str) -> Any:
    """Return `function` with a name and a docstring."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def as_floating(x: Any) -> Tensor:
    """Return anything as a tensor of floating dtype, `floatx` unless it has one."""
    x = as_tensor(x)
    return x if x.data.dtype.kind == "f" else cast(x, floatx())


_LOG_2, _LOG_10, _DEG = math.log(2.0), math.log(10.0), math.pi / 180.0

negative = unary(np.negative, "Return -x.", lambda ct, y, x: -ct, linear=True, floating=False)
positive = unary(np.positive, "Return +x.", lambda ct, y, x: ct, linear=True, floating=False)
square = unary(np.square, "Return x * x.", lambda ct, y, x: ct * (x * 2.0), floating=False)
exp = unary(np.exp, "Return e ** x.", lambda ct, y, x: ct * y)
expm1 = unary(np.expm1, "Return e ** x - 1.", lambda ct, y, x: ct * (y + 1.0))
exp2 = unary(np.exp2, "Return 2 ** x.", lambda ct, y, x: ct * (y * _LOG_2))
log = unary(np.log, "Return the natural logarithm.", lambda ct, y, x: ct / x, **POSITIVE)
log2 = unary(np.log2, "Return log to base 2.", lambda ct, y, x: ct / (x * _LOG_2), **POSITIVE)
log10 = unary(np.log10, "Return log to base 10.", lambda ct, y, x: ct / (x * _LOG_10), **POSITIVE)
log1p = unary(np.log1p, "Return log(1 + x).", lambda ct, y, x: ct / (1.0 + x), **_on((-0.5, 2.0)))
sqrt = unary(np.sqrt, "Return the square root.", lambda ct, y, x: 0.5 * ct / y, **POSITIVE)
cbrt = unary(np.cbrt, "Return the cube root.", lambda ct, y, x: ct / (3.0 * y * y), **POSITIVE)
reciprocal = unary(np.reciprocal, "Return 1 / x.", lambda ct, y, x: -ct * square(y), **POSITIVE)

# -- of angles --------------------------------------------------------------------------------

sin = unary(np.sin, "Return the sine of radians.", lambda ct, y, x: ct * cos(x))
cos: Unary = unary(np.cos, "Return the cosine of radians.", lambda ct, y, x: -ct * sin(x))
tan = unary(np.tan, "Return the tangent of radians.", lambda ct, y, x: ct * (1.0 + y * y), **SMALL)
arcsin = unary(np.arcsin, "Return the inverse of sin.", lambda ct, y, x: ct / _leg(x), **SMALL)
arccos = unary(np.arccos, "Return the inverse of cos.", lambda ct, y, x: -ct / _leg(x), **SMALL)
arctan = unary(np.arctan, "Return the inverse of tan.", lambda ct, y, x: ct / (1.0 + x * x))
sinh = unary(np.sinh, "Return the hyperbolic sine.", lambda ct, y, x: ct * cosh(x))
cosh: Unary = unary(np.cosh, "Return the hyperbolic cosine.", lambda ct, y, x: ct * sinh(x))
tanh = unary(np.tanh, "Return the hyperbolic tangent.", lambda ct, y, x: ct * (1.0 - square(y)))
arcsinh = unary(np.arcsinh, "Return the inverse of sinh.", lambda ct, y, x: ct / cosh(y))
arccosh = unary(np.arccosh, "Return the inverse of cosh.", lambda ct, y, x: ct / sinh(y), **ABOVE_1)
arctanh = unary(
    np.arctanh, "Return the inverse of tanh.", lambda ct, y, x: ct / (1.0 - x * x), **SMALL
)
deg2rad = unary(np.deg2rad, "Return degrees as radians.", lambda ct, y, x: ct * _DEG, linear=True)
rad2deg = unary(np.rad2deg, "Return radians as degrees.", lambda ct, y, x: ct / _DEG, linear=True)


def _leg(x: Tensor) -> Tensor:
    """Return the leg of a right triangle with hypotenuse 1 whose other leg is `x`."""
    return sqrt((1.0 - x) * (1.0 + x))


# -- activations ------------------------------------------------------------------------------


@_composite(
    lambda ct, y, x: ct * (y * (1.0 - y)),
    reference=lambda x: (1 / (1 + np.exp(-x.astype("longdouble")))).astype(x.dtype),
)
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e ** -x), without overflow and with a small relative error."""
    # e^x / (1 + e^x). For large negative x this is e^x itself, exact to the last denormal. The
    # quotient rounds to 1 for x > 40 in float64 and for x > 11 in float16, so a bound on x changes
    # nothing and avoids overflow.
    e = np.exp(np.minimum(x, 11.0 if x.dtype.itemsize == 2 else 40.0))
    return e / (e + 1.0)


@_composite(lambda ct, y, x: ct * sigmoid(x), reference=lambda x: np.logaddexp(x, np.float16(0)))
def softplus(x: Any) -> Any:
    """Return log(1 + e ** x), without overflow and with a small relative error."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.absolute(x)))


@_composite(
    lambda ct, y, x: ct * cast(x > 0.0, x.dtype), reference=lambda x: (x + np.abs(x)) / 2, **KINKED
)
def relu(x: Any) -> Any:
    """Return max(x, 0); the gradient at 0 is 0."""
    return np.maximum(x, 0)


# Coefficients of (1 + 2 x) e^(x^2) erfc(x), for x >= 0, as a polynomial in (x - 3) / (x + 3), the
# highest power first: the Chebyshev series, computed with fifty digits and cut where terms fall
# below 1e-17. The form is that of Shepherd and Laframboise, Mathematics of Computation 36, 1981.
_ERFC = [-3.1813541434969274e-09, -7.641962892589975e-09, 2.7843881265502222e-08]
_ERFC += [8.765881411730558e-08, -1.205414228648938e-07, -5.963983625522741e-07]
_ERFC += [3.3669790806407595e-07, 3.454294770277738e-06, -7.187883834404266e-07]
_ERFC += [-2.0089997833284275e-05, 4.94412434222366e-06, 0.00012509531076254534]
_ERFC += [-0.00010515831297813128, -0.0007798312797290158, 0.0018886900977441495]
_ERFC += [0.0025293916672051724, -0.023770514891530075, 0.06830802735638397]
_ERFC += [-0.11927366341676002, 0.12964515870228346, -0.04756229435342038]
_ERFC += [-0.13562110612457576, 1.2530080582697294]


def _erfc(x: Any) -> Any:
    """Return 1 - erf(x), accurate to a few ulps for any x."""
    a = np.minimum(np.abs(x, dtype=np.float64), 30.0)  # from 30 on the result is 0
    y = np.polyval(_ERFC, (a - 3.0) / (a + 3.0))
    rounded = a.astype(np.float32)  # its square is exact; an error of x^2 would grow in e^(-x^2)
    y *= np.exp(-np.square(rounded, dtype=np.float64)) * np.exp((rounded - a) * (rounded + a))
    y /= 1.0 + 2.0 * a
    return np.where(x < 0, 2.0 - y, y).astype(x.dtype)


erfc = unary(
    _erfc,
    None,
    lambda ct, y, x: ct * (exp(-square(x)) * (-2.0 / math.sqrt(math.pi))),
    reference=lambda x: np.vectorize(math.erfc, [float])(x).astype(x.dtype),
)


# -- with kinks, or of whole numbers and bools -------------------------------------------------

_ABSOLUTE = "Return the absolute value; the gradient at 0 is 0."
absolute = unary(np.absolute, _ABSOLUTE, lambda ct, y, x: ct * sign(x), **KINKED)
fabs = unary(np.fabs, _ABSOLUTE, lambda ct, y, x: ct * sign(x), **APART)
sign: Unary = unary(np.sign, "Return -1, 0 or 1.", **KINKED)
floor = unary(np.floor, "Return the largest integer not above x.", **APART)
ceil = unary(np.ceil, "Return the smallest integer not below x.", **APART)
trunc = unary(np.trunc, "Return x without the digits after the decimal point.", **APART)
rint = unary(np.rint, "Return the nearest integer; a tie gives the even one.", **_on((0.6, 1.4)))
isfinite = unary(np.isfinite, "Return whether x is neither infinite nor NaN.")
isinf = unary(np.isinf, "Return whether x is infinite.")
isnan = unary(np.isnan, "Return whether x is NaN.")
signbit = unary(np.signbit, "Return whether the sign of x is negative, also that of -0.", **APART)
logical_not = unary(np.logical_not, "Return whether x is 0.", floating=False)


# -- of two tensors ---------------------------------------------------------------------------


def binary(impl: Any, does: str, *vjps: Rule, floating: bool = False, **traits: Any) -> Binary:
    """Make an elementwise primitive of two inputs, as `unary` does."""
    traits = {"cases": (Case(2),), "elementwise": True, **traits}
    record = primitive(impl.__name__, impl, *vjps, **traits)

    def function(x1: Any, x2: Any) -> Tensor:
        x1, x2 = alike(x1, x2)
        if floating and x1.data.dtype.kind != "f":
            x1, x2 = as_floating(x1), as_floating(x2)
        return bind(record, x1, x2)

    return named(function, record.name, does + ELEMENTWISE)


def alike(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return both as tensors that can be combined: if one is floating, both are."""
    if type(x1) is Tensor:  # the two most frequent cases first
        dtype = x1.data.dtype
        if type(x2) is Tensor and x2.data.dtype is dtype:
            return x1, x2
        if type(x2) is float and dtype.kind == "f":
            return x1, wrap(np.array(x2, dtype))
    if is_weak(x1) and not is_weak(x2):
        return alike(x2, x1)[::-1]
    x1 = as_tensor(x1)
    x2 = as_tensor(x2, x1.data.dtype)
    kinds = x1.data.dtype.kind + x2.data.dtype.kind
    if kinds != "ff" and "f" in kinds:
        return (cast(x1, x2.dtype), x2) if kinds[1] == "f" else (x1, cast(x2, x1.dtype))
    return x1, x2


def _symmetric(rule: Rule) -> tuple[Rule, Rule]:
    """Return the rules of both inputs of a symmetric function, from that of the first."""
    return rule, lambda ct, y, a, b: rule(ct, y, b, a)


add = binary(np.add, "Return x1 + x2.", *_symmetric(lambda ct, y, a, b: ct), linear=True)
multiply = binary(np.multiply, "Return x1 * x2.", *_symmetric(lambda ct, y, a, b: ct * b))
subtract = binary(
    np.subtract, "Return x1 - x2.", lambda ct, *_: ct, lambda ct, *_: -ct, linear=True
)
divide = binary(
    np.divide,
    "Return x1 / x2.",
    lambda ct, y, a, b: ct / b,
    lambda ct, y, a, b: -ct * y / b,
    **FRACTION,
)
_power: Binary = binary(
    np.power,
    "Return x1 ** x2.",
    # At 0 ** 0 the factor x2 makes the slope in the base 0; 0 ** -1 must not be computed.
    lambda ct, y, a, b: ct * b * _power(a, where((a == 0.0) & (b == 0.0), 0.0, b - 1.0)),
    # For a base of 0 the slope in the exponent is 0, though log 0 is not finite.
    lambda ct, y, a, b: ct * y * log(where(a == 0.0, 1.0, a)),
    **_on((0.3, 3.0), (-2.0, 2.0)),
)


def power(x1: Any, x2: Any) -> Tensor:
    """Return x1 ** x2. For an integer exponent the gradient is right for any base, 0 included.

    Elementwise; shapes broadcast as NumPy's do.
    """
    if is_weak(x2) and x2 == 2 and (x1 := as_tensor(x1)).data.dtype.kind == "f":
        return square(x1)
    return _power(x1, x2)


def _of_chosen(ct: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return `ct` where the result is the first, its half where both are equal, else 0."""
    return ct * (cast(equal(a, y), a.dtype) - 0.5 * cast(equal(a, b), a.dtype))


def _choice(impl: Any, which: str) -> Binary:
    does = f"Return the {which} of x1 and x2; where they are equal, each gets half of the gradient."
    return binary(impl, does, *_symmetric(_of_chosen), cases=(Case(2, apart=True),))


maximum, minimum = _choice(np.maximum, "larger"), _choice(np.minimum, "smaller")
fmax, fmin = _choice(np.fmax, "larger, ignoring NaN,"), _choice(np.fmin, "smaller, ignoring NaN,")


def _share(a: Tensor, b: Tensor) -> Tensor:
    """Return e ** a / (e ** a + e ** b): 1/2 where both are equal, also where both are infinite."""
    return sigmoid(where(logical_and(equal(a, b), isinf(a)), 0.0, a - b))


logaddexp = binary(
    np.logaddexp,
    "Return log(e ** x1 + e ** x2), without overflow.",
    *_symmetric(lambda ct, y, a, b: ct * _share(a, b)),
    floating=True,
)


def _radius(a: Tensor, b: Tensor) -> Tensor:
    """Return the distance from the origin; at the origin inf, which makes derivatives 0 there."""
    r = hypot(a, b)
    return where(r == 0.0, math.inf, r)


hypot: Binary = binary(
    np.hypot,
    "Return sqrt(x1 ** 2 + x2 ** 2), without overflow; the gradient at the origin is 0.",
    *_symmetric(lambda ct, y, a, b: ct * (a / _radius(a, b))),
    **FRACTION,
)
arctan2 = binary(
    np.arctan2,
    "Return the angle of the point (x2, x1), from -pi to pi; the gradient at the origin is 0.",
    lambda ct, y, a, b: ct * (b / _radius(a, b) / _radius(a, b)),
    lambda ct, y, a, b: -ct * (a / _radius(a, b) / _radius(a, b)),
    **FRACTION,
)
_QUOTIENT: dict[str, Any] = _on((2.3, 2.7), (1.0, 1.1))
floor_divide = binary(np.floor_divide, "Return the largest integer not above x1 / x2.", **_QUOTIENT)
remainder = binary(
    np.remainder,
    "Return x1 - floor(x1 / x2) * x2, which has the sign of x2.",
    lambda ct, y, a, b: ct,
    lambda ct, y, a, b: -ct * floor_divide(a, b),
    **_QUOTIENT,
)
equal: Binary = binary(np.equal, "Return whether x1 == x2.")
not_equal = binary(np.not_equal, "Return whether x1 != x2.")
less = binary(np.less, "Return whether x1 < x2.")
less_equal = binary(np.less_equal, "Return whether x1 <= x2.")
greater: Binary = binary(np.greater, "Return whether x1 > x2.")
greater_equal = binary(np.greater_equal, "Return whether x1 >= x2.")
logical_and = binary(np.logical_and, "Return whether both are nonzero.")
logical_or = binary(np.logical_or, "Return whether at least one is nonzero.")
logical_xor = binary(np.logical_xor, "Return whether exactly one is nonzero.")


# -- with an argument of another kind ---------------------------------------------------------

linear = partial(primitive, linear=True)
_linear = partial(linear, elementwise=True, cases=(Case(1),))
_where = _linear(
    "where",
    np.where,
    None,
    lambda ct, y, condition, a, b: where(condition, ct, 0.0),
    lambda ct, y, condition, a, b: where(condition, 0.0, ct),
    cases=(Case(((2, 1), (2, 3), (3,)), given={0: [[True], [False]]}),),
)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Tensor:
    """Return x1 where `condition` is true, else x2; shapes broadcast as NumPy's do.

    TypeError without x1 or x2: the shape of the true positions would depend on the numbers.
    """
    if x1 is None or x2 is None:
        raise TypeError("where: expected x1 and x2 besides the condition, received None.")
    return bind(_where, as_tensor(condition), *alike(x1, x2))


_cast = _linear(
    "cast",
    lambda x, dtype: x.astype(dtype),
    lambda ct, y, x, dtype: ct,  # the engine gives it the dtype of x
    cases=(Case(1, {"dtype": "float64"}),),
    reference=np.array,
)


def cast(x: Any, dtype: Any) -> Tensor:
    """Return `x` converted to `dtype`, or `x` itself if it has it.

    ValueError unless `dtype` is floating, integer or bool.
    """
    if not isinstance(x, Tensor):
        x = as_tensor(x) if has_operand(x) else Tensor(x, dtype)
    if x.data.dtype is dtype:
        return x
    dtype = as_dtype(dtype)
    return x if x.data.dtype == dtype else bind(_cast, x, dtype=dtype.name)


alias = _linear("alias", lambda x: x, lambda ct, y, x: ct, reference=np.array)
_CLOSE = Case(2, {"rtol": 0.5, "atol": 0.1, "equal_nan": False})
_isclose = primitive("isclose", np.isclose, cases=(_CLOSE,), elementwise=True)


def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Return whether ``|x1 - x2| <= atol + rtol * |x2|``."""
    return bind(_isclose, *alike(x1, x2), rtol=float(rtol), atol=float(atol), equal_nan=equal_nan)
