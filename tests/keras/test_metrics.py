"""Metrics compared with Keras: results, state, configs, names, and in training."""

from typing import Any

import keras
import numpy as np
import pytest
from helpers import assert_same, over, refused
from side_by_side import assert_agree, assert_both_agree, numbers

import tinynet as tn

ROWS, WIDTH = 6, 3


def chances(seed: int, *shape: int) -> np.ndarray:
    """Return probabilities, some of them 0, 0.5, 1 or equal."""
    eighths = np.random.default_rng(seed).integers(0, 9, shape) / 8
    return eighths.astype("float32")


def integers(seed: int, below: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, below, shape).astype("int32")


def regression(seed: int) -> Any:
    return numbers(seed, ROWS, WIDTH), numbers(seed + 1, ROWS, WIDTH)


def column(seed: int) -> Any:
    return numbers(seed, ROWS), numbers(seed + 1, ROWS, 1)


def binary(seed: int) -> Any:
    return integers(seed, 2, ROWS, WIDTH), chances(seed + 1, ROWS, WIDTH)


def binary_column(seed: int) -> Any:
    return integers(seed, 2, ROWS), chances(seed + 1, ROWS, 1)


def sparse(seed: int) -> Any:
    return integers(seed, WIDTH, ROWS), chances(seed + 1, ROWS, WIDTH) + 0.01


def sparse_column(seed: int) -> Any:
    y, p = sparse(seed)
    return y[:, None], p


def one_hot(seed: int) -> Any:
    y, p = sparse(seed)
    return np.eye(WIDTH, dtype="float32")[y], p


def sorted_ids(seed: int) -> Any:
    y, p = sparse(seed)
    return y, np.argsort(-p, 1).astype("int32")


def guesses(seed: int) -> Any:
    return integers(seed, WIDTH, ROWS), integers(seed + 1, WIDTH, ROWS)


def values(seed: int) -> Any:
    return (numbers(seed, ROWS, WIDTH),)


CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("MeanSquaredError", {}, regression),
    ("MeanSquaredError", {}, column),
    ("MeanAbsoluteError", {"name": "mine"}, regression),
    ("MeanAbsolutePercentageError", {}, column),
    ("MeanSquaredLogarithmicError", {}, regression),
    ("LogCoshError", {}, regression),
    ("RootMeanSquaredError", {}, regression),
    ("RootMeanSquaredError", {}, column),
    ("R2Score", {}, regression),
    ("R2Score", {"num_regressors": 2}, column),
    ("R2Score", {"class_aggregation": None}, regression),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, regression),
    ("Accuracy", {}, guesses),
    ("Accuracy", {}, binary),
    ("BinaryAccuracy", {}, binary),
    ("BinaryAccuracy", {"threshold": 0.3}, binary),
    ("CategoricalAccuracy", {}, one_hot),
    ("SparseCategoricalAccuracy", {}, sparse),
    ("SparseCategoricalAccuracy", {}, sparse_column),
    ("TopKCategoricalAccuracy", {"k": 2}, one_hot),
    ("TopKCategoricalAccuracy", {}, one_hot),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, sparse),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, sparse_column),
    ("SparseTopKCategoricalAccuracy", {"k": 2, "from_sorted_ids": True}, sorted_ids),
    ("BinaryCrossentropy", {}, binary),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, binary),
    ("CategoricalCrossentropy", {}, one_hot),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}, one_hot),
    ("SparseCategoricalCrossentropy", {}, sparse),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, sparse_column),
    ("Mean", {}, values),
    ("Sum", {}, values),
    ("Hinge", {}, binary),
    ("SquaredHinge", {}, regression),
    ("CategoricalHinge", {}, one_hot),
    ("KLDivergence", {}, one_hot),
    ("Poisson", {}, binary),
    ("CosineSimilarity", {}, regression),
    ("CosineSimilarity", {"name": "mine"}, binary),
    ("TruePositives", {}, binary),
    ("FalsePositives", {"thresholds": 0.3}, binary),
    ("TrueNegatives", {"thresholds": [0.2, 0.5]}, binary),
    ("FalseNegatives", {"thresholds": [0.0, 0.5, 1.0]}, binary_column),
    ("Precision", {}, binary),
    ("Precision", {"thresholds": [0.1, 0.6], "name": "mine"}, binary_column),
    ("Recall", {"thresholds": 0.3}, binary_column),
    ("AUC", {}, binary),
    ("AUC", {"curve": "PR", "num_thresholds": 9}, binary_column),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, binary),
    ("AUC", {"summation_method": "minoring", "thresholds": [0.2, 0.7, 0.5]}, binary),
    ("AUC", {"from_logits": True}, binary),
    ("AUC", {"multi_label": True, "num_labels": WIDTH}, binary),
]
# Samples of which each needs one weight.
BY_SAMPLE: list[tuple[str, dict[str, Any], Any]] = [
    ("Precision", {"class_id": 1}, binary),
    ("Precision", {"top_k": 2}, binary),
    ("Recall", {"top_k": 1, "class_id": 2, "thresholds": [0.1, 0.2]}, binary),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.5], "curve": "PR"}, binary),
    ("AUC", {"label_weights": [1.0, 2.0, 0.5]}, binary),
    ("F1Score", {}, one_hot),
    ("F1Score", {"average": "micro", "threshold": 0.5}, binary),
    ("FBetaScore", {"beta": 2.0, "average": "macro"}, one_hot),
    ("FBetaScore", {"beta": 0.5, "average": "weighted", "threshold": 0.3}, binary),
]


