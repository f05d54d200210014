"""Layers that normalize their inputs: by batch, each sample by itself, or by a whole data set.

Imports `core.py`, `weightless.py`. Read next: `group_normalization.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import ops, tree
from ..backend import epsilon
from ..configs.configurable import taking
from ..configs.lookup import publish
from ..configs.watched import all_or_nothing
from ..engine.expect import expect, warn
from ..engine.tensor import Tensor
from ..engine.variable import assign_all
from ..losses.base import broadcasts_to
from .base import Layer
from .core import Standard
from .module import refuse_options
from .weightless import Weightless


def axes_in(shape: Any, axis: Any) -> list[int]:
    """Return the numbers from 0 on, sorted, of one or several axes of a shape.

    ValueError where an axis is missing or has an unknown length.
    """
    rank, given = len(shape), np.atleast_1d(axis).tolist()
    found = sorted(i % rank for i in given if -rank <= i < rank)
    if len(found) < len(given) or any(shape[i] is None for i in found):
        raise ValueError(f"Expected known lengths along axis={axis}, received shape {shape}.")
    return found


class _OnAxes(Standard):
    """Base of layers with weights for each index along `axis`: one axis or several."""

    axis: Any
    _shape: tuple[int, ...]

    def build(self, input_shape: Any) -> None:
        """Note the lengths of the axes, and the shape in which weights broadcast to the inputs."""
        axes = axes_in(input_shape, self.axis)
        self._others = tuple(i for i in range(len(input_shape)) if i not in axes)
        self._shape = self._broadcast(input_shape)
        self._lengths = [input_shape[i] for i in axes]

    def _broadcast(self, shape: Any) -> tuple[int, ...]:
        """Return the shape in which weights for inputs of this shape broadcast to them."""
        return tuple(1 if i in self._others else n for i, n in enumerate(shape))

    def _check(self, inputs: Any) -> None:
        self._expect_one(inputs)
        shape, wanted = inputs.shape, self._shape if self.built else inputs.shape
        if len(shape) != len(wanted) or not broadcasts_to(wanted, shape):
            raise ValueError(f"Layer '{self.name}': expected shape {wanted}, received {shape}.")


class _Normalizer(_OnAxes):
    """Base of layers that scale and shift normalized inputs by weights `gamma` and `beta`."""

    rms_scaling = False

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        arguments = locals()
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.center, self.scale = axis, float(epsilon), center, scale
        self._keep(arguments)

    def build(self, input_shape: Any) -> None:
        """Create `gamma` and `beta`, one element for each index along the axes."""
        super().build(input_shape)
        scales, shifts = self.scale or self.rms_scaling, self.center and not self.rms_scaling
        self.gamma = self._weight("gamma", *self._lengths) if scales else None
        self.beta = self._weight("beta", *self._lengths) if shifts else None

    def _normalized(self, x: Tensor, mean: Any, variance: Tensor) -> Tensor:
        return self._scaled((x - mean) / ops.sqrt(variance + self.epsilon))

    def _scaled(self, y: Tensor) -> Tensor:
        y = y if self.gamma is None else y * ops.reshape(self.gamma, self._shape)
        return y if self.beta is None else y + ops.reshape(self.beta, self._shape)


def _moments(x: Tensor, axes: Any) -> tuple[Tensor, Tensor]:
    """Return mean and variance along axes, which keep the length 1."""
    mean = ops.mean(x, axes, keepdims=True)
    return mean, ops.mean(ops.square(x - mean), axes, keepdims=True)


class BatchNormalization(_Normalizer):
    """Gives each feature the mean 0 and the variance 1, then scales and shifts it by weights.

    In training, mean and variance are those of the batch, and their moving averages are updated:
    ``average = momentum * average + (1 - momentum) * value``. Otherwise, and if the layer is not
    `trainable`, the moving averages are used. Source: Ioffe and Szegedy, "Batch normalization",
    ICML 2015.

    Parameters
    ----------
    axis : int
        The axis of the features.
    momentum, epsilon : float
        `epsilon` is added to the variance.
    center, scale : bool
        Whether there are weights `beta` to shift and `gamma` to scale.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
    beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint
        As for `Dense`.
    name, dtype, trainable
        As for `Layer`.

    Raises
    ------
    ValueError
        For renormalization or `synchronized`, which tinynet does not have; when the axis is missing
        in the inputs or has an unknown length.

    >>> import numpy as np
    >>> layer = BatchNormalization(momentum=0.5)
    >>> layer(np.array([[1.0], [3.0]]), training=True).numpy().round(2).T
    array([[-1.,  1.]], dtype=float32)
    >>> layer.moving_mean.numpy(), layer.moving_variance.numpy()
    (array([1.], dtype=float32), array([1.], dtype=float32))
    """

    # Options that only Keras has, with the values that turn them off.
    _absent: ClassVar[Any] = {"synchronized": False, "renorm": False, "renorm_clipping": None}
    _absent["renorm_momentum"] = 0.99

    @partial(taking, _Normalizer, first="axis momentum epsilon center scale")
    def __init__(
        self,
        momentum: float = 0.99,
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        **more: Any,
    ) -> None:
        arguments = locals()
        given = {key: more.pop(key, value) for key, value in self._absent.items()}
        given = {key: value for key, value in given.items() if value != self._absent[key]}
        refuse_options("BatchNormalization", **given)
        super().__init__(**more)
        self.axis, self.momentum = int(self.axis), float(momentum)
        self._keep(arguments)

    def build(self, input_shape: Any) -> None:
        """Create the weights, and the moving mean and variance."""
        super().build(input_shape)
        self.moving_mean = self._weight("moving_mean", *self._lengths, trainable=False)
        self.moving_variance = self._weight("moving_variance", *self._lengths, trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the normalized inputs; in training, update the moving averages."""
        averages = self.moving_mean, self.moving_variance
        if not (training and self.trainable):
            return self._normalized(inputs, *(ops.reshape(v, self._shape) for v in averages))
        found = _moments(inputs, self._others)
        for average, value in zip(averages, found, strict=True):
            new = ops.reshape(value.detach(), average.shape) * (1.0 - self.momentum)
            average.assign(average * self.momentum + new)
        return self._normalized(inputs, *found)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, and those that only Keras has."""
        return super().get_config() | self._absent


class LayerNormalization(_Normalizer):
    """Gives each sample the mean 0 and the variance 1, then scales and shifts it by weights.

    Mean and variance are those along `axis`: an axis or several. Source: Ba, Kiros and Hinton,
    "Layer normalization", 2016. Parameters as for `BatchNormalization`; `rms_scaling`, which Keras
    advises against, only divides by the standard deviation.

    >>> LayerNormalization()([[1.0, 3.0], [10.0, 30.0]]).numpy().round(2)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    _config_first = ("axis", "epsilon", "center", "scale", "rms_scaling")

    @partial(taking, _Normalizer)
    def __init__(self, **more: Any) -> None:
        self.rms_scaling = bool(more.pop("rms_scaling", False))
        if self.rms_scaling:
            warn("rms_scaling divides by the standard deviation. Use RMSNormalization instead.")
        super().__init__(**more)

    def build(self, input_shape: Any) -> None:
        """Create the weights, one element for each index along the axes."""
        super().build(input_shape)
        self.axis = sorted(np.atleast_1d(self.axis).tolist())  # so Keras writes it

    def call(self, inputs: Any) -> Any:
        """Return the normalized inputs."""
        mean, variance = _moments(inputs, tuple(self.axis))
        return self._normalized(inputs, 0.0 if self.rms_scaling else mean, variance)


