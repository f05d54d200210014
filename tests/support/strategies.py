"""Strategies: inputs of a primitive from its own cases, memory layouts, dtypes."""

import itertools
import math
import secrets
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from hypothesis import settings, strategies as st

from tinynet.engine import arrays, functional, primitives
from tinynet.engine.bind import PRIMITIVES, Case, bind
from tinynet.engine.tensor import Primitive, Tensor, wrap

Shapes = Sequence[tuple[int, ...]]

# All modules that define functions of tensors.
MODULES = [arrays, functional]
MODULES += [
    import_module(f"{primitives.__name__}.{m.name}") for m in iter_modules(primitives.__path__)
]

CASES = [(primitive, case) for primitive in PRIMITIVES.values() for case in primitive.cases]

FLOATS = ("float16", "float32", "float64")
DTYPES = st.sampled_from(FLOATS)

# Odd tenths: 0.1 from 0 and from every whole number, 0.2 from each other.
APART = np.arange(-19, 20, 2) / 10

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": lambda x: np.array(x, order="C"),
    "Fortran": lambda x: np.array(x, order="F"),
    "every other number": lambda x: np.stack([x, np.full_like(x, np.nan)], -1)[..., 0],
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "read-only": lambda x: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
    "zero strides": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim else x,  # repeats elements
}


def over_cases(pairs: Sequence[tuple[Primitive, Case]]) -> Any:
    """Parametrize a test over pairs of a primitive and one of its cases."""
    ids = [f"{primitive.name}-{primitive.cases.index(case)}" for primitive, case in pairs]
    return pytest.mark.parametrize(("primitive", "case"), pairs, ids=ids)


def over_draws(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test of a primitive and its case for many generators of random numbers.

    There are as many as Hypothesis would draw examples, and by default they are the same in every
    run. Hypothesis would take longer to draw a seed than most of these tests take to run.
    """

    def repeated(primitive: Primitive, case: Case) -> None:
        name = f"{test.__name__} {primitive.name} {primitive.cases.index(case)}"
        run = zlib.crc32(name.encode()) if settings.default.derandomize else secrets.randbits(32)
        for example in range(settings.default.max_examples):
            try:
                test(primitive, case, np.random.default_rng([run, example]))
            except BaseException:
                print(f"This failed with rng = np.random.default_rng([{run}, {example}])")
                raise

    repeated.__name__, repeated.__doc__ = test.__name__, test.__doc__
    return repeated


def free_positions(case: Case, count: int) -> list[int]:
    """Return the positions of those of `count` inputs that the case does not fix."""
    return [i for i in range(count) if i not in case.given]


def with_given(case: Case, free: Sequence[Any]) -> list[Any]:
    """Return all inputs: those that the case fixes, and `free` at the other positions."""
    rest = iter(free)
    count = len(free) + len(case.given)
    return [np.array(case.given[i]) if i in case.given else next(rest) for i in range(count)]


def as_function(primitive: Primitive, case: Case) -> Callable[..., Tensor]:
    """Return the primitive as a function of the free inputs only."""

    def function(*free: Tensor) -> Tensor:
        inputs = (x if isinstance(x, Tensor) else wrap(x) for x in with_given(case, free))
        return bind(primitive, *inputs, **case.params)

    return function


def fill(case: Case, shapes: Shapes, units: np.ndarray) -> list[np.ndarray]:
    """Return free inputs of these shapes, with numbers from the case's domains.

    `units` are `units_needed(case, shapes)` numbers from 0 to 1, which are mapped to the domains.
    """
    numbers = APART[np.argsort(units[: len(APART)], kind="stable")] if case.apart else units
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes)])
    parts = [numbers[start:end] for start, end in pairwise(ends)]
    positions = free_positions(case, len(shapes) + len(case.given))
    arrays = []
    for i, part, shape in zip(positions, parts, shapes, strict=True):
        low, high = case.domains[min(i, len(case.domains) - 1)]
        part = part.reshape(shape)
        arrays.append(part if case.apart else low + (high - low) * part)
    return arrays


def has_arrays(interval: tuple[Any, Any]) -> bool:
    """Return whether an interval is between arrays: elements must not be exchanged then."""
    return np.ndim(interval[0]) > 0


def units_needed(case: Case, shapes: Shapes) -> int:
    """Return how many numbers `fill` needs; for cases drawn apart, the length of APART."""
    return len(APART) if case.apart else sum(math.prod(shape) for shape in shapes)


def shapes_of(case: Case, broadcasting: Shapes) -> Shapes:
    """Return the shapes of the free inputs: the case's own, else `broadcasting`."""
    if isinstance(case.shapes, int):
        return broadcasting[: case.shapes]
    return [case.shapes[i] for i in free_positions(case, len(case.shapes))]


def typical(case: Case, seed: int = 0) -> list[np.ndarray]:
    """Return ordinary free inputs of the case."""
    shapes = shapes_of(case, ((2, 1), (1, 3)))
    return fill(case, shapes, np.random.default_rng(seed).random(units_needed(case, shapes)))


SMALL = [shape for axes in range(3) for shape in itertools.product(range(4), repeat=axes)]


def broadcast(*shapes: tuple[int, ...]) -> bool:
    return all(
        1 in pair or len({*pair}) == 1 for pair in zip(*(s[::-1] for s in shapes), strict=False)
    )


def broadcastable(count: int) -> list[Shapes]:
    """Return shapes that broadcast, of up to two axes and 3 elements along each; few are empty."""
    found = [shapes for shapes in itertools.product(SMALL, repeat=count) if broadcast(*shapes)]
    full = [shapes for shapes in found if not any(0 in shape for shape in shapes)]
    return [*found, *full * 12]


SHAPES = {count: broadcastable(count) for count in (1, 2)}
BROADCASTABLE = {count: st.sampled_from(shapes) for count, shapes in SHAPES.items()}

SEEDS = st.integers(0, 2**16)

Units = Callable[[np.random.Generator, int], np.ndarray]  # draw this many numbers from 0 to 1


def any_units(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.random(count)


def coarse_units(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw numbers that are equal or far apart: no difference reaches over a kink of `maximum`."""
    return rng.integers(0, 2**9, count, endpoint=True) / 2**9


NO_REPETITION = [layout for name, layout in LAYOUTS.items() if name != "zero strides"]


def one_of(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    """Draw one of the options; `rng.choice` takes far longer."""
    return options[rng.integers(len(options))]


def inputs(
    case: Case,
    rng: np.random.Generator,
    dtypes: Sequence[str] = ("float64",),
    units: Units = any_units,
) -> list[np.ndarray]:
    """Draw free inputs of the case: shapes, numbers, dtypes, memory layouts.

    Half of the numbers are the ends or the middle of a domain, so some are equal, and 0 is frequent
    in a domain around 0. NumPy draws all of it, from a seed: Hypothesis takes far longer.
    """
    shapes = SHAPES[case.shapes] if isinstance(case.shapes, int) else [()]
    shapes = shapes_of(case, one_of(rng, shapes))
    count = units_needed(case, shapes)
    special = rng.integers(3, size=count) / 2
    numbers = np.where(rng.random(count) < 0.5, special, units(rng, count))
    may_repeat = not case.apart and not has_arrays(case.domains[0])
    layouts = [*LAYOUTS.values()] if may_repeat else NO_REPETITION
    arrays = (np.asarray(x, one_of(rng, dtypes)) for x in fill(case, shapes, numbers))
    # NumPy turns arrays without axes into scalars, so convert them back.
    return [np.asarray(one_of(rng, layouts)(x)) for x in arrays]