@pytest.mark.parametrize(
    ("name", "options", "samples", "weights"),
    [(*case, weights) for case in CASES for weights in (None, (), (ROWS,), (ROWS, 1))]
    + [(*case, weights) for case in BY_SAMPLE for weights in (None, (ROWS,))],
)
def test_a_metric_has_the_state_and_result_of_keras(name, options, samples, weights):
    seed = len(repr((name, options, weights)))
    found = []
    for lib in (tn, keras):
        metric = getattr(lib.metrics, name)(**options)
        for batch in range(2):
            weight = None if weights is None else abs(numbers(seed + 7 + batch, *weights))
            metric.update_state(*samples(seed + batch), sample_weight=weight)
        found.append([[v.numpy() for v in metric.variables], np.array(metric.result())])
    (state, result), (their_state, their_result) = found
    assert_agree(state, their_state)
    assert_agree(result, their_result, scale=1.0)


@pytest.mark.parametrize(("name", "options", "samples"), CASES)
def test_stateless_methods_of_a_metric_return_the_values_of_keras(name, options, samples):
    def run(lib: Any) -> Any:
        metric = getattr(lib.metrics, name)(**options)
        metric.update_state(*samples(0))  # which pure functions neither see nor change
        state = metric.stateless_reset_state()
        for seed in (1, 2):
            state = metric.stateless_update_state(state, *samples(seed))
        before = np.array(metric.result())
        return [*map(np.array, state)], np.array(metric.stateless_result(state)), before

    assert_both_agree(run)


def test_stateless_updates_compile_and_refuse_other_states():
    metric = tn.metrics.AUC(num_thresholds=5)
    update = tn.jit(metric.stateless_update_state)
    y, p = binary(0)
    state = update(metric.stateless_reset_state(), y, p)
    metric.update_state(y, p)
    for found, variable in zip(state, metric.variables, strict=True):
        assert_same(found, variable)
    with refused(ValueError, "metric_variables"):
        metric.stateless_result(state[:2])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("TruePositives", {"thresholds": 1.5}),
        ("Precision", {"thresholds": [0.1, "a"]}),
        ("AUC", {"num_thresholds": 1}),
        ("AUC", {"curve": "circle"}),
        ("AUC", {"summation_method": "guess"}),
        ("FBetaScore", {"beta": 0.0}),
        ("F1Score", {"average": "mean"}),
        ("F1Score", {"threshold": 0.0}),
    ],
)
def test_metrics_of_counts_refuse_values_that_keras_refuses(name, options):
    with refused(ValueError, *options):
        getattr(tn.metrics, name)(**options)
    with pytest.raises((ValueError, TypeError)):
        getattr(keras.metrics, name)(**options)


@pytest.mark.parametrize(
    ("name", "options", "samples"), [c for c in CASES + BY_SAMPLE if "label_weights" not in c[1]]
)
def test_the_config_of_a_metric_equals_keras(name, options, samples):
    def run(lib: Any) -> Any:
        metric = getattr(lib.metrics, name)(**options)
        config = metric.get_config()
        found = [type(metric).from_config(config).get_config(), lib.metrics.serialize(metric)]
        again = lib.metrics.deserialize(lib.metrics.serialize(metric))
        variables = [(v.name, v.path, tuple(v.shape), v.dtype) for v in metric.variables]
        for each in (config, found[0], found[1]["config"]):
            each.pop("axis", None)  # which Keras omits for CosineSimilarity
        return [config, *found, type(again).__name__, again.name, variables, repr(metric)]

    assert_both_agree(run)


