"""Programs: equations between variables that have types, but no numbers.

A `Program` is in single-assignment form: each variable is computed once, before it is used. It
prints as text. `Names` gives unique identifiers, here and to all printers.

Imports the engine and `tree.py`. Read next: `record.py`.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

import numpy as np

from .. import tree
from ..engine.variable import Variable

Type = tuple[tuple[int, ...], np.dtype]


@dataclass(eq=False, repr=False, slots=True)
class Var:
    """The name of an array in a program: a shape and a dtype, no numbers.

    `name` is what a reader would call it, `section` the part of the program that computes it.
    `tracked` says whether a gradient flowed through it when it was recorded.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    name: str = ""
    section: str = ""
    tracked: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def type(self) -> Type:
        """The shape and the dtype."""
        return self.shape, self.dtype

    @property
    def type_text(self) -> str:
        """The type as text, such as ``float32[32,1]``."""
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


@dataclass(repr=False)
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
    """

    inputs: tuple[Var, ...]
    constants: dict[Var, np.ndarray]
    captured: dict[Var, Variable]
    equations: dict[Var, Any]
    outputs: tuple[Var, ...]
    args: tuple[Any, ...] = ()
    form: Any = ()

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
        for v, array in self.constants.items():
            lines.append(f"constant {typed([v])} = {str(array) if array.size == 1 else '...'}")
        for v, (primitive, inputs, params) in self.equations.items():
            given = "".join(f", {key}={value}" for key, value in params.items())
            arguments = ", ".join(names[x] for x in inputs)
            lines.append(f"{typed([v])} = {primitive.name}({arguments}{given})")
        return "\n".join([*lines, f"return {', '.join(names[v] for v in self.outputs)}"])

    def names(self) -> dict[Var, str]:
        """Return a unique name for each variable, its own where possible."""
        names, numbers = Names(), itertools.count(1)
        known = (*self.inputs, *self.captured, *self.constants, *self.equations)
        return {v: names.new(v.name or f"t{next(numbers)}") for v in known}


class NotInCError(NotImplementedError):
    """A program has a part that the C printer has no text for."""


_NO_IDENTIFIER = re.compile(r"^(?=\d)|\W", flags=re.ASCII)


class Names:
    """Gives unique identifiers.

    >>> names = Names(["np"])
    >>> [names.new(wanted) for wanted in ("x", "x", "np", "layer 1/kernel", "lambda", "1st")]
    ['x', 'x_2', 'np_2', 'layer_1_kernel', 'lambda_2', '_1st']
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._counts = dict.fromkeys(taken, 1)  # how often each name was asked for

    def new(self, wanted: str) -> str:
        """Return `wanted` as an identifier that was neither taken nor given before."""
        if not (wanted.isascii() and wanted.isidentifier()):
            wanted = _NO_IDENTIFIER.sub("_", wanted) or "_"
        name = wanted
        while name in self._counts or iskeyword(name):
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            name = f"{wanted}_{self._counts[wanted]}"
        self._counts[name] = 1
        return name


def is_elementwise(primitive: Any) -> bool:
    """Return whether a primitive is one of NumPy's elementwise functions."""
    return isinstance(primitive.impl, np.ufunc) and primitive.impl.signature is None
