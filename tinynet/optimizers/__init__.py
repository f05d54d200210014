"""Optimizers, under Keras's path: ``from tinynet.optimizers import Adam``."""

from __future__ import annotations

from typing import Any

from .. import registry
from . import schedules
from .adam import Adam, AdamW
from .base import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules", "serialize"]

_TABLE = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
registry.publish("keras.optimizers", *_TABLE.values())


def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer that `identifier` is or names, in any case of letters; None is None.

    Raises
    ------
    ValueError
        ``Could not interpret optimizer identifier: ...``

    >>> get("SGD").get_config()["momentum"]
    0.0
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _TABLE:
        return _TABLE[identifier.lower()]()
    if isinstance(identifier, dict) and "class_name" in identifier:
        name = str(identifier["class_name"]).lower()
        return registry.lookup({**identifier, "class_name": name}, _TABLE, "optimizer")
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier}. Expected an optimizer object or "
        f"one of: {', '.join(_TABLE)}."
    )


def serialize(optimizer: Optimizer) -> Any:
    """Return the config of an optimizer as Keras writes it."""
    return registry.serialize(optimizer, _TABLE, "keras.optimizers")
