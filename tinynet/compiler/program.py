"""Programs: what a function of tensors did, as equations in order.

`record` runs a function once on example tensors and notes every operation that `bind` performs.
The result is a `Program` in single-assignment form: each variable is computed once, before it is
used. It prints as text, and `typecheck` says whether it is sound.

Imports the engine. Read next: `passes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.tensor import Equation, Primitive, StandIn, Tensor, no_numbers, state, wrap
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
        return int(np.prod(self.shape))

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
    """

    inputs: tuple[Var, ...]
    constants: dict[Var, np.ndarray]
    captured: dict[Var, Variable]
    equations: dict[Var, Any]
    outputs: tuple[Var, ...]

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


class Recording:
    """What `bind` and variables tell while a function is recorded.

    Without `numbers`, those of results are let go at once if they are others at each call: their
    types are all that is asked for, and a step's results together take many times the memory of
    the step.
    """

    def __init__(self, inputs: Sequence[Tensor], numbers: bool = True) -> None:
        self.inputs = inputs
        self.numbers = numbers
        self.equations: dict[Tensor, Equation] = {}
        self.variables: dict[Tensor, Variable] = {}
        self.same: dict[Tensor, Tensor] = {}  # detached tensors, and what they were detached from
        self.names: dict[Tensor, str] = {}
        self.sections: dict[Tensor, str] = {}
        self.section = ""
        self._inputs = set(inputs)
        self._read: dict[Variable, Tensor] = {}

    def note(self, out: Tensor, equation: Equation) -> None:
        """Note an operation."""
        self.equations[out] = equation
        self.sections[out] = self.section
        kind = _types[_signature(*equation)] = (out.data.shape, out.data.dtype)
        if any(type(x.data) is StandIn for x in equation.inputs):
            out.data = stand_in(*kind)

    def read(self, variable: Variable, value: Tensor) -> Tensor:
        """Return what stands for a variable: not its value, which may have been kept from before.

        The same tensor each time, so that gradients flow to it from everywhere.
        """
        if variable not in self._read:
            data = value.data if self.numbers else stand_in(value.shape, value.dtype)
            self._read[variable] = t = wrap(data)
            t.tracked = value.tracked
            self.variables[t] = variable
        return self._read[variable]

    def knows(self, t: Tensor) -> bool:
        """Return whether `t` has other numbers at another call."""
        t = self.origin(t)
        return t in self._inputs or t in self.equations or t in self.variables

    def origin(self, t: Tensor) -> Tensor:
        """Return what `t` was detached from, or itself."""
        while t in self.same:
            t = self.same[t]
        return t


@contextmanager
def recording(inputs: Sequence[Tensor], numbers: bool = True) -> Iterator[Recording]:
    """Record the operations of this thread."""
    before, state.recording = state.recording, Recording(inputs, numbers)
    try:
        yield state.recording
    finally:
        state.recording = before


@contextmanager
def section(name: str) -> Iterator[None]:
    """Say which part of the program follows, for its readers; nothing if none is recorded."""
    record = state.recording
    if record is None:
        yield
        return
    before, record.section = record.section, name
    try:
        yield
    finally:
        record.section = before


def label(t: Tensor, name: str) -> Tensor:
    """Return `t`; if a program is being recorded, its readers will see it by this name."""
    if state.recording is not None:
        state.recording.names[t] = name
    return t


def short_name(path: str) -> str:
    """Return the last two parts of a path as an identifier: ``dense_kernel``."""
    return "_".join(path.split("/")[-2:])


def record(
    f: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor], names: Sequence[str] = ()
) -> Program:
    """Return the program of ``f(*inputs)``, which returns a sequence of tensors.

    Some functions raise when they see zeros, as an inverse does: these are run on numbers.
    """
    try:
        return _record(f, inputs, names, False)
    except (ValueError, ArithmeticError, IndexError):
        return _record(f, inputs, names, True)


def _record(
    f: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    names: Sequence[str],
    numbers: bool,
) -> Program:
    """Record `f` on inputs of the same types: on their numbers, or on stand-ins for them."""
    inputs = [wrap(np.asarray(t.data) if numbers else stand_in(t.shape, t.dtype)) for t in inputs]
    with recording(inputs, numbers) as found, np.errstate(all="ignore"):
        outputs = f(*inputs)
    of: dict[Tensor, Var] = {}
    constants: dict[Var, np.ndarray] = {}
    captured: dict[Var, Variable] = {}

    def var(t: Tensor, name: str = "") -> Var:
        name = name or found.names.get(t, "")
        t = found.origin(t)
        if t not in of:
            variable = found.variables.get(t)
            name = name or found.names.get(t, "")
            name = short_name(variable.path) if variable is not None else name
            of[t] = Var(t.shape, t.dtype, name, found.sections.get(t, ""))
            if variable is not None:
                captured[of[t]] = variable
            elif t not in found.equations and not is_input:
                if type(t.data) is StandIn:  # of an earlier recording
                    raise no_numbers()
                constants[of[t]] = t.data
        of[t].name = of[t].name or name
        return of[t]

    is_input = True
    padded = (*names, *("" for _ in inputs[len(names) :]))
    given = tuple(var(t, name) for t, name in zip(inputs, padded, strict=True))
    is_input = False
    equations = {}
    for t, (primitive, xs, params) in found.equations.items():
        arguments = tuple(var(x) for x in xs)
        equations[var(t)] = Equation(primitive, arguments, params)  # type: ignore[arg-type]
    return Program(given, constants, captured, equations, tuple(var(t) for t in outputs))


def stand_in(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros for the numbers of a recorded tensor; they take the memory of one."""
    return StandIn(shape, dtype, _ZERO, strides=(0,) * len(shape))


_ZERO = bytes(16)  # no element is larger


def is_elementwise(primitive: Any) -> bool:
    """Return whether a primitive is one of NumPy's elementwise functions."""
    return isinstance(primitive.impl, np.ufunc) and primitive.impl.signature is None


_types: dict[Any, tuple[tuple[int, ...], np.dtype]] = {}  # what primitives were seen to give


def infer(primitive: Primitive, inputs: Sequence[Var], params: dict[str, Any]) -> Var:
    """Return a variable of the type that the primitive gives for inputs of these types.

    Types are observed, not computed: where a recording has not yet shown this one, the primitive is
    run on zeros.
    """
    signature = _signature(primitive, inputs, params)
    if signature not in _types:
        zeros = [np.asarray(stand_in(x.shape, x.dtype)) for x in inputs]
        with np.errstate(all="ignore"):
            result = np.asarray(primitive.impl(*zeros, **params))
        _types[signature] = (result.shape, result.dtype)
    return Var(*_types[signature])


def _signature(primitive: Primitive, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    types = tuple((x.shape, x.dtype) for x in inputs)
    return primitive, types, tuple(sorted(params.items()))


def typecheck(program: Program) -> Program:
    """Return `program`; AssertionError if it is not sound, which is always a fault of a pass.

    Each variable is computed once, before it is used, and has the type that its equation gives.
    """
    known = {*program.inputs, *program.captured, *program.constants}
    for v, array in program.constants.items():
        assert (array.shape, array.dtype) == v.type, f"constant {v.type_text}"
    for v, (primitive, inputs, params) in program.equations.items():
        assert v not in known, f"{primitive.name} computes a variable twice"
        assert known.issuperset(inputs), f"{primitive.name} uses a variable before it is known"
        given = infer(primitive, inputs, params)
        assert given.type == v.type, f"{primitive.name} gives {given.type_text}, not {v.type_text}"
        known.add(v)
    assert known.issuperset(program.outputs), "an output is not computed"
    return program
