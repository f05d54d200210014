"""Random arrays that depend only on an integer seed: JAX's generator, in plain NumPy.

Keras 3 on JAX draws initial weights with Threefry-2x32. This module draws the same bits and rounds
at the same places, so a network starts from the weights that Keras would give it, and drops out
the same units. Imports the engine, `configs/` and `distribution/`. Read next: `initializers.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import ops
from .configs.configurable import Checked
from .configs.lookup import publish, unique_name
from .distribution.ranks import place
from .engine.bind import Case, bind, primitive
from .engine.expect import check_number
from .engine.primitives.shapes import lengths
from .engine.refusal import answering
from .engine.tensor import Primitive, Tensor, as_dtype, as_tensor, floatx
from .engine.variable import Variable

Shape = int | Iterable[int]
Seed = Any  # an int, a SeedGenerator or None

_SQRT2 = np.float32(math.sqrt(2.0))
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
# The polynomials of `_erfinv`, highest power first: for |x| near 0 and for |x| near 1.
_CENTRE = [2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087]
_CENTRE += [-0.00125372503, -0.00417768164, 0.246640727, 1.50140941]
_TAIL = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773]
_TAIL += [-0.0076224613, 0.00943887047, 1.00167406, 2.83297682]


@answering
def uniform(
    shape: Shape, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Seed = None
) -> np.ndarray:
    """Return draws from [minval, maxval), bit for bit those of `keras.random.uniform` on JAX.

    They are drawn in float32, then cast to the floating `dtype` (None: floatx). `seed` is an int
    from 0 to 2**32 - 1, or None to draw one; the result is then an array. With a `SeedGenerator`,
    which gives new draws at each call, it is a tensor. ValueError for any other dtype or seed.

    >>> uniform((2,), seed=1)
    array([0.13620758, 0.68262076], dtype=float32)
    """
    return _draw("uniform", shape, dtype, seed, minval, maxval)


@answering
def normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> np.ndarray:
    """Return draws from the normal distribution: uniform draws through the inverse of its CDF.

    `dtype` and `seed` as for `uniform`. Before scaling, 99 of 100 draws are bit for bit those of
    `keras.random.normal` on JAX. The rest differ by at most three units in the last place, since
    XLA computes logarithms differently.

    >>> normal((2,), seed=1).round(3)
    array([-1.098,  0.475], dtype=float32)
    """
    return _draw("normal", shape, dtype, seed, mean, stddev)


@answering
def truncated_normal(
    shape: Shape, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Seed = None
) -> np.ndarray:
    """Return draws from the normal distribution, truncated at two `stddev` from `mean`.

    >>> bool(abs(truncated_normal((1000,), seed=1)).max() < 2)
    True
    """
    return _draw("truncated", shape, dtype, seed, mean, stddev)


@answering
def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Seed = None) -> Tensor:
    """Return `inputs` with random elements set to 0, the others divided by ``1 - rate``.

    The mask is that of `keras.random.dropout` on JAX. Its shape is that of the inputs, or
    `noise_shape`, which broadcasts to it; None in `noise_shape` stands for the inputs' length of
    that axis. `seed` as for `uniform`.

    >>> dropout([1.0, 2.0, 3.0], 0.5, seed=1)
    tensor([2., 0., 0.], dtype=float32)
    """
    x, rate = as_tensor(inputs), check_number("rate", rate, 1)
    if rate == 1:
        return ops.zeros_like(x)
    return ops.where(mask_for(x, 1.0 - rate, noise_shape, seed), x / (1.0 - rate), 0.0)


@answering
def mask_for(x: Tensor, share: float, noise_shape: Any, seed: Seed) -> Tensor:
    """Return bools, each True with probability `share`, for the elements of `x`; see `dropout`."""
    pairs = zip(x.shape if noise_shape is None else noise_shape, x.shape, strict=True)
    generator = seed if isinstance(seed, SeedGenerator) else SeedGenerator(seed, "dropout")
    of_batch = noise_shape is None or tuple(noise_shape[:1]) == (None,)
    return generator.mask(tuple(m or n for m, n in pairs), share, of_batch)


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, which seeds initializers, and `numpy.random`, which shuffles data.

    ValueError unless `seed` is an int from 0 to 2**32 - 1. Source: `keras.utils.set_random_seed`.

    >>> set_random_seed(7)
    >>> first = np.random.rand(), random.random()
    >>> set_random_seed(7)
    >>> first == (np.random.rand(), random.random())
    True
    """
    random.seed(_checked_seed(seed))
    np.random.seed(seed)


