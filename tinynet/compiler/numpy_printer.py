"""The NumPy printer: kernels become NumPy source, one statement a line, and are compiled.

The text is a function `make` of the arrays that the program is given. It allocates the buffers,
takes the views, and returns the function that runs. The array module is its parameter `xp`.

Imports `kernels.py`, `text.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections import ChainMap, Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from keyword import iskeyword
from typing import Any

import numpy as np

from ..engine.variable import aligned
from .kernels import Copy, Kernel, Loop, Map, Single, kernels_of, slots_of
from .memory import Buffer, Plan, Slot, View
from .program import Program, Var
from .text import Names, index_text

MANY = 2000  # names
INLINE = 200  # characters; a longer view is declared, so that no line grows without limit
KEYWORD_OUT = ("maximum", "minimum")  # NumPy deprecates `out` by position there
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
        given = (*program.inputs, *program.captured, *program.constants)
        self.arguments = tuple(v for v in given if plan.slots[v].buffer.value is None)
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
        self._free = Names(("xp", "make", name))
        self._functions: dict[str, str] = {}  # NumPy's functions and their local names
        self._blocks: list[str] = []
        kernels = kernels_of(plan)
        self._made = plan.made
        self._count_uses(kernels, plan.results)
        self._names = self._named()
        self._texts: dict[Slot, str] = {}  # a name, or the text of what is needed only once
        header = list(self._header())
        body = list(self._body(kernels))
        arguments = [self._names[s] for s, view in self._made.items() if _is_argument(s, view)]
        self.locals = [*{*self._names.values(), *self._functions.values()}.difference(arguments)]
        lines = [f"def make({', '.join(['xp', *arguments, *self.called])}):"]
        lines += [f"    {line}" for line in (*header, *self._blocks, *self._locals())]
        lines += ["", f"    def {name}():", *(f"        {line}" for line in body or ["pass"])]
        end = f"return {name}, {_tuple(self._texts[slot] for slot in plan.results)}"
        self.text = "\n".join([*lines, "", f"    {end}"]) + "\n"

    # -- which slots need a name, and which name ----------------------------------------------

    def _count_uses(self, kernels: list[Kernel], results: list[Slot]) -> None:
        """Count how often each slot is used, and note which must have a name of their own.

        A view that one other view is taken of, or that one copy writes to, needs none.
        """
        self._uses = Counter(results)
        self._needed = set(results)
        for kernel in kernels:
            slots = list(slots_of(kernel))
            self._uses.update(slots)
            is_part = isinstance(kernel, Copy) and self._made[kernel.out] is not None
            self._needed.update(slots[is_part:])
        for slot, view in reversed(self._made.items()):
            if view and self._uses[slot]:
                self._uses[view.base] += 1

    def _named(self) -> dict[Slot, str]:
        """Return the names of what is used: labels, or what a view is of, or t1, t2 and so on."""
        names: dict[Slot, str] = {}
        temporaries = itertools.count(1)
        for slot, view in self._made.items():
            if self._uses[slot] or _is_argument(slot, view):
                wanted = _label(slot, view, names) or f"t{next(temporaries)}"
                names[slot] = self._free.new(wanted)
        return names

    # -- the parts of the text ----------------------------------------------------------------

    def _header(self) -> Iterator[str]:
        """Yield the lines that make buffers and views; what only one view needs is part of it."""
        for slot, view in self._made.items():
            self._texts[slot] = name = self._names.get(slot, "")
            if not self._uses[slot] or _is_argument(slot, view):
                continue
            text = VIEWS[view.name](self._texts[view.base], view) if view else _new(slot.buffer)
            once = self._uses[slot] == 1 and slot not in self._needed and len(text) <= INLINE
            if once and (view or slot.buffer.given):
                self._texts[slot] = text
            else:
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
            yield from getattr(self, f"_{type(kernel).__name__.lower()}")(kernel)

    # -- the lines of each kernel -------------------------------------------------------------

    def _apply(self, function: str, *arguments: str) -> str:
        """Return a call of one of NumPy's functions by its local name: ``add_reduce``."""
        if function not in self._functions:
            self._functions[function] = self._free.new(function.replace(".", "_"))
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
        block, (size,) = loop.block, loop.shape
        slots = dict.fromkeys(each.out for each in loop.body)
        slots |= dict.fromkeys(x for each in loop.body for x in each.args if x.size > 1)
        local = [slot for slot in slots if slot.buffer in loop.local]
        whole = [slot for slot in slots if slot.buffer not in loop.local]
        parts = f"[a[i : i + {block}] for a in {_tuple(self._texts[s] for s in whole)}]"
        if local:
            parts += f" + [a[: {size} - i] for a in {_tuple(self._texts[s] for s in local)}]"
        blocks = self._free.new("blocks")
        self._blocks.append(f"{blocks} = [{parts} for i in range(0, {size}, {block})]")
        pieces = {slot: self._free.new(f"{self._texts[slot]}_i") for slot in (*whole, *local)}
        texts = ChainMap(pieces, self._texts)
        inner = [f"    {line}" for each in loop.body for line in self._map(each, texts)]
        names = ", ".join(pieces.values()) + "," * (len(pieces) == 1)
        return [f"for {names} in {blocks}:", *inner]

    def _reduce(self, kernel: Single) -> list[str]:
        (arg, out), params = self._args(kernel), kernel.params
        keep = ["True"] * params["keepdims"]
        return [
            self._apply(REDUCTIONS[kernel.op.name], arg, str(params["axis"]), "None", out, *keep)
        ]

    def _product(self, kernel: Single) -> list[str]:
        flat = kernel.out.is_contiguous and all(len(x.shape) == 2 for x in kernel.args)
        return [self._apply("dot" if flat else "matmul", *self._args(kernel))]

    def _copy(self, kernel: Single) -> list[str]:
        return [self._apply("copyto", *reversed(self._args(kernel)))]

    def _call(self, kernel: Single) -> list[str]:
        """Call the primitive's own function, which allocates, and copy its result."""
        *args, out = self._args(kernel)
        if kernel.op.name == "concatenate":
            return [self._apply("concatenate", _tuple(args), str(kernel.params["axis"]), out)]
        name = self._free.new(f"{kernel.op.name}_with")
        self.called[name] = partial(kernel.op.impl, **kernel.params)
        return [self._apply("copyto", out, f"{name}({', '.join(args)})")]

    def _args(self, kernel: Single) -> list[str]:
        return [self._texts[slot] for slot in (*kernel.args, kernel.out)]


