"""Metrics of true and false positives and negatives: their counts, precision, recall, AUC, F score.

A prediction above a threshold is positive. All formulas are Keras's. Imports `base.py`. Read next:
`lookup.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..backend import epsilon
from ..configs.configurable import taking
from ..configs.files import memory
from ..engine.expect import expect, is_number
from ..engine.tensor import Tensor
from ..engine.variable import Variable
from ..losses.base import align_weights, same_shapes
from .base import Metric

THRESHOLD = 32  # bytes of a number in a list


class Confusion(Metric):
    """Base of metrics that keep, for each threshold, weighted counts: the `_cells`."""

    _cells: ClassVar[tuple[str, ...]]
    _kept: dict[str, Variable]  # the variables of the cells
    thresholds: Any
    init_thresholds: Any
    top_k: Any = None
    class_id: Any = None
    label_weights: Any = None
    multi_label = from_logits = False

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self._kept = {}

    def _begin(self, thresholds: Any, default: float = 0.5) -> None:
        """Check the thresholds, and create the counts for them."""
        given = np.atleast_1d(default if thresholds is None else thresholds).tolist()
        valid = thresholds is None or all(is_number(t) and 0 <= t <= 1 for t in given)
        expect(valid, "thresholds", "numbers from 0 to 1", thresholds)
        self.init_thresholds, self.thresholds = thresholds, given
        self._add_cells((len(given),))

    def _add_cells(self, shape: Any) -> None:
        names = self._cells if len(self._cells) > 1 else ("accumulator",)
        pairs = zip(self._cells, names, strict=True)
        self._kept = {cell: self.add_variable(shape, name=name) for cell, name in pairs}
        vars(self).update({variable.name: variable for variable in self._kept.values()})

    def _decided(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        """Return the labels as 0 or 1, and the scores that the thresholds are compared with."""
        if self.from_logits:
            y_pred = ops.sigmoid(y_pred)
        if self.top_k is not None:
            ranks = ops.argsort(ops.argsort(-y_pred, -1), -1)
            y_pred = ops.where(ranks < self.top_k, y_pred, -1e10)
        if self.class_id is not None:
            expect(y_pred.ndim > 1, "class_id", "y_pred with an axis of classes", y_pred.shape)
            y_true, y_pred = (y[..., self.class_id, None] for y in (y_true, y_pred))
        return ops.cast(ops.not_equal(y_true, 0), self.dtype), y_pred

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the counts of a batch; the weights are of samples, or of elements of `y_pred`."""
        with self._without_gradient(y_true, y_pred, sample_weight):
            y_true, y_pred = same_shapes(y_true, y_pred, self.dtype)
            self._build(y_pred.shape)
            label, score = self._decided(y_true, y_pred)
            weight = ops.ones_like(score)
            if sample_weight is not None:
                given = ops.expand_dims(ops.cast(sample_weight, self.dtype), -1)
                weight, score = align_weights(given, score)
            if self.label_weights is not None and not self.multi_label:
                weight = weight * ops.cast(self.label_weights, self.dtype)
            weight = ops.broadcast_to(weight, score.shape)
            rows = (-1, score.shape[-1] if self.multi_label else 1)
            label, score, weight = (ops.reshape(x, rows) for x in (label, score, weight))
            positive, negative = weight * label, weight * (1.0 - label)
            above = score > ops.cast(self.thresholds, self.dtype)[:, None, None]
            hits, alarms = (ops.sum(ops.where(above, x, 0.0), 1) for x in (positive, negative))
            total = ops.sum(positive, 0)
            found = {"true_positives": hits, "false_negatives": total - hits}
            found |= {"false_positives": alarms, "intermediate_weights": total}
            found["true_negatives"] = ops.sum(negative, 0) - alarms
            for cell, variable in self._kept.items():
                variable.assign_add(ops.reshape(found[cell], variable.shape))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; thresholds as they were given."""
        config = super().get_config()
        return config | {key: self.init_thresholds for key in config if key == "thresholds"}


_taking = partial(taking, Confusion)


class _Count(Confusion):
    """Base of the four counts as metrics."""

    @_taking
    def __init__(self, thresholds: Any = None, **more: Any) -> None:
        super().__init__(**more)
        self._begin(thresholds)

    def result(self) -> Tensor:
        """Return the weighted count since `reset_state`, a vector for several thresholds."""
        (count,) = self._kept.values()
        return count[0] if len(self.thresholds) == 1 else count.value


class TruePositives(_Count):
    """The number of positive predictions of positive samples, or the sum of their weights.

    Parameters
    ----------
    thresholds : float or list of floats from 0 to 1, optional
        Above it a prediction is positive, by default 0.5. Several give several counts.
    name, dtype
        See `Metric`.

    >>> TruePositives()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8])
    tensor(2., dtype=float32)
    """

    _cells = ("true_positives",)


class TrueNegatives(_Count):
    """The number of negative predictions of negative samples; see `TruePositives`."""

    _cells = ("true_negatives",)


class FalsePositives(_Count):
    """The number of positive predictions of negative samples; see `TruePositives`."""

    _cells = ("false_positives",)


class FalseNegatives(_Count):
    """The number of negative predictions of positive samples; see `TruePositives`."""

    _cells = ("false_negatives",)


class _Share(Confusion):
    """Base of precision and recall: the share of hits among `_cells`."""

    _direction = "up"

    @_taking
    def __init__(
        self, thresholds: Any = None, top_k: Any = None, class_id: Any = None, **more: Any
    ) -> None:
        super().__init__(**more)
        self.top_k, self.class_id = top_k, class_id
        self._begin(thresholds, 0.5 if top_k is None else -1e10)

    def result(self) -> Tensor:
        """Return the share since `reset_state`; 0 where there is no sample."""
        hits, others = self._kept.values()
        share = ops.divide_no_nan(hits, hits + others)
        return share[0] if len(self.thresholds) == 1 else share


class Precision(_Share):
    """The share of positive samples among those predicted as positive.

    Parameters
    ----------
    thresholds : float or list of floats from 0 to 1, optional
        Above it a prediction is positive, by default 0.5. Several give a vector.
    top_k : int, optional
        Only the `top_k` largest scores of a sample may be positive; without `thresholds` all of
        them are.
    class_id : int, optional
        Only predictions of this class, an index of the last axis, count.
    name, dtype
        See `Metric`.

    >>> Precision()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8])
    tensor(0.6666667, dtype=float32)
    """

    _cells = ("true_positives", "false_positives")


class Recall(_Share):
    """The share of samples predicted as positive among the positive ones.

    Parameters as for `Precision`.

    >>> Recall()([0, 1, 1, 1], [0.9, 0.2, 0.7, 0.8])
    tensor(0.6666667, dtype=float32)
    """

    _cells = ("true_positives", "false_negatives")


_HEIGHTS = {
    "interpolation": lambda a, b: (a + b) / 2.0,
    "minoring": ops.minimum,
    "majoring": ops.maximum,
}


class AUC(Confusion):
    """The area under a curve of pairs of rates, one for each threshold.

    Parameters
    ----------
    num_thresholds : int
        The number of thresholds, evenly spaced from 0 to 1; more give a more exact area.
    curve : "ROC" or "PR"
        Recall over the rate of false positives, or precision over recall.
    summation_method : "interpolation", "minoring" or "majoring"
        The mean, the smaller or the larger end of each piece of the curve. Interpolation of "PR":
        Davis and Goadrich, "The relationship between precision-recall and ROC curves", 2006.
    name, dtype
        See `Metric`.
    thresholds : list of floats from 0 to 1, optional
        Instead of `num_thresholds`; 0 and 1 are added.
    multi_label : bool
        Whether each label, along the last axis, has its own curve; the result is the mean.
    num_labels : int, optional
        Their number, only with `multi_label`.
    label_weights : list of floats, optional
        Weights of the labels; without `multi_label` of their predictions.
    from_logits : bool
        Whether predictions are logits.

    Raises
    ------
    ValueError
        For values out of range.

    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9])
    tensor(0.75, dtype=float32)
    """

    _direction = "up"
    _cells = ("true_positives", "false_positives", "true_negatives", "false_negatives")

    @partial(_taking, first="num_thresholds curve summation_method name dtype")
    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.curve, self.summation_method = str(curve).upper(), str(summation_method).lower()
        self._check_curve()
        count = len(thresholds) + 2 if thresholds else num_thresholds or 0
        expect(count > 1, "num_thresholds", "an int above 1", num_thresholds)
        memory.allocator.charge(THRESHOLD * count)
        inner = sorted(thresholds or np.linspace(0.0, 1.0, count)[1:-1].tolist())
        self.init_thresholds = inner if thresholds else None
        self.thresholds = [-epsilon(), *inner, 1.0 + epsilon()]
        self.num_thresholds, self.num_labels = len(self.thresholds), num_labels
        self.multi_label, self.label_weights = multi_label, label_weights
        self.from_logits = from_logits
        if num_labels or not multi_label:
            self._build((None, num_labels))

    def _build(self, y_pred_shape: Any) -> None:
        if not self._kept:
            valid = len(y_pred_shape) == 2 or not self.multi_label
            expect(valid, "AUC", "y_pred of shape (samples, labels)", y_pred_shape)
            self._add_cells((self.num_thresholds, *y_pred_shape[1 : 1 + self.multi_label]))

    def _check_curve(self) -> None:
        method = self.summation_method
        expect(self.curve in ("ROC", "PR"), "curve", "'ROC' or 'PR'", self.curve)
        expect(method in _HEIGHTS, "summation_method", f"one of {[*_HEIGHTS]}", method)

    def result(self) -> Tensor:
        """Return the area since `reset_state`."""
        self._check_curve()
        tp, fp, tn, fn = (variable.value for variable in self._kept.values())
        rate = ops.divide_no_nan
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            pieces = _interpolated(tp, fp, fn)
        else:
            x, y = rate(fp, fp + tn), rate(tp, tp + fn)
            x, y = (y, rate(tp, tp + fp)) if self.curve == "PR" else (x, y)
            pieces = (x[:-1] - x[1:]) * _HEIGHTS[self.summation_method](y[:-1], y[1:])
        area = ops.sum(pieces, 0)
        if not self.multi_label or self.label_weights is None:
            return ops.mean(area)
        weights = ops.cast(self.label_weights, self.dtype)
        return rate(ops.sum(area * weights), ops.sum(weights))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; thresholds only if they were given."""
        config = super().get_config()
        given = {"thresholds": config.pop("thresholds")}
        return config | (given if self.init_thresholds else {})


