"""Source: a program and its buffers become NumPy, written out, one statement a line.

The text is a function `make` of the arrays that the program is given; it allocates the buffers and
returns the function that runs. The array module is its parameter `xp`.

Imports `buffers.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import itertools
import linecache
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from keyword import iskeyword
from typing import Any

import numpy as np

from ..engine.variable import aligned
from .buffers import NEVER, TEMPORARY, Place, Plan, is_literal, is_same_memory
from .program import Program, Var, is_elementwise

BLOCK = 1 << 18  # elements; a handful of such arrays fit the last cache, and calls cost little
KEYWORD_OUT = ("maximum", "minimum")
_numbers = itertools.count()


class Source:
    """The source of a program, compiled; `bind` makes it run on arrays.

    Attributes
    ----------
    text : str
    name : str, that of the function
    arguments : tuple of Var, the inputs, captured variables and constants, as `bind` takes them
    """

    def __init__(
        self, program: Program, name: str = "run", donate: dict[Var, Var] | None = None
    ) -> None:
        writer = Writer(program, name, donate or {})  # let go, as its plan holds stand-in arrays
        self.text, self.name, self.arguments = writer.text, writer.name, writer.arguments
        self._opaque = list(writer.opaque.values())
        self._code = self._compiled()

    def _compiled(self) -> Any:
        """Return the compiled text, with its lines known to tracebacks and profilers."""
        file = f"<tinynet {self.name} {next(_numbers)}>"
        lines = self.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.text), None, lines, file)
        return compile(self.text, file, "exec")

    def bind(self, arrays: list[np.ndarray]) -> tuple[Callable[[], None], tuple[Any, ...]]:
        """Return the function that runs on `arrays`, one per argument, and the outputs' arrays."""
        scope: dict[str, Any] = {}
        exec(self._code, scope)
        return scope["make"](AlignedNumpy(), *arrays, *self._opaque)


