"""Data: what users pass for x, y and weights, as arrays, cut into batches.

Imports `tree.py` and the engine. Read next: `training.py`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import tree
from ..engine.tensor import Operand, floatx


def to_array(data: Any, argument: str) -> np.ndarray:
    """Return `data` as an array with samples along its first axis, floats converted to `floatx`.

    The user's own array if it has that dtype: it is read, never written.

    Raises
    ------
    ValueError
        For dtypes other than numbers and bools, for ragged lists, and without a first axis.
    """
    try:
        array = data.numpy() if isinstance(data, Operand) else np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{argument}: expected an array of a regular shape: {error}") from None
    if array.dtype.kind not in "fiub":
        name = array.dtype.name
        raise ValueError(f"Invalid dtype: {name}. Expected numbers in {argument}.")
    if array.ndim == 0:
        raise ValueError(f"{argument}: expected an axis of samples, received the number {data!r}.")
    if array.dtype.kind == "f" or (isinstance(data, (list, tuple)) and array.dtype.kind != "b"):
        return array.astype(floatx(), copy=False)
    return array


class Dataset:
    """Inputs, targets and weights of samples, and the batches they are cut into.

    Parameters
    ----------
    x, y, sample_weight : arrays or structures of them; y and sample_weight may be None
    batch_size : int, optional
        32 by default, or what makes `steps` batches.
    steps : int, optional
        Batches in an epoch, if not all.
    shuffle : bool or "batch"
        Draw the samples of an epoch in a new order (or each batch's, for ``"batch"``), from
        NumPy's global generator, as Keras does.
    class_weight : dict from class to weight, optional
        Instead of `sample_weight`.

    Raises
    ------
    ValueError
        When there are no samples, their numbers differ, or a size is not positive.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        shuffle: bool | str = False,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        if class_weight is not None:
            sample_weight = by_class(y, class_weight, sample_weight)
        named = {"x": x, "y": y, "sample_weight": sample_weight}
        arrays = {
            name: None if data is None else tree.map_structure(lambda a: to_array(a, name), data)  # noqa: B023
            for name, data in named.items()
        }
        self.x, *rest = arrays.values()
        self.y, self.sample_weight = (
            r[0] if isinstance(r, list) and len(r) == 1 else r for r in rest
        )
        self.size = _common_length(arrays)
        for name, value in (("batch_size", batch_size), ("steps", steps)):
            if value is not None and not (isinstance(value, (int, np.integer)) and value >= 0):
                raise ValueError(f"{name}: expected a positive integer, received {value!r}.")
        self.batch_size = int(batch_size or (-(-self.size // steps) if steps else 32))
        self.all_batches = -(-self.size // self.batch_size)
        self.steps = steps
        self.shuffle = shuffle
        self._next = 0  # the batch that comes next; goes on from epoch to epoch if steps are given
        self._order: np.ndarray | None = None

    @classmethod
    def of_one_batch(
        cls,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
    ) -> Dataset:
        """Return a dataset whose samples are all in one batch."""
        dataset = cls(x, y, sample_weight, class_weight=class_weight)
        dataset.batch_size, dataset.all_batches = dataset.size, 1
        return dataset

    @property
    def batches(self) -> int:
        """The number of batches in an epoch."""
        return self.steps or self.all_batches

    def first(self, rows: int | None = None) -> Dataset:
        """Return the first batch, or the first rows, as one batch."""
        return Dataset.of_one_batch(*self.take(slice(0, min(rows or self.batch_size, self.size))))

    def shuffle_once(self) -> None:
        """Draw an order and throw it away, as Keras does before the first epoch of a new model."""
        if self.shuffle == "batch":
            np.random.permutation(min(self.batch_size, self.size))
        elif self.shuffle:
            np.random.permutation(self.size)

    def rewind(self) -> None:
        """Let the next epoch begin with the first batch."""
        self._next = 0

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        """x, y and the weights: structures of arrays, or None."""
        return self.x, self.y, self.sample_weight

    def arrays(self) -> list[np.ndarray]:
        """Return all arrays: those of x, of y and of the weights, as far as they are given."""
        return [a for part in self.parts for a in tree.leaves(part)]

    def take(self, rows: Any) -> tuple[Any, Any, Any]:
        """Return x, y and weights of these rows; what is not given stays None."""
        return _take(self.x, rows), _take(self.y, rows), _take(self.sample_weight, rows)

    def epoch(self) -> Iterator[tuple[Any, int]]:
        """Yield the rows of each batch of one epoch, a slice or indices, and how many they are."""
        if not self.steps or self._next >= self.all_batches:
            self._next = 0
        for _ in range(self.batches):
            if self._next >= self.all_batches:
                _warn_of_the_end(self.batches, self.all_batches)
                break
            start = self._next * self.batch_size
            stop = start + self.batch_size
            if stop > self.size:
                stop = self.size
            self._next += 1
            if not self.shuffle:
                yield slice(start, stop), stop - start
            elif self.shuffle == "batch":
                yield np.random.permutation(stop - start) + start, stop - start
            else:
                if not start:
                    self._order = np.random.permutation(self.size)
                yield self._order[start:stop], stop - start  # type: ignore[index]


class Stream:
    """Batches that come from an iterable: ``(x, y)``, ``(x, y, sample_weight)``, or x alone.

    Parameters
    ----------
    source : iterator, iterable, or anything with a length and items
        An iterator is used up; anything else begins anew with each epoch, or, if `steps` are given,
        goes on where the last epoch ended.
    steps : int, optional
        Batches in an epoch; by default all there are.
    class_weight : dict, optional

    Attributes
    ----------
    batches : int or None, the number of batches in an epoch, as far as it is known beforehand
    """

    def __init__(
        self, source: Any, steps: int | None = None, class_weight: dict[int, float] | None = None
    ) -> None:
        self.source, self.steps, self.class_weight = source, steps, class_weight
        self.batches = steps or (len(source) if hasattr(source, "__len__") else None)
        self._coming: Iterator[Any] | None = None

    def _begun(self) -> Iterator[Any]:
        """Return the batches that come next."""
        if self._coming is None:
            source = self.source
            items = hasattr(source, "__getitem__") and hasattr(source, "__len__")
            self._coming = (source[i] for i in range(len(source))) if items else iter(source)
        return self._coming

    def first(self, rows: int | None = None) -> Dataset:
        """Return the batch that comes next, of whatever length, which is not used up by that.

        Raises
        ------
        ValueError
            When there is none.
        """
        for batch in self._begun():
            self._coming = itertools.chain([batch], self._begun())
            return self._dataset(batch)
        self._coming = None
        raise ValueError("The data is empty: expected at least one batch.")

    def rewind(self) -> None:
        """Let the next epoch begin with the first batch, unless batches are used up."""
        if not hasattr(self.source, "__next__"):
            self._coming = None

    def shuffle_once(self) -> None:
        """Do nothing: a stream has its own order."""

    def take(self, batch: Dataset) -> tuple[Any, Any, Any]:
        """Return x, y and weights of a batch."""
        return batch.x, batch.y, batch.sample_weight

    def epoch(self) -> Iterator[tuple[Any, int]]:
        """Yield the batches of one epoch, each with the number of its samples."""
        count = 0
        for batch in itertools.islice(self._begun(), self.steps):
            count += 1
            data = self._dataset(batch)
            yield data, data.size
        if count != self.steps:
            self._coming = None
        if count < (self.steps or 1):
            _warn_of_the_end(self.steps or 1, count)

    def _dataset(self, batch: Any) -> Dataset:
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, "
                f"sample_weight)`, found a batch of {len(parts)} parts."
            )
        x, y, sample_weight = (*parts, None, None)[:3]
        return Dataset.of_one_batch(x, y, sample_weight, self.class_weight)


def batches_of(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: dict[int, float] | None = None,
) -> Dataset | Stream:
    """Return the batches of arrays, or those that come from an iterable `x`.

    Raises
    ------
    ValueError
        When targets or weights are given beside an iterable, or see `Dataset`.
    """
    if not is_stream(x):
        return Dataset(x, y, sample_weight, batch_size, steps, shuffle, class_weight)
    for name, what, value in (
        ("y", "targets", y),
        ("sample_weight", "sample weights", sample_weight),
    ):
        if value is not None:
            raise ValueError(
                f"When providing `x` as an iterable of batches, `{name}` should not be passed. "
                f"Instead, the {what} should be part of the batches."
            )
    return Stream(x, steps, class_weight)


def is_stream(x: Any) -> bool:
    """Return whether `x` yields batches, and is no data itself.

    >>> is_stream(iter([])), is_stream([1.0, 2.0]), is_stream(np.ones(3))
    (True, False, False)
    """
    if hasattr(x, "__next__"):
        return True
    if hasattr(x, "__array__") or isinstance(x, (list, tuple, dict, range, str, bytes, Operand)):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def _warn_of_the_end(steps: int, batches: int) -> None:
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or "
        f"generator can generate {steps} batches per epoch: there were {batches}.",
        stacklevel=4,
    )


def _take(data: Any, rows: Any) -> Any:
    return None if data is None else tree.map_structure(lambda a: a[rows], data)


def _common_length(arrays: dict[str, Any]) -> int:
    """Return the number of samples that all arrays have."""
    sizes = {
        name: [len(a) for a in tree.flatten(data)]
        for name, data in arrays.items()
        if data is not None
    }
    different = {n for lengths in sizes.values() for n in lengths}
    if len(different) > 1:
        lines = (f"'{name}' sizes: {', '.join(map(str, ns))}\n" for name, ns in sizes.items())
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
            f"samples.{''.join(lines)}"
        )
    if different in ({0}, set()):
        raise ValueError("The data is empty: expected at least one sample in x.")
    return different.pop()


def split(data: tuple[Any, Any, Any], share: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the first samples of x, y and weights for training, and the last `share` of them.

    Raises
    ------
    ValueError
        When either part would be empty.
    """
    if is_stream(data[0]):
        raise ValueError(
            "`validation_split` is only supported for arrays, received an iterable of batches as "
            "x. Pass `validation_data`."
        )
    names = ("x", "y", "sample_weight")
    arrays = {
        name: None if part is None else tree.map_structure(lambda a: to_array(a, name), part)  # noqa: B023
        for name, part in zip(names, data, strict=True)
    }
    size = _common_length(arrays)
    at = int(np.floor(size * (1.0 - share)))
    if not 0 < at < size:
        raise ValueError(
            f"Training data contains {size} samples, which is not sufficient to split it into a "
            f"validation and training set as specified by `validation_split={share}`. Either "
            "provide more data, or a different value for the `validation_split` argument."
        )
    first, last = slice(0, at), slice(at, size)
    return (
        tuple(_take(part, first) for part in arrays.values()),
        tuple(_take(part, last) for part in arrays.values()),
    )


def by_class(y: Any, class_weight: dict[int, float], sample_weight: Any = None) -> np.ndarray:
    """Return the weight of each sample's class: y rounded, or the place of its largest element.

    Raises
    ------
    ValueError
        When there are sample weights, too, or targets of several outputs, or no dict is given.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "class_weight: expected a dict from class numbers to weights, received "
            f"{class_weight!r}."
        )
    if tree.is_structure(y):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if sample_weight is not None:
        raise ValueError(
            "Arguments `sample_weight` and `class_weight` cannot be specified at the same time. "
            f"Received: sample_weight={sample_weight}, class_weight={class_weight}"
        )
    y = to_array(y, "y")
    classes = y.argmax(-1) if y.ndim > 1 and y.shape[-1] > 1 else np.round(y.reshape(len(y)))
    return np.array([class_weight.get(int(c), 1.0) for c in classes], floatx())
