"""Models, under Keras's path: ``from tinynet.models import Sequential``. Read next: `graph.py`."""

from typing import TYPE_CHECKING

from .functional import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential

if TYPE_CHECKING:
    from ..saving.archive import load_model as load_model, save_model as save_model
    from .cloning import clone_model as clone_model, model_from_json as model_from_json
else:
    _HOMES = {".saving": "load_model save_model", "cloning": "clone_model model_from_json"}
