"""Ranks: processes that work together, what they send each other, and the part of each one.

Imports the engine. Read next: `parallel.py`.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from ..engine.bind import modes
from ..engine.temporarily import temporarily
from ..engine.tensor import Primitive


class Ranks:
    """One process alone; `mpi.MPIRanks` are several. All ranks call each method together.

    Attributes
    ----------
    rank, size : int
        The number of this process, from 0 on, and how many there are.
    timeout : float
        Seconds that ranks wait for another one before they report it and abort.
    """

    rank, size, timeout = 0, 1, 600.0

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of all ranks' arrays, the same bits on each rank."""
        return array

    def gather(self, value: Any, callers: int = 2) -> list[Any]:
        """Return what each rank has, in their order; these calls must be the same on all ranks."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return the value of rank 0."""
        return self.gather(None if self.rank else value)[0]


class _Job:
    """The state of distributed work in this process."""

    ranks: Ranks | None = None  # all that `mpiexec` started; None before they are known
    distribution: Any = None
    function: Any = None  # the function of `map`, while it runs


job, alone = _Job(), Ranks()


def team() -> Ranks:
    """Return the ranks that work together now: this one alone, unless a distribution is set."""
    return (job.ranks if job.distribution else None) or alone


# -- the part of a batch for a rank ---------------------------------------------------------------


class Part(NamedTuple):
    """The `length` rows from `start` on that a rank computes of a batch of `size` rows.

    `samples` of them are the rank's: all, or none if the rank has no samples, and computes some
    that do not count.
    """

    start: int
    length: int
    size: int
    samples: int

    @classmethod
    def of(cls, size: int, kind: str = "train") -> Part:
        """Return the part of a batch that this rank computes, for a kind of step; all to predict.

        The parts of ranks differ by one row at most.
        """
        ranks = alone if kind == "predict" else team()
        return _part(size, ranks.rank, ranks.size)

    @property
    def share(self) -> float:
        """The fraction of the batch's samples that are the rank's."""
        return self.samples / self.size

    def rows(self, rows: Any) -> Any:
        """Return the part of the rows, a slice or indices, of one or several batches."""
        if self.length == self.size:
            return rows
        rows = np.arange(rows.start, rows.stop) if type(rows) is slice else rows
        return rows.reshape(-1, self.size)[:, self.start : self.start + self.length].ravel()


@lru_cache(1024)  # each call of `fit` and the like asks again
def _part(size: int, rank: int, ranks: int) -> Part:
    start, stop = size * rank // ranks, size * (rank + 1) // ranks
    return Part(start, max(1, stop - start), size, stop - start)


class _Place(threading.local):
    part: Part | None = None


place = _Place()  # of this thread: its part of the batch that `fit`, `evaluate`, ... compute now


def _sum(array: np.ndarray) -> np.ndarray:
    return array if modes.recorder is not None else team().sum(array)


ALL_SUM = Primitive("all_sum", _sum, ())  # the sum of the arrays of all ranks


# -- agreement ------------------------------------------------------------------------------------


def by_rank_0(function: Callable[..., None]) -> Any:
    """Return a function that rank 0 runs while the others wait; its error is raised on all."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        error, ranks = None, team()
        try:
            if not ranks.rank:
                with temporarily(job, distribution=None):  # its own calls run here alone, too
                    function(*args, **kwargs)
        except Exception as caught:
            error = caught
        if told := ranks.broadcast(error and portable(error)):
            raise error or told  # rank 0 has the traceback

    return run


def portable(error: BaseException) -> BaseException:
    """Return an exception, or a RuntimeError with its text if it cannot be pickled and read."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def digest(array: np.ndarray) -> bytes:
    """Return a hash of an array's type and elements."""
    from hashlib import blake2b  # here, since it needs time to load

    text = f"{array.dtype}{array.shape}".encode()
    return blake2b(text + array.tobytes(), digest_size=16).digest()


def refuse_difference(named: Sequence[tuple[str, Any]], advice: str) -> None:
    """Raise RuntimeError on all ranks if values differ, and name the first one that does."""
    first, *others = team().gather(named, callers=3)
    for rank, given in enumerate(others, 1):
        for own, wanted in zip_longest(given, first, fillvalue=("the number of variables", 0)):
            if own != wanted:
                raise RuntimeError(f"Rank {rank} differs from rank 0 in {own[0]}. {advice}")
