"""A model as a pure function of its weights: what it computes if they are others.

Imports the engine and `data.py`. Read next: `divergence.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tree
from ..engine.tensor import Tensor, wrap
from ..engine.variable import stateless
from ..layers.symbolic import within
from .data import Dataset


def at_weights(model: Any, compute: Callable[[], Any]) -> Callable[..., Any]:
    """Return a function of all trainable weights that computes something with these in the model.

    Nothing that is assigned meanwhile is kept.
    """
    trained = model.trainable_variables

    def run(*weights: Any) -> Any:
        values = {v: wrap(v.array) for v in model.variables}
        values |= dict(zip(trained, weights, strict=True))
        with stateless(values), within(training=False, losses={}):
            return compute()

    return run


def loss_of(model: Any, batch: Dataset) -> Callable[..., Tensor]:
    """Return the loss of a batch, as that of a test, as a function of the trainable weights."""
    x, y, sample_weight = (
        None if part is None else tree.map_structure(wrap, part)
        for part in (batch.x, batch.y, batch.sample_weight)
    )
    return at_weights(
        model, lambda: model.compute_loss(x, y, model(x), sample_weight, training=False)
    )
