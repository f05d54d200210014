"""Metrics: numbers that are watched while training, averaged over the samples of an epoch.

Imports `losses.py`. Read next: `callbacks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import initializers, losses, ops, registry
from .engine.tensor import Tensor, as_dtype, as_tensor, floatx, no_grad
from .engine.variable import Variable


class Metric:
    """Base of metrics: subclass it with `update_state` and `result`.

    What it remembers of the samples is to be held by variables, from `add_variable`; then it is
    updated within the compiled step. A metric without variables is updated beside it, by calls of
    `update_state` with the batch's numbers, and defines `reset_state`.

    Parameters
    ----------
    dtype : str, optional
        The dtype of its variables, `floatx` by default.
    name : str, optional
        Its key in logs, by default the class's name in snake_case.

    >>> import numpy as np, tinynet as tn
    >>> class Largest(Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.most = self.add_variable((), "zeros", name="most")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.most.assign(tn.ops.maximum(self.most, tn.ops.max(abs(y_true - y_pred))))
    ...     def result(self):
    ...         return self.most.value
    >>> largest = Largest()
    >>> largest.update_state(np.array([1.0, 2.0]), np.array([1.5, 4.0]))
    >>> float(largest.result())
    2.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or registry.snake_case(type(self).__name__)
        self.dtype = as_dtype(dtype or floatx()).name
        self.variables: list[Variable] = []

    def add_variable(
        self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str = "variable"
    ) -> Variable:
        """Return a new variable; `reset_state` sets its elements to 0."""
        dtype = dtype or self.dtype
        values = initializers.get(initializer)(tuple(shape), dtype)
        variable = Variable(values, dtype, False, name, f"{self.name}/{name}")
        self.variables.append(variable)
        return variable

    add_weight = add_variable

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take the samples of a batch into account: ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Any:
        """Return the metric of all samples since `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def reset_state(self) -> None:
        """Forget all samples."""
        if not self.variables:
            raise NotImplementedError(f"{type(self).__name__} must define reset_state().")
        for variable in self.variables:
            variable.write(0)

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
    tensor(5., dtype=float32)
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values` to those that are averaged."""
        with no_grad():
            values, count = _per_sample(ops.cast(values, self.dtype), sample_weight)
            self.total.assign_add(ops.sum(values))
            self.count.assign_add(count)

    def result(self) -> Tensor:
        """Return the mean of all values since `reset_state`; 0 if there are none."""
        return ops.divide_no_nan(self.total, self.count)


def _per_sample(values: Tensor, sample_weight: Any) -> tuple[Tensor, Any]:
    """Return one value per sample, weighted, and the sum of the weights, or the count of samples.

    Source: what Keras's reductions do; weights of more axes than one are averaged like values.
    """
    count: Any = values.shape[0] if values.ndim else 1
    if sample_weight is not None:
        weights, values = losses.align(ops.cast(sample_weight, values.dtype), values)
        values = _means(values, weights.ndim)
        if not losses.fits(weights.shape, values.shape):
            raise ValueError(
                f"sample_weight of shape {weights.shape} does not fit values of shape "
                f"{values.shape}: expected a weight per value."
            )
        weights = ops.broadcast_to(weights, values.shape)
        values = values * weights
        count = ops.sum(_means(weights, 1))
    return _means(values, 1), count


def _means(values: Tensor, axes: int) -> Tensor:
    """Return the means over all axes but the first `axes`."""
    return ops.mean(values, tuple(range(axes, values.ndim))) if values.ndim > axes else values


class MeanMetricWrapper(Mean):
    """The mean over samples of a function ``(y_true, y_pred)``, given further `options`."""

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        super().__init__(name or registry.name_of(fn), dtype)
        self.fn = fn
        self.options = options

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the function's values for a batch."""
        with no_grad():
            pair = losses.align(as_tensor(y_true), as_tensor(y_pred))
            super().update_state(self.fn(*pair, **self.options), sample_weight)


class MeanSquaredError(MeanMetricWrapper):
    """The mean of ``(y_true - y_pred) ** 2``.

    >>> MeanSquaredError()([[0.0], [0.0]], [[1.0], [3.0]])
    tensor(5., dtype=float32)
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of ``abs(y_true - y_pred)``.

    >>> MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    tensor(2., dtype=float32)
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
