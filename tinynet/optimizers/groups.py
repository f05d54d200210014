"""The state of optimizers: slots, groups of parameters that are updated together, averages.

The weights of one dtype form a group. Moving averages and constraints, which follow an update, are
here, too. Imports the engine. Read next: `base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..compiler.record import label
from ..configs.configurable import Configurable
from ..engine.bind import bind
from ..engine.expect import expect
from ..engine.tensor import Primitive, Tensor
from ..engine.variable import Memory, Variable, assign_all

Slots = dict[str, Tensor]
Scalars = dict[str, Any]  # numbers, or tensors without axes
Updated = tuple[Tensor, Slots]  # a parameter and its slots after a step
Flats = Sequence[Sequence[Tensor]]  # for each group its flat parameters and slots
Grads = dict[Variable, Tensor]

AVERAGE = "average"  # the slot of the moving average
SUM = "gradient_accumulator"  # that of the gradients since the last update


class _MadeSlots(Slots):
    """The slots of a parameter by name; asking for a slot that was not made raises ValueError."""

    def __missing__(self, name: str) -> Tensor:
        raise ValueError(f"The slots are {list(self)}, not {name!r}. Make a new optimizer.")


class ParameterGroup:
    """Parameters of one dtype, and their slots, each in one flat memory: one update for all.

    Attributes
    ----------
    params : list of Variable
    slots : list of str, the names of their slots
    memories : list of Memory, that of the parameters, then one for each slot
    """

    def __init__(self, params: list[Variable], slots: dict[str, list[Variable]]) -> None:
        self.params, self.slots = params, list(slots)
        self.memories = [Memory(self.params), *map(Memory, slots.values())]

    def updated(
        self, optimizer: Any, flat: Sequence[Tensor], grads: Grads, scalars: Scalars
    ) -> list[Tensor]:
        """Return the new parameters and slots, each flat, as a pure function of the old ones.

        Parameters without a gradient, and their slots, stay as they are.
        """
        pieces = []
        for stretch, members, decays in self._stretches(optimizer, grads):
            param, *slots = flat if stretch == slice(None) else [t[stretch] for t in flat]
            if members[0] in grads:
                parts = [ops.reshape(grads[v], (v.size,)) for v in members]
                grad = label(ops.concatenate(parts), "gradients")
                old = _MadeSlots(zip(self.slots, slots, strict=True))
                param, new = optimizer.stepped(param, grad, old, scalars, decays)
                slots = [ops.zeros_like(param) if n == SUM else new[n] for n in self.slots]
            pieces.append([param, *slots])
        new = optimizer.kept(map(_joined, zip(*pieces, strict=True)), flat, scalars)
        return optimizer.finished(self, new, grads, scalars)

    def _stretches(self, optimizer: Any, grads: Grads) -> list[tuple[slice, list[Variable], bool]]:
        """Return the stretches of memory that are updated alike.

        Each comes with its variables, and whether these decay. All of the memory is one stretch,
        unless gradients are missing or only some weights decay.
        """
        decays = [optimizer.decays(v) for v in self.params]
        if len(set(decays)) == 1 and all(v in grads for v in self.params):
            return [(slice(None), self.params, decays[0])]
        rows = zip(self.memories[0].slices, self.params, decays, strict=True)
        return [(stretch, [v], decay) for stretch, v, decay in rows]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else ops.concatenate(parts)


class Slotted(Configurable):
    """Base of `Optimizer`: the slots of each weight, with sums of gradients and moving averages."""

    use_ema, ema_momentum = False, 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None

    # Names of slots, in the order in which Keras saves them: variable by variable those of one
    # group, then the next group.
    slots: tuple[tuple[str, ...], ...] = ()
    start_of: Mapping[str, float] = {}  # the first values of slots that do not start at 0
    name: str
    scalars: Any
    _rate_after: Any
    _iterations: Any
    _slots: dict[Variable, dict[str, Variable]]
    groups: list[ParameterGroup]

    @property
    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """The names of all slots: those of averages and sums, if there are any, then `slots`."""
        options = (AVERAGE, self.use_ema), (SUM, self.gradient_accumulation_steps)
        return (*((name,) for name, given in options if given), *self.slots)

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

    # -- several steps for one update --------------------------------------------------------

    @property
    def iterations(self) -> Any:
        """The number of steps so far, or of updates, if gradients are accumulated."""
        steps = self.gradient_accumulation_steps
        return self._iterations // steps if steps else self._iterations

    def next_scalars(self, steps: int | None = None, rate: float | None = None) -> dict[str, float]:
        """Return the scalars of the next step, or of the one after `steps` steps at this rate."""
        steps = self._iterations.array.item() if steps is None else steps
        rate = self._rate_after(steps) if rate is None else rate
        every = self.gradient_accumulation_steps or 1
        step = int(steps // every) + 1
        found = self.scalars(step, rate)
        if self.use_ema:
            found = found | self.average_scalars(step)
        return found | {"updates": float((steps + 1) % every == 0)} if every > 1 else found

    def accumulated(self, state: Flats, grads: Grads) -> tuple[list[list[Tensor]], Grads]:
        """Return the state with `grads` added to their sums, and the mean gradients."""
        steps, new, means = self.gradient_accumulation_steps, [], Grads()
        for group, flat in zip(self.groups, state, strict=True):
            expect(SUM in group.slots, "gradient_accumulation_steps", "a new optimizer", steps)
            at = 1 + group.slots.index(SUM)
            olds = [flat[at][part] for part in group.memories[0].slices]
            rows = zip(group.params, olds, strict=True)
            sums = {v: t + ops.reshape(grads[v], t.shape) if v in grads else t for v, t in rows}
            means |= {v: ops.reshape(t, v.shape) / steps for v, t in sums.items()}
            new.append([*flat[:at], _joined([*sums.values()]), *flat[at + 1 :]])
        return new, {v: means[v] for v in grads}

    def kept(self, new: Any, old: Any, scalars: Scalars) -> list[Tensor]:
        """Return the new tensors; the old ones in a step that only adds gradients to their sums."""
        if not self.gradient_accumulation_steps:
            return [*new]
        updates = ops.greater(scalars["updates"], 0.0)
        return [ops.where(updates, a, b) for a, b in zip(new, old, strict=True)]

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

        Constraints apply to the parameters with a gradient. As in Keras, averages are those of the
        parameters before the constraint.
        """
        param, *slots = flat
        if self.use_ema:
            expect(AVERAGE in group.slots, "use_ema", "False (for True, a new optimizer)", True)
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


