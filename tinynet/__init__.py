"""tinynet: automatic differentiation from scratch on NumPy, with a thin face that speaks Keras 3.

>>> import numpy as np, tinynet as tn
>>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
>>> model.compile(optimizer=tn.optimizers.Adam(0.1), loss="mse")
>>> x = np.linspace(0, 1, 100)
>>> history = model.fit(x, 2 * x + 1, epochs=200, verbose=0)
>>> (w, b) = model.get_weights()
>>> print(f"{w[0, 0]:.2f} x + {b[0]:.2f}")
2.00 x + 1.00
"""

from importlib import import_module as _import_module
from types import ModuleType as _ModuleType

from . import (
    activations,
    backend,
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    saving,
    utils,
)
from .compiler.jit import jit
from .engine.autodiff import grad, hessian, hvp, jacobian, value_and_grad, vjp
from .engine.gradcheck import check_grads
from .engine.tensor import Tensor, no_grad, tensor
from .engine.variable import Variable
from .initializers import Initializer
from .layers import Input, Layer
from .losses import Loss
from .metrics import Metric
from .models import Model, Sequential
from .optimizers import Optimizer
from .regularizers import Regularizer
from .training.at_weights import check_model_grads
from .training.divergence import DivergenceWarning

__version__ = "0.1.0"

__all__ = [
    "DivergenceWarning",
    "Initializer",
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "Tensor",
    "Variable",
    "activations",
    "backend",
    "callbacks",
    "check_grads",
    "check_model_grads",
    "grad",
    "hessian",
    "hvp",
    "initializers",
    "jacobian",
    "jit",
    "layers",
    "losses",
    "metrics",
    "models",
    "no_grad",
    "ops",
    "optimizers",
    "regularizers",
    "saving",
    "tensor",
    "utils",
    "value_and_grad",
    "viz",
    "vjp",
]


def _repr_html_(self: Tensor | Model) -> str:
    from .viz.notebook import html_of

    return html_of(self)


Tensor._repr_html_ = Model._repr_html_ = _repr_html_  # type: ignore[attr-defined]


def __getattr__(name: str) -> _ModuleType:
    """Load on first use what is not needed for computing: ``tn.viz``."""
    if name == "viz":
        return _import_module(".viz", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
