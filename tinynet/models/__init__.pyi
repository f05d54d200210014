"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from ..saving.archive import load_model as load_model
from ..saving.archive import save_model as save_model
from .cloning import clone_model as clone_model
from .cloning import model_from_json as model_from_json
from .model import Functional as Functional
from .model import Model as Model
from .sequential import Sequential as Sequential
