"""The ranks of MPI, and the handling of their failures: the only module that knows MPI.

A rank that raises an exception prints it and aborts the job. For other failures, a thread of each
rank tells the others where it is: a rank that exits says so, ranks that wait in different calls
abort, and a rank that does not answer is named after a timeout. `mpiexec` notices killed processes.

Imports mpi4py. Read next: `../training/many_ranks.py`.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
import traceback
from typing import Any, NoReturn

import numpy as np
from mpi4py import MPI

from ..compiler.toolchain import limit_threads, usable_cores
from .ranks import Ranks

ADVICE = "All ranks must make the same calls in the same order."
PAUSE, PATIENCE = 0.1, 5.0  # seconds between two looks at messages, and before a rank asks all


class MPIRanks(Ranks):
    """The processes that `mpiexec` started.

    Each method has its own communicator, so that no call is mistaken for another one.
    """

    rank, size = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()

    def __init__(self) -> None:
        sys.excepthook = self.fail
        self._steps, self._all, self._talk = (MPI.COMM_WORLD.Dup() for _ in range(3))
        self._place = 0, "", 0.0  # the number of calls before, the call that waits, since when
        self._sent: list[Any] = []
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        atexit.register(self._leave)
        # The BLAS of each rank gets its share of the node's cores.
        node = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)
        cores = {core for each in node.allgather(usable_cores()) for core in each}
        limit_threads(len(cores) // node.Get_size())

    # -- calls --------------------------------------------------------------------------------

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of all ranks' arrays."""
        total = np.empty_like(array)
        self._call("the sum of a step", self._steps.Allreduce, array, total)
        return total

    def gather(self, value: Any, callers: int = 2) -> list[Any]:
        """Return what each rank has; RuntimeError if other functions call this on other ranks."""
        own = self._place[0], *(sys._getframe(i).f_code.co_name for i in range(2, 2 + callers))
        given = self._call("a message from each rank", self._all.allgather, (own, value))
        if other := next((call for call, _ in given if call != own), None):
            raise RuntimeError(f"{ADVICE} Two of them are {own} and {other}.")
        return [value for _, value in given]

    def pooled(self, work: Any) -> Any:
        """Return, on rank 0, what `work` returns of a pool that runs calls on the other ranks."""

        def run() -> Any:
            from mpi4py.futures import MPICommExecutor  # here, since few scripts need it

            with MPICommExecutor() as pool:  # None on all ranks but one
                return pool and work(pool)

        return self._call("the cases of `map`", run)

    def _call(self, name: str, function: Any, *args: Any) -> Any:
        calls = self._place[0]
        self._place = calls, name, time.monotonic()
        try:
            return function(*args)
        finally:
            self._place = calls + 1, "", 0.0

    # -- failures -----------------------------------------------------------------------------

    def fail(self, *error: Any) -> None:
        """Print an exception and end all ranks."""
        self._end(f"raised an exception:\n{''.join(traceback.format_exception(*error))}")

    def _end(self, text: str) -> NoReturn:
        sys.stdout.flush()
        print(f"Rank {self.rank} of {self.size} {text}", file=sys.stderr, flush=True)
        time.sleep(3 * PAUSE)  # in which mpiexec reads it
        MPI.COMM_WORLD.Abort(1)

    def _tell(self, kind: str, *ranks: int) -> None:
        """Tell some ranks, by default all including this one, where this one is."""
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        text = "".join(traceback.format_stack(frame)[-4:])
        message = kind, self.rank, *self._place[:2], text
        sent = [self._talk.isend(message, rank) for rank in ranks or range(self.size)]
        self._sent = [x for x in self._sent if not x.Test()] + sent

    def _leave(self) -> None:
        """Say that this rank ends, and wait until all do."""
        self._tell("gone")
        self._watch.join()

    def _look(self) -> None:
        """Answer other ranks, and look after those that this one waits for; a thread runs this."""
        asked, well, gone, here = 0.0, 0.0, dict[int, Any](), dict[int, Any]()
        while len(gone) < self.size:
            time.sleep(PAUSE)
            while self._talk.iprobe():
                kind, rank, *found = self._talk.recv()
                (gone if kind == "gone" else here)[rank] = found
                if kind == "where":
                    self._tell("here", rank)
            (own, name, since), now = self._place, time.monotonic()
            ended = [rank for rank, (calls, *_) in gone.items() if calls <= own]
            if name and ended:
                self._end(f"waits for {name}, but rank {ended[0]} has ended (sys.exit?).")
            if name and now > max(since + min(PATIENCE, self.timeout), asked + 1):
                if asked > since and self._judge([own, name], now - max(since, well), here):
                    well = now
                asked, here = now, dict.fromkeys(range(self.size), (0, "", "It does not answer.\n"))
                self._tell("where")

    def _judge(self, own: list[Any], waited: float, found: dict[int, Any]) -> bool:
        """End the job if ranks wait for each other, or for another one longer than the timeout.

        Return whether all are in the same call, as while the cases of a `map` run.
        """
        others = [rank for rank in found if found[rank][:2] != own]
        crossed = [rank for rank in others if found[rank][0] == own[0] and found[rank][1]]
        if not others or (not crossed and waited < self.timeout):
            return not others
        if min(found.keys() - others, default=self.rank) < self.rank:
            time.sleep(1)  # a lower rank reports, and ends this one
        parts = [f"\nRank {rank} is here:\n{found[rank][2]}" for rank in sorted(crossed or others)]
        return self._end(f"has waited {waited:.0f} s for {own[1]}. {ADVICE}{''.join(parts)}")
