"""`bind`, through which every operation passes, and the modes that it obeys.

`bind` runs a primitive. If a gradient may flow, it leaves an `Equation` on the result; if a
`Recorder` is set, it tells the recorder. `primitive` makes new primitives.

Imports `tensor.py`. Read next: `primitives/elementwise.py`.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from .temporarily import temporarily
from .tensor import Equation, Primitive, Rule, ShapeOnly, Tensor


class Recorder(Protocol):
    """What the engine asks of an object that records (`compiler/record.py`, `vmap.py`)."""

    def note(self, out: Tensor, equation: Equation, /) -> None:
        """Note an operation and its result."""

    def read(self, variable: Any, value: Tensor, /) -> Tensor:
        """Return the tensor that takes the place of a variable's value."""

    def refuse(self, tensor: Tensor, /) -> None:
        """Raise a TypeError if the numbers of `tensor` are unknown while recording."""

    def detached(self, out: Tensor, source: Tensor, /) -> None:
        """Note that `out` has the numbers of `source`."""

    def label(self, tensor: Tensor, name: str, /) -> None:
        """Give `tensor` a name for readers of the program, unless it has one."""

    def watch(self, thing: object, /) -> None:
        """Note that the program depends on attributes of `thing`."""


class _Modes(threading.local):
    """The modes of one thread: each thread starts with these values and changes only its own."""

    grad = True  # do operations leave equations?
    substitutes: dict[Any, Tensor] = {}  # for the values of variables: see `stateless`
    recorder: Recorder | None = None
    arguments: frozenset[Tensor] = frozenset()  # of the functions that are being differentiated


modes = _Modes()


def grad_mode(enabled: bool) -> temporarily:
    """Switch equations on or off in this thread; the former mode returns on leaving."""
    return temporarily(modes, grad=enabled)


def no_grad() -> temporarily:
    """Compute without equations: results need no memory for gradients, and have none.

    A context manager and a decorator, for this thread alone; the former mode returns on leaving,
    also after an exception.

    >>> import tinynet as tn
    >>> w = tn.tensor(3.0, requires_grad=True)
    >>> with tn.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    return grad_mode(False)


def refuse_if_recorded(what: str, instead: str) -> None:
    """Raise a TypeError if a function is being recorded, in which `what` is not allowed."""
    if modes.recorder is not None:
        raise TypeError(
            f"{what}: a function that is recorded to be compiled would do so only once. {instead}, "
            "or run without compilation (run_eagerly=True, or no tn.jit, no tn.vmap)."
        )


_new, _data, _equation = Tensor.__new__, attrgetter("data"), tuple.__new__


def bind(primitive: Primitive, *inputs: Tensor, **params: Any) -> Tensor:
    """Run `primitive` on `inputs`, and leave an equation on the result if gradients flow.

    Every operation passes through this function. `params` are static and hashable.

    Raises
    ------
    ValueError, TypeError or IndexError
        NumPy's error, with the name of the operation and what it received.
    """
    try:
        data = primitive.impl(*map(_data, inputs), **params)
    except (ValueError, TypeError, IndexError) as error:
        raise explained(error, primitive.name, inputs, params) from None
    if type(data) is not np.ndarray or not data.flags.c_contiguous:
        data = _row_major(data, primitive, inputs)
    out = _new(Tensor)
    out.data = data
    out.equation = out.grad = None
    out.tracked = False
    for i, x in enumerate(inputs):
        if x.tracked and i in primitive.differentiable:
            if modes.grad and out.data.dtype.kind == "f":  # counts and comparisons are constants
                out.tracked = True
                # Equation(...) itself takes several times as long as tuple's own constructor.
                out.equation = _equation(Equation, (primitive, inputs, params))
            break
    if modes.recorder is not None:
        modes.recorder.note(out, Equation(primitive, inputs, params))
    return out


def explained(error: Exception, name: str, inputs: Any, params: Any) -> Exception:
    """Return NumPy's error as one of the same kind that says what the operation received."""
    shapes = " and ".join(str(x.shape) for x in inputs)
    given = "".join(f", {key}={value!r}" for key, value in params.items())
    kinds = (np.linalg.LinAlgError, ValueError, TypeError, IndexError)
    kind = next(k for k in kinds if isinstance(error, k))
    return kind(f"{name}() of shape {shapes}{given}: {error}")


VIEWS = frozenset(("reshape", "transpose", "getitem", "alias"))  # their results may be views


def _row_major(data: Any, primitive: Primitive, inputs: tuple[Tensor, ...]) -> np.ndarray:
    """Return the result of a primitive as an array in row-major order, or as a view of its input.

    NumPy keeps the layout of a transposed operand. The last bits of sums and products depend on the
    layout, and compiled functions compute into row-major buffers.
    """
    if isinstance(data, ShapeOnly) and modes.recorder is None:
        data.refuse()
    if primitive.name in VIEWS and np.may_share_memory(data, inputs[0].data):
        return np.asarray(data)
    return np.asarray(data, order="C")


# -- how primitives are made ------------------------------------------------------------------

PRIMITIVES: dict[str, Primitive] = {}


class Case(NamedTuple):
    """Inputs on which a primitive is tested, as data.

    `shapes` are those of the inputs; a number means that many shapes that broadcast. Numbers are
    drawn from `domains`, one interval per input (the last one repeats), between numbers or arrays;
    `apart` keeps them away from each other and from 0, where a rule has kinks. `given` fixes inputs
    by position.
    """

    shapes: int | tuple[tuple[int, ...], ...]
    params: dict[str, Any] = {}
    domains: tuple[tuple[Any, Any], ...] = ((-2.0, 2.0),)
    apart: bool = False
    given: dict[int, Any] = {}


def primitive(
    name: str, impl: Rule, *vjps: Rule | None, each: Any = None, **traits: Any
) -> Primitive:
    """Return a new primitive, entered in `PRIMITIVES`.

    A primitive of any number of inputs gives its rules by `each`, a function of the position.
    `traits` are `cases` (by default one on any shape) and the other attributes of `Primitive`.
    """
    if name in PRIMITIVES:
        raise ValueError(f"primitive: the name {name!r} is already taken.")
    traits.setdefault("cases", (Case(1),))
    return PRIMITIVES.setdefault(name, Primitive(name, impl, each or vjps, **traits))
