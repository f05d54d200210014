"""Adam and AdamW. Imports `base.py`. Read next: `adaptive.py`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..configs.configurable import taking
from ..engine.expect import check_number, expect
from ..engine.tensor import Tensor
from .base import Optimizer, Scalars, Slots, Updated, float32, taking_common


class Adaptive(Optimizer):
    """Base of optimizers with two decays: Adam and its variants."""

    @taking_common
    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **more: Any,
    ) -> None:
        super().__init__(learning_rate, **more)
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
    _unwatched = Optimizer._unwatched | {"_corrections"}

    @partial(taking, Adaptive, first="learning_rate beta_1 beta_2 epsilon")
    def __init__(self, amsgrad: bool = False, **more: Any) -> None:
        super().__init__(**more)
        self.amsgrad = bool(amsgrad)
        self.slots += (("velocity_hat",),) * self.amsgrad

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("beta_1", "beta_2"):
            self._corrections: dict[int, float] = {}  # by step

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the learning rate, and its bias-corrected form `alpha`."""
        if step not in self._corrections:
            found = _corrections(self.beta_1, self.beta_2, range(step, step + 256))
            self._corrections = dict(enumerate(found.tolist(), step))
        return {"learning_rate": learning_rate, "alpha": learning_rate * self._corrections[step]}

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
        m, u = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1.0 - self.beta_1)
        u = u + (grad * grad - u) * (1.0 - self.beta_2)
        new = {"momentum": m, "velocity": u}
        if self.amsgrad:
            new["velocity_hat"] = u = ops.maximum(slots["velocity_hat"], u)
        return param - m * scalars["alpha"] / (ops.sqrt(u) + self.epsilon), new


def _corrections(beta_1: float, beta_2: float, steps: range) -> np.ndarray:
    """Return sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) for steps t."""
    # Rounded where Keras rounds: in the first steps 1 - beta_2 ** t loses digits in float32.
    t, betas = np.arange(steps.start, steps.stop), (float32(beta_1), float32(beta_2))
    # Powers below the least float32 are 0, and slow to compute where they leave float64, too.
    last = [110 / max(1 - beta, 1e-9) for beta in betas]
    powers = [(b ** np.minimum(t, n)).astype("float32") for b, n in zip(betas, last, strict=True)]
    first, second = [(np.float32(1) - power).astype(float) for power in powers]
    return np.sqrt(second) / first


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

    @partial(taking, Adam)
    def __init__(
        self, learning_rate: Any = 0.001, weight_decay: float | None = 0.004, **more: Any
    ) -> None:
        expect(weight_decay is not None, "weight_decay", "a number", weight_decay)
        super().__init__(learning_rate, weight_decay=weight_decay, **more)
