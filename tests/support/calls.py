"""Calls of NumPy's functions and methods as text, which the tests evaluate for arrays and tensors.

The names of the arguments are the keys of `ARRAYS`. All of their numbers are different, and away
from places where a function has a kink.
"""

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np


def _numbers(*shape: int) -> np.ndarray:
    """Return different odd tenths from -1.9 to 1.9, in an irregular order."""
    odd = np.arange(-19, 20, 2) / 10
    return np.random.default_rng(sum(shape)).permutation(odd)[: int(np.prod(shape))].reshape(shape)


ARRAYS: dict[str, np.ndarray] = {
    "x": _numbers(2, 3),
    "y": _numbers(2, 3)[::-1, ::-1] * 1.1 + 0.03,
    "v": _numbers(3),
    "w": _numbers(3)[::-1] + 0.47,
    "s": _numbers(3, 3),
    "c": _numbers(2, 3, 2),
    "p": np.abs(_numbers(2, 3)) + 0.13,  # positive
    "u": _numbers(2, 3) / 2.1,  # between -1 and 1
    "z": np.array([[0.0, 2.0, 0.0], [3.0, 0.0, -1.0]]),
    "n": np.array([[np.nan, 2.0, 0.5], [3.0, np.nan, -1.0]]),
    "t": np.array(0.7),
}

