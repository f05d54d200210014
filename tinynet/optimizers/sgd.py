"""Stochastic gradient descent. Imports `base.py`. Read next: `rmsprop.py`."""

from __future__ import annotations

from typing import Any

from ..engine.expect import check_number
from ..engine.tensor import Tensor
from .base import Optimizer, Scalars, Slots, Updated, taking_common


class SGD(Optimizer):
    """Gradient descent: ``w -= learning_rate * g``.

    With `momentum`, the weights move by a velocity, ``m = momentum * m - learning_rate * g`` and
    ``w += m``. With `nesterov`, the update looks one step ahead,
    ``w += momentum * m - learning_rate * g``. The formulas are Keras's.

    Parameters
    ----------
    learning_rate : float
    momentum : float in [0, 1]
    nesterov : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm, name
        See `Optimizer`, also for what is raised.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0])
    >>> sgd = SGD(learning_rate=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     steps = sgd.apply([[1.0]], [w])
    >>> w.numpy()  # 1 - 0.1 - (0.1 + 0.9 * 0.1)
    array([0.71], dtype=float32)
    """

    @taking_common
    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **more: Any
    ) -> None:
        super().__init__(learning_rate, **more)
        self.momentum = check_number("momentum", momentum, 1)
        self.nesterov = bool(nesterov)
        self.slots = (("momentum",),) if momentum else ()

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its velocity."""
        step = grad * scalars["learning_rate"]
        if not self.momentum and "momentum" not in slots:
            return param - step, slots
        m = slots["momentum"] * self.momentum - step
        change = m * self.momentum - step if self.nesterov else m
        return param + change, {"momentum": m}