# -- tables ---------------------------------------------------------------------------------------

REDUCTIONS = {"sum": "add.reduce", "max": "maximum.reduce", "min": "minimum.reduce"}
ENDINGS = {"transpose": "T", "reshape": "reshaped"}  # of the names of views without a label


def _index(view: View) -> str:
    index = view.params["index"]
    if ... not in index and sum(isinstance(i, int) for i in index) == len(view.base.shape):
        index = (*index, ...)  # a view of the element, instead of the element
    return index_text(index)


VIEWS: dict[str, Callable[[str, View], str]] = {
    "reshape": lambda x, view: f"{x}.reshape({view.params['newshape']})",
    "transpose": lambda x, view: f"{x}.transpose({view.params['axes']})",
    "broadcast_to": lambda x, view: f"xp.broadcast_to({x}, {view.params['shape']})",
    "getitem": lambda x, view: f"{x}[{_index(view)}]",
    "part": lambda x, view: "{x}[{start}:{stop}].reshape({shape})".format(x=x, **view.params),
}


# -- names ----------------------------------------------------------------------------------------


def _is_argument(slot: Slot, view: View | None) -> bool:
    """Return whether a slot is an array that `make` takes."""
    return view is None and slot.buffer.given and slot.buffer.value is None


def _label(slot: Slot, view: View | None, names: dict[Slot, str]) -> str:
    """Return the name that a slot should have; empty if there is none."""
    if view is not None:
        ending = ENDINGS.get(view.name, "view")
        if view.name == "reshape" and len(slot.shape) < 2:
            ending = "flat" if slot.shape else "0d"
        return view.label or f"{names.get(view.like or view.base) or names[view.base]}_{ending}"
    buffer = slot.buffer
    if buffer.value is not None:
        return "c" + str(buffer.value[()]).removesuffix(".0")
    return buffer.label


def _new(buffer: Buffer) -> str:
    """Return the text that makes a temporary buffer or a number."""
    if buffer.value is not None:
        return f'xp.array({buffer.value[()]!s}, "{buffer.dtype.name}")'
    return f'xp.empty({buffer.shape}, "{buffer.dtype.name}")'


def _tuple(texts: Any) -> str:
    """Return a tuple as text."""
    inner = ", ".join(texts)
    return f"({inner},)" if inner else "()"
