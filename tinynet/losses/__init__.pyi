"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from typing import Any

from .base import Loss as Loss
from .base import LossFunction as LossFunction
from .functions import BinaryCrossentropy as _BinaryCrossentropy
from .functions import CategoricalCrossentropy as _CategoricalCrossentropy
from .functions import Huber as _Huber
from .functions import LogCosh as _LogCosh
from .functions import MeanAbsoluteError as _MeanAbsoluteError
from .functions import MeanAbsolutePercentageError as _MeanAbsolutePercentageError
from .functions import MeanSquaredError as _MeanSquaredError
from .functions import MeanSquaredLogarithmicError as _MeanSquaredLogarithmicError
from .functions import SparseCategoricalCrossentropy as _SparseCategoricalCrossentropy
from .functions import binary_crossentropy as binary_crossentropy
from .functions import categorical_crossentropy as categorical_crossentropy
from .functions import huber as huber
from .functions import log_cosh as log_cosh
from .functions import mean_absolute_error as mean_absolute_error
from .functions import mean_absolute_percentage_error as mean_absolute_percentage_error
from .functions import mean_squared_error as mean_squared_error
from .functions import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from .functions import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from .lookup import get as get
from .margins import BinaryFocalCrossentropy as _BinaryFocalCrossentropy
from .margins import CategoricalHinge as _CategoricalHinge
from .margins import CosineSimilarity as _CosineSimilarity
from .margins import Hinge as _Hinge
from .margins import KLDivergence as _KLDivergence
from .margins import Poisson as _Poisson
from .margins import SquaredHinge as _SquaredHinge
from .margins import binary_focal_crossentropy as binary_focal_crossentropy
from .margins import categorical_hinge as categorical_hinge
from .margins import cosine_similarity as cosine_similarity
from .margins import hinge as hinge
from .margins import kl_divergence as kl_divergence
from .margins import poisson as poisson
from .margins import squared_hinge as squared_hinge

class BinaryCrossentropy(_BinaryCrossentropy):
    def __init__(
        self,
        from_logits: bool = ...,
        label_smoothing: float = ...,
        axis: int = ...,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class BinaryFocalCrossentropy(_BinaryFocalCrossentropy):
    def __init__(
        self,
        apply_class_balancing: bool = ...,
        alpha: float = ...,
        gamma: float = ...,
        from_logits: bool = ...,
        label_smoothing: float = ...,
        axis: int = ...,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class CategoricalCrossentropy(_CategoricalCrossentropy):
    def __init__(
        self,
        from_logits: bool = ...,
        label_smoothing: float = ...,
        axis: int = ...,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class CategoricalHinge(_CategoricalHinge):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class CosineSimilarity(_CosineSimilarity):
    def __init__(
        self,
        axis: int = ...,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Hinge(_Hinge):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Huber(_Huber):
    def __init__(
        self,
        delta: float = ...,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class KLDivergence(_KLDivergence):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class LogCosh(_LogCosh):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanAbsoluteError(_MeanAbsoluteError):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanAbsolutePercentageError(_MeanAbsolutePercentageError):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanSquaredError(_MeanSquaredError):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanSquaredLogarithmicError(_MeanSquaredLogarithmicError):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Poisson(_Poisson):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class SparseCategoricalCrossentropy(_SparseCategoricalCrossentropy):
    def __init__(
        self,
        from_logits: bool = ...,
        ignore_class: int | None = ...,
        reduction: str | None = ...,
        axis: int = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class SquaredHinge(_SquaredHinge):
    def __init__(
        self,
        reduction: str | None = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...
