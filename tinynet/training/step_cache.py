"""Compiled steps: `step.Step`, recorded and compiled for each type of batch.

A compiled step writes its new state where the old one stood: into the optimizer's flat memories,
and into the variables of layers and metrics. As C, many steps run in one call, which gathers their
batches itself.

Imports `compiler`, `step.py`. Read next: `compilable.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..compiler.executable import CACHE_SIZE, Cache, Executable, Native
from ..compiler.passes import simplify
from ..compiler.program import NotInCError, Var
from ..compiler.record import record, short_name, stand_in
from ..configs.watched import Fingerprint
from ..distribution.ranks import place
from ..engine.expect import warn
from ..engine.tensor import wrap
from ..engine.variable import structure
from ..optimizers.groups import scalars_ahead
from ..public import notebook_form
from .data import Batch, Dataset, first_of
from .step import OwnStep, State, Step, is_own

SECONDS = 0.03  # of work in one call, after which callbacks, the progress bar and Ctrl-C are heeded
Run = Callable[[Any], tuple[float, Any]]  # from rows to the loss and the outputs there
Runs = tuple[Run, Any]  # what takes a step, and what takes many in a call (see `run_many`) or None


class StepCache:
    """The compiled steps of one kind of a model: one for each type of batch, made on first use.

    A step is compiled again when something that it may have read has changed: an attribute of the
    model, its layers and their regularizers, of losses, metrics and the optimizer, or what users'
    functions there refer to (`configs.watched.Fingerprint` says what is not seen). Attributes that
    a step assigns itself, such as a count of its calls, are ignored. The 64 steps used last are
    kept.

    Attributes
    ----------
    kind : "train", "test" or "predict"
    fingerprint : Fingerprint, of what the steps may have read, or None
    compilations : int
        How many steps were compiled.
    source, c_source : str
        The NumPy and the C source of the step, for the type of batch seen first, to be read.
    native : bool
        Whether that step runs as C.
    program : str
        The same step, printed as a program.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self.model, self.kind = model, kind
        self.compilations = 0
        self._version, self._own = object(), False
        self.begun, self.refused = False, ""  # of a user's step; why it cannot be compiled
        self._steps: Cache[CompiledStep] = Cache()
        self._first: tuple[Any, Executable] | None = None  # with the key of its attributes
        self._small: dict[Any, CompiledStep] = {}  # those with one input, by its shape and dtype
        self.fingerprint: Fingerprint | None = None
        self._trained: tuple[int, ...] = ()  # the ids of the trainable variables
        self._assigned: dict[tuple[int, str], Any] = {}  # attributes that steps assign themselves

    def __repr__(self) -> str:
        how = "not run yet" if self._first is None else "C" if self.native else "NumPy"
        return f"<compiled {self.kind} step of {self.model.name}: {how}>"

    _repr_html_ = notebook_form

    @property
    def sources(self) -> list[str]:
        """The NumPy source of the step, in a list that is empty before the first step."""
        return [self.source] if self._first else []

    @property
    def own(self) -> bool:
        """Whether users define what the step computes or returns."""
        if self._version is not structure.version:
            self._version, self._own = structure.version, is_own(self.model, self.kind)
        return self._own

    @property
    def source(self) -> str:
        """The NumPy source of the step."""
        return self.executable.source.text

    @property
    def c_source(self) -> str:
        """The C source of the step; NotImplementedError where C has no text for a part of it."""
        return self.executable.c_source

    @property
    def native(self) -> bool:
        """Whether the step runs as C."""
        return self.executable.native

    @property
    def program(self) -> str:
        """The program of the step."""
        return str(self.executable.program)

    @property
    def executable(self) -> Executable:
        """The executable for the type of batch seen first; ValueError before the first step."""
        if self._first is None:
            raise ValueError("This step has not run yet: fit, evaluate or predict first.")
        return self._first[1]

    def predict_small(self, x: Any, most: float) -> Any:
        """Predict an array `x` with a step that is already compiled.

        Return None if there is no such step, or if `x` has more than `most` rows.
        """
        if self.model.run_eagerly or type(x) is not np.ndarray:  # a masked array, say
            return None
        if not (self.fingerprint and self.fingerprint.is_current()):
            self._attributes()
        compiled = self._small.get((x.shape, x.dtype))
        return None if compiled is None or len(x) > most else compiled.predict(x)

    def runner(self, dataset: Dataset, size: int, with_outputs: bool, steps: int = 0) -> Runs:
        """Return what runs a batch of `size` samples, and what runs many, if the step is C.

        Use both only for this dataset, until `structure.version` changes. With "auto", the number
        of `steps` that will follow decides whether they run as C.
        """
        compiled = self._step_for(dataset, size, with_outputs)
        compiled.choose(self.model.jit_compile, steps)
        arrays = tree.leaves(dataset.data)
        dense = all(isinstance(array, np.ndarray) for array in arrays)
        many = partial(compiled.run_many, arrays) if dense and compiled.executable.native else None
        return compiled.runner(arrays), many

    def _step_for(self, dataset: Dataset, size: int, with_outputs: bool) -> CompiledStep:
        form = repr(dataset.data.map(lambda a: f"{a.dtype.str}{a.shape[1:]}"))
        before, made = self._attributes(), self.compilations
        key = (form, size, with_outputs, self._trained, place.part)
        compiled = self._steps.get((key, before), partial(self._make, dataset, size, with_outputs))
        after = before
        if self.compilations > made:
            after = self._attributes()  # without those that the recorded step assigned
            compiled = self._steps.get((key, after), lambda: compiled)
        if self._first is None or self._first[0] != after:
            self._first = after, compiled.executable
        if self.kind == "predict" and isinstance(dataset.x, np.ndarray):
            self._small[(size, *dataset.x.shape[1:]), dataset.x.dtype] = compiled
            if len(self._small) > CACHE_SIZE:
                del self._small[next(iter(self._small))]
        return compiled

    def _make(self, dataset: Dataset, size: int, with_outputs: bool) -> CompiledStep:
        before = self._attributes()
        kind = OwnStep if self.own else Step
        compiled = CompiledStep(kind(self.model, self.kind), dataset, size, with_outputs)
        self.compilations += 1
        now = before if before.is_current() else Fingerprint(self._things(), self._assigned)
        changed = before.differences(now)
        self._assigned |= changed
        self.fingerprint = None if changed else now
        return compiled

    def _attributes(self) -> Fingerprint:
        """Return the fingerprint of all attributes that a step may read, as they are now."""
        known = self.fingerprint
        if known and known.is_current():
            return known
        found = self.fingerprint = Fingerprint(self._things(), self._assigned)
        self._trained = tuple(map(id, self.model.trainable_variables))
        if known != found:
            self._small = {}
        return found

    def _things(self) -> list[Any]:
        """Return the objects whose attributes a step may read."""
        family = self.model._flatten_layers()
        # No step reads what users attach to a model of one of our own classes.
        models = f"{__name__.split('.')[0]}.models."
        things: list[Any] = [x for x in family if not type(x).__module__.startswith(models)]
        if self.kind != "predict":
            things += self.model.objective.parts
            things += [f for layer in family for f in layer._regularizers.values()]
        if self.kind == "train":
            constraints = (v.constraint for v in self.model.trainable_variables)
            things += [self.model.optimizer, *filter(None, constraints)]
        return things


