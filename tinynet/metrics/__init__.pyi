"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""

from typing import Any

from ..losses.functions import binary_crossentropy as binary_crossentropy
from ..losses.functions import categorical_crossentropy as categorical_crossentropy
from ..losses.functions import huber as huber
from ..losses.functions import log_cosh as log_cosh
from ..losses.functions import mean_absolute_error as mean_absolute_error
from ..losses.functions import mean_absolute_percentage_error as mean_absolute_percentage_error
from ..losses.functions import mean_squared_error as mean_squared_error
from ..losses.functions import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from ..losses.functions import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from ..losses.margins import binary_focal_crossentropy as binary_focal_crossentropy
from ..losses.margins import categorical_hinge as categorical_hinge
from ..losses.margins import hinge as hinge
from ..losses.margins import kl_divergence as kl_divergence
from ..losses.margins import poisson as poisson
from ..losses.margins import squared_hinge as squared_hinge
from .accuracy import Accuracy as _Accuracy
from .accuracy import BinaryAccuracy as _BinaryAccuracy
from .accuracy import BinaryCrossentropy as _BinaryCrossentropy
from .accuracy import CategoricalAccuracy as _CategoricalAccuracy
from .accuracy import CategoricalCrossentropy as _CategoricalCrossentropy
from .accuracy import CategoricalHinge as _CategoricalHinge
from .accuracy import CosineSimilarity as _CosineSimilarity
from .accuracy import Hinge as _Hinge
from .accuracy import KLDivergence as _KLDivergence
from .accuracy import LogCoshError as _LogCoshError
from .accuracy import MeanAbsoluteError as _MeanAbsoluteError
from .accuracy import MeanAbsolutePercentageError as _MeanAbsolutePercentageError
from .accuracy import MeanSquaredError as _MeanSquaredError
from .accuracy import MeanSquaredLogarithmicError as _MeanSquaredLogarithmicError
from .accuracy import Poisson as _Poisson
from .accuracy import R2Score as R2Score
from .accuracy import SparseCategoricalAccuracy as _SparseCategoricalAccuracy
from .accuracy import SparseCategoricalCrossentropy as _SparseCategoricalCrossentropy
from .accuracy import SparseTopKCategoricalAccuracy as _SparseTopKCategoricalAccuracy
from .accuracy import SquaredHinge as _SquaredHinge
from .accuracy import TopKCategoricalAccuracy as _TopKCategoricalAccuracy
from .accuracy import binary_accuracy as binary_accuracy
from .accuracy import categorical_accuracy as categorical_accuracy
from .accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from .accuracy import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from .accuracy import top_k_categorical_accuracy as top_k_categorical_accuracy
from .base import Mean as Mean
from .base import MeanMetricWrapper as MeanMetricWrapper
from .base import Metric as Metric
from .base import RootMeanSquaredError as RootMeanSquaredError
from .base import Sum as Sum
from .confusion import AUC as _AUC
from .confusion import F1Score as _F1Score
from .confusion import FBetaScore as _FBetaScore
from .confusion import FalseNegatives as _FalseNegatives
from .confusion import FalsePositives as _FalsePositives
from .confusion import Precision as _Precision
from .confusion import Recall as _Recall
from .confusion import TrueNegatives as _TrueNegatives
from .confusion import TruePositives as _TruePositives
from .lookup import deserialize as deserialize
from .lookup import get as get
from .lookup import serialize as serialize

class AUC(_AUC):
    def __init__(
        self,
        num_thresholds: int | None = ...,
        curve: str = ...,
        summation_method: str = ...,
        name: str | None = ...,
        dtype: Any = ...,
        thresholds: Any = ...,
        multi_label: bool = ...,
        num_labels: int | None = ...,
        label_weights: Any = ...,
        from_logits: bool = ...,
    ) -> None: ...

class Accuracy(_Accuracy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class BinaryAccuracy(_BinaryAccuracy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
        threshold: float = ...,
    ) -> None: ...

class BinaryCrossentropy(_BinaryCrossentropy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
        from_logits: bool = ...,
        label_smoothing: float = ...,
    ) -> None: ...

class CategoricalAccuracy(_CategoricalAccuracy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class CategoricalCrossentropy(_CategoricalCrossentropy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
        from_logits: bool = ...,
        label_smoothing: float = ...,
        axis: int = ...,
    ) -> None: ...

class CategoricalHinge(_CategoricalHinge):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class CosineSimilarity(_CosineSimilarity):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
        axis: int = ...,
    ) -> None: ...

class F1Score(_F1Score):
    def __init__(
        self,
        average: Any = ...,
        threshold: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class FBetaScore(_FBetaScore):
    def __init__(
        self,
        average: Any = ...,
        beta: float = ...,
        threshold: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class FalseNegatives(_FalseNegatives):
    def __init__(
        self,
        thresholds: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class FalsePositives(_FalsePositives):
    def __init__(
        self,
        thresholds: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Hinge(_Hinge):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class KLDivergence(_KLDivergence):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class LogCoshError(_LogCoshError):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanAbsoluteError(_MeanAbsoluteError):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanAbsolutePercentageError(_MeanAbsolutePercentageError):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanSquaredError(_MeanSquaredError):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class MeanSquaredLogarithmicError(_MeanSquaredLogarithmicError):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Poisson(_Poisson):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Precision(_Precision):
    def __init__(
        self,
        thresholds: Any = ...,
        top_k: Any = ...,
        class_id: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class Recall(_Recall):
    def __init__(
        self,
        thresholds: Any = ...,
        top_k: Any = ...,
        class_id: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class SparseCategoricalAccuracy(_SparseCategoricalAccuracy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class SparseCategoricalCrossentropy(_SparseCategoricalCrossentropy):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
        from_logits: bool = ...,
        ignore_class: int | None = ...,
        axis: int = ...,
    ) -> None: ...

class SparseTopKCategoricalAccuracy(_SparseTopKCategoricalAccuracy):
    def __init__(
        self,
        k: int = ...,
        name: str | None = ...,
        dtype: Any = ...,
        from_sorted_ids: bool = ...,
    ) -> None: ...

class SquaredHinge(_SquaredHinge):
    def __init__(
        self,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class TopKCategoricalAccuracy(_TopKCategoricalAccuracy):
    def __init__(
        self,
        k: int = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class TrueNegatives(_TrueNegatives):
    def __init__(
        self,
        thresholds: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...

class TruePositives(_TruePositives):
    def __init__(
        self,
        thresholds: Any = ...,
        name: str | None = ...,
        dtype: Any = ...,
    ) -> None: ...
