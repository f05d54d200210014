"""The forward pass of a model as a program for any batch size: what the exporters write.

The model is recorded for two batch sizes. A length that is proportional to the batch size in both
recordings is symbolic (`BatchSize`). Any other difference means that the outputs of a sample depend
on how many samples there are; it is refused, since no file can express it.

Imports `compiler`, `layers`. Read next: `numpy_file.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import tree
from ..compiler.passes import RULES, lower, simplify
from ..compiler.program import Program, Var
from ..compiler.record import record, short_name, stand_in
from ..engine.bind import PRIMITIVES, no_grad
from ..engine.tensor import Equation, Tensor, floatx, wrap
from ..engine.variable import Variable, stateless
from ..layers.shapes import map_shapes
from ..layers.symbolic import KerasTensor, within

PROBES = (97, 101)  # two batch sizes, unlike any length that a layer is likely to have
ADVICE = "Give the shape: input_signature=[Input(shape)]."
UNLOWERED = tuple(rule for rule in RULES if rule is not lower)  # so that a sigmoid stays a sigmoid


@dataclass(frozen=True)
class BatchSize:
    """A symbolic axis length: `times` x the batch size."""

    times: int = 1

    def __repr__(self) -> str:
        return "n" if self.times == 1 else f"{self.times} * n"


class Forward(NamedTuple):
    """The forward pass of a model.

    Attributes
    ----------
    program : Program
        A program of the samples, with the weights among its constants and `BatchSize` in shapes.
        Its result has the structure that the model returns.
    layers : dict from the name of a layer to the name of its class
    """

    program: Program
    layers: dict[str, str]

    @property
    def layer_of(self) -> dict[Var, Var | None]:
        """From each variable to the result of its layer: the first one computed after it."""
        found: dict[Var, Var | None] = {}
        result = None
        for v in reversed(self.program.equations):
            result = v if v.name in self.layers else result
            found[v] = result
        return found


def forward_of(model: Any, input_signature: Any = None, rows: int | None = None) -> Forward:
    """Return the forward pass of a model, for inputs of its own shapes or of `input_signature`.

    It is for any batch size, or for one of `rows` samples.

    Raises
    ------
    ValueError
        If the model is not built, its inputs have an unknown length other than the batch size,
        its outputs depend on the batch size, or it changes its variables when it predicts.
    """
    x = _inputs(model, input_signature)
    for v in tree.flatten(x):
        if not v.shape or None in v.shape[1:]:
            raise ValueError(f"export: an input has unknown lengths, {v.shape}. {ADVICE}")
    variables = list(model.variables)
    layers = {layer.name: type(layer).__name__ for layer in model._flatten_layers()[1:]}
    first, second = (_recorded(model, x, variables, n) for n in PROBES)
    program = BatchGeneralizer(first, second, layers).program()
    return Forward(_recorded(model, x, variables, rows) if rows else program, layers)


def _inputs(model: Any, input_signature: Any) -> Any:
    """Return the model's inputs: a Var, or a structure of Vars."""
    known = model.graph and model.graph.inputs
    found = known if input_signature is None else input_signature
    if found is not None:
        found = tree.map_structure(lambda x: _var(tuple(x.shape), x), found)
    elif model._build_config is not None:
        found = map_shapes(_var, model._build_config["input_shape"])
    else:
        raise ValueError(f"export: the input shape of model '{model.name}' is not known. {ADVICE}")
    return found[0] if isinstance(found, (list, tuple)) and len(found) == 1 else found


def _var(shape: Any, placeholder: Any = None) -> Var:
    """Return the Var of an input, with the name that the user gave it, or x."""
    name = placeholder.call.layer.name if isinstance(placeholder, KerasTensor) else "x"
    return Var(shape, np.dtype(floatx()), "x" if name.startswith("input_layer") else name)


def _recorded(model: Any, x: Any, variables: list[Variable], n: int) -> Program:
    """Return the program of `n` samples, with the values of all variables as constants."""

    def run(samples: Any, values: list[Tensor]) -> Any:
        with stateless(dict(zip(variables, values, strict=True))) as now, within(training=False):
            y = model(samples)
        changed = [v.path for v, x in zip(variables, values, strict=True) if now[v] is not x]
        if changed:
            raise ValueError(f"export: the model changes its variables {changed} when it predicts.")
        return y

    samples = tree.map_structure(lambda v: wrap(stand_in((n, *v.shape[1:]), v.dtype)), x)
    values = [wrap(v.array) for v in variables]
    names = [v.name for v in tree.flatten(x)], [short_name(v.path) for v in variables]
    with no_grad():
        program = simplify(record(run, (samples, values), names), UNLOWERED)
    count = len(names[0])
    held = {**dict(zip(program.inputs[count:], variables, strict=True)), **program.captured}
    constants = program.constants | {v: variable.array for v, variable in held.items()}
    return replace(program, inputs=program.inputs[:count], constants=constants, captured={})


