"""Buffers: in which array each variable of a program lives.

Everything is decided before the first run: what dies makes room for what comes, an elementwise
result takes the place of an operand that dies with it, a view costs nothing, parts of a
concatenation are computed in their place, and outputs may be given the place of an input
(donation), so that state is updated where it stands.

Imports `program.py`. Read next: `source.py`.
"""

from __future__ import annotations

import math
import re
from keyword import iskeyword
from typing import Any

import numpy as np

from ..engine.bind import PRIMITIVES
from ..engine.primitives.indexing import Slice
from .program import Program, Var, is_elementwise

NEVER = 1 << 60
TEMPORARY = "__t"  # how names of buffers begin that have none of their own, until the end


class Region:
    """A piece of memory that is one array: who may write there, and until when it is in use."""

    def __init__(self, name: str, array: np.ndarray, owned: bool, until: int) -> None:
        self.name = name
        self.array = array
        self.owned = owned  # made for this program alone, and given to no one for good
        self.until = until


class Place:
    """Where a variable lives: a region, and the view of it that has the variable's shape."""

    def __init__(self, name: str, region: Region, array: np.ndarray) -> None:
        self.name = name
        self.region = region
        self.array = array


class Plan:
    """The places of a program's variables, and the lines of source that make them.

    Attributes
    ----------
    places : dict from Var to Place
    header : list of str, the lines that allocate buffers and make views, in order
    needed : dict from Var to bool, whether an equation has to be run (a view has not)
    """

    def __init__(
        self, program: Program, donate: dict[Var, Var] | None = None, taken: tuple[str, ...] = ()
    ) -> None:
        self.program = program
        self.order = {v: i for i, v in enumerate(program.equations)}
        self.last = self._last_uses()
        self.places: dict[Var, Place] = {}
        self.header: list[str] = []
        self.runs: dict[Var, bool] = {}
        self._names = dict.fromkeys(taken, 1)
        self._regions: list[Region] = []
        self.better: dict[str, str] = {}  # names for buffers whose first tenant had none
        self._donated = self._possible(donate or {})
        self._written_out = {  # of numbers repeated by strides of 0 these give other last bits
            x
            for primitive, inputs, _ in program.equations.values()
            if primitive.name in ("matmul", "power")
            for x in inputs
        }
        self._parts = self._parts_of_concatenations()
        for v in (*program.inputs, *program.captured, *program.constants):
            self._outside(v, program.constants.get(v))
        for v in program.equations:
            self._place(v)

    # -- what is known beforehand -------------------------------------------------------------

    def _last_uses(self) -> dict[Var, int]:
        """Return the place of the last equation that reads a variable or a view of it."""
        last = dict.fromkeys(self.program.outputs, NEVER)
        for v, equation in reversed(self.program.equations.items()):
            at = last.get(v, -1) if _may_be_view(equation) else self.order[v]
            for x in equation.inputs:
                last[x] = max(last.get(x, -1), at, self.order[v])
        return last

    def _possible(self, donate: dict[Var, Var]) -> dict[Var, Var]:
        """Return those donations where nothing reads the input after its place is taken."""
        return {
            out: given
            for out, given in donate.items()
            if out in self.order
            and _may_overwrite(self.program.equations[out].primitive)
            and self.last.get(given, -1) <= self.order[out]
            and out.type == given.type
        }

    def _parts_of_concatenations(self) -> dict[Var, tuple[Var, slice]]:
        """Return what can be computed in its place within a concatenation of flat arrays."""
        found: dict[Var, tuple[Var, slice]] = {}
        for whole, (primitive, parts, _) in self.program.equations.items():
            if primitive is not PRIMITIVES["concatenate"] or whole.ndim != 1:
                continue
            start = 0
            for part in parts:
                x, here = part, slice(start, start + part.size)
                start += part.size
                while x in self.order and self._equation(x).primitive is PRIMITIVES["reshape"]:
                    x = self._equation(x).inputs[0]
                free = x in self.order and x not in found and x not in self._donated
                if free and x.dtype == whole.dtype and not _may_be_view(self._equation(x)):
                    found[x] = whole, here
        return found

    def _equation(self, v: Var) -> Any:
        return self.program.equations[v]

    # -- placing ------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """Return `wanted` as an identifier that is not taken yet."""
        name = wanted = re.sub(r"^(?=\d)|\W", "_", wanted, flags=re.ASCII)
        while name in self._names or iskeyword(name):
            self._names[wanted] = self._names.get(wanted, 1) + 1
            name = f"{wanted}_{self._names[wanted]}"
        self._names[name] = 1
        return name

    def _outside(self, v: Var, constant: np.ndarray | None) -> None:
        """Place what the program is given; the array is only a stand-in of the same layout.

        A single number is written out, and named after its value.
        """
        array = np.empty(v.shape, v.dtype)
        if is_literal(constant):
            number = str(constant[()])  # type: ignore[index]
            name = self.name("c" + re.sub(r"\W", "_", number.removesuffix(".0")))
            self.header.append(f'{name} = xp.array({number}, "{v.dtype.name}")')
        else:
            name = self.name(v.name or ("x" if constant is None else "c"))
        self.places[v] = Place(name, Region(name, array, False, NEVER), array)

    def _place(self, v: Var) -> None:
        equation = self._equation(v)
        self.runs[v] = True
        if _may_be_view(equation) and self._view(v, equation):
            self.runs[v] = False
        elif v in self._donated:
            place = self.places[self._donated[v]]
            self.places[v] = Place(place.name, place.region, place.array)
        elif v in self._parts:
            whole, here = self._parts[v]
            region = self._whole(whole, self.order[v]).region
            array = region.array[here].reshape(v.shape)
            text = f"{region.name}[{here.start}:{here.stop}].reshape({v.shape})"
            self.places[v] = Place(self._line(v, text), region, array)
        elif v not in self.places:  # the whole of a concatenation may be there already
            self.places[v] = self._in_place_of_operand(v, equation) or self.fresh(v, self.order[v])

    def _whole(self, v: Var, at: int) -> Place:
        """Return the place of a concatenation, for its parts to be computed in from `at` on."""
        if v not in self.places:
            self.places[v] = self.fresh(v, at)
            self.places[v].region.owned = False  # parts are written while the whole is not yet read
        return self.places[v]

    def _view(self, v: Var, equation: Any) -> bool:
        """Place `v` as a view of its input; return whether that is possible."""
        base = self.places[equation.inputs[0]]
        text, array = view_of(equation, base.name, base.array)
        if not np.may_share_memory(array, base.array) or array.size != v.size:
            return False
        if v in self._written_out and 0 in array.strides:
            return False
        self.places[v] = Place(self._line(v, text), base.region, array)
        return True

    def _line(self, v: Var, text: str) -> str:
        name = self.name(v.name or self._name_of_view(v))
        self.header.append(f"{name} = {text}")
        return name

    def _name_of_view(self, v: Var) -> str:
        primitive, inputs, _ = self._equation(v)
        base = self.places[inputs[0]].name if inputs and inputs[0] in self.places else "part"
        endings = {"transpose": "T", "reshape": "flat" if v.ndim == 1 else "reshaped"}
        return f"{base}_{endings.get(primitive.name, 'view')}"

    def _in_place_of_operand(self, v: Var, equation: Any) -> Place | None:
        """Return the place of an operand that dies here and has the type of the result, or None."""
        if not _may_overwrite(equation.primitive):
            return None
        for x in equation.inputs:
            place = self.places[x]
            region = place.region
            alone = all(y is x or self.places[y].region is not region for y in equation.inputs)
            flags = place.array.flags
            whole = place.array.size == region.array.size and flags.c_contiguous and flags.writeable
            dies = region.owned and region.until <= self.order[v]
            if x.type == v.type and dies and alone and whole:
                region.until = self.last.get(v, -1)
                if v.name and re.fullmatch(rf"{TEMPORARY}(_\d+)?", region.name):
                    self.better.setdefault(region.name, v.name)
                return Place(place.name, region, place.array)
        return None

    def fresh(self, v: Var, at: int) -> Place:
        """Return the place of a region that is free at the equation `at`, or of a new one."""
        for region in self._regions:
            same = (region.array.shape, region.array.dtype) == (v.shape, v.dtype)
            if same and region.owned and region.until < at:
                region.until = self.last.get(v, -1)
                return Place(region.name, region, region.array)
        array = np.empty(v.shape, v.dtype)
        region = Region(self.name(v.name or TEMPORARY), array, True, self.last.get(v, -1))
        self.header.append(f'{region.name} = xp.empty({v.shape}, "{v.dtype.name}")')
        self._regions.append(region)
        return Place(region.name, region, array)


