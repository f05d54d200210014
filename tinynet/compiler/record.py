"""Recording: a function is run once, and its operations become a `Program`.

Shapes and dtypes are observed while the function runs. Numbers that can differ at the next call are
not available: looking at one raises a TypeError that says what to do.

Imports `program.py`. Read next: `passes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from .. import tree
from ..engine.bind import bind, modes
from ..engine.primitives.elementwise import alias
from ..engine.temporarily import temporarily
from ..engine.tensor import Equation, ShapeOnly, Tensor, as_tensor, wrap
from ..engine.variable import Variable
from .program import Program, Var

_ZERO = bytes(16)  # no element is larger


def stand_in(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros of this shape in the memory of one element, for a tensor without numbers."""
    return ShapeOnly(shape, dtype, _ZERO, strides=(0,) * len(shape))


class Recorder:
    """Notes the operations of a function while it runs: the `modes.recorder` of the engine.

    Attributes
    ----------
    inputs : sequence of Tensor
    numbers : bool
        Whether results keep their numbers. By default the numbers are freed at once: only their
        types are needed, and together they take many times the memory of the function itself.
    equations : dict from Tensor to the Equation that computes it
    names : dict from Tensor to the name that a reader of the program sees
    known : dict from Tensor to Tensor
        From each stand-in to the tensor that was given as input, or to the value of the variable.
    leaves : set of Tensor
        The leaves at which `backward` may leave gradients: they live as long as the recorder.
    applied : dict from an optimizer to what its method `apply` does in a training step
    section : str, the part of the program that is recorded now
    """

    def __init__(self, inputs: Sequence[Tensor], numbers: bool = False) -> None:
        self.inputs = dict.fromkeys(inputs)
        self.numbers = numbers
        self.equations: dict[Tensor, Equation] = {}
        self.names: dict[Tensor, str] = {}
        self.known: dict[Tensor, Tensor] = {}
        self.leaves: set[Tensor] = set()
        self.applied: dict[object, Callable[..., None]] = {}
        self.section = ""
        self._sections: dict[Tensor, str] = {}
        self._sources: dict[Tensor, Tensor] = {}  # of detached tensors
        self._variables: dict[Tensor, Variable] = {}
        self._read: dict[Variable, Tensor] = {}

    def note(self, out: Tensor, equation: Equation) -> None:
        """Note an operation."""
        self.equations[out] = equation
        self._sections[out] = self.section
        if any(isinstance(x.data, ShapeOnly) for x in equation.inputs):
            out.data = stand_in(out.data.shape, out.data.dtype)

    def read(self, variable: Variable, value: Tensor) -> Tensor:
        """Return the tensor that stands for the variable's value.

        It is the same tensor each time, so that all gradients flow to it.
        """
        if variable not in self._read:
            data = value.data if self.numbers else stand_in(value.shape, value.dtype)
            self._read[variable] = t = wrap(data)
            t.tracked = value.tracked
            self._variables[t], self.known[t] = variable, value
        return self._read[variable]

    def detached(self, out: Tensor, source: Tensor) -> None:
        """Note that `out` has the numbers of `source`: as an operation if this cuts a gradient."""
        if source.tracked:
            self.note(out, Equation(alias, (source,), {}))
        else:
            self._sources[out] = self.origin(source)

    def label(self, t: Tensor, name: str) -> None:
        """Name a tensor for readers of the program, unless it has a name."""
        self.names.setdefault(self.origin(t), name)

    def refuse(self, t: Tensor) -> None:
        """Raise a TypeError if the numbers of `t` can differ at another call."""
        source = self.origin(t)
        if any(source in known for known in (self.inputs, self.equations, self._variables)):
            name = f"{self.names[source]}: " if source in self.names else ""
            raise TypeError(
                "While a function is recorded to be compiled, it cannot look at the numbers of a "
                f"tensor: received {name}{t.shape}, {t.dtype}. Use tn.ops.where, tn.ops.stack for "
                "np.array, tn.ops.take for a[t], static_argnames, run_eagerly=True, or no tn.jit."
            )

    def origin(self, t: Tensor) -> Tensor:
        """Return the tensor that `t` was detached from, or itself."""
        return self._sources.get(t, t)

    def program(self, args: tuple[Any, ...], result: Any) -> Program:
        """Return the program of a function that was called with `args` and returned `result`."""
        made: dict[Tensor, Var] = {}
        constants: dict[Var, np.ndarray] = {}
        captured: dict[Var, Variable] = {}

        def var(t: Tensor) -> Var:
            t = self.origin(t)
            if t not in made:
                name, section = self.names.get(t, ""), self._sections.get(t, "")
                v = made[t] = Var(t.data.shape, t.data.dtype, name, section, t.tracked)
                if t in self._variables:
                    captured[v] = self._variables[t]
                    v.name = short_name(captured[v].path)
                elif t not in self.equations and t not in self.inputs:
                    if isinstance(t.data, ShapeOnly):  # from an earlier recording
                        t.data.refuse()
                    constants[v] = t.data
            return made[t]

        inputs = tuple(map(var, self.inputs))
        equations = {
            var(t): Equation(primitive, tuple(map(var, xs)), params)
            for t, (primitive, xs, params) in self.equations.items()
        }
        args, form = tree.map_leaves(var, args), tree.map_leaves(var, result)
        outputs = tuple(tree.leaves(form))
        return Program(inputs, constants, captured, equations, outputs, args, form)


_nobody = Recorder(())


def section(name: str) -> temporarily:
    """Name the part of the program that is recorded in this context, if one is."""
    recorder = modes.recorder if isinstance(modes.recorder, Recorder) else _nobody
    return temporarily(recorder, section=name)


def label(t: Tensor, name: str) -> Tensor:
    """Return `t`, named `name` in the program that is recorded, if one is; see `Recorder.label`."""
    if modes.recorder is not None:
        modes.recorder.label(t, name)
    return t


def short_name(path: str) -> str:
    """Return the last two parts of a path as an identifier: ``dense_kernel``."""
    return "_".join(path.split("/")[-2:])


def record(f: Callable[..., Any], args: Any, names: Any = (), numbers: bool = False) -> Program:
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
    numbers : bool
        Whether to run `f` on the numbers of `args` from the beginning.

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
    known = tree.leaves(args := tuple(args))
    data = (np.asarray(t.data) if numbers else stand_in(t.shape, t.dtype) for t in known)
    inputs = [*map(wrap, data)]
    recorder = Recorder(inputs, numbers)
    recorder.known |= zip(inputs, known, strict=True)
    given = tree.pack_sequence_as(args, inputs)
    for arg, name in zip(given, names, strict=False):
        each = repeat(name) if isinstance(name, str) else name
        recorder.names |= {t: n for t, n in zip(tree.leaves(arg), each, strict=False) if n}
    try:
        with temporarily(modes, recorder=recorder), np.errstate(all="ignore"):
            result = tree.map_leaves(as_tensor, f(*given))
    except (ValueError, ArithmeticError, IndexError) as error:
        from traceback import walk_tb  # seldom needed

        frames = (frame for frame, _ in walk_tb(error.__traceback__))
        if numbers or not any(frame.f_code is bind.__code__ for frame in frames):
            raise  # it is a user's own error, which zeros in place of numbers did not cause
        return record(f, args, names, numbers=True)
    return recorder.program(given, result)
