"""Losses by name: what `compile` accepts becomes a loss object.

Imports `functions.py`, `margins.py`. Read next: `../metrics/base.py`.
"""

from __future__ import annotations

from typing import Any

from ..configs.lookup import defined_in, lookup, publish
from . import functions, margins
from .base import Loss, LossFunction

_TABLE = publish("keras.losses", *defined_in(vars(functions), vars(margins)))
FUNCTIONS = {name: loss for name, loss in _TABLE.items() if not isinstance(loss, type)}
_SHORT = """mse=mean_squared_error mae=mean_absolute_error mape=mean_absolute_percentage_error
msle=mean_squared_logarithmic_error bce=binary_crossentropy kld=kl_divergence"""
for _short, _name in [pair.split("=") for pair in _SHORT.split()]:
    FUNCTIONS[_short] = FUNCTIONS[_short.upper()] = FUNCTIONS[_name]
_TABLE |= FUNCTIONS

# The names of losses and metrics whose meaning depends on the shapes of targets and outputs.
BY_SHAPE = {"acc": "accuracy", "ce": "crossentropy"}
BY_SHAPE |= {name: name for name in BY_SHAPE.values()}


def get(identifier: Any) -> Any:
    """Return the loss that `identifier` names: a function, or an object for a class name.

    Raises
    ------
    ValueError
        ``Could not interpret loss identifier: ...``

    >>> get("mse").__name__, get("MeanSquaredError").name
    ('mean_squared_error', 'mean_squared_error')
    """
    return lookup(identifier, _TABLE, "loss")


def resolve(
    identifier: Any, target_shape: tuple[int, ...] | None, output_shape: tuple[int, ...]
) -> Loss | None:
    """Return the loss object for an argument of `compile`; None for None, which is no loss.

    ``"crossentropy"`` or ``"ce"`` is the binary crossentropy for outputs of width 1, the sparse one
    for targets of lower rank or of width 1, else the categorical one. Shapes have a batch axis.

    >>> resolve("crossentropy", (32,), (32, 10)).function.__name__
    'sparse_categorical_crossentropy'
    """
    name = identifier if isinstance(identifier, str) else None
    if name and BY_SHAPE.get(name.lower()) == "crossentropy":
        identifier = crossentropy_for(target_shape or (), output_shape)
    found = get(identifier)
    return found if found is None or isinstance(found, Loss) else LossFunction(found, name=name)


def crossentropy_for(target: tuple[int, ...], output: tuple[int, ...]) -> str:
    """Return the name of the crossentropy for targets and outputs of these shapes."""
    if output[-1:] == (1,):
        return "binary_crossentropy"
    sparse = len(target) < len(output) or target[-1] == 1
    return "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
