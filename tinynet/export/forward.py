"""The forward pass of a model as a program for any number of samples: what is written to files.

It is recorded twice, for two numbers of samples. A length that differs as these do is the batch's;
what differs in another way depends on the batch as no file could say, and is refused.

Imports `compiler`, `layers`. Read next: `numpy_text.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import tree
from ..compiler.passes import PASSES, lower, simplify
from ..compiler.program import Program, Var
from ..compiler.record import record, short_name, stand_in
from ..engine.bind import PRIMITIVES, no_grad
from ..engine.tensor import Equation, Tensor, floatx, wrap
from ..engine.variable import Variable, stateless
from ..layers.base import Layer
from ..layers.symbolic import KerasTensor, map_shapes, within

SAMPLES = (97, 101)  # two numbers of samples, unlike any length that a layer is likely to have


@dataclass(frozen=True)
class Rows:
    """Among the lengths of a shape: the number of samples, or so many times it."""

    times: int = 1

    def __repr__(self) -> str:
        return "n" if self.times == 1 else f"{self.times} * n"


class Forward(NamedTuple):
    """The forward pass of a model.

    Attributes
    ----------
    program : Program
        Of the samples; weights are among its constants. `Rows` stand in its shapes.
    form : the outputs as the model returns them, Vars in a structure
    layers : dict from the name of a layer to that of its class
    """

    program: Program
    form: Any
    layers: dict[str, str]

    @property
    def places(self) -> dict[Var, Var]:
        """For each variable the result of the layer that computes it: the next one to be done."""
        found: dict[Var, Var] = {}
        result = None
        for v in reversed(self.program.equations):
            result = v if v.name in self.layers else result
            if result is not None:
                found[v] = result
        return found


def forward_of(model: Any, input_signature: Any = None) -> Forward:
    """Return the forward pass of a model, for inputs of its own shapes or of those given.

    Raises
    ------
    ValueError
        When the model is not built, its inputs have unknown lengths beside that of the batch, or
        it computes with the number of samples, or changes its variables when it predicts.
    """
    x = _inputs(model, input_signature)
    for v in tree.flatten(x):
        if not v.shape or None in v.shape[1:]:
            raise ValueError(
                "export: expected inputs of which all lengths but the first are known, received "
                f"shape {v.shape}. Say what they are: input_signature=[Input(shape)]."
            )
    variables = list(model.variables)
    layers = {layer.name: type(layer).__name__ for layer in _within(model)}
    first, second = (_recorded(model, x, variables, n) for n in SAMPLES)
    program = Both(first, second, layers).merged(len(tree.flatten(x)), variables)
    return Forward(program, program.result, layers)


def _inputs(model: Any, input_signature: Any) -> Any:
    """Return what the model is called on: a Var, or a structure of them."""
    found = getattr(model, "inputs", None) if input_signature is None else input_signature
    if found is not None:
        found = tree.map_structure(lambda x: _var(tuple(x.shape), x), found)
    elif model._built_shape is not None:
        found = map_shapes(_var, model._built_shape)
    else:
        raise ValueError(
            f"export: the shape of the inputs of model '{model.name}' is not known. Call it on "
            "data first, or say what it is: input_signature=[Input(shape)]."
        )
    return found[0] if isinstance(found, (list, tuple)) and len(found) == 1 else found


def _var(shape: tuple[int | None, ...], placeholder: Any = None) -> Var:
    """Return an input by the name that the user gave it, else x."""
    name = placeholder.node.layer.name if isinstance(placeholder, KerasTensor) else "x"
    return Var(shape, np.dtype(floatx()), "x" if name.startswith("input_layer") else name)  # type: ignore[arg-type]


def _within(layer: Layer) -> Iterator[Layer]:
    for inner in layer.layers:
        yield inner
        yield from _within(inner)


def _recorded(model: Any, x: Any, variables: list[Variable], n: int) -> Program:
    """Return the program of `n` samples and the values of all variables."""

    def run(samples: Any, values: list[Tensor]) -> Any:
        with stateless(dict(zip(variables, values, strict=True))) as now, within(training=False):
            y = model(samples)
        for variable, value in zip(variables, values, strict=True):
            if now[variable] is not value:
                raise ValueError(
                    f"export: the model changes its variable {variable.path} when it predicts, "
                    "and a file does not remember."
                )
        return y

    samples = tree.map_structure(lambda v: wrap(stand_in((n, *v.shape[1:]), v.dtype)), x)
    values = [wrap(v.array) for v in variables]
    names = [v.name for v in tree.flatten(x)], [short_name(v.path) for v in variables]
    with no_grad():
        program = record(run, (samples, values), names)
    # Not lowered: a file calls a sigmoid by its name.
    return simplify(program, tuple(p for p in PASSES if p is not lower))


class Both:
    """Two programs of one model, for two numbers of samples, to be merged to one for any number."""

    def __init__(self, first: Program, second: Program, layers: dict[str, str]) -> None:
        self.first, self.second, self.layers = first, second, layers
        self.now: dict[Var, Var] = {}  # what stands for variables of either
        self.constants: dict[Var, np.ndarray] = {}
        self.equations: dict[Var, Any] = {}
        self.at: Var | None = None  # what of the first program is being merged

    def merged(self, samples: int, variables: list[Variable]) -> Program:
        """Return the program of the first inputs, the samples; those that follow are constants."""
        first, second = self.first, self.second
        inputs = [self._var(*pair) for pair in zip(first.inputs, second.inputs, strict=True)]
        others = [self._var(*pair) for pair in zip(first.captured, second.captured, strict=True)]
        held = [*variables, *first.captured.values()]
        for v, variable in zip([*inputs[samples:], *others], held, strict=True):
            self.constants[v] = np.array(variable.array)
        for self.at, w in zip(first.equations, second.equations, strict=False):
            self._merge(self.at, w)
        if len(first.equations) != len(second.equations):
            self._refuse("what to compute")
        for v, w in zip(first.outputs, second.outputs, strict=True):
            self._merge_constant(v, w)
        outputs = tuple(self.now[v] for v in first.outputs)
        used = {*outputs, *(x for e in self.equations.values() for x in e.inputs)}
        constants = {v: array for v, array in self.constants.items() if v in used}
        given = tuple(inputs[:samples])
        return Program(given, constants, {}, self.equations, outputs, given, first.form)

    def _merge(self, v: Var, w: Var) -> None:
        primitive, xs, params = self.first.equations[v]
        other, ys, others = self.second.equations[w]
        if primitive is not other or len(xs) != len(ys):
            self._refuse(f"whether to compute {primitive.name} or {other.name}")
        for x, y in zip(xs, ys, strict=True):
            self._merge_constant(x, y)
            if self.now.get(x) is not self.now.get(y):
                self._refuse(f"what to compute {primitive.name} of")
        params = {key: self._for_any(value, others[key]) for key, value in params.items()}
        inputs: Any = tuple(self.now[x] for x in xs)
        self.equations[self._var(v, w)] = Equation(primitive, inputs, params)

    def _merge_constant(self, x: Var, y: Var) -> None:
        """Merge what both know beforehand: the same array, or one number for each sample."""
        a, b = self.first.constants.get(x), self.second.constants.get(y)
        if a is None or b is None or x in self.now:
            return
        if a.shape == b.shape and a.tobytes() == b.tobytes():
            self.constants[self._var(x, y)] = a
        elif a.shape != b.shape and len({*a.flat, *b.flat}) == 1:
            number: Any = Var((), x.dtype)
            self.constants[number] = a.reshape(-1)[:1].reshape(())
            repeated = self._var(x, y)
            shape = {"shape": repeated.shape}
            self.equations[repeated] = Equation(PRIMITIVES["broadcast_to"], (number,), shape)
        else:
            self._refuse(f"a number, {a} or {b}" if a.size == b.size == 1 else "an array")

    def _var(self, v: Var, w: Var) -> Var:
        self.now[v] = self.now[w] = Var(self._for_any(v.shape, w.shape), v.dtype, v.name)
        return self.now[v]

    def _for_any(self, a: Any, b: Any) -> Any:
        """Return what a length, a shape or another param is for any number of samples."""
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            parts = [self._for_any(x, y) for x, y in zip(a, b, strict=True)]
            return type(a)(*parts) if hasattr(a, "_fields") else tuple(parts)
        if type(a) is type(b) and a == b:
            return a
        if isinstance(a, int) and isinstance(b, int) and a and a * SAMPLES[1] == b * SAMPLES[0]:
            return Rows(a // SAMPLES[0])
        return self._refuse(f"a shape or place, {a} or {b}")

    def _refuse(self, what: str) -> NoReturn:
        rest = list(self.first.equations)
        rest = rest[rest.index(self.at) :] if self.at in rest else []
        place = next((f"layer '{v.name}'" for v in rest if v.name in self.layers), "the model")
        raise ValueError(
            "export: what is predicted for a sample must not depend on how many there are, but in "
            f"{place} that decides {what}: tried {SAMPLES[0]} and {SAMPLES[1]} samples."
        )
