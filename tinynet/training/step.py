"""One step of a model, compiled: training, testing or predicting on a batch.

The step is a function of the batch, of the optimizer's scalars and of its state (the flat memories
of weights and slots), recorded for each type of batch. Its program updates the state where it
stands.

Imports `compiler`, `optimizers`. Read next: `training.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import ops, tree
from ..compiler.executable import Executable
from ..compiler.passes import simplify
from ..compiler.program import Var
from ..compiler.record import label, record, section, short_name, stand_in
from ..engine.tensor import Tensor, grad_mode, wrap
from ..engine.variable import Variable, stateless
from ..layers.symbolic import within
from ..optimizers.base import Group
from .data import Dataset, Stream


class Step:
    """A step of a model, compiled for each type of batch when it is first seen.

    Attributes
    ----------
    kind : "train", "test" or "predict"
    compilations : int
        How many types of batches it was compiled for.
    source : str
        The NumPy source for the type seen first, to be read.
    program : str
        The same as a program.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self.model = model
        self.kind = kind
        self._ready: dict[Any, Ready] = {}
        self._few: dict[Any, Ready] = {}  # those of one input, by its type: the short way

    @property
    def compilations(self) -> int:
        """How many types of batches the step was compiled for."""
        return len(self._ready)

    @property
    def source(self) -> str:
        """The NumPy source of the step."""
        return self._first().source.text

    @property
    def program(self) -> str:
        """The program of the step."""
        return str(self._first().program)

    def _first(self) -> Executable:
        if not self._ready:
            raise ValueError("This step has not run yet: fit, evaluate or predict first.")
        return next(iter(self._ready.values())).executable

    def of_few(self, x: np.ndarray, most: float) -> Any:
        """Return the outputs for an array of at most so many rows, if its type was seen before."""
        ready = self._few.get((x.shape, x.dtype))
        return None if ready is None or len(x) > most else ready.of_all(x)

    def on(self, dataset: Dataset | Stream, with_outputs: bool = True) -> Callable[[int], Any]:
        """Return a function of a number of rows to one of such rows, to loss and outputs there.

        The batches of a stream take the place of rows.
        """
        if isinstance(dataset, Stream):
            return lambda size: lambda batch: self.on(batch, with_outputs)(size)(slice(None))
        parts = (dataset.x, dataset.y, dataset.sample_weight)
        arrays = dataset.arrays()
        trained = tuple(self.model.trainable_variables) if self.kind == "train" else ()
        form = repr([tree.map_structure(_type, p) for p in parts])
        optimizer = id(self.model.optimizer) if trained else None
        key = (form, with_outputs, trained, optimizer)

        runs: dict[int, Any] = {}

        def of(size: int) -> Any:
            if size not in runs:
                if (size, key) not in self._ready:
                    made = self._ready[size, key] = Ready(self, parts, size, with_outputs)
                    if self.kind == "predict" and isinstance(dataset.x, np.ndarray):
                        self._few[(size, *dataset.x.shape[1:]), dataset.x.dtype] = made
                runs[size] = self._ready[size, key].on(arrays)
            return runs[size]

        return of


