"""Models, under Keras's path: ``from tinynet.models import Sequential``. Read next: `graph.py`."""

from .model import Functional as Functional, Model as Model
from .sequential import Sequential as Sequential

_HOMES = {".saving": "load_model save_model", "cloning": "clone_model model_from_json"}
