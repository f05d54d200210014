"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``. Read next: `base.py`."""

from typing import TYPE_CHECKING

from .base import Layer as Layer
from .core import Dense as Dense, Input as Input, InputLayer as InputLayer
from .symbolic import KerasTensor as KerasTensor

if TYPE_CHECKING:
    from .merging import Add as Add, Average as Average, Concatenate as Concatenate
    from .merging import Maximum as Maximum, Minimum as Minimum, Multiply as Multiply
    from .merging import Subtract as Subtract, subtract as subtract
    from .merging import add as add, average as average, concatenate as concatenate
    from .merging import maximum as maximum, minimum as minimum, multiply as multiply
    from .normalization import BatchNormalization as BatchNormalization
    from .normalization import LayerNormalization as LayerNormalization
    from .preprocessing import Normalization as Normalization, Rescaling as Rescaling
    from .regularization import AlphaDropout as AlphaDropout, Dropout as Dropout
    from .regularization import GaussianNoise as GaussianNoise
    from .weightless import ELU as ELU, Activation as Activation, LeakyReLU as LeakyReLU
    from .weightless import Flatten as Flatten, Lambda as Lambda, Reshape as Reshape
    from .weightless import ReLU as ReLU, Softmax as Softmax
else:
    _HOMES = {
        "merging": "Add Average Concatenate Maximum Minimum Multiply Subtract "
        "add average concatenate maximum minimum multiply subtract",
        "normalization": "BatchNormalization LayerNormalization",
        "preprocessing": "Normalization Rescaling",
        "regularization": "AlphaDropout Dropout GaussianNoise",
        "weightless": "Activation ELU Flatten Lambda LeakyReLU ReLU Reshape Softmax",
    }
