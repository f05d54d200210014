"""RMSprop. Imports `base.py`. Read next: `adam.py`."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..engine.tensor import Tensor
from .base import Optimizer, Scalars, Slots, Updated, taking_common


class RMSprop(Optimizer):
    """RMSprop: divides the gradient by the root of a moving average of its squares.

    With ``u = rho * u + (1 - rho) * g * g`` it does ``w -= learning_rate * g / sqrt(u + epsilon)``
    (Hinton, lecture 6e of the Coursera course, 2012; the place of epsilon is Keras's). With
    `centered`, the square of the average gradient is subtracted from u. With `momentum`, the
    weights move by ``m = momentum * m + step``.

    Parameters
    ----------
    learning_rate : float
    rho : float
        The decay of the moving averages.
    momentum : float
    epsilon : float
    centered : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm, name
        See `Optimizer`, also for what is raised.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0])
    >>> steps = RMSprop(learning_rate=0.1, rho=0.75).apply([[4.0]], [w])
    >>> w.numpy().round(4)  # 1 - 0.1 * 4 / sqrt(0.25 * 16)
    array([0.8], dtype=float32)
    """

    @taking_common
    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
        self.rho, self.momentum = rho, momentum
        self.epsilon, self.centered = epsilon, centered
        optional = ("momentum",) * (momentum > 0), ("average_gradient",) * bool(centered)
        self.slots = (("velocity",), *filter(None, optional))

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slots."""
        u = slots["velocity"] * self.rho + ops.square(grad) * (1.0 - self.rho)
        new = {"velocity": u}
        if self.centered:
            mean = slots["average_gradient"] * self.rho + grad * (1.0 - self.rho)
            new["average_gradient"] = mean
            u = u - ops.square(mean)
        step = grad * scalars["learning_rate"] / ops.sqrt(u + self.epsilon)
        if self.momentum > 0:
            new["momentum"] = step = slots["momentum"] * self.momentum + step
        return param - step, new