# What has a gradient.
SMOOTH = """
absolute(x); add(x, y); arccos(u); arccosh(p + 1); arcsin(u); arcsinh(x); arctan(x); arctanh(u)
arctan2(x, y); cbrt(p); conjugate(x); cos(x); cosh(x); deg2rad(x); degrees(x)
divide(x, p); exp(x); exp2(x); expm1(x); fabs(x); fmax(x, y); fmin(x, y)
hypot(x, y); log(p); log10(p); log1p(p); log2(p); logaddexp(x, y); maximum(x, y); minimum(x, y)
mod(x, 0.37); multiply(x, y); negative(x); positive(x); power(p, y); rad2deg(x); radians(x); real(x)
reciprocal(p); remainder(x, p); sin(x); sinc(x); sinh(x); sqrt(p); square(x); subtract(x, y); tan(u)
tanh(x); true_divide(x, p); copy(x); sum(x); sum(x, 1); sum(x, axis=(0, 1), keepdims=True)
sum(x, initial=2.0); sum(x, 0, None, None); sum(x, where=x > 0)
sum(x, 0, where=[True, False, True], initial=t); prod(x); prod(x, 1)
prod(c, axis=(0, 2), keepdims=True); prod(x, initial=t); prod(x, where=x > 0); prod(z[:1, :2])
prod(z, 0); prod(z, axis=1); cumprod(z, 1); cumprod(x, axis=0); cumprod(x); cumsum(x); cumsum(x, 1)
cumsum(c, axis=-2); cumsum(t); cumsum(x, 0, "float64"); prod(x, dtype="float64"); max(x)
max(x, axis=0); max(x, initial=0.5)
max(x, where=x < 0.5, initial=-5.0); amax(x, 1); amin(x); min(x); min(x, 1, keepdims=True)
min(x, initial=0.5); min(x, where=x > -0.4, initial=5.0); mean(x); mean(x, -1, keepdims=True)
mean(x, where=x > -0.4); var(x); var(x, axis=0, keepdims=True)
var(x, ddof=1); var(x, 1, ddof=2); var(x, where=x > -1.0); std(x); std(x, 1); std(x, axis=0, ddof=1)
std(x, None, None, None, 1); ptp(x); ptp(x, axis=1); ptp(x, 0, keepdims=True)
diff(x); diff(x, 2); diff(c, axis=0); diff(x, n=0)
nansum(n); nansum(n, 0)
nansum(n, axis=1, keepdims=True); nansum(n, initial=1.0); nanmean(n); nanmean(n, 1)
nanmean(n, where=~isnan(n)); nanprod(n); nanprod(n, 0); nanmax(n, 0); nanmax(n); nanmin(n)
nanmin(n, axis=1); nanvar(n); nanvar(n, 1); nanvar(n, ddof=1); nanstd(n); nanstd(n, axis=1, ddof=0)
clip(x, -0.6, 1.2); clip(x, None, 0.4); clip(x, -0.4, None); clip(x, y, 1.0)
clip(x, a_min=-0.6, a_max=p); divmod(x, p)[1]; where(x > 0, x, y); where(x > 0, 2.0, x)
reshape(x, (3, 2)); reshape(x, -1); ravel(x); ravel(t)
transpose(x); transpose(c, axes=(1, 0, 2)); swapaxes(x, 0, -1); moveaxis(c, 0, -1)
moveaxis(c, [0, 1], [-1, 0]); moveaxis(c, (2, 0), (0, 2)); expand_dims(x, 1)
expand_dims(x, axis=-1); squeeze(x[:1]); squeeze(x[:1], axis=0); broadcast_to(x, (4, 2, 3))
atleast_1d(t); atleast_1d(x, v); atleast_2d(v); concatenate([x, y], 1)
concatenate((x, y, x), axis=-1); stack([x, y]); stack((x, y), axis=-1); vstack([x, v])
vstack((v, w)); hstack([x, y]); hstack((v, w, [1.0, 2.0]))
column_stack([v, w]); column_stack((s, v)); split(v, 3); split(s, 3, axis=1); split(x, [1, 2], -1)
flip(x); flip(x, 0); flip(c, axis=(0, -1))
rot90(x); rot90(c, 2, (1, 2)); rot90(x, k=-1); roll(x, 1); roll(x, -2, axis=1)
roll(x, (1, 2), axis=(0, 1)); repeat(x, 2); repeat(x, 2, axis=1); repeat(v, [1, 0, 2]); tile(v, 2)
tile(x, (2, 1)); tile(v, (2, 2)); diag(v); diag(v, 1); diag(s); diag(x, k=-1); diagonal(s)
diagonal(c, 1); diagonal(c, 0, 1, 2); trace(s); trace(c); trace(s, offset=1)
trace(c, axis1=1, axis2=2); tril(s); tril(c, -1); triu(s, k=1); pad(v, 2); pad(x, ((1, 0), (0, 2)))
pad(x, 1, constant_values=2.5); pad(x, 1, mode="edge"); pad(v, 2, "reflect")
pad(v, (0, 2), "symmetric"); pad(x, ((0, 1), (1, 0)), "wrap")
pad(x, 1, "constant", constant_values=t); take(x, [0, 2, 2], axis=1); take(x, 4)
take(x, [[0, 5], [1, 1]]); take(v, -1)
take_along_axis(x, argsort(x, 1)[:, 1:], axis=1); take_along_axis(x, argsort(x, 0)[:1], 0)
average(x); average(x, 1); average(x, weights=p); average(x, 0, p); average(x, 1, v)
sort(x)
sort(x, axis=0); sort(x, axis=None)
full_like(x, t); full_like(x, v, dtype="float64")
dot(x, s); dot(v, w); dot(x, v); dot(c, v[:2]); dot(v, c); dot(x, c); dot(t, x); inner(x, y)
inner(v, w); inner(x, v); inner(c, c[0]); inner(x, t); outer(v, w); outer(x, v)
matmul(x, s); matmul(v, s); tensordot(x, s, 1); tensordot(x, y)
tensordot(x, y, axes=([0, 1], [0, 1])); tensordot(c, x, axes=([1, 0], [1, 0]))
tensordot(x, c, (1, 1)); tensordot(v, w, 0); kron(x, s); kron(v, w); kron(x, v); kron(x, t)
einsum("ij,jk->ik", x, s); einsum("ij,jk", x, s); einsum("ii", s); einsum("ii->i", s)
einsum("ij->ji", x); einsum("ij->", x); einsum("i,j,k->kij", v, w, v)
einsum("...j,j->...", c[..., 0], v); einsum("ijk->k", c); einsum("...i,...i", x, v)
einsum("i...->...", c); einsum("ii,ij->j", s, s); einsum("iji->j", c[:, :, :2])
einsum(" ij , kj -> ik ", x, y, optimize=True); einsum("ij,->ij", x, t)
einsum("a...b,b...->a...", x, v); einsum("iii->i", c[:2, :2, :2] * 1.0)
einsum("ij,ij->i", x[:, :1], y)
"""

