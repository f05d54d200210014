"""Layers that scale data to the range in which networks learn.

Imports `base.py`, `weightless.py`. Read next: `regularization.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import ops, tree
from ..backend import epsilon
from ..engine.tensor import Tensor
from .base import Layer
from .weightless import Weightless


class Rescaling(Weightless):
    """``inputs * scale + offset``; both are numbers, or arrays that broadcast to the inputs.

    >>> Rescaling(1 / 127.5, offset=-1.0)([0.0, 255.0])
    tensor([-1.,  1.], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = _plain(scale), _plain(offset)

    def call(self, inputs: Any) -> Any:
        """Return the scaled and shifted inputs."""
        return inputs * ops.cast(self.scale, inputs.dtype) + ops.cast(self.offset, inputs.dtype)


class Normalization(Layer):
    """``(inputs - mean) / standard deviation``; `adapt` takes mean and variance from data.

    Parameters
    ----------
    axis : int, several, or None
        Each index along these axes has its own mean and variance: by default the last axis, that of
        the features. None: one mean and variance for all elements.
    mean, variance : numbers or lists, optional
        Both, instead of `adapt`.
    invert : bool
        Whether to undo the normalization instead.
    name, dtype, trainable
        As for `Layer`.

    Raises
    ------
    ValueError
        For a mean without a variance, a variance without a mean, or different shapes of both; when
        the layer is built for inputs in which an axis is missing or has an unknown length.

    >>> import numpy as np
    >>> x = np.array([[0.0], [100.0], [200.0]], "float32")
    >>> layer = Normalization()
    >>> layer.adapt(x)
    >>> layer(x).numpy().round(3).T
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if np.shape(mean) != np.shape(variance) or (mean is None) != (variance is None):
            raise ValueError(
                "When setting values directly, both `mean` and `variance` must be set, of one "
                f"shape. Received: mean={mean} and variance={variance}"
            )
        if np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"mean: expected at most {len(self.axis)} axes for axis={self.axis}, received "
                f"shape {np.shape(mean)}."
            )
        self.input_mean, self.input_variance = _plain(mean), _plain(variance)
        self.invert = invert

    def build(self, input_shape: Any) -> None:
        """Create the weights: a mean and a variance for each index along the axes."""
        rank = len(input_shape)
        kept = sorted(axis % rank for axis in self.axis if -rank <= axis < rank)
        if len(kept) < len(self.axis) or any(input_shape[i] is None for i in kept):
            raise ValueError(
                f"Layer '{self.name}': expected inputs whose lengths along axis={self.axis} are "
                f"known, received shape {input_shape}."
            )
        self._kept, self._reduced = kept, tuple(i for i in range(rank) if i not in kept)
        self._lengths = tuple(input_shape[i] for i in kept)
        self._broadcast = tuple(input_shape[i] if i in kept else 1 for i in range(rank))
        if self.input_mean is None:
            options: dict[str, Any] = {"shape": self._lengths, "trainable": False}
            self.adapt_mean = self.add_weight(initializer="zeros", name="mean", **options)
            self.adapt_variance = self.add_weight(initializer="ones", name="variance", **options)
            self.count = self.add_weight(
                initializer="zeros", dtype="int32", trainable=False, name="count"
            )

    def adapt(self, data: Any) -> None:
        """Compute mean and variance from `data`: an array, or an iterable of batches of samples.

        A batch ``(x, y)`` counts as ``x``. ValueError for data without samples or of a wrong shape,
        and for a layer that was constructed with a mean.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"adapt: layer '{self.name}' was constructed with mean={self.input_mean}; leave "
                "mean and variance out to compute them from data."
            )
        total = mean = variance = np.float64(0)
        for batch in filter(len, _batches(data)):
            if not self.built:
                self.build(batch.shape)
                self.built = True
            here = [batch.shape[i] for i in self._kept] if batch.ndim == len(self._broadcast) else 0
            if here != list(self._lengths):
                raise ValueError(
                    f"adapt: layer '{self.name}' was built for inputs like {self._broadcast}, "
                    f"received data of shape {batch.shape}."
                )
            count = math.prod(batch.shape[i] for i in self._reduced)
            total = total + count
            share = count / total
            center = batch.mean(self._reduced)
            shifted = mean * (1 - share) + center * share
            # The variance of both parts, plus the squared distances of their means from the mean.
            variance = (variance + (mean - shifted) ** 2) * (1 - share) + (
                batch.var(self._reduced) + (center - shifted) ** 2
            ) * share
            mean = shifted
        if not total:
            raise ValueError("adapt: expected at least one sample, received none.")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    @property
    def mean(self) -> Tensor | None:
        """The mean, broadcastable to the inputs; None before the layer is built."""
        return self._as_built(self.input_mean, "adapt_mean")

    @property
    def variance(self) -> Tensor | None:
        """The variance, broadcastable to the inputs; None before the layer is built."""
        return self._as_built(self.input_variance, "adapt_variance")

    def _as_built(self, given: Any, weight: str) -> Tensor | None:
        if not self.built:
            return None
        if given is None:
            return ops.reshape(getattr(self, weight), self._broadcast)
        return ops.reshape(
            np.broadcast_to(np.array(given, self.dtype), self._lengths), self._broadcast
        )

    def call(self, inputs: Any) -> Any:
        """Return the normalized inputs, or with `invert` the denormalized inputs."""
        deviation = ops.maximum(ops.sqrt(self.variance), epsilon())
        return inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean,
            "variance": self.input_variance,
        }


def _plain(value: Any) -> Any:
    """Return a number, or an array as a list, for configs."""
    return value if value is None else np.asarray(value).tolist()


def _batches(data: Any) -> Iterable[Any]:
    """Yield the samples in `data`, an array or an iterable of batches, as arrays."""
    is_array = hasattr(data, "shape") or not isinstance(data, Iterable)
    if is_array or (isinstance(data, (list, tuple)) and not tree.is_structure(data)):
        data = [data]
    for batch in data:
        samples = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
        if samples.dtype.kind not in "fiub" or not samples.ndim:
            raise ValueError(f"adapt: expected arrays of numbers, received {batch!r}.")
        yield samples