def _interpolated(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """Return the areas under the pieces of the precision-recall curve, interpolated."""
    rate, predicted = ops.divide_no_nan, tp + fp
    hits, more, fewer = tp[:-1] - tp[1:], predicted[:-1], predicted[1:]
    slope = rate(hits, ops.maximum(more - fewer, 0.0))
    both = ops.logical_and(more > 0, fewer > 0)
    growth = ops.where(both, rate(more, fewer), 1.0)
    area = slope * (hits + (tp[1:] - slope * fewer) * ops.log(growth))
    return rate(area, ops.maximum(tp[1:] + fn[1:], 0.0))


class FBetaScore(Confusion):
    """The weighted harmonic mean of precision and recall: ``(1 + b²) p r / (b² p + r)``.

    Parameters
    ----------
    average : None, "micro", "macro" or "weighted"
        A score for each class; one score for all predictions together; the mean over the classes;
        the mean weighted by the numbers of samples.
    beta : float above 0
        How many times as important recall is as precision.
    threshold : float above 0, at most 1, optional
        Above it a prediction is positive; None: the largest score of each sample is positive.
    name, dtype
        See `Metric`.

    Raises
    ------
    ValueError
        For values out of range, and for batches whose shape is not (samples, classes).

    >>> FBetaScore(beta=2.0, threshold=0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.8, 0.2]]).numpy()
    array([0.5555556, 0.9999999], dtype=float32)
    """

    _direction = "up"
    _cells = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")

    @partial(_taking, name="fbeta_score")
    def __init__(
        self, average: Any = None, beta: float = 1.0, threshold: Any = None, **more: Any
    ) -> None:
        super().__init__(**more)
        known = (None, "micro", "macro", "weighted")
        expect(average in known, "average", f"one of {known}", average)
        expect(is_number(beta) and beta > 0, "beta", "a number above 0", beta)
        valid = threshold is None or (is_number(threshold) and 0 < threshold <= 1)
        expect(valid, "threshold", "a number above 0, at most 1, or None", threshold)
        self.average, self.beta, self.threshold = average, beta, threshold
        self.multi_label = average != "micro"

    def _build(self, y_pred_shape: Any) -> None:
        if not self._kept:
            expect(len(y_pred_shape) == 2, "y_pred", "shape (samples, classes)", y_pred_shape)
            self._add_cells(y_pred_shape[1:] if self.multi_label else ())

    def _decided(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        self.thresholds = [0.5 if self.threshold is None else self.threshold]
        if self.threshold is None:
            best = y_pred >= ops.max(y_pred, -1, keepdims=True)
            y_pred = ops.cast(ops.logical_and(best, ops.absolute(y_pred) > 1e-9), self.dtype)
        return y_true, y_pred

    def result(self) -> Tensor:
        """Return the score since `reset_state`, a vector of the classes without `average`."""
        hits, alarms, missed, weights = (variable.value for variable in self._kept.values())
        precision = hits / (hits + alarms + epsilon())
        recall = hits / (hits + missed + epsilon())
        b2 = self.beta**2
        score = precision * recall / (b2 * precision + recall + epsilon()) * (1.0 + b2)
        if self.average == "weighted":
            return ops.sum(score * (weights / (ops.sum(weights) + epsilon())))
        return score if self.average is None else ops.mean(score)


class F1Score(FBetaScore):
    """`FBetaScore` for beta 1: the harmonic mean of precision and recall.

    >>> F1Score(threshold=0.5)([[1, 1], [1, 0]], [[0.2, 0.6], [0.8, 0.2]]).numpy()
    array([0.66666657, 0.9999998 ], dtype=float32)
    """

    @partial(_taking, name="f1_score")
    def __init__(self, average: Any = None, threshold: Any = None, **more: Any) -> None:
        super().__init__(average, 1.0, threshold, **more)
