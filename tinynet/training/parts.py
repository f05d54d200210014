"""Batches from an iterable on several ranks: each computes a part of them.

Imports `distribution/`. Read next: `data.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..distribution.ranks import Part, job, team


def parts_of(batches: Iterator[Any], source: Any) -> Iterator[Any]:
    """Yield the part of this rank of each batch, datasets, until no rank has a batch.

    A rank whose batches end before those of others repeats a sample, which does not count.

    Raises
    ------
    ValueError
        If the batches of all ranks together differ in size.
    """
    ranks = team()
    spare: Any = None
    if ranks.size == 1:
        yield from batches
        return
    is_part = getattr(source, "is_part", not job.distribution.auto_shard_dataset)
    while any(sizes := ranks.gather((batch := next(batches, None)) and batch.size)):
        if is_part:
            counts = [size or 0 for size in sizes]
            start, total = sum(counts[: ranks.rank]), sum(counts)
            spare = batch.first(1) if batch else spare
            batch = batch or spare
            batch.part = Part(start, start + batch.size, total, counts[ranks.rank])
        elif batch and len({*sizes}) == 1:
            part = Part.of(batch.size)
            batch = batch.of_one_batch(*batch.take(slice(part.start, part.stop)))
            batch.part = part
        else:
            wanted = "as large batches on all ranks, or auto_shard_dataset=False"
            raise ValueError(f"x: expected {wanted}, received sizes {sizes}.")
        yield batch


def outputs_of_ranks(rows: Any, outputs: Any) -> list[Any]:
    """Return the outputs of all ranks for their parts of a batch of an iterable."""
    if (part := getattr(rows, "part", None)) is None:
        return [outputs]
    return [x for samples, x in team().gather((part.samples, outputs)) if samples]
