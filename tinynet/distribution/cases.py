"""`map`: independent calls of a function, such as the fits of a sweep, on all ranks or processes.

Imports `parallel.py`. Read next: `shards.py`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from ..compiler.toolchain import limit_threads, usable_cores
from ..engine.expect import expect
from ..engine.refusal import answering
from ..engine.temporarily import temporarily
from .parallel import all_ranks
from .ranks import job, portable


@answering
def map(
    function: Callable[[Any], Any], cases: Iterable[Any], processes: int | None = None
) -> list[Any]:
    """Return ``function(case)`` for each case, in order; the exception instead, if it raises one.

    Under `mpiexec`, where all ranks call this together, rank 0 gives its cases to the others, one
    by one, and all return the results. Otherwise processes of this machine run the cases. Either
    way, each case runs alone, whatever distribution is set. A case may call `map`, too; under
    `mpiexec` its rank computes that call by itself.

    Parameters
    ----------
    function : function of a case
        Without `mpiexec` it must be defined in a module, and the script must call `map` under
        ``if __name__ == "__main__":``, since the processes import it. Results must be picklable.
    cases : iterable of picklable things
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
    if job.function:  # a case calls this
        return [pickle.loads(_outcome(case, function)) for case in cases]
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
    with temporarily(job, distribution=None, function=function):
        results = ranks.pooled(lambda pool: _results(pool, cases))
    return ranks.broadcast(results)


def _outcome(case: Any, function: Any = None) -> bytes:
    """Return the pickled result, or exception, of a function (`job.function`) for a case."""
    try:
        pickle.loads(text := pickle.dumps((function or job.function)(case)))
    except (Exception, SystemExit) as error:
        return pickle.dumps(portable(error))
    return text


def _results(pool: Any, cases: list[Any], *function: Any) -> list[Any]:
    """Return the result of each case, or the error of the pool in its place."""
    futures = [pool.submit(_outcome, case, *function) for case in cases]
    return [future.exception() or pickle.loads(future.result()) for future in futures]


def _on_processes(function: Any, cases: list[Any], processes: int) -> list[Any]:
    """Return the results of the cases from new processes, each with its share of the cores."""
    share = len(usable_cores()) // processes
    with ProcessPoolExecutor(processes, get_context("spawn"), limit_threads, (share,)) as pool:
        return _results(pool, cases, function)
