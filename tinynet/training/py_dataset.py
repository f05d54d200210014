"""`PyDataset`: batches that a class of the user's reads one by one, from files, say.

Imports `data.py`. Read next: `step.py`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Any

from .data import Dataset, Stream


class PyDatasetStream(Stream):
    """The batches of a `PyDataset`, in a new order in each epoch if `shuffle` is true.

    Source: Keras, which also calls `on_epoch_end` before a fit and before an evaluation.
    """

    source: PyDataset
    _first: Dataset | None = None

    def _begun(self) -> Iterator[Any]:
        if self._coming is None:
            order, self._seen = _numbers(self.length), 0
            if self.shuffle and self.length is not None:
                random.shuffle(order := [*order])
            self._coming = map(self.source.__getitem__, order)
        return self._coming

    def first(self, rows: int | None = None) -> Dataset:
        """Return the batch number 0; it is read once."""
        if self._first is None:
            self._first = self._dataset(self.source[0])
        return self._first

    def shuffle_once(self) -> None:
        """Draw an order and discard it, as Keras does before the first epoch of a new model."""
        self._begun()
        self._coming = None

    def rewind(self, kind: str) -> None:
        """Call `on_epoch_end`, unless the kind of the steps to come is "predict"."""
        super().rewind(kind)
        if kind != "predict":
            self.source.on_epoch_end()

    def epoch(self, together: bool = False, epochs: int = 1) -> Iterator[tuple[Any, int, int]]:
        """Yield the batches of one epoch; see `Stream.epoch`."""
        self.source.on_epoch_begin()
        yield from super().epoch()
        self.source.on_epoch_end()


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

    _stream = PyDatasetStream  # which `fit`, `evaluate` and `predict` make of it

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
