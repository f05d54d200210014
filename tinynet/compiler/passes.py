"""Passes: each takes a program to one that computes the same numbers with less work.

The same numbers to the last bit, but for the sign of a zero: a factor is only moved where
multiplying by it is exact. Most passes are rules: a rule looks at one equation, and at those that
compute its inputs, and returns a better equation or a variable that has the value already. One walk
over a program applies all rules to each equation until none changes it; `simplify` repeats the
passes until the program stays as it is.

Imports `record.py`. Read next: `memory.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import primitives as p
from ..engine.tensor import Equation, Primitive, no_grad, wrap
from .program import Program, Var, infer, is_elementwise, typecheck
from .record import record, stand_in

OF = p.REGISTRY
LIMIT = 20  # rounds in `simplify`
Pass = Callable[[Program], Program]


class Rewrite:
    """A new program in the making: equations of the old one are read, or better ones written.

    Attributes
    ----------
    now : dict from Var to Var, what stands for a variable of the old program
    seen : dict, the variables that are computed already, by their equations
    """

    def __init__(self, program: Program, rules: tuple[Rule, ...] = ()) -> None:
        self.old = program
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Any] = {}
        self.now: dict[Var, Var] = {}
        self.seen: dict[Any, Var] = {}
        self._rules = rules
        self._rules_of: dict[Primitive, list[Any]] = {}
        for v, array in program.constants.items():
            same = self.constant(array, v)
            if same is not v:
                self.now[v] = same
        self._changed = bool(self.now)

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

    def add(self, v: Var, equation: Any) -> Var:
        """Compute `v` by this equation, or by what the rules make of it; return its variable."""
        rules, i = self._applying(equation.primitive), 0
        while i < len(rules):
            found = rules[i](self, v, equation)
            i += 1
            if found is not None:
                self._changed = True
                if isinstance(found, Var):
                    self.now[v] = found
                    return found
                equation = found
                rules, i = self._applying(equation.primitive), 0
        self.equations[v] = equation
        return v

    def new(self, like: Var, primitive: Primitive, *inputs: Var, **params: Any) -> Var:
        """Return a variable computed from `inputs` in the section of `like`."""
        kind = infer(primitive, inputs, params, self.old.types)
        return self.add(Var(*kind, section=like.section), _equation(primitive, inputs, params))

    def _applying(self, primitive: Primitive) -> list[Any]:
        if primitive not in self._rules_of:
            applying = [rule.function for rule in self._rules if rule.when(primitive)]
            self._rules_of[primitive] = applying
        return self._rules_of[primitive]

    def done(self) -> Program:
        """Return the new program; the old one if nothing has changed."""
        for v, equation in self.old.equations.items():
            if not self.now.keys().isdisjoint(equation.inputs):
                inputs = tuple([self.now.get(x, x) for x in equation.inputs])
                equation = _equation(equation.primitive, inputs, equation.params)
            self.add(v, equation)
        if not self._changed:
            return self.old
        outputs = tuple([self.now.get(v, v) for v in self.old.outputs])
        return replace(
            self.old, constants=self.constants, equations=self.equations, outputs=outputs
        )


def _equation(primitive: Primitive, inputs: Any, params: dict[str, Any]) -> Any:
    return Equation(primitive, inputs, params)


class Rule:
    """A pass that looks at one equation at a time; made by `rule`."""

    def __init__(self, function: Any, when: Callable[[Primitive], bool]) -> None:
        self.function = function
        self.when = when
        self.__name__: str = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, program: Program) -> Program:
        """Return the program with this rule applied to each equation."""
        return Rewrite(program, (self,)).done()


def rule(*names: str, when: Callable[[Primitive], bool] = lambda _: True) -> Callable[[Any], Rule]:
    """Decorate a function of (rewrite, variable, equation), for primitives of these names or all.

    It returns a better equation for the variable, a variable of the same value, or None.
    """
    return lambda function: Rule(function, lambda p: p.name in names if names else when(p))


@rule("alias", "reshape", "broadcast_to", "cast", "multiply", "divide", "sum", "add")
def identities(new: Rewrite, v: Var, equation: Any) -> Any:
    """Leave out what changes nothing: times 1, by 1, aliases, shapes that are there already."""
    primitive, inputs, _ = equation
    same = _unchanged(new, v, primitive, inputs)
    if same is not None:
        same.name = same.name or v.name
        return same
    x = inputs[0]
    if primitive is OF["sum"] and (v.size, v.dtype) == (x.size, x.dtype):
        return _equation(OF["reshape"], inputs, {"newshape": v.shape})  # sums of one element each
    if primitive is OF["add"] and x is inputs[1] and v.dtype.kind == "f":
        return _equation(OF["multiply"], (x, new.constant(np.array(2, v.dtype))), {})
    return None


def _unchanged(new: Rewrite, v: Var, primitive: Primitive, inputs: tuple[Var, ...]) -> Var | None:
    """Return the input that `v` is equal to in shape, dtype and every element, or None."""
    x = inputs[0]
    if primitive.name in ("alias", "reshape", "broadcast_to", "cast"):
        return x if x.type == v.type else None
    if primitive.name in ("multiply", "divide"):
        if x.type == v.type and new.value(inputs[1]) == 1:
            return x
        if primitive.name == "multiply" and inputs[1].type == v.type and new.value(x) == 1:
            return inputs[1]
    return None


@rule("sum")
def sums_of_repetitions(new: Rewrite, v: Var, equation: Any) -> Any:
    """Multiply instead of adding up repetitions, where they are 2 or 4 and that is exact."""
    (repeated,) = equation.inputs
    x = _before_repetition(new, repeated)
    if x is repeated or x.dtype != v.dtype or not _sums_only(x, repeated, equation.params["axis"]):
        return None
    times = new.constant(np.array(repeated.size // x.size, x.dtype))
    total = new.new(v, OF["multiply"], x, times)
    return _equation(OF["reshape"], (total,), {"newshape": v.shape})


def _sums_only(x: Var, repeated: Var, axis: Any) -> bool:
    """Return whether the axes summed are those along which `x` was repeated, 2 or 4 times."""
    shape = (1,) * (repeated.ndim - x.ndim) + x.shape
    summed = range(repeated.ndim) if axis is None else axis
    return (
        bool(x.size)
        and repeated.size // x.size in (1, 2, 4)
        and all(n == 1 if i in summed else n == repeated.shape[i] for i, n in enumerate(shape))
    )


@rule(when=is_elementwise)
def unbroadcast_operands(new: Rewrite, v: Var, equation: Any) -> Any:
    """Compute elementwise functions before their operands are repeated, or without repeating them.

    They broadcast by themselves; and where all operands are repeated, the result is, too.
    """
    primitive, inputs, params = equation
    small = tuple([_before_repetition(new, x) for x in inputs])
    if primitive is OF["power"]:  # NumPy raises to one exponent in another way than to many
        small = small[0], inputs[1]
    if small == inputs:
        return None
    if np.broadcast_shapes(*(x.shape for x in small)) == v.shape:
        return _equation(primitive, small, params)
    once = new.new(v, primitive, *small, **params)
    return _equation(OF["broadcast_to"], (once,), {"shape": v.shape})


@rule("reshape")
def repetitions_of_scalars(new: Rewrite, v: Var, equation: Any) -> Any:
    """Give the repetitions of one element their final shape at once, to be dropped by operands."""
    x = _before_repetition(new, equation.inputs[0])
    if x is equation.inputs[0] or x.shape != ():
        return None
    return _equation(OF["broadcast_to"], (x,), {"shape": v.shape})


def _before_repetition(new: Rewrite, x: Var) -> Var:
    equation = new.equations.get(x)
    return equation.inputs[0] if equation and equation.primitive is OF["broadcast_to"] else x


@rule()
def fold_constants(new: Rewrite, v: Var, equation: Any) -> Any:
    """Compute now what depends on constants alone, unless the result is larger than they are."""
    primitive, inputs, params = equation
    if not new.constants.keys() >= set(inputs) or v.size > sum([x.size for x in inputs]):
        return None
    known = [new.constants[x] for x in inputs]
    return new.constant(np.asarray(primitive.impl(*known, **params)))


@rule("multiply", "divide")
def exact_factors(new: Rewrite, v: Var, equation: Any) -> Any:
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
    gathered = inner, new.constant(np.array(before * factor, v.dtype))
    if equation.primitive is OF["multiply"] and equation.inputs == gathered:
        return None
    return _equation(OF["multiply"], gathered, {})


def _factor(new: Rewrite, v: Var, equation: Any) -> tuple[Var | None, float]:
    """Return a variable of the type of `v` and the number whose product `v` is, or None."""
    if equation is None or v.dtype.char not in "fd":
        return None, 1.0
    name, inputs = equation.primitive.name, equation.inputs
    if name == "multiply":
        for x, c in (inputs, inputs[::-1]):
            value = new.value(c)
            if value is not None and c.dtype == x.dtype and x.type == v.type:
                return x, value
    if name == "divide" and inputs[0].type == v.type and inputs[1].dtype == v.dtype:
        value = new.value(inputs[1])
        if value is not None and _is_exact(value):
            return inputs[0], 1.0 / value
    return None, 1.0


def _is_exact(factor: float) -> bool:
    """Return whether multiplying by `factor` only changes the exponent: a moderate power of 2."""
    return abs(math.frexp(factor)[0]) == 0.5 and _is_moderate(factor)


def _is_moderate(factor: float) -> bool:
    return factor == 0 or 2.0**-16 < abs(factor) < 2.0**16


@rule()
def common_subexpressions(new: Rewrite, v: Var, equation: Any) -> Any:
    """Compute once what is computed several times from the same inputs, constants included."""
    primitive, inputs, params = equation
    key = (primitive, inputs, tuple(sorted(params.items())) if params else ())
    same = new.seen.setdefault(key, v)
    return None if same is v else same


def lower(program: Program) -> Program:
    """Replace operations that NumPy has no function for by those that they are composed of."""
    equations: dict[Var, Any] = {}
    constants = dict(program.constants)
    recorded: dict[Any, Program] = {}
    for v, equation in program.equations.items():
        primitive, inputs, _ = equation
        if not primitive.composite:
            equations[v] = equation
            continue
        key = primitive, tuple([x.type for x in inputs])
        if key not in recorded:
            with no_grad():
                recorded[key] = record(primitive.impl, [wrap(stand_in(*x.type)) for x in inputs])
            program.types.update(recorded[key].types)
            constants |= recorded[key].constants
        parts = recorded[key]
        stands = dict(zip(parts.inputs, inputs, strict=True))
        for part, (inner, xs, params) in parts.equations.items():
            out = v if part is parts.outputs[0] else Var(*part.type, part.name, v.section)
            stands[part] = out
            equations[out] = _equation(inner, tuple([stands.get(x, x) for x in xs]), params)
    return replace(program, constants=constants, equations=equations) if recorded else program


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


RULES = (
    identities,
    sums_of_repetitions,
    unbroadcast_operands,
    repetitions_of_scalars,
    fold_constants,
    exact_factors,
    common_subexpressions,
)


def rewrite(program: Program) -> Program:
    """Apply all rules."""
    return Rewrite(program, RULES).done()


PASSES: tuple[Pass, ...] = (lower, rewrite, dead_code)


def simplify(
    program: Program, passes: tuple[Pass, ...] = PASSES, check_each: bool = False
) -> Program:
    """Return the program after all passes, repeated until nothing changes, and checked at the end.

    With `check_each` it is checked after each pass, too.
    """
    recorded = program
    for _ in range(LIMIT):
        before = program
        for each in passes:
            program = each(program)
            if check_each:
                typecheck(program)
        if program is before:
            break
    return typecheck(program, recorded)
