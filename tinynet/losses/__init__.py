"""Losses, under Keras's path: ``from tinynet.losses import MeanSquaredError``.

A loss function returns one value per sample; a loss object reduces the values to the scalar that
training minimizes. Read next: `base.py`.
"""

_HOMES = {
    "base": "Loss LossFunction",
    "functions": "BinaryCrossentropy CategoricalCrossentropy Huber LogCosh MeanAbsoluteError "
    "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError "
    "SparseCategoricalCrossentropy binary_crossentropy categorical_crossentropy huber log_cosh "
    "mean_absolute_error mean_absolute_percentage_error mean_squared_error "
    "mean_squared_logarithmic_error sparse_categorical_crossentropy",
    "lookup": "get",
    "margins": "BinaryFocalCrossentropy CategoricalHinge CosineSimilarity Hinge KLDivergence "
    "Poisson SquaredHinge binary_focal_crossentropy categorical_hinge cosine_similarity hinge "
    "kl_divergence poisson squared_hinge",
}
