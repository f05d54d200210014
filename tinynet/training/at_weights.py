"""A model as a pure function of its weights, evaluated at given weights.

Imports the engine and `data.py`. Read next: `divergence.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.refusal import answering
from ..engine.tensor import Tensor, wrap
from ..engine.variable import stateless
from ..layers.symbolic import within
from .data import Dataset


def at_weights(model: Any, compute: Callable[[], Any]) -> Callable[..., Any]:
    """Return a function of all trainable weights: `compute`, with these weights in the model.

    The model's own weights are left untouched, and assignments in `compute` are not kept.
    """
    trained = model.trainable_variables

    def run(*weights: Any) -> Any:
        values = {v: wrap(v.array) for v in model.variables}
        with (
            stateless(values | dict(zip(trained, weights, strict=True))),
            within(training=False, losses={}),
        ):
            return compute()

    return run


def loss_of(model: Any, batch: Dataset) -> Callable[..., Tensor]:
    """Return the loss of a batch, with training off, as a function of the trainable weights."""
    x, y, weights = batch.data.map(wrap)
    return at_weights(model, lambda: model.compute_loss(x, y, model(x), weights, training=False))


@answering
def check_model_grads(model: Any, x: Any, y: Any, order: int = 1, **options: Any) -> None:
    """Check the gradient of a compiled model's loss on (x, y) in each of its trainable weights.

    Runs in float64 and leaves the model unchanged. Options and errors are those of `check_grads`;
    argument i of its table is ``model.trainable_variables[i]``.
    """
    from ..engine.gradcheck import check_grads  # seldom needed

    with model.prepared(Dataset.of_one_batch(x, y)) as batch:
        weights = tuple(v.numpy() for v in model.trainable_variables)
        check_grads(loss_of(model, batch), weights, order, **options)
