"""The names of `keras.distribution`, by which a script is distributed.

Imports `ranks.py`, and `mpi.py` on first use. Read next: `mpi.py`.
"""

from __future__ import annotations

import faulthandler
import os
from contextlib import suppress
from typing import Any

from ..engine.expect import expect, is_number
from ..engine.extras import missing
from .ranks import Ranks, alone, job


class DataParallel:
    """Data parallelism: ranks compute gradients for their parts of each batch, which are summed.

    Parameters
    ----------
    device_mesh, devices
        Those of Keras; must be None: `mpiexec` starts one process for each device.
    auto_shard_dataset : bool
        True: an iterable yields the same batches on all ranks, and each rank takes its part of
        them. False: it yields only its own rank's part. Arrays are always those of all ranks.

    Attributes
    ----------
    rank : int
        The number of this process, from 0 on.
    size : int
        How many processes there are.

    >>> parallel = DataParallel()
    >>> parallel.rank, parallel.size  # without mpiexec
    (0, 1)
    """

    def __init__(
        self, device_mesh: Any = None, devices: Any = None, auto_shard_dataset: bool = True
    ) -> None:
        given = [x for x in (device_mesh, devices) if x is not None]
        expect(not given, "DataParallel", "no devices: mpiexec starts a process for each", given)
        self.auto_shard_dataset, ranks = auto_shard_dataset, all_ranks()
        self.rank, self.size = ranks.rank, ranks.size


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: float = 600.0,
) -> None:
    """Find the ranks that `mpiexec` started; `DataParallel` and `map` call this, too.

    From then on a rank that raises an exception, exits or stops calling ends all of them.

    Parameters
    ----------
    job_addresses, num_processes, process_id
        Those of Keras; must be None, since `mpiexec` knows them.
    timeout : float
        Seconds that ranks wait for another one before they report it and abort.

    Raises
    ------
    ImportError
        If `mpiexec` started several processes, but the package mpi4py is missing or belongs to
        another MPI.
    """
    given = [x for x in (job_addresses, num_processes, process_id) if x is not None]
    expect(not given, "initialize", "no processes, as mpiexec knows them", given)
    expect(is_number(timeout) and timeout > 0, "timeout", "seconds, above 0", timeout)
    all_ranks(timeout).timeout = timeout


def all_ranks(timeout: float = Ranks.timeout) -> Any:
    """Return all ranks, a `Ranks`, that `mpiexec` started, whether a distribution is set or not."""
    if job.ranks:
        return job.ranks
    started = max(int(os.environ.get(f"{x}_SIZE", 1)) for x in ("PMI", "OMPI_COMM_WORLD"))
    found = alone
    if started > 1:  # MPI starts when all ranks have; it waits for ever if one of them has ended
        faulthandler.dump_traceback_later(timeout, exit=True, file=2)
    with suppress(ImportError, RuntimeError):  # RuntimeError: mpi4py finds no MPI
        from .mpi import MPIRanks

        found = MPIRanks() if MPIRanks.size > 1 else alone
    faulthandler.cancel_dump_traceback_later()
    if found.size != started > 1:
        what = f"mpi4py is missing or of another MPI than mpiexec: a job of {started} ranks"
        raise missing(what, "mpi")
    job.ranks = found
    return found


def set_distribution(value: DataParallel | None) -> None:
    """Make `fit`, `evaluate` and `predict` run on all ranks together; None: on each one alone.

    TypeError for anything else.
    """
    known = isinstance(value, (DataParallel, type(None)))
    expect(known, "set_distribution", "a DataParallel or None", value, TypeError)
    job.distribution = value


def distribution() -> DataParallel | None:
    """Return the distribution that `set_distribution` has set, or None."""
    return job.distribution
