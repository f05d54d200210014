"""The NumPy printer: kernels become NumPy source, one statement a line, which Python compiles.

The text is a function `make` of the program's arguments. It allocates the buffers, takes the views,
and returns the function that runs the program. The array module is its parameter `xp`.

Imports `kernels.py`, `text.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from keyword import iskeyword
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..engine.variable import allocate
from .kernels import Call, Copy, Kernel, Loop, Map, Product, Reduce, Single, kernels_of
from .memory import Buffer, Plan, Slot, View
from .program import Program, Var
from .text import Names, index_text

MANY = 2000  # names
INLINE = 200  # characters; a longer view gets a name, so that no line grows without limit
KEYWORD_OUT = ("maximum", "minimum")  # NumPy deprecates `out` by position there
REDUCTIONS = {"sum": "add.reduce", "max": "maximum.reduce", "min": "minimum.reduce"}
XP = SimpleNamespace(**{**vars(np), "empty": allocate})  # NumPy with new arrays at a cache line
_numbers = itertools.count()


class Source:
    """The source of a program, compiled; `bind` makes it run on arrays.

    Tracebacks and profilers show its lines while this exists. Python's `compile` takes time
    quadratic in the number of closure variables, so above `MANY` names they become globals instead.

    Attributes
    ----------
    text : str
    arguments : tuple of Var, the inputs, captured variables and constants, as `bind` takes them
    overwritten : list of two lists of Var
        The arguments that a run overwrites before its last call of a primitive's own function,
        which may raise an error, and those that it overwrites in all.
    """

    def __init__(self, program: Program, name: str = "run", donate: Mapping[Var, Var] = {}) -> None:
        name = name if name.isidentifier() and not iskeyword(name) else "run"
        plan = Plan(program, donate)
        printer = Printer(plan, name)
        self.text, self.arguments = printer.text, tuple(plan.arguments)
        self.overwritten = printer.overwritten
        self._functions = list(printer.called.values())
        file = f"<tinynet {name} {next(_numbers)}>"
        lines = self.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.text), None, [*lines], file)
        weakref.finalize(self, linecache.cache.pop, file, None)
        if len(printer.locals) > MANY:
            lines[1] = f"    global {', '.join(printer.locals)}; {lines[1].lstrip()}"
        self._scope: dict[str, Any] = {}
        exec(compile("".join(lines), file, "exec"), self._scope)

    def bind(self, arrays: list[np.ndarray]) -> tuple[Callable[[], None], tuple[Any, ...]]:
        """Return the function that runs on `arrays`, one per argument, and the outputs' arrays."""
        return self._scope["make"](XP, *arrays, *self._functions)


