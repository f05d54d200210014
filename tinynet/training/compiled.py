"""Compiled steps: `step.Step`, recorded and compiled for each type of batch.

A compiled step writes its new state where the old one stood: into the optimizer's flat memories,
and into the variables of layers and metrics.

Imports `compiler`, `step.py`. Read next: `loop.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from ..compiler.executable import Cache, Executable
from ..compiler.passes import simplify
from ..compiler.record import record, short_name, stand_in
from ..configs.watched import Fingerprint
from ..engine.tensor import floatx, wrap
from ..engine.variable import Memory, structure
from .data import Dataset, Stream
from .step import Batch, State, Step

Run = Callable[[Any], tuple[float, Any]]  # from rows to the loss and the outputs there


class StepCache:
    """The compiled steps of a model, of one kind: one for each type of batch, made when first used.

    A step is compiled again when an attribute that it may have read was changed: of the model, its
    layers and their regularizers, of losses, metrics and the optimizer (see
    `configs.watched.Fingerprint` for what is not seen). Attributes that a step assigns itself, such
    as a count of its calls, do not count. The 64 steps used last are kept.

    Attributes
    ----------
    kind : "train", "test" or "predict"
    compilations : int
        How many steps were compiled.
    source : str
        The NumPy source of the step, for the type of batch seen first, to be read.
    program : str
        The same as a program.
    """

    def __init__(self, model: Any, kind: str) -> None:
        self.model, self.kind = model, kind
        self._steps: Cache[CompiledStep] = Cache()
        self._first: tuple[Any, Executable] | None = None  # the key of its attributes, and it
        self._small: dict[Any, CompiledStep] = {}  # those of one input, by its type
        self._fingerprint: Fingerprint | None = None
        self._assigned: set[tuple[int, str]] = set()  # the attributes that steps assign themselves

    @property
    def compilations(self) -> int:
        """How many steps were compiled."""
        return self._steps.made

    @property
    def source(self) -> str:
        """The NumPy source of the step."""
        return self.executable.source.text

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

    def predict_small(self, x: np.ndarray, most: float) -> Any:
        """Predict `x` with an already compiled step; None if there is none for its type.

        None also if `x` has more than `most` rows.
        """
        if self._fingerprint is None or not self._fingerprint.is_current():
            self._watch()
        compiled = self._small.get((x.shape, x.dtype))
        return None if compiled is None or len(x) > most else compiled.predict(x)

    def runner(self, dataset: Dataset | Stream, with_outputs: bool = True) -> Runner:
        """Return the means to run steps on batches of a dataset."""
        return Runner(self, dataset, with_outputs)

    def step_for(self, dataset: Dataset, size: int, with_outputs: bool) -> CompiledStep:
        """Return the compiled step for batches of `size` samples of such a dataset."""
        form = repr([tree.map_structure(_type, p) for p in dataset.parts])
        trained = tuple(map(id, self.model.trainable_variables))
        optimizer = id(self.model.optimizer) if self.kind == "train" else None
        key = (form, size, with_outputs, trained, optimizer, floatx())

        def make() -> CompiledStep:
            return CompiledStep(Step(self.model, self.kind), dataset, size, with_outputs)

        before, count = self._watch(), self.compilations
        compiled = self._steps.get((key, before.key), make)
        if self.compilations > count:
            self._note_assigned(before)
            compiled = self._steps.renamed((key, before.key), (key, self._watch().key))
            if self._first is None or self._first[0] != self._watch().key:
                self._first = self._watch().key, compiled.executable
        if self.kind == "predict" and isinstance(dataset.x, np.ndarray):
            self._small[(size, *dataset.x.shape[1:]), dataset.x.dtype] = compiled
        return compiled
