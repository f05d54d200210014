"""The update of an optimizer as formulas: recorded once, then written as assignments.

Imports `../compiler/text.py`. Read next: `trace.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..compiler.program import Program, Var
from ..compiler.record import record
from ..compiler.text import INFIX, POWER, Expr, infix, used_once
from ..engine.tensor import Tensor, wrap


def formulas_of(optimizer: Any, scalars: Mapping[str, float]) -> list[str]:
    """Return the update of one element of a weight as formulas.

    >>> import tinynet as tn
    >>> formulas_of(tn.optimizers.SGD(0.1, momentum=0.9), {"learning_rate": 0.1})
    ['momentum = momentum * 0.9 - gradient * learning_rate', 'weight = weight + momentum']
    """
    slots = sorted(name for group in optimizer.slot_groups for name in group)
    names = ("weight", "gradient", slots, sorted(scalars))

    def update(weight: Tensor, gradient: Tensor, slots: Any, scalars: Any) -> dict[str, Tensor]:
        decays = bool(optimizer.weight_decay)
        new, after = optimizer.stepped(weight, gradient, slots, scalars, decays)
        if optimizer.use_ema:
            new, after["average"] = optimizer.averaged(new, slots["average"], scalars)
        return {"weight": new, **after}

    one = wrap(np.ones(2, "float32"))
    args = (one, one, dict.fromkeys(slots, one), dict.fromkeys(scalars, one))
    program = record(update, args, names)
    return assignments(program, {v: name for name, v in program.result.items()})


def assignments(program: Program, named: Mapping[Var, str]) -> list[str]:
    """Return a program as assignments to `named` results; what is used once is written inline."""
    inlined = used_once(program)
    used = {x for _, inputs, _ in program.equations.values() for x in inputs}
    exprs = {v: Expr(v.name) for v in program.inputs}
    exprs |= {v: Expr(f"{array.ravel()[0]:.6g}") for v, array in program.constants.items()}
    lines: list[str] = []
    for v, (primitive, inputs, _) in program.equations.items():
        exprs[v] = _expression(primitive.name, [exprs[x] for x in inputs])
        if v in named or v in used - inlined:
            name = named.get(v, f"t{len(lines)}")
            lines.append(f"{name} = {exprs[v]}")
            exprs[v] = Expr(name)
    return lines


def _expression(name: str, operands: list[Expr]) -> Expr:
    if name in INFIX:
        return infix(name, operands[0], operands[1], regroup=True)
    if name == "square":
        return Expr(f"{operands[0].atom} ** 2", POWER)
    return Expr(f"{name}({', '.join(map(str, operands))})")
