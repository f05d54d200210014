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
from ..engine.tensor import Equation, Primitive, wrap
from .program import Program, Var, infer, is_elementwise, typecheck
from .record import record, stand_in

# A function of a variable and its equation, which returns a better equation, or a variable that has
# the value already, or None.
Rule = Callable[["Rewrite", Var, Equation], Var | Equation | None]


class Rewrite:
    """A new program in the making: the equations of an old one, or better ones.

    Attributes
    ----------
    now : dict from Var to Var, what stands for a variable of the old program
    seen : dict, the variables that are computed already, by their equations
    dtypes : dict, see `infer`
    """

    def __init__(self, program: Program, rules: tuple[Rule, ...]) -> None:
        self.old = program
        self.rules = rules
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Equation] = {}
        self.now: dict[Var, Var] = {}
        self.seen: dict[Any, Var] = {}
        self.dtypes: dict[Any, Any] = {}
        self.changed = False
        for v, array in program.constants.items():
            same = self.constant(array, v)
            if same is not v:
                self.now[v] = same
                self.changed = True

    def constant(self, array: Any, v: Var | None = None) -> Var:
        """Return a constant, `v` or a new one; of the same single number there is one only."""
        key = (array.tobytes(), array.shape, array.dtype) if array.size == 1 else None
        if key in self.seen:
            return self.seen[key]
        v = v or Var(array.shape, array.dtype)
        self.constants[v] = array
        if key is not None:
            self.seen[key] = v
        return v

    def value(self, v: Var) -> float | None:
        """Return the number that `v` is known to be everywhere, or None."""
        array = self.constants.get(v)
        return array.item() if array is not None and array.size == 1 else None

    def add(self, v: Var, equation: Equation) -> Var:
        """Compute `v` by this equation, or by what the rules make of it; return its variable."""
        applying = True
        while applying:
            applying = False
            for rule in self.rules:
                found = rule(self, v, equation)
                if found is None:
                    continue
                self.changed = applying = True
                if isinstance(found, Var):
                    self.now[v] = found
                    return found
                equation = found
                break
        self.equations[v] = equation
        return v

    def new(self, like: Var, primitive: Primitive, *inputs: Var, **params: Any) -> Var:
        """Return a variable computed from `inputs` in the section of `like`."""
        kind = infer(primitive, inputs, params, self.dtypes)
        return self.add(Var(*kind, section=like.section), Equation(primitive, inputs, params))


def rewrite(program: Program, rules: tuple[Rule, ...]) -> Program:
    """Return the program with rules applied to each equation; itself if none changes anything."""
    new = Rewrite(program, rules)
    for v, equation in program.equations.items():
        if not new.now.keys().isdisjoint(equation.inputs):
            inputs = tuple([new.now.get(x, x) for x in equation.inputs])
            equation = equation._replace(inputs=inputs)
        new.add(v, equation)
    if not new.changed:
        return program
    outputs = tuple([new.now.get(v, v) for v in program.outputs])
    return replace(program, constants=new.constants, equations=new.equations, outputs=outputs)


