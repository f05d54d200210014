"""Passes: they take a program to one that computes the same numbers with less work.

The same numbers to the last bit, but for the sign of a zero: a factor is only moved where
multiplying by it is exact. A rule looks at one equation, and at those that compute its inputs, and
returns a better equation or a variable that has the value already. `rewrite` walks over a program
and applies rules to each equation until none changes it; `dead_code` removes what no output needs;
`simplify` does both.

Imports `record.py`. Read next: `memory.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.bind import PRIMITIVES, no_grad
from ..engine.tensor import Equation, Primitive
from .program import Program, Var, infer, is_elementwise, typecheck
from .record import record

# What a rule returns: a better equation, or a variable that has the value already, or None.
Better = Var | Equation | None
Rule = Callable[["Rewrite", Var, Equation], Better]


class Rewrite:
    """A new program in the making: the equations of an old one, or better ones.

    Attributes
    ----------
    now : dict from Var to Var, what stands for a variable of the old program
    seen : dict, the variables that are computed already, by their equations
    """

    def __init__(self, program: Program, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Equation] = {}
        self.seen: dict[Any, Var] = {}
        self.now = {v: self.constant(array, v) for v, array in program.constants.items()}

    def constant(self, array: Any, v: Var | None = None) -> Var:
        """Return a constant, `v` or a new one; of the same single number there is one only."""
        v = v or Var(array.shape, array.dtype)
        if array.size == 1:
            v = self.seen.setdefault((array.tobytes(), array.shape, array.dtype), v)
        self.constants[v] = array
        return v

    def value(self, v: Var) -> float | None:
        """Return the number that `v` is known to be everywhere, or None."""
        array = self.constants.get(v)
        return array.item() if array is not None and array.size == 1 else None

    def add(self, v: Var, equation: Equation) -> Var:
        """Compute `v` by this equation, or by what the rules make of it; return its variable."""
        found: Better = equation
        while isinstance(found, Equation):
            equation, found = found, None
            for rule in self.rules:
                if (found := rule(self, v, equation)) is not None:
                    break
        if found is None:
            self.equations[v] = equation
            return v
        self.now[v] = found
        return found

    def new(self, like: Var, primitive: Primitive, *inputs: Var) -> Var:
        """Return a variable computed from `inputs` in the section of `like`."""
        kind = infer(primitive, inputs, {})
        return self.add(Var(*kind, section=like.section), Equation(primitive, inputs, {}))


def rewrite(program: Program, rules: tuple[Rule, ...]) -> Program:
    """Return the program with rules applied to each equation; an equal one if none changes it."""
    new = Rewrite(program, rules)
    for v, (primitive, inputs, params) in program.equations.items():
        new.add(v, Equation(primitive, tuple([new.now.get(x, x) for x in inputs]), params))
    outputs = tuple([new.now.get(v, v) for v in program.outputs])
    return replace(program, constants=new.constants, equations=new.equations, outputs=outputs)


def _equation(name: str, *inputs: Var, **params: Any) -> Equation:
    return Equation(PRIMITIVES[name], inputs, params)


def lower(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Replace operations that NumPy has no function for by those that they are composed of."""
    if not equation.primitive.composite:
        return None
    with no_grad():
        parts = record(equation.primitive.impl, equation.inputs)
    now = dict(zip(parts.inputs, equation.inputs, strict=True))
    now |= {c: new.constant(array) for c, array in parts.constants.items()}
    for part, (primitive, inputs, params) in parts.equations.items():
        inner = Equation(primitive, tuple([now[x] for x in inputs]), params)
        if part is parts.outputs[0]:
            return inner
        part.section = v.section
        now[part] = new.add(part, inner)
    return now[parts.outputs[0]]