def test_the_config_of_a_metric_wrapper_equals_keras_and_rebuilds_it():
    def run(lib: Any) -> Any:
        metric = lib.metrics.MeanMetricWrapper(lib.metrics.binary_accuracy, threshold=0.3)
        again = lib.metrics.MeanMetricWrapper.from_config(metric.get_config())
        return [lib.metrics.serialize(metric), float(again([[0.0, 1.0]], [[0.4, 0.4]]))]

    assert_both_agree(run)


ALIASES = ["mse", "MSE", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "bce", "BCE", "accuracy"]
ALIASES += ["r2_score", "binary_accuracy", "log_cosh_error"]
ALIASES += ["top_k_categorical_accuracy", "mean", "sum"]


@pytest.mark.parametrize("name", [*ALIASES, *sorted({name for name, _, _ in CASES})])
def test_a_name_selects_the_same_metric_as_in_keras(name):
    mine, theirs = tn.metrics.get(name), keras.metrics.get(name)
    assert type(mine).__name__ == type(theirs).__name__
    assert mine.name == theirs.name
    assert mine._direction == getattr(theirs, "_direction", None)


FUNCTIONS: dict[str, tuple[dict[str, Any], Any]] = {
    "binary_accuracy": ({"threshold": 0.25}, binary),
    "categorical_accuracy": ({}, one_hot),
    "sparse_categorical_accuracy": ({}, sparse_column),
    "top_k_categorical_accuracy": ({"k": 1}, one_hot),
    "sparse_top_k_categorical_accuracy": ({"k": 2}, sparse),
    "mean_squared_error": ({}, regression),
    "mean_absolute_error": ({}, regression),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_metric_function_returns_the_values_of_keras(name):
    options, samples = FUNCTIONS[name]

    def run(lib: Any) -> Any:
        return np.array(getattr(lib.metrics, name)(*samples(0), **options))

    assert_both_agree(run)


# -- in training ----------------------------------------------------------------------------------


def compiled(lib: Any, width: int, activation: str, loss: str, eager: bool, **options: Any) -> Any:
    model = lib.Sequential(
        [lib.layers.Input((WIDTH,)), lib.layers.Dense(width, activation=activation)]
    )
    model.compile("sgd", loss, run_eagerly=eager, **options)
    return model


def of_a_user(lib: Any) -> Any:
    """Return the class of a custom metric."""

    class Hits(lib.metrics.Metric):
        def __init__(self, name: str = "hits") -> None:
            super().__init__(name=name)
            self.hits = self.add_weight(shape=(), initializer="zeros", name="hits")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            near = lib.ops.absolute(y_true - y_pred) < 0.5
            self.hits.assign_add(lib.ops.sum(lib.ops.cast(near, "float32")))

        def result(self) -> Any:
            return self.hits * 1.0

    return Hits


X, N = numbers(0, 16, WIDTH), 16  # batches of one size only, which is faster in Keras
TRAINING: dict[str, Any] = {
    "binary": (
        1,
        "sigmoid",
        integers(1, 2, N),
        lambda lib: [
            *("accuracy", "acc", "mae", lib.metrics.BinaryAccuracy(threshold=0.4)),
            *("AUC", "Precision", lib.metrics.Recall(0.4), lib.metrics.TruePositives([0.4, 0.6])),
        ],
    ),
    "sparse": (
        WIDTH,
        "softmax",
        integers(1, WIDTH, N, 1),
        lambda lib: ["acc", lib.metrics.SparseTopKCategoricalAccuracy(k=2)],
    ),
    "one-hot": (
        WIDTH,
        "softmax",
        np.eye(WIDTH, dtype="float32")[integers(1, WIDTH, N)],
        lambda lib: [
            *("Accuracy", "mse", lib.metrics.categorical_accuracy),
            *("kl_divergence", lib.metrics.F1Score("macro"), lib.metrics.Precision(class_id=1)),
        ],
    ),
    "regression": (
        2,
        "tanh",
        numbers(1, N, 2),
        lambda lib: ["r2_score", lib.metrics.RootMeanSquaredError("rmse"), of_a_user(lib)()],
    ),
}


@over(TRAINING, "case")
def test_the_metrics_in_the_history_equal_keras(case, run_eagerly):
    width, activation, y, chosen = case

    def run(lib: Any) -> Any:
        loss = "sparse_categorical_crossentropy" if y.shape == (N, 1) else "mse"
        watched = {"metrics": chosen(lib), "weighted_metrics": chosen(lib)}
        model = compiled(lib, width, activation, loss, run_eagerly[lib], **watched)
        weight = abs(numbers(2, N))
        data = {"sample_weight": weight, "validation_data": (X[:8], y[:8])}
        history = model.fit(X, y, 8, 2, 0, **data).history
        return [history, model.evaluate(X, y, 8, 0, weight, return_dict=True)]

    assert_both_agree(run, rtol=1e-4)
