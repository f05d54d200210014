"""The slots of optimizers, and what follows an update: moving averages, then constraints.

Imports the engine and `groups.py`. Read next: `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..configs.configurable import Configurable
from ..engine.expect import check_number, expect, is_integer
from ..engine.tensor import Tensor
from ..engine.variable import Variable, assign_all
from .groups import Grads, ParameterGroup, Scalars

AVERAGE = "average"  # the slot of the moving average


class Averaging(Configurable):
    """Base of `Optimizer`: its slots, and moving averages of the weights if `use_ema`."""

    use_ema, ema_momentum, ema_overwrite_frequency = False, 0.99, None

    # Names of slots, in the order in which Keras saves them: variable by variable those of one
    # group, then the next group.
    slots: tuple[tuple[str, ...], ...] = ()
    start_of: Mapping[str, float] = {}  # the first values of slots that do not start at 0
    name: str
    _slots: dict[Variable, dict[str, Variable]]

    def _set_averages(self, use_ema: Any, momentum: Any, every: Any) -> None:
        check_number("ema_momentum", momentum, 1)
        counts = is_integer(every) and every > 0
        expect(every is None or counts, "ema_overwrite_frequency", "a positive int or None", every)
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, momentum, every

    @property
    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """The names of all slots: that of the average, if there is one, then `slots`."""
        return ((AVERAGE,), *self.slots) if self.use_ema else self.slots

    def slots_of(self, variable: Variable) -> dict[str, np.ndarray]:
        """Return copies of what is remembered of a variable, by name."""
        names = [name for group in self.slot_groups for name in group]
        slots = self._slots.get(variable) or {name: self._slot(variable, name) for name in names}
        return {name: slot.numpy() for name, slot in slots.items()}

    def _slot(self, variable: Variable, name: str) -> Variable:
        path = f"{variable.path.replace('/', '_')}_{name}"
        start = self.start_of.get(name, 0.0)
        return self._state(np.full(variable.shape, start, variable.dtype), path)

    def first_slots(self) -> dict[Variable, np.ndarray]:
        """Return the values of all slots before the first step."""
        rows = [item for slots in self._slots.values() for item in slots.items()]
        return {v: np.full(v.shape, self.start_of.get(name, 0.0)) for name, v in rows}

    def _state(self, value: np.ndarray, name: str) -> Variable:
        return Variable(value, trainable=False, name=name, path=f"{self.name}/{name}")

    # -- after the update ---------------------------------------------------------------------

    def average_scalars(self, step: int) -> dict[str, float]:
        """Return the numbers that `averaged` needs at `step` (1, 2, ...).

        The first average is the weight after the first step.
        """
        momentum = float(np.float32(self.ema_momentum)) if step > 1 else 0.0
        found = {"ema_momentum": momentum, "ema_share": 1.0 - momentum}
        every = self.ema_overwrite_frequency
        return found | ({"ema_overwrite": float(step % every == 0)} if every else {})

    def averaged(self, param: Tensor, average: Tensor, scalars: Scalars) -> tuple[Tensor, Tensor]:
        """Return the parameter, which its average may overwrite, and the average after a step."""
        average = average * scalars["ema_momentum"] + param * scalars["ema_share"]
        if self.ema_overwrite_frequency:
            param = ops.where(ops.greater(scalars["ema_overwrite"], 0.0), average, param)
        return param, average

    def finished(
        self, group: ParameterGroup, flat: list[Tensor], grads: Grads, scalars: Scalars
    ) -> list[Tensor]:
        """Return the flat parameters and slots of a group after averages and constraints.

        Constraints concern the parameters with a gradient. As in Keras, averages are those of the
        parameters before the constraint.
        """
        param, *slots = flat
        if self.use_ema:
            expect(AVERAGE in group.slots, "use_ema", "a new optimizer for another value", True)
            param, slots[0] = self.averaged(param, slots[0], scalars)
        if any(v.constraint for v in group.params if v in grads):
            rows = zip(group.params, group.memories[0].slices, strict=True)
            pieces = [_constrained(v, param[part], v in grads) for v, part in rows]
            param = ops.concatenate(pieces)
        return [param, *slots]

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Give variables the values of their moving averages, if there are any: the end of `fit`.

        >>> import tinynet as tn
        >>> w = tn.Variable([1.0])
        >>> sgd = tn.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
        >>> for _ in range(2):
        ...     steps = sgd.apply([[1.0]], [w])
        >>> sgd.finalize_variable_values([w])
        >>> w.numpy()  # the mean of 0 and -1
        array([-0.5], dtype=float32)
        """
        known = [v for v in var_list if v in self._slots] if self.use_ema else ()
        assign_all({v: self._slots[v][AVERAGE] for v in known})

    def swap_averages(self) -> None:
        """Exchange the values of the weights with their moving averages."""
        pairs = [(v, slots[AVERAGE]) for v, slots in self._slots.items()]
        assign_all({a: b.value for v, average in pairs for a, b in ((v, average), (average, v))})


def _constrained(variable: Variable, flat: Tensor, has_gradient: bool) -> Tensor:
    if not (has_gradient and variable.constraint):
        return flat
    value = variable.constraint(ops.reshape(flat, variable.shape))
    return ops.reshape(ops.cast(value, flat.dtype), flat.shape)
