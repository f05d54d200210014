"""The primitives: every operation there is, a stanza each, the simplest first.

A stanza says what the operation computes (a NumPy function), how a cotangent `ct` of its result `y`
goes back to each input (a rule in operations of tensors, so that it can be differentiated again;
broadcasting is undone by `autodiff.py`), and what it is tested on (`Case`). Nothing else needs to
know of a new stanza: gradients of any order, the NumPy protocol and the tests read the registry.

Imports `tensor.py`. Read next: `autodiff.py`.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .tensor import Operand, Primitive, Rule, Tensor, as_dtype, as_tensor, bind, state, wrap

Unary = Callable[[Any], Tensor]
Binary = Callable[[Any, Any], Tensor]
REGISTRY: dict[str, Primitive] = {}


class Case(NamedTuple):
    """Inputs to test a primitive on, as data.

    `shapes` are those of the inputs; a number stands for so many shapes that broadcast. Numbers are
    drawn from `domains`, one interval per input (the last one repeats); `apart` keeps them away
    from each other and from 0, where a rule has kinks. `given` fixes inputs by position.
    """

    shapes: int | tuple[tuple[int, ...], ...]
    params: dict[str, Any] = {}
    domains: tuple[tuple[float, float], ...] = ((-2.0, 2.0),)
    apart: bool = False
    given: dict[int, Any] = {}


def primitive(
    name: str,
    impl: Callable[..., Any],
    *vjps: Rule | None,
    cases: tuple[Case, ...],
    linear: bool = False,
    composite: bool = False,
    each: Callable[[int], Rule | None] | None = None,
) -> Primitive:
    """Return a new primitive, known to the registry; `each` gives the rules of any number."""
    if name in REGISTRY:
        raise ValueError(f"primitive: there is one called {name!r} already.")
    REGISTRY[name] = Primitive(name, impl, each or vjps, cases, linear, composite)
    return REGISTRY[name]


# -- elementwise, of one tensor ---------------------------------------------------------------


def unary(
    impl: Callable[..., Any],
    does: str,
    *vjps: Rule,
    case: Case = Case(1),
    linear: bool = False,
    floating: bool = True,
) -> Unary:
    """Register an elementwise primitive of one input, under the name of `impl`; its function.

    With `floating`, integers and bools are converted to `floatx` first.
    """
    composite = not isinstance(impl, np.ufunc)
    record = primitive(
        impl.__name__.strip("_"), impl, *vjps, cases=(case,), linear=linear, composite=composite
    )

    def function(x: Any) -> Tensor:
        x = as_tensor(x)
        return bind(record, to_floating(x) if floating else x)

    return _named(function, record.name, does)


def _named(function: Any, name: str, does: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{does}\n\n    Elementwise; shapes broadcast as NumPy's do."
    return function


def to_floating(x: Tensor) -> Tensor:
    """Return `x`, converted to `floatx` unless it is of a floating dtype."""
    return x if x.data.dtype.kind == "f" else cast(x, state.floatx)


POSITIVE = (0.3, 3.0)
KINKED = Case(1, apart=True)

negative = unary(np.negative, "Return -x.", lambda ct, y, x: -ct, linear=True, floating=False)
square = unary(np.square, "Return x * x.", lambda ct, y, x: ct * (x * 2.0), floating=False)
exp = unary(np.exp, "Return e ** x.", lambda ct, y, x: ct * y)
expm1 = unary(np.expm1, "Return e ** x - 1.", lambda ct, y, x: ct * (y + 1.0))
log = unary(
    np.log,
    "Return the natural logarithm.",
    lambda ct, y, x: ct / x,
    case=Case(1, domains=(POSITIVE,)),
)
log1p = unary(
    np.log1p,
    "Return log(1 + x).",
    lambda ct, y, x: ct / (1.0 + x),
    case=Case(1, domains=((-0.5, 2.0),)),
)
sqrt = unary(
    np.sqrt,
    "Return the square root.",
    lambda ct, y, x: 0.5 * ct / y,
    case=Case(1, domains=(POSITIVE,)),
)
sin = unary(np.sin, "Return the sine of radians.", lambda ct, y, x: ct * cos(x))
cos: Unary = unary(np.cos, "Return the cosine of radians.", lambda ct, y, x: -ct * sin(x))
tanh = unary(np.tanh, "Return the hyperbolic tangent.", lambda ct, y, x: ct * (1.0 - y * y))


def _sigmoid(x: Any) -> Any:
    # e^x / (1 + e^x): for large negative x this is e^x itself, exact to the last denormal. Beyond
    # 40 both quotients are 1 in float64, so stopping e^x there changes nothing and never overflows;
    # in float16 they are so beyond 11.
    e = np.exp(np.minimum(x, 11.0 if x.dtype.itemsize == 2 else 40.0))
    return e / (e + 1.0)


sigmoid = unary(
    _sigmoid,
    "Return 1 / (1 + e ** -x), without overflow and exact in relative terms.",
    lambda ct, y, x: ct * (y * (1.0 - y)),
)


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.absolute(x)))


softplus = unary(
    _softplus,
    "Return log(1 + e ** x), without overflow and exact in relative terms.",
    lambda ct, y, x: ct * sigmoid(x),
)

# Of (1 + 2 x) e^(x^2) erfc(x) for x >= 0 as a polynomial in (x - 3) / (x + 3), highest power first:
# its Chebyshev series, computed with fifty digits and cut where terms fall below 1e-17. The form is
# Shepherd and Laframboise's, Mathematics of Computation 36, 1981.
_ERFC = [-3.1813541434969274e-09, -7.641962892589975e-09, 2.7843881265502222e-08]
_ERFC += [8.765881411730558e-08, -1.205414228648938e-07, -5.963983625522741e-07]
_ERFC += [3.3669790806407595e-07, 3.454294770277738e-06, -7.187883834404266e-07]
_ERFC += [-2.0089997833284275e-05, 4.94412434222366e-06, 0.00012509531076254534]
_ERFC += [-0.00010515831297813128, -0.0007798312797290158, 0.0018886900977441495]
_ERFC += [0.0025293916672051724, -0.023770514891530075, 0.06830802735638397]
_ERFC += [-0.11927366341676002, 0.12964515870228346, -0.04756229435342038]
_ERFC += [-0.13562110612457576, 1.2530080582697294]


def _erfc_of(x: Any) -> Any:
    a = np.minimum(np.abs(x, dtype=np.float64), 30.0)  # where the result has long been 0
    t = (a - 3.0) / (a + 3.0)
    y = np.full_like(a, _ERFC[0])
    for coefficient in _ERFC[1:]:
        y *= t
        y += coefficient
    rounded = a.astype(np.float32)  # whose square is exact: e^(-x^2) doubles the error of x^2
    y *= np.exp(-np.square(rounded, dtype=np.float64)) * np.exp((rounded - a) * (rounded + a))
    y /= 1.0 + 2.0 * a
    return np.where(x < 0, 2.0 - y, y).astype(x.dtype)


_erfc = primitive(
    "erfc",
    _erfc_of,
    lambda ct, y, x: ct * (exp(-square(x)) * (-2.0 / math.sqrt(math.pi))),
    cases=(Case(1),),
)


def erfc(x: Any) -> Tensor:
    """Return 1 - erf(x), the share of a normal distribution's tails, to a few ulps for any x."""
    return bind(_erfc, to_floating(as_tensor(x)))


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


