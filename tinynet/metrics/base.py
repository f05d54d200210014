"""The base of metrics: numbers that are watched while training, and those that are means.

A metric holds what it remembers of the samples in variables, and its `update_state` is made of
operations of tensors: so it is part of the compiled step, as the loss is.

Imports `losses.py`. Read next: `accuracy.py`, then `errors.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import initializers, losses, ops
from ..configs import lookup as registry
from ..configs.serialization import deserialize_keras_object, serialize_keras_object
from ..configs.watched import Watched
from ..engine.tensor import Tensor, as_dtype, as_tensor, floatx, no_grad
from ..engine.variable import Variable


class Metric(Watched):
    """Base of metrics: subclass it with `update_state` and `result`.

    What it remembers of the samples is to be held by variables, from `add_variable`; then it is
    updated within the compiled step. A metric without variables is updated beside it, by calls of
    `update_state` with the batch's numbers, and defines `reset_state`.

    Parameters
    ----------
    dtype : str, optional
        The dtype of its variables, `floatx` by default.
    name : str, optional
        Its key in logs, by default the class's name in snake_case, numbered if it is taken.

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

    # Whether training is to make it larger ("up") or smaller ("down"), for callbacks to know.
    _direction: str | None = None

    _unwatched = frozenset({"_variables"})

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or registry.unique_name(registry.snake_case(type(self).__name__))
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
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str = "variable",
    ) -> Variable:
        """Return a new variable, as `add_variable` does."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """The variables among its attributes and in lists there, and those of metrics there."""
        found: dict[Variable, None] = {}
        for value in vars(self).values():
            for held in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(held, Variable):
                    found[held] = None
                elif isinstance(held, Metric):
                    found |= dict.fromkeys(held.variables)
        return list(found)

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        """Make the variables whose shapes depend on those of the samples."""

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take the samples of a batch into account: ``(y_true, y_pred, sample_weight=None)``."""
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
            variable.write(0)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state and return the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Return a metric made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class Sum(Metric):
    """The sum of values, weighted if weights are given.

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
        with no_grad():
            values, _ = _per_sample(ops.cast(values, self.dtype), sample_weight, ops.sum)
            self.total.assign_add(ops.sum(values))

    def result(self) -> Tensor:
        """Return the sum of all values since `reset_state`."""
        return self.total.value


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
            values, count = _per_sample(ops.cast(values, self.dtype), sample_weight, ops.mean)
            self.total.assign_add(ops.sum(values))
            self.count.assign_add(count)

    def result(self) -> Tensor:
        """Return the mean of all values since `reset_state`; 0 if there are none."""
        return ops.divide_no_nan(self.total, self.count)


def _per_sample(
    values: Tensor, sample_weight: Any, reduce: Callable[..., Tensor]
) -> tuple[Tensor, Any]:
    """Return one value per sample, weighted, and the sum of the weights, or the count of samples.

    `reduce` takes away the other axes; weights of more axes than one are reduced like values.
    Source: what Keras's reductions do.
    """

    def kept(x: Tensor, axes: int) -> Tensor:
        return reduce(x, tuple(range(axes, x.ndim))) if x.ndim > axes else x

    count: Any = values.shape[0] if values.ndim else 1
    if sample_weight is not None:
        weights, values = losses.align(ops.cast(sample_weight, values.dtype), values)
        values = kept(values, weights.ndim)
        if not losses.fits(weights.shape, values.shape):
            raise ValueError(
                f"sample_weight of shape {weights.shape} does not fit values of shape "
                f"{values.shape}: expected a weight per value."
            )
        weights = ops.broadcast_to(weights, values.shape)
        values = values * weights
        count = ops.sum(kept(weights, 1))
    return kept(values, 1), count


class MeanMetricWrapper(Mean):
    """The mean over samples of a function ``(y_true, y_pred)``, given further `options`.

    Where the ranks of both differ by a last axis of 1, the function sees them with one rank.

    >>> import tinynet as tn
    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred) ** 3)
    >>> metric([0.0, 0.0], [[1.0], [2.0]])
    tensor(4.5, dtype=float32)
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **options: Any
    ) -> None:
        vars(self).update(options)  # to be read, as in Keras: metric.threshold
        super().__init__(name, dtype)
        self.fn = fn
        self.options = options
        if isinstance(fn, losses.Loss) or fn in losses.TABLE.values():
            self._direction = "down"

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Add the function's values for a batch."""
        with no_grad():
            aligned = losses.align(as_tensor(y_true), as_tensor(y_pred))
            super().update_state(self.fn(*aligned, **self.options), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        takes_fn = type(self).__init__ is MeanMetricWrapper.__init__
        fn = {"fn": serialize_keras_object(self.fn)} if takes_fn else {}
        return {**super().get_config(), **fn, **self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Return a metric made from what `get_config` returned."""
        if isinstance(config.get("fn"), dict):
            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)


def mean_of(
    function: Callable[..., Any],
    class_name: str | None = None,
    name: str | None = None,
    direction: str = "down",
) -> Any:
    """Return the class of metrics that are the mean of a function without options.

    >>> import tinynet as tn
    >>> tn.metrics.MeanAbsoluteError()([[0.0], [0.0]], [[1.0], [3.0]])
    tensor(2., dtype=float32)
    """

    class Of(MeanMetricWrapper):
        _direction = direction

        def __init__(self, name: str | None = name or function.__name__, dtype: Any = None) -> None:
            super().__init__(function, name, dtype)

    Of.__name__ = class_name or function.__name__.title().replace("_", "")
    Of.__qualname__ = Of.__name__
    Of.__module__ = "tinynet.metrics"  # where it is to be found by pickle
    Of.__doc__ = f"The mean over samples of `{function.__name__}`; parameters as for `Metric`."
    return Of


def pair(y_true: Any, y_pred: Any, dtype: Any = None) -> tuple[Tensor, Tensor]:
    """Return targets and predictions as tensors of one shape, and of `dtype` if it is given.

    Raises
    ------
    ValueError
        When the shapes differ by more than a last axis of 1.
    """
    y_true, y_pred = (ops.convert_to_tensor(y, dtype) for y in (y_true, y_pred))
    y_true, y_pred = losses.align(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"y_true and y_pred must have one shape, received y_true of shape {y_true.shape} and "
            f"y_pred of shape {y_pred.shape}."
        )
    return y_true, y_pred
