"""Layers that scale data to the range in which networks learn.

Imports `base.py`, `normalization.py`. Read next: `regularization.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from .. import ops, tree
from ..backend import epsilon
from ..configs.lookup import publish
from ..configs.watched import all_or_nothing
from ..engine.tensor import Tensor
from ..engine.variable import assign_all
from .base import Layer
from .normalization import axes_in
from .weightless import Weightless


class Rescaling(Weightless):
    """``inputs * scale + offset``; both are numbers, or arrays that broadcast to the inputs.

    >>> Rescaling(1 / 127.5, offset=-1.0)([0.0, 255.0])
    tensor([-1.,  1.], dtype=float32)
    """

    built = False

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = np.asarray(scale).tolist(), np.asarray(offset).tolist()

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
        self.axis = () if axis is None else tuple(np.atleast_1d(axis).tolist())
        if np.shape(mean) != np.shape(variance) or (mean is None) != (variance is None):
            raise ValueError(f"Expected both or neither, of one shape: {mean=}, {variance=}.")
        if np.ndim(mean) > len(self.axis):
            raise ValueError(f"mean: more axes than {axis=}, received shape {np.shape(mean)}.")
        self.input_mean, self.input_variance = (np.asarray(x).tolist() for x in (mean, variance))
        self.invert = invert

    def build(self, input_shape: Any) -> None:
        """Create the weights: a mean and a variance for each index along the axes."""
        kept = axes_in(input_shape, self.axis)
        self._reduced = tuple(i for i in range(len(input_shape)) if i not in kept)
        self._lengths, self._broadcast = tuple(input_shape[i] for i in kept), self._by(input_shape)
        if self.input_mean is None:
            add = partial(self.add_weight, trainable=False)
            self.adapt_mean = add(self._lengths, "zeros", name="mean")
            self.adapt_variance = add(self._lengths, "ones", name="variance")
            self.count = add((), "zeros", "int32", name="count")

    def _by(self, shape: Any) -> tuple[Any, ...]:
        """Return the shape of mean and variance that broadcast to inputs of this shape."""
        return tuple(1 if i in self._reduced else n for i, n in enumerate(shape))

    def adapt(self, data: Any) -> None:
        """Compute mean and variance from `data`: an array, or an iterable of batches of samples.

        A batch ``(x, y)`` counts as ``x``. ValueError for data without samples or of a wrong shape,
        and for a layer that was constructed with a mean.
        """
        if self.input_mean is not None:
            raise ValueError(f"adapt: '{self.name}' was constructed with mean={self.input_mean}.")
        with all_or_nothing(self):
            self._adapt(data)

    def _adapt(self, data: Any) -> None:
        total = mean = variance = np.float64(0)
        for batch in filter(len, _batches(data)):
            if not self.built:
                self.build(batch.shape)
            if self._by(batch.shape) != self._broadcast:
                shapes = f"{self._broadcast}, received {batch.shape}"
                raise ValueError(f"adapt: layer '{self.name}' is built for shapes like {shapes}.")
            count = math.prod(batch.shape[i] for i in self._reduced)
            total = total + count
            share = count / total
            center = batch.mean(self._reduced)
            shifted = mean * (1 - share) + center * share
            # The variance of both parts, plus the squared distances of their means from the mean.
            here = batch.var(self._reduced) + (center - shifted) ** 2
            variance = (variance + (mean - shifted) ** 2) * (1 - share) + here * share
            mean = shifted
        if not total:
            raise ValueError("adapt: expected at least one sample, received none.")
        assign_all({self.adapt_mean: mean, self.adapt_variance: variance})

    @property
    def mean(self) -> Tensor | None:
        """The mean, broadcastable to the inputs; None before the layer is built."""
        return self._broadcastable("mean")

    @property
    def variance(self) -> Tensor | None:
        """The variance, broadcastable to the inputs; None before the layer is built."""
        return self._broadcastable("variance")

    def _broadcastable(self, name: str) -> Tensor | None:
        if not self.built:
            return None
        given = getattr(self, f"input_{name}")
        if given is None:
            return ops.reshape(getattr(self, f"adapt_{name}"), self._broadcast)
        full = np.broadcast_to(np.array(given, self.dtype), self._lengths)
        return ops.reshape(full, self._broadcast)

    def call(self, inputs: Any) -> Any:
        """Return the normalized inputs, or with `invert` the denormalized inputs."""
        deviation = ops.maximum(ops.sqrt(self.variance), epsilon())
        return inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        own = {"axis": self.axis, "invert": self.invert, "mean": self.input_mean}
        return {**super().get_config(), **own, "variance": self.input_variance}


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


publish("keras.layers", Normalization, Rescaling)