relu = unary(
    _relu,
    "Return x where it is positive, else 0; the gradient at 0 is 0.",
    lambda ct, y, x: ct * cast(greater(x, 0.0), x.dtype),
    case=KINKED,
    floating=False,
)
absolute = unary(
    np.absolute,
    "Return the distance from 0; the gradient at 0 is 0.",
    lambda ct, y, x: ct * sign(x),
    case=KINKED,
    floating=False,
)
sign: Unary = unary(np.sign, "Return -1, 0 or 1.", case=KINKED, floating=False)
floor = unary(np.floor, "Return the largest whole number not above x.", case=KINKED)
isfinite = unary(np.isfinite, "Return whether x is neither infinite nor NaN.")
logical_not = unary(np.logical_not, "Return whether x is 0.", floating=False)


# -- elementwise, of two tensors --------------------------------------------------------------


def binary(
    impl: Callable[..., Any],
    does: str,
    *vjps: Rule,
    case: Case = Case(2),
    linear: bool = False,
    floating: bool = False,
) -> Binary:
    """Register an elementwise primitive of two inputs, under the name of `impl`; its function."""
    record = primitive(impl.__name__, impl, *vjps, cases=(case,), linear=linear)

    def function(x1: Any, x2: Any) -> Tensor:
        x1, x2 = alike(x1, x2)
        if floating and x1.data.dtype.kind != "f":
            x1, x2 = to_floating(x1), to_floating(x2)
        return bind(record, x1, x2)

    return _named(function, record.name, does)


