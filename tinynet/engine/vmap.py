"""`vmap`: a function of one example, computed for a whole batch at once.

The function runs once, on tensors that stand for one example. A recorder (see `bind.py`) keeps the
whole batch for each of them: it computes every operation on the batches, too, by the same primitive
or by its rule `batched`. Operations on batches are ordinary ones. So derivatives can be taken
inside and outside, and the program of a compiled function contains only operations on batches.

Imports `arrays.py` and `../tree.py`. Read next: `operators.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .. import tree
from . import arrays
from .bind import bind, modes
from .expect import expect, is_integer
from .primitives import shapes
from .temporarily import temporarily
from .tensor import Equation, Primitive, ShapeOnly, Tensor, as_tensor, wrap

P = ParamSpec("P")
R = TypeVar("R")


class Batches:
    """The recorder of `vmap`: it computes the whole batch of each tensor that is one example.

    Attributes
    ----------
    size : int, the length of the batch
    outer : the recorder that notes the operations on batches, if there is one
    batches : dict from Tensor to its batch, a Tensor with one more axis, the first
        Tensors that are the same for all examples are not in it.
    """

    def __init__(self, size: int) -> None:
        self.size, self.outer = size, modes.recorder
        self.batches: dict[Tensor, Tensor] = {}

    def example(self, batch: Tensor, t: Tensor | None = None) -> Tensor:
        """Return a tensor, by default a new one, that stands for one example of `batch`."""
        if t is None:
            t = wrap(batch.data)
            t.tracked = batch.tracked
        shape = batch.shape[1:]
        # 0.5 is in the domain of most functions, and among integers it becomes a valid index, 0.
        data = batch.data[:1].reshape(shape) if self.size else np.full(shape, 0.5, batch.dtype)
        t.data = data.view(ShapeOnly)
        self.batches[t] = batch
        return t

    def batch(self, t: Tensor) -> Tensor:
        """Return the batch of `t`; if `t` is the same for all examples, a batch of length 1."""
        if t not in self.batches:
            return shapes.reshape(t, (1, *t.shape))
        batch = self.batches[t]
        if batch.tracked and not t.tracked:  # since a derivative inside is done with it
            batch = self.batches[t] = batch.detach()
        return batch

    def repeated(self, t: Tensor) -> Tensor:
        """Return the batch of `t` in its full length."""
        return shapes.broadcast_to(self.batch(t), (self.size, *t.shape))

    def note(self, out: Tensor, equation: Equation) -> None:
        """Compute the operation on batches, unless it is the same for all examples."""
        with temporarily(modes, recorder=self.outer):
            if not self.batches.keys().isdisjoint(equation.inputs):
                batch = self._computed(out, *equation)
                shape = (self.size, *out.shape)
                what = f"shape {shape} from its rule for a batch"
                expect(batch.shape == shape, equation.primitive.name, what, batch.shape)
                self.example(batch, out)
            elif self.outer is not None:
                self.outer.note(out, equation)
            else:
                for t in equation.inputs:
                    if isinstance(t.data, ShapeOnly):
                        t.data.refuse()

    def _computed(self, out: Tensor, primitive: Primitive, inputs: Any, params: Any) -> Tensor:
        """Return the batch of `out`, computed from those of the inputs."""
        if primitive.elementwise:
            rank = 1 + out.data.ndim
            found = {t: shapes.aligned(self.batch(t), rank) for t in inputs if t in self.batches}
            return bind(primitive, *(found.get(t, t) for t in inputs), **params)
        if primitive.batched is not None:
            return primitive.batched(*map(self.batch, inputs), **params)
        if not self.size:
            return arrays.zeros((0, *out.shape), out.dtype)
        each = zip(*map(self.repeated, inputs), strict=True)
        return arrays.stack([bind(primitive, *one, **params) for one in each])

    def read(self, variable: Any, value: Tensor) -> Tensor:
        """Return the value of a variable, the same for all examples."""
        return value if self.outer is None else self.outer.read(variable, value)

    def refuse(self, t: Tensor) -> None:
        """Raise a TypeError if `t` differs between examples, or its numbers are unknown."""
        if t in self.batches:
            raise TypeError(
                "A function inside tn.vmap cannot look at the numbers of a tensor, since they "
                f"differ between examples: received {t.shape}, {t.dtype}. Use tn.ops.where, "
                "tn.ops.stack for np.array, tn.ops.take for a[t], or a loop over the examples."
            )
        if self.outer is not None:
            self.outer.refuse(t)

    def detached(self, out: Tensor, source: Tensor) -> None:
        """Note that `out` has the numbers of `source`."""
        with temporarily(modes, recorder=self.outer):
            if source in self.batches:
                self.example(self.batch(source).detach(), out)
            elif self.outer is not None:
                self.outer.detached(out, source)

    def label(self, t: Tensor, name: str) -> None:
        """Name the batch of `t` for readers of the program."""
        if self.outer is not None:
            self.outer.label(self.batches.get(t, t), name)


def vmap(f: Callable[P, R], in_axes: Any = 0, out_axes: int = 0) -> Callable[P, R]:
    """Return a function that computes `f`, a function of one example, for each example of a batch.

    Python runs `f` once; each operation computes the whole batch. The results equal those of a loop
    over the examples, stacked, up to the order of sums. Derivatives may be taken inside
    (``vmap(grad(f))``) and outside, calls may be nested, and `jit` compiles them.

    Parameters
    ----------
    f : function of tensors, or trees of them, that returns such
        Inside it, a tensor has the shape of one example. Results that do not depend on the example
        are repeated.
    in_axes : int, None or tuple
        The axis of the arguments along which the examples lie. None: the argument is the same for
        all examples and given to `f` as it is. A tuple has one entry for each positional argument:
        an int or None, or a tree like the argument with one of these for each leaf. Keyword
        arguments are the same for all examples.
    out_axes : int
        The axis of the results along which the examples lie.

    Raises
    ------
    ValueError
        For an axis that an argument or a result does not have, for batches of different lengths,
        if no argument has an axis, and if `in_axes` does not fit the arguments.
    TypeError
        For an axis that is not an int, and if `f` reads numbers of a tensor that differs between
        examples (``if``, ``float``, ``numpy``) or assigns to a variable. So random draws of a
        `SeedGenerator` are refused, except in a training step, where they are the same for all
        examples.

    Notes
    -----
    A primitive that is not elementwise and has no rule `batched` is run once for each example.

    >>> import tinynet as tn
    >>> tn.vmap(lambda x, w: x @ w, in_axes=(0, None))([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    tensor([21., 43.], dtype=float32)

    The gradient of each example's loss:

    >>> loss = lambda w, x, y: (w * x - y) ** 2
    >>> tn.vmap(tn.grad(loss), in_axes=(None, 0, 0))(2.0, [1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    tensor([ 0.,  8., 24.], dtype=float32)
    """

    def of_batch(*args: Any, **kwargs: Any) -> Any:
        each = in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
        fits = len(each) == len(args)
        expect(fits, "in_axes", f"one entry for each of {len(args)} arguments", in_axes)
        lengths: dict[int, str] = {}
        pairs = enumerate(zip(args, each, strict=True))
        given = [_batches(f"argument {i}", *pair, lengths) for i, pair in pairs]
        if len(lengths) != 1:
            what = " and ".join(lengths.values()) or f"received no axis for {len(args)} arguments"
            raise ValueError(f"vmap: expected one length of the batch: {what}.")
        recorder = Batches(*lengths)
        # In an empty batch, 0.5 may be outside of a function's domain.
        unwarned = np.errstate(all=None if recorder.size else "ignore")
        with temporarily(modes, recorder=recorder), unwarned:
            examples = ([x if a is None else recorder.example(x) for x, a in arg] for arg in given)
            result = f(*map(tree.pack_sequence_as, args, examples), **kwargs)

        def stacked(y: Any) -> Tensor:
            batch = recorder.repeated(as_tensor(y))
            place = shapes.axis_of(batch, out_axes, "out_axes")
            return shapes.moveaxis(batch, 0, place) if place else batch

        return tree.map_leaves(stacked, result)

    return of_batch


def _batches(name: str, arg: Any, axes: Any, lengths: dict[int, str]) -> list[tuple[Any, Any]]:
    """Return pairs of a leaf of an argument, with its examples along the first axis, and its axis.

    Adds the length of each of these axes to `lengths`, with the words for an error.
    """
    if axes is None or is_integer(axes):
        axes = tree.map_leaves(lambda _: axes, arg)
    found = []
    places = tree.parts_like(arg, axes, f"in_axes of {name}")
    for (path, x), (_, axis) in zip(tree.parts_like(arg, arg, name), places, strict=True):
        if axis is not None:
            x = as_tensor(x)
            place = shapes.axis_of(x, axis, f"in_axes of {path}")
            x = shapes.moveaxis(x, place, 0) if place else x
            lengths.setdefault(len(x), f"{path} has {len(x)} along axis {axis}")
        found.append((x, axis))
    return found
