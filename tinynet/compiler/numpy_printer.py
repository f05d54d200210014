"""The NumPy printer: kernels become NumPy source, one statement a line, and are compiled.

The text is a function `make` of the arrays that the program is given. It allocates the buffers,
takes the views, and returns the function that runs. The array module is its parameter `xp`.

Imports `kernels.py`, `text.py`. Read next: `jit.py`.
"""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from keyword import iskeyword
from typing import Any

import numpy as np

from ..engine.variable import aligned
from .kernels import Call, Copy, Kernel, Loop, Map, Product, Reduce, kernels_of, slots_of
from .memory import Buffer, Plan, Slot, View
from .program import Program, Var
from .text import Names, index_text, is_literal

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

    def __init__(
        self, program: Program, name: str = "run", donate: dict[Var, Var] | None = None
    ) -> None:
        arrays = (v for v, array in program.constants.items() if not is_literal(array))
        self.arguments = (*program.inputs, *program.captured, *arrays)
        self.name = name if name.isidentifier() and not iskeyword(name) else "run"
        printer = Printer(Plan(program, donate), self.name)
        self.text = printer.text
        self._functions = list(printer.called.values())
        self._code = self._compiled()

    def _compiled(self) -> Any:
        """Return the compiled text; tracebacks and profilers show its lines while this exists."""
        file = f"<tinynet {self.name} {next(_numbers)}>"
        lines = self.text.splitlines(keepends=True)
        linecache.cache[file] = (len(self.text), None, lines, file)
        weakref.finalize(self, linecache.cache.pop, file, None)
        return compile(self.text, file, "exec")

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
    called : dict from name to function, primitives' own functions, which `make` takes as well
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.called: dict[str, Callable[..., Any]] = {}
        self._kernels = kernels_of(plan)
        self._made = dict(plan.made)
        self._kernels = [self._with_scalars(kernel) for kernel in self._kernels]
        self._needed = Counter(plan.results)  # how often each slot is needed by its name
        for kernel in self._kernels:
            self._needed.update(self._needed_by(kernel))
        self._uses = self._needed.copy()  # how often it is needed, by other views as well
        for slot, view in reversed(self._made.items()):
            if view is not None and self._uses[slot]:
                self._uses[view.base] += 1
        self._free = Names(("xp", "make", name))
        self._names = self._named()
        self._functions: dict[str, str] = {}  # NumPy's functions and their local names
        self._blocks: list[str] = []
        self._block_sizes: dict[Buffer, int] = {}
        self.text = self._assembled(name, plan.results)

    # -- which slots need a name, and which name ----------------------------------------------

    def _with_scalars(self, kernel: Kernel) -> Kernel:
        """Show single numbers to maps as 0-d views: NumPy is three times as fast with them."""
        if not isinstance(kernel, Loop):
            return kernel
        body = (
            each._replace(args=tuple(self._scalar(x, each) for x in each.args))
            for each in kernel.body
        )
        return kernel._replace(body=tuple(body))

    def _scalar(self, x: Slot, each: Map) -> Slot:
        if x.size != 1 or not x.ndim or each.out.size == 1:
            return x
        scalar = x._replace(shape=(), strides=())
        self._made.setdefault(scalar, View(x, "reshape", {"newshape": ()}))
        return scalar

    def _needed_by(self, kernel: Kernel) -> Iterator[Slot]:
        """Yield the slots whose names a kernel's lines need: of an unnamed part, the whole's."""
        for slot in slots_of(kernel):
            view = self._made[slot]
            inline = isinstance(kernel, Copy) and view is not None and _is_unnamed_part(view)
            yield view.base if inline else slot

    def _named(self) -> dict[Slot, str]:
        """Return the names: first of what has a label and its views, then of temporaries."""
        names: dict[Slot, str] = {}
        temporaries = itertools.count(1)
        for labelled in (True, False):
            for slot, view in self._made.items():
                if slot in names or not (self._uses[slot] or _is_argument(slot, view)):
                    continue
                wanted = _label(slot, view, names)
                if not wanted and not labelled:
                    wanted = f"t{next(temporaries)}"
                if wanted:
                    names[slot] = self._free.new(wanted)
        return names

    # -- the parts of the text ----------------------------------------------------------------

    def _assembled(self, name: str, results: list[Slot]) -> str:
        arguments = [self._names[s] for s, view in self._made.items() if _is_argument(s, view)]
        body = self._body() or ["pass"]
        end = f"return {name}, {_tuple(self._names[slot] for slot in results)}"
        lines = [f"def make({', '.join(['xp', *arguments, *self.called])}):"]
        lines += [f"    {line}" for line in (*self._header(), *self._blocks, *self._locals())]
        lines += ["", f"    def {name}():", *(f"        {line}" for line in body)]
        return "\n".join([*lines, "", f"    {end}"]) + "\n"

    def _header(self) -> Iterator[str]:
        """Yield the lines that make buffers and views; what only one view needs is part of it."""
        texts: dict[Slot, str] = {}
        for slot, view in self._made.items():
            if not self._uses[slot] or _is_argument(slot, view):
                texts[slot] = self._names.get(slot, "")
                continue
            text = (
                self._buffer(slot.buffer)
                if view is None
                else VIEWS[view.name](texts[view.base], view)
            )
            once = self._uses[slot] == 1 and not self._needed[slot] and len(text) <= INLINE
            if once and (view is not None or slot.buffer.kind == "constant"):
                texts[slot] = text
            else:
                texts[slot] = self._names[slot]
                yield f"{self._names[slot]} = {text}"

    def _buffer(self, buffer: Buffer) -> str:
        if buffer.value is not None:
            return f'xp.array({buffer.value[()]!s}, "{buffer.dtype.name}")'
        size = self._block_sizes.get(buffer)
        return f'xp.empty({buffer.shape if size is None else (size,)}, "{buffer.dtype.name}")'

    def _locals(self) -> Iterator[str]:
        """Yield lines that give NumPy's functions local names."""
        functions = sorted(self._functions)
        for few in (functions[i : i + 5] for i in range(0, len(functions), 5)):
            names = ", ".join(self._functions[function] for function in few)
            yield f"{names} = {', '.join(f'xp.{function}' for function in few)}"

    def _body(self) -> list[str]:
        lines: list[str] = []
        section = ""
        for kernel in self._kernels:
            if kernel.section not in ("", section):
                section = kernel.section
                lines.append(f"# {section}")
            lines += KERNELS[type(kernel)](self, kernel)
        return lines

    # -- the lines of each kernel -------------------------------------------------------------

    def _call(self, function: str, *arguments: str) -> str:
        """Return a call of one of NumPy's functions by its local name: ``add_reduce``."""
        if function not in self._functions:
            self._functions[function] = self._free.new(function.replace(".", "_"))
        return f"{self._functions[function]}({', '.join(arguments)})"

    def _loop(self, loop: Loop) -> list[str]:
        if loop.block is not None:
            return self._in_blocks(loop, loop.block)
        return [line for each in loop.body for line in self._map(each, self._names)]

    def _map(self, each: Map, names: Mapping[Slot, str]) -> list[str]:
        out, args = names[each.out], [names[x] for x in each.args]
        if each.op.name == "where":
            condition, x1, x2 = args
            chosen = self._call("copyto", out, x1, f"where={condition}")
            return [self._call("copyto", out, x2), chosen]
        if each.op.name == "cast":
            return [self._call("copyto", out, *args, "'unsafe'")]
        function = each.op.impl.__name__
        return [self._call(function, *args, f"out={out}" if function in KEYWORD_OUT else out)]

    def _in_blocks(self, loop: Loop, block: int) -> list[str]:
        """Return a loop over blocks; of local buffers there is only one block."""
        size = loop.shape[0]
        slots = dict.fromkeys(each.out for each in loop.body)
        slots |= dict.fromkeys(x for each in loop.body for x in each.args if x.size > 1)
        local = [slot for slot in slots if slot.buffer in loop.local]
        whole = [slot for slot in slots if slot.buffer not in loop.local]
        parts = f"[a[i : i + {block}] for a in {_tuple(self._names[s] for s in whole)}]"
        if local:
            self._block_sizes |= dict.fromkeys((slot.buffer for slot in local), block)
            parts += f" + [a[: {size} - i] for a in {_tuple(self._names[s] for s in local)}]"
        blocks = self._free.new("blocks")
        self._blocks.append(f"{blocks} = [{parts} for i in range(0, {size}, {block})]")
        pieces = {slot: self._free.new(f"{self._names[slot]}_i") for slot in (*whole, *local)}
        names = {**self._names, **pieces}
        inner = [f"    {line}" for each in loop.body for line in self._map(each, names)]
        each = ", ".join(pieces.values()) + "," * (len(pieces) == 1)
        return [f"for {each} in {blocks}:", *inner]

    def _reduce(self, kernel: Reduce) -> list[str]:
        keep = ["True"] * kernel.keepdims
        axis, out = str(kernel.axis), self._names[kernel.out]
        return [
            self._call(
                REDUCTIONS[kernel.op.name], self._names[kernel.arg], axis, "None", out, *keep
            )
        ]

    def _product(self, kernel: Product) -> list[str]:
        _, *slots = kernel
        out, left, right = (self._names[slot] for slot in slots)
        flat = kernel.left.ndim == kernel.right.ndim == 2 and kernel.out.is_contiguous
        return [self._call("dot" if flat else "matmul", left, right, out)]

    def _copy(self, kernel: Copy) -> list[str]:
        view = self._made[kernel.out]
        if view is not None and kernel.out not in self._names:  # see `_needed_by`
            out = f"{self._names[view.base]}[{view.params['start']}:{view.params['stop']}]"
        else:
            out = self._names[kernel.out]
        return [self._call("copyto", out, self._names[kernel.arg])]

    def _opaque(self, kernel: Call) -> list[str]:
        """Call the primitive's own function, which allocates, and copy its result."""
        out, args = self._names[kernel.out], [self._names[x] for x in kernel.args]
        if kernel.op.name == "concatenate":
            return [self._call("concatenate", _tuple(args), str(kernel.params["axis"]), out)]
        name = self._free.new(f"{kernel.op.name}_with")
        self.called[name] = partial(kernel.op.impl, **kernel.params)
        return [self._call("copyto", out, f"{name}({', '.join(args)})")]


