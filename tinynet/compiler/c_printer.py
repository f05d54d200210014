"""The C printer: kernels become one translation unit of C99, a function per section.

The text holds no memory: every buffer is given by a pointer, in the order of `CPrinter.buffers`.
Values that only one loop needs stay in registers. Products use vector extensions of GCC and Clang.
A program with a primitive or a dtype that C has no text for is refused as a whole.

Imports `kernels.py`, `c_text.py`, `toolchain.py`. Read next: `native.py`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from .c_text import (
    CALLED,
    TYPES,
    C,
    c_type,
    expanded,
    index,
    literal,
    nest,
    parts,
    plain,
    plus,
)
from .kernels import Copy, Kernel, Loop, Product, Reduce, Single, kernels_of
from .memory import Buffer, Plan, Slot
from .program import Names, NotInCError
from .toolchain import blas

PART = 40  # kernels in a function: the time of C compilers grows faster than a function does
BLAS_FROM = 1 << 21  # multiplications of a product, from which on BLAS is faster than the tiles
Lines = Iterator[str]
Axis = tuple[int, ...]  # a length, and the strides of each slot


class CPrinter:
    """Prints the kernels of a plan.

    Attributes
    ----------
    text : str
    name : str, of the function that runs the program; it takes the pointers as an array
    buffers : dict from Buffer to its name in C, those that it takes pointers of
    written : set of Buffer
    gemms : dict from dtype to the name of a function of BLAS, the pointers after the buffers
    hosts : dict from name to the kernel whose primitive's own function it calls, the last pointers
    """

    def __init__(self, plan: Plan, name: str) -> None:
        self.name = Names().new(f"run_{name}")
        self.buffers: dict[Buffer, str] = {}
        self.written: set[Buffer] = set()
        self.gemms: dict[str, str] = {}
        self.hosts: dict[str, Single] = {}
        self._plan = plan
        self._free = Names({*CALLED, self.name})
        self._helpers: dict[str, str] = {}
        self._used: dict[str, str] = {}  # the parameters of a function, and their declarations
        self._views: dict[str, str] = {}  # the views that it names, and their declarations
        self._numbers = itertools.count(1)
        self._named: dict[tuple[Buffer, str], str] = {}  # the names of labelled views
        kernels = [kernel for kernel in kernels_of(plan) if kernel.body[0].out.size]
        self._dead = _dead_stores(plan, kernels)
        functions, calls = list[str](), list[str]()
        for section, part in _parts(kernels):
            function = self._free.new(section or "step")
            self._used, self._views = {}, {}
            body = [f"    {line}" for k in part for line in self._lines(k)]
            parameters = ", ".join(self._used.values()) or "void"
            views = [f"    {line}" for line in self._views.values()]
            head = f"static __attribute__((noinline)) void {function}({parameters})"
            functions += ["", head, "{", *views, *body, "}"]
            calls.append(f"    {function}({', '.join(self._used)});")
        lines = parts()["header"], *self._helpers.values(), *functions, *self._main(calls)
        self.text = "\n".join(lines)

    def _main(self, calls: list[str]) -> Lines:
        yield ""
        yield f"void {self.name}(void **buffers)"
        yield "{"
        for i, (buffer, name) in enumerate(self.buffers.items()):
            yield f"    {TYPES[buffer.dtype.name]} *{name} = buffers[{i}];"
        for i, (dtype, name) in enumerate(self.gemms.items(), len(self.buffers)):
            yield f"    gemm_{TYPES[dtype]} *{name} = (gemm_{TYPES[dtype]} *)buffers[{i}];"
        for i, name in enumerate(self.hosts, len(self.buffers) + len(self.gemms)):
            yield f"    host *{name} = (host *)buffers[{i}];"
        yield from calls if self.buffers or self.gemms else ["    (void)buffers;", *calls]
        yield "}\n"

    # -- names --------------------------------------------------------------------------------

    def _buffer(self, buffer: Buffer, writes: bool = False) -> str:
        """Return the name of a buffer, a parameter of the function that is printed."""
        if buffer not in self.buffers:
            self.buffers[buffer] = self._free.new(plain(buffer.label or f"t{next(self._numbers)}"))
        name, kind = self.buffers[buffer], c_type(buffer.dtype)
        if writes:
            self.written.add(buffer)
        if writes or name not in self._used:
            self._used[name] = f"{'' if writes else 'const '}{kind} *restrict {name}"
        return name

    def _pointer(self, slot: Slot, writes: bool = False) -> str:
        """Return a pointer to the first element of a slot, by the name of what it is a view of."""
        name, label, at = self._buffer(slot.buffer, writes), "", slot
        while not label and (view := self._plan.made.get(at)):
            label, at = view.label, view.base
            if at.offset != slot.offset:
                break
        if not label or plain(label) == name:
            return f"({name} + {slot.offset})" if slot.offset else name
        key = slot.buffer, f"{label} {slot.offset}"
        if key not in self._named:
            self._named[key] = self._free.new(plain(label))
        pointer, kind = self._named[key], c_type(slot.buffer.dtype)
        if writes or pointer not in self._views:
            declared = f"{kind} *const {pointer} = {name} + {slot.offset};"
            self._views[pointer] = declared if writes else f"const {declared}"
        return pointer

    def _needs(self, part: str, kind: str, key: str = "", **names: str) -> None:
        """Print a part of the prelude for a type before the functions of this program, once."""
        key, text = key or f"{part} {kind}", parts()[part]
        if key not in self._helpers:
            if "FMA_" in text or "LN2_" in text:
                self._helpers.setdefault(f"bits {kind}", parts()[f"bits/{kind}"])
            self._helpers[key] = expanded(text, T=kind, **names)

    # -- loops --------------------------------------------------------------------------------

    def _lines(self, kernel: Kernel) -> Lines:
        """Return the lines of a kernel."""
        if isinstance(kernel, Loop):
            return self._loop(kernel.body, self._dead[kernel])
        if isinstance(kernel, Reduce):
            return self._reduce(kernel)
        if isinstance(kernel, Product):
            return self._product(kernel)
        if isinstance(kernel, Copy) or kernel.op.elementwise:
            return self._loop((kernel,), set())
        if kernel.op.host:
            return self._host(kernel)
        raise NotInCError(f"C has no text for the primitive {kernel.op.name!r}")

    def _host(self, kernel: Single) -> Lines:
        """Yield a call of a primitive's own function, which has the arrays; see `native.py`."""
        (x,), name = kernel.args, self._free.new(kernel.op.name)
        self.hosts[name], self._used[name] = kernel, f"host *{name}"
        self._helpers["host"] = "typedef void host(const void *, void *);"
        yield f"{name}({self._pointer(x)}, {self._pointer(kernel.out, writes=True)});"

    def _loop(self, body: Sequence[Single], dead: set[Buffer]) -> Lines:
        """Yield the loops of maps, which read each element once and write what is needed later."""
        shape = body[0].out.shape
        slots = list(dict.fromkeys(x for each in body for x in each.slots))
        strides = [_padded(x.strides, shape) for x in slots]
        axes = _merged([*zip(shape, *strides, strict=True)])
        steps = {x: [axis[i] for axis in axes] for i, x in enumerate(slots, 1)}
        values, versions = dict[Slot, str](), itertools.count(1)
        outside, inside = list[str](), list[str]()

        def declared(label: str, slot: Slot, text: str) -> str:
            name = f"{label}_{next(versions)}_"
            lines = inside if any(steps[slot]) or slot in written else outside
            lines.append(f"const {c_type(slot.buffer.dtype)} {name} = {text};")
            return name

        written = dict.fromkeys(each.out for each in body)
        for each in body:
            for x in each.args:
                if x not in values and x.buffer.value is not None:
                    values[x] = literal(x.buffer.value, c_type(x.buffer.dtype))
                elif x not in values:
                    pointer = self._pointer(x)
                    text = f"{pointer}[{index(steps[x])}]"
                    values[x] = declared(plain(pointer.strip("()").split()[0]), x, text)
            label = each.out.buffer.label or "t"
            text = self._value(each, [values[x] for x in each.args])
            values[each.out] = declared(plain(label), each.out, text)
        for x in written:
            if x.buffer not in dead:
                inside.append(f"{self._pointer(x, writes=True)}[{index(steps[x])}] = {values[x]};")
        yield from nest([axis[0] for axis in axes], inside, outside)

    def _value(self, each: Single, operands: list[str]) -> str:
        """Return the value of a map as an expression of its operands, names or numbers."""
        given, out = [x.buffer.dtype for x in each.args], each.out.buffer.dtype
        name, row = each.op and each.op.name, "{0}"
        if name == "where":
            types = [np.dtype(bool), out, out]
        elif name in (None, "cast", "alias"):
            types = [out]
        elif isinstance(each.op.impl, np.ufunc):
            *types, found = each.op.impl.resolve_dtypes((*given, None))
            if found != out or len({dtype.kind for dtype in types}) > 1:
                kinds = ", ".join(map(str, given))
                raise NotInCError(f"C has no text for the primitive {name!r} of {kinds}")
        else:
            types = given
        if name not in (None, "cast", "alias"):
            row = self._row(name, types[-1])
        pairs = zip(operands, given, types, strict=True)
        return row.format(*[self._converted(*pair) for pair in pairs])

    def _row(self, name: str, dtype: np.dtype) -> str:
        """Return the row of a primitive for this dtype, and print the function that it calls."""
        kinds = {"f": "", "i": "i", "u": "ui", "b": "bui"}[dtype.kind]
        key = next((key for kind in kinds if (key := f"{name}/{kind}") in C), name)
        row, kind = C.get(key, ""), c_type(dtype)
        if not row or ("$" in row and key == name and dtype.kind != "f"):
            raise NotInCError(f"C has no text for the primitive {name!r} of {dtype.name}")
        if key in parts():
            self._needs(key, kind)
        return expanded(row, T=kind)

    def _converted(self, text: str, given: np.dtype, wanted: np.dtype) -> str:
        """Return an operand in the dtype in which a primitive computes, converted as NumPy does."""
        kind = c_type(wanted)
        if given == wanted:
            return text
        if wanted.kind == "b":
            return f"({text} != 0)"
        if given.kind == "f" and wanted.kind != "f":
            small = "INT32" if wanted.itemsize < 4 else "INT64"
            through = {"int32": "INT32", "uint64": "UINT64"}.get(wanted.name, small)
            self._needs(through, c_type(given))
            text = f"{through}_of_{c_type(given)}({text})"
        return f"({kind})({text})"

    # -- reductions and products --------------------------------------------------------------

    def _reduce(self, each: Reduce) -> Lines:
        """Yield a reduction: of rows where these are contiguous, else along the nearest axis."""
        (x,), out, name = each.args, each.out, each.op.name
        kept, reduced = _axes(each)
        source, target = self._pointer(x), self._pointer(out, writes=True)
        dtypes = x.buffer.dtype, out.buffer.dtype
        begin = "0" if name == "sum" else f"{source}[{index([axis[1] for axis in kept])}]"
        fill = f"{target}[{index([axis[2] for axis in kept])}] = {begin};"
        n, step = reduced.pop() if reduced else (1, 0)
        sizes = [n for n, _ in reduced]
        if kept and kept[-1][1:] == (1, 1) and n > 1:  # columns of rows
            *others, (width, _, _) = kept
            at = index([axis[1] for axis in (*others, *reduced)])
            to = index([axis[2] for axis in others])
            function = self._reduction(f"rows_{name}", *dtypes)
            call = f"{function}({source}{plus(at)}, {n}, {step}, {width}, {target}{plus(to)});"
            yield from nest([axis[0] for axis in kept], [fill])
            yield from nest([*[axis[0] for axis in others], *sizes], [call])
            return
        at, to = index([axis[1] for axis in (*kept, *reduced)]), index([axis[2] for axis in kept])
        call = f"{self._reduction(name, *dtypes)}({source}{plus(at)}, {n}, {step})"
        if not sizes:
            yield from nest([axis[0] for axis in kept], [f"{target}[{to}] = {call};"])
            return
        yield from nest([axis[0] for axis in kept], [fill])
        declared = f"const {c_type(out.buffer.dtype)} a = {target}[{to}], b = {call};"
        lines = [declared, f"{target}[{to}] = {self._join(name, dtypes[1])};"]
        yield from nest([*[axis[0] for axis in kept], *sizes], lines)

    def _reduction(self, name: str, given: np.dtype, out: np.dtype) -> str:
        """Print the function of a reduction; return its name."""
        source, kind = c_type(given), c_type(out)
        function = f"{name}_{source}" if source == kind else f"{name}_{source}_as_{kind}"
        first, _, rest = name.partition("_")
        part = first if first in ("sum", "rows") else "sum" if name == "dot" else "extreme"
        names = {key: text.format(source) if name == "dot" else "" for key, text in DOT.items()}
        join = self._join(rest or first, out)
        self._needs(part, kind, function, X=source, function=function, join=join, **names)
        return function

    def _join(self, name: str, dtype: np.dtype) -> str:
        """Return what a reduction makes of two numbers, `a` and `b`."""
        return self._row(JOINS[name], dtype).format("a", "b") if name in JOINS else "a + b"

    def _product(self, each: Product) -> Lines:
        """Yield a matrix product, for each of the matrices that there are."""
        (a, b), out = each.args, each.out
        dtype, floating = out.buffer.dtype, out.buffer.dtype.kind == "f"
        if dtype.kind == "b" or {a.buffer.dtype, b.buffer.dtype} != {dtype}:
            raise NotInCError(f"C has no text for the primitive 'matmul' of {dtype.name}")
        m, ai = (a.shape[-2], a.strides[-2]) if len(a.shape) > 1 else (1, 0)
        n, bj = (b.shape[-1], b.strides[-1]) if len(b.shape) > 1 else (1, 0)
        depth, ak, bk = a.shape[-1], a.strides[-1], b.strides[max(len(b.shape) - 2, 0)]
        batch = out.shape[: max(len(a.shape), len(b.shape)) - 2]
        strides = [_padded(a.strides[:-2], batch), _padded(b.strides[:-2], batch)]
        axes = _merged([*zip(batch, *strides, out.strides[: len(batch)], strict=True)])
        pointers = self._pointer(a), self._pointer(b), self._pointer(out, writes=True)
        x, y, z = (f"{p}{plus(index([a[i] for a in axes]))}" for i, p in enumerate(pointers, 1))
        if n == 1 < m:  # the transposed product has long rows
            m, n, x, y, ai, ak, bk, bj = 1, m, y, x, 0, bk, ak, ai
        if floating and (m > 1 or bj == 1):
            call = self._matrix_product(dtype.name, (m, n, depth), (ai, ak), (bk, bj))
            lines = [call.format(x, y, z)]
        else:
            function, d = self._reduction("dot", dtype, dtype), len(axes)
            row, column = (plus(f"i{d + k} * {s}") if s else "" for k, s in enumerate((ai, bj)))
            call = f"{function}({x}{row}, {depth}, {ak}, {y}{column}, {bk})"
            lines = [*nest([m, n], [f"({z})[i{d} * {n} + i{d + 1}] = {call};"], at=d)]
        yield from nest([axis[0] for axis in axes], lines)

    def _matrix_product(self, dtype: str, sizes: Axis, a: Axis, b: Axis) -> str:
        """Return a call of BLAS for large matrices, else of tiles, for three pointers."""
        (m, n, depth), kind = sizes, TYPES[dtype]
        steps = _blas_step((m, depth), a), _blas_step((depth, n), b)
        integer = blas(dtype)[0] if m * n * depth >= BLAS_FROM else ""
        if integer and steps[0] and steps[1]:
            if dtype not in self.gemms:
                self._needs("gemm", kind, I=integer)
                self.gemms[dtype] = self._free.new(f"gemm{'sd'[dtype == 'float64']}")
            name = self.gemms[dtype]
            self._used[name] = f"gemm_{kind} *{name}"
            (a_order, a_step), (b_order, b_step) = steps[0], steps[1]
            sizes_text = f"{ROW_MAJOR}, {a_order}, {b_order}, {m}, {n}, {depth}"
            return f"{name}({sizes_text}, 1, {{0}}, {a_step}, {{1}}, {b_step}, 0, {{2}}, {n});"
        self._helpers.setdefault("tiles", parts()["tiles"])
        self._needs("product", kind)
        (ai, ak), (bk, bj) = a, b
        return (
            f"product_{kind}({m}, {n}, {depth}, {{0}}, {ai}, {ak}, {{1}}, {bk}, {bj}, {{2}}, {n});"
        )


