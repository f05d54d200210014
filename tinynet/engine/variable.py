"""A variable: a named cell that holds a tensor, such as the kernel of a layer.

A tensor never changes. A variable changes by getting another tensor as its value. So a tape built
from a weight keeps its numbers, whatever training does to the weight afterwards. Variables that are
updated together can live in one `Memory`, which is then updated as a whole.

Imports `tape.py`. Read next: `gradcheck.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np

from .bind import modes, refuse_if_recorded
from .expect import expect
from .primitives import elementwise
from .refusal import answering
from .tape import refuse_to_cut
from .temporarily import temporarily
from .tensor import Operand, Tensor, to_array, wrap

LINE = 64  # bytes in a cache line


class _Structure:
    """The version of everything that compiled programs depend on besides their inputs.

    `version` is a new object after each change: a variable moved to another array, became
    trainable, or an attribute of a watched object was assigned (see `configs/watched.py`). No
    version recurs. So a reader that notes the version before it looks at the objects cannot miss a
    change by another thread.
    """

    version = object()

    def change(self) -> None:
        """Note a change."""
        self.version = object()


structure = _Structure()


def _structural(name: str, converted: Callable[[Any], Any], doc: str) -> Any:
    """Return a property of variables; setting it changes `structure.version`."""

    def change(self: Variable, value: Any) -> None:
        setattr(self, name, converted(value))
        self._tensor = None
        structure.change()

    return property(attrgetter(name), change, doc=doc)


class Variable(Operand):
    """A named tensor that can be replaced: a weight, an optimizer's slot, a count of steps.

    In an expression it stands for the tensor that it holds at that moment.

    Parameters
    ----------
    value : array, number or list
        Copied.
    dtype : str or dtype, optional
    trainable : bool
        Whether optimizers change it and gradients flow to it.
    name : str
    path : str, optional
        The name after the names of the model and layer, such as ``"dense/kernel"``.

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
        *("_constraint", "_memory", "_seen", "_tensor", "_trainable"),
        *("array", "name", "path", "version"),
    )

    @answering
    def __init__(
        self,
        value: Any,
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
        path: str | None = None,
    ) -> None:
        self.name, self.path = name, path or name
        self._trainable = trainable
        self._constraint: Any = None
        self.array = to_array(value, dtype)  # code that writes here adds 1 to `version`
        self.version = 0
        self._memory: Memory | None = None
        self._tensor: Tensor | None = None  # the value when it was last read,
        self._seen = 0  # and the version then

    def _move(self, memory: Memory, array: np.ndarray) -> None:
        """Move into `memory`: `array` is this variable's part of it and has the same numbers."""
        if self._seen != self.version + (self._memory.version if self._memory else 0):
            self._tensor = None  # stale, but the new memory's version would not show it
        self.array, self._memory, self._seen = array, memory, self.version + memory.version

    @property
    def value(self) -> Tensor:
        """The current numbers as a tensor; within `stateless`, the substitute."""
        if modes.substitutes and self in modes.substitutes:
            return modes.substitutes[self]
        version = self.version + self._memory.version if self._memory else self.version
        if self._tensor is None or self._seen != version:
            new = wrap(self.array.copy())
            new.tracked = self._trainable and self.array.dtype.kind == "f"
            self._tensor, self._seen = new, version
        return modes.recorder.read(self, self._tensor) if modes.recorder else self._tensor

    def assign(self, value: Any) -> Variable:
        """Set the value, converted to the variable's dtype; `grad` becomes None.

        Within `stateless` only the substitute is replaced.

        Raises
        ------
        ValueError
            If `value` has another shape; the variable then keeps its value.
        TypeError
            While a function is recorded to be compiled: it would assign only once. Within a
            function that is differentiated, if `value` depends on its arguments: the gradient would
            be lost. Assign ``value.detach()``.
        """
        if self not in modes.substitutes:
            self.refuse_if_recorded("assign")
        new = self.converted(value, f"assign to {self.path}")
        if self in modes.substitutes:
            leaves: set[Tensor] = getattr(modes.recorder, "leaves", set())
            before, new = modes.substitutes[self], new.detach()
            modes.substitutes[self] = new
            if before in leaves:  # in a recorded step: gradients flow to the new value, too
                new.requires_grad = True
                leaves.add(new)
        else:
            refuse_to_cut(new, f"assign to {self.path}")
            self.write(new.data)
        return self

    def converted(self, value: Any, argument: str) -> Tensor:
        """Return a value for this variable in its dtype; ValueError for another shape."""
        new = elementwise.cast(value, self.array.dtype)
        expect(new.shape == self.shape, argument, f"shape {self.shape} of {self.path}", new.shape)
        return new

    def assign_add(self, value: Any) -> Variable:
        """Add `value`; see `assign`."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtract `value`; see `assign`."""
        return self.assign(self - value)

    @answering
    def write(self, numbers: Any) -> None:
        """Set all elements to `numbers`, an array or one number."""
        self.refuse_if_recorded("write")
        self.array[...] = np.asarray(numbers, self.array.dtype)
        self.version += 1

    def current(self) -> np.ndarray:
        """Return the array that holds the numbers now."""
        return self.array

    def refuse_if_recorded(self, what: str) -> None:
        """Raise a TypeError if a function is being recorded, in which `what` is not allowed."""
        what = f"{what}: received variable {self.path}"
        refuse_if_recorded(what, "Return the new value and assign it outside")

    trainable = _structural("_trainable", bool, "Whether optimizers change it and gradients flow.")
    constraint = _structural("_constraint", lambda f: f, "A function of each new value, or None.")

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that `backward` added to the current value, or None."""
        return self.value.grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.array.shape

    @property
    def dtype(self) -> str:
        """The name of the elements' dtype."""
        return self.array.dtype.name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy the numbers, not the memory."""
        arguments = self._numbers("a copy"), self.dtype, self._trainable, self.name, self.path
        return Variable, arguments, (None, {"constraint": self.constraint})

    def __repr__(self) -> str:
        value = "" if modes.recorder is not None else f", value={self._numbers()}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}{value}>"


def allocate(shape: tuple[int, ...] | int, dtype: Any) -> np.ndarray:
    """Return an uninitialized array aligned to a cache line: NumPy is up to a tenth faster on it.

    NumPy's own large arrays begin 16 bytes after the start of one, so that the processor's vectors
    straddle two lines.
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
    slices : list of slice, the position of each variable in it
    version : int
        Code that writes to `array` adds 1, so that the variables read their new values.
    """

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables, self.version = list(variables), 0
        ends = np.cumsum([v.size for v in variables]).tolist()
        self.slices = [slice(end - v.size, end) for v, end in zip(variables, ends, strict=True)]
        self._gather()

    def _gather(self) -> None:
        """Move all variables to a new array."""
        flat = [v.array.reshape(-1) for v in self.variables]
        self.array = np.concatenate(flat, out=allocate(self.slices[-1].stop, flat[0].dtype))
        structure.change()  # before, too: an error may stop the moves half-way
        for variable, part in zip(self.variables, self.slices, strict=True):
            variable._move(self, self.array[part].reshape(variable.shape))
        structure.change()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as a new memory of copied variables."""
        return Memory, (self.variables,)

    def write(self, numbers: np.ndarray) -> None:
        """Give all variables new values."""
        self.array[...] = numbers
        self.version += 1

    def current(self) -> np.ndarray:
        """Return `array`, after gathering the variables again if some moved to another memory."""
        if any(v._memory is not self for v in self.variables):
            self._gather()
        return self.array


