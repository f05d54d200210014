"""The base of metrics, and the metrics that are sums or means over samples.

A metric keeps its state in variables, and its `update_state` consists of tensor operations, so the
compiled step that computes the loss also updates the metric.

Imports `../losses/`. Read next: `accuracy.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers, ops, tree
from ..configs.configurable import Configurable, FunctionObject
from ..configs.lookup import automatic_name
from ..configs.serialization import deserialize_keras_object, serialize_keras_object
from ..engine.bind import no_grad
from ..engine.tape import refuse_to_cut
from ..engine.temporarily import temporarily
from ..engine.tensor import Tensor, as_dtype, as_tensor, floatx
from ..engine.variable import Variable, paired, stateless
from ..losses.base import Loss, align_ranks, align_weights, same_shapes
from ..losses.lookup import FUNCTIONS


class Metric(Configurable):
    """Base of metrics: subclass it with `update_state` and `result`.

    Keep the metric's state in variables, from `add_variable`; then the compiled step updates it. A
    metric without variables is updated after each step, by a call of `update_state` on the batch,
    and must define `reset_state`.

    Parameters
    ----------
    dtype : str, optional
        The dtype of its variables, `floatx` by default.
    name : str, optional
        Its key in logs, by default the class's name in snake_case, numbered from the second on.

    >>> import numpy as np, tinynet as tn
    >>> class Largest(tn.metrics.Metric):
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

    _config_first = ("name", "dtype")
    # Whether a larger ("up") or a smaller ("down") value is better, for callbacks.
    _direction: str | None = None

    _unwatched = frozenset({"_variables"})

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or automatic_name(self)
        self.dtype = as_dtype(dtype or floatx()).name
        self._variables: list[Variable] = []

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str = "variable",
    ) -> Variable:
        """Return a new variable; `reset_state` sets its elements to 0. `aggregation` is unused."""
        dtype = dtype or self.dtype
        values = initializers.get(initializer or "zeros")(tuple(shape), dtype)
        variable = Variable(values, dtype, False, name, f"{self.name}/{name}")
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str = "variable"
    ) -> Variable:
        """Return a new variable, as `add_variable` does."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The variables among the attributes, also in lists, and those of metrics among them."""
        found = tree.instances((Variable, Metric), vars(self))
        parts = ([x] if isinstance(x, Variable) else x.variables for x in found)
        return list(dict.fromkeys(v for part in parts for v in part))

    def _build(self, y_pred_shape: Any) -> None:
        """Create the variables whose shapes depend on that of the predictions."""

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add the samples of a batch: ``(y_true, y_pred, sample_weight=None)``."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self) -> Any:
        """Return the metric of all samples since `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def reset_state(self) -> None:
        """Forget all samples."""
        variables = self.variables
        if not variables:
            raise NotImplementedError(f"{type(self).__name__} must define reset_state().")
        for variable in variables:
            variable.assign(np.zeros(variable.shape))

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the new values of `variables` after `update_state`, as a pure function.

        `metric_variables` are values for `variables`, in this order: arrays or tensors. ValueError
        for another number of values or other shapes.

        >>> mean = Mean()
        >>> mean.stateless_update_state(mean.stateless_reset_state(), [1.0, 2.0])
        [tensor(3., dtype=float32), tensor(2., dtype=float32)]
        """
        self._without_gradient(*args, *kwargs.values())
        with stateless(paired("metric_variables", self.variables, metric_variables)) as now:
            self.update_state(*args, **kwargs)
            return [now[v] for v in self.variables]

    def stateless_result(self, metric_variables: Any) -> Any:
        """Return the result for values of `variables`; see `stateless_update_state`."""
        with stateless(paired("metric_variables", self.variables, metric_variables)):
            return self.result()

    def stateless_reset_state(self) -> list[Tensor]:
        """Return the values of `variables` without any samples."""
        with stateless({v: v.value for v in self.variables}) as now:
            self.reset_state()
            return [now[v] for v in self.variables]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state and return the result, which has no gradient.

        TypeError within a function that is differentiated, if a tensor given depends on its
        arguments: use a loss, or pass ``t.detach()``. Methods that update the state raise it, too.
        """
        self._without_gradient(*args, *kwargs.values())
        self.update_state(*args, **kwargs)
        return self.result()

    def _without_gradient(self, *given: Any) -> temporarily:
        """Return the context in which samples are added; TypeError as for `__call__`."""
        for x in tree.leaves(given):
            if isinstance(x, Tensor):
                refuse_to_cut(x, f"metric {self.name} (use a loss)")
        return no_grad()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Sum(Metric):
    """The sum of values, or their weighted sum.

    >>> total = Sum()
    >>> total.update_state([1.0, 3.0])
    >>> total.update_state([8.0], sample_weight=[0.5])
    >>> total.result()
    tensor(8., dtype=float32)
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add `values` to the sum."""
        with self._without_gradient(values, sample_weight):
            values, _ = _per_sample(ops.cast(values, self.dtype), sample_weight, ops.sum)
            self.total.assign_add(ops.sum(values))

    def result(self) -> Tensor:
        """Return the sum of all values since `reset_state`."""
        return self.total.value


class Mean(Metric):
    """The mean of values, or their weighted mean.

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
        """Add `values` to the averaged values."""
        with self._without_gradient(values, sample_weight):
            values, count = _per_sample(ops.cast(values, self.dtype), sample_weight, ops.mean)
            self.total.assign_add(ops.sum(values))
            self.count.assign_add(count)

    def result(self) -> Tensor:
        """Return the mean of all values since `reset_state`; 0 if there are none."""
        return ops.divide_no_nan(self.total, self.count)


