"""The formulas of one step: the chain rule of each gradient, and the update of the optimizer.

Imports `../compiler/record.py`, `../compiler/text.py` and the engine. Read next: `step.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..compiler.program import Program, Var
from ..compiler.record import Recorder, record
from ..compiler.text import INFIX, POWER, Expr, infix, used_once
from ..engine.tape import gradients
from ..engine.tensor import Tensor, wrap

PRODUCTS = ("add", "subtract", "multiply")


class Factor(NamedTuple):
    """A factor of the chain rule: a name, and numbers with samples along the first axis.

    `axis` is the axis of the weight that the last axis of the numbers belongs to.
    """

    name: str
    values: np.ndarray
    axis: int = -1


class Term(NamedTuple):
    """One use of a weight; its gradient is the sum over samples of the product of `factors`."""

    factors: list[Factor]
    gradient: np.ndarray

    def at(self, index: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
        """Return each factor's name and its numbers for all samples, for one element."""
        return [
            (f.name, np.ravel(f.values[..., index[f.axis]] if index else f.values))
            for f in self.factors
        ]


class Trace:
    """A recorded run of a model, from the inputs to the loss.

    Attributes
    ----------
    forward : dict from the name of an input or of a layer to its outputs
    """

    def __init__(self, run: Recorder, inputs: Sequence[Tensor], loss: Tensor) -> None:
        self.run = run
        self.names = {t: "x" if len(inputs) == 1 else f"x[{i}]" for i, t in enumerate(inputs)}
        self.names |= {t: name for t, name in run.names.items() if t is not loss}
        self.forward = {name: t.data for t, name in self.names.items()}
        self.users: dict[Tensor, list[Tensor]] = {}
        for out, (_, xs, _) in run.equations.items():
            for x in dict.fromkeys(xs):
                self.users.setdefault(run.origin(x), []).append(out)
        results = list(run.equations)
        self.cts: dict[Tensor, Any] = dict(zip(results, gradients(loss, results), strict=True))

    def terms(self, weight: Tensor) -> list[Term]:
        """Return a term for each use of a weight that the loss depends on."""
        return [
            self._term(weight, t) for t in self.users.get(weight, ()) if self.cts[t] is not None
        ]

    def _term(self, weight: Tensor, out: Tensor) -> Term:
        """Return the term for the use of a weight by the operation that computes `out`."""
        primitive, inputs, _ = self.run.equations[out]
        end, slopes = self._to_layer(out)
        name = self.names.get(end, self.run.equations[end].primitive.name)
        factors = [*slopes, Factor(f"d loss / d {name}", self.cts[end].data)]
        place = _position(weight, inputs)
        gradient = self._pulled_back(out, place, self.cts[out].data)
        if primitive.name == "matmul" and place == 1 and weight.ndim == 2 and inputs[0].ndim == 2:
            return Term([Factor(self._name(inputs[0]), inputs[0].data, 0), *factors], gradient)
        if primitive.name not in PRODUCTS:
            return Term([], gradient)
        if primitive.name != "add":
            slope = np.broadcast_to(self._pulled_back(out, place), out.shape)
            factors.insert(0, Factor(self._name(inputs[1 - place]), slope))
        return Term(factors, gradient)

    def _pulled_back(self, out: Tensor, place: int, ct: np.ndarray | None = None) -> np.ndarray:
        """Return the cotangent of an input of `out`'s equation, for `ct` (by default ones)."""
        primitive, inputs, params = self.run.equations[out]
        rule = primitive.rule(place)
        assert rule is not None  # gradients flow through this input
        ct = np.ones(out.shape, out.dtype) if ct is None else ct
        return rule(wrap(ct), out, *inputs, **params).data

    def _name(self, t: Tensor) -> str:
        """Return the name of a tensor, or of the tensor that it was reshaped or cast from."""
        t = self.run.origin(t)
        while t not in self.names:
            equation = self.run.equations.get(t)
            if not equation or equation.primitive.name not in ("reshape", "cast", "alias"):
                return "input"
            t = self.run.origin(equation.inputs[0])
        return self.names[t]

    def _to_layer(self, t: Tensor) -> tuple[Tensor, list[Factor]]:
        """Follow elementwise operations to the layer's output; return it and their slopes."""
        slopes: list[Factor] = []
        while t not in self.names and len(self.users.get(t, ())) == 1:
            (out,) = self.users[t]
            primitive, inputs, _ = self.run.equations[out]
            if out.shape != t.shape or not primitive.elementwise:
                break
            slope = self._pulled_back(out, _position(t, inputs))
            if not np.array_equal(slope, np.ones_like(slope)):
                slopes.append(Factor(f"{primitive.name}'", slope))
            t = out
        return t, slopes


def _position(t: Tensor, tensors: Sequence[Tensor]) -> int:
    """Return the position of `t` itself, not of another tensor with equal numbers."""
    return next(i for i, x in enumerate(tensors) if x is t)


# -- the update ------------------------------------------------------------------------------------


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
    """Return a program as assignments to `named` results; values used once are inlined."""
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
