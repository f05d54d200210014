"""The primitives: `elementwise`, `shapes`, `products`, `indexing`."""

from ..bind import PRIMITIVES as REGISTRY, Case, primitive
from .elementwise import *  # noqa: F403
from .indexing import *  # noqa: F403
from .products import *  # noqa: F403
from .shapes import *  # noqa: F403