DOT = {
    "more": ", const {0} *y, ptrdiff_t other",
    "factor": " * y[(i + k) * other]",
    "last": " * y[i * other]",
}
JOINS = {"max": "maximum", "min": "minimum"}
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # as CBLAS calls them


def _blas_step(shape: Axis, strides: Axis) -> tuple[int, int] | None:
    """Return how BLAS names a matrix of these strides: its order, and the step between rows."""
    (rows, columns), (row, column) = shape, strides
    if (columns == 1 or column == 1) and (rows == 1 or row >= columns):
        return PLAIN, max(row, columns)
    if (rows == 1 or row == 1) and (columns == 1 or column >= rows):
        return TRANSPOSED, max(column, rows)
    return None


# -- kernels and their axes -----------------------------------------------------------------------


def _parts(kernels: list[Kernel]) -> Iterator[tuple[str, list[Kernel]]]:
    """Yield runs of kernels of one section, at most `PART` of them, and the name of the section."""
    for section, run in itertools.groupby(kernels, key=lambda kernel: kernel.section):
        rest = list(run)
        while rest:
            yield section, rest[:PART]
            rest = rest[PART:]


def _dead_stores(plan: Plan, kernels: list[Kernel]) -> dict[Loop, set[Buffer]]:
    """Return for each loop the buffers that nothing reads before they are overwritten."""
    read = {slot.buffer for slot in plan.results}
    read |= {plan.slots[v].buffer for v in plan.arguments}
    dead: dict[Loop, set[Buffer]] = {}
    for kernel in reversed(kernels):
        outs = {each.out for each in kernel.body}
        if isinstance(kernel, Loop):
            dead[kernel] = {x.buffer for x in outs} - read
        whole = (x for x in outs if x.is_contiguous and x.size == math.prod(x.buffer.shape))
        read -= {x.buffer for x in whole}
        written: set[Slot] = set()
        for each in kernel.body:
            read |= {x.buffer for x in each.args if x not in written}
            written.add(each.out)
    return dead