class RootMeanSquaredError(Mean):
    """The root of the mean of ``(y_true - y_pred) ** 2`` over all samples.

    >>> RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]])
    tensor(5., dtype=float32)
    """

    _direction = "down"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the squared errors of a batch."""
        with self._without_gradient(y_true, y_pred, sample_weight):
            y_true, y_pred = same_shapes(y_true, y_pred, self.dtype)
            super().update_state(ops.square(y_pred - y_true), sample_weight)

    def result(self) -> Tensor:
        """Return the root of the mean of all squared errors since `reset_state`."""
        return ops.sqrt(super().result())


def _per_sample(values: Tensor, sample_weight: Any, reduce: Any) -> tuple[Tensor, Any]:
    """Return one weighted value per sample, and the sum of the weights, or the number of samples.

    `reduce` reduces the axes after the first, also of weights that have more axes than one.
    Source: what Keras's reductions do.
    """

    def reduced(x: Tensor, rank: int) -> Tensor:
        return reduce(x, tuple(range(rank, x.ndim))) if x.ndim > rank else x

    count: Any = values.shape[0] if values.ndim else 1
    if sample_weight is not None:
        weights, values = align_weights(sample_weight, values, reduced)
        weights = ops.broadcast_to(weights, values.shape)
        values = values * weights
        count = ops.sum(reduced(weights, 1))
    return reduced(values, 1), count


class MeanMetricWrapper(FunctionObject, Mean):
    """The mean over samples of a function ``(y_true, y_pred, **options)``.

    Where the ranks of both differ by a last axis of 1, the function gets them with equal ranks.
    `fn` may also be the config of a function.

    >>> import tinynet as tn
    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred) ** 3)
    >>> metric([0.0, 0.0], [[1.0], [2.0]])
    tensor(4.5, dtype=float32)
    """

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None, **options: Any) -> None:
        self._keep_options(options)
        super().__init__(name, dtype)
        self.fn = fn = deserialize_keras_object(fn) if isinstance(fn, dict) else fn
        if isinstance(fn, Loss) or fn in FUNCTIONS.values():
            self._direction = "down"

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the function's values for a batch."""
        with self._without_gradient(y_true, y_pred, sample_weight):
            aligned = align_ranks(as_tensor(y_true), as_tensor(y_pred))
            ignored = self.options.get("ignore_class")
            if ignored is not None and sample_weight is not None:  # ignored ones have weight 0
                counted = ops.not_equal(aligned[0], ignored)
                counted, sample_weight = align_ranks(counted, as_tensor(sample_weight))
                sample_weight = sample_weight * counted
            super().update_state(self.fn(*aligned, **self.options), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        config = super().get_config()
        if type(self).__init__ is MeanMetricWrapper.__init__:
            return config | {"fn": serialize_keras_object(self.fn)}
        config.pop("fn", None)
        return config
