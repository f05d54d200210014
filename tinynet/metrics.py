"""Metrics: numbers that are watched while training, averaged over the samples of an epoch.

Imports `losses.py`. Read next: `callbacks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import losses, registry
from .engine.tensor import as_tensor, no_grad


class Metric:
    """Base of metrics: subclass it with `update_state`, `result` and `reset_state`."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or registry.snake_case(type(self).__name__)
        self.dtype = dtype

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take the samples of a batch into account: ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Any:
        """Return the metric of all samples since `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def reset_state(self) -> None:
        """Forget all samples."""
        raise NotImplementedError(f"{type(self).__name__} must define reset_state().")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()


class Mean(Metric):
    """The mean of values, weighted if weights are given.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state([8.0], sample_weight=[2.0])
    >>> mean.result()
    5.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget all values."""
        self.total = self.count = 0.0

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values` to those that are averaged."""
        values = as_tensor(values)
        weighted = losses.reduce(values, sample_weight, "none").numpy()
        weights = losses.reduce(as_tensor(np.ones(values.shape)), sample_weight, "none").numpy()
        self.total += float(weighted.sum())
        self.count += float(weights.sum())

    def result(self) -> float:
        """Return the mean of all values since `reset_state`; 0 if there are none."""
        return self.total / self.count if self.count else 0.0


class MeanMetricWrapper(Mean):
    """The mean over samples of a function ``(y_true, y_pred)``."""

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or registry.name_of(fn), dtype)
        self.fn = fn

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the function's values for a batch."""
        with no_grad():
            pair = losses.align(as_tensor(y_true), as_tensor(y_pred))
            super().update_state(self.fn(*pair), sample_weight)


class MeanSquaredError(MeanMetricWrapper):
    """The mean of ``(y_true - y_pred) ** 2``.

    >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    5.0
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of ``abs(y_true - y_pred)``.

    >>> MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    2.0
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


_TABLE = losses.TABLE | {c.__name__: c for c in (MeanSquaredError, MeanAbsoluteError)}


def get(identifier: Any) -> Metric:
    """Return the metric object that `identifier` names, is, or is the function of.

    Raises
    ------
    ValueError
        ``Could not interpret metric identifier: ...``
    """
    found = identifier
    if not isinstance(identifier, Metric):
        found = registry.lookup(identifier, _TABLE, "metric")
    if isinstance(found, Metric):
        return found
    name = identifier if isinstance(identifier, str) else None
    return MeanMetricWrapper(found, name)


def named(plain: Sequence[Any], weighted: Sequence[Any]) -> dict[str, tuple[Metric, bool]]:
    """Return compiled metrics by the keys that logs have for them, and whether they are weighted.

    Repeated names are numbered; a weighted metric of the same name as a plain one says so.
    """
    table: dict[str, tuple[Metric, bool]] = {}
    for identifiers, uses_weights in ((plain, False), (weighted, True)):
        for identifier in identifiers:
            metric = get(identifier)
            if isinstance(identifier, str):
                metric.name = identifier  # logs repeat what was typed
            name = metric.name
            if uses_weights and name in table:
                name = f"weighted_{name}"
            number = sum(key == name or key.rsplit("_", 1)[0] == name for key in table)
            table[f"{name}_{number}" if name in table else name] = (metric, uses_weights)
    return table