def lower(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Replace operations that NumPy has no function for by those that they are composed of."""
    primitive, inputs, _ = equation
    if not primitive.composite:
        return None
    with no_grad():
        parts = record(primitive.impl, [wrap(stand_in(*x.type)) for x in inputs])
    now = dict(zip(parts.inputs, inputs, strict=True))
    now |= {c: new.constant(array) for c, array in parts.constants.items()}
    for part, inner in parts.equations.items():
        inner = inner._replace(inputs=tuple([now[x] for x in inner.inputs]))
        if part is parts.outputs[0]:
            return inner
        part.section = v.section
        now[part] = new.add(part, inner)
    return now[parts.outputs[0]]


def identities(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Leave out what changes nothing: times 1, by 1, aliases, shapes that are there already."""
    (name, inputs), same = (equation.primitive.name, equation.inputs), []
    if name in ("alias", "reshape", "broadcast_to", "cast"):
        same = [inputs[0]]
    elif name == "multiply":
        same = [x for x, y in (inputs, inputs[::-1]) if new.value(y) == 1]
    elif name == "divide" and new.value(inputs[1]) == 1:
        same = [inputs[0]]
    elif name == "sum" and (v.size, v.dtype) == (inputs[0].size, inputs[0].dtype):
        return Equation(
            PRIMITIVES["reshape"], inputs, {"newshape": v.shape}
        )  # sums of one element each
    elif name == "add" and inputs[0] is inputs[1] and v.dtype.kind == "f":
        return Equation(PRIMITIVES["multiply"], (inputs[0], new.constant(np.array(2, v.dtype))), {})
    for x in same:
        if x.type == v.type:
            x.name = x.name or v.name
            return x
    return None


def sums_of_repetitions(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Multiply instead of adding up repetitions, where they are 2 or 4 and that is exact."""
    if equation.primitive is not PRIMITIVES["sum"]:
        return None
    (repeated,) = equation.inputs
    x = _before_repetition(new, repeated)
    if x is repeated or x.dtype != v.dtype or not _sums_only(x, repeated, equation.params["axis"]):
        return None
    times = new.constant(np.array(repeated.size // x.size, x.dtype))
    total = new.new(v, PRIMITIVES["multiply"], x, times)
    return Equation(PRIMITIVES["reshape"], (total,), {"newshape": v.shape})


def _sums_only(x: Var, repeated: Var, axis: Any) -> bool:
    """Return whether the axes summed are those along which `x` was repeated, 2 or 4 times."""
    shape = (1,) * (repeated.ndim - x.ndim) + x.shape
    summed = range(repeated.ndim) if axis is None else axis
    return (
        bool(x.size)
        and repeated.size // x.size in (1, 2, 4)
        and all(n == 1 if i in summed else n == repeated.shape[i] for i, n in enumerate(shape))
    )


def unbroadcast_operands(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
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
    once = new.new(v, primitive, *small, **params)
    return Equation(PRIMITIVES["broadcast_to"], (once,), {"shape": v.shape})


def repetitions_of_scalars(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Give the repetitions of one element their final shape at once, to be dropped by operands."""
    if equation.primitive is PRIMITIVES["reshape"]:
        x = _before_repetition(new, equation.inputs[0])
        if x is not equation.inputs[0] and x.shape == ():
            return Equation(PRIMITIVES["broadcast_to"], (x,), {"shape": v.shape})
    return None


def _before_repetition(new: Rewrite, x: Var) -> Var:
    equation = new.equations.get(x)
    return (
        equation.inputs[0] if equation and equation.primitive is PRIMITIVES["broadcast_to"] else x
    )


def fold_constants(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Compute now what depends on constants alone, unless the result is larger than they are."""
    primitive, inputs, params = equation
    if not new.constants.keys() >= set(inputs) or v.size > sum([x.size for x in inputs]):
        return None
    known = [new.constants[x] for x in inputs]
    return new.constant(np.asarray(primitive.impl(*known, **params)))


def exact_factors(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
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
    inputs = inner, new.constant(np.array(before * factor, v.dtype))
    same = equation.primitive is PRIMITIVES["multiply"] and equation.inputs == inputs
    return None if same else Equation(PRIMITIVES["multiply"], inputs, {})


def _factor(new: Rewrite, v: Var, equation: Equation | None) -> tuple[Var | None, float]:
    """Return a variable of the type of `v` and the number whose product `v` is, or None."""
    name = "" if equation is None else equation.primitive.name
    if equation is None or name not in ("multiply", "divide") or v.dtype.char not in "fd":
        return None, 1.0
    inputs = equation.inputs
    for x, c in (inputs, inputs[::-1]) if name == "multiply" else (inputs,):
        value = new.value(c)
        if value is not None and x.type == v.type and c.dtype == v.dtype:
            if name == "multiply":
                return x, value
            if _is_exact(value):
                return x, 1.0 / value
    return None, 1.0


def _is_exact(factor: float) -> bool:
    """Return whether multiplying by `factor` only changes the exponent: a moderate power of 2."""
    return abs(math.frexp(factor)[0]) == 0.5 and _is_moderate(factor)


def _is_moderate(factor: float) -> bool:
    return factor == 0 or 2.0**-16 < abs(factor) < 2.0**16


def common_subexpressions(new: Rewrite, v: Var, equation: Equation) -> Var | Equation | None:
    """Compute once what is computed several times from the same inputs, constants included."""
    primitive, inputs, params = equation
    key = (primitive, inputs, tuple(sorted(params.items())) if params else ())
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
    if all(map(needed.issuperset, (program.equations, program.constants, program.captured))):
        return program
    return replace(
        program,
        equations={v: e for v, e in program.equations.items() if v in needed},
        constants={v: a for v, a in program.constants.items() if v in needed},
        captured={v: w for v, w in program.captured.items() if v in needed},
    )


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
    """Return the program with all rules applied and dead code left out, checked.

    No rule or pass changes it any more: a rule sees an equation and those before it, which are
    final by then, and does not see what uses the result, so one walk is enough.
    """
    return typecheck(dead_code(rewrite(program, rules)), program)