# -- tables ---------------------------------------------------------------------------------------

KERNELS: dict[type, Callable[[Printer, Any], list[str]]] = {
    Loop: Printer._loop,
    Reduce: Printer._reduce,
    Product: Printer._product,
    Copy: Printer._copy,
    Call: Printer._opaque,
}
REDUCTIONS = {"sum": "add.reduce", "max": "maximum.reduce", "min": "minimum.reduce"}
ENDINGS = {"transpose": "T", "reshape": "reshaped"}  # of the names of views without a label


def _index(view: View) -> str:
    index = view.params["index"]
    if ... not in index and sum(isinstance(i, int) for i in index) == view.base.ndim:
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
    buffer = slot.buffer
    return view is None and buffer.kind != "temporary" and not is_literal(buffer.value)


def _is_unnamed_part(view: View) -> bool:
    return view.name == "part" and not view.label


def _label(slot: Slot, view: View | None, names: dict[Slot, str]) -> str:
    """Return the name that a slot should have; empty if there is none (yet)."""
    if view is not None:
        ending = ENDINGS.get(view.name, "view")
        if view.name == "reshape" and slot.ndim < 2:
            ending = ("0d", "flat")[slot.ndim]
        like = names.get(view.like or view.base)
        return view.label or (f"{like}_{ending}" if like else "")
    buffer = slot.buffer
    if is_literal(buffer.value):
        return "c" + str(buffer.value[()]).removesuffix(".0")  # type: ignore[index]
    return buffer.label or {"input": "x", "state": "x", "constant": "c"}.get(buffer.kind, "")


def _tuple(texts: Any) -> str:
    """Return a tuple as text."""
    inner = ", ".join(texts)
    return f"({inner},)" if inner else "()"
