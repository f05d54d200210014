"""Metrics, under Keras's path: ``from tinynet.metrics import MeanAbsoluteError``.

Here they are looked up by what `compile` is given. Read next: `base.py`.
"""

from __future__ import annotations

from typing import Any

from .. import losses
from ..configs import lookup as registry
from ..configs.serialization import custom_object_scope
from ..losses import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    sparse_categorical_crossentropy,
)
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .base import Mean, MeanMetricWrapper, Metric, Sum
from .errors import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "Sum",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "deserialize",
    "get",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "resolve",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_PUBLIC = [globals()[name] for name in __all__ if name in globals()]  # what was imported above
registry.publish("keras.metrics", *_PUBLIC)
_CLASSES = registry.names(*(thing for thing in _PUBLIC if isinstance(thing, type)))
for _short, _class in {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
}.items():
    _CLASSES |= dict.fromkeys((_short, _short.upper()), _class)
TABLE = losses.TABLE | _CLASSES

_BY_SHAPE = dict.fromkeys(("accuracy", "acc"), "accuracy")
_BY_SHAPE |= dict.fromkeys(("crossentropy", "ce"), "crossentropy")


def get(identifier: Any) -> Any:
    """Return the metric that `identifier` names or is: an object, or a function; None is None.

    Raises
    ------
    ValueError
        ``Could not interpret metric identifier: ...``

    >>> get("mse"), get("R2Score")
    (<MeanSquaredError name=mean_squared_error>, <R2Score name=r2_score>)
    """
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    return registry.lookup(identifier, TABLE, "metric")


def resolve(identifier: Any, target_shape: Any = None, output_shape: Any = None) -> Metric:
    """Return the metric object for what `compile` was given, named as logs are to call it.

    Parameters
    ----------
    identifier : str, Metric, class, config, or function ``(y_true, y_pred)``
        ``"accuracy"`` and ``"crossentropy"`` (``"acc"``, ``"ce"``) are the binary, sparse or
        categorical metric that fits the shapes: see `losses.resolve`.
    target_shape, output_shape : tuple of int, batch axis included

    Raises
    ------
    ValueError
        For an unknown metric, and for one that takes shapes where there are none.

    >>> resolve("acc", (32, 1), (32, 10))
    <SparseCategoricalAccuracy name=acc>
    """
    name = identifier if isinstance(identifier, str) else None
    if name and name.lower() in _BY_SHAPE:
        if target_shape is None or output_shape is None:
            raise ValueError(f"Metric {name!r} takes a target, and there is none for this output.")
        fit = losses.crossentropy_for(target_shape, output_shape)
        metric: Any = get(fit.replace("crossentropy", _BY_SHAPE[name.lower()]))
    else:
        metric = get(identifier)
    if metric is None:
        raise ValueError("Expected a metric, received None.")
    if not isinstance(metric, Metric):
        name = name or getattr(metric, "name", None) or registry.name_of(metric)
        metric = MeanMetricWrapper(metric, name)
    metric.name = name or metric.name
    if output_shape is not None:
        metric._build(target_shape, output_shape)
    return metric


def serialize(metric: Any) -> Any:
    """Return the config of a metric as Keras writes it.

    >>> serialize(BinaryAccuracy(threshold=0.3))["config"]
    {'name': 'binary_accuracy', 'dtype': 'float32', 'threshold': 0.3}
    """
    return registry.serialize(metric, TABLE, "keras.metrics")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the metric of a config; `custom_objects` are classes and functions by their names.

    >>> deserialize({"class_name": "Mean", "config": {"name": "mine"}})
    <Mean name=mine>
    """
    with custom_object_scope(custom_objects):
        return registry.lookup(config, TABLE, "metric")
