"""Models, under Keras's path: ``from tinynet.models import Sequential``."""

from importlib import import_module

from ..saving import load_model, save_model
from .cloning import clone_model, model_from_json
from .functional import Functional, Model
from .sequential import Sequential

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]


def _repr_html_(self: Model) -> str:
    """Return what notebooks show. `viz` is loaded here, as it stands below."""
    return import_module("tinynet.viz.notebook").html_of(self)


Model._repr_html_ = _repr_html_  # type: ignore[attr-defined]
