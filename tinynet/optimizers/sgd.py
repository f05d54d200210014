"""SGD, RMSprop and Adagrad. Imports `base.py`. Read next: `adam.py`."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import ops
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

    @partial(taking_common, learning_rate=0.01)
    def __init__(self, momentum: float = 0.0, nesterov: bool = False, **more: Any) -> None:
        super().__init__(**more)
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
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
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


class Adagrad(Optimizer):
    """Adagrad: divides the gradient by the root of the sum of its squares so far.

    With ``a += g * g`` it does ``w -= learning_rate * g / sqrt(a + epsilon)`` (Duchi et al.,
    "Adaptive subgradient methods", JMLR 12, 2011). The sum a starts at `initial_accumulator_value`.

    Parameters
    ----------
    learning_rate : float
    initial_accumulator_value : float
    epsilon : float
    weight_decay, clipnorm, clipvalue, global_clipnorm, name
        See `Optimizer`, also for what is raised.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0])
    >>> steps = Adagrad(0.5, initial_accumulator_value=9.0).apply([[4.0]], [w])
    >>> w.numpy()  # 1 - 0.5 * 4 / sqrt(9 + 16)
    array([0.6], dtype=float32)
    """

    slots = (("accumulator",),)

    @taking_common
    def __init__(
        self, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7, **more: Any
    ) -> None:
        super().__init__(**more)
        start = check_number("initial_accumulator_value", initial_accumulator_value)
        self.initial_accumulator_value, self.epsilon = start, epsilon
        self.start_of = {"accumulator": start}

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slot."""
        total = slots["accumulator"] + ops.square(grad)
        step = grad * scalars["learning_rate"] / ops.sqrt(total + self.epsilon)
        return param - step, {"accumulator": total}
