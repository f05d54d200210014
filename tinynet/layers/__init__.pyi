"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from typing import Any

from .base import Layer as Layer
from .core import Dense as Dense
from .core import Input as Input
from .core import InputLayer as InputLayer
from .merging import Add as Add
from .merging import Average as Average
from .merging import Concatenate as Concatenate
from .merging import Maximum as Maximum
from .merging import Minimum as Minimum
from .merging import Multiply as Multiply
from .merging import Subtract as Subtract
from .merging import add as add
from .merging import average as average
from .merging import concatenate as concatenate
from .merging import maximum as maximum
from .merging import minimum as minimum
from .merging import multiply as multiply
from .merging import subtract as subtract
from .normalization import BatchNormalization as _BatchNormalization
from .normalization import LayerNormalization as _LayerNormalization
from .preprocessing import Normalization as Normalization
from .preprocessing import Rescaling as Rescaling
from .regularization import AlphaDropout as AlphaDropout
from .regularization import Dropout as Dropout
from .regularization import GaussianNoise as GaussianNoise
from .symbolic import KerasTensor as KerasTensor
from .weightless import Activation as Activation
from .weightless import ELU as ELU
from .weightless import Flatten as Flatten
from .weightless import Lambda as Lambda
from .weightless import LeakyReLU as LeakyReLU
from .weightless import ReLU as ReLU
from .weightless import Reshape as Reshape
from .weightless import Softmax as Softmax

class BatchNormalization(_BatchNormalization):
    def __init__(
        self,
        axis: Any = ...,
        momentum: float = ...,
        epsilon: float = ...,
        center: bool = ...,
        scale: bool = ...,
        moving_mean_initializer: Any = ...,
        moving_variance_initializer: Any = ...,
        beta_initializer: Any = ...,
        gamma_initializer: Any = ...,
        beta_regularizer: Any = ...,
        gamma_regularizer: Any = ...,
        beta_constraint: Any = ...,
        gamma_constraint: Any = ...,
        **kwargs: Any,
    ) -> None: ...

class LayerNormalization(_LayerNormalization):
    def __init__(
        self,
        axis: Any = ...,
        epsilon: float = ...,
        center: bool = ...,
        scale: bool = ...,
        beta_initializer: Any = ...,
        gamma_initializer: Any = ...,
        beta_regularizer: Any = ...,
        gamma_regularizer: Any = ...,
        beta_constraint: Any = ...,
        gamma_constraint: Any = ...,
        **kwargs: Any,
    ) -> None: ...
