"""Data: what users pass for x, y and weights (lists, tables, sparse matrices), in batches.

Imports `tree.py` and the engine; objects of other packages are recognized by their methods. Read
next: `streams.py`, `step.py`.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..distribution.ranks import Part
from ..engine.expect import check_unmasked, expect, is_integer, warn
from ..engine.tensor import Operand, floatx


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
            raise ValueError(f"Data cardinality is ambiguous. {advice}\n{''.join(lines)}")
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
        self.is_even = not self.steps and self.size % self.batch_size == 0  # all batches are equal
        self._next = 0  # the batch that comes next; goes on from epoch to epoch if steps are given
        self._order = np.empty(0, int)

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
            _order(min(self.batch_size, self.size) if self.shuffle == "batch" else self.size)

    def rewind(self, kind: str) -> None:
        """Let the next epoch, of steps of this kind, begin with the first batch."""
        self._next = 0

    def take(self, rows: Any) -> Batch:
        """Return x, y and weights of these rows."""
        return self.data.map(lambda a: a[rows])

    def epoch(self, kind: str, together: bool = False, epochs: int = 1) -> Iterator[Stretch]:
        """Yield the batches of one epoch for steps of a kind, those of the same size at once.

        If they run `together`, C draws their order. Those of several `epochs` are yielded at once,
        which needs even batches.
        """
        if epochs > 1:
            rows = self._rows(0, self.batch_size, self.batches, together, epochs)
            yield self, rows, Part.of(self.batch_size, kind), epochs * self.batches
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
            part = Part.of(size, kind)
            yield self, part.rows(self._rows(start, size, count, together)), part, count

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
        return _order(size) if count == 1 else np.concatenate([_order(size) for _ in range(count)])


def _order(size: int) -> np.ndarray:
    """Return `np.random.permutation(size)`; a short one does not load `np.random`.

    As long as it is not loaded, nobody has seeded it, and any order will do.
    """
    if "numpy.random" in sys.modules or size > 1000:
        return np.random.permutation(size)
    return np.argsort(np.frombuffer(os.urandom(8 * size), "uint64"))


# Batches of one size: a dataset, the rows of this rank in it (a slice or indices), its part of each
# batch, and how many there are.
Stretch = tuple[Dataset, Any, Part, int]


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


# -- users' data as arrays -------------------------------------------------------------------------

# What is data itself, rather than batches of it.
PLAIN = (list, tuple, dict, range, str, bytes, type, Operand)
# What is refused, by package and class, and the method that turns it into data.
REFUSED = {("polars", "LazyFrame"): "collect()", ("xarray", "Dataset"): "to_dataframe()"}


def to_array(data: Any, argument: str, dense: bool = True) -> Any:
    """Return `data` as an array with samples along its first axis, floats converted to `floatx`.

    This is the user's own array if it has that dtype: it is read, never written. Missing numbers of
    a table are NaN. A sparse matrix stays sparse, as `SparseRows`, unless `dense`.

    Raises
    ------
    ValueError
        For dtypes other than numbers and bools (the error names the column of a table), for masked
        elements, for ragged lists, without a first axis, and for what `REFUSED` lists.
    """
    if hasattr(data, "tocsr"):
        array = data.toarray() if dense else SparseRows(data.tocsr())
    else:
        array = _dense(data, argument)
    if array.dtype.kind not in "fiub":
        text = f"Invalid dtype: {array.dtype.name}. Expected numbers in {argument}."
        advice = f" np.unique({argument}, return_inverse=True)[1] numbers classes."
        if array.dtype.kind == "O":
            advice += f" {argument}.astype('float32') converts numbers and bools."
        raise ValueError(text + advice * (array.dtype.kind in "OUST"))
    expect(array.ndim, argument, "an axis of samples", data)
    kinds = "fiu" if isinstance(data, (list, tuple)) else "f"
    return array.astype(floatx(), copy=False) if array.dtype.kind in kinds else array


def _dense(data: Any, argument: str) -> np.ndarray:
    """Return data that are not sparse as an array of any dtype."""
    if type(data) is np.ndarray:
        return data
    if isinstance(data, Operand):
        return data.numpy()
    kind = type(data).__module__.split(".")[0], type(data).__name__
    expect(kind not in REFUSED, argument, f"data; call {REFUSED.get(kind)} first", type(data))
    check_unmasked(argument, data)
    if (columns := _columns(data)) is not None:
        place = "column {!r} of {}: encode or drop it".format
        arrays = [to_array(_numbers(np.asarray(x)), place(name, argument)) for name, x in columns]
        expect(arrays, argument, "a table with columns", data)
        return np.stack(arrays, axis=1)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{argument}: expected an array of a regular shape: {error}") from None
    return _numbers(array) if hasattr(data, "__array__") else array


def _columns(data: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the names and columns of a table of pandas, Polars or Arrow, None for other data."""
    if hasattr(data, "get_columns"):
        return [(column.name, column) for column in data.get_columns()]
    if hasattr(data, "column_names"):
        return zip(data.column_names, data.columns, strict=True)
    return data.items() if hasattr(data, "columns") and hasattr(data, "items") else None


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return objects as floats if each of them is a number or missing, which becomes NaN."""
    if values.dtype != object or values.ndim != 1:
        return values
    floats = [np.nan if v is None or type(v).__name__ == "NAType" else v for v in values]
    kinds = Real, np.bool_
    numbers = all(isinstance(v, kinds) or type(v).__name__ == "Decimal" for v in floats)
    return np.array([float(v) for v in floats]) if numbers else values


class SparseRows:
    """The rows of a sparse matrix of SciPy, which become dense when they are taken."""

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.shape, self.dtype = matrix, matrix.shape, matrix.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.matrix[rows].toarray()

    def take(self, rows: Any, axis: int, out: np.ndarray, mode: str) -> None:
        """Write the rows of these indices to `out`; the other parameters are those of NumPy."""
        out[...] = self[rows]

    def astype(self, dtype: Any, copy: bool) -> SparseRows:
        """Return the rows in another dtype."""
        return SparseRows(self.matrix.astype(dtype, copy=copy))


def rows_of(array: Any, rows: slice) -> Any:
    """Return some rows of an array, or of `SparseRows`, as a sparse matrix."""
    return array.matrix[rows] if isinstance(array, SparseRows) else array[rows]


def is_stream(x: Any) -> bool:
    """Return whether `x` yields batches, rather than being data itself.

    >>> is_stream(iter([])), is_stream([1.0, 2.0]), is_stream(np.ones(3))
    (True, False, False)
    """
    if isinstance(x, PLAIN) or hasattr(x, "__array__") or hasattr(x, "tocsr"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def by_class(y: Any, sample_weight: Any, class_weight: Any, whole: bool) -> np.ndarray:
    """Return the weight of each sample's class: y rounded, or the index of its largest element.

    Raises
    ------
    ValueError
        With sample weights, for targets of several outputs, unless `class_weight` is a dict, and
        for a key that is no class. Classes are the columns of one-hot targets; otherwise the
        numbers in y, and those from 0 to the largest of them, at least 1. The latter is checked
        only if y is the `whole` data.
    """
    is_dict = isinstance(class_weight, Mapping)
    valid = is_dict and all(map(is_integer, class_weight))
    expect(valid, "class_weight", "a dict from classes, integers, to weights", class_weight)
    if tree.is_structure(y):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if sample_weight is not None:
        raise ValueError("Pass only one of `sample_weight` and `class_weight`, not both.")
    y = to_array(y, "y")
    one_hot = y.ndim > 1 and y.shape[-1] > 1
    classes = y.argmax(-1) if one_hot else np.round(y.reshape(len(y)))
    most = y.shape[-1] - 1 if one_hot else np.fmax.reduce(classes, initial=1)
    wrong = [k for k in class_weight if not 0 <= k <= most and (one_hot or k not in classes)]
    expected = f"keys that are classes of y, from 0 to {most:g}"
    expect(not wrong or not (one_hot or whole), "class_weight", expected, wrong)
    return np.array([class_weight.get(c, 1.0) for c in classes.tolist()], floatx())
