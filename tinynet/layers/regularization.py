"""Layers against overfitting: dropout and noise.

Imports `weightless.py`, `../random.py`. Read next: `operation.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops, random
from ..configs.lookup import publish
from ..engine.expect import check_number
from ..random import SeedGenerator
from .shapes import to_shape
from .weightless import Weightless


class Dropout(Weightless):
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

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, with some of them set to 0 in training."""
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, self.noise_shape, self.seed_generator)


class AlphaDropout(Dropout):
    """In training, sets random inputs to the lowest value of `selu`, and keeps mean and variance.

    Parameters as for `Dropout`. Source: Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> AlphaDropout(0.5, seed=1)([1.0, 1.0, 1.0], training=True).numpy().round(3)
    array([-0.779,  1.666,  1.666], dtype=float32)
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, with some of them set to the lowest value in training."""
        if not training or self.rate in (0, 1):
            return super().call(inputs, training)
        dropped = random.mask_for(inputs, self.rate, self.noise_shape, self.seed_generator)
        lowest = -1.7580993408473766  # of selu
        scale = ((1.0 - self.rate) * (1.0 + self.rate * lowest**2)) ** -0.5
        return ops.where(dropped, lowest, inputs) * scale - scale * lowest * self.rate


class GaussianNoise(Weightless):
    """In training, adds random numbers, which are normally distributed with deviation `stddev`.

    They are those of Keras on JAX, but for a few units in the last place. ValueError unless
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


publish("keras.layers", Dropout, AlphaDropout, GaussianNoise)
