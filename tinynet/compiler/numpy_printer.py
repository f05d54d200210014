"""The NumPy printer: kernels become NumPy source, one statement a line, and are compiled.

The text is a function `make` of the arrays that the program is given. It allocates the buffers,
takes the views, and returns the function that runs. The array module is its parameter `xp`.

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
from typing import Any

import numpy as np

from ..engine.variable import aligned
from .kernels import Copy, Kernel, Loop, Map, Product, Reduce, Single, kernels_of, slots_of
from .memory import Buffer, Plan, Slot, View
from .program import Program, Var
from .text import Names, index_text

MANY = 2000  # names
INLINE = 200  # characters; a longer view is declared, so that no line grows without limit
KEYWORD_OUT = ("maximum", "minimum")  # NumPy deprecates `out` by position there
REDUCTIONS = {"sum": "add.reduce", "max": "maximum.reduce", "min": "minimum.reduce"}
_numbers = itertools.count()


class Source:
    """The source of a program, compiled; `bind` makes it run on arrays.

    Attributes
    ----------
    text : str
    name : str, that of the function
    arguments : tuple of Var, the inputs, captured variables and constants, as `bind` takes them
    """

    def __init__(self, program: Program, name: str = "run", donate: Mapping[Var, Var] = {}) -> None:
        self.name = name if name.isidentifier() and not iskeyword(name) else "run"
        plan = Plan(program, donate)
        self.arguments = tuple(plan.arguments)
        printer = Printer(plan, self.name)
        self.text = printer.text
        self._functions = list(printer.called.values())
        self._code = self._compiled(printer.locals)

    def _compiled(self, names: list[str]) -> Any:
        """Return the compiled text; tracebacks and profilers show its lines while this exists.

        Python's `compile` needs time quadratic in the number of closure variables. Above `MANY`
        names, they become globals of this text instead.
        """
        file = f"<tinynet {self.name} {next(_numbers)}>"
        lines = self.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.text), None, [*lines], file)
        weakref.finalize(self, linecache.cache.pop, file, None)
        if len(names) > MANY:
            lines[1] = f"    global {', '.join(names)}; {lines[1].lstrip()}"
        return compile("".join(lines), file, "exec")

    def bind(self, arrays: list[np.ndarray]) -> tuple[Callable[[], None], tuple[Any, ...]]:
        """Return the function that runs on `arrays`, one per argument, and the outputs' arrays."""
        scope: dict[str, Any] = {}
        exec(self._code, scope)
        return scope["make"](AlignedNumpy(), *arrays, *self._functions)


