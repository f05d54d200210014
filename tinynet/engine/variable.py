"""A variable: a named cell that holds a tensor, as a layer holds its kernel.

Tensors never change; a variable changes, and its value is then another tensor. So a graph that was
built from a weight keeps the numbers it was built from, whatever training does to it afterwards.
Variables that are updated together can live in one `Memory`, which is then updated as a whole.

Imports `tensor.py`. Read next: `primitives.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .tensor import Operand, Tensor, as_tensor, state, to_array, wrap

LINE = 64  # bytes in a cache line


class Variable(Operand):
    """A named tensor that can be replaced: a weight, an optimizer's slot, a count of steps.

    Stands in expressions as the tensor it holds at that moment.

    Parameters
    ----------
    value : array, number or list
        Copied.
    dtype : str or dtype, optional
    trainable : bool
        Whether optimizers change it and gradients flow to it.
    name : str
    path : str, optional
        The name with those of the layer and model before it, such as ``"dense/kernel"``.

    >>> import numpy as np, tinynet as tn
    >>> w = tn.Variable([1.0, 2.0], name="w")
    >>> (w * w).sum().backward()
    >>> w.grad
    array([2., 4.], dtype=float32)
    >>> w.assign(w - 0.5 * w.grad)
    <Variable path=w, shape=(2,), dtype=float32, value=[0. 0.]>
    >>> w.grad is None
    True
    """

    __slots__ = (
        "__weakref__",
        "_memory",
        "_tensor",
        "_trainable",
        "_version",
        "array",  # the numbers themselves; only `assign` and the memory write here
        "name",
        "path",
    )

    def __init__(
        self,
        value: Any,
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
        path: str | None = None,
    ) -> None:
        self.name = name
        self.path = path or name
        self._trainable = trainable
        self.array = to_array(value, dtype)
        self._memory: Memory | None = None
        self._version = 0
        self._tensor: Tensor | None = None  # the value as last asked for

    def _move(self, memory: Memory, array: np.ndarray) -> None:
        """Live in `memory` from now on, in its part `array`, which holds the same numbers."""
        if self._memory and self._version != self._memory.clock[0]:
            self._tensor = None  # out of date, and would not be seen to be any more
        self.array, self._memory, self._version = array, memory, memory.clock[0]

    @property
    def value(self) -> Tensor:
        """The numbers as they are now; within `stateless`, the tensor that stands in for them."""
        if state.values and self in state.values:
            return state.values[self]
        version = self._memory.clock[0] if self._memory else 0
        if self._tensor is None or self._version != version:
            self._tensor = wrap(self.array.copy())
            self._tensor.tracked = self._trainable and self.array.dtype.kind == "f"
            self._version = version
        return state.recording.read(self, self._tensor) if state.recording else self._tensor

    def assign(self, value: Any) -> Variable:
        """Hold `value` from now on, converted to the variable's dtype; the gradient is forgotten.

        Within `stateless`, the value changes there only.

        Raises
        ------
        ValueError
            If the shape of `value` is another one; the variable then keeps what it held.
        TypeError
            While a function is recorded to be compiled: it would be assigned to this once only.
        """
        if state.values and self in state.values:
            stand_in = as_tensor(value, self.array.dtype).astype(self.array.dtype).detach()
            self._refuse_other(stand_in.shape)
            state.values[self] = stand_in
            return self
        self.refuse_if_recorded("assign")
        numbers = value.data if isinstance(value, Tensor) else to_array(value, self.dtype)
        self._refuse_other(numbers.shape)
        self.array[...] = numbers
        self._tensor = None
        return self

    def assign_add(self, value: Any) -> Variable:
        """Hold the sum with `value` from now on; see `assign`."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Variable:
        """Hold the difference to `value` from now on; see `assign`."""
        return self.assign(self - value)

    def _refuse_other(self, shape: tuple[int, ...]) -> None:
        if shape != self.shape:
            raise ValueError(
                f"assign: variable {self.path} has shape {self.shape}, "
                f"received a value of shape {shape}."
            )

    def write(self, number: float) -> None:
        """Let all elements be `number` from now on."""
        if state.recording is not None:
            self.refuse_if_recorded("write")
        self.array[...] = number
        self._tensor = None

    def forget(self) -> None:
        """Let go the copy of the numbers that `value` made, and the gradient with it."""
        self._tensor = None

    def refuse_if_recorded(self, what: str) -> None:
        """Raise a TypeError if a function is being recorded, which may not do `what`."""
        if state.recording is not None:
            raise TypeError(
                f"{what}: a function that is recorded to be compiled cannot change a variable, as "
                f"it would do so this once only: received {self.path}. Return the new value and "
                "assign it outside, or run without compilation (run_eagerly=True, or no tn.jit)."
            )

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it and gradients flow to it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self._tensor = None

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that `backward` left at the tensor held now, or None."""
        return self.value.grad

    def zero_grad(self) -> None:
        """Forget the gradient: `grad` is None again."""
        self.value.zero_grad()

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> str:
        """The name of the elements' dtype."""
        return self.array.dtype.name

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.array.size

    def numpy(self) -> np.ndarray:
        """Return the numbers held now as a read-only array."""
        return self.value.numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.value.__array__(dtype, copy)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the numbers, not the memory they live in."""
        if state.recording is not None:
            self.value.numpy()  # which is refused
        return Variable, (self.array, self.dtype, self._trainable, self.name, self.path)

    def __repr__(self) -> str:
        value = "" if state.recording is not None else f", value={self.numpy()}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}{value}>"


def aligned(shape: tuple[int, ...] | int, dtype: Any) -> np.ndarray:
    """Return a new array that begins where a cache line does: NumPy is up to a tenth faster on it.

    NumPy's own large arrays begin 16 bytes after one, and each vector then lies across two lines.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(kind).reshape(shape)


