"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from typing import Any

from .base import Layer as Layer
from .core import Dense as _Dense
from .core import Input as Input
from .core import InputLayer as InputLayer
from .core import PReLU as _PReLU
from .group_normalization import GroupNormalization as _GroupNormalization
from .merging import Add as _Add
from .merging import Average as _Average
from .merging import Concatenate as _Concatenate
from .merging import Maximum as _Maximum
from .merging import Minimum as _Minimum
from .merging import Multiply as _Multiply
from .merging import Subtract as _Subtract
from .merging import add as add
from .merging import average as average
from .merging import concatenate as concatenate
from .merging import maximum as maximum
from .merging import minimum as minimum
from .merging import multiply as multiply
from .merging import subtract as subtract
from .normalization import BatchNormalization as _BatchNormalization
from .normalization import LayerNormalization as _LayerNormalization
from .normalization import Normalization as _Normalization
from .normalization import RMSNormalization as _RMSNormalization
from .normalization import UnitNormalization as _UnitNormalization
from .symbolic import KerasTensor as KerasTensor
from .weightless import Activation as _Activation
from .weightless import AlphaDropout as _AlphaDropout
from .weightless import Dropout as _Dropout
from .weightless import ELU as _ELU
from .weightless import Flatten as _Flatten
from .weightless import GaussianNoise as _GaussianNoise
from .weightless import Identity as _Identity
from .weightless import Lambda as _Lambda
from .weightless import LeakyReLU as _LeakyReLU
from .weightless import ReLU as _ReLU
from .weightless import Rescaling as _Rescaling
from .weightless import Reshape as _Reshape
from .weightless import Softmax as _Softmax

class Activation(_Activation):
    def __init__(
        self,
        activation: Any,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Add(_Add):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class AlphaDropout(_AlphaDropout):
    def __init__(
        self,
        rate: float,
        noise_shape: Any = ...,
        seed: int | None = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Average(_Average):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

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
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Concatenate(_Concatenate):
    def __init__(
        self,
        axis: int = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Dense(_Dense):
    def __init__(
        self,
        units: int,
        activation: Any = ...,
        use_bias: bool = ...,
        kernel_initializer: Any = ...,
        bias_initializer: Any = ...,
        kernel_regularizer: Any = ...,
        bias_regularizer: Any = ...,
        activity_regularizer: Any = ...,
        kernel_constraint: Any = ...,
        bias_constraint: Any = ...,
        lora_rank: None = ...,
        lora_alpha: None = ...,
        quantization_config: None = ...,
        *,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Dropout(_Dropout):
    def __init__(
        self,
        rate: float,
        noise_shape: Any = ...,
        seed: int | None = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class ELU(_ELU):
    def __init__(
        self,
        alpha: float = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Flatten(_Flatten):
    def __init__(
        self,
        data_format: str | None = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class GaussianNoise(_GaussianNoise):
    def __init__(
        self,
        stddev: float,
        seed: int | None = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class GroupNormalization(_GroupNormalization):
    def __init__(
        self,
        groups: int = ...,
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
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Identity(_Identity):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Lambda(_Lambda):
    def __init__(
        self,
        function: Any,
        output_shape: Any = ...,
        mask: None = ...,
        arguments: dict[str, Any] | None = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
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
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class LeakyReLU(_LeakyReLU):
    def __init__(
        self,
        negative_slope: float = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Maximum(_Maximum):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Minimum(_Minimum):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Multiply(_Multiply):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Normalization(_Normalization):
    def __init__(
        self,
        axis: Any = ...,
        mean: Any = ...,
        variance: Any = ...,
        invert: bool = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class PReLU(_PReLU):
    def __init__(
        self,
        alpha_initializer: Any = ...,
        alpha_regularizer: Any = ...,
        alpha_constraint: Any = ...,
        shared_axes: Any = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class RMSNormalization(_RMSNormalization):
    def __init__(
        self,
        axis: Any = ...,
        epsilon: float = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class ReLU(_ReLU):
    def __init__(
        self,
        max_value: float | None = ...,
        negative_slope: float = ...,
        threshold: float = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Rescaling(_Rescaling):
    def __init__(
        self,
        scale: Any,
        offset: Any = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Reshape(_Reshape):
    def __init__(
        self,
        target_shape: Any,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Softmax(_Softmax):
    def __init__(
        self,
        axis: Any = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class Subtract(_Subtract):
    def __init__(
        self,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...

class UnitNormalization(_UnitNormalization):
    def __init__(
        self,
        axis: Any = ...,
        *,
        activity_regularizer: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
        trainable: bool = ...,
        input_shape: Any = ...,
        input_dim: Any = ...,
    ) -> None: ...
