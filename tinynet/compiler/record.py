"""Recording: a function is run once, and its operations become a `Program`.

Shapes and dtypes are observed while the function runs. Numbers that can differ at the next call are
not available: looking at one raises a TypeError that says what to do.

Imports `program.py`. Read next: `passes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np

from .. import tree
from ..engine.bind import modes
from ..engine.tensor import Equation, ShapeOnly, Tensor, as_tensor, wrap
from ..engine.variable import Variable
from .program import Program, Var, is_elementwise, signature

_ZERO = bytes(16)  # no element is larger


class StandIn(ShapeOnly):
    """Zeros in place of the unknown numbers of a recorded tensor.

    NumPy computes with them while a recorder without numbers is set in this thread, and the results
    are of this class again. At any other time, and in other threads, they are refused.
    """

    def __array_function__(self, *args: Any) -> Any:
        recorder = modes.recorder
        if not isinstance(recorder, Recorder) or recorder.numbers:
            self.refuse()
        return super().__array_function__(*args)

    def refuse(self) -> NoReturn:
        """Raise the TypeError for a recorded tensor that is used elsewhere."""
        raise TypeError(
            "This tensor was computed while a function was recorded to be compiled. It has no "
            "numbers, since they differ from call to call. Return it from the function; do not "
            "keep it or hand it to another thread. Or run without compilation "
            "(run_eagerly=True, or no tn.jit)."
        )


def stand_in(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros of this shape in the memory of one element, for a tensor without numbers."""
    return StandIn(shape, dtype, _ZERO, strides=(0,) * len(shape))


class Recorder:
    """Notes the operations of a function while it runs: what the engine calls `modes.recorder`.

    Attributes
    ----------
    inputs : sequence of Tensor
    numbers : bool
        Whether results keep their numbers. By default they are let go at once: only their types
        are needed, and together they take many times the memory of the function itself.
    equations : dict from Tensor to the Equation that computes it
    variables : dict from Tensor to the Variable whose value it is
    same : dict from a detached Tensor to the one it was detached from
    names : dict from Tensor to the name that a reader of the program sees
    sections : dict from Tensor to the part of the program that it is computed in
    """

    def __init__(self, inputs: Sequence[Tensor], numbers: bool = True) -> None:
        self.inputs = inputs
        self.numbers = numbers
        self.equations: dict[Tensor, Equation] = {}
        self.variables: dict[Tensor, Variable] = {}
        self.same: dict[Tensor, Tensor] = {}
        self.names: dict[Tensor, str] = {}
        self.sections: dict[Tensor, str] = {}
        self.section = ""
        self._inputs = set(inputs)
        self._read: dict[Variable, Tensor] = {}

    def note(self, out: Tensor, equation: Equation) -> None:
        """Note an operation."""
        self.equations[out] = equation
        self.sections[out] = self.section
        for x in equation.inputs:
            if isinstance(x.data, ShapeOnly):
                if self.numbers:
                    x.data.refuse()
                out.data = stand_in(out.data.shape, out.data.dtype)
                break

    def read(self, variable: Variable, value: Tensor) -> Tensor:
        """Return a tensor for the variable's value, which may have been kept from before.

        The same tensor each time, so that all gradients flow to it.
        """
        if variable not in self._read:
            data = value.data if self.numbers else stand_in(value.shape, value.dtype)
            self._read[variable] = t = wrap(data)
            t.tracked = value.tracked
            self.variables[t] = variable
        return self._read[variable]

    def detached(self, out: Tensor, source: Tensor) -> None:
        """Note that `out` has the numbers of `source`."""
        self.same[out] = source

    def label(self, t: Tensor, name: str) -> None:
        """Name a tensor for readers of the program, unless it has a name."""
        self.names.setdefault(t, name)

    def knows(self, t: Tensor) -> bool:
        """Return whether the numbers of `t` can differ at another call."""
        t = self.origin(t)
        return t in self._inputs or t in self.equations or t in self.variables

    def refuse(self, t: Tensor) -> None:
        """Raise a TypeError if the numbers of `t` can differ at another call."""
        if self.knows(t):
            raise TypeError(
                "While a function is recorded to be compiled, it cannot look at the numbers of a "
                f"tensor, as they are others at the next call: received {t.shape}, "
                f"{t.dtype}. Choose with tn.ops.where instead of branching, or run without "
                "compilation (run_eagerly=True, or no tn.jit)."
            )

    def origin(self, t: Tensor) -> Tensor:
        """Return the tensor that `t` was detached from, or itself."""
        while t in self.same:
            t = self.same[t]
        return t

    def program(self, args: tuple[Any, ...], result: Any, names: Sequence[Any] = ()) -> Program:
        """Return the program of a function of trees of tensors that returned such a tree."""
        made: dict[Tensor, Var] = {}
        constants: dict[Var, np.ndarray] = {}
        captured: dict[Var, Variable] = {}

        def var(t: Tensor, name: str = "") -> Var:
            name = name or self.names.get(t, "")
            if t in self.same:
                t = self.origin(t)
                name = name or self.names.get(t, "")
            v = made.get(t)
            if v is None:
                variable = self.variables.get(t)
                name = name if variable is None else short_name(variable.path)
                v = made[t] = Var(t.data.shape, t.data.dtype, name, self.sections.get(t, ""))
                if variable is not None:
                    captured[v] = variable
                elif t not in self.equations and t not in self._inputs:
                    if isinstance(t.data, ShapeOnly):  # from an earlier recording
                        t.data.refuse()
                    constants[v] = t.data
            v.name = v.name or name
            return v

        flat = [var(t, name) for t, name in zip(self.inputs, _spread(args, names), strict=True)]
        equations: dict[Var, Equation] = {}
        types = {}
        for t, (primitive, inputs, params) in self.equations.items():
            xs: Any = tuple([var(x) for x in inputs])
            v = var(t)
            equations[v] = Equation(primitive, xs, params)
            if not is_elementwise(primitive):
                types[signature(primitive, xs, params)] = v.type
        form = tree.map_structure(lambda t: None if t is None else var(t), result)
        return Program(
            tuple(flat),
            constants,
            captured,
            equations,
            tuple(tree.leaves(form)),
            tree.pack_sequence_as(args, flat),
            form,
            types,
        )


