"""`bind`, through which every operation passes, and the modes that it obeys.

`bind` runs a primitive. If a gradient may flow, it attaches an `Equation` to the result; if a
`Recorder` is set, it notifies the recorder. `primitive` makes new primitives, users' and ours.

Imports `tensor.py`. Read next: `primitives/elementwise.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from functools import wraps
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from .dtypes import strong_dtype, to_array
from .expect import expect
from .refusal import SAME, answering
from .temporarily import temporarily
from .tensor import Equation, Operand, Primitive, Rule, ShapeOnly, Tensor, as_tensor


class Recorder(Protocol):
    """The interface of objects that record operations (`compiler/record.py`, `vmap.py`)."""

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


class _Modes(threading.local):
    """The modes of one thread: each thread starts with these values and changes only its own."""

    grad = True  # do operations leave equations?
    substitutes: dict[Any, Tensor] = {}  # for the values of variables: see `stateless`
    recorder: Recorder | None = None
    differentiating = False  # is a function being differentiated?


modes = _Modes()
# The arguments of the functions that are being differentiated, in any thread.
active_arguments: set[Tensor] = set()


def grad_mode(enabled: bool) -> temporarily:
    """Switch the recording of equations on or off in this thread; restore the mode on leaving."""
    return temporarily(modes, grad=enabled)


def no_grad() -> temporarily:
    """Compute without equations: results need no memory for gradients, and no gradient flows.

    A context manager and a decorator, for this thread alone; the former mode is restored on
    leaving, also after an exception.

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
            f"{what}: would run only once in a function recorded to be compiled. {instead}, "
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
    except (ValueError, TypeError, IndexError, OverflowError) as error:
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
    """Return an error of the same type as NumPy's that adds what the operation received."""
    shapes = " and ".join(str(x.shape) for x in inputs)
    given = "".join(f", {key}={value!r}" for key, value in params.items())
    kind = next((k for k in SAME if isinstance(error, k)), ValueError)
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

    `shapes` are those of the inputs, or how many inputs there are, of shapes that broadcast.
    Elements are drawn from `domains`: one interval per input (the last one repeats), whose ends are
    numbers or arrays. `apart` keeps them away from each other and from 0, where a rule has kinks.
    `given` fixes inputs by position.
    """

    shapes: int | tuple[tuple[int, ...], ...]
    params: dict[str, Any] = {}
    domains: tuple[tuple[Any, Any], ...] = ((-2.0, 2.0),)
    apart: bool = False
    given: dict[int, Any] = {}


class CustomPrimitive(Primitive):
    """A primitive that users call like a function; made by `primitive`."""

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Return the result for tensors, arrays and numbers by position, and params by keyword.

        Python numbers among the inputs take the floating dtype of the others.
        """
        for name, value in params.items():
            expected = "a number, text or tuple (pass arrays by position)"
            is_static = isinstance(value, Hashable) and not isinstance(value, Operand)
            expect(is_static, f"{self.name}: {name}", expected, type(value), TypeError)
        if isinstance(self.vjps, tuple) and self.joint is None:
            n = len(self.vjps)
            expected = f"at most {n} inputs, one per rule (None: no gradient)"
            expect(len(inputs) <= n, self.name, expected, len(inputs), TypeError)
        like = strong_dtype(inputs)
        return bind(self, *(as_tensor(x, like) for x in inputs), **params)

    def rule(self, position: int) -> Rule | None:
        """Return the rule of the input at `position`, which checks the shape of its result."""
        rule: Any = super().rule(position)

        def checked(ct: Tensor, y: Tensor, *inputs: Tensor, **params: Any) -> Tensor:
            found, shape = as_tensor(rule(ct, y, *inputs, **params)), inputs[position].shape
            try:
                both = np.broadcast_shapes(found.shape, shape)
                return found if found.shape == both else found + np.zeros(both, found.dtype)
            except ValueError:
                what = f"shape {shape} from the rule of input {position}, received {found.shape}"
                raise ValueError(f"{self.name}: expected {what}.") from None

        return rule and checked


def _owned(impl: Any) -> Any:
    """Return a user's function whose results are copied: it may return the same array each time."""

    @wraps(impl)
    def owned(*arrays: Any, **params: Any) -> Any:
        y = impl(*arrays, **params)
        return y if isinstance(y, ShapeOnly) else to_array(np.asarray(y))

    return impl if isinstance(impl, np.ufunc) else owned


@answering
def primitive(name: str, impl: Rule, *vjps: Rule | None, each: Any = None, **traits: Any) -> Any:
    """Return a function of tensors that runs `impl` and is differentiated by the rules `vjps`.

    It has gradients of any order, is compiled by `jit` and `fit`, and `check_grads` tests it.
    A name may be used again, so a notebook's cell can be rerun.

    Parameters
    ----------
    name : str
        What programs, pictures and errors call it.
    impl : function of arrays (positional) and params (keyword) to an array
        It must not change its arguments.
    vjps : rules or None, one per input
        ``rule(ct, y, *inputs, **params)`` returns the cotangent of its input, where `ct` is that of
        the result `y`. It is written in tensor operations, so that it can be differentiated again;
        broadcasting is undone for it. None: the input has no gradient.
    each : function from the position of an input to its rule, optional
        In place of `vjps`, for any number of inputs.
    traits
        `elementwise`, `batched` and `joint`, as in `Primitive`. With `cases`, it is one of
        tinynet's own: a `Primitive` that is entered in `PRIMITIVES`, tested, and run by `bind`.

    Raises
    ------
    ValueError
        If one of tinynet's own primitives has this name.

    >>> import numpy as np, tinynet as tn
    >>> cube = tn.primitive("cube", lambda x: x**3, lambda ct, y, x: ct * 3.0 * x**2)
    >>> cube([1.0, 2.0]), tn.grad(tn.grad(cube))(2.0)
    (tensor([1., 8.], dtype=float32), tensor(12., dtype=float32))
    >>> tn.check_grads(cube, ([0.5, -2.0],))
    """
    expect(name not in PRIMITIVES, "primitive", "a name that is not one of tinynet's own", name)
    if "cases" not in traits:
        return CustomPrimitive(name, _owned(impl), each or vjps, **traits)
    return PRIMITIVES.setdefault(name, Primitive(name, impl, each or vjps, **traits))
