"""Passes: each takes a program to one that computes the same numbers with less work.

The same numbers to the last bit, but for the sign of a zero: a factor is only moved where
multiplying by it is exact. Each pass is a small function; `simplify` runs them and checks the
program after each.

Imports `program.py`. Read next: `buffers.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.bind import PRIMITIVES, no_grad
from ..engine.tensor import Equation, Primitive, wrap
from .program import Program, Var, infer, is_elementwise, typecheck
from .record import record, stand_in

Pass = Callable[[Program], Program]


class Rewrite:
    """A program in the making: the equations of an old one are read, those of a new one written."""

    def __init__(self, program: Program) -> None:
        self.old = program
        self.constants = dict(program.constants)
        self.equations: dict[Var, Equation] = {}
        self.now: dict[Var, Var] = {}  # what stands for a variable of the old program

    def __iter__(self) -> Iterator[tuple[Var, Primitive, tuple[Var, ...], dict[str, Any]]]:
        """Yield the old equations in order, their inputs replaced by what stands for them now."""
        for v, (primitive, inputs, params) in self.old.equations.items():
            yield v, primitive, tuple(self.now.get(x, x) for x in inputs), params

    def keep(self, v: Var, primitive: Primitive, inputs: Any, params: Any) -> Var:
        """Compute `v` by this equation."""
        self.equations[v] = Equation(primitive, tuple(inputs), params)
        return v

    def new(self, like: Var, name: str, *inputs: Var, **params: Any) -> Var:
        """Return a new variable, computed from `inputs` where `like` would be."""
        v = Var(*infer(PRIMITIVES[name], inputs, params, self.old.types), section=like.section)
        return self.keep(v, PRIMITIVES[name], inputs, params)

    def constant(self, array: Any) -> Var:
        """Return a new constant."""
        v = Var(np.shape(array), array.dtype)
        self.constants[v] = array
        return v

    def value(self, v: Var) -> float | None:
        """Return the number that `v` is known to be everywhere, or None."""
        array = self.constants.get(v)
        return array.item() if array is not None and array.size == 1 else None

    def done(self) -> Program:
        """Return the new program."""
        outputs = tuple(self.now.get(v, v) for v in self.old.outputs)
        return replace(
            self.old, constants=self.constants, equations=self.equations, outputs=outputs
        )


def lower(program: Program) -> Program:
    """Replace operations that NumPy has no function for by those that they are composed of."""
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        if not primitive.composite:
            new.keep(v, primitive, inputs, params)
            continue
        examples = [wrap(stand_in(x.shape, x.dtype)) for x in inputs]
        with no_grad():
            parts = record(primitive.impl, examples)
        new.constants |= parts.constants
        program.types.update(parts.types)
        stands = dict(zip(parts.inputs, inputs, strict=True))
        for part, (inner, xs, inner_params) in parts.equations.items():
            out = v if part is parts.outputs[0] else part
            out.section = v.section
            stands[part] = new.keep(out, inner, (stands.get(x, x) for x in xs), inner_params)
    return new.done()


def dead_code(program: Program) -> Program:
    """Leave out what no output needs."""
    needed = set(program.outputs)
    for v, equation in reversed(program.equations.items()):
        if v in needed:
            needed.update(equation.inputs)
    return replace(
        program,
        equations={v: e for v, e in program.equations.items() if v in needed},
        constants={v: a for v, a in program.constants.items() if v in needed},
        captured={v: w for v, w in program.captured.items() if v in needed},
    )


def fold_constants(program: Program) -> Program:
    """Compute now what depends on constants alone, unless the result is larger than they are."""
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        known = [new.constants.get(x) for x in inputs]
        if all(a is not None for a in known) and v.size <= sum(x.size for x in inputs):
            new.now[v] = new.constant(np.asarray(primitive.impl(*known, **params)))
        else:
            new.keep(v, primitive, inputs, params)
    return new.done()


def common_subexpressions(program: Program) -> Program:
    """Compute once what is computed several times from the same inputs, constants included."""
    new = Rewrite(program)
    scalars: dict[Any, Var] = {}
    for v, array in program.constants.items():
        if array.size == 1:
            new.now[v] = scalars.setdefault((array.tobytes(), *v.type), v)
    seen: dict[Any, Var] = {}
    for v, primitive, inputs, params in new:
        key = (primitive, inputs, tuple(sorted(params.items())))
        if key in seen:
            new.now[v] = seen[key]
        else:
            seen[key] = new.keep(v, primitive, inputs, params)
    return new.done()


def identities(program: Program) -> Program:
    """Leave out what changes nothing: times 1, by 1, aliases, shapes that are there already."""
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        same = _unchanged(new, v, primitive, inputs)
        if same is not None:
            new.now[v] = same
            same.name = same.name or v.name
        elif primitive is PRIMITIVES["sum"] and (v.size, v.dtype) == (
            inputs[0].size,
            inputs[0].dtype,
        ):
            new.keep(
                v, PRIMITIVES["reshape"], inputs, {"newshape": v.shape}
            )  # sums of one element each
        elif primitive is PRIMITIVES["add"] and inputs[0] is inputs[1] and v.dtype.kind == "f":
            two = new.constant(np.array(2, v.dtype))
            new.keep(v, PRIMITIVES["multiply"], (inputs[0], two), {})
        else:
            new.keep(v, primitive, inputs, params)
    return new.done()


def repetitions_of_scalars(program: Program) -> Program:
    """Give the repetitions of one element their final shape at once, to be dropped by operands."""
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        x = _before_repetition(new, inputs[0]) if primitive is PRIMITIVES["reshape"] else inputs[0]
        if x is not inputs[0] and x.shape == ():
            new.keep(v, PRIMITIVES["broadcast_to"], (x,), {"shape": v.shape})
        else:
            new.keep(v, primitive, inputs, params)
    return new.done()


def _unchanged(new: Rewrite, v: Var, primitive: Primitive, inputs: tuple[Var, ...]) -> Var | None:
    """Return the input that `v` is equal to in shape, dtype and every element, or None."""
    candidates: list[Var] = []
    if primitive.name in ("alias", "reshape", "broadcast_to", "cast"):
        candidates = [inputs[0]]
    elif primitive.name == "multiply":
        candidates = [a for a, b in (inputs, inputs[::-1]) if new.value(b) == 1]
    elif primitive.name == "divide" and new.value(inputs[1]) == 1:
        candidates = [inputs[0]]
    return next((x for x in candidates if x.type == v.type), None)


def exact_factors(program: Program) -> Program:
    """Gather constant factors: ``(x * 2) / 32`` is ``x * 0.0625``.

    Only factors that are powers of two are moved past each other or past one other factor, as
    multiplying by them rounds nothing, unless the numbers are near the ends of the dtype's range,
    where float16 always is.
    """
    new = Rewrite(program)
    scaled: dict[Var, tuple[Var, float]] = {}  # v is the product of the variable and the number
    for v, primitive, inputs, params in new:
        x, factor = _factor(new, primitive, inputs)
        if x is None or v.dtype.name not in ("float32", "float64") or x.type != v.type:
            new.keep(v, primitive, inputs, params)
            continue
        inner, before = scaled.get(x, (x, 1.0))
        if not (_is_exact(before) or _is_exact(factor)) or not _is_moderate(before * factor):
            inner, before = x, 1.0
        scaled[v] = inner, before * factor
        constant = new.constant(np.array(before * factor, v.dtype))
        new.keep(v, PRIMITIVES["multiply"], (inner, constant), {})
    return new.done()


def _factor(
    new: Rewrite, primitive: Primitive, inputs: tuple[Var, ...]
) -> tuple[Var | None, float]:
    """Return the variable and the number whose product an equation computes, or None."""
    if primitive.name == "multiply":
        for x, c in (inputs, inputs[::-1]):
            value = new.value(c)
            if value is not None and c.dtype == x.dtype:
                return x, value
    if primitive.name == "divide":
        value = new.value(inputs[1])
        if value is not None and _is_exact(value) and inputs[1].dtype == inputs[0].dtype:
            return inputs[0], 1.0 / value
    return None, 1.0


def _is_exact(factor: float) -> bool:
    """Return whether multiplying by `factor` only changes the exponent: a moderate power of 2."""
    return abs(math.frexp(factor)[0]) == 0.5 and _is_moderate(factor)


def _is_moderate(factor: float) -> bool:
    return factor == 0 or 2.0**-16 < abs(factor) < 2.0**16


def unbroadcast_operands(program: Program) -> Program:
    """Compute elementwise functions before their operands are repeated, or without repeating them.

    They broadcast by themselves; and where all operands are repeated, the result is, too.
    """
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        if not is_elementwise(primitive):
            new.keep(v, primitive, inputs, params)
            continue
        small = tuple(_before_repetition(new, x) for x in inputs)
        if (
            primitive is PRIMITIVES["power"]
        ):  # NumPy raises to one exponent in another way than to many
            small = small[0], inputs[1]
        if np.broadcast_shapes(*(x.shape for x in small)) == v.shape:
            new.keep(v, primitive, small, params)
        else:
            once = new.new(v, primitive.name, *small, **params)
            new.keep(v, PRIMITIVES["broadcast_to"], (once,), {"shape": v.shape})
    return new.done()


def _before_repetition(new: Rewrite, x: Var) -> Var:
    equation = new.equations.get(x)
    repeat = PRIMITIVES["broadcast_to"]
    return equation.inputs[0] if equation and equation.primitive is repeat else x  # type: ignore[return-value]


def sums_of_repetitions(program: Program) -> Program:
    """Multiply instead of adding up repetitions, where they are 2 or 4 and that is exact."""
    new = Rewrite(program)
    for v, primitive, inputs, params in new:
        x = _before_repetition(new, inputs[0]) if primitive is PRIMITIVES["sum"] else inputs[0]
        if x is not inputs[0] and x.dtype == v.dtype and _sums_only(x, inputs[0], params["axis"]):
            times = inputs[0].size // x.size
            total = new.new(v, "multiply", x, new.constant(np.array(times, x.dtype)))
            new.keep(v, PRIMITIVES["reshape"], (total,), {"newshape": v.shape})
        else:
            new.keep(v, primitive, inputs, params)
    return new.done()


def _sums_only(x: Var, repeated: Var, axis: Any) -> bool:
    """Return whether the axes summed are those along which `x` was repeated, 2 or 4 times."""
    shape = (1,) * (repeated.ndim - x.ndim) + x.shape
    summed = range(repeated.ndim) if axis is None else axis
    return (
        bool(x.size)
        and repeated.size // x.size in (1, 2, 4)
        and all(n == 1 if i in summed else n == repeated.shape[i] for i, n in enumerate(shape))
    )


PASSES: tuple[Pass, ...] = (
    lower,
    dead_code,
    identities,
    sums_of_repetitions,
    unbroadcast_operands,
    repetitions_of_scalars,
    unbroadcast_operands,
    fold_constants,
    exact_factors,
    fold_constants,
    identities,
    common_subexpressions,
    identities,
    exact_factors,
    common_subexpressions,
    dead_code,
)


def simplify(program: Program, passes: tuple[Pass, ...] = PASSES) -> Program:
    """Return the program after all passes, each checked."""
    for each in passes:
        program = typecheck(each(program))
    return program