def _spread(args: tuple[Any, ...], names: Sequence[Any]) -> list[str]:
    """Return a name for each leaf of the arguments; see `record`."""
    found: list[str] = []
    for i, arg in enumerate(args):
        count = len(tree.leaves(arg))
        name = names[i] if i < len(names) else ""
        found += [name] * count if isinstance(name, str) else name
    return found


@contextmanager
def recording(inputs: Sequence[Tensor], numbers: bool = True) -> Iterator[Recorder]:
    """Record the operations of this thread."""
    before = modes.recorder
    recorder = modes.recorder = Recorder(inputs, numbers)
    try:
        yield recorder
    finally:
        modes.recorder = before


@contextmanager
def section(name: str) -> Iterator[None]:
    """Name the part of the program that is recorded in this context; nothing if none is."""
    recorder = modes.recorder
    if not isinstance(recorder, Recorder):
        yield
        return
    before, recorder.section = recorder.section, name
    try:
        yield
    finally:
        recorder.section = before


def label(t: Tensor, name: str) -> Tensor:
    """Return `t`, named `name` in the program that is recorded, if one is; see `Recorder.label`."""
    if modes.recorder is not None:
        modes.recorder.label(t, name)
    return t


def short_name(path: str) -> str:
    """Return the last two parts of a path as an identifier: ``dense_kernel``."""
    return "_".join(path.split("/")[-2:])


def record(f: Callable[..., Any], args: Sequence[Any], names: Sequence[Any] = ()) -> Program:
    """Return the program of ``f(*args)``, a function of trees of tensors that returns such a tree.

    Only shapes and dtypes of `args` matter. Functions that fail for zeros (as a matrix inverse
    does) are run on the numbers of `args`.

    Parameters
    ----------
    f : function
        May return numbers and arrays, too; these become constants. None among arguments and
        results stays None.
    args : sequence of trees of tensors, one per parameter of `f`
    names : sequence of str or of lists of str, optional
        For each argument one name, or one per leaf.

    Returns
    -------
    Program
        With ``program.args`` like `args` and ``program.result`` like the result of `f`, Vars in
        place of tensors.

    >>> import tinynet as tn
    >>> w = {"kernel": tn.tensor([[1.0], [2.0]]), "bias": tn.tensor([0.0])}
    >>> x = tn.tensor([[3.0, 4.0]])
    >>> program = record(lambda x, w: {"y": x @ w["kernel"] + w["bias"]}, (x, w), ("x", "w"))
    >>> program.result["y"].type_text, program.args[1]["kernel"].type_text
    ('float32[1,1]', 'float32[2,1]')
    """
    try:
        return _record(f, tuple(args), names, False)
    except (ValueError, ArithmeticError, IndexError):
        return _record(f, tuple(args), names, True)


def _record(
    f: Callable[..., Any], args: tuple[Any, ...], names: Sequence[Any], numbers: bool
) -> Program:
    """Record `f` for arguments of these types, on their numbers or on zeros."""
    inputs = [
        wrap(np.asarray(t.data) if numbers else stand_in(t.shape, t.dtype))
        for t in tree.leaves(args)
    ]
    with recording(inputs, numbers) as recorder, np.errstate(all="ignore"):
        result = f(*tree.pack_sequence_as(args, inputs))
        result = tree.map_structure(lambda t: None if t is None else as_tensor(t), result)
    return recorder.program(args, result, names)