class RMSNormalization(_OnAxes):
    """Divides each sample by the root of its mean square along `axis`, times a weight `scale`.

    Source: Zhang and Sennrich, "Root mean square layer normalization", 2019. `epsilon` is added to
    the mean square.

    >>> RMSNormalization()([[3.0, 3.0], [-1.0, 0.0]]).numpy().round(3)
    array([[ 1.   ,  1.   ],
           [-1.414,  0.   ]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, float(epsilon)

    def build(self, input_shape: Any) -> None:
        """Create the weight `scale`, one element for each index along the axes."""
        super().build(input_shape)
        self.scale = self.add_weight(self._lengths, "ones", name="scale")
        self.axis = sorted(np.atleast_1d(self.axis).tolist())  # so Keras writes it

    def call(self, inputs: Any) -> Any:
        """Return the scaled inputs."""
        squares = ops.mean(ops.square(inputs), tuple(self.axis), keepdims=True)
        return inputs / ops.sqrt(squares + self.epsilon) * ops.reshape(self.scale, self._shape)


class UnitNormalization(Weightless):
    """Divides each sample by its Euclidean norm along `axis`, an axis or several.

    Samples of norm 0 stay 0.

    >>> UnitNormalization()([[3.0, 4.0], [0.0, 0.0]]).numpy().round(3)
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else axis

    def call(self, inputs: Any) -> Any:
        """Return the inputs divided by their norms."""
        axes = tuple(axes_in(inputs.shape, self.axis))
        squares = ops.sum(ops.square(inputs), axes, keepdims=True)
        return inputs / ops.sqrt(ops.maximum(squares, 1e-24))


