"""The C printer: kernels become one translation unit of C99, with a function per section.

The text allocates no memory: a pointer to each buffer is passed, in the order `CPrinter.buffers`.
Values that only one loop needs stay in registers. Products use vector extensions of GCC and Clang.
A program with a primitive or a dtype that C has no text for is refused as a whole.

Imports `kernels.py`, `c_text.py`, `toolchain.py`. Read next: `native.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence

import numpy as np

from . import c_text
from .c_text import DOT, JOINS, TYPES, Axis, C, Lines, c_type, expanded, index, nest, parts, plus
from .kernels import Copy, Kernel, Loop, Product, Reduce, Single, dead_stores, kernels_of, sections
from .memory import Buffer, Plan, Slot
from .program import Names, NotInCError
from .toolchain import blas

BLAS_FROM = 1 << 25  # multiplications from which on BLAS is faster than the tiles
DOTS_FROM = 64  # the depth from which on a product with a vector does not copy its rows first
POOL_ROWS, POOL_WORK = 64, 32  # rows in a part of a product; multiplications worth one element
POOL_FROM = 1 << 17  # elements from which on a loop runs in parts on all cores
POOL_PART = 1 << 15  # elements of a part


class CPrinter:
    """Prints the kernels of a plan.

    Attributes
    ----------
    text : str
    name : str, of the function that runs the program; it takes an array of pointers
    buffers : dict from Buffer to its name in C, in the order of these pointers
    written : set of Buffer
    outside : dict from str to str
        The names of functions that are found at run time, whose pointers come after the buffers. A
        dtype is the key of BLAS's matrix product, "pool" that of the function that runs parts of a
        loop on all cores, and a key of `hosts` that of a kernel's primitive, run by Python.
    hosts : dict from str to the kernel that runs its primitive's own function
    function : str, the text before the name of a section's function
    style : str, a prefix: a part of the prelude whose name has it is used instead, if there is one
    plain : function from a label to a name in C
    """

    pool_from: float = POOL_FROM
    function, style = "SECTION", ""
    plain = staticmethod(c_text.plain)

    def __init__(self, plan: Plan, name: str) -> None:
        self.name = Names().new(f"run_{name}")
        self.buffers: dict[Buffer, str] = {}
        self.written: set[Buffer] = set()
        self.outside: dict[str, str] = {}
        self.hosts: dict[str, Single] = {}
        self._functions: list[str] = []
        self._plan = plan
        self._free = Names({*c_text.CALLED, self.name})
        self._helpers: dict[str, str] = {}
        self._used: dict[str, str] = {}  # the parameters of a function, and their declarations
        self._views: dict[str, str] = {}  # the views that it names, and their declarations
        self._numbers = itertools.count(1)
        self._named: dict[tuple[Buffer, str], str] = {}  # the names of labelled views
        kernels = [kernel for kernel in kernels_of(plan, outer=True) if kernel.body[0].out.size]
        self._dead = dead_stores(plan, kernels)
        calls: list[str] = []
        for section, part in sections([kernel for kernel in kernels if kernel.body]):
            function = self._free.new(self.plain(section or "step"))
            used = self._function(function, (line for k in part for line in self._lines(k)))
            calls.append(f"    {function}({', '.join(used)});")
        head = parts()[f"{self.style}header"][1], *self._helpers.values()
        self.text = "\n".join([*head, *self._functions, *self._main(calls)])

    def _function(self, name: str, lines: Lines, *more: str) -> dict[str, str]:
        """Print a function of these lines; return the names and declarations of its parameters.

        `more` are parameters after these.
        """
        outer = self._used, self._views
        self._used, self._views = {}, {}
        body, used, declared = [*lines], self._used, [*self._views.values()]
        self._used, self._views = outer
        parameters = ", ".join([*used.values(), *more]) or "void"
        head = f"{self.function} {name}({parameters})"
        self._functions += ["", head, "{", *[f"    {line}" for line in (*declared, *body)], "}"]
        return used

    def _main(self, calls: list[str]) -> Lines:
        yield from ["", f"void {self.name}(void **buffers)", "{"]
        for i, (buffer, name) in enumerate(self.buffers.items()):
            yield f"    {TYPES[buffer.dtype.name]} *{name} = buffers[{i}];"
        for i, (key, name) in enumerate(self.outside.items(), len(self.buffers)):
            yield f"    {_kind(key)} *{name} = ({_kind(key)} *)buffers[{i}];"
        yield from calls if self.buffers or self.outside else ["    (void)buffers;", *calls]
        yield "}\n"

    # -- names --------------------------------------------------------------------------------

    def _buffer(self, buffer: Buffer, writes: bool = False) -> str:
        """Return the name of a buffer, a parameter of the function that is printed."""
        if buffer not in self.buffers:
            label = buffer.label or f"t{next(self._numbers)}"
            self.buffers[buffer] = self._free.new(self.plain(label))
        name, kind = self.buffers[buffer], c_type(buffer.dtype)
        if writes:
            self.written.add(buffer)
        if writes or name not in self._used:
            self._used[name] = f"{'' if writes else 'const '}{kind} *restrict {name}"
        return name

    def pointer(self, slot: Slot, writes: bool = False) -> str:
        """Return a pointer to the first element of a slot, named after the view or its buffer."""
        name, label, at = self._buffer(slot.buffer, writes), "", slot
        while not label and (view := self._plan.made.get(at)):
            label, at = view.label, view.base
            if at.offset != slot.offset:
                break
        if not label or self.plain(label) == name:
            return f"({name} + {slot.offset})" if slot.offset else name
        key = slot.buffer, f"{label} {slot.offset}"
        if key not in self._named:
            self._named[key] = self._free.new(self.plain(label))
        pointer, kind = self._named[key], c_type(slot.buffer.dtype)
        if writes or pointer not in self._views:
            declared = f"{kind} *const {pointer} = {name} + {slot.offset};"
            self._views[pointer] = declared if writes else f"const {declared}"
        return pointer

    def needs(self, part: str, kind: str, key: str = "", **names: str) -> None:
        """Print a part of the prelude for a type once, before the functions of this program."""
        part = f"{self.style}{part}" if f"{self.style}{part}" in parts() else part
        needed, text = parts().get(f"{part}/{kind}") or parts()[part]
        key = key or (f"{part} {kind}" if "$" in text else part)
        if key not in self._helpers:
            if needed:
                self.needs(needed, kind)
            self._helpers[key] = expanded(text, T=kind, **names)

    def foreign(self, key: str, name: str) -> str:
        """Return the name of a function that is found at run time, as a parameter of this one."""
        name = self.outside.get(key) or self._free.new(name)
        self.outside[key] = name
        self._used[name] = f"{_kind(key)} *{name}"
        return name

    # -- loops --------------------------------------------------------------------------------

    def _lines(self, kernel: Kernel) -> Lines:
        """Return the lines of a kernel."""
        if isinstance(kernel, Loop):
            return self.loop(kernel.body, self._dead[kernel])
        joins = kernel.op and kernel.op.name in JOINS and kernel.args[0].size
        if isinstance(kernel, Reduce) or joins:
            return self._reduce(kernel)
        if isinstance(kernel, Product):
            return self._product(kernel)
        if isinstance(kernel, Copy) or kernel.op.elementwise:
            return self.loop((kernel,))
        if kernel.op.name in c_text.CALLS:
            return c_text.CALLS[kernel.op.name](self, kernel)
        raise NotInCError(f"C has no text for the primitive {kernel.op.name!r}")

    def loop(self, body: Sequence[Single], dead: Container[Buffer] = ()) -> Lines:
        """Yield the loops of maps; those of large ones move to a function, which runs in parts."""
        if (size := body[0].out.size) < self.pool_from:
            yield from self._maps(body, dead)
            return
        n = c_text.loop_axes(body)[1][0][0]
        lines = self._maps(body, dead, part=True)
        yield self._in_parts(body[0].section, lines, n, POOL_PART * n // size)

    def _in_parts(self, section: str, lines: Lines, n: int, size: int) -> str:
        """Print lines as a function; return a call that runs it in parts of about this size."""
        name = self._free.new(f"{section or 'step'}_part")
        bounds = "ptrdiff_t first_, ptrdiff_t last_"
        used = self._function(name, lines, bounds)
        given = ", ".join(f"given_[{i}]" for i in range(len(used)))
        head = f"static void {name}_(void **given_, {bounds})"
        self._functions += ["", head, "{", f"    {name}({given}, first_, last_);", "}"]
        writes = {x: text for x, text in used.items() if not text.startswith("const ")}
        self._used = used | self._used | writes
        self.needs("pool_", "")
        pointers = f"(void *[]){{{', '.join(f'(void *){x}' for x in used)}}}"
        return f"in_parts_({self.foreign('pool', 'pool')}, {name}_, {pointers}, {n}, {size or 1});"

    def _maps(self, body: Sequence[Single], dead: Container[Buffer], part: bool = False) -> Lines:
        """Yield the loops of maps, which read each element once and write what is needed later.

        With `part`, the outermost loop is over a part.
        """
        slots, axes = c_text.loop_axes(body)
        places = {x: index(axes, i) for i, x in enumerate(slots, 1)}
        values, versions = dict[Slot, str](), itertools.count(1)
        outside, inside = list[str](), list[str]()

        def declared(label: str, slot: Slot, text: str) -> str:
            name = f"{label}_{next(versions)}_"
            lines = inside if places[slot] != "0" or slot in written else outside
            lines.append(f"const {c_type(slot.buffer.dtype)} {name} = {text};")
            return name

        written = dict.fromkeys(each.out for each in body)
        for each in body:
            for x in each.args:
                if x not in values and x.buffer.value is not None:
                    values[x] = c_text.literal(x.buffer.value, c_type(x.buffer.dtype))
                elif x not in values:
                    pointer = self.pointer(x)
                    label = c_text.plain(pointer.strip("()").split()[0])
                    values[x] = declared(label, x, f"{pointer}[{places[x]}]")
            label = each.out.buffer.label or "t"
            text = self._value(each, [values[x] for x in each.args])
            values[each.out] = declared(self.plain(label), each.out, text)
        for x in written:
            if x.buffer not in dead:
                inside.append(f"{self.pointer(x, writes=True)}[{places[x]}] = {values[x]};")
        yield from nest(axes, inside, outside, part)

    def _value(self, each: Single, operands: list[str]) -> str:
        """Return the value of a map as an expression of its operands, names or numbers."""
        given, out = [x.buffer.dtype for x in each.args], each.out.buffer.dtype
        name = each.op and each.op.name
        if name in (None, "cast", "alias"):
            return self._converted(operands[0], given[0], out)
        if name == "where":
            types = [np.dtype(bool), out, out]
        elif isinstance(each.op.impl, np.ufunc):
            *types, found = each.op.impl.resolve_dtypes((*given, None))
            if found != out or len({dtype.kind for dtype in types}) > 1:
                kinds = ", ".join(map(str, given))
                raise NotInCError(f"C has no text for the primitive {name!r} of {kinds}")
        else:
            types = given
        row = self._row(name, types[-1], each.args[-1].buffer.value is not None)
        pairs = zip(operands, given, types, strict=True)
        return row.format(*[self._converted(*pair) for pair in pairs])

    def _row(self, name: str, dtype: np.dtype, number: bool = False) -> str:
        """Return the table's row of a primitive for a dtype, and print the function that it calls.

        `number` says whether the last operand is a finite number.
        """
        kinds = "n" * number + {"f": "", "i": "i", "u": "ui", "b": "bui"}[dtype.kind]
        key = next((key for kind in kinds if (key := f"{name}/{kind}") in C), name)
        row, kind = C.get(key, ""), c_type(dtype)
        if not row or ("$" in row and key == name and dtype.kind != "f"):
            raise NotInCError(f"C has no text for the primitive {name!r} of {dtype.name}")
        if key in parts():
            self.needs(key, kind)
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
            self.needs(through, c_type(given))
            text = f"{through}_of_{c_type(given)}({text})"
        return f"({kind})({text})"

    # -- reductions and products --------------------------------------------------------------

    def _reduce(self, each: Single) -> Lines:
        """Yield a reduction: of rows where these are contiguous, else along the nearest axis."""
        (x,), out, name = each.args, each.out, each.op.name
        kept, reduced = c_text.axes_of(each, each.params["axis"], each.params.get("keepdims"))
        source, target = self.pointer(x), self.pointer(out, writes=True)
        dtypes, place = (x.buffer.dtype, out.buffer.dtype), f"{target}[{index(kept, 2)}]"
        fill = f"{place} = {'0' if name == 'sum' else f'{source}[{index(kept, 1)}]'};"
        n, step = reduced.pop() if reduced else (1, 0)
        are_columns = bool(kept) and kept[-1][1:] == (1, 1) and n > 1  # of rows
        if are_columns and not name.startswith("arg"):
            *others, (width, _, _) = kept
            axes, function = [*others, *reduced], self.reduction(f"rows_{name}", *dtypes)
            given = f"{source}{plus(axes, 1)}, {n}, {step}, {width}, {target}{plus(others, 2)}"
            yield from nest(kept, [fill])
            yield from nest(axes, [f"{function}({given});"])
            return
        axes, function = [*kept, *reduced], self.reduction(name, *dtypes)
        call = f"{function}({source}{plus(axes, 1)}, {n}, {step})"
        if reduced:
            yield from nest(kept, [fill])
            declared = f"const {c_type(dtypes[1])} a = {place}, b = {call};"
            yield from nest(axes, [declared, f"{place} = {self._join(name, dtypes[1])};"])
        else:
            yield from nest(kept, [f"{place} = {call};"])

    def reduction(self, name: str, given: np.dtype, out: np.dtype) -> str:
        """Print the function of a reduction; return its name."""
        source, kind = c_type(given), c_type(out)
        function = f"{name}_{source}" if source == kind else f"{name}_{source}_as_{kind}"
        first, _, rest = name.partition("_")
        is_dot = name == "dot"
        names = {key: expanded(text, T=source) * is_dot for key, text in DOT.items()}
        names["join"] = self._join(rest or first, out)
        names["together"] = ("step == 1" if source == kind else "false") + names["together"]
        part = {"dot": "sum", "argmax": "place", "argmin": "place"}.get(first, first)
        part = part if part in parts() else "extreme"
        self.needs(part, kind, function, X=source, function=function, **names)
        return function

    def _join(self, name: str, dtype: np.dtype) -> str:
        """Return the expression by which a reduction combines two numbers, `a` and `b`."""
        return self._row(JOINS.get(name, "add"), dtype).format("a", "b")

    def _product(self, each: Product) -> Lines:
        """Yield a matrix product; of large matrices of floats, rows are computed in parts.

        A product with one column is computed transposed, as one row.
        """
        out, depth, kind = each.out, each.args[0].shape[-1], each.out.buffer.dtype.kind
        rows = out.shape[0] if kind == "f" and len(out.shape) == 2 and out.shape[1] > 1 else 1
        if rows >= 2 * POOL_ROWS and POOL_WORK * self.pool_from <= out.size * depth < BLAS_FROM:
            lines = self._matrices(each, part=True)
            yield self._in_parts(each.section, lines, rows, POOL_ROWS)
        else:
            yield from self._matrices(each)

    def _matrices(self, each: Product, part: bool = False) -> Lines:
        """Yield a matrix product, for each matrix of a stack."""
        (a, b), out = each.args, each.out
        dtype, floating = out.buffer.dtype, out.buffer.dtype.kind == "f"
        if dtype.kind == "b" or {a.buffer.dtype, b.buffer.dtype} != {dtype}:
            raise NotInCError(f"C has no text for the primitive 'matmul' of {dtype.name}")
        m, ai = (a.shape[-2], a.strides[-2]) if len(a.shape) > 1 else (1, 0)
        n, bj = (b.shape[-1], b.strides[-1]) if len(b.shape) > 1 else (1, 0)
        depth, ak, bk = a.shape[-1], a.strides[-1], b.strides[max(len(b.shape) - 2, 0)]
        batch = out.shape[: max(len(a.shape), len(b.shape)) - 2]
        steps = a.strides[:-2], b.strides[:-2], out.strides[: len(batch)]
        axes = c_text.axes_over(batch, *steps)
        pointers = self.pointer(a), self.pointer(b), self.pointer(out, writes=True)
        x, y, z = (f"{pointer}{plus(axes, i)}" for i, pointer in enumerate(pointers, 1))
        if n == 1 < m:  # the transposed product has long rows
            m, n, x, y, ai, ak, bk, bj = 1, m, y, x, 0, bk, ak, ai
        if floating and (m > 1 or bj == 1 or (n > 1 and depth < DOTS_FROM)):
            call = self._matrix_product(dtype.name, (m, n, depth), (ai, ak), (bk, bj))
            if part:
                x, z = f"{x} + first_ * {ai}", f"{z} + first_ * {n}"
            lines = [call.format(x, y, z, "last_ - first_" if part else m)]
        else:
            function, i, j = self.reduction("dot", dtype, dtype), len(axes), len(axes) + 1
            row, column = (f" + i{k} * {step}" if step else "" for k, step in ((i, ai), (j, bj)))
            call = f"{function}({x}{row}, {depth}, {ak}, {y}{column}, {bk})"
            lines = [f"({z})[i{i} * {n} + i{j}] = {call};"]
            axes += [(m,), (n,)]
        yield from nest(axes, lines)

    def _matrix_product(self, dtype: str, sizes: Axis, a: Axis, b: Axis) -> str:
        """Return a call of BLAS for large matrices, else of the tiled product.

        It is a template for three pointers and the number of rows.
        """
        (m, n, depth), kind = sizes, TYPES[dtype]
        steps = c_text.blas_step((m, depth), a), c_text.blas_step((depth, n), b)
        integer = blas(dtype)[0] if m * n * depth >= BLAS_FROM and not self.style else ""
        if integer and steps[0] and steps[1]:
            self.needs("gemm", kind, I=integer)
            name = self.foreign(dtype, f"gemm{'sd'[dtype == 'float64']}")
            (a_order, a_step), (b_order, b_step) = steps[0], steps[1]
            sizes_text = f"{c_text.ROW_MAJOR}, {a_order}, {b_order}, {m}, {n}, {depth}"
            return f"{name}({sizes_text}, 1, {{0}}, {a_step}, {{1}}, {b_step}, 0, {{2}}, {n});"
        self.needs("product", kind)
        (ai, ak), (bk, bj) = a, b
        row = "" if self.style else f", {n}"  # from a row of the result to the next
        given = f"{n}, {depth}, {{0}}, {ai}, {ak}, {{1}}, {bk}, {bj}, {{2}}{row}"
        return f"product_{kind}({{3}}, {given});"


def _kind(key: str) -> str:
    """Return the type of a function that is found at run time."""
    return f"gemm_{TYPES[key]}" if key in TYPES else f"{key.split()[0]}_"
