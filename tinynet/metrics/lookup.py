"""Metrics by name: what `compile` accepts becomes a metric object.

Imports `accuracy.py`, `confusion.py` and `../losses/lookup.py`. Read next: `../optimizers/base.py`.
"""

from __future__ import annotations

from typing import Any

from ..configs.lookup import config_of, defined_in, lookup, name_of, publish
from ..configs.serialization import custom_object_scope
from ..configs.watched import all_or_nothing
from ..losses.lookup import BY_SHAPE, FUNCTIONS, crossentropy_for
from . import accuracy, base, confusion
from .base import MeanMetricWrapper, Metric

_DEFINED = defined_in(vars(accuracy), vars(base), vars(confusion))
_DEFINED.remove(confusion.Confusion)
_DEFINED.remove(accuracy.accuracy)  # which Keras does not export
publish("keras.metrics", *FUNCTIONS.values(), *_DEFINED)
_CLASSES = publish("keras.metrics", *(thing for thing in _DEFINED if isinstance(thing, type)))
# The name of a loss, also a short one, stands for the metric class of that loss if there is one.
_TABLE = _CLASSES | {name: _CLASSES.get(f.__name__, f) for name, f in FUNCTIONS.items()}


def get(identifier: Any) -> Any:
    """Return the metric that `identifier` names or is: an object, or a function; None for None.

    Raises
    ------
    ValueError
        ``Could not interpret metric identifier: ...``

    >>> get("mse"), get("R2Score")
    (<MeanSquaredError name=mean_squared_error>, <R2Score name=r2_score>)
    """
    return identifier if isinstance(identifier, Metric) else lookup(identifier, _TABLE, "metric")


def resolve(identifier: Any, target_shape: Any = None, output_shape: Any = None) -> Metric:
    """Return the metric object for an argument of `compile`, with the name that logs use.

    Parameters
    ----------
    identifier : str, Metric, class, config, or function ``(y_true, y_pred)``
        ``"accuracy"`` and ``"crossentropy"`` (``"acc"``, ``"ce"``) are the binary, sparse or
        categorical metric that fits the shapes: see `losses.lookup.resolve`.
    target_shape, output_shape : tuple of int, with the batch axis

    Raises
    ------
    ValueError
        For an unknown metric, and for a metric chosen by shapes when there are none.

    >>> resolve("acc", (32, 1), (32, 10))
    <SparseCategoricalAccuracy name=acc>
    """
    name = identifier if isinstance(identifier, str) else None
    if name and name.lower() in BY_SHAPE:
        if target_shape is None or output_shape is None:
            raise ValueError(f"Metric {name!r} takes a target, and there is none for this output.")
        crossentropy = crossentropy_for(target_shape, output_shape)
        identifier = crossentropy.replace("crossentropy", BY_SHAPE[name.lower()])
    metric = get(identifier)
    if metric is None:
        raise ValueError("Expected a metric, received None.")
    if not isinstance(metric, Metric):
        name = name or getattr(metric, "name", None) or name_of(metric)
        metric = MeanMetricWrapper(metric, name)
    metric.name = name or metric.name
    if output_shape is not None:
        with all_or_nothing(metric):
            metric._build(output_shape)
    return metric


def serialize(metric: Any) -> Any:
    """Return the config of a metric as Keras writes it.

    >>> serialize(accuracy.BinaryAccuracy(threshold=0.3))["config"]
    {'name': 'binary_accuracy', 'dtype': 'float32', 'threshold': 0.3}
    """
    return config_of(metric, _TABLE)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the metric of a config; `custom_objects` are classes and functions by their names.

    >>> deserialize({"class_name": "Mean", "config": {"name": "mine"}})
    <Mean name=mine>
    """
    with custom_object_scope(custom_objects):
        return lookup(config, _TABLE, "metric")
