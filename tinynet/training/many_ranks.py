"""What ranks that train together must agree on: weights, data, random numbers, when to stop.

Imports `distribution/` and `step.py`. Read next: `../distribution/ranks.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..distribution.ranks import Part, digest, place, refuse_difference, team
from ..engine.temporarily import temporarily
from ..engine.tensor import wrap
from ..engine.variable import Variable, assign_all
from .data import Dataset
from .step import Step
from .streams import Batches


def on_any(flag: Any) -> bool:
    """Return whether a flag is set on any rank."""
    return any(team().gather(bool(flag)))


def begin(model: Any, *datasets: Any, with_loss: bool = True, is_new: bool = True) -> None:
    """Give all ranks the weights, slots and random generators of rank 0, and check the datasets.

    If the model is not new, weights are not sent and the loss is not checked. RuntimeError, on all
    ranks, if their models or data differ; ValueError if the loss of a batch is not the mean of its
    samples' losses, or a metric not a sum over samples.
    """
    if team().size == 1:
        return
    first = datasets[0].first()
    if not model._called:
        model._outputs_of(first)
    variables, arrays = _state_of(model), [d for d in datasets if type(d) is Dataset]
    metrics = model.objective.variables if with_loss else []
    named: list[Any] = [("the data", digest(a)) for each in arrays for a in _samples(each)]
    named += [(v.path, (v.shape, v.dtype)) for v in variables + metrics]
    refuse_difference(named, "Make the same model, and seed or read the same data, on all ranks.")
    if not is_new:
        return
    state = [v.array for v in variables], random.getstate(), np.random.get_state()
    values, python, numpy = team().broadcast(state)
    assign_all(dict(zip(variables, values, strict=True)))
    random.setstate(python)
    np.random.set_state(numpy)
    if first.size > 1 and with_loss:
        loss = _check_means(model, first)
        if type(datasets[0]) is Dataset:  # which all ranks have
            _check_same(loss)


def _check_same(loss: float) -> None:
    """Raise RuntimeError on all ranks if the losses of the first batch differ."""
    losses = team().gather(loss)
    near = np.isclose(losses, losses[0], 1e-3, equal_nan=True)
    if not near.all():
        other = int(np.argmin(near))
        what = f"the loss of the first batch, {losses[other]:g} and {losses[0]:g}"
        advice = "Make the same model, with the same loss, on all ranks."
        raise RuntimeError(f"Rank {other} differs from rank 0 in {what}. {advice}")


def _state_of(model: Any) -> list[Variable]:
    return [*model.variables, *(model.optimizer.variables if model.optimizer else ())]


def _samples(dataset: Dataset) -> list[np.ndarray]:
    """Return the sizes of a dataset, and some rows of each array."""
    rows = np.linspace(0, dataset.size - 1, 100).astype(int)
    sizes = np.array([dataset.size, dataset.batch_size, dataset.batches])
    return [sizes, *tree.leaves(dataset.take(rows))]


def _check_means(model: Any, batch: Dataset) -> float:
    """Return the loss of a batch; ValueError unless it and metrics follow from those of parts."""
    step, found, at = Step(model, "test"), [], -(-batch.size // 3)
    sums = dict.fromkeys(model.objective.variables)
    for rows in (slice(None), slice(at), slice(at, None)):
        others = [wrap(v.array * 0 if v in sums else v.array.copy()) for v in step.others]
        data = batch.take(rows).map(wrap)
        with temporarily(place, part=Part(rows.start or 0, data.size, batch.size, data.size)):
            after, loss, _ = step(step.read()._replace(others=others), data, ())
        state = dict(zip(step.others, after.others, strict=True))
        found.append([loss.numpy() * data.size, *(state[v].numpy() for v in sums)])
    for name, whole, a, b in zip(("loss", *(v.path for v in sums)), *found, strict=True):
        near = 1e-3 * np.nanmax(np.abs(whole), initial=0)
        if not np.allclose(whole, a + b, 1e-3, near, equal_nan=True):
            what = f"{name} (times samples) is {whole} for a batch, but {a} and {b} for its parts"
            rule = "DataParallel needs the mean loss of a batch, and metrics that are sums"
            raise ValueError(f"{rule}: {what}. Use another reduction or metric.")
    return float(found[0][0]) / batch.size


def agree(model: Any, when: str) -> None:
    """Raise RuntimeError on all ranks if their weights differ; stop all if one is to stop."""
    if team().size > 1:
        hashes = [(v.path, digest(v.array)) for v in _state_of(model)]
        refuse_difference(hashes, f"Found after {when}: do not change weights on one rank alone.")
        model.stop_training = on_any(model.stop_training)


def shared_batches(dataset: Batches) -> tuple[Batches, Callable[[Any], Any]]:
    """Return the batches of a prediction that this rank computes, and a function of their outputs.

    The function returns the outputs of all ranks. Batches are not divided, so the
    outputs equal those of one rank bit for bit. For those of an iterable, see `parts_of`.
    """
    if team().size == 1 or not isinstance(dataset, Dataset) or dataset.steps:
        return dataset, lambda outputs: outputs
    part, size = Part.of(dataset.batches), dataset.batch_size
    own = Dataset(dataset.take(slice(part.start * size, (part.start + part.length) * size)), size)
    every = itertools.chain.from_iterable
    return own, lambda outputs: [*every(team().gather(outputs[: part.samples]))]
