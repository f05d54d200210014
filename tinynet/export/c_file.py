"""A forward pass as one C file with the weights inside, and a function `predict` of one sample.

The beginning of the file is the template ``about.c``.

Imports `forward.py` and `../compiler/`. Read next: `onnx_file.py`.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from string import Template

import numpy as np

from .. import tree
from ..compiler.c_printer import CPrinter
from ..compiler.c_text import Lines, c_type, literal
from ..compiler.memory import Buffer, Plan
from ..compiler.passes import simplify
from ..compiler.program import Names, NotInCError, Var
from ..public import text_of
from .forward import Forward
from .numpy_file import WIDTH, plain

ABOUT = Template(text_of(__package__, "about.c"))


def c_text(forward: Forward, name: str, version: str) -> str:
    """Return the C file of the forward pass of one sample; ValueError for what C cannot express."""
    for v, layer in forward.layer_of.items():
        v.section = f"layer_{layer.name}" if layer else "rest"
    program = simplify(forward.program)
    paths = tree.parts_like(program.form, program.result, "y")
    outs = [Var(v.shape, v.dtype, re.sub(r"\W+", "_", path)) for path, v in paths]
    places = dict(zip(reversed(program.outputs), reversed(outs), strict=True))
    try:
        plan = Plan(replace(program, inputs=(*program.inputs, *outs)), places)
        for v, out, found in zip(program.outputs, outs, plan.results, strict=True):
            plan.copies += [(plan.slots[out], found)] * (places[v] is not out)  # `v` comes twice
        printer = Predict(plan, "predict")
    except NotInCError as error:
        raise ValueError(f"export: {error}.") from None
    new, given = Names().new, zip(printer.given, plan.program.inputs, strict=True)
    sizes = [
        f"#define {new(f'PREDICT_{key.upper()}_SIZE')} {v.size} /* of shape {v.shape[1:]} */"
        for key, v in given
    ]
    about = ABOUT.substitute(
        name=plain(name),
        version=version,
        prototype=printer.prototype,
        constant=printer.memory[True],
        scratch=printer.memory[False],
        sizes="\n".join(sizes),
    )
    return re.sub(r"\n{3,}", "\n\n", f"{about}\n{printer.text}")


class Predict(CPrinter):
    """Prints a program as a function of the inputs of one sample and arrays for its outputs.

    Attributes
    ----------
    prototype : str
    given : dict from name to Buffer, the parameters
    memory : list of two int, the bytes of intermediate results, and of constants
    """

    function, style, pool_from = "static void", "plain/", math.inf

    def _main(self, calls: list[str]) -> Lines:
        """Yield `predict`: its constants, its buffers, and the calls of the layers' functions."""
        given = [self._plan.slots[v].buffer for v in self._plan.program.inputs]
        constants, used = self._plan.program.constants, {*self.buffers.values()}
        arrays = {self._plan.slots[v].buffer: array for v, array in constants.items()}
        self.given = {self._buffer(b): b for b in given}
        const = {b: "" if b in self.written else "const " for b in self.buffers}
        parameters = [f"{const[b]}{_declared(b, name)}" for name, b in self.given.items()]
        self.prototype = f"void predict({', '.join(parameters)})"
        self.memory = [0, 0]
        yield from ["", self.prototype, "{"]
        local = [b for b, name in self.buffers.items() if name not in self.given]
        for b in sorted(local, key=lambda b: b not in arrays):
            self.memory[b in arrays] += b.slot.size * b.dtype.itemsize
            if b in arrays:
                yield f"    static const {_declared(b, self.buffers[b])} = {{"
                yield from _columns(arrays[b])
                yield "    };"
            else:
                yield f"    PREDICT_BUFFERS {_declared(b, self.buffers[b])};"
        yield from (f"    (void){name};" for name in self.given if name not in used)
        yield from [*calls, "}\n"]


def _declared(b: Buffer, name: str) -> str:
    return f"{c_type(b.dtype)} {name}[{max(b.slot.size, 1)}]"


def _columns(array: np.ndarray) -> Lines:
    """Yield lines with the numbers of an array in columns; 0 if there are none."""
    kind = c_type(array.dtype)
    texts = [literal(x, kind) for x in array.reshape(-1)] or ["0"]
    texts = [text[1:-1] if text.startswith("(-") else text for text in texts]
    width = max(map(len, texts))
    few = (WIDTH - 8) // (width + 2)
    for i in range(0, len(texts), few):
        yield f"        {', '.join(x.rjust(width) for x in texts[i : i + few])},"
