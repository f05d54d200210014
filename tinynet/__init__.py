"""tinynet: automatic differentiation from scratch on NumPy, with a thin face that speaks Keras 3.

Importing it loads the engine and NumPy; everything else is loaded when it is first used.

>>> import numpy as np, tinynet as tn
>>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
>>> model.compile(optimizer=tn.optimizers.Adam(0.1), loss="mse")
>>> x = np.linspace(0, 1, 100)
>>> history = model.fit(x, 2 * x + 1, epochs=200, verbose=0)
>>> (w, b) = model.get_weights()
>>> print(f"{w[0, 0]:.2f} x + {b[0]:.2f}")
2.00 x + 1.00
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import tree as tree
from .engine.autodiff import elementwise_grad as elementwise_grad, grad as grad
from .engine.autodiff import hessian as hessian, hvp as hvp, jacobian as jacobian, jvp as jvp
from .engine.autodiff import value_and_grad as value_and_grad, vjp as vjp
from .engine.bind import no_grad as no_grad, primitive as primitive
from .engine.tensor import Tensor as Tensor, tensor as tensor
from .engine.variable import Variable as Variable
from .engine.vmap import vmap as vmap
from .public import PublicModule

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import activations as activations, backend as backend, callbacks as callbacks
    from . import config as config, constraints as constraints, datasets as datasets
    from . import distribution as distribution
    from . import explain as explain, export as export, initializers as initializers
    from . import layers as layers, losses as losses, metrics as metrics, models as models
    from . import ops as ops, optimizers as optimizers, random as random
    from . import regularizers as regularizers, saving as saving, utils as utils, viz as viz
    from .compiler.jit import jit as jit
    from .engine.gradcheck import check_grads as check_grads
    from .initializers import Initializer as Initializer
    from .layers import Input as Input, Layer as Layer
    from .losses import Loss as Loss
    from .metrics import Metric as Metric
    from .models import Model as Model, Sequential as Sequential
    from .optimizers import Optimizer as Optimizer
    from .regularizers import Regularizer as Regularizer
    from .training.at_weights import check_model_grads as check_model_grads
    from .training.divergence import DivergenceWarning as DivergenceWarning
else:
    _HOMES = {
        "compiler.jit": "jit",
        "engine.gradcheck": "check_grads",
        "initializers": "Initializer",
        "layers": "Input Layer",
        "losses": "Loss",
        "metrics": "Metric",
        "models": "Model Sequential",
        "optimizers": "Optimizer",
        "regularizers": "Regularizer",
        "training.at_weights": "check_model_grads",
        "training.divergence": "DivergenceWarning",
    }


_this = sys.modules[__name__]
_this.__class__ = PublicModule  # and so of the modules that are set as its attributes from now on
_this.__setattr__("tree", tree)


def _repr_html_(self: Any) -> str:
    return import_module(".viz.notebook", __name__).tensor_html(self)


Tensor._repr_html_ = _repr_html_  # type: ignore[attr-defined]
