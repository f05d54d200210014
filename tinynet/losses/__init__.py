"""Losses, under Keras's path: ``from tinynet.losses import MeanSquaredError``.

A loss function returns one value per sample; a loss object reduces the values to the scalar that
training minimizes. Read next: `base.py`.
"""

from .base import Loss as Loss, LossFunction as LossFunction
from .functions import BinaryCrossentropy as BinaryCrossentropy
from .functions import CategoricalCrossentropy as CategoricalCrossentropy, LogCosh as LogCosh
from .functions import Huber as Huber, MeanAbsolutePercentageError as MeanAbsolutePercentageError
from .functions import MeanAbsoluteError as MeanAbsoluteError, MeanSquaredError as MeanSquaredError
from .functions import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError, huber as huber
from .functions import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from .functions import binary_crossentropy as binary_crossentropy
from .functions import categorical_crossentropy as categorical_crossentropy, log_cosh as log_cosh
from .functions import mean_absolute_error as mean_absolute_error
from .functions import mean_absolute_percentage_error as mean_absolute_percentage_error
from .functions import mean_squared_error as mean_squared_error
from .functions import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from .functions import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from .lookup import get as get
from .margins import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from .margins import CosineSimilarity as CosineSimilarity, cosine_similarity as cosine_similarity
from .margins import binary_focal_crossentropy as binary_focal_crossentropy
from .margins import CategoricalHinge as CategoricalHinge, Hinge as Hinge, Poisson as Poisson
from .margins import KLDivergence as KLDivergence, SquaredHinge as SquaredHinge, hinge as hinge
from .margins import categorical_hinge as categorical_hinge, kl_divergence as kl_divergence
from .margins import poisson as poisson, squared_hinge as squared_hinge
