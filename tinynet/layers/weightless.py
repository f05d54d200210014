"""Layers without weights: activations, functions, dropout and noise, and changes of shape.

Imports `core.py`, `../activations.py`, `../random.py`. Read next: `merging.py`.
"""

from __future__ import annotations

import math
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np

from .. import activations, ops, random
from ..configs.lookup import publish
from ..configs.serialization import deserialize_keras_object, serialize_keras_object
from ..engine.expect import check_number, expect, warn
from ..random import SeedGenerator
from .base import Layer
from .core import Standard
from .module import refuse_options
from .shapes import map_shapes, to_shape


class Weightless(Standard):
    """Base of layers that are a function of their inputs and their constructor's arguments."""

    built = True


# -- activations ----------------------------------------------------------------------------------


class Activation(Weightless):
    """An activation as a layer.

    >>> Activation("relu")([-1.0, 2.0])
    tensor([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        """Return the activation of each element."""
        return self.activation(inputs)


class Identity(Layer):
    """The inputs unchanged, for a place where a layer is needed.

    >>> Identity()([1.0, 2.0])
    tensor([1., 2.], dtype=float32)
    """

    built = True

    def call(self, inputs: Any) -> Any:
        """Return the inputs."""
        return inputs


class ReLU(Weightless):
    """`activations.relu` with its options; ValueError for negative ones, and for a slope of None.

    >>> ReLU(max_value=6.0)([-1.0, 2.0, 9.0])
    tensor([0., 2., 6.], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else _not_negative("max_value", max_value)
        self.negative_slope = _not_negative("negative_slope", negative_slope)
        self.threshold = _not_negative("threshold", threshold)

    def call(self, inputs: Any) -> Any:
        """Return `relu` of each element."""
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Weightless):
    """`activations.leaky_relu`; ValueError for a slope that is negative or None.

    `alpha`, its name in Keras 2, is taken with a warning, as in Keras 3.

    >>> LeakyReLU()([-1.0, 2.0])
    tensor([-0.3,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warn("Instead of alpha, pass negative_slope.")
        super().__init__(**kwargs)
        self.negative_slope = _not_negative("negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        """Return `leaky_relu` of each element."""
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(Weightless):
    """`activations.elu`.

    >>> ELU()([-1000.0, 2.0])
    tensor([-1.,  2.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        """Return `elu` of each element."""
        return activations.elu(inputs, self.alpha)


class Softmax(Weightless):
    """`activations.softmax` along `axis`, an axis or several.

    >>> Softmax()([[1.0, 1.0]])
    tensor([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        """Return numbers that sum to 1 along the axis."""
        axis = tuple(self.axis) if isinstance(self.axis, list) else self.axis
        return activations.softmax(inputs, axis)


class Lambda(Weightless):
    """A function of tensors as a layer: ``Lambda(f)(x)`` is ``f(x, **arguments)``.

    A file holds the name of a function, never its code. So name it by ``def``, and register it, or
    pass it in `custom_objects` when the model is loaded: a ``lambda`` cannot be saved.

    Parameters
    ----------
    function : function of a tensor, which may have an argument `training`
    output_shape : tuple without the batch axis, or function of the input shape, optional
        By default it is found by running the function.
    mask : None
    arguments : dict, optional
        Keyword arguments for the function.
    name, dtype, trainable
        As for `Layer`.

    >>> Lambda(lambda x, power: x**power, arguments={"power": 2})([1.0, 3.0])
    tensor([1., 9.], dtype=float32)
    """

    built = False

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: None = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_options("Lambda", mask=mask)
        super().__init__(**kwargs)
        self.function, self._output_shape = (
            deserialize_keras_object(x) if isinstance(x, dict) else x
            for x in (function, output_shape)
        )
        self.arguments = arguments or {}
        is_function = callable(self.function)
        expect(is_function, "function", "a function of a tensor", function, TypeError)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return what the function returns."""
        taken = {"training": training} if "training" in signature(self.function).parameters else {}
        return self.function(inputs, **self.arguments, **taken)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the given shape, with a batch axis, or the one found by running the function."""
        given = self._output_shape
        if callable(given):
            return given(input_shape)
        if given is None:
            return Layer.compute_output_shape(self, input_shape)
        shapes: list[Any] = []
        map_shapes(shapes.append, input_shape)
        return (shapes[0][0], *given)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name; ValueError for a ``lambda``."""
        found = Layer.get_config(self)
        found |= {"function": self.function, "output_shape": self._output_shape}
        written = {k: serialize_keras_object(v) for k, v in found.items() if v is not None}
        return written | {"arguments": serialize_keras_object(self.arguments)}


def _not_negative(name: str, value: Any) -> Any:
    expect(isinstance(value, Real) and not value < 0, name, "a number of at least 0", value)
    return value


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


# -- against overfitting ---------------------------------------------------------------------------


class RandomMask(Weightless):
    """Base of layers that change random inputs in training; see `Dropout` for the arguments."""

    _config_first = ("rate", "seed")

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float, np.number)) or not 0 <= rate <= 1:
            raise ValueError(f"Expected a number from 0 to 1, received rate={rate}.")
        self.rate, self.seed = rate, seed
        self.noise_shape = None if noise_shape is None else to_shape(noise_shape, "noise_shape", 1)
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)


