"""What the tests of C programs share. Without a C compiler, these run the NumPy road."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tinynet.compiler import executable, toolchain
from tinynet.compiler.native import CSource
from tinynet.compiler.program import NotInCError, Program

NATIVE = toolchain.compiler() is not None


def in_c(f: Any, *args: Any) -> Any:
    """Return the results of `f`, run as C where there is a compiler."""
    jitted = tn.jit(f, native=NATIVE)
    with np.errstate(all="ignore"):
        found = jitted(*args)
    assert jitted.native == NATIVE
    return found


def ulps(found: Any, expected: Any) -> float:
    """Return the largest distance to numbers of a wider dtype, in units in the last place.

    Infinities, NaN and zeros must be at the same places.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    with np.errstate(all="ignore"):
        rounded = expected.astype(found.dtype)
        finite = np.isfinite(rounded) & np.isfinite(found)
        np.testing.assert_array_equal(found[~finite], rounded[~finite])
        if not finite.any():
            return 0.0
        unit = np.spacing(np.abs(rounded[finite])).astype(expected.dtype)
        return float(np.max(np.abs(found[finite] - expected[finite]) / unit))


# The libraries of the tests' programs stay here for later runs, as what XLA compiles does: the name
# of each holds a hash of its source, the flags, the compiler and the processor.
CACHE = os.environ.get("TINYNET_TESTS_CACHE_DIR") or str(  # `mutants.py` sets it
    Path(__file__).parents[2] / ".pytest_cache" / "c"
)


@contextmanager
def compiled_with(optimize: str = "-O0", *more: str) -> Iterator[pytest.MonkeyPatch]:
    """Compile programs with other flags: without optimization, in a third of the time."""
    flags = [optimize if flag.startswith("-O") else flag for flag in toolchain.FLAGS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "FLAGS", (*flags, *more))
        yield patch


@contextmanager
def all_in_c(optimize: str = "-O0") -> Iterator[None]:
    """Let every compiled function and step that C has a text for run as C, unless told otherwise.

    A text that compiles with a warning is refused. The cache is one of the tests'.
    """
    with compiled_with(optimize, "-Wall", "-Wextra", "-Werror") as patch:
        patch.setattr(executable, "AUTO_WORK", 0)
        patch.setenv("TINYNET_CACHE_DIR", CACHE)
        yield


def assert_near(found: Any, expected: Any, units: float = 4.0) -> None:
    """Assert equal shapes and dtypes, and numbers within some units in the last place.

    A unit is one of the largest number in the array.
    """
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    slack = 0.0
    if found.dtype.kind == "f":
        finite = np.abs(expected[np.isfinite(expected)])
        slack = units * np.finfo(found.dtype).eps * float(finite.max(initial=0.0))
    np.testing.assert_allclose(found, expected, 0, slack)


# The primitives of training steps and metrics that C has no text for.
LACKING: list[str] = []


@contextmanager
def lacked() -> Iterator[set[str]]:
    """Yield a set, to which the primitives are added because of which steps run as NumPy."""
    found: set[str] = set()
    show = warnings.showwarning

    def note(message: Any, *more: Any) -> None:
        lack = re.search("^jit_compile=True: .*?'(.*?)'", str(message))
        if lack:
            found.add(lack[1])
        else:
            show(message, *more)

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.filterwarnings("always", "jit_compile=True: ")
        patch.setattr(warnings, "showwarning", note)
        yield found


def missing(program: Program) -> str | None:
    """Return what of a program the C printer has no text for, None if it can be printed."""
    try:
        CSource(program)
    except NotInCError as error:
        return str(error)
    return None
