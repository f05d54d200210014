"""Initializers: the values of a layer's weights before training.

An initializer is called with a shape and a dtype and returns a new array. This module says which
distribution each one draws from; `random.py` draws the numbers. Imports `random.py`, `configs/` and
the engine's dtypes. Read next: `regularizers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import random
from .configs.configurable import Configurable
from .configs.files import memory
from .configs.lookup import config_of, defined_in, lookup, publish
from .configs.serialization import deserialize_keras_object, serialize_keras_object
from .engine.expect import expect
from .engine.primitives.shapes import lengths
from .engine.tensor import as_dtype, floatx, to_array
from .random import Seed, SeedGenerator, Shape

Axes = Sequence[int] | None

# The standard deviation of a standard normal distribution that is truncated to [-2, 2].
_STD_WITHIN_2 = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_KINDS = ("truncated_normal", "normal", "untruncated_normal", "uniform")


class Initializer(Configurable):
    """Base of initializers: subclass it with ``__call__(self, shape, dtype=None)``.

    A subclass with arguments also defines `get_config`, so that models which use it can be saved.
    """

    def __init__(self) -> None:
        """Take no arguments; subclasses may."""

    def __call__(self, shape: Shape, dtype: Any = None) -> np.ndarray:
        """Return a new array of `shape` and `dtype` (None: `floatx()`).

        TypeError or ValueError for an invalid `shape`, ValueError for a non-numeric `dtype`.
        """
        wanted = as_dtype(floatx() if dtype is None else dtype)
        sizes = lengths(shape)
        memory.allocator.charge(math.prod(sizes) * wanted.itemsize)
        return np.asarray(self._values(sizes, wanted), dtype=wanted)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(shape, dtype)`.")


class Zeros(Initializer):
    """Zeros everywhere.

    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    _values: Any = staticmethod(np.zeros)


class Ones(Initializer):
    """Ones everywhere, otherwise as `Zeros`.

    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    _values: Any = staticmethod(np.ones)


class Constant(Initializer):
    """The number `value` everywhere, or the array `value`, which is copied.

    ValueError for a non-numeric `value`, and for a call with a shape other than the array's.

    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = to_array(value, "float64")

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if self.value.shape not in ((), shape):
            raise ValueError(f"`shape` must be that of the given values. Received: shape={shape}")
        return np.full(shape, self.value, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the value as Python numbers, by name."""
        return {"value": self.value.tolist()}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere; ValueError for a shape that is no matrix's.

    >>> Identity(2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _number(gain)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: `shape` must have two axes. Received: shape={shape}")
        return np.where(np.eye(*shape, dtype=bool), self.gain, 0)


class RandomInitializer(Initializer):
    """Base of random initializers: each call of an instance returns the same values.

    `seed` is an int from 0 to 2**32 - 1, or None, which draws one from Python's `random` at
    construction (see `set_random_seed`), or a `SeedGenerator`, with which each call returns new
    values. ValueError for any other seed.
    """

    _config_first = ("seed",)

    def __init__(self, seed: Seed = None) -> None:
        self._given_seed = seed = deserialize_keras_object(seed) if isinstance(seed, dict) else seed
        default = random._draw_seed() if seed is None else seed
        self.seed = seed if isinstance(seed, SeedGenerator) else random._checked_seed(default)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name, and the seed as it was given: None stays None."""
        return super().get_config() | {"seed": serialize_keras_object(self._given_seed)}


class RandomUniform(RandomInitializer):
    """Draws from the uniform distribution on [minval, maxval).

    >>> RandomUniform(0.0, 1.0, seed=1)((2,))
    array([0.13620758, 0.68262076], dtype=float32)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        self.minval, self.maxval = _number(minval), _number(maxval)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


class _Normal(RandomInitializer):
    """Base of the two normal distributions."""

    _draw: Any

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean, self.stddev = _number(mean), _number(stddev)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return self._draw(shape, self.mean, self.stddev, dtype, self.seed)


class RandomNormal(_Normal):
    """Draws from the normal distribution.

    >>> RandomNormal(stddev=1.0, seed=1)((2,)).round(3)
    array([-1.098,  0.475], dtype=float32)
    """

    _draw = staticmethod(random.normal)


class TruncatedNormal(_Normal):
    """Draws from the normal distribution, truncated at two `stddev` from `mean`.

    >>> bool(abs(TruncatedNormal(stddev=1.0, seed=1)((1000,))).max() < 2)
    True
    """

    _draw = staticmethod(random.truncated_normal)


class VarianceScaling(RandomInitializer):
    """Draws of mean 0 and variance scale / fan: units with a larger fan get smaller weights.

    Parameters
    ----------
    scale : positive number
    mode : "fan_in", the number of a unit's inputs; "fan_out", of its outputs; "fan_avg", their mean
    distribution : "truncated_normal" (or "normal"), "untruncated_normal" or "uniform"
    seed : int, optional
    input_axes, output_axes : lists of int, optional
        The axes whose lengths are multiplied to give each fan. By default the fans are the lengths
        of the last two axes, times those of the axes before them.

    Raises
    ------
    ValueError
        When `scale` is not a positive number, or `mode` or `distribution` is unknown.

    >>> VarianceScaling(3.0, "fan_in", "uniform", seed=1)((4, 2)).shape
    (4, 2)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        self.scale = _number(scale)
        expect(0 < self.scale < math.inf, "scale", "a positive and finite number", scale)
        kind = str(distribution).lower()
        expect(mode in _MODES, "mode", f"one of {_MODES}", mode)
        expect(kind in _KINDS, "distribution", f"one of {_KINDS}", distribution)
        self.mode, self.distribution = mode, "truncated_normal" if kind == "normal" else kind
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        fan_in, fan_out = _fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, math.sqrt(variance), dtype, self.seed)
        stddev = math.sqrt(variance) / _STD_WITHIN_2
        return random.truncated_normal(shape, 0.0, stddev, dtype, self.seed)


