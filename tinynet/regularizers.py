"""Regularizers: penalties for large weights or outputs, which are added to the loss.

Imports the engine and `configs/`. Read next: `layers/base.py`, which adds them up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .configs.configurable import Configurable
from .configs.lookup import config_of, lookup, publish
from .engine.dtypes import epsilon
from .engine.expect import check_number, expect
from .engine.tensor import Tensor, as_tensor


class Regularizer(Configurable):
    """Base of regularizers: subclass it with ``__call__(self, x)``, which returns a scalar tensor.

    >>> class Mean(Regularizer):
    ...     def __call__(self, x):
    ...         return 0.5 * ops.mean(x)
    >>> Mean()([2.0, 4.0])
    tensor(1.5, dtype=float32)
    """

    def __call__(self, x: Any) -> Any:
        """Return the penalty for `x`, a weight or an output."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; a subclass that is saved must define it."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config(self).")


class _Penalty(Regularizer):
    """Base of the regularizers here, whose config holds the constructor's arguments."""

    get_config = Configurable.get_config


class L1L2(_Penalty):
    """``l1 * sum(abs(x)) + l2 * sum(x ** 2)``; ValueError for a negative factor.

    >>> L1L2(l1=0.5, l2=1.0)([1.0, -2.0])
    tensor(6.5, dtype=float32)
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1, self.l2 = _factor("l1", l1, 0.0), _factor("l2", l2, 0.0)

    def __call__(self, x: Any) -> Tensor:
        """Return the weighted sum of magnitudes and squares."""
        x = as_tensor(x)
        total = ops.zeros((), x.dtype)
        if self.l1:
            total = total + self.l1 * ops.sum(ops.absolute(x))
        return total + self.l2 * ops.sum(ops.square(x)) if self.l2 else total


class L1(_Penalty):
    """``l1 * sum(abs(x))``, which drives weights to 0; ValueError for a negative factor.

    The gradient at 0 is 0.

    >>> L1(0.5)([1.0, -2.0])
    tensor(1.5, dtype=float32)
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = float(np.float32(_factor("l1", l1, 0.01)))  # Keras rounds this one

    def __call__(self, x: Any) -> Tensor:
        """Return the weighted sum of magnitudes."""
        return self.l1 * ops.sum(ops.absolute(x))


class L2(_Penalty):
    """``l2 * sum(x ** 2)``, which makes weights small; ValueError for a negative factor.

    >>> L2(0.5)([1.0, -2.0])
    tensor(2.5, dtype=float32)
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor("l2", l2, 0.01)

    def __call__(self, x: Any) -> Tensor:
        """Return the weighted sum of squares."""
        return self.l2 * ops.sum(ops.square(x))


class OrthogonalRegularizer(_Penalty):
    """`factor` times the mean magnitude of the cosines between the rows, or columns, of a matrix.

    It drives them to be orthogonal. ValueError for a negative factor, a `mode` other than "rows"
    or "columns", and a weight that is not a matrix.

    >>> OrthogonalRegularizer(0.5)([[1.0, 0.0], [3.0, 4.0]])
    tensor(0.3, dtype=float32)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor, self.mode = float(np.float32(_factor("factor", factor, 0.01))), mode
        expect(mode in ("rows", "columns"), "mode", "'rows' or 'columns'", mode)

    def __call__(self, x: Any) -> Tensor:
        """Return the weighted mean of magnitudes over all pairs."""
        x = ops.convert_to_tensor(x)
        expect(x.ndim == 2, "OrthogonalRegularizer", "a matrix", x.shape)
        x = x if self.mode == "rows" else x.T
        x = x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), 1, keepdims=True), epsilon() ** 2))
        count = x.shape[0]
        others = ops.cast(1 - np.eye(count), x.dtype)
        return self.factor * ops.sum(abs(x @ x.T * others)) / max(count * (count - 1), 1)


def _factor(name: str, value: Any, default: float) -> float:
    """Return a factor as a float, or `default` for None; ValueError unless it is at least 0."""
    return check_number(name, default if value is None else value)


_TABLE = publish("keras.regularizers", Regularizer, L1, L2, L1L2, OrthogonalRegularizer)
_TABLE |= {"l1_l2": L1L2}


def get(identifier: Any) -> Any:
    """Return the regularizer that `identifier` is or names; None for None.

    Raises
    ------
    ValueError
        ``Could not interpret regularizer identifier: ...``

    >>> get("l2").get_config(), get("L1L2").get_config()
    ({'l2': 0.01}, {'l1': 0.0, 'l2': 0.0})
    """
    return lookup(identifier, _TABLE, "regularizer")


def serialize(regularizer: Any) -> Any:
    """Return the config of a regularizer as Keras writes it; None for None."""
    return config_of(regularizer, _TABLE)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
