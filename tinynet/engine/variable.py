"""A variable: a named cell that holds a tensor, as a layer holds its kernel.

Tensors never change; a variable changes by holding another tensor. So a graph that was built from
a weight keeps the numbers it was built from, whatever training does to the weight afterwards.

Imports `tensor.py`. Read next: `primitives.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .tensor import Operand, Tensor, state, to_array, wrap


class Variable(Operand):
    """A named tensor that can be replaced: a weight, an optimizer's slot, a count of steps.

    Stands in expressions as the tensor it holds at that moment.

    Parameters
    ----------
    value : array, number or list
        Copied.
    dtype : str or dtype, optional
    trainable : bool
        Whether optimizers change it and gradients flow to it.
    name : str
    path : str, optional
        The name with those of the layer and model before it, such as ``"dense/kernel"``.

    >>> import numpy as np, tinynet as tn
    >>> w = tn.Variable([1.0, 2.0], name="w")
    >>> (w * w).sum().backward()
    >>> w.grad
    array([2., 4.], dtype=float32)
    >>> w.assign(w - 0.5 * w.grad)
    <Variable path=w, shape=(2,), dtype=float32, value=[0. 0.]>
    >>> w.grad is None
    True
    """

    __slots__ = ("__weakref__", "_tensor", "_trainable", "name", "path")

    def __init__(
        self,
        value: Any,
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
        path: str | None = None,
    ) -> None:
        self.name = name
        self.path = path or name
        self._trainable = trainable
        self._hold(to_array(value, dtype))

    def _hold(self, array: np.ndarray) -> None:
        self._tensor = wrap(array)
        self._tensor.tracked = self._trainable and array.dtype.kind == "f"

    @property
    def value(self) -> Tensor:
        """The tensor that is held now; within `stateless`, the one that stands in for it."""
        return state.values.get(self, self._tensor) if state.values else self._tensor

    def assign(self, value: Any) -> Variable:
        """Hold `value` from now on, converted to the variable's dtype; the gradient is forgotten.

        Raises
        ------
        ValueError
            If the shape of `value` is another one; the variable then keeps what it held.
        """
        same = isinstance(value, Tensor) and value.dtype == self.dtype
        array = value.data if same else to_array(value, self.dtype)
        if array.shape != self.shape:
            raise ValueError(
                f"assign: variable {self.path} has shape {self.shape}, "
                f"received a value of shape {array.shape}."
            )
        self._hold(array)
        return self

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it and gradients flow to it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self._hold(self._tensor.data)

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that `backward` left at the tensor held now, or None."""
        return self.value.grad

    def zero_grad(self) -> None:
        """Forget the gradient: `grad` is None again."""
        self.value.zero_grad()

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._tensor.shape

    @property
    def dtype(self) -> str:
        """The name of the elements' dtype."""
        return self._tensor.dtype.name

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._tensor.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._tensor.size

    def numpy(self) -> np.ndarray:
        """Return the numbers held now as a read-only array."""
        return self.value.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value.__array__(dtype, copy)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return (
            f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, "
            f"value={self.numpy()}>"
        )


@contextmanager
def stateless(values: Mapping[Variable, Tensor]) -> Iterator[None]:
    """Let tensors stand in for variables, in this thread: ``{variable: tensor}``.

    So a network is a function of its weights, to be differentiated, recorded or run in float64.
    """
    before, state.values = state.values, {**state.values, **values}
    try:
        yield
    finally:
        state.values = before