class _Named(VarianceScaling):
    """A variance scaling with fixed scale, mode and distribution."""

    def __init__(
        self, seed: Seed = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(self.scale, self.mode, self.distribution, seed, input_axes, output_axes)


class GlorotUniform(_Named):
    """Uniform draws of variance 2 / (fan_in + fan_out). Source: Glorot and Bengio, AISTATS 2010.

    >>> GlorotUniform(seed=1)((1, 1))
    array([[-1.2602139]], dtype=float32)
    """

    scale, mode, distribution = 1.0, "fan_avg", "uniform"


class GlorotNormal(_Named):
    """Truncated normal draws of variance 2 / (fan_in + fan_out). Source: see `GlorotUniform`."""

    scale, mode, distribution = 1.0, "fan_avg", "truncated_normal"


class HeUniform(_Named):
    """Uniform draws of variance 2 / fan_in, suited to relu. Source: He et al., ICCV 2015."""

    scale, mode, distribution = 2.0, "fan_in", "uniform"


class HeNormal(_Named):
    """Truncated normal draws of variance 2 / fan_in, suited to relu. Source: see `HeUniform`."""

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Named):
    """Uniform draws of variance 1 / fan_in. Source: LeCun et al., "Efficient BackProp", 1998."""

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_Named):
    """Truncated normal draws of variance 1 / fan_in. Source: see `LecunUniform`."""

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix with orthonormal columns, or rows if there are fewer rows.

    In a shape of more than two axes, all axes but the last are the rows of the matrix. ValueError
    for a shape of fewer axes. Source: Saxe et al., ICLR 2014; the signs make the Q of the QR
    decomposition unique.

    >>> q = Orthogonal(seed=1)((3, 2))
    >>> np.allclose(q.T @ q, np.eye(2), atol=1e-6)
    True
    """

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        self.gain = _number(gain)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: `shape` must have two axes. Received: shape={shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = random.normal((max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        q, r = np.linalg.qr(np.asarray(tall, np.float64))
        scaled: np.ndarray = q * np.sign(np.diag(r)) * self.gain
        return (scaled.T if rows < columns else scaled).reshape(shape)


# Keras's aliases. A string identifier is a class's name, an alias or a name added to `_TABLE`.
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
glorot_uniform, he_uniform, lecun_uniform = GlorotUniform, HeUniform, LecunUniform
glorot_normal, he_normal, lecun_normal = GlorotNormal, HeNormal, LecunNormal
variance_scaling = VarianceScaling

_CLASSES = [c for c in defined_in(globals()) if c._values is not Initializer._values]  # no bases
_TABLE = publish("keras.initializers", *_CLASSES)
_TABLE |= {"zero": Zeros, "one": Ones, "uniform": RandomUniform, "normal": RandomNormal}
_TABLE |= {"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal}


def get(identifier: Any) -> Any:
    """Return the initializer that `identifier` stands for; None for None.

    `identifier` is a name in one of Keras's spellings, a config, a class, an initializer or another
    callable ``(shape, dtype=None)``, or an array of the values. ValueError for anything else.

    >>> get("zeros")((2,))
    array([0., 0.], dtype=float32)
    """
    if hasattr(identifier, "__array__"):
        return Constant(identifier)
    return lookup(identifier, _TABLE, "initializer")


def serialize(initializer: Any) -> Any:
    """Return the config from which `get` makes an equal initializer; None for None.

    >>> serialize(Identity(2.0))["config"]
    {'gain': 2.0}
    """
    return config_of(initializer, _TABLE)


def _number(value: Any) -> Any:
    """Return a number as a Python number, for JSON."""
    return value.item() if hasattr(value, "item") else value


def _fans(shape: tuple[int, ...], inputs: Axes, outputs: Axes) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a unit with a weight of `shape`.

    IndexError or TypeError, as in Keras, if `inputs` and `outputs` are not axes of the shape.
    """
    if inputs is None or outputs is None:
        return math.prod(shape[:-1] or shape), math.prod(shape[:-2] + shape[-1:])
    try:
        return math.prod(shape[i] for i in inputs), math.prod(shape[i] for i in outputs)
    except (IndexError, TypeError) as error:
        message = f"must be axes of shape {shape}. Received: {inputs} and {outputs}"
        raise type(error)(f"`input_axes` and `output_axes` {message}") from None
