"""Batches that come one by one: from an iterable, or from a `PyDataset`, a class of the user's.

Of several ranks each computes a part of them. Imports `data.py`, `distribution/`. Read next:
`step.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import tree
from ..distribution.ranks import Part, digest, job, refuse_difference, team
from ..engine.expect import expect
from .data import Batch, Dataset, Stretch, is_stream, warn_of_the_end


class Stream:
    """Batches that come from an iterable: ``(x, y)``, ``(x, y, sample_weight)``, or x alone.

    Parameters
    ----------
    source : iterator, iterable, PyDataset, or anything with a length and items
        An iterator is consumed. Any other source starts again with each epoch, or, if `steps` are
        given, continues where the last epoch ended.
    steps : int, optional
        Batches in an epoch, all by default.
    shuffle : bool
        Draw a new order of the batches of a `PyDataset` in each epoch.
    class_weight : dict, optional

    Attributes
    ----------
    batches : int or None, the number of batches in an epoch, None if unknown
    """

    is_even = False
    spare: Any = None  # a batch, for when other ranks alone have some

    def __init__(
        self, source: Any, steps: int | None = None, shuffle: Any = False, class_weight: Any = None
    ) -> None:
        self.source, self.steps, self.class_weight = source, steps, class_weight
        self._numbered = isinstance(source, PyDataset)
        self._shuffled = self._numbered and shuffle
        self._first: Dataset | None = None  # of a `PyDataset`
        length = len(source) if hasattr(source, "__len__") else None
        self.length: int | None = getattr(source, "num_batches", length)
        self.batches = steps or self.length
        self._coming: Iterator[Any] | None = None
        self._seen = 0  # batches of `_coming`

    def _begun(self) -> Iterator[Any]:
        """Return an iterator of the next batches."""
        if self._coming is None:
            source, order = self.source, _numbers(self.length)
            by_number = hasattr(source, "__getitem__") and hasattr(source, "__len__")
            if self._shuffled and self.length is not None:
                random.shuffle(order := [*order])
            coming = map(source.__getitem__, order) if by_number else iter(source)
            self._coming = users_own(coming)
            self._seen = 0
        return self._coming

    def first(self, rows: int | None = None) -> Dataset:
        """Return the next batch, whole, without consuming it; batch 0 of a `PyDataset`, read once.

        Raises
        ------
        ValueError
            When there is none.
        """
        if self._numbered:
            self._first = self._first or self._dataset(self.source[0])
            return self._first
        for batch in self._begun():
            self._coming = itertools.chain([batch], self._begun())
            return self._dataset(batch)
        self._coming = None
        raise ValueError("The data is empty: expected at least one batch. Iterators are read once.")

    def rewind(self, kind: str) -> None:
        """Let the next epoch begin with the first batch, unless the source is an iterator.

        Before training, the batch that was looked at is not read again. As in Keras, `on_epoch_end`
        of a `PyDataset` is also called here, before a fit and before an evaluation.
        """
        if kind != "train" and not hasattr(self.source, "__next__"):
            self._coming = None
        if self._numbered and kind != "predict":
            self.source.on_epoch_end()

    def shuffle_once(self) -> None:
        """Draw an order and discard it, as Keras does before the first epoch of a new model."""
        if self._shuffled:
            self._begun()
            self._coming = None

    def epoch(self, kind: str, together: bool = False, epochs: int = 1) -> Iterator[Stretch]:
        """Yield the batches of one epoch, datasets, in the form of `Dataset.epoch`."""
        count = 0
        if self._numbered:
            self.source.on_epoch_begin()
        batches = map(self._dataset, itertools.islice(self._begun(), self.steps))
        for stretch in parts_of(batches, self):
            count += 1
            yield stretch
        self._seen += count
        if count != self.steps or self._seen == self.length:
            self._coming = None
        if count < (self.steps or 1):
            warn_of_the_end(self.steps or 1, count)
        if self._numbered:
            self.source.on_epoch_end()

    def _dataset(self, batch: Any) -> Dataset:
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        expect(0 < len(parts) < 4, "x", "batches of 1 to 3 parts (x, y, weights)", len(parts))
        return Dataset.of_one_batch(*Batch(*parts), self.class_weight)


def users_own(batches: Iterator[Any]) -> Iterator[Any]:
    """Yield batches; `engine.refusal` leaves errors that pass through here as they are."""
    yield from batches


Batches = Dataset | Stream


def batches_of(data: Batch, batch_size: Any, steps: Any, *options: Any) -> Batches:
    """Return the batches of arrays, or those that come from an iterable `data.x`.

    `options` are `shuffle` and `class_weight`, as for `Dataset`. ValueError when targets or weights
    are given together with an iterable; see also `Dataset`.
    """
    if not is_stream(data.x):
        return Dataset(data, batch_size, steps, *options)
    for name in ("y", "sample_weight"):
        if getattr(data, name) is not None:
            raise ValueError(f"`{name}` should not be passed, as the batches of `x` hold it.")
    return Stream(data.x, steps, *options)


# -- several ranks ---------------------------------------------------------------------------------


def parts_of(batches: Iterator[Any], stream: Stream) -> Iterator[Stretch]:
    """Yield the part of this rank of each batch, a dataset, until no rank has a batch.

    A rank whose batches end before those of others repeats its last one, which does not count.

    Raises
    ------
    ValueError
        If the batches of all ranks together differ in size.
    RuntimeError
        If the first batches are to be the same on all ranks, and differ.
    """
    ranks, is_first, owners = team(), True, (stream.source, job.distribution)
    is_part = not all(getattr(owner, "auto_shard_dataset", True) for owner in owners)
    batch: Any
    while any(sizes := ranks.gather(batch.size if (batch := next(batches, None)) else 0)):
        if is_part:
            stream.spare = batch = batch or stream.spare
            start, own = sum(sizes[: ranks.rank]), sizes[ranks.rank]
            yield batch, slice(0, batch.size), Part(start, batch.size, sum(sizes), own), 1
        elif len({*sizes}) == 1:
            if is_first and ranks.size > 1:
                rows = [("the first batch", digest(a)) for a in tree.leaves(batch.data)]
                refuse_difference(rows, "Give the same batches in the same order on all ranks.")
            is_first = False
            part = Part.of(batch.size)
            yield batch, part.rows(slice(0, batch.size)), part, 1
        else:
            wanted = "batches of one size on all ranks, or auto_shard_dataset=False"
            raise ValueError(f"x: expected {wanted}, received sizes {sizes}.")


def outputs_of_ranks(part: Part, outputs: Any) -> Any:
    """Return the outputs of a batch of an iterable, given those of this rank's part."""
    return joined([x for size, x in team().gather((part.samples, outputs)) if size])