# Predicates, counts, indices, shapes: constants.
CONSTANT = """
equal(x, y); not_equal(x, 0.5); less(x, y); less_equal(x, y); greater(x, y); greater_equal(x, y)
isfinite(n); isinf(n); isnan(n); signbit(x); logical_and(z, x); logical_or(z, 0); logical_not(z)
logical_xor(z, x); sign(x); floor(x); ceil(x); trunc(x); fix(x); rint(x); floor_divide(x, p)
round(x); around(x, 1); round(x, 1); round(x, decimals=-1); any(z); any(z, 0)
any(z, axis=1, keepdims=True); all(z); all(x, 1); all(z > -2, where=z > 0); argmax(x)
argmax(x, axis=1); argmax(x, 0, keepdims=True); argmin(x); argmin(x, axis=1); argsort(x)
argsort(x, 0); argsort(x, axis=None); count_nonzero(z, axis=1); count_nonzero(z, 0, keepdims=True)
isclose(x, y); isclose(x, x + 1e-9); isclose(n, n, equal_nan=True); searchsorted(sort(v), w)
searchsorted(sort(v), x, side="right")
zeros_like(x); ones_like(x)
ones_like(x, dtype="int64"); full_like(x, 2.5); ndim(x); size(x); shape(x)
"""

# These look at the numbers, and therefore cannot be recorded.
OF_NUMBERS = """
nonzero(z); allclose(x, x + 1e-9); allclose(x, y); allclose(x, y, atol=9.0)
allclose(n, n); allclose(n, n, equal_nan=True)
"""

METHODS = """
x.sum(); x.sum(0); x.sum(axis=1, keepdims=True); x.mean(1); x.max(0); x.min(); x.reshape(3, 2)
x.reshape((3, 2)); c.transpose(1, 0, 2); x.ravel(); x.flatten(); x.dot(s); x.std(); x.std(0, ddof=1)
x.var(axis=1); x.var(ddof=1, keepdims=True); x.prod(); x.prod(axis=0); x.cumsum(); x.cumsum(1)
x.cumprod(axis=0); x[:1].squeeze(); x[:1].squeeze(0); x.repeat(2); x.repeat(2, axis=0); x.copy()
x.clip(-0.6, 1.2); x.clip(min=0.0); x.clip(max=p); x.clip(None, 0.4); x.swapaxes(0, 1); s.diagonal()
s.diagonal(1); s.trace(); s.trace(offset=1); x.take([0, 2], axis=1); x.T; c.mT; x @ s
x @ [1.0, 2.0, 3.0]; [1.0, 2.0] @ x; x % p; x % 0.37; 0.37 % p; divmod(x, p)[1]; divmod(0.37, p)[1]
+x; -x; abs(x); 2.0 ** x; p ** 0.5; x / p; 1.0 / p
"""
METHODS_CONSTANT = """
x.argmax(); x.argmax(1); x.argmin(axis=0); x.argsort(); z.any(); z.any(1); z.all(axis=0); x.round()
x.round(1); x.round(decimals=1); round(x, 1); x // p; 1.0 // p; divmod(x, p)[0]; v.tolist()
x.tolist(); t.tolist(); (x > 0) & (y > 0); (x > 0) | (y > 0); (x > 0) ^ (y > 0); ~(x > 0)
"""


def calls(table: str) -> list[str]:
    """Return the calls in a table."""
    return [call.strip() for call in re.split(r"[;\n]", table) if call.strip()]


def names_in(call: str) -> list[str]:
    """Return the names of the arrays in a call."""
    found = {node.id for node in ast.walk(ast.parse(call)) if isinstance(node, ast.Name)}
    return [name for name in ARRAYS if name in found]


def functions_in(call: str) -> set[str]:
    """Return the names of the functions in a call."""
    nodes = (node.func for node in ast.walk(ast.parse(call)) if isinstance(node, ast.Call))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def evaluated(call: str, library: Any = np) -> Callable[..., Any]:
    """Return a call as a function of its arrays, in their order in `ARRAYS`."""
    code, names = compile(call, call, "eval"), names_in(call)
    functions = {
        name: getattr(library, name) for name in functions_in(call) if hasattr(library, name)
    }
    return lambda *arrays: eval(code, functions, dict(zip(names, arrays, strict=True)))


def arguments(call: str, dtype: str = "float64") -> list[np.ndarray]:
    return [ARRAYS[name].astype(dtype) for name in names_in(call)]