class Ready:
    """A step compiled for one type of batch."""

    def __init__(self, step: Step, parts: Any, size: int, with_outputs: bool) -> None:
        self.model, self.kind, self._with_outputs = step.model, step.kind, with_outputs
        self._trained = set(self.model.trainable_variables) if self.kind == "train" else set()
        self.groups, scalars = self._of_the_optimizer()
        self._cells = self._other_state()
        readers = [[_reader(g, slot) for slot in (None, *g.slots)] for g in self.groups]
        args = (
            *(_examples(part, size) for part in parts),
            [[wrap(np.array(1, g.memory.array.dtype)) for _ in scalars] for g in self.groups],
            [[wrap(read()) for read in reads] for reads in readers],
            [wrap(v.array) for v in self._cells],
        )
        names = (
            *("x", "y", "sample_weight"),
            [name for _ in self.groups for name in scalars],
            [name for g in self.groups for name in ("parameters", *g.slots)],
            [short_name(v.path) for v in self._cells],
        )
        with grad_mode(self.kind == "train"):
            program = simplify(record(self._run, args, names))
        if self._trained and (made := set(self.model.trainable_variables) - self._trained):
            raise TypeError(
                "A step that is compiled cannot make weights, as it trains those that are there "
                f"before: received {', '.join(v.path for v in made)}. Make them in the layer's "
                "build or constructor."
            )
        *data, numbers, flats, cells = program.args
        _, self._form, *after = program.result
        before = tree.leaves([flats, cells])
        donate = dict(zip(tree.leaves(after), before, strict=True))
        reads = [read for reads in readers for read in reads]
        reads += [partial(getattr, v, "array") for v in self._cells]
        live = dict(zip(before, reads, strict=True))
        self.executable = Executable(program, f"{self.kind}_step", donate, live)
        self._changed = [
            v for v, old, new in zip(self._cells, cells, after[-1], strict=True) if old is not new
        ]
        self._on_all = self.executable.runner(self._fill_all, self._take_all)
        buffers = self.executable.inputs
        self._data = [buffers[v] for v in tree.leaves(data)]
        needed = {v for equation in program.equations.values() for v in equation.inputs}
        self._fill = [
            (name, buffers[v])
            for group in numbers
            for name, v in zip(scalars, group, strict=True)
            if v in needed
        ]

    def _of_the_optimizer(self) -> tuple[list[Group], list[str]]:
        """Return the groups of weights that are updated together, and the names of the scalars."""
        if not self._trained:
            return [], []
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        return optimizer.groups, [*optimizer.scalars(1, 1.0)]

    def on(self, arrays: list[np.ndarray]) -> Callable[[Any], tuple[float, Any]]:
        """Return a function of rows of `arrays` to the loss and the outputs there."""
        changed = self._changed
        pairs = list(zip(arrays, self._data, strict=True))
        clocks = [group.clock for group in self.groups]
        has_loss, training, scalar_buffers = self.kind != "predict", bool(self.groups), self._fill
        if training:
            next_scalars = self.model.optimizer.next_scalars
            count_step = self.model.optimizer.count_step
        copied = self._copied if self._with_outputs else None

        def fill(rows: Any) -> None:
            if type(rows) is slice:
                for array, buffer in pairs:
                    buffer[...] = array[rows]
            else:
                for array, buffer in pairs:
                    array.take(rows, 0, buffer, "clip")
            if training:
                scalars = next_scalars()
                for name, buffer in scalar_buffers:
                    buffer[()] = scalars[name]

        def take(outputs: Any) -> tuple[float, Any]:
            if training:
                count_step()
                for clock in clocks:
                    clock[0] += 1
            for variable in changed:
                variable.forget()
            loss = outputs[0].item() if has_loss else 0.0
            return loss, copied(outputs) if copied else None

        return self.executable.runner(fill, take)

    def of_all(self, array: np.ndarray) -> Any:
        """Return the outputs for all rows of the only array."""
        return self._on_all(array)

    def _fill_all(self, array: np.ndarray) -> None:
        self._data[0][...] = array

    def _take_all(self, outputs: Any) -> Any:
        for variable in self._changed:
            variable.forget()
        return self._copied(outputs)

    def _copied(self, outputs: Any) -> Any:
        """Return the model's outputs, copied from the buffers."""
        first = self.kind != "predict"
        if isinstance(self._form, Var):
            return outputs[first].copy()
        found = outputs[first : first + len(tree.leaves(self._form))]
        return tree.pack_sequence_as(self._form, [np.array(out) for out in found])

    def _run(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        scalars: list[list[Tensor]],
        flats: list[list[Tensor]],
        cells: list[Tensor],
    ) -> tuple[Any, ...]:
        """The step itself: loss, outputs, and the new values of `flats` and `cells`."""
        weights: dict[Variable, Tensor] = {}
        for group, flat in zip(self.groups, flats, strict=True):
            weights |= _weights(group, flat[0], self._trained)
        held = dict(zip(self._cells, cells, strict=True))
        training = self.kind == "train"
        # What layers add to the loss is part of this program, and of nothing else.
        with stateless({**weights, **held}) as now, within(training=training, losses={}):
            with section("forward"):
                y_pred = self.model(x)
            outputs = y_pred if self._with_outputs else None
            if self.kind == "predict":
                return None, outputs, [], [now[v] for v in held]
            with section("loss"):
                loss = self.model.compute_loss(x, y, y_pred, sample_weight, training=training)
                label(loss, "loss")
            with section("metrics"):
                self.model.compute_metrics(x, y, y_pred, sample_weight)
        for v, weight in weights.items():
            if now[v] is not weight:
                raise TypeError(
                    f"A step that trains {v.path} cannot assign to it as well: let the layer hold "
                    "it with trainable=False, or compile the model with run_eagerly=True."
                )
        updated: list[Tensor] = []
        if self._trained:
            with section("backward"):
                grads = self._gradients(loss, weights)
            with section("update"):
                updated = self._updated(flats, grads, scalars)
        return loss, outputs, updated, [now[v] for v in held]

    def _other_state(self) -> list[Variable]:
        """Return the variables that a step may change beside those that are trained."""
        cells = [v for v in self.model.variables if not v.trainable]
        if self.kind != "predict":
            cells += [v for m in self.model._objective.watched.values() for v in m.variables]
        held = {v for group in self.groups for v in group.params}
        return [v for v in dict.fromkeys(cells) if v not in held]

    def _gradients(self, loss: Tensor, weights: dict[Variable, Tensor]) -> dict[Variable, Tensor]:
        trained = {v: weight for v, weight in weights.items() if weight.requires_grad}
        found = dict(zip(trained, self.model.gradients_of(loss, trained), strict=True))
        for v, g in found.items():
            label(g, f"d_{short_name(v.path)}")
        return found

    def _updated(self, flats: Any, grads: dict[Variable, Tensor], scalars: Any) -> list[Tensor]:
        optimizer = self.model.optimizer
        clipped = dict(zip(grads, optimizer.clip(list(grads.values())), strict=True))
        new: list[Tensor] = []
        names = [*optimizer.scalars(1, 1.0)]
        for group, flat, numbers in zip(self.groups, flats, scalars, strict=True):
            mine = {
                i: clipped[v]
                for i, v in zip(group.places, group.params, strict=True)
                if v in clipped
            }
            before = dict(zip(("", *group.slots), flat, strict=True))
            new += group.updated(optimizer, before, mine, dict(zip(names, numbers, strict=True)))
        return new


def _type(array: np.ndarray | None) -> str:
    return "" if array is None else f"{array.dtype}{array.shape[1:]}"


def _examples(part: Any, size: int) -> Any:
    """Return stand-ins for the arrays of a part of a batch, in the same structure."""
    if part is None:
        return None
    return tree.map_structure(lambda a: wrap(stand_in((size, *a.shape[1:]), a.dtype)), part)


def _reader(group: Group, slot: str | None) -> Callable[[], np.ndarray]:
    return lambda: (group.living() if slot is None else group.slots[slot]).array


def _weights(group: Group, flat: Tensor, trained: set[Variable]) -> dict[Variable, Tensor]:
    """Return the weights as views of their memory; gradients flow to those that are trained."""
    found = {}
    for variable, place in zip(group.params, group.memory.slices, strict=True):
        weight = ops.reshape(flat[place], variable.shape).detach()
        weight.requires_grad = variable in trained
        found[variable] = label(weight, short_name(variable.path))
    return found
