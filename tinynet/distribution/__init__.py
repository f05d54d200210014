"""Training on many processes, which `mpiexec` starts, under the names of `keras.distribution`.

One line makes a script a distributed one::

    tn.distribution.set_distribution(tn.distribution.DataParallel())

Run it by ``mpiexec -n 4 python script.py``. Each process, a *rank*, takes its part of each batch;
one Allreduce joins the parts before the weights change. So all ranks train the network that one
process would train, and `batch_size` is that of all ranks together. Without `mpiexec` there is
one rank. Needs the packages of the extra ``mpi``.

Imports the engine. Read next: `ranks.py`.
"""

from .parallel import DataParallel as DataParallel, distribution as distribution
from .parallel import initialize as initialize, set_distribution as set_distribution

_HOMES = {"cases": "map", "shards": "Shards"}
