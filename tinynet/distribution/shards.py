"""Data that no rank holds as a whole: a folder of files, of which each rank reads its share.

Imports `ranks.py`. Read next: `../training/data.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..configs.configurable import Checked
from ..engine.expect import expect
from .ranks import Part, team

PARTS = ("x", "y", "sample_weight")


class Shards(Checked):
    """Batches from a folder of ``.npy`` files, for `fit`, `evaluate` and `predict`.

    A shard NAME consists of the files ``NAME.x.npy`` and, if there are targets and weights,
    ``NAME.y.npy`` and ``NAME.sample_weight.npy``, with samples along the first axis. Each epoch
    draws a new order of the shards, the same on all ranks, and each rank takes every `size`-th
    shard; it reads the rows of one shard at a time, in an order of their own, through a memory map.
    Ranks whose shards end earlier wait for the others, so that an epoch has each sample once.

    Parameters
    ----------
    folder : path, the same files for all ranks
    batch_size : int
        Samples in a batch of all ranks together; batches at the ends of shards have fewer.
    shuffle : bool

    Raises
    ------
    ValueError
        For fewer shards than ranks, and a smaller `batch_size`; when a shard is read, if its files
        differ in length.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, size in (("a", 3), ("b", 2)):
    ...     np.save(folder / f"{name}.x.npy", np.full((size, 1), size))
    >>> [x.ravel().tolist() for (x,) in Shards(folder, batch_size=2, shuffle=False)]
    [[3, 3], [3], [2, 2]]
    """

    auto_shard_dataset = False  # each rank's batches are its own

    def __init__(self, folder: Any, batch_size: int = 32, shuffle: bool = True) -> None:
        self.folder, self.batch_size, self.shuffle = Path(folder), batch_size, shuffle
        self.names = sorted(p.name.removesuffix(".x.npy") for p in self.folder.glob("*.x.npy"))
        least = f"a folder with at least {team().size} files NAME.x.npy, one for each rank"
        expect(len(self.names) >= team().size, "folder", least, f"{len(self.names)} in {folder}")
        expect(batch_size >= team().size, "batch_size", "at least one for each rank", batch_size)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield the batches of this rank; all ranks begin together."""
        ranks, size = team(), Part.of(self.batch_size).length
        seed = ranks.broadcast(np.random.randint(2**31) if self.shuffle else 0)

        def order(n: int, *key: int) -> np.ndarray:
            return np.random.default_rng(key).permutation(n) if self.shuffle else np.arange(n)

        for i in order(len(self.names), seed)[ranks.rank :: ranks.size]:
            paths = [self.folder / f"{self.names[i]}.{part}.npy" for part in PARTS]
            arrays = [np.load(path, mmap_mode="r") for path in paths if path.exists()]
            rows, sizes = order(len(arrays[0]), seed, i), [*map(len, arrays)]
            expect(len({*sizes}) == 1, self.names[i], "as many rows in each of its files", sizes)
            for at in range(0, len(rows), size):
                yield tuple(array[rows[at : at + size]] for array in arrays)
