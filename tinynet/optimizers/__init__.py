"""Optimizers, under Keras's path: ``from tinynet.optimizers import Adam``."""

from __future__ import annotations

from typing import Any

from ..configs import lookup as registry
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
    if isinstance(identifier, str):
        return registry.lookup(_spelled(identifier), _TABLE, "optimizer")
    if isinstance(identifier, dict) and "class_name" in identifier:
        name = _spelled(str(identifier["class_name"]))
        return registry.lookup({**identifier, "class_name": name}, _TABLE, "optimizer")
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier}. Expected an optimizer object or "
        f"one of: {', '.join(_TABLE)}."
    )


def _spelled(name: str) -> str:
    return name.lower() if name.lower() in _TABLE else name


def serialize(optimizer: Optimizer) -> Any:
    """Return the config of an optimizer as Keras writes it."""
    return registry.serialize(optimizer, _TABLE, "keras.optimizers")
