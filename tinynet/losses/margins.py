"""The losses of margins and of distributions: hinge losses, KL divergence, Poisson.

The formulas are Keras's. Imports `functions.py`. Read next: `lookup.py`.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import epsilon
from ..engine.tensor import Tensor
from .base import LossFunction
from .functions import _pair


def _margin(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``max(1 - y_true * y_pred, 0)``; targets that are all 0 or 1 become -1 or 1."""
    y_true, y_pred = _pair(y_true, y_pred)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    y_true = ops.where(binary, 2.0 * y_true - 1.0, y_true)
    return ops.maximum(1.0 - y_true * y_pred, 0.0)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(max(1 - y_true * y_pred, 0))`` over the last axis, for targets -1 and 1.

    If all targets are 0 or 1, 0 counts as -1. ValueError when the shapes differ after
    `align_ranks`.

    >>> hinge([[1.0, -1.0], [1.0, 1.0]], [[0.5, -2.0], [2.0, -1.0]])
    tensor([0.25, 1.  ], dtype=float32)
    """
    return ops.mean(_margin(y_true, y_pred), axis=-1)


class Hinge(LossFunction, fn=hinge):
    """The loss object of `hinge`; parameters as for `Loss`.

    >>> Hinge()([0, 1], [-0.5, 1.0])
    tensor(0.25, dtype=float32)
    """


def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(max(1 - y_true * y_pred, 0) ** 2)`` over the last axis; else as `hinge`.

    >>> squared_hinge([[1.0, -1.0]], [[0.5, -2.0]])
    tensor([0.125], dtype=float32)
    """
    return ops.mean(ops.square(_margin(y_true, y_pred)), axis=-1)


class SquaredHinge(LossFunction, fn=squared_hinge):
    """The loss object of `squared_hinge`; parameters as for `Loss`.

    >>> SquaredHinge()([0, 1], [-0.5, 1.0])
    tensor(0.125, dtype=float32)
    """


def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Return how far the true class's score is from 1 above the largest other one, at least 0.

    Targets are one-hot along the last axis. ValueError when the shapes differ after `align_ranks`.

    >>> categorical_hinge([[0, 1, 0]], [[0.5, 0.75, 0.0]])
    tensor([0.75], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    others = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(others - ops.sum(y_true * y_pred, axis=-1) + 1.0, 0.0)


class CategoricalHinge(LossFunction, fn=categorical_hinge):
    """The loss object of `categorical_hinge`; parameters as for `Loss`.

    >>> CategoricalHinge()([[0, 1]], [[0.5, 0.75]])
    tensor(0.75, dtype=float32)
    """


def kl_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``sum(y_true * log(y_true / y_pred))`` over the last axis, of probabilities.

    Both are clipped to the range from 1e-7 to 1. ValueError when the shapes differ after
    `align_ranks`.

    >>> kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).numpy().round(3)
    array([0.144], dtype=float32)
    """
    y_true, y_pred = (ops.clip(y, epsilon(), 1.0) for y in _pair(y_true, y_pred))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


class KLDivergence(LossFunction, fn=kl_divergence):
    """The loss object of `kl_divergence`; parameters as for `Loss`.

    >>> KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]])
    tensor(0., dtype=float32)
    """


def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """Return ``mean(y_pred - y_true * log(y_pred + 1e-7))`` over the last axis, of counts.

    ValueError when the shapes differ after `align_ranks`.

    >>> poisson([[2.0, 0.0]], [[1.0, 3.0]])
    tensor([1.9999999], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + epsilon()), axis=-1)


class Poisson(LossFunction, fn=poisson):
    """The loss object of `poisson`; parameters as for `Loss`.

    >>> Poisson()([2.0, 0.0], [1.0, 3.0])
    tensor(1.9999999, dtype=float32)
    """