class Writer:
    """Writes the text of a program's source; see `Source`.

    Attributes
    ----------
    opaque : dict from name to function, what NumPy has no function for, arguments of `make` too
    """

    def __init__(self, program: Program, name: str, donate: dict[Var, Var]) -> None:
        self.program = program
        self.name = name if name.isidentifier() and not iskeyword(name) else "run"
        arrays = (v for v, array in program.constants.items() if not is_literal(array))
        self.arguments = (*program.inputs, *program.captured, *arrays)
        self.opaque: dict[str, Callable[..., Any]] = {}
        self._plan = Plan(program, donate, ("xp", "make", self.name))
        self._functions: dict[str, str] = {}  # NumPy's functions and their local names
        self._scalars: dict[str, Place] = {}  # views without axes, by the name of what they show
        self._blocks: list[str] = []
        self._long = False
        self._results = [self._plan.places[v] for v in program.outputs]
        body = self._body() + self._updates(donate)
        self.text = self._renamed(self._text(body))

    def _renamed(self, text: str) -> str:
        """Return the text with names for temporary buffers: of what came to live there, or t1.

        Names of their views change with them: ``t1_view``.
        """
        plan, stems, names = self._plan, dict[str, str](), dict[str, str]()

        def name(found: re.Match[str]) -> str:
            word, old, ending = found.group(0, 1, 2)
            if old not in stems:
                number = sum(old not in plan.better for old in stems) + 1
                stems[old] = plan.name(plan.better.get(old, f"t{number}"))
            if word not in names:
                names[word] = plan.name(stems[old] + ending) if ending else stems[old]
            return names[word]

        return re.sub(rf"\b({TEMPORARY}(?:_\d+)?)(_\w+)?\b", name, text)

    def _text(self, body: list[str]) -> str:
        plan = self._plan
        arguments = [plan.places[v].name for v in self.arguments]
        results = "".join(f"{place.name}, " for place in self._results)
        end = f"return {self.name}, ({results.rstrip()})"
        header = _inlined(plan.header, "\n".join([*body, end, *self._blocks])) + self._blocks
        functions = sorted(self._functions)
        for few in (functions[i : i + 5] for i in range(0, len(functions), 5)):
            names = [self._functions[function] for function in few]
            header.append(f"{', '.join(names)} = {', '.join(f'xp.{f}' for f in few)}")
        lines = [f"def make({', '.join(['xp', *arguments, *self.opaque])}):"]
        lines += [f"    {line}" for line in header]
        lines += ["", f"    def {self.name}():", *(f"        {line}" for line in body or ["pass"])]
        return "\n".join([*lines, "", f"    {end}"]) + "\n"

    def _body(self) -> list[str]:
        lines: list[str] = []
        section = ""
        for stretch in self._stretches():
            found = [line for v in stretch for line in self._written(v)]
            if found and stretch[0].section != section:
                section = stretch[0].section
                lines.append(f"# {section}")
            lines += found if len(stretch) == 1 else self._in_blocks(stretch, found)
        return lines

    def _updates(self, donate: dict[Var, Var]) -> list[str]:
        """Copy to the places of inputs what could not be computed there.

        Old values that are still wanted, for another input or as a result, are saved first.
        """
        places, outputs = self._plan.places, self.program.outputs
        moves = {
            out: places[given]
            for out, given in donate.items()
            if not is_same_memory(places[out].array, places[given].array)
        }
        lost = {place.region for place in moves.values()}
        wanted = dict.fromkeys((*moves, *outputs))
        kept = {v: self._plan.fresh(v, NEVER) for v in wanted if places[v].region in lost}
        self._results = [moves.get(v) or kept.get(v) or places[v] for v in outputs]
        saved = [self._call("copyto", place, places[v]) for v, place in kept.items()]
        return saved + [
            self._call("copyto", place, kept.get(v) or places[v]) for v, place in moves.items()
        ]

    def _written(self, v: Var) -> list[str]:
        return self._statements(v, self.program.equations[v]) if self._plan.runs[v] else []

    def _stretches(self) -> list[list[Var]]:
        """Return the variables in order, those together that are computed block by block."""
        stretches: list[list[Var]] = []
        for v, (primitive, inputs, _) in self.program.equations.items():
            long = is_elementwise(primitive) and v.ndim == 1 and v.size > 2 * BLOCK
            long = long and all(x.size == 1 or x.shape == v.shape for x in inputs)
            fits = long and self._long and stretches[-1][-1].shape == v.shape
            if fits and self._in_step([*stretches[-1], v]):
                stretches[-1].append(v)
            else:
                stretches.append([v])
            self._long = long
        return stretches

    def _in_step(self, stretch: list[Var]) -> bool:
        """Return whether no equation writes what another one reads at another place."""
        places = self._plan.places
        written = [places[v] for v in stretch]
        used = [places[x] for v in stretch for x in self.program.equations[v].inputs] + written
        return all(
            a.region is not b.region or is_same_memory(a.array, b.array)
            for a in written
            for b in used
        )

    def _in_blocks(self, stretch: list[Var], lines: list[str]) -> list[str]:
        """Return statements on long flat arrays as a loop over blocks that stay in the cache."""
        size = stretch[0].size
        used = dict.fromkeys(stretch)
        used |= {x: None for v in stretch for x in self.program.equations[v].inputs if x.size > 1}
        places = {self._plan.places[v].name: self._plan.places[v] for v in used}
        whole = [name for name, place in places.items() if not self._is_passing(place, stretch)]
        passing = [name for name in places if name not in whole]
        for name in passing:  # no more of it is needed than one block
            old = f"{name} = xp.empty(({size},)"
            header = self._plan.header
            header[:] = [line.replace(old, f"{name} = xp.empty(({BLOCK},)") for line in header]
            places[name].region.owned = False
        parts = f"[a[i : i + {BLOCK}] for a in ({', '.join(whole)},)]"
        if passing:
            parts += f" + [a[: {size} - i] for a in ({', '.join(passing)},)]"
        blocks = self._plan.name("blocks")
        pieces = {name: self._plan.name(f"{name}_i") for name in (*whole, *passing)}
        self._blocks.append(f"{blocks} = [{parts} for i in range(0, {size}, {BLOCK})]")
        names = re.compile(rf"\b({'|'.join(map(re.escape, places))})\b(?!=)")
        inner = [f"    {names.sub(lambda m: pieces[m[1]], line)}" for line in lines]
        each = ", ".join(pieces.values()) + "," * (len(pieces) == 1)
        return [f"for {each} in {blocks}:", *inner]

    def _is_passing(self, place: Place, stretch: list[Var]) -> bool:
        """Return whether a buffer is used within the stretch alone."""
        last = self._plan.order[stretch[-1]]
        tenants = [v for v, p in self._plan.places.items() if p.region is place.region]
        return place.region.owned and all(
            v in stretch and self._plan.last.get(v, -1) <= last for v in tenants
        )

    def _statements(self, v: Var, equation: Any) -> list[str]:
        primitive, inputs, params = equation
        out, xs = self._plan.places[v], [self._plan.places[x] for x in inputs]
        if is_elementwise(primitive):
            scalars = [self._as_scalar(x) if v.size > 1 else x for x in xs]
            return [self._call(primitive.impl.__name__, *scalars, out)]
        write = getattr(self, f"_write_{primitive.name}", None)
        lines = write(out, *xs, **params) if write else None
        return self._write_opaque(primitive, out, xs, params) if lines is None else lines

    def _call(self, function: str, *arguments: Any) -> str:
        """Return a call, its last argument the output."""
        texts = [a.name if isinstance(a, Place) else repr(a) for a in arguments]
        if function in KEYWORD_OUT:  # NumPy deprecates it by position there
            texts[-1] = f"out={texts[-1]}"
        return f"{self._local(function)}({', '.join(texts)})"

    def _local(self, function: str) -> str:
        """Return the local name of one of NumPy's functions: ``add_reduce`` for ``add.reduce``."""
        if function not in self._functions:
            self._functions[function] = self._plan.name(function.replace(".", "_"))
        return self._functions[function]

    def _as_scalar(self, place: Place) -> Place:
        """Return a place of one element as a 0-d view: NumPy is three times as fast with it."""
        if place.array.size != 1 or not place.array.ndim:
            return place
        if place.name not in self._scalars:
            name = self._plan.name(f"{place.name}_0d")
            self._plan.header.append(f"{name} = {place.name}.reshape(())")
            self._scalars[place.name] = Place(name, place.region, place.array.reshape(()))
        return self._scalars[place.name]

    # -- one for each primitive that is not elementwise ---------------------------------------

    def _write_matmul(self, out: Place, x1: Place, x2: Place) -> list[str]:
        two = x1.array.ndim == x2.array.ndim == 2 and out.array.flags.c_contiguous
        return [self._call("dot" if two else "matmul", x1, x2, out)]

    def _reduction(self, ufunc: str, out: Place, x: Place, axis: Any, keepdims: bool) -> list[str]:
        keep = f", {keepdims}" if keepdims else ""
        function = self._local(f"{ufunc}.reduce")
        return [f"{function}({x.name}, {axis}, None, {out.name}{keep})"]

    def _write_sum(self, out: Place, x: Place, axis: Any, keepdims: bool) -> list[str]:
        return self._reduction("add", out, x, axis, keepdims)

    def _write_max(self, out: Place, x: Place, axis: Any, keepdims: bool) -> list[str]:
        return self._reduction("maximum", out, x, axis, keepdims)

    def _write_min(self, out: Place, x: Place, axis: Any, keepdims: bool) -> list[str]:
        return self._reduction("minimum", out, x, axis, keepdims)

    def _write_where(self, out: Place, condition: Place, x1: Place, x2: Place) -> list[str] | None:
        if condition.array.dtype != bool:
            return None
        chosen = f"{self._local('copyto')}({out.name}, {x1.name}, where={condition.name})"
        return [self._call("copyto", out, x2), chosen]

    def _write_cast(self, out: Place, x: Place, dtype: str) -> list[str]:
        return [self._call("copyto", out, x, "unsafe")]

    def _write_alias(self, out: Place, x: Place) -> list[str]:
        return [self._call("copyto", out, x)]

    def _write_concatenate(self, out: Place, *xs: Place, axis: int) -> list[str]:
        if out.array.ndim != 1:
            parts = ", ".join(x.name for x in xs)
            return [f"{self._local('concatenate')}(({parts},), {axis}, {out.name})"]
        lines, start = [], 0
        for x in xs:
            end = start + x.array.size
            if not is_same_memory(x.array, out.array[start:end]):  # not computed in its place
                lines.append(f"{self._local('copyto')}({out.name}[{start}:{end}], {x.name})")
            start = end
        return lines

    def _write_opaque(self, primitive: Any, out: Place, xs: list[Place], params: Any) -> list[str]:
        """Call the primitive's own function, which allocates, and copy its result."""
        name = self._plan.name(f"{primitive.name}_with")
        self.opaque[name] = partial(primitive.impl, **params)
        return [f"{self._local('copyto')}({out.name}, {name}({', '.join(x.name for x in xs)}))"]


class AlignedNumpy:
    """NumPy, but what its `empty` returns begins where a cache line does."""

    empty = staticmethod(aligned)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _inlined(header: list[str], body: str) -> list[str]:
    """Return the lines that make buffers and views, without those views that nothing needs.

    A view of which only another view is taken is written within that one's line.
    """
    needed = Counter(_WORD.findall(body))
    uses = Counter(needed)
    kept: list[str] = []
    for line in reversed(header):
        name, text = line.split(" = ", 1)
        if not (text.startswith("xp.empty") or uses[name]):
            continue
        uses.update(_WORD.findall(text))
        if needed[name] or uses[name] > 1 or text.startswith("xp.empty"):
            kept.append(line)
        else:
            word = re.compile(rf"(?<![\w.\"]){name}\b(?!=)")
            kept = [word.sub(text.replace("\\", r"\\"), other) for other in kept]
    return kept[::-1]


_WORD = re.compile(r"(?<![\w.\"])[a-zA-Z_]\w*\b(?!=)")  # a name, no attribute, keyword or dtype
