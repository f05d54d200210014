"""The tensor, what it came from, and `bind`, through which every operation passes.

An operation is a `Primitive`: a NumPy function with the rules of its derivative. `bind` runs it
and, where somebody will want to know, leaves an `Equation` on the result: which primitive, of which
inputs. The equations behind a tensor are its tape; `autodiff.py` walks it backwards.

Imports NumPy alone. Read next: the first ten stanzas of `primitives.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .temporarily import temporarily

Rule = Callable[..., Any]


class _State(threading.local):
    """What one thread is doing: each thread starts with these values and changes only its own."""

    grad = True  # do operations leave equations?
    values: dict[Any, Tensor] = {}  # tensors standing in for variables (see variable.stateless)
    recording: Any = None  # who wants to know of every operation (see compiler/program.py)
    floatx = np.dtype("float32")  # what Python's numbers become; set on the class, for all threads


state = _State()


def grad_mode(enabled: bool) -> temporarily:
    """Turn the recording of equations on or off in this thread, and back again on leaving."""
    return temporarily(state, grad=enabled)


def no_grad() -> Any:
    """Run without recording: results need no memory for gradients, and have none.

    A context manager and a decorator, for this thread alone; the former state is restored on
    leaving, also by an exception.

    >>> import tinynet as tn
    >>> w = tn.tensor(3.0, requires_grad=True)
    >>> with tn.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """
    return grad_mode(False)


def floatx() -> str:
    """Return the dtype that Python's numbers and lists become, ``"float32"`` unless set."""
    return state.floatx.name


def set_floatx(dtype: str) -> None:
    """Set the dtype that Python's numbers, lists and new layers get, in every thread.

    Raises
    ------
    ValueError
        Unless `dtype` is ``"float16"``, ``"float32"`` or ``"float64"``.
    """
    if dtype not in ("float16", "float32", "float64"):
        raise ValueError(
            f"set_floatx: dtype must be 'float16', 'float32' or 'float64', received {dtype!r}."
        )
    _State.floatx = np.dtype(dtype)


class StandIn(np.ndarray):
    """Zeros in the place of the numbers of a tensor that is recorded: it has them at calls only.

    NumPy computes with them while a recording goes on, and what comes of it is a stand-in again;
    at any other time, and in other threads, it is refused.
    """

    def __array_function__(self, *args: Any) -> Any:
        demand_recording()
        return super().__array_function__(*args)


def demand_recording() -> None:
    """Raise if a tensor without numbers is used where no function is recorded."""
    if state.recording is None or state.recording.numbers:
        raise no_numbers()


def no_numbers() -> TypeError:
    """Return the refusal of a tensor that was recorded and is used elsewhere."""
    return TypeError(
        "This tensor was computed while a function was recorded to be compiled, and has no "
        "numbers, as they are others at each call. Return it from the function, do not keep it "
        "or hand it to another thread; or run without compilation (run_eagerly=True, or no tn.jit)."
    )


@dataclass(frozen=True, eq=False)
class Primitive:
    """One operation: what it computes, how cotangents go back through it, what it is tested on.

    Attributes
    ----------
    name : str
    impl : function of arrays (positional) and params (keyword) to an array
    vjps : tuple of rules, one per input, or a function from an input's position to its rule
        A rule ``(ct, y, *inputs, **params)`` returns the cotangent of its input, in operations of
        tensors. It need not care for broadcasting. None: no gradient. Inputs beyond the tuple have
        no gradient either.
    cases : tuple of `Case`
        The inputs that the tests draw.
    linear : bool
        Whether the result is linear in all inputs that have a gradient, together.
    composite : bool
        Whether `impl` is made of NumPy's functions and so works on tensors, too.
    """

    name: str
    impl: Callable[..., Any]
    vjps: tuple[Rule | None, ...] | Callable[[int], Rule | None]
    cases: tuple[Any, ...] = ()
    linear: bool = False
    composite: bool = False

    def rule(self, position: int) -> Rule | None:
        """Return the rule of the input at `position`, None if it has no gradient."""
        vjps = self.vjps
        if isinstance(vjps, tuple):
            return vjps[position] if position < len(vjps) else None
        return vjps(position)

    def __repr__(self) -> str:
        return f"<Primitive {self.name}>"


class Equation(NamedTuple):
    """How a tensor came to be: ``primitive(*inputs, **params)``."""

    primitive: Primitive
    inputs: tuple[Tensor, ...]
    params: dict[str, Any]