def alike(x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Return both as tensors that may be combined: integers beside floats become floats."""
    if type(x1) is Tensor:  # the two most frequent cases first
        dtype = x1.data.dtype
        if type(x2) is Tensor and x2.data.dtype is dtype:
            return x1, x2
        if type(x2) is float and dtype.kind == "f":
            return x1, wrap(np.array(x2, dtype))
    if isinstance(x1, Operand) or isinstance(x2, (int, float, np.generic)):
        x1 = as_tensor(x1)
        x2 = as_tensor(x2, x1.data.dtype)
    else:
        x2 = as_tensor(x2)
        x1 = as_tensor(x1, x2.data.dtype)
    kinds = x1.data.dtype.kind + x2.data.dtype.kind
    if kinds != "ff" and "f" in kinds:
        return (cast(x1, x2.dtype), x2) if kinds[1] == "f" else (x1, cast(x2, x1.dtype))
    return x1, x2


add = binary(
    np.add, "Return x1 + x2.", lambda ct, y, x1, x2: ct, lambda ct, y, x1, x2: ct, linear=True
)
subtract = binary(
    np.subtract, "Return x1 - x2.", lambda ct, y, x1, x2: ct, lambda ct, y, x1, x2: -ct, linear=True
)
multiply = binary(
    np.multiply,
    "Return x1 * x2.",
    lambda ct, y, x1, x2: ct * x2,
    lambda ct, y, x1, x2: ct * x1,
)
divide = binary(
    np.divide,
    "Return x1 / x2.",
    lambda ct, y, x1, x2: ct / x2,
    lambda ct, y, x1, x2: -ct * y / x2,
    case=Case(2, domains=((-2.0, 2.0), POSITIVE)),
    floating=True,
)


def _both_zero(x1: Tensor, x2: Tensor) -> Tensor:
    return logical_and(equal(x1, 0.0), equal(x2, 0.0))


_power: Binary = binary(
    np.power,
    "Return x1 ** x2; a base of 0 or below has the right gradient where the exponent is whole.",
    # At 0 ** 0 the slope in the base is 0, by the factor x2; 0 must not be raised to -1.
    lambda ct, y, x1, x2: ct * x2 * _power(x1, where(_both_zero(x1, x2), 0.0, x2 - 1.0)),
    # The slope in the exponent at a base of 0 is 0, though log 0 is not finite.
    lambda ct, y, x1, x2: ct * y * log(where(equal(x1, 0.0), 1.0, x1)),
    case=Case(2, domains=(POSITIVE, (-2.0, 2.0))),
)


def power(x1: Any, x2: Any) -> Tensor:
    if isinstance(x2, (int, float)) and x2 == 2:
        x1 = as_tensor(x1)
        if x1.data.dtype.kind == "f":
            return square(x1)
    return _power(x1, x2)


power.__doc__ = _power.__doc__


def _share(larger: Tensor, smaller: Tensor) -> Tensor:
    """Return 1 where the first is larger, 1/2 where they are equal, else 0."""
    over, tied = greater(larger, smaller), equal(larger, smaller)
    return cast(over, larger.dtype) + 0.5 * cast(tied, larger.dtype)


maximum = binary(
    np.maximum,
    "Return the larger of x1 and x2; where they are equal, each has half of the gradient.",
    lambda ct, y, x1, x2: ct * _share(x1, x2),
    lambda ct, y, x1, x2: ct * _share(x2, x1),
    case=Case(2, apart=True),
)
minimum = binary(
    np.minimum,
    "Return the smaller of x1 and x2; where they are equal, each has half of the gradient.",
    lambda ct, y, x1, x2: ct * _share(x2, x1),
    lambda ct, y, x1, x2: ct * _share(x1, x2),
    case=Case(2, apart=True),
)
equal: Binary = binary(np.equal, "Return whether x1 == x2.")
not_equal = binary(np.not_equal, "Return whether x1 != x2.")
less = binary(np.less, "Return whether x1 < x2.")
less_equal = binary(np.less_equal, "Return whether x1 <= x2.")
greater: Binary = binary(np.greater, "Return whether x1 > x2.")
greater_equal = binary(np.greater_equal, "Return whether x1 >= x2.")
logical_and = binary(np.logical_and, "Return whether both are nonzero.")
logical_or = binary(np.logical_or, "Return whether one of them is nonzero.")


# -- elementwise, with an argument of another kind --------------------------------------------

_where = primitive(
    "where",
    np.where,
    None,
    lambda ct, y, condition, x1, x2: where(condition, ct, 0.0),
    lambda ct, y, condition, x1, x2: where(condition, 0.0, ct),
    cases=(
        Case(((2, 3), (2, 3), (2, 3)), given={0: [[True, False, True], [False, False, True]]}),
        Case(((2, 1), (1, 3), ()), given={0: [[True], [False]]}),
    ),
    linear=True,
)


def where(condition: Any, x1: Any = None, x2: Any = None) -> Tensor:
    """Return x1 where `condition` holds, else x2; shapes broadcast as NumPy's do.

    TypeError without x1 or x2: the places where it holds would be of a shape that depends on it.
    """
    if x1 is None or x2 is None:
        raise TypeError("where: expected x1 and x2 beside the condition, received None.")
    return bind(_where, as_tensor(condition), *alike(x1, x2))


_cast = primitive(
    "cast",
    lambda x, dtype: x.astype(dtype),
    lambda ct, y, x, dtype: ct,  # the engine gives it the dtype of x
    cases=(Case(1, {"dtype": "float64"}),),
    linear=True,
)


def cast(x: Any, dtype: Any) -> Tensor:
    """Return `x` converted to `dtype`: itself if it has it. ValueError for an unsuitable dtype."""
    x = as_tensor(x) if isinstance(x, Operand) else Tensor(x, dtype)
    if x.data.dtype is dtype:
        return x
    dtype = as_dtype(dtype)
    return x if x.data.dtype == dtype else bind(_cast, x, dtype=dtype.name)


alias = primitive("alias", lambda x: x, lambda ct, y, x: ct, cases=(Case(1),), linear=True)


# -- products ---------------------------------------------------------------------------------


def _columns(x: Tensor) -> Tensor:
    """Return `x` with its last two axes exchanged."""
    return bind(_transpose, x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matrices(ct: Tensor, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a product's cotangent and inputs as matrices: x1 may be a row, x2 a column."""
    if x2.ndim == 1:
        ct, x2 = reshape(ct, (*ct.shape, 1)), reshape(x2, (x2.size, 1))
    if x1.ndim == 1:
        ct, x1 = reshape(ct, (*ct.shape[:-1], 1, ct.shape[-1])), reshape(x1, (1, x1.size))
    return ct, x1, x2


def _matmul_rule_1(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, _, right = _matrices(ct, x1, x2)
    return ct @ _columns(right)


def _matmul_rule_2(ct: Tensor, y: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    ct, left, _ = _matrices(ct, x1, x2)
    out = _columns(left) @ ct
    return out if x2.ndim > 1 else reshape(out, out.shape[:-1])


def _product(x1: Any, x2: Any) -> Any:
    # For matrices np.dot gives the same numbers in half the time, when they are small.
    return np.dot(x1, x2) if x1.ndim == x2.ndim == 2 else np.matmul(x1, x2)


_matmul = primitive(
    "matmul",
    _product,
    _matmul_rule_1,
    _matmul_rule_2,
    cases=(
        Case(((2, 3), (3, 4))),
        Case(((3, 3), (3, 3))),
        Case(((3,), (3,))),
        Case(((3,), (3, 2))),
        Case(((2, 3), (3,))),
        Case(((2, 1, 4, 3), (5, 3, 2))),
        Case(((3,), (4, 3, 2))),
        Case(((4, 2, 3), (3,))),
    ),
)


def matmul(x1: Any, x2: Any) -> Tensor:
    """Return the matrix product over the last axis of x1 and the last but one of x2.

    Every rank that NumPy allows: vectors are rows on the left and columns on the right, leading
    axes are stacks of matrices and broadcast. ValueError if the lengths do not fit.
    """
    return bind(_matmul, *alike(x1, x2))


# -- reductions -------------------------------------------------------------------------------


def reduced(x: Tensor, axis: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape of `x` with length 1 along `axis`, or along all axes for None."""
    return tuple(1 if axis is None or i in axis else n for i, n in enumerate(x.shape))


def _extreme_rule(ct: Tensor, y: Tensor, x: Tensor, axis: Any, keepdims: bool) -> Tensor:
    shape = reduced(x, axis)
    ties = cast(equal(x, reshape(y, shape)), x.dtype)  # those that are the extreme share 1
    return ties * (reshape(ct, shape) / sum(ties, axis, keepdims=True))


_REDUCTIONS = (
    Case(((2, 3),), {"axis": None, "keepdims": False}, apart=True),
    Case(((2, 3, 2),), {"axis": (0, 2), "keepdims": False}, apart=True),
    Case(((2, 3),), {"axis": (1,), "keepdims": True}, apart=True),
)
_sum = primitive(
    "sum",
    lambda x, axis, keepdims: np.add.reduce(x, axis, keepdims=keepdims),
    lambda ct, y, x, axis, keepdims: broadcast_to(
        ct if axis is None else reshape(ct, reduced(x, axis)), x.shape
    ),
    cases=_REDUCTIONS,
    linear=True,
)
_max = primitive(
    "max",
    lambda x, axis, keepdims: np.maximum.reduce(x, axis, keepdims=keepdims),
    _extreme_rule,
    cases=_REDUCTIONS,
)
_min = primitive(
    "min",
    lambda x, axis, keepdims: np.minimum.reduce(x, axis, keepdims=keepdims),
    _extreme_rule,
    cases=_REDUCTIONS,
)
_argmax = primitive("argmax", np.argmax, cases=(Case(((2, 3),), {"axis": 1}, apart=True),))


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the sum along `axis`: an integer, several, or None for all."""
    x = as_tensor(x)
    return bind(_sum, x, axis=axes_of(x, axis), keepdims=bool(keepdims))


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the largest element along `axis`; equal ones share the gradient."""
    x = as_tensor(x)
    return bind(_max, x, axis=axes_of(x, axis), keepdims=bool(keepdims))


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Return the smallest element along `axis`; equal ones share the gradient."""
    x = as_tensor(x)
    return bind(_min, x, axis=axes_of(x, axis), keepdims=bool(keepdims))


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Return where along `axis` the largest element first stands; None counts through all."""
    x = as_tensor(x)
    place = bind(_argmax, x, axis=None if axis is None else axis_of(x, axis))
    if not keepdims:
        return place
    ones = range(x.ndim) if axis is None else [axis_of(x, axis)]
    return reshape(place, tuple(1 if i in ones else n for i, n in enumerate(x.shape)))


def axes_of(x: Tensor, axis: Any, argument: str = "axis") -> tuple[int, ...] | None:
    """Return `axis` counted from the front, as a tuple; None stays None, for all axes.

    Raises
    ------
    ValueError
        When an axis is out of range or named twice.
    """
    if axis is None:
        return None
    ndim = x.data.ndim
    found = tuple([i + ndim if i < 0 else i for i in ints(axis, argument)])
    if len({*found, *range(ndim)}) != ndim or (len(found) > 1 and len(set(found)) != len(found)):
        raise ValueError(
            f"{argument}: expected different axes of a tensor of shape {x.shape}, received {axis}."
        )
    return found


def axis_of(x: Tensor, axis: Any, argument: str = "axis") -> int:
    """Return one `axis` counted from the front; ValueError when out of range or not just one."""
    found = axes_of(x, axis, argument) or ()
    if len(found) != 1:
        raise ValueError(f"{argument}: expected one axis, received {axis}.")
    return found[0]


def ints(value: Any, argument: str) -> tuple[int, ...]:
    """Return an integer or a sequence of them as a tuple; TypeError naming `argument`."""
    try:
        sequence = value if isinstance(value, (tuple, list, np.ndarray)) else (value,)
        return tuple(map(operator.index, sequence))
    except (TypeError, AttributeError):
        raise TypeError(f"{argument}: expected integers, received {value!r}.") from None


# -- shapes -----------------------------------------------------------------------------------


def _repeated(x: Any, shape: tuple[int, ...]) -> Any:
    out = np.empty(shape, x.dtype)  # for small arrays several times faster than np.broadcast_to
    out[...] = x
    return out


_reshape = primitive(
    "reshape",
    lambda x, newshape: x.reshape(newshape),
    lambda ct, y, x, newshape: reshape(ct, x.shape),
    cases=(
        Case(((2, 3),), {"newshape": (3, 1, 2)}),
        Case(((2, 3),), {"newshape": (6,)}),
        Case(((1, 1),), {"newshape": ()}),
    ),
    linear=True,
)
_transpose = primitive(
    "transpose",
    lambda x, axes: x.transpose(axes),
    lambda ct, y, x, axes: transpose(ct, tuple(axes.index(i) for i in range(x.ndim))),
    cases=(Case(((2, 3),), {"axes": (1, 0)}), Case(((2, 3, 4),), {"axes": (1, 2, 0)})),
    linear=True,
)
_broadcast_to = primitive(
    "broadcast_to",
    _repeated,
    lambda ct, y, x, shape: ct,  # the engine undoes broadcasting
    cases=(Case(((3,),), {"shape": (2, 3)}), Case(((2, 1),), {"shape": (4, 2, 3)})),
    linear=True,
)


def reshape(x: Any, newshape: int | tuple[int, ...]) -> Tensor:
    """Return the elements of `x`, in the same order, in another shape; one length may be -1."""
    x, shape = as_tensor(x), ints(newshape, "newshape")
    if -1 in shape:
        known = -math.prod(shape)
        if known > 0 and x.size % known == 0:
            shape = tuple(x.size // known if n == -1 else n for n in shape)
    return bind(_reshape, x, newshape=shape)


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Tensor:
    """Return `x` with its axes in the order `axes`, reversed by default."""
    x = as_tensor(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else axes_of(x, axes, "axes")
    return bind(_transpose, x, axes=order)


def broadcast_to(x: Any, shape: int | tuple[int, ...]) -> Tensor:
    """Return `x` repeated along new axes and axes of length 1 until it has `shape`."""
    x, shape = as_tensor(x), ints(shape, "shape")
    return x if x.shape == shape else bind(_broadcast_to, x, shape=shape)


def _concatenate_rule(position: int) -> Rule:
    def rule(ct: Tensor, y: Tensor, *xs: Tensor, axis: int) -> Tensor:
        start = builtins.sum(x.shape[axis] for x in xs[:position])
        here = slice(start, start + xs[position].shape[axis])
        return getitem(ct, (slice(None),) * axis + (here,))

    return rule


_concatenate = primitive(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis),
    each=_concatenate_rule,
    cases=(Case(((2, 3), (2, 1), (2, 2)), {"axis": 1}), Case(((2, 3), (2, 3)), {"axis": 0})),
    linear=True,
)


def concatenate(xs: Any, axis: int = 0) -> Tensor:
    """Return the tensors `xs` one after the other along `axis`.

    ValueError if there are none, or their shapes differ along another axis.
    """
    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ValueError("concatenate: expected at least one tensor, received none.")
    floating = [x.dtype for x in tensors if x.data.dtype.kind == "f"]
    if floating:
        tensors = [x if x.data.dtype.kind == "f" else cast(x, floating[0]) for x in tensors]
    return bind(_concatenate, *tensors, axis=axis_of(tensors[0], axis))


# -- indexing ---------------------------------------------------------------------------------


class Slice(NamedTuple):
    """A slice among the params (Python's own is not hashable before 3.12)."""

    start: int | None
    stop: int | None
    step: int | None


ARRAY = "array"  # stands among the params for an index array, which is an input


def _index(index: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the index as NumPy takes it."""
    rest = iter(arrays)
    return tuple(
        slice(*i) if isinstance(i, Slice) else next(rest) if i == ARRAY else i for i in index
    )


def _put(ct: Any, *arrays: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, ct.dtype)
    if arrays:
        np.add.at(out, _index(index, arrays), ct)  # an element taken twice gets both
    else:
        out[_index(index, ())] = ct
    return out


_getitem = primitive(
    "getitem",
    lambda x, *arrays, index: x[_index(index, arrays)],
    lambda ct, y, x, *arrays, index: bind(_scatter, ct, *arrays, index=index, shape=x.shape),
    cases=(
        Case(((4, 3),), {"index": (Slice(1, 4, 2), 0)}),
        Case(((2, 3),), {"index": (Ellipsis, None, Slice(None, None, -1))}),
        Case(((4,), (4,)), {"index": (ARRAY,)}, given={1: [2, 0, 2, 1]}),
        Case(((4, 3), (2,), (2,)), {"index": (ARRAY, ARRAY)}, given={1: [1, 1], 2: [0, 0]}),
    ),
    linear=True,
)
_scatter: Primitive = primitive(
    "scatter",
    _put,
    lambda ct, y, x, *arrays, index, shape: bind(_getitem, ct, *arrays, index=index),
    cases=(
        Case(((2,),), {"index": (Slice(1, 4, 2), 0), "shape": (4, 3)}),
        Case(((4,), (4,)), {"index": (ARRAY,), "shape": (4,)}, given={1: [2, 0, 2, 1]}),
    ),
    linear=True,
)


def getitem(x: Any, index: Any) -> Tensor:
    """Return ``x[index]``: integers, slices, ``...``, None, integer and bool arrays, as in NumPy.

    An element that is taken twice gets both gradients. IndexError if out of range.
    """
    x = as_tensor(x)
    static: list[Any] = []
    arrays: list[Tensor] = []
    for i in index if isinstance(index, tuple) else (index,):
        if isinstance(i, slice):
            ends = (i.start, i.stop, i.step)
            static.append(Slice(*(n if n is None else ints((n,), "slice")[0] for n in ends)))
        elif i is None or i is Ellipsis:
            static.append(i)
        elif isinstance(i, (int, np.integer)) and not isinstance(i, bool):
            static.append(int(i))
        else:
            parts = _index_arrays(x, i, index)
            static.extend(ARRAY for _ in parts)
            arrays.extend(parts)
    return bind(_getitem, x, *arrays, index=tuple(static))


def _index_arrays(x: Tensor, i: Any, index: Any) -> tuple[Tensor, ...]:
    """Return `i`, an array or list in `index`, as index arrays: one per axis for a mask."""
    if isinstance(i, Operand) and as_tensor(i).data.dtype.kind != "b":
        return (as_tensor(i),)
    found = np.asarray(i, int) if isinstance(i, list) and not np.size(i) else np.asarray(i)
    if found.dtype.kind != "b":
        return (wrap(np.array(found)),)
    if not found.ndim:
        raise IndexError(f"getitem: expected integers, slices or arrays, received {i!r}.")
    try:
        np.broadcast_to(False, x.shape)[index]  # nonzero forgets how long the mask was
    except IndexError as error:
        raise IndexError(f"getitem() of shape {x.shape}: {error}") from None
    return tuple(wrap(part) for part in np.nonzero(found))