# -- by a data set ---------------------------------------------------------------------------------


def _broadcastable(name: str) -> Any:
    """Return a property of `Normalization`: its mean or its variance, given or adapted."""

    def attribute(self: Normalization) -> Tensor | None:
        if not self.built:
            return None
        given = getattr(self, f"input_{name}")
        if given is None:
            return ops.reshape(getattr(self, f"adapt_{name}"), self._shape)
        full = np.broadcast_to(np.array(given, self.dtype), self._lengths)
        return ops.reshape(full, self._shape)

    return property(attribute, doc=f"The {name}, broadcastable to the inputs; None if not built.")


class Normalization(_OnAxes):
    """``(inputs - mean) / standard deviation``; `adapt` takes mean and variance from data.

    Parameters
    ----------
    axis : int, tuple of int, or None
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
        For a mean without a variance, or a variance without a mean; if their shapes differ; when
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
        super().build(input_shape)
        if self.input_mean is None:
            add = partial(self.add_weight, trainable=False)
            self.adapt_mean = add(self._lengths, "zeros", name="mean")
            self.adapt_variance = add(self._lengths, "ones", name="variance")
            self.count = add((), "zeros", "int32", name="count")

    def adapt(self, data: Any) -> None:
        """Compute mean and variance from `data`: an array, or an iterable of batches of samples.

        A batch ``(x, y)`` counts as ``x``. ValueError for data without samples or of a wrong shape,
        and for a layer that was constructed with a mean.
        """
        if self.input_mean is not None:
            raise ValueError(f"adapt: '{self.name}' was constructed with mean={self.input_mean}.")
        total = mean = variance = np.float64(0)
        with all_or_nothing(self):
            for batch in filter(len, _batches(data)):
                if not self.built:
                    self.build(batch.shape)
                if self._broadcast(batch.shape) != self._shape:
                    shapes = f"{self._shape}, received {batch.shape}"
                    raise ValueError(f"adapt: '{self.name}' is built for shapes like {shapes}.")
                count = math.prod(batch.shape[i] for i in self._others)
                total = total + count
                share = count / total
                center = batch.mean(self._others)
                shifted = mean * (1 - share) + center * share
                # The variance within both parts, plus that of their means.
                here = batch.var(self._others) + (center - shifted) ** 2
                variance = (variance + (mean - shifted) ** 2) * (1 - share) + here * share
                mean = shifted
            expect(total, "adapt", "at least one sample", 0)
            assign_all({self.adapt_mean: mean, self.adapt_variance: variance})

    mean = _broadcastable("mean")
    variance = _broadcastable("variance")

    def call(self, inputs: Any) -> Any:
        """Return the normalized inputs, or with `invert` the denormalized inputs."""
        deviation = ops.maximum(ops.sqrt(self.variance), epsilon())
        return inputs * deviation + self.mean if self.invert else (inputs - self.mean) / deviation

    _check = Layer._check  # inputs of another rank broadcast

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        own = {"axis": self.axis, "invert": self.invert, "mean": self.input_mean}
        return {**Layer.get_config(self), **own, "variance": self.input_variance}


def _batches(data: Any) -> Iterable[Any]:
    """Yield the samples in `data`, an array or an iterable of batches, as arrays."""
    is_array = hasattr(data, "shape") or not isinstance(data, Iterable)
    if is_array or (isinstance(data, (list, tuple)) and not tree.is_structure(data)):
        data = [data]
    for batch in data:
        samples = np.asarray(batch[0] if isinstance(batch, tuple) else batch)
        expect(samples.dtype.kind in "fiub" and samples.ndim, "adapt", "arrays of numbers", batch)
        yield samples


_LAYERS = BatchNormalization, LayerNormalization, Normalization, RMSNormalization
publish("keras.layers", *_LAYERS, UnitNormalization)
