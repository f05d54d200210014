"""Schedules: learning rates as functions of the step.

A schedule is called with the number of steps taken so far (0, 1, 2, ...), before each step, and
its result is an input of the step. The formulas are computed in float32, as in Keras.

Imports `configs/`. Read next: `base.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..configs.configurable import Configurable
from ..configs.lookup import config_of, defined_in, lookup, publish
from ..configs.serialization import custom_object_scope


class LearningRateSchedule(Configurable):
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
        """Return the learning rate after `step` steps. A subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must override `__call__(self, step)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; a subclass that is saved must define it."""
        raise NotImplementedError(f"{type(self).__name__} must override `get_config()`.")


class _Formula(LearningRateSchedule):
    """A dataclass of the formula's constants, with the formula `_at` of a float32 step."""

    _at: Any
    get_config = Configurable.get_config

    def __call__(self, step: Any) -> float:
        """Return the learning rate after `step` steps, a number or a scalar tensor."""
        return float(np.float32(self._at(np.float32(step))))

    def __post_init__(self) -> None:
        for argument in ("decay_steps", "first_decay_steps"):
            steps = getattr(self, argument, 1)
            if not steps > 0:
                raise ValueError(f"Argument `{argument}` must be > 0. Received: {argument}={steps}")


@dataclass(eq=False)
class _RateDecay(_Formula):
    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def _periods(self, step: Any) -> Any:
        periods = step / np.float32(self.decay_steps)
        return np.floor(periods) if self.staircase else periods


@dataclass(eq=False)
class ExponentialDecay(_RateDecay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    With `staircase` the exponent is rounded down. ValueError unless `decay_steps` is positive.

    >>> [ExponentialDecay(0.5, 2, 0.25)(step) for step in (0, 1, 2)]
    [0.5, 0.25, 0.125]
    """

    name: str = "ExponentialDecay"

    def _at(self, step: Any) -> Any:
        return self.initial_learning_rate * np.float32(self.decay_rate) ** self._periods(step)


@dataclass(eq=False)
class InverseTimeDecay(_RateDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    With `staircase` ``step / decay_steps`` is rounded down. ValueError unless `decay_steps` is
    positive.

    >>> [InverseTimeDecay(0.5, 2, 2.0)(step) for step in (0, 1, 3)]
    [0.5, 0.25, 0.125]
    """

    name: str = "InverseTimeDecay"

    def _at(self, step: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step))


@dataclass(eq=False)
class PolynomialDecay(_Formula):
    """From `initial_learning_rate` to `end_learning_rate`, falling as ``(1 - p) ** power``.

    p is the completed fraction of `decay_steps`. With `cycle`, the decay restarts whenever it is
    complete, from a lower rate: the least multiple of `decay_steps` that is not below the step
    replaces it. ValueError unless `decay_steps` is positive.

    >>> [PolynomialDecay(0.5, 4, end_learning_rate=0.0)(step) for step in (0, 2, 4, 6)]
    [0.5, 0.25, 0.0, 0.0]
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def _at(self, step: Any) -> Any:
        steps = np.float32(self.decay_steps)
        if self.cycle:
            steps = steps * max(1, np.ceil(step / steps))
        p = min(step, steps) / steps
        start, end = np.float32(self.initial_learning_rate), np.float32(self.end_learning_rate)
        return (start - end) * (1 - p) ** np.float32(self.power) + end


@dataclass(eq=False)
class PiecewiseConstantDecay(_Formula):
    """``values[i]``, where i is the number of `boundaries` below the step.

    ValueError unless there is one more value than boundaries.

    >>> [PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25])(step) for step in (0, 2, 3, 5)]
    [1.0, 1.0, 0.5, 0.25]
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in ("boundaries", "values")}
        if sizes["boundaries"] != sizes["values"] - 1:
            rule = "The length of boundaries should be 1 less than the length of values"
            found = [f"{name}={getattr(self, name)} of length {n}" for name, n in sizes.items()]
            raise ValueError(f"{rule}. Received: {', and '.join(found)}.")

    def _at(self, step: Any) -> Any:
        return self.values[sum(bool(step > boundary) for boundary in self.boundaries)]


@dataclass(eq=False)
class CosineDecay(_Formula):
    """Half a cosine wave from `initial_learning_rate` down to `alpha` times it, in `decay_steps`.

    With a `warmup_target`, the rate first rises linearly to the target in `warmup_steps`, and the
    cosine starts there. ValueError unless `decay_steps` is positive.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017; Goyal et al., 2017, for the warm-up.

    >>> rate = CosineDecay(0.0, 4, warmup_target=1.0, warmup_steps=2)
    >>> [round(rate(step), 6) for step in (0, 1, 2, 4, 6)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: int = 0

    def _at(self, step: Any) -> Any:
        peak = np.float32(self.initial_learning_rate)
        if self.warmup_target is not None:
            first, peak = peak, np.float32(self.warmup_target)
            if step < self.warmup_steps:
                return (peak - first) * (step / np.float32(self.warmup_steps)) + first
            step = step - np.float32(self.warmup_steps)
        steps = np.float32(self.decay_steps)
        return peak * _cosine(min(step, steps) / steps, self.alpha)


@dataclass(eq=False)
class CosineDecayRestarts(_Formula):
    """`CosineDecay`, restarted: each period is `t_mul` times longer, its peak `m_mul` times higher.

    ValueError unless `first_decay_steps` is positive.

    Source: Loshchilov & Hutter, "SGDR", ICLR 2017.

    >>> rate = CosineDecayRestarts(1.0, 2, m_mul=0.5)
    >>> [round(rate(step), 6) for step in (0, 1, 2, 4, 6)]
    [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    def _at(self, step: Any) -> Any:
        done, t = float(step) / self.first_decay_steps, self.t_mul
        if t == 1:
            period = math.floor(done)
            done -= period
        else:  # the completed periods take 1 + t + t**2 + ... = (t**period - 1) / (t - 1)
            period = math.floor(math.log(1 + done * (t - 1)) / math.log(t) + 1e-9)
            done = (done - (t**period - 1) / (t - 1)) / t**period
        return self.initial_learning_rate * _cosine(done, self.alpha, self.m_mul**period)


def _cosine(done: Any, alpha: float, peak: float = 1.0) -> Any:
    """Return half a cosine wave from `peak` at ``done = 0`` to `alpha` at ``done = 1``."""
    wave = 0.5 * peak * (1 + np.cos(np.float32(math.pi) * np.float32(done)))
    return (1 - alpha) * wave + alpha


_FORMULAS = [cls for cls in defined_in(globals()) if issubclass(cls, _Formula)]
_TABLE = publish("keras.optimizers.schedules", *_FORMULAS)


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return the config of a schedule as Keras writes it."""
    return config_of(learning_rate_schedule, _TABLE)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the schedule of a config; `custom_objects` are users' classes by their names.

    >>> config = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.5,
    ...                                                   "decay_steps": 10}}
    >>> deserialize(config)(10)
    0.0
    """
    with custom_object_scope(custom_objects):
        return lookup(config, _TABLE, "learning rate schedule")