def identities(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Leave out what changes nothing: times 1, by 1, aliases, shapes that are there already."""
    name, inputs = equation.primitive.name, equation.inputs
    if name == "sum" and (v.size, v.dtype) == (inputs[0].size, inputs[0].dtype):
        return _equation("reshape", *inputs, newshape=v.shape)  # sums of one element each
    if name == "add" and inputs[0] is inputs[1] and v.dtype.kind == "f":
        return _equation("multiply", inputs[0], new.constant(np.array(2, v.dtype)))
    same = [x for x, _, value in _scaled(new, equation) if value == 1]
    if name in ("alias", "reshape", "broadcast_to", "cast"):
        same = [inputs[0]]
    for x in same:
        if x.type == v.type:
            x.name = x.name or v.name
            return x
    return None


def sums_of_repetitions(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Multiply instead of adding up repetitions, where they are 2 or 4 and that is exact."""
    if equation.primitive is not PRIMITIVES["sum"]:
        return None
    (repeated,), axis = equation.inputs, equation.params["axis"]
    x = _before_repetition(new, repeated)
    times = repeated.size // max(x.size, 1)
    if x is repeated or x.dtype != v.dtype or times not in (1, 2, 4):
        return None
    for i, n in enumerate((1,) * (repeated.ndim - x.ndim) + x.shape):
        if n != (1 if axis is None or i in axis else repeated.shape[i]):
            return None  # along another axis
    total = new.new(v, PRIMITIVES["multiply"], x, new.constant(np.array(times, x.dtype)))
    return _equation("reshape", total, newshape=v.shape)


def unbroadcast_operands(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Compute elementwise functions before their operands are repeated, or without repeating them.

    They broadcast by themselves; and where all operands are repeated, the result is, too.
    """
    primitive, inputs, params = equation
    if not is_elementwise(primitive):
        return None
    small = tuple([_before_repetition(new, x) for x in inputs])
    if primitive is PRIMITIVES["power"]:  # NumPy raises to one exponent in another way than to many
        small = small[0], inputs[1]
    if small == inputs:
        return None
    if np.broadcast_shapes(*(x.shape for x in small)) == v.shape:
        return Equation(primitive, small, params)
    return _equation("broadcast_to", new.new(v, primitive, *small), shape=v.shape)


def repetitions_of_scalars(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Give the repetitions of one element their final shape at once, to be dropped by operands."""
    if equation.primitive is PRIMITIVES["reshape"]:
        x = _before_repetition(new, equation.inputs[0])
        if x is not equation.inputs[0] and x.shape == ():
            return _equation("broadcast_to", x, shape=v.shape)
    return None


def _before_repetition(new: Rewrite, x: Var) -> Var:
    equation = new.equations.get(x)
    repeats = equation is not None and equation.primitive is PRIMITIVES["broadcast_to"]
    return equation.inputs[0] if equation and repeats else x


def fold_constants(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Compute now what depends on constants alone, unless the result is larger than they are."""
    primitive, inputs, params = equation
    if not new.constants.keys() >= set(inputs) or v.size > sum([x.size for x in inputs]):
        return None
    known = [new.constants[x] for x in inputs]
    return new.constant(np.asarray(primitive.impl(*known, **params)))


def exact_factors(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Gather constant factors: ``(x * 2) / 32`` is ``x * 0.0625``.

    Only factors that are powers of two are moved past each other or past one other factor, as
    multiplying by them rounds nothing, unless the numbers are near the ends of the dtype's range,
    where float16 always is.
    """
    x, factor = _factor(new, v, equation)
    if x is None:
        return None
    inner, before = _factor(new, x, new.equations.get(x))
    exact = _is_exact(before) or _is_exact(factor)
    if inner is None or not exact or not _is_moderate(before * factor):
        inner, before = x, 1.0
    better = _equation("multiply", inner, new.constant(np.array(before * factor, v.dtype)))
    return None if better == equation else better


def _factor(new: Rewrite, v: Var, equation: Equation | None) -> tuple[Var | None, float]:
    """Return a variable of the type of `v` and the number whose product `v` is, or None."""
    if equation and v.dtype.char in "fd":
        for x, c, value in _scaled(new, equation):
            if x.type == v.type and c.dtype == v.dtype:
                if equation.primitive.name == "multiply":
                    return x, value
                if _is_exact(value):
                    return x, 1.0 / value
    return None, 1.0


def _scaled(new: Rewrite, equation: Equation) -> list[tuple[Var, Var, float]]:
    """Return `x`, `c` and the number `c` is, for each way to read ``x * c`` or ``x / c``."""
    name, inputs = equation.primitive.name, equation.inputs
    if name not in ("multiply", "divide"):
        return []
    ways = (inputs, inputs[::-1])[: 1 + (name == "multiply")]
    return [(x, c, value) for x, c in ways if (value := new.value(c)) is not None]


def _is_exact(factor: float) -> bool:
    """Return whether multiplying by `factor` only changes the exponent: a moderate power of 2."""
    return abs(math.frexp(factor)[0]) == 0.5 and _is_moderate(factor)


def _is_moderate(factor: float) -> bool:
    return factor == 0 or 2.0**-16 < abs(factor) < 2.0**16


def common_subexpressions(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Compute once what is computed several times from the same inputs, constants included."""
    primitive, inputs, params = equation
    key = (primitive, inputs, *sorted(params.items()))
    same = new.seen.get(key)
    if same in new.equations:
        return same
    new.seen[key] = v
    return None


def dead_code(program: Program) -> Program:
    """Leave out what no output needs."""
    needed = set(program.outputs)
    for v, equation in reversed(program.equations.items()):
        if v in needed:
            needed.update(equation.inputs)
    parts: dict[str, Any] = {k: getattr(program, k) for k in ("constants", "captured", "equations")}
    for name, part in parts.items():
        parts[name] = {v: x for v, x in part.items() if v in needed}
    return replace(program, **parts)


RULES: tuple[Rule, ...] = (
    lower,
    identities,
    sums_of_repetitions,
    unbroadcast_operands,
    repetitions_of_scalars,
    fold_constants,
    exact_factors,
    common_subexpressions,
)


def simplify(program: Program, rules: tuple[Rule, ...] = RULES) -> Program:
    """Return the program with all rules applied and dead code left out.

    No rule or pass changes it any more: a rule sees an equation and those before it, which are
    final by then, and does not see what uses the result, so one walk is enough. The new program
    is checked once; the tests check it after each rule.
    """
    return typecheck(dead_code(rewrite(program, rules)), program)
