"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from typing import Any

from . import schedules as schedules
from .adam import Adam as _Adam
from .adam import AdamW as _AdamW
from .adam import Adamax as _Adamax
from .adam import Nadam as _Nadam
from .base import Optimizer as Optimizer
from .lookup import get as get
from .lookup import serialize as serialize
from .sgd import Adagrad as _Adagrad
from .sgd import RMSprop as _RMSprop
from .sgd import SGD as _SGD

class Adagrad(_Adagrad):
    def __init__(
        self,
        learning_rate: Any = ...,
        initial_accumulator_value: float = ...,
        epsilon: float = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class Adam(_Adam):
    def __init__(
        self,
        learning_rate: Any = ...,
        beta_1: float = ...,
        beta_2: float = ...,
        epsilon: float = ...,
        amsgrad: bool = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class AdamW(_AdamW):
    def __init__(
        self,
        learning_rate: Any = ...,
        weight_decay: float | None = ...,
        beta_1: float = ...,
        beta_2: float = ...,
        epsilon: float = ...,
        amsgrad: bool = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class Adamax(_Adamax):
    def __init__(
        self,
        learning_rate: Any = ...,
        beta_1: float = ...,
        beta_2: float = ...,
        epsilon: float = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class Nadam(_Nadam):
    def __init__(
        self,
        learning_rate: Any = ...,
        beta_1: float = ...,
        beta_2: float = ...,
        epsilon: float = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class RMSprop(_RMSprop):
    def __init__(
        self,
        learning_rate: Any = ...,
        rho: float = ...,
        momentum: float = ...,
        epsilon: float = ...,
        centered: bool = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...

class SGD(_SGD):
    def __init__(
        self,
        learning_rate: Any = ...,
        momentum: float = ...,
        nesterov: bool = ...,
        weight_decay: float | None = ...,
        clipnorm: float | None = ...,
        clipvalue: float | None = ...,
        global_clipnorm: float | None = ...,
        use_ema: bool = ...,
        ema_momentum: float = ...,
        ema_overwrite_frequency: int | None = ...,
        loss_scale_factor: float | None = ...,
        gradient_accumulation_steps: int | None = ...,
        name: str | None = ...,
    ) -> None: ...