class BatchGeneralizer:
    """Merges two programs of one model, for the batch sizes in `PROBES`, into one for any."""

    def __init__(self, first: Program, second: Program, layers: dict[str, str]) -> None:
        self.first, self.second, self.layers = first, second, layers
        self.merged: dict[Var, Var] = {}  # from the variables of both programs
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Any] = {}
        self.current: Any = None  # the variable of the first program that is being merged

    def program(self) -> Program:
        """Return the merged program; its constants are those that it uses."""
        first, second = self.first, self.second
        inputs = tuple(map(self._var, first.inputs, second.inputs))
        for self.current, w in zip(first.equations, second.equations, strict=False):
            self._merge(self.current, w)
        outputs = self._merged(first.outputs, second.outputs, "what to return")
        return Program(inputs, self.constants, {}, self.equations, outputs, inputs, first.form)

    def _merge(self, v: Var, w: Var) -> None:
        primitive, xs, params = self.first.equations[v]
        other, ys, other_params = self.second.equations[w]
        if primitive is not other or len(xs) != len(ys):
            self._refuse(f"whether to compute {primitive.name} or {other.name}")
        inputs = self._merged(xs, ys, f"what to compute {primitive.name} of")
        params = {key: self._generalized(value, other_params[key]) for key, value in params.items()}
        self.equations[self._var(v, w)] = Equation(primitive, inputs, params)

    def _merged(self, xs: Sequence[Var], ys: Sequence[Var], what: str) -> tuple[Var, ...]:
        """Return the merged variable of each pair; constants are merged when first used."""
        merged, constants = self.merged, (self.first.constants, self.second.constants)
        for x, y in zip(xs, ys, strict=True):
            if x in constants[0] and y in constants[1] and x not in merged:
                self._merge_constants(x, constants[0][x], y, constants[1][y])
            if x not in merged or merged[x] is not merged.get(y):
                self._refuse(what)
        return tuple(merged[x] for x in xs)

    def _merge_constants(self, x: Var, a: np.ndarray, y: Var, b: np.ndarray) -> None:
        """Merge two constants: equal arrays, or arrays that repeat one number for each sample."""
        if a.shape == b.shape and a.tobytes() == b.tobytes():
            self.constants[self._var(x, y)] = a
        elif a.shape != b.shape and len({*a.flat, *b.flat}) == 1:
            number, repeated = Var((), x.dtype), self._var(x, y)
            self.constants[number] = a.reshape(-1)[0].reshape(())
            shape = {"shape": repeated.shape}
            self.equations[repeated] = Equation(PRIMITIVES["broadcast_to"], (number,), shape)
        else:
            self._refuse(f"a number, {a} or {b}" if a.size == b.size == 1 else "an array")

    def _var(self, v: Var, w: Var) -> Var:
        self.merged[v] = self.merged[w] = Var(self._generalized(v.shape, w.shape), v.dtype, v.name)
        return self.merged[v]

    def _generalized(self, a: Any, b: Any) -> Any:
        """Return a length, a shape or another parameter for any batch size."""
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            parts = map(self._generalized, a, b)
            return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
        if type(a) is type(b) and a == b:
            return a
        if isinstance(a, int) and isinstance(b, int) and a and a * PROBES[1] == b * PROBES[0]:
            return BatchSize(a // PROBES[0])
        return self._refuse(f"a shape or index, {a} or {b}")

    def _refuse(self, what: str) -> NoReturn:
        layer = Forward(self.first, self.layers).layer_of.get(self.current)
        place = f"layer '{layer.name}'" if layer else "the model"
        raise ValueError(
            "export: the outputs for a sample must not depend on the batch size, but in "
            f"{place} it decides {what}: tried {PROBES[0]} and {PROBES[1]} samples. Functions such "
            "as sort, tile, pad, repeat and roll count positions through the whole batch: use "
            "slices and concatenate."
        )
