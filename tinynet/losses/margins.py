"""The losses of margins, directions and distributions: hinge, cosine, KL divergence and others.

The formulas are Keras's. Imports `functions.py`. Read next: `lookup.py`.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import epsilon
from ..engine.refusal import answering
from ..engine.tensor import Tensor
from .base import LossFunction
from .functions import _pair, _smoothed, binary_crossentropy


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
    """Return ``max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)``.

    Targets are one-hot along the last axis, over which the sum and the inner maximum are taken.
    ValueError when the shapes differ after `align_ranks`.

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


@answering
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Tensor:
    """Return the negative cosine of the angle between vectors along `axis`, from -1 to 1.

    It is 0 if one of them is 0. ValueError when the shapes differ after `align_ranks`.

    >>> cosine_similarity([[0.0, 1.0], [1.0, 0.0]], [[0.0, 4.0], [0.0, 1.0]])
    tensor([-1., -0.], dtype=float32)
    """
    y_true, y_pred = (_of_length_1(y, axis) for y in _pair(y_true, y_pred))
    return -ops.sum(y_true * y_pred, axis=axis)


def _of_length_1(x: Tensor, axis: int) -> Tensor:
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, epsilon() ** 2))


class CosineSimilarity(LossFunction, fn=cosine_similarity):
    """The loss object of `cosine_similarity`; other parameters as for `Loss`.

    >>> CosineSimilarity()([[0.0, 1.0]], [[0.0, 4.0]])
    tensor(-1., dtype=float32)
    """


@answering
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Return the mean over `axis` of a binary crossentropy in which easy samples count less.

    The value of each target is multiplied by ``(1 - p) ** gamma``, where p is the probability given
    to it, and with `apply_class_balancing` by `alpha` for class 1 and ``1 - alpha`` for class 0.
    Source: Lin et al., "Focal loss for dense object detection", 2017.

    >>> binary_focal_crossentropy([[1.0], [0.0]], [[0.5], [0.5]])  # log(2) / 4
    tensor([0.1732868, 0.1732868], dtype=float32)
    """
    y_true, y_pred = _pair(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    values = binary_crossentropy(ops.expand_dims(y_true, -1), ops.expand_dims(p, -1))
    values = values * (1.0 - (y_true * p + (1.0 - y_true) * (1.0 - p))) ** gamma
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


class BinaryFocalCrossentropy(LossFunction, fn=binary_focal_crossentropy):
    """The loss object of `binary_focal_crossentropy`, with its options; others as for `Loss`.

    >>> BinaryFocalCrossentropy(gamma=0.0)([[1.0]], [[0.5]])
    tensor(0.6931472, dtype=float32)
    """
