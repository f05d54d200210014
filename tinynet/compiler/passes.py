"""Passes: rewrite a program as one that computes the same numbers with less work.

The numbers are the same to the last bit, except for the sign of a zero: a factor is only moved
where multiplying by it is exact. A rule looks at one equation, and at those that compute its
inputs, and returns a better equation or a variable that already has the value. `simplify` walks
over a program and applies rules to each equation until none changes it.

Imports `record.py`. Read next: `memory.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine.bind import PRIMITIVES, no_grad
from ..engine.tensor import Equation
from .program import Program, Var
from .record import record, stand_in

# What a rule returns: a better equation, or a variable that already has the value, or None.
Better = Var | Equation | None
Rule = Callable[["Rewrite", Var, Equation], Better]


class Rewrite:
    """A new program under construction: the equations of an old one, or better ones.

    Attributes
    ----------
    now : dict from Var to Var, from variables of the old program to those that replace them
    seen : dict, the variables that are computed already, by their equations
    """

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Equation] = {}
        self.now: dict[Var, Var] = {}
        self.seen: dict[Any, Var] = {}

    def run(self, program: Program) -> tuple[Var, ...]:
        """Add the equations of a program; return the variables of its outputs."""
        now = self.now
        now |= {v: self.constant(array, v) for v, array in program.constants.items()}
        for v, (primitive, inputs, params) in program.equations.items():
            self.add(v, Equation(primitive, tuple([now.get(x, x) for x in inputs]), params))
        return tuple([now.get(v, v) for v in program.outputs])

    def constant(self, array: Any, v: Var | None = None) -> Var:
        """Return the variable of a constant, `v` or a new one; equal single numbers share one."""
        v = v or Var(array.shape, array.dtype)
        if array.size == 1:
            v = self.seen.setdefault((array.tobytes(), array.shape, array.dtype), v)
        self.constants[v] = array
        return v

    def add(self, v: Var, equation: Equation) -> Var:
        """Add the equation of `v`, as the rules rewrite it; return the variable of its value.

        Common subexpressions, constants included, are computed once.
        """
        given, key = equation, _key(equation)
        better: Better = self.seen.get(key, equation)
        while isinstance(better, Equation):
            equation, better = better, None
            for rule in self.rules:
                if (better := rule(self, v, equation)) is not None:
                    break
        if better is None and equation is not given:
            check_type(v, equation)
        self.seen[key] = now = better or self.seen.setdefault(_key(equation), v)
        assert now.type == v.type, f"{now.type_text} in place of {v.type_text}"
        if now is v:
            self.equations[v] = equation
        elif now not in self.constants:
            now.name = now.name or v.name
        self.now[v] = now
        return now


def check_type(v: Var, equation: Equation) -> None:
    """Raise an AssertionError unless an equation gives the type that its variable has.

    Types are observed, not computed: the primitive is run on zeros, on one if it is elementwise.
    """
    (primitive, inputs, params), shapes = equation, [x.shape for x in equation.inputs]
    used = [()] * len(shapes) if primitive.elementwise else shapes
    zeros = [stand_in(shape, x.dtype) for shape, x in zip(used, inputs, strict=True)]
    with np.errstate(all="ignore"):
        found = np.asarray(primitive.impl(*zeros, **params))
    new = Var(np.broadcast_shapes(*shapes) if used is not shapes else found.shape, found.dtype)
    assert new.type == v.type, f"{primitive.name} gives {new.type_text}, not {v.type_text}"


def _key(equation: Equation) -> tuple[Any, ...]:
    return equation.primitive, equation.inputs, *equation.params.items()


def _equation(name: str, *inputs: Var, **params: Any) -> Equation:
    return Equation(PRIMITIVES[name], inputs, params)


def lower(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Replace a primitive that is composed of NumPy functions by these functions."""
    if not equation.primitive.composite:
        return None
    with no_grad():
        parts = record(equation.primitive.impl, equation.inputs)
    new.now |= zip(parts.inputs, equation.inputs, strict=True)
    for part in parts.equations:
        part.section = v.section
    parts.outputs[0].name = v.name
    return new.run(parts)[0]


