"""`PyDataset`: batches that a class of the user's reads one by one, from files, say.

Imports `data.py`. Read next: `step.py`.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
            self._coming, self._seen = self.source.read(self._order()), 0
        return self._coming

    def _order(self) -> Iterable[int]:
        if self.source.num_batches is None:
            return itertools.count()
        order = [*range(self.source.num_batches)]
        if self.shuffle:
            random.shuffle(order)
        return order

    def first(self, rows: int | None = None) -> Dataset:
        """Return the batch number 0; it is read once."""
        if self._first is None:
            self._first = self._dataset(self.source[0])
        return self._first

    def shuffle_once(self) -> None:
        """Draw an order and discard it, as Keras does before the first epoch of a new model."""
        self._order()

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
    workers : int
        With more than one, threads read batches ahead, while the model trains. They give what one
        would give, in the same order, unless ``__getitem__`` draws random numbers.
    use_multiprocessing : bool
        Read ahead, too, but in threads: there are no other processes.
    max_queue_size : int
        The number of batches to read ahead.

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
    workers, use_multiprocessing, max_queue_size = 1, False, 10  # also without a constructor

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
        n = self.num_batches
        return map(self.__getitem__, itertools.count() if n is None else range(n))

    def on_epoch_begin(self) -> None:
        """Do something before an epoch."""

    def on_epoch_end(self) -> None:
        """Do something after an epoch."""

    def read(self, order: Iterable[int]) -> Iterator[Any]:
        """Yield the batches of these numbers, read ahead by threads if there are `workers`."""
        if self.workers <= 1 and not self.use_multiprocessing:
            yield from map(self.__getitem__, order)
            return
        coming: deque[Future[Any]] = deque()
        pool = ThreadPoolExecutor(max(self.workers, 1))
        try:
            for index in order:
                coming.append(pool.submit(self.__getitem__, index))
                if len(coming) > self.max_queue_size:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


Sequence = PyDataset
