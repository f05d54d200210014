"""Layers against overfitting: dropout.

Imports `weightless.py`, `../random.py`. Read next: `../losses/base.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..configs.lookup import publish
from ..random import SeedGenerator
from .symbolic import to_shape
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
        if self.rate == 1:
            return ops.zeros_like(inputs)
        noise = self.noise_shape or (None,) * inputs.ndim
        shape = tuple(m or n for m, n in zip(noise, inputs.shape, strict=True))
        of_batch = noise[:1] == (None,)
        kept = self.seed_generator.mask(shape, 1.0 - self.rate, of_batch)
        return ops.where(kept, inputs / (1.0 - self.rate), 0.0)


publish("keras.layers", Dropout)
