"""`map`: independent calls of a function, such as the fits of a sweep, on all ranks or processes.

Imports `parallel.py`. Read next: `shards.py`.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..compiler.toolchain import limit_threads, usable_cores
from ..engine.expect import expect
from ..engine.refusal import answering
from .parallel import all_ranks
from .ranks import each_alone

_work: list[Any] = []  # the function and the cases, on each rank


@answering
def map(
    function: Callable[[Any], Any], cases: Iterable[Any], processes: int | None = None
) -> list[Any]:
    """Return `function` of each case, in order; where a call raises, the exception in its place.

    Under `mpiexec`, where all ranks call this together, rank 0 gives the cases to the others, one
    by one, and all return the results. Otherwise processes of this machine run the cases. In both,
    each case runs alone, whatever distribution is set.

    Parameters
    ----------
    function : function of a case
        Without `mpiexec` a function of a module, and the script must call `map` under
        ``if __name__ == "__main__":``, since the processes import it. Results must be picklable.
    cases : iterable
    processes : int, optional
        Without `mpiexec`: how many processes, one per usable core by default.

    Raises
    ------
    TypeError
        Without `mpiexec`, for a function that processes cannot import, such as a lambda.

    >>> map(abs, [-1, "text", 2.5], processes=1)
    [1, TypeError("bad operand type for abs(): 'str'"), 2.5]
    """
    cases, ranks = list(cases), all_ranks()
    if ranks.size == 1:
        try:
            pickle.dumps(function)
        except Exception as error:
            wanted = f"a function of a module, which processes can import ({error})"
            expect(False, "function", wanted, function, TypeError)
        processes = min(processes or len(usable_cores()), len(cases) or 1)
        found = _on_processes(function, cases, processes)
        for i, result in enumerate(found):
            if isinstance(result, BrokenProcessPool):  # perhaps by another case
                found[i : i + 1] = _on_processes(function, cases[i : i + 1], 1)
        return found
    from mpi4py import futures

    _work[:] = function, cases
    with each_alone(), futures.MPICommExecutor() as executor:  # None on all ranks but one
        workers: Any = executor
        results = workers and [*workers.map(_run, range(len(cases)))]
    return [pickle.loads(result) for result in ranks.broadcast(results)]


def _run(i: int) -> bytes:
    return _outcome(_work[0], _work[1][i])


def _outcome(function: Callable[[Any], Any], case: Any) -> bytes:
    """Return the pickled result, or the pickled exception."""
    try:
        return pickle.dumps(function(case))
    except (Exception, SystemExit) as error:
        try:
            pickle.loads(found := pickle.dumps(error))
        except Exception:
            return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
        return found


def _on_processes(function: Any, cases: list[Any], processes: int) -> list[Any]:
    """Return the results of new processes, each with its share of the cores."""
    share = len(usable_cores()) // processes
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, limit_threads, (share,)) as pool:
        futures = [pool.submit(_outcome, function, case) for case in cases]
    rows = zip(futures, [future.exception() for future in futures], strict=True)
    return [error or pickle.loads(future.result()) for future, error in rows]
