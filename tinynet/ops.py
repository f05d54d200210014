"""Functions of tensors, under the names of keras.ops and NumPy: ``tn.ops.exp(x)``.

They take tensors, variables, arrays and numbers, and return tensors. Called on a placeholder, as
`Input` or a layer returns it, they add a node to the graph of layers: see `layers/operation.py`.

Imports the engine. Read next: `random.py`.
"""

import sys
from types import FunctionType

from .engine import arrays, functional
from .engine.operators import taking_placeholders
from .engine.primitives import elementwise, reductions
from .engine.refusal import answering

# The names by the module that defines them. Type checkers read them in `ops.pyi`.
_HOMES = {
    "primitives.elementwise": """absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh
cast cbrt ceil cos cosh deg2rad divide equal erfc exp exp2 expm1 fabs floor floor_divide fmax fmin
greater greater_equal hypot isclose isfinite isinf isnan less less_equal log log10 log1p log2
logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply negative not_equal
positive power rad2deg reciprocal relu remainder rint sigmoid sign signbit sin sinh softplus sqrt
square subtract tan tanh trunc where""",
    "primitives.shapes": "broadcast_to concatenate getitem moveaxis reshape swapaxes transpose",
    "primitives.products": "einsum matmul",
    "primitives.reductions": """all any argmax argmin argsort cumsum max min nanmax nanmin
searchsorted sum""",
    "primitives.linalg": "cholesky det eigh eigvalsh inv norm pinv slogdet solve svd svdvals",
    "primitives.special": "erf erfinv",
    "arrays": """arange atleast_1d atleast_2d column_stack copy diag diagonal expand_dims eye flip
full full_like hstack identity linspace ndim nonzero ones ones_like pad ravel repeat roll rot90
shape size sort split squeeze stack take take_along_axis tile tril triu vstack zeros zeros_like""",
    "functional": """allclose average clip convert_to_numpy convert_to_tensor count_nonzero cumprod
diff divide_no_nan divmod dot inner kron log_softmax logsumexp mean nanmean nanprod nanstd nansum
nanvar one_hot outer prod ptp round sinc softmax std stop_gradient tensordot top_k trace var""",
}
for _home, _names in _HOMES.items():
    _module = vars(sys.modules[f"{__package__}.engine.{_home}"])
    globals().update((name, _module[name]) for name in _names.split())

abs = elementwise.absolute
amax, amin = reductions.max, reductions.min
true_divide, mod = elementwise.divide, elementwise.remainder
array = functional.convert_to_tensor
real = conj = conjugate = arrays.copy

# These functions take no placeholders: they return numbers, or shapes that depend on numbers.
_names = """shape ndim size nonzero allclose convert_to_numpy arange eye full identity linspace ones
zeros"""
_OTHERS = frozenset(_names.split())
for _name, _function in [*globals().items()]:
    if isinstance(_function, FunctionType) and _function not in (taking_placeholders, answering):
        _made = answering(_function) if _name in _OTHERS else taking_placeholders(_name, _function)
        globals()[_name], _made.__module__ = _made, __name__  # so that pickle finds it here
del _made
