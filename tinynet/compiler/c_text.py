"""Text in C: types, numbers, loops, the table of elementwise primitives, and the other primitives.

Rows of the table and the parts that programs share, which are in ``prelude.c``, are templates:
``$T`` is a C type, ``$s`` the ending of its functions in libm. `exp`, `log` and `tanh` are
branch-free, so that C compilers vectorize the loops that call them. Their error is at most 2 units
in the last place (that of `tanh` 2.5 on processors without fused multiply-add). They are Taylor
series after a range reduction: Muller, Elementary Functions, 3rd edition, chapter 11. All other
functions are those of libm.

Imports `kernels.py` and `text.py`. Read next: `c_printer.py`.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..public import text_of
from .kernels import Single
from .memory import Buffer, Slot, row_major, view_of
from .program import NotInCError
from .text import INFIX

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # as CBLAS calls them
Axis = tuple[int, ...]  # a length, and the strides of each array
Lines = Iterator[str]

TYPES = {"bool": "bool", "float32": "float", "float64": "double"} | {
    f"{u}int{bits}": f"{u}int{bits}_t" for u in ("", "u") for bits in (8, 16, 32, 64)
}


@cache
def parts() -> dict[str, tuple[str, str]]:
    """Return the parts of ``prelude.c`` by name: the part that each needs, and its text."""
    text = text_of(__package__, "prelude.c")
    found = re.findall(r"^//// ([^:\n]+)(?:: (\w+))?\n(.*?)(?=^////|\Z)", text, re.M | re.S)
    return {name: (needed, part) for name, needed, part in found}


def _table(part: str) -> dict[str, str]:
    """Return the rows of a part that is a table, by the names in front of them."""
    return dict(re.findall("^(.+?): (.+)$", parts()[part][1], re.M))


# The row of each elementwise primitive, and tables for reductions: see ``prelude.c``.
C = {name: f"{{0}} {sign} {{1}}" for name, (sign, _) in INFIX.items()}
for _names, _row in _table("table").items():
    C |= {name: _row.replace("$f", name) for name in _names.split()}
JOINS, DOT = _table("joins"), _table("dot")
CALLED = {  # names that a buffer must not have
    *re.findall(r"\w+", parts()["names"][1].partition("\n")[2]),
    *[f"i{axis}" for axis in range(64)],
    *[name + s for row in C.values() for name in re.findall(r"(\w+)\$s\(", row) for s in ("f", "")],
}


class Template(string.Template):
    """A template whose names have no underscore, so that ``exp_$T`` ends where it should."""

    idpattern = "[a-zA-Z]+"


def expanded(text: str, **names: str) -> str:
    """Return a template with these names filled in; `T` is the C type."""
    ending = "f" if names["T"] == "float" else ""
    return Template(text).substitute(s=ending, **names)


# -- types, names and numbers ---------------------------------------------------------------------


def c_type(dtype: np.dtype) -> str:
    """Return the C type of a dtype; NotInCError if there is none."""
    if dtype.name not in TYPES or not dtype.isnative:
        raise NotInCError(f"C has no dtype {dtype}")
    return TYPES[dtype.name]


def plain(label: str) -> str:
    """Return a label as a C name that no macro, helper or value has: these end in "_" or a type."""
    name = re.sub(r"\W", "_", label, flags=re.ASCII).strip("_") or "t"
    name = f"t{name}" if name[0].isdigit() else name
    name = name.lower() if name.isupper() and len(name) > 1 else name
    return f"{name}_array" if name.endswith(tuple(f"_{kind}" for kind in TYPES.values())) else name


def literal(value: np.ndarray, kind: str) -> str:
    """Return a number as a C literal."""
    number = value[()]
    if value.dtype.kind == "f":
        names = {"nan": "NAN", "inf": "INFINITY", "-inf": "-INFINITY"}
        text = names.get(text := str(number)) or text + "f" * (kind == "float")
    elif value.dtype.kind == "b":
        text = str(number).lower()
    elif abs(n := int(number)) < 1 << 31:
        text = f"({kind}){n}"
    elif n < 0:
        return f"(-INT64_C({-n - 1}) - 1)"
    else:
        text = f"({kind}){'U' * kind.startswith('u')}INT64_C({n})"
    return f"({text})" if text.startswith("-") else text


# -- axes of arrays, and loops over them ----------------------------------------------------------


def axes_over(shape: Axis, *strides: Axis) -> list[Axis]:
    """Return the axes of loops over `shape`, for arrays of these strides that broadcast to it."""
    whole = [(0,) * (len(shape) - len(steps)) + steps for steps in strides]
    return merged([*zip(shape, *whole, strict=True)])


def merged(axes: Sequence[Axis]) -> list[Axis]:
    """Return axes over the same elements without those of length 1, adjacent ones merged."""
    found: list[Axis] = []
    for n, *steps in axes:
        if found and all(before == n * s for before, s in zip(found[-1][1:], steps, strict=True)):
            found[-1] = (found[-1][0] * n, *steps)
        elif n != 1:
            found.append((n, *steps))
    return found


def axes_of(each: Single, axis: Any, keepdims: Any) -> tuple[list[Axis], list[Axis]]:
    """Return the axes that a reduction keeps, with the strides of both arrays, and the others."""
    (x,), out, rank = each.args, each.out, len(each.args[0].shape)
    given = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {i % rank for i in given}
    left = [i for i in range(rank) if i not in gone]
    steps = [out.strides[i] for i in left] if keepdims else out.strides
    kept = [(x.shape[i], x.strides[i], step) for i, step in zip(left, steps, strict=True)]
    reduced = sorted([(x.shape[i], x.strides[i]) for i in gone], key=lambda axis: -abs(axis[1]))
    return merged(kept), merged(reduced)


def loop_axes(body: Sequence[Single]) -> tuple[list[Slot], list[Axis]]:
    """Return the slots of maps, and the axes of their loops, with the strides of each slot."""
    slots = list(dict.fromkeys(x for each in body for x in each.slots))
    return slots, axes_over(body[0].out.shape, *[x.strides for x in slots])


def blas_step(shape: Axis, strides: Axis) -> tuple[int, int] | None:
    """Return the order (plain or transposed) and the row step of a matrix for BLAS, if it can."""
    (rows, columns), (row, column) = shape, strides
    if (columns == 1 or column == 1) and (rows == 1 or row >= columns):
        return PLAIN, max(row, columns)
    if (rows == 1 or row == 1) and (columns == 1 or column >= rows):
        return TRANSPOSED, max(column, rows)
    return None


def index(axes: Sequence[Axis], array: int) -> str:
    """Return the index of an element, from the loop variables: ``i0 * 8 + i1``.

    `array` is the position of the array's stride in each axis.
    """
    steps = enumerate(axis[array] for axis in axes)
    return " + ".join(f"i{k} * {s}" if s != 1 else f"i{k}" for k, s in steps if s) or "0"


def plus(axes: Sequence[Axis], array: int) -> str:
    """Return the `index` as an offset to add to a pointer; "" if it is 0."""
    place = index(axes, array)
    return f" + {place}" if place != "0" else ""


def nest(
    axes: Sequence[Axis], lines: Sequence[str], before: Sequence[str] = (), part: bool = False
) -> Lines:
    """Yield loops over axes around lines, with the lines `before` the loops in the same block.

    With `part`, the outermost loop is over a part, from `first_` to `last_`.
    """
    if before or (not axes and len(lines) > 1):
        inner = nest(axes, lines, part=part) if axes else lines
        yield from ("{", *[f"    {line}" for line in (*before, *inner)], "}")
        return
    ends = [("first_", "last_") if part and k == 0 else ("0", n) for k, (n, *_) in enumerate(axes)]
    loops = [f"for (ptrdiff_t i{k} = {a}; i{k} < {n}; i{k}++)" for k, (a, n) in enumerate(ends)]
    if len(lines) > 1:
        loops[-1] += " {"
    indents = ["    " * k for k in range(len(loops) + 1)]
    yield from (indent + line for indent, line in zip(indents, loops, strict=False))
    yield from (indents[-1] + line for line in lines)
    if len(lines) > 1:
        yield f"{indents[-2]}}}"


# -- primitives that are not loops over elements: scans, random bits, indices ---------------------


def _cumsum(printer: Any, each: Single) -> Lines:
    """Yield the cumulative sums along an axis."""
    (x,), out, axis = each.args, each.out, each.params["axis"]
    kept, reduced = axes_of(each, axis, keepdims=True)
    n, step = reduced[0] if reduced else (1, 0)
    source, target = printer.pointer(x), printer.pointer(out, writes=True)
    function = printer.reduction("cumsum", x.buffer.dtype, out.buffer.dtype)
    given = f"{source}{plus(kept, 1)}, {n}, {step}, {target}{plus(kept, 2)}, {out.strides[axis]}"
    yield from nest(kept, [f"{function}({given});"])


def _random_bits(printer: Any, each: Single) -> Lines:
    """Yield the random bits of each state."""
    (state,), out = each.args, each.out
    if state.buffer.dtype != "uint32" or not out.is_contiguous:
        raise NotInCError(f"C has no text for the primitive 'random_bits' of {state.buffer.dtype}")
    printer.needs("random_bits", "uint32_t")
    *batch, _ = state.shape
    *steps, step = state.strides
    n, first = math.prod(out.shape[len(batch) :]), each.params.get("start", 0)
    axes = [*zip(batch, steps, (n * s for s in row_major(tuple(batch))), strict=True)]
    source, target = printer.pointer(state), printer.pointer(out, writes=True)
    given = f"{source}{plus(axes, 1)}, {step}, {first}, {n}, {target}{plus(axes, 2)}"
    yield from nest(axes, [f"random_bits_uint32_t({given});"])


def _scatter(printer: Any, each: Single) -> Lines:
    """Yield zeros, and a copy of numbers to an index; NotInCError if it contains arrays."""
    (x, *computed), out = each.args, each.out
    if computed:
        raise NotInCError("C has no text for the primitive 'scatter' at places that are arrays")
    zero = Buffer((), out.buffer.dtype, value=np.zeros((), out.buffer.dtype)).slot
    part: Any = view_of(out, "getitem", index=each.params["index"])
    for to, numbers in ((out, zero), (part, x)):
        yield from printer.loop((each._replace(out=to, args=(numbers,), op=None),))


def _host(printer: Any, each: Single) -> Lines:
    """Yield a call of the primitive's own function, which `native.py` binds to the arrays."""
    (x,), key = each.args, f"host {len(printer.hosts)}"
    printer.hosts[key] = each
    printer.needs("host_", "")
    pointers = printer.pointer(x), printer.pointer(each.out, writes=True)
    yield f"{printer.foreign(key, each.op.name)}({', '.join(pointers)});"


CALLS: dict[str, Callable[[Any, Single], Lines]] = {
    "cumsum": _cumsum,
    "all_sum": _host,
    "random_bits": _random_bits,
    "scatter": _scatter,
}