def joined(outputs: list[Any]) -> Any:
    """Return the outputs of several batches, structures of arrays, as one."""
    columns = zip(*map(tree.leaves, outputs), strict=True)
    return tree.pack_sequence_as(outputs[0], map(np.concatenate, columns))


# -- batches by number -----------------------------------------------------------------------------


class PyDataset:
    """Base of data sets that give batches by number.

    Define ``__getitem__(self, index)``, which returns the batch ``(x, y)`` or ``(x, y,
    sample_weight)`` or ``x``, and ``__len__(self)``, the number of batches, or the property
    `num_batches`, which may be None for batches without end. `fit` shuffles the order of the
    batches unless ``shuffle=False``.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        Kept for Keras's scripts, and without effect: the thread that trains reads each batch when
        its turn comes. (Keras can read ahead in threads and processes.)

    >>> import numpy as np, tinynet as tn
    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         x = np.arange(4 * index, 4 * index + 4)
    ...         return x, x**2
    >>> [x.tolist() for x, y in Squares()]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> model.fit(Squares(workers=2), epochs=2, verbose=0).epoch
    [0, 1]
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers, self.max_queue_size = workers, max_queue_size
        self.use_multiprocessing = use_multiprocessing

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(self, index).")

    @property
    def num_batches(self) -> int | None:
        """The number of batches: the length."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches.")

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, _numbers(self.num_batches))

    def on_epoch_begin(self) -> None:
        """Do something before an epoch."""

    def on_epoch_end(self) -> None:
        """Do something after an epoch."""


Sequence = PyDataset


def _numbers(count: int | None) -> Iterable[int]:
    return itertools.count() if count is None else range(count)