class Memory:
    """One array in which variables of one dtype live, one after the other.

    Attributes
    ----------
    array : array of one axis
    slices : list of slice, the place of each variable
    clock : list of one int
        Whoever writes to `array` adds 1; the variables then have new values. Memories that are
        written to together may share one.
    made : int
        How many memories there have been: while it stays the same, no variable has moved.
    """

    made = 0

    def __init__(self, variables: Sequence[Variable], clock: list[int] | None = None) -> None:
        Memory.made += 1
        self.variables = list(variables)
        flat = [v.array.reshape(-1) for v in variables]
        size = sum(v.size for v in variables)
        self.array = np.concatenate(flat, out=aligned(size, flat[0].dtype))
        self.clock = [0] if clock is None else clock
        ends = np.cumsum([v.size for v in variables]).tolist()
        self.slices = [slice(end - v.size, end) for v, end in zip(variables, ends, strict=True)]
        for variable, place in zip(variables, self.slices, strict=True):
            variable._move(self, self.array[place].reshape(variable.shape))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a new memory of the variables' copies."""
        return Memory, (self.variables, self.clock)

    def holds_all(self) -> bool:
        """Return whether no variable has moved to another memory."""
        return all(v._memory is self for v in self.variables)


@contextmanager
def stateless(values: Mapping[Variable, Tensor]) -> Iterator[dict[Variable, Tensor]]:
    """Let tensors stand in for variables, in this thread: ``{variable: tensor}``.

    So a network is a function of its weights, to be differentiated, recorded or run in float64.
    What is assigned to these variables meanwhile is found in the dict that is yielded, and leaves
    the variables themselves as they are.

    >>> import tinynet as tn
    >>> count = tn.Variable(0)
    >>> with stateless({count: tn.tensor(7.0)}) as now:
    ...     count.assign(count + 1)
    <Variable path=variable, shape=(), dtype=float32, value=8.0>
    >>> now[count], count.numpy()
    (tensor(8., dtype=float32), array(0., dtype=float32))
    """
    before, state.values = state.values, {**state.values, **values}
    try:
        yield state.values
    finally:
        state.values = before