class Operand:
    """What stands in expressions: a `Tensor`, or a `Variable`, which is read when it is used.

    Operators and methods are put here by the table at the end of `functional.py`.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # by identity: == compares elements

    if TYPE_CHECKING:
        __add__: Callable[[Any, Any], Tensor]
        __radd__: Callable[[Any, Any], Tensor]
        __sub__: Callable[[Any, Any], Tensor]
        __rsub__: Callable[[Any, Any], Tensor]
        __mul__: Callable[[Any, Any], Tensor]
        __rmul__: Callable[[Any, Any], Tensor]
        __truediv__: Callable[[Any, Any], Tensor]
        __rtruediv__: Callable[[Any, Any], Tensor]
        __matmul__: Callable[[Any, Any], Tensor]
        __rmatmul__: Callable[[Any, Any], Tensor]
        __pow__: Callable[[Any, Any], Tensor]
        __rpow__: Callable[[Any, Any], Tensor]
        __neg__: Callable[[Any], Tensor]
        __abs__: Callable[[Any], Tensor]
        __lt__: Callable[[Any, Any], Tensor]
        __le__: Callable[[Any, Any], Tensor]
        __gt__: Callable[[Any, Any], Tensor]
        __ge__: Callable[[Any, Any], Tensor]
        __getitem__: Callable[[Any, Any], Tensor]
        sum: Callable[..., Tensor]
        mean: Callable[..., Tensor]
        max: Callable[..., Tensor]
        min: Callable[..., Tensor]
        reshape: Callable[..., Tensor]
        transpose: Callable[..., Tensor]
        astype: Callable[..., Tensor]


class Tensor(Operand):
    """An array that knows what it was computed from.

    A tensor owns its numbers and never changes: `data` is copied on the way in, `numpy` gives a
    read-only view on the way out.

    Parameters
    ----------
    data : array, number, (nested) list of numbers, tensor, or anything with ``__array__``
        Copied. Arrays keep their dtype; Python's numbers and lists become `floatx`, or bool.
    dtype : str or dtype, optional
        float, integer or bool; converts `data`.
    requires_grad : bool
        Whether `backward` shall leave a gradient here; floating dtypes only.

    Raises
    ------
    ValueError
        On data of another dtype (strings, objects, complex), ragged lists, and integers or bools
        with ``requires_grad=True``.

    >>> import tinynet as tn
    >>> x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("__weakref__", "data", "equation", "grad", "tracked")

    data: np.ndarray
    tracked: bool  # does a gradient flow through here?
    equation: Equation | None  # None: a leaf
    grad: np.ndarray | None

    if TYPE_CHECKING:
        backward: Callable[..., None]

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        self.data = to_array(data, dtype)
        self.equation = self.grad = None
        self.requires_grad = requires_grad

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through this tensor; can be set on a leaf of floating dtype."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.data.dtype.kind != "f":
            raise ValueError(
                f"requires_grad: only floating tensors have gradients, received dtype "
                f"{self.dtype}. Convert with .astype('float32') first."
            )
        if self.equation is not None and not value:
            raise ValueError(
                "requires_grad can be switched off on leaves only; this tensor is the result of "
                f"{self.equation.primitive.name}(). Use .detach()."
            )
        self.tracked = bool(value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The tensor with its axes reversed."""
        return self.transpose()

    def numpy(self) -> np.ndarray:
        """Return the numbers as a read-only view: no copy, no gradient."""
        self._look()
        view = self.data.view()
        view.flags.writeable = False
        return view

    def _look(self) -> None:
        """Raise if there are no numbers, as a function is recorded, or was."""
        if state.recording is not None and state.recording.knows(self):
            raise TypeError(
                "While a function is recorded to be compiled, it cannot look at the numbers of a "
                f"tensor, as they are others at the next call: received {self.shape}, "
                f"{self.dtype}. Choose with tn.ops.where instead of branching, or run without "
                "compilation (run_eagerly=True, or no tn.jit)."
            )
        if type(self.data) is StandIn:
            raise no_numbers()

    def item(self) -> Any:
        """Return the only element as a Python number; ValueError if there is not just one."""
        if self.data.size != 1:
            raise ValueError(
                f"item(): expected a tensor of one element, received shape {self.shape}."
            )
        self._look()
        return self.data.item()

    def detach(self) -> Tensor:
        """Return a tensor of the same numbers through which no gradient flows."""
        out = wrap(self.data)
        if state.recording is not None:
            state.recording.same[out] = self
        return out

    def zero_grad(self) -> None:
        """Forget the gradient: `grad` is None again."""
        self.grad = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self._look()
        if dtype is None or np.dtype(dtype) == self.data.dtype:
            return self.data.copy() if copy else self.numpy()
        if copy is False:
            raise ValueError(f"a tensor of {self.dtype} is no {np.dtype(dtype)} without a copy.")
        return self.data.astype(dtype)

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes: its shape is ().")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the numbers alone: a copy is a leaf."""
        self._look()
        return Tensor, (self.data, None, self.tracked)

    def __repr__(self) -> str:
        record = state.recording
        if type(self.data) is StandIn or (record is not None and record.knows(self)):
            return f"tensor(recorded, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(self.data, separator=", ", prefix="tensor(")
        tail = ", requires_grad=True" if self.tracked else ""
        return f"tensor({text}, dtype={self.dtype}{tail})"


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new `Tensor` of `data`, copied. See `Tensor`.

    >>> import tinynet as tn
    >>> tn.tensor([[1, 2], [3, 4]])
    tensor([[1., 2.],
            [3., 4.]], dtype=float32)
    """
    return Tensor(data, dtype, requires_grad)


def wrap(data: Any) -> Tensor:
    """Return a leaf that owns `data`, an array nobody will write to: no copy, no check."""
    out = _new(Tensor)
    out.data = data if type(data) is np.ndarray or type(data) is StandIn else np.asarray(data)
    out.equation = out.grad = None
    out.tracked = False
    return out


_new, _data = Tensor.__new__, attrgetter("data")


def bind(primitive: Primitive, *inputs: Tensor, **params: Any) -> Tensor:
    """Run `primitive` on `inputs`, and leave an equation on the result if gradients flow.

    The one place that every operation passes through. `params` are static and hashable.

    Raises
    ------
    ValueError, TypeError or IndexError
        What NumPy raises, saying which operation was given what.
    """
    try:
        data = primitive.impl(*map(_data, inputs), **params)
    except (ValueError, TypeError, IndexError) as error:
        shapes = " and ".join(str(x.shape) for x in inputs)
        given = "".join(f", {key}={value}" for key, value in params.items())
        kind = next(k for k in (ValueError, TypeError, IndexError) if isinstance(error, k))
        raise kind(f"{primitive.name}() of shape {shapes}{given}: {error}") from None
    out = _new(Tensor)
    out.data = data if type(data) is np.ndarray else _plain(data)
    out.equation = out.grad = None
    out.tracked = False
    for x in inputs:
        if x.tracked:
            if state.grad and _flows(out, primitive, inputs):
                out.tracked = True
                out.equation = Equation(primitive, inputs, params)
            break
    if state.recording is not None:
        state.recording.note(out, Equation(primitive, inputs, params))
    return out


def _plain(data: Any) -> np.ndarray:
    """Return what a primitive gave as an array; a stand-in only while a function is recorded."""
    if isinstance(data, StandIn):
        demand_recording()
    return np.asarray(data)


def _flows(out: Tensor, primitive: Primitive, inputs: tuple[Tensor, ...]) -> bool:
    """Return whether a gradient flows back from `out` to one of the inputs."""
    if out.data.dtype.kind != "f":  # what is counted or compared is a constant
        return False
    return any(x.tracked and primitive.rule(i) is not None for i, x in enumerate(inputs))


# -- what users may pass for a tensor ---------------------------------------------------------


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """Return `data` as a new array of a floating, integer or bool dtype (see `Tensor`)."""
    try:
        array = np.array(data, order="C")  # so that equal numbers give equal sums
    except ValueError as error:
        raise ValueError(f"data: expected numbers in a regular shape: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"Invalid dtype: {array.dtype.name}. data: expected numbers or bools, "
            f"received {type(data).__name__}."
        )
    if dtype is not None:
        wanted = as_dtype(dtype)
    elif array.dtype.kind != "b" and _of_python_numbers(data):
        wanted = state.floatx
    else:
        wanted = as_dtype(array.dtype)
    return array.astype(wanted, copy=False)


def _of_python_numbers(data: Any) -> bool:
    """Return whether `data` is a Python number, or nested lists or tuples of them."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (int, float, list, tuple))


def as_dtype(dtype: Any) -> np.dtype:
    """Return `dtype` as NumPy's; ValueError unless it is floating, integer or bool."""
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind not in "fiub":
        raise ValueError(f"Invalid dtype: {dtype}. Expected floats, integers or bool.")
    return found if found.isnative else found.newbyteorder("=")


def as_tensor(x: Any, like: np.dtype | None = None) -> Tensor:
    """Return `x` as a tensor: itself, a variable's value, or a copy of an array or number.

    A Python or NumPy scalar is weak: it takes the dtype `like` of what it stands beside, unless
    it is a float beside an integer, a number beside a bool, or an integer that does not fit.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Operand):
        return x.value  # type: ignore[attr-defined]
    if like is None or not isinstance(x, (int, float, np.generic)):
        return Tensor(x)
    if like.kind == "f" and not isinstance(x, np.generic):
        return wrap(np.array(x, like))  # by far the most frequent: the 2.0 of 2.0 * t
    return Tensor(x, _weak_dtype(np.asarray(x), like))


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def _weak_dtype(scalar: np.ndarray, like: np.dtype) -> np.dtype:
    """Return the dtype that `scalar` takes beside a tensor of dtype `like`."""
    own = scalar.dtype
    if _RANK.get(own.kind, 3) <= _RANK[like.kind]:
        fits = like.kind == "f" or scalar.astype(like) == scalar
        return like if fits else own
    return state.floatx if own.kind == "f" else own
