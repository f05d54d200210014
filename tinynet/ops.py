"""Functions of tensors, under the names of keras.ops and NumPy: ``tn.ops.exp(x)``.

They take tensors, variables, arrays and numbers, and return tensors. On a placeholder, which
`Input` or a layer returns, they make a node of the graph of layers: see `layers/operation.py`.
"""

from types import FunctionType

from .engine.placeholder import taking_placeholders
from .engine.primitives.elementwise import absolute as absolute, add as add, arccos as arccos
from .engine.primitives.elementwise import arccosh as arccosh, arcsin as arcsin, arcsinh as arcsinh
from .engine.primitives.elementwise import arctan as arctan, arctan2 as arctan2, arctanh as arctanh
from .engine.primitives.elementwise import cast as cast, cbrt as cbrt, ceil as ceil, cos as cos
from .engine.primitives.elementwise import cosh as cosh, deg2rad as deg2rad, divide as divide
from .engine.primitives.elementwise import equal as equal, erfc as erfc, exp as exp, exp2 as exp2
from .engine.primitives.elementwise import expm1 as expm1, fabs as fabs, floor as floor
from .engine.primitives.elementwise import floor_divide as floor_divide, fmax as fmax, fmin as fmin
from .engine.primitives.elementwise import greater as greater, greater_equal as greater_equal
from .engine.primitives.elementwise import hypot as hypot, isclose as isclose
from .engine.primitives.elementwise import isfinite as isfinite, isinf as isinf
from .engine.primitives.elementwise import isnan as isnan, less as less, less_equal as less_equal
from .engine.primitives.elementwise import log as log, log10 as log10, log1p as log1p, log2 as log2
from .engine.primitives.elementwise import logaddexp as logaddexp, logical_and as logical_and
from .engine.primitives.elementwise import logical_not as logical_not, logical_or as logical_or
from .engine.primitives.elementwise import logical_xor as logical_xor, maximum as maximum
from .engine.primitives.elementwise import minimum as minimum, multiply as multiply
from .engine.primitives.elementwise import negative as negative, not_equal as not_equal
from .engine.primitives.elementwise import positive as positive, power as power, rad2deg as rad2deg
from .engine.primitives.elementwise import reciprocal as reciprocal, relu as relu
from .engine.primitives.elementwise import remainder as remainder, rint as rint, sigmoid as sigmoid
from .engine.primitives.elementwise import sign as sign, signbit as signbit, sin as sin
from .engine.primitives.elementwise import sinh as sinh, softplus as softplus, sqrt as sqrt
from .engine.primitives.elementwise import square as square, subtract as subtract, tan as tan
from .engine.primitives.elementwise import tanh as tanh, trunc as trunc, where as where
from .engine.primitives.shapes import broadcast_to as broadcast_to, concatenate as concatenate
from .engine.primitives.shapes import reshape as reshape, transpose as transpose
from .engine.primitives.products import einsum as einsum, matmul as matmul
from .engine.primitives.reductions import all as all, any as any, argmax as argmax, argmin as argmin
from .engine.primitives.reductions import argsort as argsort, cumsum as cumsum, max as max
from .engine.primitives.reductions import min as min, nanmax as nanmax, nanmin as nanmin
from .engine.primitives.reductions import searchsorted as searchsorted, sum as sum
from .engine.primitives.indexing import getitem as getitem
from .engine.primitives.linalg import cholesky as cholesky, det as det, eigh as eigh
from .engine.primitives.linalg import eigvalsh as eigvalsh, inv as inv, norm as norm
from .engine.primitives.linalg import pinv as pinv, slogdet as slogdet, solve as solve
from .engine.primitives.linalg import svd as svd, svdvals as svdvals
from .engine.primitives.special import erf as erf, erfinv as erfinv
from .engine.arrays import arange as arange, eye as eye, full as full, identity as identity
from .engine.arrays import linspace as linspace, take_along_axis as take_along_axis
from .engine.arrays import atleast_1d as atleast_1d, atleast_2d as atleast_2d
from .engine.arrays import column_stack as column_stack, copy as copy, diag as diag
from .engine.arrays import diagonal as diagonal, expand_dims as expand_dims, flip as flip
from .engine.arrays import full_like as full_like, hstack as hstack, moveaxis as moveaxis
from .engine.arrays import ndim as ndim, nonzero as nonzero, ones as ones, ones_like as ones_like
from .engine.arrays import pad as pad, ravel as ravel, repeat as repeat, roll as roll
from .engine.arrays import rot90 as rot90, shape as shape, size as size, sort as sort
from .engine.arrays import split as split, squeeze as squeeze, stack as stack, swapaxes as swapaxes
from .engine.arrays import take as take, tile as tile, tril as tril, triu as triu, vstack as vstack
from .engine.arrays import zeros as zeros, zeros_like as zeros_like
from .engine.functional import allclose as allclose, average as average, clip as clip
from .engine.functional import convert_to_numpy as convert_to_numpy
from .engine.functional import convert_to_tensor as convert_to_tensor
from .engine.functional import count_nonzero as count_nonzero, cumprod as cumprod
from .engine.functional import divide_no_nan as divide_no_nan, divmod as divmod, dot as dot
from .engine.functional import inner as inner, kron as kron, log_softmax as log_softmax
from .engine.functional import logsumexp as logsumexp, mean as mean, nanmean as nanmean
from .engine.functional import nanprod as nanprod, nanstd as nanstd, nansum as nansum
from .engine.functional import nanvar as nanvar, one_hot as one_hot, outer as outer
from .engine.functional import prod as prod, ptp as ptp
from .engine.functional import round as round, sinc as sinc, softmax as softmax, std as std
from .engine.functional import stop_gradient as stop_gradient, tensordot as tensordot
from .engine.functional import top_k as top_k, trace as trace, var as var
from .engine.refusal import answering

abs = absolute
amax = max
amin = min
true_divide = divide
array = convert_to_tensor
mod = remainder
real = copy
conj = copy
conjugate = copy

# These functions also take placeholders, as layers do. The others return numbers, or shapes that
# depend on numbers.
_OTHERS = {shape, ndim, size, nonzero, allclose, convert_to_numpy}
_OTHERS |= {arange, eye, full, identity, linspace, ones, zeros}
for _name, _function in [*globals().items()]:
    if isinstance(_function, FunctionType) and _function not in (taking_placeholders, answering):
        _others = _function in _OTHERS
        _made = answering(_function) if _others else taking_placeholders(_name, _function)
        globals()[_name], _made.__module__ = _made, __name__  # where pickle finds it
del _made
