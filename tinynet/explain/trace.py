"""The chain rule of one step: which factors make up the gradient of each weight.

Imports `../compiler/record.py` and `../engine/autodiff.py`. Read next: `step.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..compiler.record import Recorder
from ..engine.tape import cotangents, tape
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
    """One use of a weight: its gradient is the sum over samples of the product of the factors."""

    factors: list[Factor]
    gradient: np.ndarray

    def at(self, index: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
        """Return the name of each factor and its numbers by samples, for an element of a weight."""
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
        self.order = tape(loss)
        self.names = {t: "x" if len(inputs) == 1 else f"x[{i}]" for i, t in enumerate(inputs)} | {
            t: name for t, name in run.names.items() if t is not loss
        }
        self.forward = {name: t.data for t, name in self.names.items()}
        self.users: dict[Tensor, list[Tensor]] = {}
        for out, (_, xs, _) in run.equations.items():
            for x in dict.fromkeys(xs):
                self.users.setdefault(run.origin(x), []).append(out)
        self.one = wrap(np.ones((), loss.data.dtype))

    def terms(self, weight: Tensor) -> list[Term]:
        """Return the uses of a weight that the loss depends on."""
        found = ((out, self._cotangents(out)) for out in self.users.get(weight, ()))
        return [self._term(weight, out, cts[out].data) for out, cts in found if out in cts]

    def _term(self, weight: Tensor, out: Tensor, ct: np.ndarray) -> Term:
        primitive, inputs, _ = self.run.equations[out]
        end, slopes = self._to_layer(out)
        name = self.names.get(end, self.run.equations[end].primitive.name)
        factors = [*slopes, Factor(f"d loss / d {name}", self._cotangents(end)[end].data)]
        place = _place(weight, inputs)
        gradient = self._pulled_back(out, place, ct)
        if primitive.name == "matmul" and place == 1 and weight.ndim == 2 and inputs[0].ndim == 2:
            return Term([Factor(self._name(inputs[0]), inputs[0].data, 0), *factors], gradient)
        if primitive.name not in PRODUCTS:
            return Term([], gradient)
        if primitive.name != "add":
            slope = np.broadcast_to(self._pulled_back(out, place), out.shape)
            factors.insert(0, Factor(self._name(inputs[1 - place]), slope))
        return Term(factors, gradient)

    def _cotangents(self, t: Tensor) -> dict[Tensor, Tensor]:
        """Return the cotangent of `t`, if the loss depends on it."""
        return cotangents(self.order, {self.order[0]: self.one}, [t])

    def _pulled_back(self, out: Tensor, place: int, ct: np.ndarray | None = None) -> np.ndarray:
        """Return the cotangent of an input of the equation of `out`, by default for ones."""
        primitive, inputs, params = self.run.equations[out]
        rule = primitive.rule(place)
        assert rule is not None  # gradients flow through this input
        ct = np.ones(out.shape, out.dtype) if ct is None else ct
        return rule(wrap(ct), out, *inputs, **params).data

    def _name(self, t: Tensor) -> str:
        """Return the name of a tensor, or of the one that it is a reshaped or cast copy of."""
        t = self.run.origin(t)
        while t not in self.names:
            equation = self.run.equations.get(t)
            if not equation or equation.primitive.name not in ("reshape", "cast", "alias"):
                return "input"
            t = self.run.origin(equation.inputs[0])
        return self.names[t]

    def _to_layer(self, t: Tensor) -> tuple[Tensor, list[Factor]]:
        """Follow elementwise operations to the output of the layer; return it and the slopes."""
        slopes: list[Factor] = []
        while t not in self.names and len(self.users.get(t, ())) == 1:
            (out,) = self.users[t]
            primitive, inputs, _ = self.run.equations[out]
            if out.shape != t.shape or primitive.name in ("matmul", "transpose", "reshape"):
                break
            slope = self._pulled_back(out, _place(t, inputs))
            if not np.array_equal(slope, np.ones_like(slope)):
                slopes.append(Factor(f"{primitive.name}'", slope))
            t = out
        return t, slopes


def _place(t: Tensor, tensors: Sequence[Tensor]) -> int:
    """Return the position of `t` itself, not of another tensor with equal numbers."""
    return next(i for i, x in enumerate(tensors) if x is t)
