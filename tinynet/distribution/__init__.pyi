"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from .cases import map as map
from .parallel import DataParallel as DataParallel
from .parallel import distribution as distribution
from .parallel import initialize as initialize
from .parallel import set_distribution as set_distribution
from .shards import Shards as Shards
