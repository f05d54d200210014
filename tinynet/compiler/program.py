"""Programs: equations between variables that have types, but no numbers.

A `Program` is in single-assignment form: each variable is computed once, before it is used. It
prints as text, and `typecheck` checks it.

Imports the engine and `tree.py`. Read next: `record.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import tree
from ..engine.tensor import Equation, Primitive
from ..engine.variable import Variable


class Var:
    """The name of an array in a program: a shape and a dtype, no numbers."""

    __slots__ = ("dtype", "name", "section", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, name: str = "", section: str = ""):
        self.shape = shape
        self.dtype = dtype
        self.name = name  # what a reader would call it, if anything
        self.section = section  # the part of the program it is computed in

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def type(self) -> tuple[tuple[int, ...], np.dtype]:
        """The shape and the dtype."""
        return self.shape, self.dtype

    @property
    def type_text(self) -> str:
        """The type to be read, such as ``float32[32,1]``."""
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class Program:
    """Equations in the order in which they are computed.

    Attributes
    ----------
    inputs : tuple of Var, given at each call
    constants : dict from Var to array, known when the program was recorded
    captured : dict from Var to Variable, read at each call
    equations : dict from Var to the Equation that computes it, whose inputs are Vars
    outputs : tuple of Var
    args : tuple of trees of Vars
        The arguments of the recorded function; `inputs` are their leaves.
    form : tree
        The structure of the recorded function's result; `outputs` are its leaves.
    watched : tuple
        The layers that were called: the program depends on their attributes.
    """

    inputs: tuple[Var, ...]
    constants: dict[Var, np.ndarray]
    captured: dict[Var, Variable]
    equations: dict[Var, Any]
    outputs: tuple[Var, ...]
    args: tuple[Any, ...] = ()
    form: Any = ()
    watched: tuple[object, ...] = field(default=(), compare=False, repr=False)

    @property
    def result(self) -> Any:
        """The recorded function's result, with `outputs` as leaves."""
        return tree.pack_sequence_as(self.form, self.outputs)

    def __str__(self) -> str:
        names = self.names()

        def typed(vs: Any) -> str:
            return ", ".join(f"{names[v]}: {v.type_text}" for v in vs)

        lines = [f"inputs {typed(self.inputs)}"]
        lines += [f"weight {typed([v])}" for v in self.captured]
        lines += [f"constant {typed([v])} = {_shown(a)}" for v, a in self.constants.items()]
        for v, (primitive, inputs, params) in self.equations.items():
            given = "".join(f", {key}={value}" for key, value in params.items())
            arguments = ", ".join(names[x] for x in inputs)
            lines.append(f"{typed([v])} = {primitive.name}({arguments}{given})")
        return "\n".join([*lines, f"return {', '.join(names[v] for v in self.outputs)}"])

    def names(self) -> dict[Var, str]:
        """Return a name for each variable, its own if it has one, none of them twice."""
        count: dict[str, int] = {}
        found: dict[str, Var] = {}
        for v in (*self.inputs, *self.captured, *self.constants, *self.equations):
            name = v.name
            while not name or name in found:
                stem = v.name or "t"
                count[stem] = count.get(stem, bool(v.name)) + 1
                name = f"{stem}{count[stem]}"
            found[name] = v
        return {v: name for name, v in found.items()}


def _shown(array: np.ndarray) -> str:
    return str(array) if array.size == 1 else "..."


def is_elementwise(primitive: Any) -> bool:
    """Return whether a primitive is one of NumPy's elementwise functions."""
    return isinstance(primitive.impl, np.ufunc) and primitive.impl.signature is None


Type = tuple[tuple[int, ...], np.dtype]


def infer(
    primitive: Primitive, inputs: Sequence[Var], params: dict[str, Any], known: dict[Any, Any]
) -> Type:
    """Return the type that a primitive gives for inputs of these types.

    Types are observed, not computed: the primitive is run on zeros. `known` remembers the dtypes
    that elementwise functions were seen to give.
    """
    zeros = [np.zeros((), x.dtype) for x in inputs]
    with np.errstate(all="ignore"):
        if not is_elementwise(primitive):
            zeros = [np.broadcast_to(zero, x.shape) for zero, x in zip(zeros, inputs, strict=True)]
            result = np.asarray(primitive.impl(*zeros, **params))
            return result.shape, result.dtype
        key = (primitive, *[x.dtype for x in inputs])
        if key not in known:
            known[key] = np.asarray(primitive.impl(*zeros, **params)).dtype
    return np.broadcast_shapes(*[x.shape for x in inputs]), known[key]


def typecheck(program: Program, known_good: Program | None = None) -> Program:
    """Return `program`; AssertionError if it is not sound, which is always a fault of a pass.

    Each variable is computed once, before it is used, and has the type that its equation gives.
    Equations that `known_good` has, of the same variables or of others of the same types, need no
    check of their types.
    """
    trusted = known_good.equations if known_good else {}
    known = {*program.inputs, *program.captured, *program.constants}
    dtypes: dict[Any, Any] = {}
    for v, array in program.constants.items():
        assert (array.shape, array.dtype) == v.type, f"constant {v.type_text}"
    for v, equation in program.equations.items():
        primitive, inputs, params = equation
        assert v not in known, f"{primitive.name} computes a variable twice"
        assert known.issuperset(inputs), f"{primitive.name} uses a variable before it is known"
        known.add(v)
        if not _same_types(equation, trusted.get(v)):
            given = infer(primitive, inputs, params, dtypes)
            text = Var(*given).type_text if given != v.type else ""
            assert not text, f"{primitive.name} gives {text}, not {v.type_text}"
    assert known.issuperset(program.outputs), "an output is not computed"
    return program


def _same_types(equation: Equation, other: Equation | None) -> bool:
    """Return whether two equations give the same type since their inputs have the same types."""
    return other is equation or (
        other is not None
        and (other.primitive, other.params) == (equation.primitive, equation.params)
        and [x.type for x in other.inputs] == [x.type for x in equation.inputs]
    )
