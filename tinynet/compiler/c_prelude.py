"""What C computes for each elementwise primitive, and the parts of C that programs share.

Rows of the table and the parts, which are in ``prelude.c``, are templates: ``$T`` is a C type,
``$s`` the ending of its functions in libm. `exp`, `log` and `tanh` are branch-free, so that C
compilers vectorise the loops that call them. They err by at most 2 units in the last place (`tanh`
by 2.5 on processors without fused multiply-add). Their series are Taylor's after a range reduction:
Muller, Elementary Functions, 3rd edition, chapter 11. All other functions are those of libm.

Imports the standard library. Read next: `c_printer.py`.
"""

from __future__ import annotations

import math
import re
import string
from functools import cache
from importlib import resources

TYPES = {"bool": "bool", "float32": "float", "float64": "double"} | {
    f"{u}int{bits}": f"{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)
}

# The row of a primitive, for operands {0}, {1}, ..., which are names or numbers. For integers,
# unsigned ones and bools it is the row of "name/i", "name/u" or "name/b" if there is one; a row
# with a "$" in it is for floating numbers, or for the kind that it names.
C: dict[str, str] = {
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "reciprocal": "($T)1 / {0}",
    "absolute": "fabs$s({0})",
    "absolute/i": "{0} < 0 ? -{0} : {0}",
    "absolute/u": "{0}",
    "absolute/b": "{0}",
    "fabs": "fabs$s({0})",
    "sign": "{0} != {0} ? {0} : ({0} > 0) - ({0} < 0)",
    "sign/i": "({0} > 0) - ({0} < 0)",
    "sign/u": "{0} != 0",
    "rint": "rint$s({0})",
    "floor": "floor$s({0})",
    "ceil": "ceil$s({0})",
    "trunc": "trunc$s({0})",
    **dict.fromkeys(["floor/i", "ceil/i", "trunc/i"], "{0}"),
    **dict.fromkeys(["floor/u", "ceil/u", "trunc/u"], "{0}"),
    **dict.fromkeys(["floor/b", "ceil/b", "trunc/b"], "{0}"),
    "isfinite": "isfinite({0})",
    "isinf": "isinf({0})",
    "isnan": "isnan({0})",
    **dict.fromkeys(["isfinite/i", "isfinite/u", "isfinite/b"], "{0} * 0 == 0"),
    **{f"{name}/{kind}": "{0} * 0 != 0" for name in ("isinf", "isnan") for kind in "iub"},
    "signbit": "signbit({0}) != 0",
    "logical_not": "{0} == 0",
    "logical_and": "({0} != 0) & ({1} != 0)",
    "logical_or": "({0} != 0) | ({1} != 0)",
    "logical_xor": "({0} != 0) ^ ({1} != 0)",
    "add": "{0} + {1}",
    "add/b": "{0} | {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "multiply/b": "{0} & {1}",
    "divide": "{0} / {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "maximum": "({0} >= {1}) | ({0} != {0}) ? {0} : {1}",
    "minimum": "({0} <= {1}) | ({0} != {0}) ? {0} : {1}",
    "fmax": "({0} >= {1}) | ({1} != {1}) ? {0} : {1}",
    "fmin": "({0} <= {1}) | ({1} != {1}) ? {0} : {1}",
    **{f"{f}/{k}": "{0} > {1} ? {0} : {1}" for f in ("maximum", "fmax") for k in "iub"},
    **{f"{f}/{k}": "{0} < {1} ? {0} : {1}" for f in ("minimum", "fmin") for k in "iub"},
    "power": "pow$s({0}, {1})",
    "arctan2": "atan2$s({0}, {1})",
    "hypot": "hypot$s({0}, {1})",
    "logaddexp": "logaddexp_$T({0}, {1})",
    "floor_divide": "floor_divide_$T({0}, {1})",
    "remainder": "remainder_$T({0}, {1})",
    "floor_divide/i": "floor_divide_$T({0}, {1})",
    "remainder/i": "remainder_$T({0}, {1})",
    "floor_divide/u": "{1} == 0 ? 0 : {0} / {1}",
    "remainder/u": "{1} == 0 ? 0 : {0} % {1}",
    "deg2rad": f"{{0}} * (($T){math.pi!r} / 180)",
    "rad2deg": f"{{0}} * (180 / ($T){math.pi!r})",
    "where": "{0} ? {1} : {2}",
    "erfc": "erfc$s({0})",
    **{f: f"{f}_$T({{0}})" for f in ("exp", "log", "tanh")},
    **{f: f"{f}$s({{0}})" for f in ("expm1", "exp2", "log2", "log10", "log1p", "sqrt", "cbrt")},
    **{f: f"{f}$s({{0}})" for f in ("sin", "cos", "tan", "sinh", "cosh")},
    **{f"arc{f}": f"a{f}$s({{0}})" for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}


class Template(string.Template):
    """A template whose names have no underscore, so that ``exp_$T`` ends where it should."""

    idpattern = "[a-zA-Z]+"


def expanded(text: str, **names: str) -> str:
    """Return a template for these types."""
    ending = "f" if names["T"] == "float" else ""
    return Template(text).substitute(s=ending, **names)


@cache
def parts() -> dict[str, str]:
    """Return the parts of ``prelude.c`` by their names."""
    text = resources.files(__package__).joinpath("prelude.c").read_text(encoding="utf-8")
    return dict(re.findall(r"^//// (\S+)\n(.*?)(?=^////|\Z)", text, re.M | re.S))