def is_same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two arrays of one shape have each element at the same address."""
    start, other = (x.__array_interface__["data"] for x in (a, b))
    return start == other and a.strides == b.strides


def is_literal(constant: np.ndarray | None) -> bool:
    """Return whether a constant is a number that source can hold."""
    return constant is not None and not constant.ndim and bool(np.isfinite(constant))


def _may_overwrite(primitive: Any) -> bool:
    """Return whether a primitive gives the same numbers when it writes over an operand.

    NumPy's elementwise functions do, but for single numbers it computes powers otherwise then.
    """
    return is_elementwise(primitive) and primitive is not PRIMITIVES["power"]


def _may_be_view(equation: Any) -> bool:
    """Return whether an equation gives the same numbers in another form."""
    primitive, inputs, _ = equation
    names = ("reshape", "transpose", "broadcast_to", "alias")
    return primitive.name in names or (primitive.name == "getitem" and len(inputs) == 1)


def view_of(equation: Any, name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the source of a view of `name`, and that view of `array`."""
    primitive, _, params = equation
    if primitive.name == "reshape":
        return f"{name}.reshape({params['newshape']})", array.reshape(params["newshape"])
    if primitive.name == "transpose":
        return f"{name}.transpose({params['axes']})", array.transpose(params["axes"])
    if primitive.name == "broadcast_to":
        shape = params["shape"]
        return f"xp.broadcast_to({name}, {shape})", np.broadcast_to(array, shape)
    if primitive.name == "alias":
        return name, array
    index = params["index"]
    if ... not in index and sum(isinstance(i, int) for i in index) == array.ndim:
        index = (*index, ...)  # a view of the element, instead of the element
    view = array[tuple(slice(*i) if isinstance(i, Slice) else i for i in index)]
    return f"{name}[{index_text(index)}]", view


def index_text(index: tuple[Any, ...]) -> str:
    """Return a static index as it is written between brackets."""
    return ", ".join(_slice_text(i) if isinstance(i, Slice) else _item_text(i) for i in index)


def _slice_text(i: Slice) -> str:
    parts = ["" if n is None else str(n) for n in i]
    return ":".join(parts[:2] if i.step is None else parts)


def _item_text(i: Any) -> str:
    return "..." if i is Ellipsis else str(i)


def total_bytes(plan: Plan) -> int:
    """Return the memory that the plan's own buffers take."""
    return sum(math.prod(r.array.shape) * r.array.itemsize for r in plan._regions)