def identities(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Leave out operations that change nothing, such as a reshape to the same shape."""
    name, inputs = equation.primitive.name, equation.inputs
    if name == "sum" and (v.size, v.dtype) == (inputs[0].size, inputs[0].dtype):
        return _equation("reshape", *inputs, newshape=v.shape)  # sums of one element each
    if name in ("alias", "reshape", "broadcast_to", "cast") and inputs[0].type == v.type:
        return inputs[0]
    return None


def unbroadcast_operands(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Move `broadcast_to` from the operands of an elementwise function to its result, or drop it.

    The function broadcasts by itself, so its result is repeated only if all operands were.
    """
    primitive, inputs, params = equation
    if not primitive.elementwise:
        return None
    small = tuple([_before_repetition(new, x) for x in inputs])
    if primitive is PRIMITIVES["power"]:  # NumPy computes a power by one exponent in another way
        small = small[0], inputs[1]
    if small == inputs:
        return None
    shape = np.broadcast_shapes(*[x.shape for x in small])
    if shape == v.shape:
        return Equation(primitive, small, params)
    result = new.add(Var(shape, v.dtype, section=v.section), Equation(primitive, small, params))
    return _equation("broadcast_to", result, shape=v.shape)


def _before_repetition(new: Rewrite, x: Var) -> Var:
    """Return the variable that `x` repeats, else `x`; a repeated number may have been reshaped."""
    equation, reshaped = new.equations.get(x), False
    while equation and equation.primitive.name == "reshape":
        equation, reshaped = new.equations.get(equation.inputs[0]), True
    if equation is None or equation.primitive.name != "broadcast_to":
        return x
    (before,) = equation.inputs
    return x if reshaped and before.shape else before


def fold_constants(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Compute what depends on constants alone, unless the result is larger than they are."""
    primitive, inputs, params = equation
    if not new.constants.keys() >= set(inputs) or v.size > sum([x.size for x in inputs]):
        return None
    known = [new.constants[x] for x in inputs]
    return new.constant(np.asarray(primitive.impl(*known, **params)))


def exact_factors(new: Rewrite, v: Var, equation: Equation) -> Better:
    """Gather constant factors: ``(x * 2) / 32`` is ``x * 0.0625``, and ``x * 1`` is ``x``.

    Two factors are multiplied only if one of them is a power of two: multiplying by it rounds
    nothing, except near the ends of the dtype's range, where float16 always is.
    """
    x, factor = _factor(new, v, equation)
    if x is None or v.dtype.char not in "fd":
        return None
    inner, before = _factor(new, x, new.equations.get(x))
    exact = _is_exact(before) or _is_exact(factor)
    if inner is None or not exact or not _is_moderate(before * factor):
        inner, before = x, 1.0
    if before * factor == 1:
        return inner
    better = _equation("multiply", inner, new.constant(np.array(before * factor, v.dtype)))
    return None if better == equation else better


def _factor(new: Rewrite, v: Var, equation: Equation | None) -> tuple[Var | None, float]:
    """Return x and c such that `v` is x * c and x has the type of `v`; None and 1 if impossible."""
    name, inputs = (equation.primitive.name, equation.inputs) if equation else ("", ())
    if name == "add" and inputs[0] is inputs[1]:
        return inputs[0], 2.0
    for x, c in (inputs, inputs[::-1]) if name in ("multiply", "divide") else ():
        number = new.constants.get(c)
        if number is not None and number.size == 1 and (x.type, c.dtype) == (v.type, v.dtype):
            if name == "multiply":
                return x, number.item()
            if x is inputs[0] and _is_exact(number.item()):
                return x, 1.0 / number.item()
    return None, 1.0


def _is_exact(factor: float) -> bool:
    """Return whether multiplying by `factor` only changes the exponent: a moderate power of 2."""
    return abs(math.frexp(factor)[0]) == 0.5 and _is_moderate(factor)


def _is_moderate(factor: float) -> bool:
    return 2.0**-16 < abs(factor) < 2.0**16


RULES: tuple[Rule, ...] = (lower, identities, unbroadcast_operands, fold_constants, exact_factors)


def simplify(program: Program, rules: tuple[Rule, ...] = RULES) -> Program:
    """Return the program with rules applied to each equation.

    Equations that repeat others, and those that no output needs, are left out. One walk is enough:
    a rule sees an equation and those before it, which are final by then, not those that use the
    result. So no rule would change the new program again. The walk checks the types of equations
    that rules made; the tests check all types after each rule.
    """
    new = Rewrite(rules)
    outputs = new.run(program)
    needed = set(outputs)
    for v, equation in reversed(new.equations.items()):
        if v in needed:
            needed.update(equation.inputs)

    known = {*program.inputs, *program.captured, *new.constants, *new.equations}
    assert needed <= known, "a rule uses a variable that is not computed"

    def kept(part: dict[Var, Any]) -> dict[Var, Any]:
        return {v: x for v, x in part.items() if v in needed}

    constants, captured = kept(new.constants), kept(program.captured)
    program = replace(program, constants=constants, captured=captured, outputs=outputs)
    return replace(program, equations=kept(new.equations))
