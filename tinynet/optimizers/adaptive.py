"""Adagrad, Adamax and Nadam. Imports `adam.py`. Read next: `lookup.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..engine.expect import check_number
from ..engine.tensor import Tensor
from ..engine.variable import Variable
from .adam import Adaptive
from .base import Optimizer, Scalars, Slots, Updated, float32, taking_common


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
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
        start = check_number("initial_accumulator_value", initial_accumulator_value)
        self.initial_accumulator_value, self.epsilon = start, epsilon
        self.start_of = {"accumulator": start}

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slot."""
        total = slots["accumulator"] + ops.square(grad)
        step = grad * scalars["learning_rate"] / ops.sqrt(total + self.epsilon)
        return param - step, {"accumulator": total}


class Adamax(Adaptive):
    """Adam with the largest gradient so far, which decays, instead of the mean of squares.

    With ``m += (g - m) * (1 - beta_1)`` and ``u = max(beta_2 * u, abs(g))`` it does
    ``w -= a * m / (u + epsilon)``, where ``a = learning_rate / (1 - beta_1 ** t)`` at step t
    (Kingma and Ba, "Adam", 2015, section 7.1). Parameters as for `Adam`.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0, 1.0])
    >>> steps = Adamax(learning_rate=0.5).apply([[40.0, -0.1]], [w])
    >>> w.numpy().round(3)
    array([0.5, 1.5], dtype=float32)
    """

    slots = (("momentum", "norm"),)

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the bias-corrected learning rate `alpha`, and the learning rate."""
        alpha = learning_rate / (1.0 - _power(self.beta_1, step))
        return {"learning_rate": learning_rate, "alpha": alpha}

    def corrections(self, step: int) -> dict[str, str]:
        """Return the formula of `alpha`."""
        return {"alpha": f"learning_rate / (1 - {self.beta_1:.6g} ** {step})"}

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slots."""
        m = slots["momentum"] + (grad - slots["momentum"]) * (1.0 - self.beta_1)
        u = ops.maximum(slots["norm"] * self.beta_2, ops.absolute(grad))
        return param - m * scalars["alpha"] / (u + self.epsilon), {"momentum": m, "norm": u}


class Nadam(Adaptive):
    """Adam with Nesterov momentum: a step looks ahead to the momentum of the next one.

    With the averages m and u of `Adam`, at step t ``c = beta_1 * (1 - 0.96 ** t / 2)``, d the same
    for ``t + 1``, and p the product of all c so far, it does
    ``w -= learning_rate * (m * d / (1 - p * d) + g * (1 - c) / (1 - p)) / (sqrt(v) + epsilon)``
    with ``v = u / (1 - beta_2 ** t)`` (Dozat, "Incorporating Nesterov momentum into Adam", 2016).
    Parameters as for `Adam`.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0])
    >>> steps = Nadam(learning_rate=0.5).apply([[40.0]], [w])
    >>> w.numpy().round(3)
    array([0.469], dtype=float32)
    """

    slots = (("momentum", "velocity"),)
    _unwatched = Adaptive._unwatched | {"_product"}

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the factors of momentum, gradient and velocity, the learning rate, and p."""
        now, following = (self.beta_1 * (1.0 - 0.5 * 0.96**t) for t in (step, step + 1))
        product = self._product_after(step)
        found = {"learning_rate": learning_rate, "ahead": following / (1.0 - product * following)}
        found["gradient_share"] = (1.0 - now) / (1.0 - product)
        return found | {"correction": 1.0 / (1.0 - _power(self.beta_2, step)), "product": product}

    def _product_after(self, step: int) -> float:
        return self.beta_1**step * float(_PRODUCTS[min(step, len(_PRODUCTS) - 1)])

    @property
    def last_variables(self) -> Sequence[Variable]:
        """The product p, which the number of steps determines."""
        product = vars(self).setdefault("_product", Variable(1.0, "float32", False))
        product.array[...] = self._product_after(self.iterations.array.item())
        product.version += 1
        return [product]

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slots."""
        m = slots["momentum"] + (grad - slots["momentum"]) * (1.0 - self.beta_1)
        u = slots["velocity"] + (ops.square(grad) - slots["velocity"]) * (1.0 - self.beta_2)
        ahead = m * scalars["ahead"] + grad * scalars["gradient_share"]
        size = ops.sqrt(u * scalars["correction"]) + self.epsilon
        return param - ahead * scalars["learning_rate"] / size, {"momentum": m, "velocity": u}


# The products of the first factors 1 - 0.96 ** t / 2; later ones are 1 in double precision.
_PRODUCTS = np.cumprod(1.0 - 0.5 * 0.96 ** np.arange(1.0, 1000.0))
_PRODUCTS = np.concatenate([[1.0], _PRODUCTS])


def _power(beta: float, step: int) -> float:
    """Return ``beta ** step``, rounded where Keras rounds."""
    return float32(float32(beta) ** step)