class Dropout(RandomMask):
    """In training, sets random inputs to 0 and divides the others by ``1 - rate``.

    Outside of training, the inputs pass unchanged. Each call draws a new mask, the one that Keras
    on JAX draws. Source: Srivastava et al., "Dropout", JMLR 15, 2014.

    Parameters
    ----------
    rate : float from 0 to 1
        The probability that an input is set to 0.
    noise_shape : tuple of int or None, optional
        The shape of the mask, which broadcasts to the inputs; None is the inputs' length. So
        ``(None, 1)`` sets whole samples to 0.
    seed : int, optional
    name, dtype, trainable
        As for `Layer`.

    Raises
    ------
    ValueError
        For an invalid `rate`, `noise_shape` or `seed`.

    >>> layer = Dropout(0.5, seed=1)
    >>> layer([1.0, 2.0, 3.0], training=True), layer([1.0, 2.0, 3.0])
    (tensor([2., 0., 0.], dtype=float32), tensor([1., 2., 3.], dtype=float32))
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, with some of them set to 0 in training."""
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self.noise_shape, self.seed_generator)


class AlphaDropout(RandomMask):
    """In training, sets random inputs to the lowest value of `selu`, and keeps mean and variance.

    Parameters as for `Dropout`. Source: Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> AlphaDropout(0.5, seed=1)([1.0, 1.0, 1.0], training=True).numpy().round(3)
    array([-0.779,  1.666,  1.666], dtype=float32)
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, with some of them set to the lowest value in training."""
        if not training or self.rate in (0, 1):
            return ops.zeros_like(inputs) if training and self.rate else inputs
        dropped = random.mask_for(inputs, self.rate, self.noise_shape, self.seed_generator)
        lowest = -1.7580993408473766  # of selu
        scale = ((1.0 - self.rate) * (1.0 + self.rate * lowest**2)) ** -0.5
        return ops.where(dropped, lowest, inputs) * scale - scale * lowest * self.rate


class GaussianNoise(Weightless):
    """In training, adds normally distributed noise with standard deviation `stddev`.

    The noise is that of Keras on JAX, up to a few units in the last place. ValueError unless
    `stddev` is from 0 to 1.

    >>> GaussianNoise(0.1, seed=1)([1.0, 1.0], training=True).numpy().round(3)
    array([0.89 , 1.048], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev, self.seed = check_number("stddev", stddev, 1), seed
        if stddev > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, with noise in training."""
        if not training or self.stddev == 0:
            return inputs
        noise = inputs.shape, 0.0, self.stddev, inputs.dtype, self.seed_generator
        return inputs + random.normal(*noise)


# -- shapes ---------------------------------------------------------------------------------------


class Flatten(Weightless):
    """Each sample as a row of numbers: (batch, 2, 3) becomes (batch, 6), and (batch,) (batch, 1).

    ValueError for a `data_format` other than ``"channels_last"`` and None, which mean the same.

    >>> Flatten()([[[1.0, 2.0], [3.0, 4.0]]])
    tensor([[1., 2., 3., 4.]], dtype=float32)
    """

    built = False

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        known = data_format in (None, "channels_last")
        expect(known, "data_format", "'channels_last'", data_format)
        self.data_format = "channels_last"

    def call(self, inputs: Any) -> Any:
        """Return the elements of each sample as a row."""
        return ops.reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the batch size and the product of the other lengths."""
        lengths = input_shape[1:]
        return (input_shape[0], None if None in lengths else math.prod(lengths))


class Reshape(Weightless):
    """Each sample in the shape `target_shape`, in which one length may be -1, to be computed.

    ValueError for other lengths below 0 or None, and if the numbers of elements differ.

    >>> Reshape((-1, 2))([[1.0, 2.0, 3.0, 4.0]]).shape
    (1, 2, 2)
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(n) if isinstance(n, Integral) else n for n in target_shape)
        lengths = [n for n in self.target_shape if not isinstance(n, int) or n < 0]
        wanted = "lengths, of which one may be -1"
        expect(lengths in ([], [-1]), "target_shape", wanted, target_shape)

    def call(self, inputs: Any) -> Any:
        """Return each sample in its new shape."""
        return ops.reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the batch size and `target_shape`, with the length that -1 stands for."""
        lengths, target = input_shape[1:], self.target_shape
        if None in lengths:
            return (input_shape[0], *(None if n == -1 else n for n in target))
        size, known = math.prod(lengths), math.prod(n for n in target if n != -1)
        fits = size % known == 0 if -1 in target and known else size == known and -1 not in target
        expect(fits, self.name, f"lengths that fit target_shape={target}", lengths)
        return (input_shape[0], *(size // known if n == -1 else n for n in target))


_LAYERS = Activation, ELU, Flatten, Identity, Lambda, LeakyReLU, ReLU, Rescaling, Reshape
publish("keras.layers", *_LAYERS, Softmax, Dropout, AlphaDropout, GaussianNoise)
