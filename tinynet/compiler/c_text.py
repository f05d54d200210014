"""What C computes for each elementwise primitive, and the parts of C that programs share.

Rows of the table and the parts, which are in ``prelude.c``, are templates: ``$T`` is a C type,
``$s`` the ending of its functions in libm. `exp`, `log` and `tanh` are branch-free, so that C
compilers vectorise the loops that call them. They err by at most 2 units in the last place (`tanh`
by 2.5 on processors without fused multiply-add). Their series are Taylor's after a range reduction:
Muller, Elementary Functions, 3rd edition, chapter 11. All other functions are those of libm.

Imports `program.py` and `text.py`. Read next: `c_loops.py`.
"""

from __future__ import annotations

import math
import re
import string
from functools import cache
from pathlib import Path

import numpy as np

from .program import NotInCError
from .text import INFIX

TYPES = {"bool": "bool", "float32": "float", "float64": "double"} | {
    f"{u}int{bits}": f"{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)
}

LIBM = "fabs rint floor ceil trunc sqrt cbrt expm1 exp2 log2 log10 log1p sin cos tan sinh cosh erfc"

# The row of a primitive, for operands {0}, {1}, ..., which are names or numbers. For integers it is
# the row of "name/i" if there is one; for unsigned ones that of "name/u", then "name/i"; for bools
# that of "name/b" before these; if the last operand is a finite number, "name/n" comes first. A row
# with a "$" in it is for the kind that it names, or floats.
C: dict[str, str] = {
    **{name: f"{{0}} {sign} {{1}}" for name, (sign, _) in INFIX.items()},
    "add/b": "{0} | {1}",
    "multiply/b": "{0} & {1}",
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "reciprocal": "($T)1 / {0}",
    "absolute": "fabs$s({0})",
    "absolute/i": "{0} < 0 ? -{0} : {0}",
    "absolute/u": "{0}",
    "sign": "{0} != {0} ? {0} : ({0} > 0) - ({0} < 0)",
    "sign/i": "({0} > 0) - ({0} < 0)",
    "sign/u": "{0} != 0",
    **dict.fromkeys(["floor/i", "ceil/i", "trunc/i"], "{0}"),
    **{name: f"{name}({{0}})" for name in ("isfinite", "isinf", "isnan")},
    "isfinite/i": "{0} * 0 == 0",
    **dict.fromkeys(["isinf/i", "isnan/i"], "{0} * 0 != 0"),
    "signbit": "signbit({0}) != 0",
    "logical_not": "{0} == 0",
    "logical_and": "({0} != 0) & ({1} != 0)",
    "logical_or": "({0} != 0) | ({1} != 0)",
    "logical_xor": "({0} != 0) ^ ({1} != 0)",
    "maximum": "(({0} >= {1}) | ({0} != {0})) ? {0} : {1}",
    "minimum": "(({0} <= {1}) | ({0} != {0})) ? {0} : {1}",
    "maximum/n": "{0} < {1} ? {1} : {0}",  # one instruction
    "minimum/n": "{0} > {1} ? {1} : {0}",
    "fmax": "(({0} >= {1}) | ({1} != {1})) ? {0} : {1}",
    "fmin": "(({0} <= {1}) | ({1} != {1})) ? {0} : {1}",
    **dict.fromkeys(["maximum/i", "fmax/i"], "{0} > {1} ? {0} : {1}"),
    **dict.fromkeys(["minimum/i", "fmin/i"], "{0} < {1} ? {0} : {1}"),
    "power": "pow$s({0}, {1})",
    "arctan2": "atan2$s({0}, {1})",
    "hypot": "hypot$s({0}, {1})",
    "floor_divide/u": "{1} == 0 ? 0 : {0} / {1}",
    "remainder/u": "{1} == 0 ? 0 : {0} % {1}",
    "deg2rad": f"{{0}} * (($T){math.pi!r} / 180)",
    "rad2deg": f"{{0}} * (180 / ($T){math.pi!r})",
    "where": "{0} ? {1} : {2}",
    **{f: f"{f}_$T({{0}})" for f in ("exp", "log", "tanh")},
    **{f: f"{f}_$T({{0}}, {{1}})" for f in ("logaddexp", "floor_divide", "remainder")},
    "floor_divide/i": "floor_divide_$T({0}, {1})",
    "remainder/i": "remainder_$T({0}, {1})",
    **{f: f"{f}$s({{0}})" for f in LIBM.split()},
    **{f"arc{f}": f"a{f}$s({{0}})" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}


# How C computes reductions: what is joined, and by which part of the prelude.
DOT = {
    "more": ", const {0} *y, ptrdiff_t other",
    "factor": " * y[(i + k) * other]",
    "together": " && other == 1",
    "next": ", y += 256 * other",
    "factors": " * ((const vector_{0} *)(y + i))[k]",
}
PLACES = {"argmax": "greater_equal", "argmin": "less_equal"}
JOINS = {"max": "maximum", "min": "minimum", "nanmax": "fmax", "nanmin": "fmin"} | PLACES
PARTS = {name: name for name in ("sum", "rows", "cumsum")} | dict.fromkeys(PLACES, "place")
PARTS["dot"] = "sum"
JOINS |= {"any": "logical_or", "all": "logical_and"}


KEYWORDS = (
    "auto bool break case char const continue default do double else enum extern false float for "
    "goto if inline int long main register restrict return short signed sizeof static struct "
    "switch true typedef union unsigned void volatile while isfinite isinf isnan signbit buffers"
)
CALLED = {  # names that a buffer must not have
    *KEYWORDS.split(),
    *[f"i{axis}" for axis in range(64)],
    *[name + s for row in C.values() for name in re.findall(r"(\w+)\$s\(", row) for s in ("f", "")],
}


class Template(string.Template):
    """A template whose names have no underscore, so that ``exp_$T`` ends where it should."""

    idpattern = "[a-zA-Z]+"


def expanded(text: str, **names: str) -> str:
    """Return a template for these types."""
    ending = "f" if names["T"] == "float" else ""
    return Template(text).substitute(s=ending, **names)


@cache
def parts() -> dict[str, tuple[str, str]]:
    """Return the parts of ``prelude.c`` by their names: the part that each needs, and its text."""
    text = Path(__file__).with_name("prelude.c").read_text(encoding="utf-8")
    found = re.findall(r"^//// ([^:\n]+)(?:: (\w+))?\n(.*?)(?=^////|\Z)", text, re.M | re.S)
    return {name: (needed, part) for name, needed, part in found}


# -- text -----------------------------------------------------------------------------------------


def c_type(dtype: np.dtype) -> str:
    """Return the type of C that a dtype is."""
    if dtype.name not in TYPES or not dtype.isnative:
        raise NotInCError(f"C has no dtype {dtype}")
    return TYPES[dtype.name]


def plain(label: str) -> str:
    """Return a label as a name that no macro, helper or value has: those end in "_" or a type."""
    name = re.sub(r"\W", "_", label, flags=re.ASCII).strip("_") or "t"
    name = f"t{name}" if name[0].isdigit() else name
    name = name.lower() if name.isupper() and len(name) > 1 else name
    return f"{name}_array" if name.endswith(tuple(f"_{kind}" for kind in TYPES.values())) else name


NOT_FINITE = {"nan": "NAN", "inf": "INFINITY", "-inf": "-INFINITY"}


def literal(value: np.ndarray, kind: str) -> str:
    """Return a number as C reads it."""
    number = value[()]
    if value.dtype.kind == "f":
        text = NOT_FINITE.get(text := str(number)) or text + "f" * (kind == "float")
    elif value.dtype.kind == "b":
        text = str(number).lower()
    else:
        text = f"({kind}){int(number)}" if abs(int(number)) < 1 << 31 else _wide(int(number), kind)
    return f"({text})" if text.startswith("-") else text


def _wide(number: int, kind: str) -> str:
    if number < 0:
        return f"(-INT64_C({-number - 1}) - 1)"
    return f"({kind}){'U' * kind.startswith('u')}INT64_C({number})"