def _padded(strides: Axis, shape: Axis) -> Axis:
    """Return the strides of an operand that is broadcast to `shape`."""
    return (0,) * (len(shape) - len(strides)) + strides


def _merged(axes: Sequence[Axis]) -> list[Axis]:
    """Return the same elements with fewer axes: none of length 1, and none that continue others."""
    found: list[Axis] = []
    for n, *steps in axes:
        if found and all(before == n * s for before, s in zip(found[-1][1:], steps, strict=True)):
            found[-1] = (found[-1][0] * n, *steps)
        elif n != 1:
            found.append((n, *steps))
    return found


def _axes(each: Reduce) -> tuple[list[Axis], list[Axis]]:
    """Return the axes that a reduction keeps, with the strides of both arrays, and the others."""
    (x,), out, axis = each.args, each.out, each.params["axis"]
    rank = len(x.shape)
    given = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    gone = {i % rank for i in given}
    left = [i for i in range(rank) if i not in gone]
    steps = [out.strides[i] for i in left] if each.params["keepdims"] else out.strides
    kept = [(x.shape[i], x.strides[i], step) for i, step in zip(left, steps, strict=True)]
    reduced = sorted([(x.shape[i], x.strides[i]) for i in gone], key=lambda axis: -abs(axis[1]))
    return _merged(kept), _merged(reduced)