class CompiledStep:
    """A step compiled for one type of batch."""

    at_once = 1  # batches in the next call of C

    def __init__(self, step: Step, dataset: Dataset, size: int, with_outputs: bool) -> None:
        self.step, self.has_loss = step, step.has_loss and step.kind != "predict"
        self.state_size = len(step.owners)
        args, names = _examples(step, dataset, size)

        def traced(state: State, batch: Batch, scalars: Any) -> tuple[State, Any, Any]:
            new, loss, outputs = step(state, batch, scalars)
            return new, loss, outputs if with_outputs else None

        program = simplify(record(traced, args, names))
        before, data, scalars = program.args
        after, _, self.form = program.result
        old, new = tree.leaves(before), tree.leaves(after)
        donated = dict(zip(new, old, strict=True))
        owners = dict(zip(old, step.owners, strict=True))
        self.executable = Executable(program, f"{step.kind}_step", donated, owners)
        self.written = [o for o, v, w in zip(step.owners, old, new, strict=True) if v is not w]
        buffers = self.executable.inputs
        self.data = [buffers[v] for v in tree.leaves(data)]
        used = {v for equation in program.equations.values() for v in equation.inputs}
        numbers = [item for group in scalars for item in group.items()]
        self.scalars = [(name, buffers[v]) for name, v in numbers if v in used]
        self.predict = self.executable.runner(partial(self.data[0].__setitem__, ...), self._outputs)

    def choose(self, native: Native, steps: int) -> None:
        """Run as C or as NumPy from now on; see `Executable.choose`."""
        try:
            self.executable.choose(native, steps)
        except NotInCError as error:
            warn(f"jit_compile=True: {error}, so this step runs as NumPy.")

    def runner(self, arrays: list[np.ndarray]) -> Run:
        """Return a function of rows of `arrays` to the loss and the outputs there."""
        pairs = list(zip(arrays, self.data, strict=True))
        scalar_buffers, has_loss, at = self.scalars, self.has_loss, self.state_size
        training, optimizer = self.step.updates, self.step.optimizer
        outputs_of = self._outputs

        def fill(rows: Any) -> None:
            if type(rows) is slice:
                for array, buffer in pairs:
                    buffer[...] = array[rows]
            else:
                for array, buffer in pairs:
                    array.take(rows, 0, buffer, "clip")
            if training:
                scalars = optimizer.next_scalars()
                for name, buffer in scalar_buffers:
                    buffer[()] = scalars[name]

        def take(results: Any) -> tuple[float, Any]:
            if training:
                optimizer.count_step()
            return results[at].item() if has_loss else 0.0, outputs_of(results)

        return self.executable.runner(fill, take)

    def _outputs(self, results: Any) -> Any:
        """Note what the step wrote; return copies of the outputs, None if they are not wanted."""
        for owner in self.written:
            owner.version += 1
        if (form := self.form) is None:
            return None
        first = self.state_size + self.has_loss
        if type(form) is Var:
            return results[first].copy()
        return tree.pack_sequence_as(form, [np.array(out) for out in results[first:]])

    def run_many(
        self, arrays: Sequence[np.ndarray], rows: Any, count: int, most: float
    ) -> tuple[list[float], Any] | None:
        """Run the first of `count` batches in one call, as many as take about `SECONDS`.

        Return their losses and outputs. If the step is not C, or Python must run between steps,
        nothing runs and the result is None. The call ends after a loss that is NaN or above `most`,
        unless `most` is infinite. The samples are rows of `arrays`.
        """
        at, count, trains = self.state_size, min(count, self.at_once), bool(self.step.groups)
        numbers = scalars_ahead(self.step.optimizer, count) if trains else {}
        if numbers is None or not self.executable.native:
            return None
        kinds = self.executable.program.outputs[at:]
        copies = [np.empty((count, *v.shape), v.dtype) for v in kinds]
        moves = [(b, np.full(count, numbers[name], b.dtype), None) for name, b in self.scalars]
        start = time.perf_counter()
        taken = self.executable.take_steps(
            count,
            [*self._samples(arrays, rows, count), *moves],
            dict(enumerate(copies, at)),
            *((at, most) if self.has_loss and most < math.inf else ()),
        )
        if not taken:
            return None
        seconds = time.perf_counter() - start
        self.at_once = max(1, min(8 * taken, int(taken * SECONDS / seconds)))
        if trains:
            self.step.optimizer.count_step(taken)
        for owner in self.written:
            owner.version += 1
        losses = copies.pop(0).tolist() if self.has_loss else [0.0] * taken
        joined = [a.reshape(len(a) * a.shape[1], *a.shape[2:]) for a in copies]
        return losses[:taken], joined and tree.pack_sequence_as(self.form, joined)

    def _samples(self, arrays: Sequence[np.ndarray], rows: Any, count: int) -> list[Any]:
        """Return what C copies to the buffers of the batch: for each step its rows."""
        rows = first_of(rows, count * len(self.data[0]))
        is_slice = type(rows) is slice
        places = None if is_slice else np.ascontiguousarray(rows, "int64")
        found: list[Any] = []
        for to, array in zip(self.data, arrays, strict=True):
            if is_slice or not array.flags.c_contiguous or array.dtype != to.dtype:
                found.append((to, np.ascontiguousarray(array[rows], to.dtype), None))
            else:
                found.append((to, array, places))
        return found


def _examples(step: Step, dataset: Dataset, size: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return example arguments of a step for batches of `size` samples, and names for them."""
    batch = dataset.data.map(lambda a: wrap(stand_in((size, *a.shape[1:]), a.dtype)))
    names = [n for n, part in zip(Batch._fields, batch, strict=True) for _ in tree.leaves(part)]
    numbers = sorted(step.optimizer.next_scalars(0, 1.0)) if step.groups else []
    dtypes = [group.memories[0].array.dtype for group in step.groups]
    scalars = [{name: wrap(np.ones((), dtype)) for name in numbers} for dtype in dtypes]
    state_names = [name for group in step.groups for name in ("parameters", *group.slots)]
    state_names += [short_name(v.path) for v in step.others]
    args = (tree.map_structure(wrap, step.read()), batch, scalars)
    return args, (state_names, names, numbers * len(step.groups))