class AlignedNumpy:
    """NumPy, except that arrays from `empty` start at a cache line."""

    empty = staticmethod(aligned)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class Printer:
    """Prints the kernels of a plan.

    Attributes
    ----------
    text : str
    locals : list of str, the names of `make` that are no parameters
    called : dict from name to function, primitives' own functions, which `make` takes as well
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
        header = list(self._header(plan, kernels))
        body = list(self._body(kernels))
        lines = [f"def make({', '.join([*arguments, *self.called])}):"]
        lines += [f"    {line}" for line in (*header, *self._blocks, *self._locals())]
        lines += ["", f"    def {name}():", *(f"        {line}" for line in body or ["pass"])]
        end = f"return {name}, {_tuple(self._texts[slot] for slot in plan.results)}"
        self.text = "\n".join([*lines, "", f"    {end}"]) + "\n"

    # -- the parts of the text ----------------------------------------------------------------

    def _header(self, plan: Plan, kernels: list[Kernel]) -> Iterator[str]:
        """Yield the lines that make buffers and views; what only other views need is part of them.

        `_texts` becomes the name or the text of each slot.
        """
        needed = {*plan.results, *itertools.chain.from_iterable(map(slots_of, kernels))}
        labels, temporaries = {**self._texts}, itertools.count(1)
        for slot, view in plan.made.items():
            if slot in self._texts:
                continue
            if view:
                text, label = _view(self._texts[view.base], slot, view), _label(labels, slot, view)
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
        section = ""
        for kernel in kernels:
            if kernel.section not in ("", section):
                section = kernel.section
                yield f"# {section}"
            if isinstance(kernel, Loop):
                yield from self._loop(kernel)
            else:
                yield self._single(kernel)

    # -- the lines of each kernel -------------------------------------------------------------

    def _apply(self, function: str, *arguments: str) -> str:
        """Return a call of one of NumPy's functions by its local name: ``add_reduce``."""
        if function not in self._functions:
            self._functions[function] = self._free.new(function.replace(".", "_"))
            self.locals.append(self._functions[function])
        return f"{self._functions[function]}({', '.join(arguments)})"

    def _map(self, each: Map, texts: Mapping[Slot, str]) -> list[str]:
        out, args = texts[each.out], [texts[x] for x in each.args]
        if each.op.name == "where":
            condition, x1, x2 = args
            chosen = self._apply("copyto", out, x1, f"where={condition}")
            return [self._apply("copyto", out, x2), chosen]
        if each.op.name == "cast":
            return [self._apply("copyto", out, *args, "'unsafe'")]
        function = each.op.impl.__name__
        return [self._apply(function, *args, f"out={out}" if function in KEYWORD_OUT else out)]

    def _loop(self, loop: Loop) -> list[str]:
        """Return the maps of a loop, over blocks if it has any; a local buffer is one block."""
        if not loop.block:
            return [line for each in loop.body for line in self._map(each, self._texts)]
        block, (size,), local = loop.block, loop.shape, loop.local
        slots = dict.fromkeys(x for each in loop.body for x in (each.out, *each.args) if x.shape)
        pieces = {x: self._free.new(f"{self._texts[x]}_i") for x in slots}
        ends = [f": {size} - i" if x.buffer in local else f"i : i + {block}" for x in slots]
        parts = [f"{self._texts[x]}[{end}]" for x, end in zip(slots, ends, strict=True)]
        blocks = self._free.new("blocks")
        self._blocks.append(f"{blocks} = [{_tuple(parts)} for i in range(0, {size}, {block})]")
        texts = ChainMap(pieces, self._texts)
        inner = [f"    {line}" for each in loop.body for line in self._map(each, texts)]
        names = ", ".join(pieces.values()) + "," * (len(pieces) == 1)
        return [f"for {names} in {blocks}:", *inner]

    def _single(self, kernel: Single) -> str:
        """Return the statement of a kernel that is no loop."""
        *args, out = [self._texts[slot] for slot in (*kernel.args, kernel.out)]
        params = kernel.params
        if isinstance(kernel, Copy):
            return self._apply("copyto", out, *args)
        if isinstance(kernel, Reduce):
            given = (*args, str(params["axis"]), "None", out, *["True"] * params["keepdims"])
            return self._apply(REDUCTIONS[kernel.op.name], *given)
        if isinstance(kernel, Product):
            flat = kernel.out.is_contiguous and all(len(x.shape) == 2 for x in kernel.args)
            return self._apply("dot" if flat else "matmul", *args, out)
        name = self._free.new(f"{kernel.op.name}_with")  # the primitive's own function allocates
        self.called[name] = partial(kernel.op.impl, **params)
        return self._apply("copyto", out, f"{name}({', '.join(args)})")


# -- names and texts ------------------------------------------------------------------------------


def _new(buffer: Buffer) -> tuple[str, str]:
    """Return the text that makes a temporary buffer or a number, and the name it should have."""
    if buffer.value is None:
        return f'xp.empty({buffer.shape}, "{buffer.dtype.name}")', buffer.label
    number = str(buffer.value[()])
    return f'xp.array({number}, "{buffer.dtype.name}")', f"c{number.removesuffix('.0')}"


def _view(x: str, slot: Slot, view: View) -> str:
    """Return the text that takes a view of `x`."""
    if view.name == "transpose":
        return f"{x}.transpose({view.params['axes']})"
    if view.name == "getitem":
        index = view.params["index"]
        if not slot.shape and ... not in index:
            index = (*index, ...)  # a view of the element, instead of the element
        return f"{x}[{index_text(index)}]"
    if slot.size == view.base.size:
        return f"{x}.reshape({slot.shape})"
    return f"xp.broadcast_to({x}, {slot.shape})"  # which nobody can write to


def _label(labels: dict[Slot, str], slot: Slot, view: View) -> str:
    """Return the name that a view should have: its own, or what it is of what it is taken from."""
    ending = "T" if view.name == "transpose" else "view"
    if view.name == "reshape":
        ending = ("0d", "flat", "reshaped")[min(len(slot.shape), 2)]
    return view.label or f"{labels[view.base]}_{ending}"


def _tuple(texts: Iterable[str]) -> str:
    """Return a tuple as text."""
    inner = ", ".join(texts)
    return f"({inner},)" if inner else "()"
