"""Many steps in one call of C, which gathers their batches itself.

Imports `data.py` and `optimizers`. Read next: `step_cache.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import tree
from ..optimizers.groups import scalars_ahead
from .data import first_of

SECONDS = 0.03  # of work in one call, after which callbacks, the progress bar and Ctrl-C are heeded


class ManySteps:
    """Runs a compiled step on as many batches in one call as take about `SECONDS`.

    Parameters
    ----------
    step : CompiledStep
    arrays : list of arrays, whose rows are the samples
    """

    def __init__(self, step: Any, arrays: Sequence[np.ndarray]) -> None:
        self.step, self._given = step, arrays
        self.most = 1  # batches in the next call

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """The arrays as C reads them."""
        pairs = zip(self._given, self.step.data, strict=True)
        return [np.ascontiguousarray(a, buffer.dtype) for a, buffer in pairs]

    def run(self, rows: Any, count: int, most: float) -> tuple[list[float], Any] | None:
        """Run the first of `count` batches; return their losses and their outputs.

        None, and nothing has run, if the step is not C or the host has to know of each step. It
        stops after a loss that is NaN or above `most`, unless that is infinite.
        """
        step, optimizer = self.step, self.step.step.optimizer
        if not step.executable.native:
            return None
        count = min(count, self.most)
        numbers = scalars_ahead(optimizer, count) if step.step.groups else {}
        if numbers is None:
            return None
        at = step.state_size
        kinds = step.executable.program.outputs[at:]
        copies = [np.empty((count, *v.shape), v.dtype) for v in kinds]
        start = time.perf_counter()
        taken = step.executable.take_steps(
            count,
            [*self._samples(rows, count), *_numbers(step.scalars, numbers, count)],
            dict(enumerate(copies, at)),
            *((at, most) if step.has_loss and most < math.inf else ()),
        )
        if not taken:
            return None
        seconds = time.perf_counter() - start
        self.most = max(1, min(8 * taken, int(taken * SECONDS / seconds)))
        if step.step.groups:
            optimizer.count_step(taken)
        for owner in step.written:
            owner.version += 1
        losses = copies.pop(0).tolist() if step.has_loss else [0.0] * taken
        joined = [a.reshape(len(a) * a.shape[1], *a.shape[2:]) for a in copies]
        return losses[:taken], joined and tree.pack_sequence_as(step.form, joined)

    def _samples(self, rows: Any, count: int) -> list[Any]:
        """Return what C copies to the buffers of the batch, a part of it or rows for each step."""
        pairs = list(zip(self.step.data, self.arrays, strict=True))
        rows = first_of(rows, count * len(pairs[0][0]))
        if type(rows) is slice:
            return [(to, a[rows], None) for to, a in pairs]
        rows = np.ascontiguousarray(rows, "int64")
        return [(to, a, rows) for to, a in pairs]


def _numbers(buffers: Any, numbers: dict[str, Any], count: int) -> list[Any]:
    return [(to, np.full(count, numbers[name], to.dtype), None) for name, to in buffers]
