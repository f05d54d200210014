"""What the tests of C programs share. Without a C compiler, these run the NumPy road."""

from typing import Any

import numpy as np

import tinynet as tn
from tinynet.compiler import toolchain

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