# -- steps ahead, and as a pure function ----------------------------------------------------------


def scalars_ahead(optimizer: Any, count: int) -> dict[str, Any] | None:
    """Return the scalars of the next `count` steps by name: arrays, or numbers for all of them.

    None if the learning rate is a user's function, which may depend on anything.
    """
    first = optimizer._iterations.array.item()
    steps = range(first + 1, first + 1 + count)
    alike = not (optimizer.use_ema or optimizer.gradient_accumulation_steps)
    if optimizer.rate_variables and optimizer.scalars_at and alike:
        return dict(optimizer.scalars_at(steps, float(optimizer.learning_rate)))
    if not optimizer.rate_variables and not isinstance(optimizer._rate, Configurable):
        return None
    rows = [optimizer.next_scalars(step - 1) for step in steps]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _scalars(steps: np.ndarray, *rate: np.ndarray, optimizer: Any, names: Any) -> np.ndarray:
    numbers = optimizer.next_scalars(int(steps[()]), *(float(r[()]) for r in rate))
    return np.array([numbers[name] for name in names])


# The scalars of a step are Python numbers, computed at each call, also by a compiled program.
_SCALARS = Primitive("scalars", _scalars, ())


def stepped(optimizer: Any, values: dict[Variable, Tensor], grads: Grads) -> dict[Variable, Tensor]:
    """Return the new values of an optimizer's state and parameters after one step from `values`.

    A pure function: the numbers in the variables are neither read nor written.
    """
    names, steps = tuple(optimizer.next_scalars(0, 1.0)), values[optimizer._iterations]
    rate = [values[v] for v in optimizer.rate_variables]
    numbers = bind(_SCALARS, steps, *rate, optimizer=optimizer, names=names)
    state, scalars = [], []
    for group in optimizer.groups:
        parts = [[ops.reshape(values[v], (v.size,)) for v in m.variables] for m in group.memories]
        state.append([ops.concatenate(flats) for flats in parts])
        cast = ops.cast(numbers, state[-1][0].dtype)
        scalars.append({name: cast[i] for i, name in enumerate(names)})
    new = {optimizer._iterations: steps + 1}
    for v in optimizer.last_variables:
        (new[v],) = optimizer.kept([scalars[0]["product"]], [values[v]], scalars[0])
    updated = optimizer.updated(state, grads, scalars)
    for group, flats in zip(optimizer.groups, updated, strict=True):
        for memory, flat in zip(group.memories, flats, strict=True):
            for v, part in zip(memory.variables, memory.slices, strict=True):
                new[v] = ops.reshape(flat[part], v.shape)
    return new