class Printer:
    """Prints the kernels of a plan.

    Attributes
    ----------
    text : str
    locals : list of str, the local names of `make`
    called : dict from name to function: primitives' own functions, which are arguments of `make`
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.called: dict[str, Callable[..., Any]] = {}
        self.locals: list[str] = []
        self._free = Names(("xp", "make", name))
        self._functions: dict[str, str] = {}  # NumPy's functions and their local names
        self._blocks: list[str] = []
        given = [plan.slots[v] for v in plan.arguments]
        self._texts = {slot: self._free.new(slot.buffer.label) for slot in given}
        arguments = ["xp", *self._texts.values()]
        kernels = kernels_of(plan)
        calls = [i for i, kernel in enumerate(kernels) if isinstance(kernel, Call)]
        parts = kernels[: max(calls, default=0)], kernels
        written = [{each.out.buffer for k in part for each in k.body} for part in parts]
        buffers = {v: plan.slots[v].buffer for v in plan.arguments}
        self.overwritten = [[v for v, b in buffers.items() if b in part] for part in written]
        header = list(self._header(plan, kernels))
        body = list(self._body(kernels))
        lines = [f"def make({', '.join([*arguments, *self.called])}):"]
        lines += [f"    {line}" for line in (*header, *self._blocks, *self._locals())]
        lines += ["", f"    def {name}():", *(f"        {line}" for line in body or ["pass"])]
        end = f"return {name}, {_tuple(self._texts[slot] for slot in plan.results)}"
        self.text = "\n".join([*lines, "", f"    {end}"]) + "\n"

    # -- the parts of the text ----------------------------------------------------------------

    def _header(self, plan: Plan, kernels: list[Kernel]) -> Iterator[str]:
        """Yield the lines that make buffers and views; views that only views need are inlined.

        Enters the name or the text of each slot in `_texts`.
        """
        needed = {*plan.results, *[x for k in kernels for each in k.body for x in each.slots]}
        labels, temporaries = {**self._texts}, itertools.count(1)
        for slot, view in plan.made.items():
            if slot in self._texts:
                continue
            if view:
                text, ending = _view(self._texts[view.base], slot, view)
                label = view.label or f"{labels[view.base]}_{ending}"
            else:
                text, label = _new(slot.buffer)
                label = label or f"t{next(temporaries)}"
            if view and slot not in needed and len(text) <= INLINE:
                self._texts[slot], labels[slot] = text, view.label or labels[view.base]
            else:
                self._texts[slot] = labels[slot] = name = self._free.new(label)
                self.locals.append(name)
                yield f"{name} = {text}"

    def _locals(self) -> Iterator[str]:
        """Yield lines that give NumPy's functions local names."""
        functions = sorted(self._functions)
        for few in (functions[i : i + 5] for i in range(0, len(functions), 5)):
            names = ", ".join(self._functions[function] for function in few)
            yield f"{names} = {', '.join(f'xp.{function}' for function in few)}"

    def _body(self, kernels: list[Kernel]) -> Iterator[str]:
        """Yield the statements of all kernels, with a comment at the start of each section."""
        section = ""
        for kernel in kernels:
            if kernel.section not in ("", section):
                section = kernel.section
                yield f"# {section}"
            if isinstance(kernel, Loop) and kernel.block:
                yield from self._in_blocks(kernel, kernel.block)
            else:
                for each in kernel.body:
                    yield from self._statements(each, self._texts)

    # -- the lines of each kernel -------------------------------------------------------------

    def _apply(self, function: str, *arguments: str) -> str:
        """Return a call of one of NumPy's functions by its local name: ``add_reduce``."""
        if function not in self._functions:
            self._functions[function] = self._free.new(function.replace(".", "_"))
            self.locals.append(self._functions[function])
        return f"{self._functions[function]}({', '.join(arguments)})"

    def _in_blocks(self, loop: Loop, block: int) -> Iterator[str]:
        """Yield a loop over blocks; a local buffer is one block."""
        (size,), local = loop.shape, loop.local
        slots = dict.fromkeys(x for each in loop.body for x in each.slots if x.shape)
        pieces = {x: self._free.new(f"{self._texts[x]}_i") for x in slots}
        ends = [f": {size} - i" if x.buffer in local else f"i : i + {block}" for x in slots]
        parts = [f"{self._texts[x]}[{end}]" for x, end in zip(slots, ends, strict=True)]
        blocks = self._free.new("blocks")
        self._blocks.append(f"{blocks} = [{_tuple(parts)} for i in range(0, {size}, {block})]")
        texts = ChainMap(pieces, self._texts)
        yield f"for {', '.join(pieces.values())}{',' * (len(pieces) == 1)} in {blocks}:"
        for each in loop.body:
            yield from (f"    {line}" for line in self._statements(each, texts))

    def _statements(self, each: Single, texts: Mapping[Slot, str]) -> Iterator[str]:
        """Yield the statements of one kernel; `texts` has the name or text of each slot."""
        out, *args = [texts[x] for x in each.slots]
        name, params = each.op and each.op.name, each.params
        if isinstance(each, Copy):
            yield self._apply("copyto", out, *args)
        elif isinstance(each, Map) and name == "where":
            yield self._apply("copyto", out, args[2])
            yield self._apply("copyto", out, args[1], f"where={args[0]}")
        elif isinstance(each, Map) and name == "cast":
            yield self._apply("copyto", out, *args, "'unsafe'")
        elif isinstance(each, Map):
            function = each.op.impl.__name__
            yield self._apply(function, *args, f"out={out}" if function in KEYWORD_OUT else out)
        elif isinstance(each, Reduce):
            # The order of addition depends on the result's layout: NumPy chooses it, as eagerly.
            alone = name == "sum" and len(each.out.shape) > 1 and not each.args[0].is_contiguous
            to = "None" if alone else out
            given = (*args, str(params["axis"]), "None", to, *["True"] * params["keepdims"])
            call = self._apply(REDUCTIONS[name], *given)
            yield self._apply("copyto", out, call) if alone else call
        elif isinstance(each, Product):
            is_flat = each.out.is_contiguous and all(len(x.shape) == 2 for x in each.args)
            yield self._apply("dot" if is_flat else "matmul", *args, out)
        else:  # the primitive's own function, which allocates
            function = self._free.new(f"{name}_with")
            self.called[function] = partial(each.op.impl, **params)
            yield self._apply("copyto", out, f"{function}({', '.join(args)})")


# -- names and texts ------------------------------------------------------------------------------


def _new(buffer: Buffer) -> tuple[str, str]:
    """Return the text that makes a temporary buffer or a number, and the name it should have."""
    if buffer.value is None:
        return f'xp.empty({buffer.shape}, "{buffer.dtype.name}")', buffer.label
    number = str(buffer.value[()])
    return f'xp.array({number}, "{buffer.dtype.name}")', f"c{number.removesuffix('.0')}"


def _view(x: str, slot: Slot, view: View) -> tuple[str, str]:
    """Return the text that takes a view of `x`, and the ending for the name of such a view."""
    if view.name == "transpose":
        return f"{x}.transpose({view.params['axes']})", "T"
    if view.name == "getitem":
        index = view.params["index"]
        if not slot.shape and ... not in index:
            index = (*index, ...)  # a view of the element, not the element
        return f"{x}[{index_text(index)}]", "view"
    if slot.size == view.base.size:
        return f"{x}.reshape({slot.shape})", ("0d", "flat", "reshaped")[min(len(slot.shape), 2)]
    return f"xp.broadcast_to({x}, {slot.shape})", "view"


def _tuple(texts: Iterable[str]) -> str:
    """Return a tuple as text."""
    inner = ", ".join(texts)
    return f"({inner},)" if inner else "()"
