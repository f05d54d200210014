"""Activations: what a layer does to each sum of weighted inputs.

Imports the engine. Read next: `initializers.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from . import ops, registry
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


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """Return ``max(x, 0)``, or what the options make of it, as in Keras.

    Above `threshold` it is `x`, but at most `max_value`; else ``negative_slope * (x - threshold)``.
    The derivative at 0 is 0, with a `negative_slope` 1.

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


def softmax(x: Any, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Return ``exp(x) / sum(exp(x))`` along `axis`: positive numbers that add up to 1.

    Warns (UserWarning) where `axis` has length 1 and all results are therefore 1.

    >>> softmax([[1000.0, 1000.0]])
    tensor([[0.5, 0.5]], dtype=float32)
    """
    x = as_tensor(x)
    if x.ndim and not isinstance(axis, tuple) and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of a tensor of shape {x.shape} is always 1, as that axis "
            "has length 1. Did you mean to use a sigmoid instead?",
            stacklevel=2,
        )
    return ops.softmax(x, axis)


_TABLE = registry.names(linear, sigmoid, tanh, relu, softmax)


def get(identifier: Any) -> Callable[[Any], Any]:
    """Return the activation that `identifier` names; None is `linear`, a function is itself.

    Raises
    ------
    ValueError
        ``Could not interpret activation function identifier: ...``

    >>> get("sigmoid").__name__, get(None).__name__
    ('sigmoid', 'linear')
    """
    if identifier is None:
        return linear
    return registry.lookup(identifier, _TABLE, "activation function")


def serialize(activation: Callable[[Any], Any]) -> Any:
    """Return the name of an activation, as a config holds it."""
    return registry.serialize(activation, _TABLE, "keras.activations")
