"""Automatic differentiation from scratch on NumPy, with a Keras 3 API.

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

from . import tree as tree
from .engine.autodiff import elementwise_grad as elementwise_grad, grad as grad
from .engine.autodiff import hessian as hessian, hvp as hvp, jacobian as jacobian, jvp as jvp
from .engine.autodiff import value_and_grad as value_and_grad, vjp as vjp
from .engine.bind import no_grad as no_grad, primitive as primitive
from .engine.tensor import Tensor as Tensor, tensor as tensor
from .engine.variable import Variable as Variable
from .engine.vmap import vmap as vmap
from .public import PublicModule, notebook_form

__version__ = "0.1.0"

_HOMES = {
    "": "activations backend callbacks config constraints datasets distribution explain export "
    "initializers layers losses metrics models ops optimizers random regularizers saving utils viz "
    "wrappers",
    "compiler.jit": "jit",
    "engine.gradcheck": "check_grads",
    "initializers": "Initializer",
    "layers": "Input Layer",
    "losses": "Loss",
    "metrics": "Metric",
    "models": "Model Sequential",
    "optimizers": "Optimizer",
    "regularizers": "Regularizer",
    "training.divergence": "DivergenceWarning check_model_grads",
}


_this = sys.modules[__name__]
_this.__class__ = PublicModule  # submodules set as attributes from now on get this class, too
_this.__setattr__("tree", tree)
Tensor._repr_html_ = Variable._repr_html_ = notebook_form
