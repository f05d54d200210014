"""A layer that normalizes each sample by groups of its features.

Imports `normalization.py`. Read next: `operation.py`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import ops
from ..configs.configurable import taking
from ..configs.lookup import publish
from ..engine.expect import expect, is_integer
from .normalization import _moments, _Normalizer


class GroupNormalization(_Normalizer):
    """Gives each group of each sample's features the mean 0 and the variance 1.

    Then weights scale and shift each feature. Source: Wu and He, "Group normalization", 2018.

    Parameters
    ----------
    groups : int
        The number of groups of neighbouring features; -1: each feature is a group.
    axis : int
        The axis of the features; mean and variance of a group are also those along all other axes,
        except the batch axis.
    epsilon, center, scale, beta_initializer, gamma_initializer, ...
        As for `BatchNormalization`.

    Raises
    ------
    ValueError
        For `groups` that is neither positive nor -1, or does not divide the number of features.

    >>> GroupNormalization(groups=2)([[1.0, 3.0, 10.0, 30.0]]).numpy().round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    @partial(taking, _Normalizer)
    def __init__(self, groups: int = 32, **more: Any) -> None:
        valid = is_integer(groups) and (groups > 0 or groups == -1)
        expect(valid, "groups", "a positive integer, or -1", groups)
        super().__init__(**more)
        self.groups, self.axis = groups, int(self.axis)

    def build(self, input_shape: Any) -> None:
        """Create the weights, one element for each index along the axis."""
        super().build(input_shape)
        (length,) = self._lengths
        self.groups = length if self.groups == -1 else self.groups
        expect(length % self.groups == 0, "groups", f"a divisor of {length}", self.groups)

    def call(self, inputs: Any) -> Any:
        """Return the normalized inputs."""
        shape, at = inputs.shape, self.axis % len(inputs.shape)
        lengths = *shape[:at], self.groups, shape[at] // self.groups, *shape[at + 1 :]
        x = ops.reshape(inputs, lengths)
        mean, variance = _moments(x, tuple(i for i in range(1, len(lengths)) if i != at))
        normalized = (x - mean) / ops.sqrt(variance + self.epsilon)
        return self._scaled(ops.reshape(normalized, shape))


publish("keras.layers", GroupNormalization)
