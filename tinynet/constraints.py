"""Constraints: what a weight must satisfy after each update, such as a maximum norm.

Optimizers apply the constraint of a `Variable` to its new value. Imports the engine and
`configs/`. Read next: `optimizers/groups.py`, which applies them.
"""

from __future__ import annotations

from typing import Any

from . import ops
from .backend import epsilon
from .configs.configurable import Configurable
from .configs.lookup import config_of, lookup, publish
from .engine.tensor import Tensor, as_tensor


class Constraint(Configurable):
    """Base of constraints: subclass it with ``__call__(self, w)``, which returns the new weight.

    A subclass with arguments also defines `get_config`, so that models which use it can be saved.

    >>> import numpy as np
    >>> import tinynet as tn
    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 1.0)
    >>> layer = tn.layers.Dense(1, kernel_initializer="ones", kernel_constraint=AtMostOne())
    >>> model = tn.Sequential([tn.Input((2,)), layer])
    >>> model.compile(tn.optimizers.SGD(0.5), "mse")
    >>> history = model.fit([[0.0, 1.0]], [[3.0]], verbose=0)  # the gradient is [0, -4]
    >>> layer.kernel.numpy().ravel()
    array([1., 1.], dtype=float32)
    """

    def __call__(self, w: Any) -> Any:
        """Return the new value of a weight `w`, in the same shape."""
        return w


class NonNeg(Constraint):
    """Replaces negative elements by 0.

    >>> NonNeg()([-1.0, 2.0])
    tensor([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any) -> Tensor:
        """Return the larger of each element and 0."""
        return ops.maximum(w, 0.0)


class _Norm(Constraint):
    """Base of constraints on the norms along `axis`: one axis or several."""

    axis: Any = 0

    def __call__(self, w: Any) -> Tensor:
        """Return the weight, scaled to the norms that `_target` returns."""
        w, axis = as_tensor(w), tuple(self.axis) if isinstance(self.axis, list) else self.axis
        norms = ops.sqrt(ops.sum(ops.square(w), axis, keepdims=True))
        return w * (self._target(norms) / (norms + epsilon()))

    def _target(self, norms: Tensor) -> Any:
        return 1.0


class UnitNorm(_Norm):
    """Scales the weight so that its norms along `axis` are 1.

    Along axis 0 of the kernel of a `Dense` layer are the weights of one unit.

    >>> UnitNorm()([3.0, 4.0])
    tensor([0.6, 0.8], dtype=float32)
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis


class MaxNorm(_Norm):
    """Scales the weight where its norms along `axis` are above `max_value`.

    Source: Srivastava et al., "Dropout", JMLR 15, 2014.

    >>> MaxNorm(2.5)([3.0, 4.0])
    tensor([1.5, 2. ], dtype=float32)
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def _target(self, norms: Tensor) -> Any:
        return ops.minimum(norms, self.max_value)


class MinMaxNorm(_Norm):
    """Moves the norms along `axis` towards the range from `min_value` to `max_value`.

    Each update covers the fraction `rate` of the distance.

    >>> MinMaxNorm(max_value=2.5, rate=0.5)([3.0, 4.0])
    tensor([2.25, 3.  ], dtype=float32)
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def _target(self, norms: Tensor) -> Any:
        clipped = ops.clip(norms, self.min_value, self.max_value)
        return clipped * self.rate + norms * (1.0 - self.rate)


_TABLE = publish("keras.constraints", Constraint, NonNeg, UnitNorm, MaxNorm, MinMaxNorm)


def get(identifier: Any) -> Any:
    """Return the constraint that `identifier` is or names; None for None.

    Raises
    ------
    ValueError
        ``Could not interpret constraint identifier: ...``

    >>> get("max_norm").get_config(), get("NonNeg").get_config()
    ({'max_value': 2, 'axis': 0}, {})
    """
    return lookup(identifier, _TABLE, "constraint")


def serialize(constraint: Any) -> Any:
    """Return the config of a constraint as Keras writes it; None for None."""
    return config_of(constraint, _TABLE)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
