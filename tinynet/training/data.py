"""Data: the arrays that users pass for x, y and weights, cut into batches.

Imports `tree.py` and `arrays.py`. Read next: `streams.py`, `step.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..distribution.ranks import Part
from ..engine.expect import expect, is_integer, is_number, warn
from .arrays import by_class, is_stream, rows_of, to_array


def _among(*choices: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Hashable) and value in choices


def _by_output(*kinds: type) -> tuple[str, Callable[[Any], bool]]:
    return "a list, tuple or dict", lambda x: isinstance(x, (list, tuple, dict, type(None), *kinds))


# What the options of `compile`, `fit` and the like may be, in words and as a condition.
OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("epochs", "initial_epoch"), ("an integer", is_integer)),
    **dict.fromkeys(
        ("batch_size", "steps", "steps_per_epoch", "validation_steps", "validation_batch_size"),
        ("an integer, or None for the default", lambda n: n is None or (is_integer(n) and n >= 0)),
    ),
    "verbose": ("0, 1, 2 or 'auto'", _among(0, 1, 2, "auto")),
    "shuffle": ("a bool or 'batch'", _among(True, False, None, "batch")),
    "return_dict": ("a bool", _among(True, False, None)),
    "optimizer": ("an optimizer or its name", lambda optimizer: optimizer is not None),
    "loss_weights": _by_output(int, float, np.number),
    **dict.fromkeys(("metrics", "weighted_metrics"), _by_output()),
    "run_eagerly": ("a bool", lambda flag: isinstance(flag, (int, np.bool_, type(None)))),
    "jit_compile": ("True, False or 'auto'", lambda x: isinstance(x, bool) or str(x) == "auto"),
    "on_divergence": ("'warn', 'raise' or 'ignore'", _among("warn", "raise", "ignore")),
    "validation_split": ("a share from 0 to 1", lambda share: share is None or is_number(share)),
}


def check_options(given: dict[str, Any]) -> None:
    """Raise an error for options that are not what `OPTIONS` says: TypeError for epochs, as Keras.

    ValueError for the others.
    """
    for name, (wanted, holds) in OPTIONS.items():
        if name in given:
            kind = TypeError if name in ("epochs", "initial_epoch") else ValueError
            expect(holds(given[name]), name, wanted, given[name], kind)


class Batch(NamedTuple):
    """Inputs, targets and weights of samples: arrays or tensors, structures of them, or None."""

    x: Any
    y: Any = None
    sample_weight: Any = None

    def map(self, f: Callable[[Any], Any]) -> Batch:
        """Return `f` of each array, in the same structures; None stays None."""
        return tree.map_leaves(f, self)

    @property
    def size(self) -> int:
        """The number of samples.

        Raises
        ------
        ValueError
            When there are none, or their numbers differ.
        """
        sizes = {k: [len(a) for a in tree.leaves(part)] for k, part in self._asdict().items()}
        different = set(itertools.chain(*sizes.values()))
        if len(different) > 1:
            lines = [f"'{k}' sizes: {', '.join(map(str, ns))}\n" for k, ns in sizes.items() if ns]
            advice = "Make sure all arrays contain the same number of samples."
            raise ValueError(f"Data cardinality is ambiguous. {advice}{''.join(lines)}")
        if not any(different):
            raise ValueError("The data is empty: expected at least one sample in x.")
        return different.pop()


def to_batch(data: Batch, dense: bool = True) -> Batch:
    """Return what a user passed for x, y and weights, as arrays; see `to_array`."""
    rows = zip(data, Batch._fields, strict=True)
    to = partial(to_array, dense=dense)
    return Batch(*(tree.map_leaves(partial(to, argument=name), part) for part, name in rows))


class Dataset:
    """Inputs, targets and weights of samples, and the batches they are cut into.

    Parameters
    ----------
    data : Batch, arrays or structures of them; y and sample_weight may be None
    batch_size : int, optional
        32 by default, or what makes `steps` batches.
    steps : int, optional
        Batches in an epoch, all by default.
    shuffle : bool or "batch"
        Draw the samples of an epoch in a new order (or each batch's, for ``"batch"``), from
        NumPy's global generator, as Keras does.
    class_weight : dict from class to weight, optional
        Instead of `sample_weight`.

    Raises
    ------
    ValueError
        When there are no samples, or their numbers differ.
    """

    def __init__(
        self,
        data: Batch,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        if class_weight is not None:
            data = data._replace(sample_weight=by_class(*data[1:], class_weight, steps != 1))
        x, *rest = to_batch(data, dense=steps == 1)
        one = [part[0] if isinstance(part, list) and len(part) == 1 else part for part in rest]
        self.x, self.y, self.sample_weight = self.data = Batch(x, *one)
        self.size = self.data.size
        self.batch_size = int(batch_size or (-(-self.size // int(steps)) if steps else 32))
        self.all_batches = -(-self.size // self.batch_size)
        self.steps, self.shuffle = steps, shuffle
        self.batches = self.steps or self.all_batches  # in an epoch
        self.is_even = not self.steps and self.size % self.batch_size == 0  # so are all batches
        self._next = 0  # the batch that comes next; goes on from epoch to epoch if steps are given
        self._order = np.empty(0, int)

    part: Part | None = None  # of the batch of all ranks that these samples are

    @classmethod
    def of_one_batch(
        cls, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None
    ) -> Dataset:
        """Return a dataset whose samples are all in one batch."""
        return cls(Batch(x, y, sample_weight), steps=1, class_weight=class_weight)

    def first(self, rows: int | None = None) -> Dataset:
        """Return the first batch, or the first rows, as one batch."""
        return Dataset.of_one_batch(*self.take(slice(min(rows or self.batch_size, self.size))))

    def shuffle_once(self) -> None:
        """Draw an order and discard it, as Keras does before the first epoch of a new model."""
        if self.shuffle:
            batch = self.shuffle == "batch"
            np.random.permutation(min(self.batch_size, self.size) if batch else self.size)

    def rewind(self, kind: str) -> None:
        """Let the next epoch, of steps of this kind, begin with the first batch."""
        self._next = 0

    def take(self, rows: Any) -> Batch:
        """Return x, y and weights of these rows."""
        return self.data.map(lambda a: a[rows])

    def epoch(self, together: bool = False, epochs: int = 1) -> Iterator[Stretch]:
        """Yield the batches of one epoch, those of the same size at once.

        If they run `together`, C draws their order; those of several `epochs` can, where they are
        even.
        """
        if epochs > 1:
            rows = self._rows(0, self.batch_size, self.batches, together, epochs)
            yield self, rows, self.batch_size, epochs * self.batches
            return
        if not self.steps or self._next >= self.all_batches:
            self._next = 0
        left = self.batches
        while left:
            if self._next >= self.all_batches:
                warn_of_the_end(self.batches, self.all_batches)
                break
            start = self._next * self.batch_size
            size = min(self.batch_size, self.size - start)
            each = self.shuffle == "batch" and not together
            count = 1 if each else min(left, (self.size - start) // size)
            self._next, left = self._next + count, left - count
            yield self, self._rows(start, size, count, together), size, count

    def _rows(self, start: int, size: int, count: int, together: bool, epochs: int = 1) -> Any:
        """Return the rows of batches from `start` on; at 0 an epoch begins, or several of them."""
        stop = start + size * count
        if not self.shuffle:
            return slice(start, stop) if epochs == 1 else np.tile(np.arange(stop), epochs)
        if self.shuffle == "batch":
            orders = self._draw(size, count * epochs, together).reshape(epochs, count, size)
            return (orders + np.arange(start, stop, size)[:, None]).ravel()
        if not start:
            self._order = self._draw(self.size, epochs, together)
        return self._order[start : start + (stop - start) * epochs]

    def _draw(self, size: int, count: int, in_c: bool) -> np.ndarray:
        """Return `count` orders of `size` samples, one after the other."""
        if in_c:
            from ..compiler.native import orders  # here, since it needs time to load

            return orders(size, count, self._order)
        return np.concatenate([np.random.permutation(size) for _ in range(count)])


# Batches of one size: the dataset, their rows (a slice or indices), how many one has, their number.
Stretch = tuple[Dataset, Any, int, int]


def first_of(rows: Any, count: int) -> Any:
    """Return the first of some rows, a slice or indices."""
    return slice(rows.start, rows.start + count) if type(rows) is slice else rows[:count]


def rest_of(rows: Any, count: int) -> Any:
    """Return the other rows."""
    return slice(rows.start + count, rows.stop) if type(rows) is slice else rows[count:]


def warn_of_the_end(steps: int, batches: int) -> None:
    problem = "Your input ran out of data; interrupting training"
    advice = f"Make sure that your dataset or generator can generate {steps} batches per epoch"
    warn(f"{problem}. {advice}: there were {batches}.")


def split(data: Batch, share: float) -> tuple[Batch, Batch]:
    """Return the first samples of x, y and weights for training, and the last `share` of them.

    Raises
    ------
    ValueError
        When either part would be empty.
    """
    wanted = "arrays x (for an iterable, pass validation_data)"
    expect(not is_stream(data.x), "validation_split", wanted, type(data.x))
    data = to_batch(data, dense=False)
    at = int(np.floor(data.size * (1.0 - share)))
    expect(0 < at < data.size, "validation_split", f"a share that splits {data.size} rows", share)
    first, last = slice(at), slice(at, None)
    return data.map(lambda a: rows_of(a, first)), data.map(lambda a: rows_of(a, last))


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Return ``(x, y, sample_weight)`` for the `data` of a `train_step`; None where there is none.

    ValueError for more than three parts.

    >>> unpack_x_y_sample_weight(("x", "y"))
    ('x', 'y', None)
    """
    parts = tuple(data) if isinstance(data, (tuple, list)) else (data,)
    wanted = "x, (x,), (x, y) or (x, y, sample_weight)"
    expect(0 < len(parts) < 4, "data", wanted, f"{len(parts)} parts")
    return (*parts, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """Return samples as `fit` yields them: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``.

    A list or tuple `x` alone becomes ``(x,)``.

    >>> pack_x_y_sample_weight("x"), pack_x_y_sample_weight("x", "y")
    ('x', ('x', 'y'))
    """
    if y is None:
        return (x,) if isinstance(x, (list, tuple)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)
