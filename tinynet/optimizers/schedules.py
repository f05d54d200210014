"""Schedules: learning rates that are a function of the step.

A schedule is called on the host with the number of steps taken so far (0, 1, 2, ...), and what it
returns is an input of the step. Formulas are computed in float32, as Keras does.

Imports `registry.py`. Read next: `base.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..configs import lookup as registry
from ..configs.serialization import custom_object_scope


class LearningRateSchedule:
    """Base of schedules: subclass it with ``__call__(self, step)``, and `get_config` to save it.

    >>> import tinynet as tn
    >>> class Harmonic(LearningRateSchedule):
    ...     def __init__(self, first):
    ...         self.first = first
    ...     def __call__(self, step):
    ...         return self.first / (step + 1)
    ...     def get_config(self):
    ...         return {"first": self.first}
    >>> tn.optimizers.SGD(Harmonic(0.5)).learning_rate
    0.5
    """

    def __call__(self, step: Any) -> Any:
        """Return the learning rate after `step` steps were taken: what a subclass defines."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments: what a subclass defines, to be saved."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `get_config()` in "
            "order to be serializable."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Return a schedule made from what `get_config` returned."""
        return cls(**config)


class _Formula(LearningRateSchedule):
    """A schedule whose attributes are its arguments, with a formula `_at` of float32 numbers."""

    def __call__(self, step: Any) -> float:
        """Return the learning rate after `step` steps, a number or a scalar tensor, were taken."""
        return float(np.float32(self._at(np.float32(step))))

    def _at(self, step: Any) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))


def _refuse_unless_positive(argument: str, steps: Any) -> None:
    if not steps > 0:
        raise ValueError(f"Argument `{argument}` must be > 0. Received: {argument}={steps}")


class ExponentialDecay(_Formula):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    With `staircase` the exponent is rounded down. ValueError unless `decay_steps` is positive.

    >>> [ExponentialDecay(0.5, 2, 0.25)(step) for step in (0, 1, 2)]
    [0.5, 0.25, 0.125]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        _refuse_unless_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _at(self, step: Any) -> Any:
        p = step / np.float32(self.decay_steps)
        p = np.floor(p) if self.staircase else p
        return self.initial_learning_rate * np.float32(self.decay_rate) ** p


class InverseTimeDecay(_Formula):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    With `staircase` ``step / decay_steps`` is rounded down. ValueError unless `decay_steps` is
    positive.

    >>> [InverseTimeDecay(0.5, 2, 2.0)(step) for step in (0, 1, 3)]
    [0.5, 0.25, 0.125]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        _refuse_unless_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _at(self, step: Any) -> Any:
        p = step / np.float32(self.decay_steps)
        p = np.floor(p) if self.staircase else p
        return self.initial_learning_rate / (1 + self.decay_rate * p)


class PolynomialDecay(_Formula):
    """From `initial_learning_rate` to `end_learning_rate`, falling as ``(1 - p) ** power``.

    p is the share of `decay_steps` that is done. With `cycle` the rate begins anew, lower, whenever
    it has arrived: `decay_steps` then is the next multiple of it. ValueError unless `decay_steps`
    is positive.

    >>> [PolynomialDecay(0.5, 4, end_learning_rate=0.0)(step) for step in (0, 2, 4, 6)]
    [0.5, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        _refuse_unless_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def _at(self, step: Any) -> Any:
        steps = np.float32(self.decay_steps)
        if self.cycle:
            steps = steps * max(1, np.ceil(step / steps))
        p = min(step, steps) / steps
        start, end = np.float32(self.initial_learning_rate), np.float32(self.end_learning_rate)
        return (start - end) * (1 - p) ** np.float32(self.power) + end


class PiecewiseConstantDecay(_Formula):
    """``values[i]`` after so many steps that i of the `boundaries` lie below.

    ValueError unless there is one value more than boundaries.

    >>> [PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])(step) for step in (0, 2, 3, 5)]
    [1.0, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of "
                f"length {len(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def _at(self, step: Any) -> Any:
        return self.values[sum(bool(step > boundary) for boundary in self.boundaries)]


class CosineDecay(_Formula):
    """Along half a cosine from `initial_learning_rate` to `alpha` times it, in `decay_steps`.

    With a `warmup_target` the rate first goes up to that in a straight line, in `warmup_steps`, and
    the cosine begins there. ValueError unless `decay_steps` is positive.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017; Goyal et al., 2017, for the warm-up.

    >>> rate = CosineDecay(0.0, 4, warmup_target=1.0, warmup_steps=2)
    >>> [round(rate(step), 6) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        _refuse_unless_positive("decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def _at(self, step: Any) -> Any:
        peak = np.float32(self.initial_learning_rate)
        if self.warmup_target is not None:
            first, peak = peak, np.float32(self.warmup_target)
            if step < self.warmup_steps:
                return (peak - first) * (step / np.float32(self.warmup_steps)) + first
            step = step - np.float32(self.warmup_steps)
        steps = np.float32(self.decay_steps)
        return peak * _cosine(min(step, steps) / steps, self.alpha)


class CosineDecayRestarts(_Formula):
    """`CosineDecay` again and again: each period is `t_mul` times longer, its peak `m_mul` times.

    ValueError unless `first_decay_steps` is positive.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017.

    >>> rate = CosineDecayRestarts(1.0, 2, m_mul=0.5)
    >>> [round(rate(step), 6) for step in (0, 1, 2, 4, 6)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        _refuse_unless_positive("first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def _at(self, step: Any) -> Any:
        done, t = float(step) / self.first_decay_steps, self.t_mul
        if t == 1:
            period = math.floor(done)
            done -= period
        else:  # the periods before take 1 + t + t**2 + ... = (t**period - 1) / (t - 1)
            period = math.floor(math.log(1 + done * (t - 1)) / math.log(t) + 1e-9)
            done = (done - (t**period - 1) / (t - 1)) / t**period
        return self.initial_learning_rate * _cosine(done, self.alpha, self.m_mul**period)


def _cosine(done: Any, alpha: float, peak: float = 1.0) -> Any:
    """Return `peak` where nothing is done, `alpha` where all is, and half a cosine between."""
    wave = 0.5 * peak * (1 + np.cos(np.float32(math.pi) * np.float32(done)))
    return (1 - alpha) * wave + alpha


TABLE = {
    c.__name__: c
    for c in (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    )
}
registry.publish("keras.optimizers.schedules", *TABLE.values())


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return the config of a schedule as Keras writes it."""
    return registry.serialize(learning_rate_schedule, TABLE, "keras.optimizers.schedules")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the schedule of a config; `custom_objects` are users' classes by their names.

    >>> config = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.5,
    ...                                                   "decay_steps": 10}}
    >>> deserialize(config)(10)
    0.0
    """
    with custom_object_scope(custom_objects):
        return registry.lookup(config, TABLE, "learning rate schedule")
