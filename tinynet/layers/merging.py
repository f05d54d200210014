"""Layers that combine several tensors into one: their sum, their mean, their concatenation.

Imports `base.py`, `weightless.py`. Read next: `normalization.py`.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from .. import ops
from ..configs.lookup import publish
from ..engine.expect import expect
from .weightless import Weightless


class Merge(Weightless):
    """Base of layers that combine a list of inputs elementwise, from the first to the last.

    Shapes broadcast; an input of lower rank gets axes of length 1 after the batch axis.

    Raises
    ------
    ValueError
        When called on anything but a list, or on shapes that do not broadcast.
    """

    combine: Any  # a function of two inputs
    built = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, input_shape: Any) -> None:
        """Check that there are several inputs, and that their shapes fit."""
        several = input_shape and all(isinstance(shape, (list, tuple)) for shape in input_shape)
        expect(several, f"Layer '{self.name}'", "a list of inputs", input_shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """Return the inputs combined, from the first to the last."""
        rank = max(x.ndim for x in inputs)
        inputs = [x if x.ndim == rank else ops.reshape(x, _padded(rank, x.shape)) for x in inputs]
        return reduce(self.combine, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that all shapes in the list broadcast to."""
        rank = max(map(len, input_shape))
        lengths = list(zip(*(_padded(rank, shape) for shape in input_shape), strict=True))
        batches = set(lengths[0]) - {None} if lengths else set()
        if len(batches) > 1 or any(len({*n} - {None, 1}) > 1 for n in lengths):
            raise ValueError(f"Inputs have incompatible shapes. Received shapes {input_shape}")
        found = [None if None in n else max(n) for n in lengths[1:]]
        return (batches.pop() if batches else None, *found)


def _padded(rank: int, shape: Any) -> Any:
    return (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])


class Add(Merge):
    """The sum of the inputs.

    >>> import numpy as np
    >>> Add()([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    tensor([[4., 6.]], dtype=float64)
    """

    combine = staticmethod(ops.add)


class Multiply(Merge):
    """The product of the inputs. Called like `Add`."""

    combine = staticmethod(ops.multiply)


class Maximum(Merge):
    """The largest of the inputs; equal inputs share the gradient. Called like `Add`."""

    combine = staticmethod(ops.maximum)


class Minimum(Merge):
    """The smallest of the inputs; equal inputs share the gradient. Called like `Add`."""

    combine = staticmethod(ops.minimum)


class Average(Merge):
    """The mean of the inputs. Called like `Add`."""

    combine = staticmethod(ops.add)

    def call(self, inputs: Any) -> Any:
        """Return the sum, divided by the number of inputs."""
        return super().call(inputs) / len(inputs)


class Subtract(Merge):
    """The first of two inputs minus the second; ValueError unless there are two."""

    combine = staticmethod(ops.subtract)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape that both broadcast to."""
        expect(len(input_shape) == 2, "Subtract", "exactly 2 inputs", input_shape)
        return super().compute_output_shape(input_shape)


class Concatenate(Merge):
    """The concatenation of the inputs along `axis`.

    ValueError if their shapes differ along another axis.

    >>> import numpy as np
    >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[3.0]])])
    tensor([[1., 2., 3.]], dtype=float64)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """Return the concatenated inputs."""
        return ops.concatenate(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the common shape, with the sum of the lengths along the axis."""
        shapes = [list(shape) for shape in input_shape]
        try:
            along = [shape.pop(self.axis) for shape in shapes]
            known = [{*lengths} - {None} or {None} for lengths in zip(*shapes, strict=True)]
            common: list[int | None] = [length for (length,) in known]
        except (IndexError, ValueError):
            problem = f"Concatenate expects equal shapes except along axis {self.axis}"
            raise ValueError(f"{problem}, received {input_shape=}.") from None
        axis = self.axis % (len(common) + 1)
        common.insert(axis, None if None in along else sum(along))
        return tuple(common)


# -- functions ------------------------------------------------------------------------------------


def add(inputs: Any, **kwargs: Any) -> Any:
    """Return the sum of the inputs, by a new layer `Add`."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """Return the first of two inputs minus the second, by a new layer `Subtract`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """Return the product of the inputs, by a new layer `Multiply`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """Return the mean of the inputs, by a new layer `Average`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """Return the largest of the inputs, by a new layer `Maximum`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """Return the smallest of the inputs, by a new layer `Minimum`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """Return the concatenation of the inputs along `axis`, by a new layer `Concatenate`."""
    return Concatenate(axis, **kwargs)(inputs)


publish("keras.layers", Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract)