def assign_all(values: Mapping[Variable, Any]) -> None:
    """Assign to several variables or, if an exception (Ctrl-C too) ends this call, to none."""
    new = {v: v.converted(value, f"assign to {v.path}") for v, value in values.items()}
    all_or_none(new, lambda: [v.assign(value) for v, value in new.items()])


def all_or_none(owners: Iterable[Variable | Memory], change: Callable[[], Any]) -> None:
    """Call `change`; if an exception (Ctrl-C too) ends it, restore the owners' numbers.

    Not a context manager: leaving one needs memory, which may be lacking after the change is made.
    """
    before = [(owner, owner.array.copy()) for owner in owners]
    try:
        change()
    except BaseException:
        for owner, old in before:
            owner.array[...] = old
            owner.version += 1
        raise


def paired(argument: str, variables: Sequence[Variable], values: Any) -> dict[Variable, Tensor]:
    """Return values that a user passed, one for each variable, as tensors of the variables' dtypes.

    For another number of values, or other shapes, a ValueError that names `argument`.
    """
    count = len(values) if isinstance(values, (list, tuple)) else values
    expected = f"a list of values for {len(variables)} variables"
    expect(count == len(variables), argument, expected, count)
    pairs = enumerate(zip(variables, values, strict=True))
    return {v: v.converted(value, f"{argument}[{i}]") for i, (v, value) in pairs}


@contextmanager
def stateless(values: Mapping[Variable, Tensor]) -> Iterator[dict[Variable, Tensor]]:
    """Substitute tensors for the values of variables, in this thread: ``{variable: tensor}``.

    This makes a network a function of its weights that can be differentiated, recorded or run in
    float64. Values assigned to these variables meanwhile go to the dict that is yielded; the
    variables themselves do not change.

    >>> import tinynet as tn
    >>> count = tn.Variable(0)
    >>> with stateless({count: tn.tensor(7.0)}) as now:
    ...     count.assign(count + 1)
    <Variable path=variable, shape=(), dtype=float32, value=8.0>
    >>> now[count], count.numpy()
    (tensor(8., dtype=float32), array(0., dtype=float32))
    """
    with temporarily(modes, substitutes={**modes.substitutes, **values}):
        yield modes.substitutes
