"""A forward pass as one C file with the weights inside, and a function `predict` of one sample.

Imports `forward.py` and `../compiler/`. Read next: `onnx_file.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tree
from ..compiler.c_printer import CPrinter, Lines
from ..compiler.c_text import TYPES, c_type, literal, parts
from ..compiler.memory import Plan
from ..compiler.passes import simplify
from ..compiler.program import NotInCError, Var
from .forward import Forward
from .numpy_text import WIDTH, plain

ABOUT = """\
/* The network '{name}', exported by tinynet {version}. It needs C99 and math.h alone.

       {prototype};

   computes the outputs of one sample. Arrays are in row-major order, and must not overlap:

{rows}

   It keeps {constant} bytes of constants, and {scratch} bytes of intermediate results on the stack.
   Nothing is allocated and nothing is kept between calls, so threads can call it at once. Options:

       -DPREDICT_BUFFERS=static    intermediate results in static memory, for a small stack
       -Dpredict=another_name      for programs with several networks

   The outputs are those of the model's `predict` in tinynet, up to rounding. */
"""

BUFFERS = """
#ifndef PREDICT_BUFFERS
#define PREDICT_BUFFERS
#endif
"""

# In place of parts of the prelude: what is short to read, and what any C compiler translates.
PLAIN = {
    **{
        f: f"\nstatic inline $T {f}_$T($T x) {{ return {f}$s(x); }}" for f in ("exp", "log", "tanh")
    },
    "logaddexp": f"\n{parts()['logaddexp'].replace('LN2_$T', 'log$s(2)')}",
    "extreme": """
static $T $function(const $X *x, ptrdiff_t n, ptrdiff_t step)
{
    $T a = x[0];
    for (ptrdiff_t i = 1; i < n; i++) {
        const $T b = x[i * step];
        a = $join;
    }
    return a;
}
""",
    "product": """
/* c[m, n] = a[m, depth] b[depth, n], for rows of c that are contiguous. */
static inline void product_$T(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t depth, const $T *restrict a, ptrdiff_t ai, ptrdiff_t ak,
    const $T *restrict b, ptrdiff_t bk, ptrdiff_t bj, $T *restrict c)
{
    for (ptrdiff_t i = 0; i < m; i++, a += ai, c += n) {
        for (ptrdiff_t j = 0; j < n; j++)
            c[j] = 0;
        for (ptrdiff_t k = 0; k < depth; k++)
            for (ptrdiff_t j = 0; j < n; j++)
                c[j] += a[k * ak] * b[k * bk + j * bj];
    }
}
""",
}


class Predict(CPrinter):
    """Prints a program as the file; its inputs are the samples, and the arrays of the outputs.

    Attributes
    ----------
    prototype : str
    sizes : dict from the name of a parameter to its number of elements
    constants : dict from name to array
    scratch : dict from name to Buffer
    """

    function, own = "static void", PLAIN

    def _matrix_product(self, dtype: str, sizes: Any, a: Any, b: Any) -> str:
        self._needs("product", TYPES[dtype])
        m, n, depth, ai, ak, bk, bj = *sizes, *a, *b
        rest = f"{{0}}, {ai}, {ak}, {{1}}, {bk}, {bj}, {{2}}"
        return f"product_{TYPES[dtype]}({m}, {n}, {depth}, {rest});"

    def _main(self, calls: list[str]) -> Lines:
        program, used = self._plan.program, {*self.buffers}
        given = [self._plan.slots[v].buffer for v in program.inputs]
        names = [self._buffer(buffer) for buffer in given]
        self.sizes = {name: v.size for name, v in zip(names, program.inputs, strict=True)}
        texts = [
            f"{'const ' * (b not in self.written)}{c_type(b.dtype)} {name}[{max(n, 1)}]"
            for b, (name, n) in zip(given, self.sizes.items(), strict=True)
        ]
        self.prototype = f"void predict({', '.join(texts)})"
        known = {self._plan.slots[v].buffer: array for v, array in program.constants.items()}
        self.constants = {self.buffers[b]: known[b] for b in self.buffers if b in known}
        self.scratch = {n: b for b, n in self.buffers.items() if b not in known and b not in given}
        yield from ["", self.prototype, "{"]
        for name, array in self.constants.items():
            yield from _array_lines(f"    static const {c_type(array.dtype)} {name}", array)
        for name, b in self.scratch.items():
            yield f"    PREDICT_BUFFERS {c_type(b.dtype)} {name}[{b.slot.size}];"
        yield from (f"    (void){n};" for b, n in zip(given, names, strict=True) if b not in used)
        yield from [*calls, "}\n"]


def _array_lines(head: str, array: np.ndarray) -> Lines:
    """Yield the definition of a constant array."""
    numbers = [_number(x) for x in array.reshape(-1)] or ["0"]
    width = max(map(len, numbers)) + 2
    few = max(1, (WIDTH - 8) // width)
    yield f"{head}[{len(numbers)}] = {{"
    for i in range(0, len(numbers), few):
        yield f"        {', '.join(x.rjust(width - 2) for x in numbers[i : i + few])},"
    yield "    };"


def _number(x: Any) -> str:
    """Return a number as C reads it, without brackets."""
    if x.dtype.kind == "f" and not np.isfinite(x):
        return "NAN" if np.isnan(x) else "INFINITY" if x > 0 else "-INFINITY"
    text = literal(np.asarray(x), c_type(x.dtype))
    return text[1:-1] if text.startswith("(-") else text


def c_text(forward: Forward, name: str, version: str) -> str:
    """Return the C file of the forward pass of one sample; ValueError for what C cannot express."""
    for v, layer in forward.layer_of.items():
        v.section = f"layer_{layer.name}" if layer else "rest"
    program = simplify(forward.program)
    paths = tree.parts_like(program.form, program.result, "y")
    outs = [Var(v.shape, v.dtype, re.sub(r"\W+", "_", path).strip("_")) for path, v in paths]
    donate: dict[Var, Var] = {}
    for v, out in zip(program.outputs, outs, strict=True):
        donate.setdefault(v, out)
    try:
        plan = Plan(replace(program, inputs=(*program.inputs, *outs)), donate)
        for v, out, result in zip(program.outputs, outs, plan.results, strict=True):
            if donate[v] is not out:  # the model returns `v` twice
                plan.copies.append((plan.slots[out], result))
        printer = Predict(plan, "predict")
    except NotInCError as error:
        raise ValueError(f"export: {error}.") from None
    inputs = len(program.inputs)
    rows = [
        f"       {key}: {'input' if i < inputs else 'output'}, {v.dtype} of shape {v.shape[1:]}"
        for i, (key, v) in enumerate(zip(printer.sizes, plan.program.inputs, strict=True))
    ]
    about = ABOUT.format(
        name=plain(name),
        version=version,
        prototype=printer.prototype,
        rows="\n".join(rows),
        constant=sum(array.nbytes for array in printer.constants.values()),
        scratch=sum(b.slot.size * b.dtype.itemsize for b in printer.scratch.values()),
    )
    macros = [f"#define PREDICT_{key.upper()}_SIZE {n}" for key, n in printer.sizes.items()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join([about, *macros, BUFFERS, printer.text]))
