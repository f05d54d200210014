"""Groups of parameters: weights of one dtype and their slots, updated together.

Imports the engine. Read next: `base.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..compiler.record import label
from ..configs.configurable import Configurable
from ..engine.bind import bind, modes
from ..engine.tensor import Primitive, Tensor
from ..engine.variable import Memory, Variable

Slots = dict[str, Tensor]
Scalars = dict[str, Any]  # numbers, or tensors without axes
Updated = tuple[Tensor, Slots]  # a parameter and its slots after a step
Flats = Sequence[Sequence[Tensor]]  # for each group its flat parameters and slots
Grads = dict[Variable, Tensor]


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
        pieces: list[list[Tensor]] = [[] for _ in flat]
        done, size = 0, flat[0].shape[0]
        for stretch, members, decays in self._stretches(optimizer, grads):
            start, stop, _ = stretch.indices(size)
            parts = [ops.reshape(grads[v], (v.size,)) for v in members]
            param, *old = flat if stop - start == size else [t[stretch] for t in flat]
            grad = label(ops.concatenate(parts), "gradients")
            slots: Slots = _MadeSlots(zip(self.slots, old, strict=True))
            param, slots = optimizer.stepped(param, grad, slots, scalars, decays)
            new = [param, *(slots[name] for name in self.slots)]
            for found, t, part in zip(pieces, flat, new, strict=True):
                found += [t[done:start]] * (start > done) + [part]
            done = stop
        for found, t in zip(pieces, flat, strict=True):
            found += [t[done:]] * (done < size)
        new = [found[0] if len(found) == 1 else ops.concatenate(found) for found in pieces]
        return optimizer.finished(self, new, grads, scalars)

    def _stretches(self, optimizer: Any, grads: Grads) -> list[tuple[slice, list[Variable], bool]]:
        """Return the stretches of memory that are updated alike, with their variables.

        Each with whether its weights decay. All of the memory is one stretch, unless gradients
        are missing or some weights do not decay.
        """
        decays = [optimizer.decays(v) for v in self.params]
        if len(set(decays)) == 1 and all(v in grads for v in self.params):
            return [(slice(None), self.params, decays[0])]
        rows = zip(self.memories[0].slices, self.params, decays, strict=True)
        return [(stretch, [v], decay) for stretch, v, decay in rows if v in grads]


def scalars_ahead(optimizer: Any, count: int) -> dict[str, Any] | None:
    """Return the scalars of the next `count` steps by name: arrays, or numbers for all of them.

    None if the learning rate is a user's function, which may depend on anything.
    """
    first = optimizer.iterations.array.item()
    steps = range(first + 1, first + 1 + count)
    if optimizer.rate_variables and optimizer.scalars_at and not optimizer.use_ema:
        return dict(optimizer.scalars_at(steps, float(optimizer.learning_rate)))
    if not optimizer.rate_variables and not isinstance(optimizer._rate, Configurable):
        return None
    rows = [optimizer.next_scalars(step - 1) for step in steps]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _scalars(steps: np.ndarray, *rate: np.ndarray, optimizer: Any, names: Any) -> np.ndarray:
    numbers = optimizer.next_scalars(int(steps[()]), *(float(r[()]) for r in rate))
    return np.array([numbers[name] for name in names])


# The scalars of a step are Python's numbers: computed at each call, also of a compiled program.
_SCALARS = Primitive("scalars", _scalars, ())


def stepped(optimizer: Any, values: dict[Variable, Tensor], grads: Grads) -> dict[Variable, Tensor]:
    """Return the new values of an optimizer's state and parameters after one step from `values`.

    A pure function: the numbers in the variables are neither read nor written.
    """
    if modes.recorder is not None:
        modes.recorder.watch(optimizer)
    names, steps = tuple(optimizer.next_scalars(0, 1.0)), values[optimizer.iterations]
    rate = [values[v] for v in optimizer.rate_variables]
    numbers = bind(_SCALARS, steps, *rate, optimizer=optimizer, names=names)
    state, scalars = [], []
    for group in optimizer.groups:
        parts = [[ops.reshape(values[v], (v.size,)) for v in m.variables] for m in group.memories]
        state.append([ops.concatenate(flats) for flats in parts])
        cast = ops.cast(numbers, state[-1][0].dtype)
        scalars.append({name: cast[i] for i, name in enumerate(names)})
    new = {optimizer.iterations: steps + 1}
    for v in optimizer.last_variables:
        new[v] = scalars[0]["product"]
    updated = optimizer.updated(state, grads, scalars)
    for group, flats in zip(optimizer.groups, updated, strict=True):
        for memory, flat in zip(group.memories, flats, strict=True):
            for v, part in zip(memory.variables, memory.slices, strict=True):
                new[v] = ops.reshape(flat[part], v.shape)
    return new
