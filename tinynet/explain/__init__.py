"""One training step explained: see `step.py`."""

from ..public import only_public

only_public(__name__)
