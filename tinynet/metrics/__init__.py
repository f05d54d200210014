"""Metrics, under Keras's path: ``from tinynet.metrics import MeanAbsoluteError``.

Read next: `base.py`.
"""

from .lookup import deserialize as deserialize, get as get, serialize as serialize

_HOMES = {
    ".losses": "binary_crossentropy binary_focal_crossentropy categorical_crossentropy "
    "categorical_hinge hinge huber kl_divergence log_cosh mean_absolute_error "
    "mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson "
    "sparse_categorical_crossentropy squared_hinge",
    "accuracy": "Accuracy BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalHinge "
    "CategoricalCrossentropy CosineSimilarity Hinge KLDivergence LogCoshError MeanAbsoluteError "
    "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson R2Score "
    "SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy "
    "SquaredHinge TopKCategoricalAccuracy binary_accuracy categorical_accuracy "
    "sparse_categorical_accuracy sparse_top_k_categorical_accuracy top_k_categorical_accuracy",
    "base": "Mean MeanMetricWrapper Metric RootMeanSquaredError Sum",
    "confusion": "AUC F1Score FBetaScore FalseNegatives FalsePositives Precision Recall "
    "TrueNegatives TruePositives",
}
