"""Adam and its variants: AdamW, Adamax, Nadam. Imports `base.py`. Read next: `lookup.py`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import ops
from ..configs.configurable import taking
from ..engine.expect import check_number, expect
from ..engine.tensor import Tensor
from ..engine.variable import Variable
from .base import Optimizer, Scalars, Slots, Updated, float32, taking_common

BLOCK = 256  # steps whose corrections are computed together


class Adaptive(Optimizer):
    """Base of optimizers with two decays: Adam and its variants."""

    @taking_common
    def __init__(
        self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **more: Any
    ) -> None:
        super().__init__(**more)
        self.beta_1 = check_number("beta_1", beta_1, below=1)
        self.beta_2 = check_number("beta_2", beta_2, below=1)
        self.epsilon = epsilon


class Adam(Adaptive):
    """Adam: a moving average of the gradients, scaled by a moving average of their squares.

    With ``m += (g - m) * (1 - beta_1)`` and ``u += (g * g - u) * (1 - beta_2)`` it does
    ``w -= a * m / (sqrt(u) + epsilon)``. Both averages start at 0; the factor
    ``a = learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)`` corrects this bias at step t
    (Kingma and Ba, 2015, the form before section 2.1; the place of epsilon is Keras's). With
    `amsgrad`, the largest u so far replaces u (Reddi et al., 2018).

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float in [0, 1)
        The decays of the two moving averages.
    epsilon : float
    amsgrad : bool
    weight_decay, clipnorm, clipvalue, global_clipnorm, name
        See `Optimizer`, also for what is raised.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0, 1.0])
    >>> steps = Adam(learning_rate=0.5).apply([[40.0, -0.1]], [w])
    >>> w.numpy().round(3)  # the first step has the length of the learning rate
    array([0.5, 1.5], dtype=float32)
    """

    slots: tuple[tuple[str, ...], ...] = (("momentum", "velocity"),)

    @partial(taking, Adaptive, first="learning_rate beta_1 beta_2 epsilon")
    def __init__(self, amsgrad: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.amsgrad = bool(amsgrad)
        self.slots += (("velocity_hat",),) * self.amsgrad

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the learning rate, and its bias-corrected form `alpha`."""
        block, at = divmod(step - 1, BLOCK)
        correction = _block_of_corrections(self.beta_1, self.beta_2, block)[at]
        return {"learning_rate": learning_rate, "alpha": learning_rate * correction}

    def scalars_at(self, steps: range, learning_rate: float) -> dict[str, Any]:
        """Return the scalars of several steps, as arrays or as numbers that hold for all."""
        found = _corrections(self.beta_1, self.beta_2, steps)
        return {"learning_rate": learning_rate, "alpha": learning_rate * found}

    def corrections(self, step: int) -> dict[str, str]:
        """Return the formula of `alpha`, which corrects the bias of averages that start at 0."""
        first, second = f"1 - {self.beta_1:.6g} ** {step}", f"1 - {self.beta_2:.6g} ** {step}"
        return {"alpha": f"learning_rate * sqrt({second}) / ({first})"}

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slots."""
        m = _averaged(slots["momentum"], grad, self.beta_1)
        u = _averaged(slots["velocity"], grad * grad, self.beta_2)
        new = {"momentum": m, "velocity": u}
        if self.amsgrad:
            new["velocity_hat"] = u = ops.maximum(slots["velocity_hat"], u)
        return param - m * scalars["alpha"] / (ops.sqrt(u) + self.epsilon), new


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks the weights and does not change the gradients.

    Before each step ``w -= learning_rate * weight_decay * w`` (Loshchilov and Hutter, "Decoupled
    weight decay regularization", 2019). Every optimizer does this if `weight_decay` is given;
    AdamW has a default for it. ValueError for None.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0, 1.0])
    >>> steps = AdamW(learning_rate=0.5, weight_decay=0.1).apply([[40.0, 0.0]], [w])
    >>> w.numpy().round(3)  # 1 - 0.5 * 0.1, and a step of 0.5 where there is a gradient
    array([0.45, 0.95], dtype=float32)
    """

    @partial(taking, Adam, first="learning_rate")
    def __init__(self, weight_decay: float | None = 0.004, **more: Any) -> None:
        expect(weight_decay is not None, "weight_decay", "a number", weight_decay)
        super().__init__(weight_decay=weight_decay, **more)


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
        m = _averaged(slots["momentum"], grad, self.beta_1)
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
        updates = self._iterations.array.item() // (self.gradient_accumulation_steps or 1)
        product.array[...] = self._product_after(updates)
        product.version += 1
        return [product]

    def update(self, param: Tensor, grad: Tensor, slots: Slots, scalars: Scalars) -> Updated:
        """Return the parameter after the step, and its slots."""
        m = _averaged(slots["momentum"], grad, self.beta_1)
        u = _averaged(slots["velocity"], ops.square(grad), self.beta_2)
        ahead = m * scalars["ahead"] + grad * scalars["gradient_share"]
        size = ops.sqrt(u * scalars["correction"]) + self.epsilon
        return param - ahead * scalars["learning_rate"] / size, {"momentum": m, "velocity": u}


def _averaged(average: Tensor, value: Tensor, decay: float) -> Tensor:
    """Return a moving average after one more value."""
    return average + (value - average) * (1.0 - decay)


# The products of the first factors 1 - 0.96 ** t / 2; later factors are 1 in double precision.
_PRODUCTS = np.cumprod([1.0, *(1.0 - 0.5 * 0.96 ** np.arange(1.0, 1000.0))])


def _power(beta: float, step: int) -> float:
    """Return ``beta ** step``, rounded where Keras rounds."""
    return float32(float32(beta) ** step)


def _corrections(beta_1: float, beta_2: float, steps: range) -> np.ndarray:
    """Return sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) for steps t."""
    # Rounded where Keras rounds: in the first steps 1 - beta_2 ** t loses digits in float32.
    t, betas = np.arange(steps.start, steps.stop), (float32(beta_1), float32(beta_2))
    # Powers below the least float32 are 0, and slow to compute where they underflow in float64.
    last = [110 / max(1 - beta, 1e-9) for beta in betas]
    powers = [(b ** np.minimum(t, n)).astype("float32") for b, n in zip(betas, last, strict=True)]
    first, second = [(np.float32(1) - power).astype(float) for power in powers]
    return np.sqrt(second) / first


@lru_cache
def _block_of_corrections(beta_1: float, beta_2: float, block: int) -> list[float]:
    first = 1 + block * BLOCK
    found: list[float] = _corrections(beta_1, beta_2, range(first, first + BLOCK)).tolist()
    return found
