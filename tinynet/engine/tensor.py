"""Tensors, the equations they come from, and the conversion of users' data to tensors.

An operation is a `Primitive`: a NumPy function with the rules of its derivative. An `Equation`
says which primitive computed a tensor, from which inputs. The equations behind a tensor are its
tape, which `tape.py` walks backwards.

Imports `dtypes.py` and `../tree.py`. Read next: `bind.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from .. import tree
from .dtypes import as_dtype as as_dtype, floatx as floatx, is_weak, to_array, types_in, weak_dtype
from .expect import expect
from .refusal import answering

Rule = Callable[..., Any]


@dataclass(eq=False)
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
    joint : function ``(ct, y, wanted, *inputs, **params)``, optional
        Returns the cotangents of the inputs at the positions `wanted`, a tuple, in their order. In
        place of `vjps`, for a primitive whose cotangents are computed together.
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
    joint: Callable[..., Any] | None = None

    @cached_property
    def differentiable(self) -> Container[int]:
        """The positions of the inputs that have a gradient."""
        if callable(self.vjps) or self.joint is not None:
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
    inputs: tuple[Any, ...]  # tensors, or in a program its Vars
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
        @property
        def T(self) -> Tensor: ...  # noqa: N802 (NumPy's name)

        def _binary(self, other: Any) -> Tensor: ...
        def _method(self, *args: Any, **kwargs: Any) -> Tensor: ...
        def _numbers(self, what: str | None = None) -> np.ndarray: ...
        def backward(self, ct: Any = None) -> None: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __rpow__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _binary
        numpy = _numbers
        _gathered: Callable[..., Tensor]
        __neg__ = __abs__ = detach = sum = mean = max = min = reshape = transpose = _method
        astype = all = any = argmax = argmin = argsort = clip = copy = cumprod = _method
        cumsum = diagonal = dot = flatten = nonzero = prod = ptp = ravel = repeat = _method
        round = searchsorted = squeeze = std = swapaxes = take = tolist = trace = var = _method

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
        return self._item("item()")

    def _item(self, what: str | None) -> Any:
        """Return the only element for the operation `what`, as `_numbers` does."""
        expect(self.size == 1, what or "bool()", "one element", self.shape)
        return self._numbers(what).item()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._numbers("np.asarray or np.array"), dtype, copy=copy)

    def __bool__(self) -> bool:
        return bool(self._item(None))

    def __float__(self) -> float:
        return float(self._item("float()"))

    def __int__(self) -> int:
        return int(self._item("int()"))

    def __index__(self) -> int:
        if (dtype := as_tensor(self).data.dtype).kind not in "iu":
            raise TypeError(f"expected an integer, received {dtype}. Use int(t.detach()).")
        return int(self._item("an index"))

    def __len__(self) -> int:
        expect(self.shape, "len()", "a tensor with axes", self.shape, TypeError)
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return map(as_tensor(self).__getitem__, range(len(self)))

    def zero_grad(self) -> None:
        """Reset `grad` to None."""
        as_tensor(self).grad = None

    def __format__(self, spec: str) -> str:
        return format(self._item(None), spec) if spec else repr(self)


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
        self.tracked = False
        if requires_grad is not False:
            self.requires_grad = requires_grad

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow through this tensor; can be set on a leaf of floating dtype."""
        return self.tracked

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        expect(isinstance(value, (int, np.bool_)), "requires_grad", "a bool", value)
        expect(not value or self.dtype.kind == "f", "requires_grad", "a floating dtype", self.dtype)
        if self.equation is not None and value != self.tracked:
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the numbers alone: a copy is a leaf."""
        return Tensor, (self._numbers("a copy"), None, self.tracked)

    def __repr__(self) -> str:
        try:
            array = self._numbers()
        except TypeError:
            return f"tensor(recorded, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(array, separator=", ", prefix="tensor(")
        tail = ", requires_grad=True" if self.tracked else ""
        return f"tensor({text}, dtype={self.dtype}{tail})"


@answering
def tensor(data: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new `Tensor` of `data`, copied. See `Tensor`.

    Gradients flow to tensors and variables in `data`, also in nested lists, unless `requires_grad`
    makes a new leaf. Within a function that is differentiated, a new leaf would lose the gradient:
    TypeError.

    >>> import tinynet as tn
    >>> tn.tensor([[1, 2], [3, 4]])
    tensor([[1., 2.],
            [3., 4.]], dtype=float32)
    >>> tn.grad(lambda x: tn.tensor([x[0] ** 2, x[1]]).sum())([3.0, 4.0])
    tensor([6., 1.], dtype=float32)
    """
    if requires_grad or not has_operand(data):
        return Tensor(data, dtype, requires_grad)
    found = as_tensor(data)
    return (found if dtype is None else found.astype(dtype)).copy()


class ShapeOnly(np.ndarray):
    """An array whose numbers are unknown, or must not be read; recorders put it into tensors.

    NumPy's functions return such arrays for it, which `bind` refuses when no recorder is set.
    """

    def __array_function__(self, *args: Any) -> Any:
        def unknown(x: Any) -> Any:
            return np.asarray(x).view(ShapeOnly) if isinstance(x, (np.ndarray, np.generic)) else x

        return tree.map_structure(unknown, super().__array_function__(*args))

    def refuse(self) -> NoReturn:
        """Raise the TypeError that explains why there are no numbers."""
        raise TypeError(
            "A tensor computed inside tn.vmap, or while a function is recorded to be compiled, has "
            "no numbers of its own. Return it from the function instead of keeping it or passing "
            "it to another thread, or run without compilation (run_eagerly=True, or no tn.jit)."
        )


def wrap(data: Any) -> Tensor:
    """Return a leaf that owns `data`, an array that nobody will write to: no copy, no check."""
    out = _new(Tensor)
    out.data = data if type(data) is np.ndarray or isinstance(data, ShapeOnly) else np.asarray(data)
    out.equation = out.grad = None
    out.tracked = False
    return out


_new = Tensor.__new__


def has_operand(data: Any) -> bool:
    """Return whether `data` is a tensor or variable, or has one in nested lists or tuples."""
    return any(issubclass(kind, Operand) for kind in types_in(data))


def as_tensor(x: Any, like: np.dtype | None = None) -> Tensor:
    """Return `x` as a tensor: itself, a variable's value, or a copy of an array or number.

    Gradients flow to the tensors in nested lists. A Python number is weak: it takes `like`, the
    dtype of the other operand, unless it is a float and `like` an integer dtype, a number and
    `like` bool, or an integer that overflows.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Operand):
        return x.value
    if isinstance(x, (list, tuple)) and has_operand(x):
        return Operand._gathered(x)
    if like is None or not is_weak(x):
        return Tensor(x)
    if like.kind == "f":
        return wrap(np.array(x, like))  # by far the most frequent: the 2.0 of 2.0 * t
    return Tensor(x, weak_dtype(np.asarray(x), like))
