"""What C computes for each elementwise primitive, and the parts of C that programs share.

Rows of the table and the parts, which are in ``prelude.c``, are templates: ``$T`` is a C type,
``$s`` the ending of its functions in libm. `exp`, `log` and `tanh` are branch-free, so that C
compilers vectorise the loops that call them. They err by at most 2 units in the last place (`tanh`
by 2.5 on processors without fused multiply-add). Their series are Taylor's after a range reduction:
Muller, Elementary Functions, 3rd edition, chapter 11. All other functions are those of libm.

Imports `program.py` and `text.py`. Read next: `c_loops.py`.
"""

from __future__ import annotations

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


@cache
def parts() -> dict[str, tuple[str, str]]:
    """Return the parts of ``prelude.c`` by their names: the part that each needs, and its text."""
    text = Path(__file__).with_name("prelude.c").read_text(encoding="utf-8")
    found = re.findall(r"^//// ([^:\n]+)(?:: (\w+))?\n(.*?)(?=^////|\Z)", text, re.M | re.S)
    return {name: (needed, part) for name, needed, part in found}


# The row of each elementwise primitive: see the table in ``prelude.c``.
C = {name: f"{{0}} {sign} {{1}}" for name, (sign, _) in INFIX.items()}
for _names, _row in re.findall("^(.+?): (.+)$", parts()["table"][1], re.M):
    C |= {name: _row.replace("$f", name) for name in _names.split()}


# How C computes reductions: what is joined, and by which part of the prelude.
DOT = {
    "more": ", const {0} *y, ptrdiff_t other",
    "factor": " * y[(i + k) * other]",
    "together": " && other == 1",
    "next": ", y += 256 * other",
    "factors": " * ((const vector_{0} *)(y + i))[k]",
}
JOINS = {"max": "maximum", "min": "minimum", "nanmax": "fmax", "nanmin": "fmin"}
JOINS |= {"argmax": "greater_equal", "argmin": "less_equal", "any": "logical_or"}
JOINS["all"] = "logical_and"
PARTS = {"sum": "sum", "dot": "sum", "rows": "rows", "cumsum": "cumsum"}
PARTS |= {"argmax": "place", "argmin": "place"}


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
