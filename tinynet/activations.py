"""Activations: the nonlinear functions that layers apply to their weighted sums.

Imports the engine and `configs/`. Read next: `initializers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import ops
from .configs.lookup import config_of, defined_in, lookup, publish
from .engine.expect import warn
from .engine.refusal import answering
from .engine.tensor import Tensor, as_tensor


def linear(x: Any) -> Any:
    """Return `x`, unchanged."""
    return x


def sigmoid(x: Any) -> Tensor:
    """Return ``1 / (1 + exp(-x))``, between 0 and 1.

    >>> sigmoid([-1000.0, 0.0, 1000.0])
    tensor([0. , 0.5, 1. ], dtype=float32)
    """
    return ops.sigmoid(x)


def tanh(x: Any) -> Tensor:
    """Return the hyperbolic tangent, between -1 and 1."""
    return ops.tanh(x)


@answering
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """Return ``max(x, 0)``, generalized by the options as in Keras.

    Above `threshold` it is `x`, clipped to `max_value`; elsewhere it is
    ``negative_slope * (x - threshold)``. The derivative at 0 is 0, or 1 with a `negative_slope`.

    Raises
    ------
    ValueError
        When `negative_slope` or `max_value` is negative.

    >>> relu([-2.0, 3.0, 9.0], negative_slope=0.1, max_value=6.0)
    tensor([-0.2,  3. ,  6. ], dtype=float32)
    """
    for name, value in (("negative_slope", negative_slope), ("max_value", max_value)):
        if value is not None and value < 0:
            raise ValueError(f"relu: {name} must not be negative, received {value}.")
    x = as_tensor(x)
    if not threshold and not negative_slope:
        y = ops.relu(x)
    else:
        below = negative_slope * (x - threshold) if negative_slope else 0.0
        y = ops.where(x <= threshold if threshold else x < 0.0, below, x)
    return y if max_value is None else ops.where(y >= max_value, max_value, y)


def relu6(x: Any) -> Tensor:
    """Return `relu`, clipped to 6; the derivative at 0 and at 6 is 0."""
    return relu(x, max_value=6.0)


@answering
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """Return `x` where it is at least 0, else ``negative_slope * x``; the derivative at 0 is 1.

    >>> leaky_relu([-1.0, 0.0, 2.0])
    tensor([-0.2,  0. ,  2. ], dtype=float32)
    """
    x = as_tensor(x)
    return ops.where(x < 0.0, negative_slope * x, x)


@answering
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Return `x` where it is positive, else ``alpha * (exp(x) - 1)``, which tends to -alpha.

    The derivative at 0 is `alpha`. Source: Clevert et al., ICLR 2016.

    >>> elu([-1000.0, 0.0, 2.0])
    tensor([-1.,  0.,  2.], dtype=float32)
    """
    x = as_tensor(x)
    above = x > 0.0
    return ops.where(above, x, alpha * ops.expm1(ops.where(above, 0.0, x)))


def selu(x: Any) -> Tensor:
    """Return `elu`, scaled so that mean 0 and variance 1 persist from layer to layer.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


@answering
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """Return ``x`` times the standard normal distribution function at `x`.

    With `approximate`, that is ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2`` instead.
    Source: Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> gelu([-1.0, 0.0, 1.0]), gelu([1.0], approximate=True)
    (tensor([-0.15865526,  0.        ,  0.8413447 ], dtype=float32),
     tensor([0.841192], dtype=float32))
    """
    x = as_tensor(x)
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
        return x * (0.5 * (1.0 + ops.tanh(inner)))
    return 0.5 * x * ops.erfc(-math.sqrt(0.5) * x)


def silu(x: Any) -> Tensor:
    """Return ``x * sigmoid(x)``, also called swish.

    >>> silu([-1000.0, 0.0, 1000.0])
    tensor([  -0.,    0., 1000.], dtype=float32)
    """
    x = as_tensor(x)
    return x * ops.sigmoid(x)


swish = silu


def softplus(x: Any) -> Tensor:
    """Return ``log(1 + exp(x))``, a smooth `relu`, whose derivative is the sigmoid.

    >>> softplus([-1000.0, 0.0, 9.0])
    tensor([0.       , 0.6931472, 9.000123 ], dtype=float32)
    """
    return ops.softplus(x)


def softsign(x: Any) -> Tensor:
    """Return ``x / (abs(x) + 1)``, between -1 and 1."""
    x = as_tensor(x)
    return x / (ops.absolute(x) + 1.0)


def mish(x: Any) -> Tensor:
    """Return ``x * tanh(softplus(x))``. Source: Misra, "Mish", 2019."""
    x = as_tensor(x)
    return x * ops.tanh(ops.softplus(x))


def exponential(x: Any) -> Tensor:
    """Return ``exp(x)``."""
    return ops.exp(x)


def hard_sigmoid(x: Any) -> Tensor:
    """Return ``x / 6 + 0.5``, clipped to 0 and 1.

    >>> hard_sigmoid([-4.0, 0.0, 1.5, 4.0])
    tensor([0.  , 0.5 , 0.75, 1.  ], dtype=float32)
    """
    return relu6(as_tensor(x) + 3.0) / 6.0


def hard_silu(x: Any) -> Tensor:
    """Return ``x * hard_sigmoid(x)``, also called hard_swish."""
    x = as_tensor(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def log_sigmoid(x: Any) -> Tensor:
    """Return the logarithm of `sigmoid`, accurate also where `sigmoid` is close to 0 or 1."""
    return -ops.softplus(-as_tensor(x))


@answering
def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Return ``exp(x) / sum(exp(x))`` along `axis`: positive numbers that sum to 1.

    Warns (UserWarning) if `axis` has length 1, since all results are then 1.

    >>> softmax([[1000.0, 1000.0]])
    tensor([[0.5, 0.5]], dtype=float32)
    """
    x = as_tensor(x)
    if not isinstance(axis, (tuple, str)) and x.shape[axis : axis + 1 or None] == (1,):
        message = f"softmax over axis {axis} of a tensor of shape {x.shape} is always 1."
        warn(f"{message} Did you mean to use a sigmoid instead?")
    return ops.softmax(x, axis)


@answering
def log_softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Return the logarithm of `softmax`, accurate also where `softmax` is close to 0 or 1."""
    return ops.log_softmax(x, axis)


_TABLE = publish("keras.activations", *defined_in(globals()))
_TABLE |= {"swish": silu, "hard_swish": hard_silu}


def get(identifier: Any) -> Callable[[Any], Any]:
    """Return the activation that `identifier` names; `linear` for None; a function unchanged.

    Raises
    ------
    ValueError
        ``Could not interpret activation function identifier: ...``

    >>> get("sigmoid").__name__, get(None).__name__
    ('sigmoid', 'linear')
    """
    return linear if identifier is None else lookup(identifier, _TABLE, "activation function")


def serialize(activation: Callable[[Any], Any]) -> Any:
    """Return the name of an activation, or the config of a user's own function."""
    return config_of(activation, _TABLE)
