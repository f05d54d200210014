"""Layers, under Keras's path: ``from tinynet.layers import Dense, Input``. Read next: `base.py`."""

from .base import Layer as Layer
from .core import Dense as Dense, Input as Input, InputLayer as InputLayer, PReLU as PReLU
from .symbolic import KerasTensor as KerasTensor

_HOMES = {
    "group_normalization": "GroupNormalization",
    "merging": "Add Average Concatenate Maximum Minimum Multiply Subtract "
    "add average concatenate maximum minimum multiply subtract",
    "normalization": "BatchNormalization LayerNormalization Normalization RMSNormalization "
    "UnitNormalization",
    "weightless": "Activation AlphaDropout Dropout ELU Flatten GaussianNoise Identity Lambda "
    "LeakyReLU ReLU Rescaling Reshape Softmax",
}