def _draw_seed() -> int:
    """Return a default seed: Python's `random.randint(1, 10**9)`, as in Keras."""
    return random.randint(1, 10**9)


def _checked_seed(seed: Any) -> int:
    """Return `seed` if it is an int of 32 bits, else raise ValueError."""
    if isinstance(seed, int) and 0 <= seed < 2**32:
        return seed
    raise ValueError(f"`seed` must be an int from 0 to 2**32 - 1. Received: seed={seed!r}")


def _threefry(key: tuple[int, int], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the uint32 words `x` and `y` encrypted by Threefry-2x32 with 20 rounds.

    Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    keys = np.array([*key, key[0] ^ key[1] ^ 0x1BD11BDA], dtype=np.uint32)
    x, y = x + keys[0], y + keys[1]  # new arrays, updated in place below
    low = np.empty_like(y)
    for i in range(5):
        for turn in _ROTATIONS[i % 2]:
            x += y
            np.right_shift(y, 32 - turn, low)
            y <<= turn
            y |= low
            y ^= x
        x += keys[(i + 1) % 3]
        y += keys[(i + 2) % 3]
        y += i + 1
    return x, y


def _threefry_bits(seed: int, shape: Shape, count: int = 0, start: int = 0) -> np.ndarray:
    """Return 32 random bits, a uint32, per element.

    They depend only on the flat index, the first of which is `start`, on `seed` and `count`.
    Source: JAX's "partitionable" Threefry with the key (seed, count); Keras makes the key (seed, 0)
    from a seed alone.
    """
    shape = lengths(shape)
    index = np.arange(start, start + math.prod(shape), dtype=np.uint64)
    halves = (index >> 32).astype(np.uint32), index.astype(np.uint32)
    bits: np.ndarray = np.bitwise_xor(*_threefry((_checked_seed(seed), count), *halves))
    return bits.reshape(shape)


def _bits(states: Any, shape: tuple[int, ...], start: int = 0) -> np.ndarray:
    """Return the bits of a state, or of each state of a batch."""
    rows = states.reshape(-1, 2).tolist()
    each = [_threefry_bits(seed, shape, count, start) for seed, count in rows]
    return np.array(each, np.uint32).reshape((*states.shape[:-1], *shape))


_STATE = Case(((2,),), {"shape": (2, 3)}, given={0: [7, 4]})
_random_bits: Primitive = primitive(
    "random_bits", _bits, cases=(_STATE,), batched=lambda x, **how: bind(_random_bits, x, **how)
)


def _from_bits(bits: np.ndarray, kind: str, scale: Any) -> np.ndarray:
    return np.asarray(_KINDS[kind](bits, *scale))


_FROM_BITS = Primitive("random_draws", _from_bits, ())


def _draw(kind: str, shape: Shape, dtype: Any, seed: Any, *scale: float) -> Any:
    """Return draws in the floating `dtype`; ValueError unless it is floating."""
    wanted = as_dtype(floatx() if dtype is None else dtype)
    if wanted.kind != "f":
        raise ValueError(f"`dtype` of random numbers must be floating. Received: dtype={dtype!r}")
    if isinstance(seed, SeedGenerator):
        draws = bind(_FROM_BITS, seed.bits(lengths(shape)), kind=kind, scale=scale)
        return ops.cast(draws, wanted)
    bits = _threefry_bits(_draw_seed() if seed is None else seed, shape)
    return np.asarray(_from_bits(bits, kind, scale), wanted)


class SeedGenerator(Checked):
    """A random generator whose state advances at every draw, inside compiled steps too.

    Parameters
    ----------
    seed : int, optional
        From 0 to 2**32 - 1; by default drawn from Python's `random`.
    name : str, optional

    Attributes
    ----------
    state : Variable of shape (2,)
        The seed, and the number of draws so far.

    Raises
    ------
    ValueError
        For an invalid `seed`.

    >>> twins = SeedGenerator(1), SeedGenerator(1)
    >>> [bool((one.bits((9,)) == twins[1].bits((9,))).numpy().all()) for one in twins]
    [True, False]
    """

    def __init__(self, seed: Seed = None, name: str | None = None) -> None:
        start = np.array([_checked_seed(_draw_seed() if seed is None else seed), 0], np.uint32)
        self.name = name or unique_name("seed_generator")
        path = f"{self.name}/seed_generator_state"
        self.state = Variable(start, "uint32", False, "seed_generator_state", path)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make a generator with the same seed, at its first draw."""
        return {"seed": int(self.state.numpy()[0]), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """Return a generator made from what `get_config` returned."""
        return cls(**config)

    def next(self) -> Tensor:
        """Return the state for the next draw, and count that draw."""
        state = self.state.value
        self.state.assign(state + np.array([0, 1], np.uint32))
        return state

    def bits(self, shape: tuple[int, ...], of_batch: bool = True) -> Tensor:
        """Return 32 random bits, a uint32, for each element of `shape`: the next draw.

        A rank that computes a part of a batch gets the rows of that part, if `of_batch`: the first
        axis is that of the batch, perhaps merged with others.
        """
        shape, part, start = lengths(shape), place.part, 0
        if part and of_batch and shape and not shape[0] % part.length:
            start = part.start * math.prod(shape) // part.length
        params = {"start": start} if start else {}
        return bind(_random_bits, self.next(), shape=shape, **params)

    def mask(self, shape: tuple[int, ...], share: float, of_batch: bool = True) -> Tensor:
        """Return bools, each True with probability `share`, as `jax.random.bernoulli` draws them.

        True is where a float32 draw of `uniform`, made of 23 of the bits, would be below `share`.
        """
        limit = math.ceil(float(np.float32(check_number("share", share, 1))) * 2**23) << 9
        return self.bits(shape, of_batch) < np.uint64(limit)


def _between(bits: np.ndarray, low: float, high: float) -> Any:
    """Return float32 draws from [low, high): 23 bits are the mantissa of a number in [1, 2)."""
    unit = np.asarray(bits >> 9 | 0x3F800000).view(np.float32) - 1
    start = np.float32(low)
    return np.maximum(start, _multiply_add(unit, np.float32(high) - start, start))


def _erfinv(x: np.ndarray) -> Any:
    """Return the inverse error function of float32 x, |x| < 1, rounded where XLA rounds.

    Source: Giles, "Approximating the erfinv function", GPU Computing Gems 2, 2011.
    """
    w = -np.log1p((x * -x).astype(np.float64)).astype(np.float32)
    central = w < 5
    z = np.where(central, w - 2.5, np.sqrt(w) - 3)
    ratio = np.zeros_like(z)
    for centre, tail in zip(_CENTRE, _TAIL, strict=True):
        ratio = _multiply_add(ratio, z, np.where(central, np.float32(centre), np.float32(tail)))
    return ratio * x


def _normal(bits: np.ndarray, mean: float, stddev: float) -> Any:
    below_one = np.nextafter(np.float32(1), 0)  # the inverse is infinite at -1
    draws = _SQRT2 * _erfinv(_between(bits, -below_one, 1.0))
    return draws * np.float32(stddev) + np.float32(mean)


def _truncated(bits: np.ndarray, mean: float, stddev: float) -> Any:
    edge, limit = math.erf(math.sqrt(2.0)), np.nextafter(np.float32(2), 0)
    draws = np.clip(_SQRT2 * _erfinv(_between(bits, -edge, edge)), -limit, limit)
    return draws * np.float32(stddev) + np.float32(mean)


# Functions from bits and two numbers to draws.
_KINDS: dict[str, Any] = {"uniform": _between, "normal": _normal, "truncated": _truncated}


def _multiply_add(a: np.ndarray, b: Any, c: Any) -> Any:
    """Return a * b + c of float32 numbers, rounded once, as a fused multiply-add."""
    return (a.astype(np.float64) * b + c).astype(np.float32)


publish("keras.random", SeedGenerator)
