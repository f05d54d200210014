"""Layers that make one tensor of several: their sum, their mean, one behind the other.

Imports `base.py`, `weightless.py`. Read next: `preprocessing.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from .. import ops
from .weightless import Weightless


class Merge(Weightless):
    """Base of layers that combine a list of inputs, two and two, element by element.

    Shapes broadcast; an input of lower rank gets axes of length 1 behind that of the batch.

    Raises
    ------
    ValueError
        When called on something else than a list, or on shapes that do not fit.
    """

    combine: Any  # a function of two inputs

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        """Check that there are several inputs, whose shapes fit."""
        if not input_shape or not all(isinstance(shape, (list, tuple)) for shape in input_shape):
            raise ValueError(
                f"A layer {type(self).__name__} should be called on a list of inputs. Received: "
                f"input_shape={input_shape} (not a list of shapes)"
            )
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Return the inputs combined, from the first to the last."""
        rank = max(x.ndim for x in inputs)
        inputs = [x if x.ndim == rank else ops.reshape(x, _of_rank(rank, x.shape)) for x in inputs]
        return reduce(self.combine, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that those in the list broadcast to."""
        rank = max(map(len, input_shape))
        lengths = list(zip(*(_of_rank(rank, shape) for shape in input_shape), strict=True))
        batches = set(lengths[0]) - {None} if lengths else set()
        if len(batches) > 1 or any(len({*n} - {None, 1}) > 1 for n in lengths):
            raise ValueError(f"Inputs have incompatible shapes. Received shapes {input_shape}")
        found = [None if None in n else max(n) for n in lengths[1:]]
        return (batches.pop() if batches else None, *found)


def _of_rank(rank: int, shape: Any) -> Any:
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


class Add(Merge):
    """The sum of the inputs.

    >>> import numpy as np
    >>> Add()([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    tensor([[4., 6.]], dtype=float64)
    """

    combine = staticmethod(ops.add)


class Multiply(Merge):
    """The product of the inputs. Called as `Add`."""

    combine = staticmethod(ops.multiply)


class Maximum(Merge):
    """The largest of the inputs; equal ones share the gradient. Called as `Add`."""

    combine = staticmethod(ops.maximum)


class Minimum(Merge):
    """The smallest of the inputs; equal ones share the gradient. Called as `Add`."""

    combine = staticmethod(ops.minimum)


class Average(Add):
    """The mean of the inputs. Called as `Add`."""

    def call(self, inputs: Any) -> Any:
        """Return the sum, divided by how many there are."""
        return super().call(inputs) / len(inputs)


class Subtract(Merge):
    """The first of two inputs less the second; ValueError for another number of them."""

    combine = staticmethod(ops.subtract)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that both broadcast to."""
        if len(input_shape) != 2:
            raise ValueError(
                "A `Subtract` layer should be called on exactly 2 inputs. Received: "
                f"input_shape={input_shape}"
            )
        return super().compute_output_shape(input_shape)


class Concatenate(Merge):
    """The inputs one behind the other along `axis`.

    ValueError where their shapes differ along another axis.

    >>> import numpy as np
    >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    tensor([[1., 2., 3.]], dtype=float64)
    """

    options = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """Return the inputs one behind the other."""
        return ops.concatenate(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the common shape, with the sum of the lengths along the axis."""
        shapes = [list(shape) for shape in input_shape]
        try:
            along = [shape.pop(self.axis) for shape in shapes]
            common = [_same(lengths) for lengths in zip(*shapes, strict=True)]
        except (IndexError, ValueError):
            raise ValueError(
                "A `Concatenate` layer requires inputs with matching shapes except for the "
                f"concatenation axis {self.axis}. Received: input_shape={input_shape}"
            ) from None
        place = self.axis % (len(common) + 1)
        common.insert(place, None if None in along else sum(along))
        return tuple(common)


def _same(lengths: tuple[int | None, ...]) -> int | None:
    """Return the only length that is known, None if there is none; ValueError for two of them."""
    known = {*lengths} - {None}
    (length,) = known or {None}
    return length


def _function(layer: type) -> Callable[..., Any]:
    def merge(inputs: Any, **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = layer.__name__.lower()
    merge.__doc__ = f"Return what a new layer `{layer.__name__}` makes of a list of inputs."
    return merge


add, subtract, multiply, average, maximum, minimum = map(
    _function, (Add, Subtract, Multiply, Average, Maximum, Minimum)
)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return what a new layer `Concatenate` makes of a list of inputs."""
    return Concatenate(axis=axis, **kwargs)(inputs)
