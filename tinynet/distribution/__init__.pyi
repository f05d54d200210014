"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from .cases import map as map
from .ranks import DataParallel as DataParallel
from .ranks import distribution as distribution
from .ranks import initialize as initialize
from .ranks import set_distribution as set_distribution
from .shards import Shards as Shards
