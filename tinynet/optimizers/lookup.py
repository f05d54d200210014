"""Optimizers by name.

Imports `sgd.py`, `adam.py`. Read next: `../layers/base.py`.
"""

from __future__ import annotations

from typing import Any

from ..configs.lookup import config_of, lookup, publish
from .adam import Adam, Adamax, AdamW, Nadam
from .base import Optimizer
from .sgd import SGD, Adagrad, RMSprop

_KNOWN = publish("keras.optimizers", SGD, Adam, AdamW, RMSprop, Adagrad, Adamax, Nadam)
_TABLE = {known.__name__.lower(): known for known in _KNOWN.values()}


def get(identifier: Any) -> Optimizer | None:
    """Return the optimizer that `identifier` is or names, in upper or lower case; None for None.

    Raises
    ------
    ValueError
        ``Could not interpret optimizer identifier: ...``

    >>> get("SGD").get_config()["momentum"]
    0.0
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    name = identifier.get("class_name") if isinstance(identifier, dict) else identifier
    if not isinstance(name, str):
        example = getattr(identifier, "__name__", "Adam")
        expected = f"Expected an object, such as {example}(), or one of {[*_TABLE]}."
        raise ValueError(f"Could not interpret optimizer identifier: {identifier}. {expected}")
    known = name.lower() if name.lower() in _TABLE else name
    named = {**identifier, "class_name": known} if isinstance(identifier, dict) else known
    return lookup(named, _TABLE, "optimizer")


def serialize(optimizer: Optimizer) -> Any:
    """Return the config of an optimizer as Keras writes it."""
    return config_of(optimizer, _TABLE)
