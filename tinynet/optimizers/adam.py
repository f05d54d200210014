"""Adam and AdamW. Imports `base.py`. Read next: `../models.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..engine.tensor import Tensor
from .base import Optimizer, Slots, float32, taking_common


class Adam(Optimizer):
    """Adam: steps along a mean of past gradients, scaled by a mean of their squares.

    With ``m += (g - m) * (1 - beta_1)`` and ``u += (g * g - u) * (1 - beta_2)`` it does
    ``w -= a * m / (sqrt(u) + epsilon)``. Both means begin at 0, which
    ``a = learning_rate * sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)`` makes up for at step t
    (Kingma and Ba, 2015, the form before section 2.1; where epsilon stands is Keras's choice).
    With `amsgrad` the largest u so far takes its place (Reddi et al., 2018).

    Parameters
    ----------
    learning_rate : float
    beta_1, beta_2 : float in [0, 1)
        The share of the past in either mean.
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

    @taking_common
    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        for key, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not isinstance(beta, (int, float)) or not 0 <= beta < 1:
                raise ValueError(f"{key}: expected a number in [0, 1), received {beta!r}.")
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)
        self.epsilon = epsilon
        self.amsgrad = bool(amsgrad)
        self._corrections: tuple[Any, dict[int, float]] = (None, {})
        if amsgrad:
            self.slots = (*self.slots, ("velocity_hat",))

    def scalars(self, step: int, learning_rate: float) -> dict[str, float]:
        """Return the learning rate, and its bias-corrected form `alpha`."""
        betas, known = self._corrections
        if step not in known or betas != (self.beta_1, self.beta_2):
            known = self._corrections_from(step)
            self._corrections = (self.beta_1, self.beta_2), known
        alpha = learning_rate * known[step]
        return {"learning_rate": learning_rate, "alpha": alpha}

    def corrections(self, step: int) -> dict[str, str]:
        """Return how `alpha` makes up for the means' beginning at 0."""
        first, second = f"1 - {self.beta_1:.6g} ** {step}", f"1 - {self.beta_2:.6g} ** {step}"
        return {"alpha": f"learning_rate * sqrt({second}) / ({first})"}

    def _corrections_from(self, step: int) -> dict[int, float]:
        """Return sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t) for some steps t from `step` on."""
        # Rounded where Keras rounds: at the first steps 1 - beta_2 ** t loses digits in float32.
        t = np.arange(step, step + 256)
        first, second = (
            np.float32(1) - (float32(beta) ** t).astype("float32")
            for beta in (self.beta_1, self.beta_2)
        )
        ratios = np.sqrt(second.astype(float)) / first.astype(float)
        return dict(zip(t.tolist(), ratios.tolist(), strict=True))

    def update(
        self, param: Tensor, grad: Tensor, slots: Slots, scalars: dict[str, Any]
    ) -> tuple[Tensor, Slots]:
        """Return the parameter after the step, and both means."""
        m, u = slots["momentum"], slots["velocity"]
        m = m + (grad - m) * (1.0 - self.beta_1)
        u = u + (grad * grad - u) * (1.0 - self.beta_2)
        new = {"momentum": m, "velocity": u}
        if self.amsgrad:
            new["velocity_hat"] = u = ops.maximum(slots["velocity_hat"], u)
        return param - m * scalars["alpha"] / (ops.sqrt(u) + self.epsilon), new

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the learning rate as it is now."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with weight decay, which is taken off the weights themselves and not off gradients.

    Before each step ``w -= learning_rate * weight_decay * w`` (Loshchilov and Hutter, "Decoupled
    weight decay regularization", 2019). Any optimizer here does so with `weight_decay`; this one
    has a default for it. ValueError for None.

    >>> import tinynet as tn
    >>> w = tn.Variable([1.0, 1.0])
    >>> steps = AdamW(learning_rate=0.5, weight_decay=0.1).apply([[40.0, 0.0]], [w])
    >>> w.numpy().round(3)  # 1 - 0.5 * 0.1, and a step of 0.5 where there is a gradient
    array([0.45, 0.95], dtype=float32)
    """

    @taking_common
    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common
        )
