"""The roads on which tinynet runs a step: eagerly, compiled as NumPy, and compiled as C.

A test that takes the fixture `run_eagerly` runs on each of them. Keras runs it once: `in_both`
keeps its results (see `side_by_side.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from native import NATIVE, all_in_c, lacked

import tinynet as tn
from tinynet.training.compilable import Compilable


class Road(NamedTuple):
    """A road; ``road[lib]`` is `run_eagerly` for a library, always True for Keras."""

    name: str
    eager: bool
    jit_compile: bool

    def __getitem__(self, lib: Any) -> bool:
        return self.eager if lib is tn else True


ROADS = [Road("eager", True, False), Road("compiled", False, False), Road("in C", False, True)]

# The tests whose steps run as NumPy on the road to C, and the primitives that C has no text for.
NOT_IN_C: dict[str, set[str]] = {
    "test_training_through_a_layer_reaches_the_losses_and_weights_of_keras[GaussianNoise]": {
        "random_draws"
    },
    "test_variational_sampling_in_a_layer_of_ones_own_draws_as_keras": {"random_draws"},
}


@contextmanager
def taking(road: Road, test: str) -> Iterator[None]:
    """Let `compile` choose the road by default; compare what C lacks with `NOT_IN_C`.

    `test` is the name of the test, with the ids of its parameters.
    """
    test = test.replace(f"[{road.name}]", "").replace(f"{road.name}-", "")
    compile_ = inspect.unwrap(Compilable.compile)
    *others, jit_compile, auto_scale_loss = compile_.__defaults__ or ()
    assert jit_compile == "auto"
    with pytest.MonkeyPatch.context() as patch, all_in_c(), lacked() as lacks:
        defaults = (*others, road.jit_compile and NATIVE, auto_scale_loss)
        patch.setattr(compile_, "__defaults__", defaults)
        patch.setitem(_now, "test", test)
        yield
    expected = NOT_IN_C.get(test, set()) if road.jit_compile and NATIVE else set()
    assert lacks == expected, f"{test}: C lacks {lacks}, and NOT_IN_C has {expected}"


# -- what Keras computed on another road -----------------------------------------------------------


_now: dict[str, str] = {}  # the test that runs, without its road


def known(function: Any, lib: Any, *more: Any) -> Any:
    """Return a key of what a function computes with a library; None if it cannot be known.

    It consists of the test, the function's code, and the numbers, arrays and functions that it
    refers to.
    """
    if not _now:
        return None
    try:
        return _now["test"], _key(function, lib), repr(more)
    except (TypeError, ValueError):  # an object that may change; a variable without a value
        return None


def _key(value: Any, lib: Any) -> Any:
    if isinstance(value, Road):
        return value[lib]
    if isinstance(value, (bool, int, float, str, bytes, type(None), np.generic)):
        return type(value), repr(value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return tuple((k, _key(v, lib)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return (type(value), *[_key(part, lib) for part in value])
    if isinstance(value, partial):
        return _key([value.func, value.args, value.keywords], lib)
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, _key([cells, value.__defaults__, value.__kwdefaults__], lib)
    if isinstance(value, (type, ModuleType)):
        return value
    raise TypeError


def is_plain(value: Any) -> bool:
    """Return whether a value consists of numbers, arrays, texts and types alone."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    kinds = (bool, int, float, str, type(None), np.generic, np.ndarray, type)
    return isinstance(value, kinds) or type(value).__module__.startswith("jaxlib")
