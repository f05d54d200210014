"""Initializers: the values that a layer's weights have before training.

An initializer is called with a shape and a dtype and returns a new array. What each one means to
draw stands here; how the numbers are drawn, in `random.py`. Imports that, `registry.py` and the
engine's dtypes. Read next: `layers.py`, which calls them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from . import random
from .configs import lookup as registry
from .engine.tensor import as_dtype, floatx, to_array
from .random import Seed, Shape

Axes = Sequence[int] | None

# The standard deviation of a standard normal variable on condition that it lies within -2 and 2.
_STD_WITHIN_2 = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "normal", "untruncated_normal", "uniform")


class Initializer:
    """An initializer of no kind yet; a subclass defines ``__call__(shape, dtype=None)``.

    One that takes arguments also defines `get_config`, so that models which use it can be saved.
    """

    # Names of constructor arguments which are kept as attributes and make up the config.
    _arguments: ClassVar[str] = ""

    def __call__(self, shape: Shape, dtype: Any = None) -> np.ndarray:
        """Return a new array of `shape` and `dtype` (None: `floatx()`).

        TypeError or ValueError if `shape` is none, ValueError if `dtype` is none of numbers.
        """
        wanted = as_dtype(floatx() if dtype is None else dtype)
        return np.asarray(self._values(random.checked_shape(shape), wanted), dtype=wanted)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must define `__call__(shape, dtype)`.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an initializer like this one."""
        return {name: getattr(self, name) for name in self._arguments.split()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Return the initializer that `get_config` described."""
        return cls(**config)


class Zeros(Initializer):
    """Zeros everywhere.

    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.zeros(shape, dtype)


class Ones(Initializer):
    """Ones everywhere, otherwise as `Zeros`."""

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.ones(shape, dtype)


class Constant(Initializer):
    """The number `value` everywhere, or the array `value` for a weight of its very shape.

    ValueError if `value` is not of numbers or, when called, an array of another shape. Copied.

    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = to_array(value, "float64")

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if self.value.shape not in ((), shape):
            expected = f"`shape` must be that of the given values, {self.value.shape}"
            raise ValueError(f"{expected}. Received: shape={shape}")
        return np.full(shape, self.value, dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the value as Python numbers."""
        return {"value": self.value.tolist()}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere; ValueError unless the shape has two axes.

    >>> Identity(2.0)((2, 3))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    _arguments = "gain"

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = _number("gain", gain)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(f"Identity: `shape` must have two axes. Received: shape={shape}")
        matrix = np.zeros(shape, dtype)
        np.fill_diagonal(matrix, self.gain)
        return matrix


class RandomInitializer(Initializer):
    """What all random initializers share: the seed is settled at construction.

    So one instance gives equal arrays whenever it is called. ValueError unless `seed` is an int
    from 0 to 2**32 - 1, or None, which draws one from Python's `random` (see `set_random_seed`).
    """

    def __init__(self, seed: Seed = None) -> None:
        self._given_seed = seed
        self.seed = random.draw_seed() if seed is None else random.checked_seed(seed)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, with the seed as it was given: None stays None, as in Keras."""
        return {"seed": self._given_seed, **super().get_config()}


class RandomUniform(RandomInitializer):
    """Draws from the uniform distribution on [minval, maxval).

    >>> RandomUniform(0.0, 1.0, seed=1)((2,))
    array([0.13620758, 0.68262076], dtype=float32)
    """

    _arguments = "minval maxval"

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Seed = None) -> None:
        self.minval, self.maxval = _number("minval", minval), _number("maxval", maxval)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


class RandomNormal(RandomInitializer):
    """Draws from the normal distribution.

    >>> RandomNormal(stddev=1.0, seed=1)((2,)).round(3)
    array([-1.098,  0.475], dtype=float32)
    """

    _arguments = "mean stddev"
    _draw: ClassVar[Callable[..., np.ndarray]] = staticmethod(random.normal)

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Seed = None) -> None:
        self.mean, self.stddev = _number("mean", mean), _number("stddev", stddev)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return self._draw(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Draws from the normal distribution, those beyond two `stddev` from `mean` excluded."""

    _draw = staticmethod(random.truncated_normal)


class VarianceScaling(RandomInitializer):
    """Draws of mean 0 and variance scale / fan: the larger a unit's fan, the smaller its weights.

    Parameters
    ----------
    scale : positive number, else TypeError or ValueError
    mode : "fan_in", the inputs of a unit; "fan_out", the outputs; "fan_avg", their mean
    distribution : "truncated_normal" (or "normal"), "untruncated_normal" or "uniform"
    seed : int, optional
    input_axes, output_axes : lists of int, optional
        Axes whose product is the fan; both, or else the last two axes, times those before them.

    >>> VarianceScaling(3.0, "fan_in", "uniform", seed=1)((4, 2)).shape
    (4, 2)
    """

    _arguments = "scale mode distribution input_axes output_axes"

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Seed = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        self.scale = _number("scale", scale)
        if not 0 < self.scale < math.inf:
            raise ValueError(f"`scale` must be positive and finite. Received: scale={scale}")
        if mode not in _MODES:
            raise ValueError(f"`mode` must be one of {_MODES}. Received: mode={mode!r}")
        kind = str(distribution).lower()
        if kind not in _DISTRIBUTIONS:
            expected = f"`distribution` must be one of {_DISTRIBUTIONS}"
            raise ValueError(f"{expected}. Received: distribution={distribution!r}")
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
    """A variance scaling whose first three arguments follow from its name."""

    _arguments = "input_axes output_axes"

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
    """Uniform draws of variance 2 / fan_in, made for relu. Source: He et al., ICCV 2015."""

    scale, mode, distribution = 2.0, "fan_in", "uniform"


class HeNormal(_Named):
    """Truncated normal draws of variance 2 / fan_in, made for relu. Source: see `HeUniform`."""

    scale, mode, distribution = 2.0, "fan_in", "truncated_normal"


class LecunUniform(_Named):
    """Uniform draws of variance 1 / fan_in. Source: LeCun et al., "Efficient BackProp", 1998."""

    scale, mode, distribution = 1.0, "fan_in", "uniform"


class LecunNormal(_Named):
    """Truncated normal draws of variance 1 / fan_in. Source: see `LecunUniform`."""

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"


class Orthogonal(RandomInitializer):
    """`gain` times a random matrix of orthonormal columns, or rows where these are fewer.

    A shape of more than two axes is taken as a matrix with all but the last as rows; of fewer:
    ValueError. Source: Saxe et al., ICLR 2014; the signs make Q of the QR factors unique.

    >>> q = Orthogonal(seed=1)((3, 2))
    >>> np.allclose(q.T @ q, np.eye(2), atol=1e-6)
    True
    """

    _arguments = "gain"

    def __init__(self, gain: float = 1.0, seed: Seed = None) -> None:
        self.gain = _number("gain", gain)
        super().__init__(seed)

    def _values(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: `shape` must have two axes. Received: shape={shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = random.normal((max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        q, r = np.linalg.qr(tall.astype(np.float64))
        scaled: np.ndarray = q * np.sign(np.diag(r)) * self.gain
        return (scaled.T if rows < columns else scaled).reshape(shape)


# The names that Keras has for the same classes; strings may be these, the classes' own, and a few.
zeros, ones, constant, identity, orthogonal = Zeros, Ones, Constant, Identity, Orthogonal
random_uniform, random_normal, truncated_normal = RandomUniform, RandomNormal, TruncatedNormal
glorot_uniform, he_uniform, lecun_uniform = GlorotUniform, HeUniform, LecunUniform
glorot_normal, he_normal, lecun_normal = GlorotNormal, HeNormal, LecunNormal
variance_scaling = VarianceScaling

_TABLE = {
    **registry.names(Zeros, Ones, Constant, Identity, Orthogonal, VarianceScaling),
    **registry.names(RandomUniform, RandomNormal, TruncatedNormal, GlorotUniform, GlorotNormal),
    **registry.names(HeUniform, HeNormal, LecunUniform, LecunNormal),
    **{"zero": Zeros, "one": Ones, "uniform": RandomUniform, "normal": RandomNormal},
    **{"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal},
}
registry.publish("keras.initializers", *_TABLE.values())


def get(identifier: Any) -> Any:
    """Return the initializer that `identifier` stands for; None for None.

    A name in Keras' spellings, a config, a class, an initializer or other callable
    ``(shape, dtype=None)``, or an array: the values themselves. ValueError for all else.

    >>> get("zeros")((2,))
    array([0., 0.], dtype=float32)
    """
    if identifier is None:
        return None
    if hasattr(identifier, "__array__"):
        return Constant(identifier)
    return registry.lookup(identifier, _TABLE, "initializer")


def serialize(initializer: Any) -> Any:
    """Return the config from which `get` makes an initializer like this one; None for None.

    >>> serialize(Identity(2.0))["config"]
    {'gain': 2.0}
    """
    if initializer is None:
        return None
    return registry.serialize(initializer, _TABLE, "keras.initializers")


def _number(name: str, value: Any) -> Any:
    """Return the real number `value`, NumPy's as Python's, which JSON can hold; else TypeError."""
    if not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number. Received: {name}={value!r}")
    return value.item() if isinstance(value, np.generic) else value


def _fans(shape: tuple[int, ...], inputs: Axes, outputs: Axes) -> tuple[int, int]:
    """Return how many inputs an output of a weight of `shape` has, and how many outputs an input.

    IndexError or TypeError, as in Keras, if `inputs` and `outputs` are no axes of that shape.
    """
    if inputs is None or outputs is None:
        fan_in = math.prod(shape[:-1] or shape)
        return fan_in, math.prod(shape[:-2]) * shape[-1] if shape else fan_in
    try:
        return math.prod(shape[i] for i in inputs), math.prod(shape[i] for i in outputs)
    except (IndexError, TypeError) as error:
        message = f"`input_axes` and `output_axes` must be axes of shape {shape}. Received:"
        raise type(error)(f"{message} input_axes={inputs}, output_axes={outputs}") from None
