"""Tensors, the equations they come from, and the conversion of users' data to tensors.

An operation is a `Primitive`: a NumPy function with the rules of its derivative. An `Equation`
says which primitive computed a tensor, from which inputs. The equations behind a tensor are its
tape, which `autodiff.py` walks backwards.

Imports NumPy alone. Read next: `bind.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

Rule = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Primitive:
    """One operation: its function, the rules of its derivative, and the inputs it is tested on.

    Attributes
    ----------
    name : str
    impl : function of arrays (positional) and params (keyword) to an array
    vjps : tuple of rules, one per input, or a function from an input's position to its rule
        A rule ``(ct, y, *inputs, **params)`` returns the cotangent of its input, computed with
        tensor operations. Rules ignore broadcasting, which the engine undoes. None: no gradient.
        Inputs beyond the tuple have no gradient either.
    cases : tuple of `Case`
        The inputs on which the tests run it.
    linear : bool
        Whether the result is linear in all inputs that have a gradient, taken together.
    composite : bool
        Whether `impl` consists of NumPy functions and therefore works on tensors, too.
    elementwise : bool
        Whether each element of the result depends on the elements at its place alone, with NumPy's
        broadcasting.
    batched : function of tensors (positional) and params (keyword) to a tensor, optional
        Computes the primitive for a whole batch. Every input has one more axis, the first, of the
        length of the batch, or of length 1 if the input is the same for the whole batch.
        Elementwise primitives need none.
    reference : function of arrays (positional) and params (keyword) to an array, optional
        What the tests compare the values with; by default NumPy's function of the same name.
    """

    name: str
    impl: Callable[..., Any]
    vjps: tuple[Rule | None, ...] | Callable[[int], Rule | None]
    cases: tuple[Any, ...] = ()
    linear: bool = False
    composite: bool = False
    elementwise: bool = False
    batched: Callable[..., Any] | None = None
    reference: Callable[..., Any] | None = None

    @cached_property
    def differentiable(self) -> Container[int]:
        """The positions of the inputs that have a gradient."""
        if callable(self.vjps):
            return range(sys.maxsize)
        return frozenset(i for i, rule in enumerate(self.vjps) if rule is not None)

    def rule(self, position: int) -> Rule | None:
        """Return the rule of the input at `position`, None if it has no gradient."""
        if callable(self.vjps):
            return self.vjps(position)
        return self.vjps[position] if position < len(self.vjps) else None

    def __repr__(self) -> str:
        return f"<Primitive {self.name}>"


class Equation(NamedTuple):
    """How a tensor was computed: ``primitive(*inputs, **params)``."""

    primitive: Primitive
    inputs: tuple[Any, ...]  # of tensors; in a program of its Vars
    params: dict[str, Any]


class Operand:
    """The base of `Tensor` and `Variable`: whatever can stand in an expression.

    `operators.py` adds the operators, the methods and NumPy's protocol.
    """

    __slots__ = ("__weakref__",)
    __hash__ = object.__hash__  # by identity: == compares elements

    if TYPE_CHECKING:

        @property
        def value(self) -> Tensor: ...
        @property
        def shape(self) -> tuple[int, ...]: ...

        def _binary(self, other: Any) -> Tensor: ...
        def _unary(self) -> Tensor: ...
        def _method(self, *args: Any, **kwargs: Any) -> Tensor: ...
        def numpy(self) -> np.ndarray: ...
        def backward(self, ct: Any = None) -> None: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __rpow__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _binary
        __neg__ = __abs__ = detach = _unary
        sum = mean = max = min = reshape = transpose = astype = all = any = argmax = _method
        argmin = argsort = clip = copy = cumprod = cumsum = diagonal = dot = flatten = _method
        nonzero = prod = ptp = ravel = repeat = round = searchsorted = squeeze = std = _method
        swapaxes = take = tolist = trace = var = _method

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def item(self) -> Any:
        """Return the only element as a Python number; ValueError unless there is just one."""
        if self.size != 1:
            raise ValueError(f"item(): expected one element, received shape {self.shape}.")
        return self.numpy().item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if copy is False and np.dtype(dtype or array.dtype) != array.dtype:
            raise ValueError(f"a tensor of dtype {array.dtype} cannot become {dtype} without copy.")
        return np.array(array, dtype, copy=copy)

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
        return map(as_tensor(self).__getitem__, range(len(self)))

    def zero_grad(self) -> None:
        """Reset `grad` to None."""
        as_tensor(self).grad = None

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)


class Tensor(Operand):
    """An array that knows how it was computed.

    A tensor owns its numbers and never changes: `data` is copied on the way in, `numpy` gives a
    read-only view on the way out.

    Parameters
    ----------
    data : array, number, (nested) list of numbers, tensor, or anything with ``__array__``
        Copied. Arrays keep their dtype; Python numbers and lists become `floatx`, or bool.
    dtype : str or dtype, optional
        A floating, integer or bool dtype; `data` is converted to it.
    requires_grad : bool
        Whether `backward` leaves a gradient here; floating dtypes only.

    Raises
    ------
    ValueError
        For data of another dtype (strings, objects, complex), for ragged lists, and for integers
        or bools with ``requires_grad=True``.

    >>> import tinynet as tn
    >>> x = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("data", "equation", "grad", "tracked")

    data: np.ndarray
    tracked: bool  # does a gradient flow through here?
    equation: Equation | None  # None: a leaf
    grad: np.ndarray | None

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
            raise ValueError(f"requires_grad: expected a floating dtype, received {self.dtype}.")
        if self.equation is not None and not value:
            name = self.equation.primitive.name
            raise ValueError(f"requires_grad: expected a leaf, received {name}(): use detach.")
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
    def T(self) -> Tensor:  # noqa: N802 (NumPy's name)
        """The tensor with its axes reversed."""
        return self.transpose()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the numbers alone: a copy is a leaf."""
        return Tensor, (self.numpy(), None, self.tracked)

    def __repr__(self) -> str:
        try:
            array = self.numpy()
        except TypeError:
            return f"tensor(recorded, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(array, separator=", ", prefix="tensor(")
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


class ShapeOnly(np.ndarray):
    """An array whose numbers are unknown: a recorder puts its own subclass into tensors."""

    def refuse(self) -> NoReturn:
        """Raise the TypeError that explains why there are no numbers."""
        raise NotImplementedError


def wrap(data: Any) -> Tensor:
    """Return a leaf that owns `data`, an array that nobody will write to: no copy, no check."""
    out = _new(Tensor)
    out.data = data if type(data) is np.ndarray or isinstance(data, ShapeOnly) else np.asarray(data)
    out.equation = out.grad = None
    out.tracked = False
    return out


_new = Tensor.__new__


# -- the conversion of users' data ------------------------------------------------------------

_floatx = np.dtype("float32")  # in all threads


def floatx() -> str:
    """Return the dtype of Python numbers and lists, ``"float32"`` unless it was set."""
    return _floatx.name


def set_floatx(dtype: str) -> None:
    """Set the dtype that Python numbers, lists and new layers get, in every thread.

    Raises
    ------
    ValueError
        Unless `dtype` is ``"float16"``, ``"float32"`` or ``"float64"``.
    """
    global _floatx
    if dtype not in ("float16", "float32", "float64"):
        raise ValueError(f"set_floatx: expected float16, float32 or float64, received {dtype!r}.")
    _floatx = np.dtype(dtype)


def to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """Return `data` as a new array of a floating, integer or bool dtype (see `Tensor`)."""
    try:
        array = np.array(data, order="C")  # so that equal numbers give equal sums
    except ValueError as error:
        raise ValueError(f"data: expected numbers in a regular shape: {error}") from None
    if array.dtype.kind not in "fiub":
        kind = f"{array.dtype.name}. data: expected numbers, received {type(data).__name__}"
        raise ValueError(f"Invalid dtype: {kind}.")
    if dtype is None:
        is_python = array.dtype.kind != "b" and _of_python_numbers(data)
        dtype = _floatx if is_python else array.dtype
    return array.astype(as_dtype(dtype), copy=False)


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

    A Python or NumPy scalar is weak: it takes the dtype `like` of the other operand, unless it is
    a float and the other an integer, a number and the other a bool, or an integer that overflows.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Operand):
        return x.value
    if like is None or not isinstance(x, (int, float, np.generic)):
        return Tensor(x)
    if like.kind == "f" and not isinstance(x, np.generic):
        return wrap(np.array(x, like))  # by far the most frequent: the 2.0 of 2.0 * t
    return Tensor(x, _weak_dtype(np.asarray(x), like))


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def _weak_dtype(scalar: np.ndarray, like: np.dtype) -> np.dtype:
    """Return the dtype that `scalar` takes when combined with a tensor of dtype `like`."""
    own = scalar.dtype
    fits = _RANK.get(own.kind, 3) <= _RANK[like.kind]
    if fits and (like.kind == "f" or scalar.astype(like) == scalar):
        return like
    return _floatx if own.kind == "f" else own
