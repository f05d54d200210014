"""Functions of tensors, under the names of keras.ops and NumPy: ``tn.ops.exp(x)``.

They take tensors, variables, arrays and numbers, and return tensors.
"""

from .engine.primitives.elementwise import absolute as absolute, add as add, cast as cast
from .engine.primitives.elementwise import cos as cos, divide as divide, equal as equal
from .engine.primitives.elementwise import erfc as erfc, exp as exp, expm1 as expm1, floor as floor
from .engine.primitives.elementwise import greater as greater, greater_equal as greater_equal
from .engine.primitives.elementwise import isfinite as isfinite, less as less
from .engine.primitives.elementwise import less_equal as less_equal, log as log, log1p as log1p
from .engine.primitives.elementwise import logical_and as logical_and, logical_not as logical_not
from .engine.primitives.elementwise import logical_or as logical_or, maximum as maximum
from .engine.primitives.elementwise import minimum as minimum, multiply as multiply
from .engine.primitives.elementwise import negative as negative, not_equal as not_equal
from .engine.primitives.elementwise import power as power, relu as relu, sigmoid as sigmoid
from .engine.primitives.elementwise import sign as sign, sin as sin, softplus as softplus
from .engine.primitives.elementwise import sqrt as sqrt, square as square, subtract as subtract
from .engine.primitives.elementwise import tanh as tanh, where as where
from .engine.primitives.shapes import broadcast_to as broadcast_to, concatenate as concatenate
from .engine.primitives.shapes import reshape as reshape, transpose as transpose
from .engine.primitives.products import argmax as argmax, matmul as matmul, max as max, min as min
from .engine.primitives.products import sum as sum
from .engine.primitives.indexing import getitem as getitem
from .engine.functional import clip as clip, convert_to_numpy as convert_to_numpy
from .engine.functional import convert_to_tensor as convert_to_tensor
from .engine.functional import divide_no_nan as divide_no_nan, dot as dot
from .engine.functional import expand_dims as expand_dims, log_softmax as log_softmax
from .engine.functional import logsumexp as logsumexp, mean as mean, ones as ones
from .engine.functional import ones_like as ones_like, shape as shape, softmax as softmax
from .engine.functional import squeeze as squeeze, stack as stack, std as std
from .engine.functional import stop_gradient as stop_gradient, swapaxes as swapaxes, var as var
from .engine.functional import zeros as zeros, zeros_like as zeros_like

abs = absolute
