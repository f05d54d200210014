"""The loss as a function of the weights, its curvature, and why training diverges.

Plain gradient descent multiplies the error along each eigenvector of the loss's Hessian by
``1 - learning_rate * eigenvalue`` at each step: with a rate above 2 / the largest eigenvalue, it
grows. Imports the engine, `data.py`. Read next: `loop.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import tree
from ..engine.autodiff import hvp
from ..engine.expect import warn
from ..engine.refusal import answering
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Variable, stateless
from ..layers.symbolic import within
from .data import Dataset, SparseRows
from .step import computed_loss
from .streams import Batches

GROWTH = 1e4  # a loss above this multiple of the initial scale has diverged
KEPT = 100_000  # elements; initial weights of larger models are not kept for the report
TINY = 1e-30  # the least scale, for losses that begin at 0
ROWS = 1024  # samples whose curvature explains a divergence


class DivergenceWarning(UserWarning):
    """The loss is infinite or NaN, grows without bound, or will be NaN because the data are."""


# -- the loss as a function of the weights ---------------------------------------------------------


def at_weights(model: Any, compute: Callable[[], Any]) -> Callable[..., Any]:
    """Return a function of all trainable weights: `compute`, with these weights in the model.

    The model's own weights are left untouched, and assignments in `compute` are not kept.
    """
    trained = model.trainable_variables

    def run(*weights: Any) -> Any:
        values = {v: wrap(v.array) for v in model.variables}
        values |= zip(trained, weights, strict=True)
        with stateless(values), within(training=False, losses={}):
            return compute()

    return run


def loss_of(model: Any, batch: Dataset) -> Callable[..., Tensor]:
    """Return the loss of a batch, with training off, as a function of the trainable weights."""
    data = batch.data.map(wrap)
    return at_weights(model, lambda: computed_loss(model, data, model(data.x), training=False))


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


def largest_curvature(model: Any, batch: Dataset, weights: Mapping[Variable, Any] = {}) -> float:
    """Return the largest eigenvalue of the Hessian of a model's loss on a batch.

    It is computed in float64 at `weights`, by default the current ones, by the Lanczos method, from
    products of the Hessian with vectors.
    """
    at = [weights.get(v, v.array).astype("float64") for v in model.trainable_variables]
    loss = loss_of(model, batch)
    ends = np.cumsum([a.size for a in at])

    def times(flat: np.ndarray) -> np.ndarray:
        parts = np.split(flat, ends[:-1])
        vectors = tuple(part.reshape(a.shape) for part, a in zip(parts, at, strict=True))
        products = hvp(loss, tuple(map(wrap, at)), vectors)
        return np.concatenate([product.data.ravel() for product in products])

    return largest_eigenvalue(times, int(ends[-1]))


def largest_eigenvalue(times: Any, size: int, steps: int = 100, rtol: float = 1e-12) -> float:
    """Return the largest eigenvalue of a symmetric matrix, given its product with vectors.

    The Lanczos method with full orthogonalization: exact after `size` steps, and precise to `rtol`
    long before. Source: Golub and Van Loan, "Matrix Computations", section 10.3.

    >>> matrix = np.diag([1.0, -5.0, 3.0])
    >>> round(largest_eigenvalue(lambda v: matrix @ v, 3), 9)
    3.0
    """
    steps = min(size, steps)
    basis, matrix = np.empty((steps + 1, size)), np.zeros((steps + 1, steps + 1))
    new, values = np.random.default_rng(0).standard_normal(size), np.array([math.nan])
    basis[0] = new / np.linalg.norm(new)
    for k in range(steps):
        new = times(basis[k])
        if not np.isfinite(new).all():
            return math.nan
        matrix[k, k] = new @ basis[k]
        for _ in range(2):  # twice is enough to orthogonalize
            new = new - (basis[: k + 1] @ new) @ basis[: k + 1]
        values, spans = np.linalg.eigh(matrix[: k + 1, : k + 1])  # it reads the lower triangle
        length = matrix[k + 1, k] = np.linalg.norm(new)
        scale = max(np.abs(values).max(), np.finfo(float).tiny)
        if length * abs(spans[-1, -1]) <= rtol * scale:
            break
        basis[k + 1] = new / length
    return float(values[-1])


def max_learning_rate(curvature: float) -> float:
    """Return the rate above which plain gradient descent grows along the sharpest direction."""
    return 2.0 / curvature if curvature > 0.0 else math.inf


# -- watching a fit --------------------------------------------------------------------------------


class DivergenceMonitor:
    """Watches the losses of a fit and reports once when they diverge.

    Attributes
    ----------
    limit : float
        Losses above it, or NaN, must be passed to `check`.
    reported : bool
    """

    def __init__(self, model: Any, batches: Batches) -> None:
        self.model, self.batches = model, batches
        self.limit = -math.inf  # so that the first loss is checked, whatever it is
        self.first = math.nan
        self.reported = model.on_divergence == "ignore"
        variables = model.trainable_variables
        small = sum(v.size for v in variables) <= KEPT
        keeps = small and not self.reported and not model._step_cache("train").own
        self.start = {v: v.array.copy() for v in variables} if keeps else None
        if isinstance(batches, Dataset) and not self.reported:
            self._check_data(batches)

    def check(self, loss: float, epoch: int, batch: int) -> float:
        """Note the first loss; report a later one that is above the limit or NaN.

        Return the new limit.
        """
        if math.isnan(self.first) and math.isfinite(loss):
            self.first = loss
            self.limit = GROWTH * max(abs(loss), _scale(self.batches), TINY)
        elif not self.reported:
            self._report(self._message(loss, epoch, batch))
        return self.limit

    def _check_data(self, data: Dataset) -> None:
        """Report inputs and targets that are NaN, before the training starts."""
        for name, array in [(k, a) for k in ("x", "y") for a in tree.leaves(getattr(data, k))]:
            if not isinstance(array, SparseRows) and np.isnan(array.min(initial=0)):
                rows = np.isnan(array.reshape(len(array), -1)).any(axis=1)
                where = f"in {rows.sum()} of {len(rows)} rows, first in row {rows.argmax()}"
                self._report(f"fit: {name} holds NaN {where}: remove or fill these rows.")
                break

    def _report(self, message: str) -> None:
        self.reported, self.limit = True, math.inf
        if self.model.on_divergence == "raise":
            raise DivergenceWarning(message)
        warn(message, DivergenceWarning)

    def _message(self, loss: float, epoch: int, batch: int) -> str:
        variables = self.model.trainable_variables
        hit = [v.path for v in variables if not np.isfinite(v.array).all()][:1]
        weights = f"{hit[0]} is not finite any more" if hit else "all weights are still finite"
        losses = f"it was {self.first:.4g} at first and is {loss:.4g}"
        where = f"in epoch {epoch + 1}, batch {batch + 1}"
        return f"fit: the loss diverged: {losses} {where}; {weights}. {self._cause()}"

    def _cause(self) -> str:
        if self.start is None:
            return "Lower the learning rate below model.max_learning_rate(x, y), or scale x."
        batch = self.batches.first(ROWS)
        with np.errstate(all="ignore"):
            curvature = largest_curvature(self.model, batch, self.start)
        rate, limit = float(self.model.optimizer.learning_rate), max_learning_rate(curvature)
        if not math.isfinite(curvature):
            return "The loss has no finite curvature where the training began: check the data."
        most = f"the learning rate of plain gradient descent can be at most 2 / {curvature:.4g}"
        curve = f"At the start, the largest curvature of the loss is {curvature:.4g}"
        bound = f"{curve}, so {most} = {limit:.4g}"
        if rate <= limit:
            cause = "make it positive" if rate < 0 else "so the cause lies elsewhere, or came later"
            return f"{bound}; it is {rate:.4g}, {cause}."
        x = np.concatenate([array.ravel() for array in tree.leaves(batch.x)])
        scale = f"scale the inputs (range from {x.min():.4g} to {x.max():.4g})"
        advice = f"lower it to below {limit:.4g}, or {scale}, say with a Normalization layer."
        return f"{bound}, and it is {rate:.4g}: {advice}"


def _scale(batches: Batches) -> float:
    """Return the mean square of the first targets, a usual initial squared error."""
    y = batches.y if isinstance(batches, Dataset) else None
    arrays = [] if y is None else [np.asarray(a[:ROWS], "float64") for a in tree.flatten(y)]
    return max((float(np.mean(a * a)) for a in arrays), default=1.0)
