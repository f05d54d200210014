"""Metrics, under Keras's path: ``from tinynet.metrics import MeanAbsoluteError``.

Read next: `base.py`.
"""

from ..losses import binary_crossentropy as binary_crossentropy
from ..losses import binary_focal_crossentropy as binary_focal_crossentropy
from ..losses import categorical_crossentropy as categorical_crossentropy, huber as huber
from ..losses import categorical_hinge as categorical_hinge, hinge as hinge
from ..losses import kl_divergence as kl_divergence, poisson as poisson
from ..losses import squared_hinge as squared_hinge
from ..losses import log_cosh as log_cosh, mean_absolute_error as mean_absolute_error
from ..losses import mean_absolute_percentage_error as mean_absolute_percentage_error
from ..losses import mean_squared_error as mean_squared_error
from ..losses import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from ..losses import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from .accuracy import Accuracy as Accuracy, top_k_categorical_accuracy as top_k_categorical_accuracy
from .accuracy import BinaryAccuracy as BinaryAccuracy, categorical_accuracy as categorical_accuracy
from .accuracy import CategoricalAccuracy as CategoricalAccuracy, binary_accuracy as binary_accuracy
from .accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from .accuracy import SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy
from .accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from .accuracy import sparse_categorical_accuracy as sparse_categorical_accuracy
from .accuracy import sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy
from .base import Mean as Mean, MeanMetricWrapper as MeanMetricWrapper, Metric as Metric, Sum as Sum
from .confusion import AUC as AUC, F1Score as F1Score, FBetaScore as FBetaScore
from .confusion import FalseNegatives as FalseNegatives, FalsePositives as FalsePositives
from .confusion import Precision as Precision, Recall as Recall, TrueNegatives as TrueNegatives
from .confusion import TruePositives as TruePositives
from .errors import BinaryCrossentropy as BinaryCrossentropy, MeanAbsoluteError as MeanAbsoluteError
from .errors import CosineSimilarity as CosineSimilarity
from .errors import CategoricalHinge as CategoricalHinge, Hinge as Hinge, Poisson as Poisson
from .errors import KLDivergence as KLDivergence, SquaredHinge as SquaredHinge
from .errors import CategoricalCrossentropy as CategoricalCrossentropy, LogCoshError as LogCoshError
from .errors import MeanAbsolutePercentageError as MeanAbsolutePercentageError, R2Score as R2Score
from .errors import MeanSquaredError as MeanSquaredError
from .errors import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from .errors import RootMeanSquaredError as RootMeanSquaredError
from .errors import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from .lookup import deserialize as deserialize, get as get, serialize as serialize
