"""Metrics against NumPy: means over all samples, weights, classes, R2, names, compiled updates."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, leaf, normal, refused
from hypothesis import given, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import losses, metrics, ops
from tinynet.engine.variable import stateless
from tinynet.layers import Dense, Input
from tinynet.metrics.lookup import resolve

WIDTH = 3


def numbers(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random targets and predictions."""
    return normal(seed, n, WIDTH, dtype="float64"), normal(seed + 1, n, WIDTH, dtype="float64")


def scores(seed: int, n: int) -> np.ndarray:
    """Return scores of classes, with ties, and with some scores of exactly 0.5."""
    return np.random.default_rng(seed).integers(0, 5, (n, WIDTH)) / 4


def labels(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, WIDTH, n)


def classes(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    return labels(seed, n), scores(seed + 1, n)


def one_hot(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    y, p = classes(seed, n)
    return np.eye(WIDTH)[y], p


def yes_and_no(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).integers(0, 2, (n, WIDTH)), scores(seed + 1, n)


def rank(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the number of scores above the score of the true class."""
    return np.sum(p > np.take_along_axis(p, y[:, None], 1), 1)


# Metrics that are means over samples: class, options, samples, and the formula per sample.
PER_SAMPLE: dict[str, tuple[str, dict[str, Any], Any, Any]] = {
    "mse": ("MeanSquaredError", {}, numbers, lambda y, p: ((y - p) ** 2).mean(1)),
    "mae": ("MeanAbsoluteError", {}, numbers, lambda y, p: abs(y - p).mean(1)),
    "equal": ("Accuracy", {}, yes_and_no, lambda y, p: (y == p).mean(1)),
    "binary": ("BinaryAccuracy", {}, yes_and_no, lambda y, p: (y == (p > 0.5)).mean(1)),
    "low": (
        "BinaryAccuracy",
        {"threshold": 0.25},
        yes_and_no,
        lambda y, p: (y == (p > 0.25)).mean(1),
    ),
    "one-hot": ("CategoricalAccuracy", {}, one_hot, lambda y, p: y.argmax(1) == p.argmax(1)),
    "sparse": ("SparseCategoricalAccuracy", {}, classes, lambda y, p: y == p.argmax(1)),
    "top 2": (
        "TopKCategoricalAccuracy",
        {"k": 2},
        one_hot,
        lambda y, p: rank(y.argmax(1), p) < 2,
    ),
    "sparse top 2": (
        "SparseTopKCategoricalAccuracy",
        {"k": 2},
        classes,
        lambda y, p: rank(y, p) < 2,
    ),
}
CASES = st.sampled_from(sorted(PER_SAMPLE))
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def batches(sizes: list[int]) -> list[np.ndarray]:
    """Return the rows of batches of these sizes."""
    return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


# -- values ----------------------------------------------------------------------------------------


@given(CASES, SIZES, st.booleans(), SEEDS)
def test_a_metric_is_the_weighted_mean_over_the_samples_of_all_batches(case, sizes, weighted, seed):
    kind, options, samples, formula = PER_SAMPLE[case]
    metric = getattr(metrics, kind)(**options)
    assert metric.result() == 0.0
    n = sum(sizes)
    y_true, y_pred = samples(seed, n)
    weight = abs(normal(seed + 2, n, dtype="float64")) if weighted else np.ones(n)
    values = formula(y_true, y_pred)
    for _ in range(2):
        for rows in batches(sizes):
            metric.update_state(y_true[rows], y_pred[rows], weight[rows] if weighted else None)
        expected = (values * weight).sum() / weight.sum()
        assert float(metric.result()) == pytest.approx(expected)
        metric.reset_state()
    assert metric.result() == 0.0
    assert float(metric(y_true, y_pred)) == pytest.approx(values.mean())


@given(CASES, st.integers(1, 4), SEEDS)
def test_targets_and_weights_may_be_columns_or_rows(case, n, seed):
    kind, options, samples, formula = PER_SAMPLE[case]
    y_true, y_pred = samples(seed, n)
    weight = 0.5 + np.arange(n)
    expected = (formula(y_true, y_pred) * weight).sum() / weight.sum()
    if y_true.ndim > 1 and kind not in ("CategoricalAccuracy", "TopKCategoricalAccuracy"):
        y_true, y_pred = y_true[:, 0], y_pred[:, :1]  # one number per sample
        expected = (formula(y_true[:, None], y_pred) * weight).sum() / weight.sum()
    for y in (y_true, y_true[:, None]) if y_true.ndim == 1 else (y_true,):
        for w in (weight, weight[:, None]):
            assert float(getattr(metrics, kind)(**options)(y, y_pred, w)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 9)), min_size=1, max_size=6))
def test_mean_and_sum_cover_all_values_of_all_updates(pairs):
    mean, total = metrics.Mean(dtype="float64"), metrics.Sum(dtype="float64")
    for value, weight in pairs:
        for metric in (mean, total):
            metric.update_state(np.array([value]), sample_weight=np.array([weight]))
    values, weights = np.array(pairs).T
    expected = (values * weights).sum() / weights.sum() if weights.sum() else 0.0
    assert float(mean.result()) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert float(total.result()) == pytest.approx((values * weights).sum(), rel=1e-9, abs=1e-12)
    assert mean.dtype == mean.result().dtype == "float64"


def test_sum_adds_and_mean_averages_the_values_within_each_sample():
    values = np.arange(6.0).reshape(3, 2)
    assert float(metrics.Sum()(values)) == 15.0
    assert float(metrics.Mean()(values)) == 2.5
    assert float(metrics.Sum()(values, [1.0, 0.0, 2.0])) == 19.0  # 0 + 1 + 2 * (4 + 5)
    assert float(metrics.Mean()(values, [1.0, 0.0, 2.0])) == pytest.approx((0.5 + 2 * 4.5) / 3)
    assert float(metrics.Mean()(3.0)) == 3.0


@given(SIZES, st.booleans(), SEEDS)
def test_root_mean_squared_error_takes_the_root_of_the_mean_over_all_samples(sizes, weighted, seed):
    metric, n = metrics.RootMeanSquaredError(dtype="float64"), sum(sizes)
    y_true, y_pred = numbers(seed, n)
    weight = abs(normal(seed + 2, n, dtype="float64")) if weighted else np.ones(n)
    for rows in batches(sizes):
        metric.update_state(y_true[rows], y_pred[rows], weight[rows])
    squares = ((y_true - y_pred) ** 2).mean(1)
    assert float(metric.result()) == pytest.approx(np.sqrt((squares * weight).sum() / weight.sum()))


AGGREGATIONS = st.sampled_from([None, "uniform_average", "variance_weighted_average"])


@given(AGGREGATIONS, st.integers(0, 2), st.lists(st.integers(2, 4), min_size=2, max_size=4), SEEDS)
def test_r2_is_one_minus_the_unexplained_share_of_the_variance(aggregation, p, sizes, seed):
    metric, n = metrics.R2Score(aggregation, p, dtype="float64"), sum(sizes)
    y_true, y_pred = numbers(seed, n)
    weight = abs(normal(seed + 2, n, dtype="float64"))
    for rows in batches(sizes):
        metric.update_state(y_true[rows], y_pred[rows], weight[rows])
    w = weight[:, None]
    variance = (w * (y_true - (w * y_true).sum(0) / w.sum()) ** 2).sum(0)
    score: Any = 1 - (w * (y_true - y_pred) ** 2).sum(0) / variance
    if aggregation:
        shares = variance if aggregation.startswith("variance") else np.ones(WIDTH)
        score = (score * shares).sum() / shares.sum()
    many = n * WIDTH  # the number of samples, as Keras counts
    adjusted = 1 - (1 - score) * (many - 1) / (many - p - 1) if p else score
    assert_close(metric.result(), adjusted, 1e-8, 1e-8)


def test_r2_of_equal_targets_is_0_or_nan():
    same = np.ones((3, 1))
    assert float(metrics.R2Score()(same, same + 1)) == 0.0
    assert np.isnan(float(metrics.R2Score()(same, same)))
    metric = metrics.R2Score(num_regressors=2)
    metric.update_state(normal(0, 3, 1), normal(1, 3, 1))
    with pytest.warns(UserWarning, match="num_regressors=2"):
        assert float(metric.result()) == float(metrics.R2Score()(normal(0, 3, 1), normal(1, 3, 1)))


def test_r2_refuses_unsuitable_arguments_and_shapes():
    with refused(ValueError, "class_aggregation", "mean"):
        metrics.R2Score("mean")
    with refused(ValueError, "num_regressors", "-1"):
        metrics.R2Score(num_regressors=-1)
    with refused(ValueError, "R2Score", "update_state"):
        metrics.R2Score().result()
    with refused(ValueError, "R2Score", "(3,)"):
        metrics.R2Score()(np.ones(3), np.ones(3))
    with refused(ValueError, "R2Score", "(3, 2, 1)"):
        resolve("r2_score", (3, 2, 1), (3, 2, 1))


@pytest.mark.parametrize("case", sorted(PER_SAMPLE))
def test_mismatched_targets_are_refused_and_not_broadcast(case):
    kind, options, samples, _ = PER_SAMPLE[case]
    y_true, y_pred = samples(0, 4)
    with refused(ValueError, "shape", "4", "3"):
        getattr(metrics, kind)(**options)(y_true[:3], y_pred)
    with refused(ValueError, "sample_weight", "(3,)"):
        getattr(metrics, kind)(**options)(y_true, y_pred, np.ones(3))


def test_scores_of_one_sample_do_not_broadcast_to_all_targets():
    for name in ("sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy"):
        with refused(ValueError, "shape", "(3,)", "(1,)"):
            getattr(metrics, name)([0, 1, 0], [[0.5, 0.25]])


def test_a_users_metric_function_gets_targets_and_predictions_of_one_rank():
    for y_true, y_pred in (((0.0, 0.0), ((1.0,), (2.0,))), (((0.0,), (0.0,)), (1.0, 2.0))):
        assert resolve(quartic)(y_true, y_pred) == 8.5  # (1 + 16) / 2


def test_the_first_of_equal_scores_counts_and_nan_scores_never_count():
    assert metrics.sparse_categorical_accuracy([0, 1], [[0.5, 0.5]] * 2).numpy().tolist() == [1, 0]
    assert metrics.binary_accuracy([0, 0], [0.5, 0.75]).numpy().tolist() == [1, 0]
    top = metrics.sparse_top_k_categorical_accuracy
    assert top([0, 1, 2], [[0.5, 0.5, 0.25]] * 3, k=2).numpy().tolist() == [1, 1, 0]
    assert top([0, 1], [[np.nan, 1.0]] * 2, k=1).numpy().tolist() == [0, 1]
    assert top([2, 0], [[2, 1, 0]] * 2, k=2, from_sorted_ids=True).numpy().tolist() == [1, 0]
    assert top(np.int8([[127], [1]]), np.eye(300)[[127, 257]], k=1).numpy().tolist() == [1, 0]


# -- compiled updates ------------------------------------------------------------------------------

OBJECTS: dict[str, Any] = {
    **{
        case: lambda c=c, o=o: getattr(metrics, c)(**o) for case, (c, o, _, _) in PER_SAMPLE.items()
    },
    "rmse": metrics.RootMeanSquaredError,
    "r2": lambda: resolve(metrics.R2Score(), (4, WIDTH), (4, WIDTH)),
    "function": lambda: resolve(quartic),
    "mean": metrics.Mean,
    "sum": metrics.Sum,
}


@given(st.sampled_from(sorted(OBJECTS)), st.booleans(), SEEDS)
def test_a_compiled_update_equals_the_eager_one_bit_for_bit(case, weighted, seed):
    metric = OBJECTS[case]()
    samples = PER_SAMPLE[case][2] if case in PER_SAMPLE else numbers
    given_ = [np.asarray(a, "float32") for a in samples(seed, 4)][
        : 1 if case in ("mean", "sum") else 2
    ]
    given_ += [abs(normal(seed, 4))] * weighted
    before = [abs(normal(seed + i, *v.shape)) for i, v in enumerate(metric.variables)]

    def update(state: Any, batch: Any) -> Any:
        options = {"sample_weight": batch[-1]} if weighted else {}
        with stateless(dict(zip(metric.variables, state, strict=True))) as now:
            metric.update_state(*batch[: len(batch) - weighted], **options)
        return [now[v] for v in metric.variables]

    def eager() -> Any:
        return update([tn.tensor(a) for a in before], [tn.tensor(a) for a in given_])

    expected = eager()
    compiled = tn.jit(lambda *xs: update(xs[: len(before)], xs[len(before) :]))
    assert_all_same(compiled(*before, *given_), expected)
    for variable, value in zip(metric.variables, before, strict=True):
        variable.assign(value)
    update_in_place = {"sample_weight": given_[-1]} if weighted else {}
    metric.update_state(*given_[: len(given_) - weighted], **update_in_place)
    assert_all_same(metric.variables, expected)


def test_metrics_leave_no_tape():
    t = leaf(np.ones((3, 1)))
    for metric in (metrics.MeanSquaredError(), metrics.R2Score(), resolve(scalar)):
        metric.update_state(np.arange(3.0)[:, None], t)
        assert not metric.result().requires_grad
    assert t.grad is None


class Both(metrics.Metric):
    """A metric with other metrics and a variable in a list."""

    def __init__(self) -> None:
        super().__init__(name="both")
        self.parts = [metrics.MeanSquaredError(), metrics.MeanAbsoluteError()]
        self.seen = tn.Variable(0.0, trainable=False)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        for part in self.parts:
            part.update_state(y_true, y_pred, sample_weight)
        self.seen.assign_add(1)

    def result(self) -> Any:
        return self.parts[0].result() + self.parts[1].result() + 0 * self.seen


def _updated(metric, y, p):
    metric.update_state(y, p)
    return metric.result()


def _stateless(metric, y, p):
    state = metric.stateless_update_state(metric.stateless_reset_state(), y, p)
    return metric.stateless_result(state)


VALUES_OF_METRICS = [
    lambda metric, y, p: metric(y, p),
    lambda metric, y, p: metric(y, y_pred=p),
    _updated,
    _stateless,
]


@pytest.mark.parametrize("value", VALUES_OF_METRICS)
@pytest.mark.parametrize("name", ["R2Score", "Recall", "RootMeanSquaredError", "AUC", Both])
def test_metrics_of_all_kinds_refuse_to_lose_a_gradient(name, value):
    metric = getattr(metrics, name)() if isinstance(name, str) else name()
    y, p = np.ones((4, 1)), np.full((4, 1), 0.5)
    with refused(TypeError, "metric ", "(use a loss)"):
        tn.grad(lambda p: tn.ops.sum(value(metric, y, p)))(p)
    assert not any(v.numpy().any() for v in metric.variables)


@pytest.mark.parametrize("case", PER_SAMPLE)
def test_the_value_of_a_metric_is_refused_where_its_gradient_would_be_lost(case):
    name, options, samples, formula = PER_SAMPLE[case]
    y, p = samples(3, 4)
    metric = getattr(tn.metrics, name)(**options)
    for value in VALUES_OF_METRICS:
        with refused(TypeError, f"metric {metric.name} (use a loss)", "gradient would be lost"):
            tn.grad(lambda p: value(metric, y, p))(p)  # noqa: B023
    assert not any(v.numpy().any() for v in metric.variables)
    loss, watched = tn.value_and_grad(
        lambda p: (tn.ops.sum(p * p), metric(y, p.detach())), has_aux=True
    )(p)[0]
    assert_close(watched.numpy(), formula(y, p).mean(), 1e-5, 1e-6)
    assert_close(loss.numpy(), (p * p).sum(), 1e-6, 1e-6)


def test_a_metric_of_metrics_owns_and_resets_their_variables():
    both = Both()
    assert both.variables == [*both.parts[0].variables, *both.parts[1].variables, both.seen]
    assert float(both(np.zeros(2), np.full(2, 3.0))) == 12.0
    both.reset_state()
    assert [float(v) for v in both.variables] == [0.0] * 5
    assert float(both(np.zeros(2), np.full(2, 2.0))) == 6.0


# -- names -----------------------------------------------------------------------------------------


class Largest(metrics.Metric):
    """The largest error so far: a metric that is not a mean."""

    def __init__(self, name: str | None = "largest") -> None:
        super().__init__(name=name)
        self.reset_state()

    def reset_state(self) -> None:
        self.most = 0.0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.most = max(self.most, float(abs(np.asarray(y_true) - np.asarray(y_pred)).max()))

    def result(self) -> float:
        return self.most


def scalar(y_true: Any, y_pred: Any) -> Any:
    return ops.max(ops.absolute(y_true - y_pred))


def quartic(y_true: Any, y_pred: Any) -> Any:
    return ops.mean((y_true - y_pred) ** 4, axis=-1)


X, Y = normal(0, 8, 3), normal(1, 8, 1)


@pytest.mark.parametrize("eager", [True, False])
def test_logs_contain_metrics_of_all_kinds_by_name(eager):
    mine = tn.metrics.MeanSquaredError(name="mine")
    plain = ["mae", "MAE", "mae", "MeanAbsoluteError", quartic, lambda t, p: quartic(t, p), mine]
    model = tn.Sequential([Input((3,)), Dense(1, dtype="float64")])
    model.compile(
        tn.optimizers.SGD(0.0),
        "mse",
        metrics=[*plain, Largest()],
        weighted_metrics=["mae", quartic],
        run_eagerly=eager,
    )
    weight = abs(normal(2, 8))
    w, b = model.get_weights()
    error = (X @ w + b - Y)[:, 0]
    mae, fourth = abs(error).mean(), (error**4).mean()
    expected = {
        "MAE": mae,
        "MeanAbsoluteError": mae,
        "lambda": fourth,
        "largest": abs(error).max(),
        "loss": (weight * error**2).mean(),
        "mae": mae,
        "mae_1": mae,
        "mine": (error**2).mean(),
        "quartic": fourth,
        "weighted_mae": (weight * abs(error)).sum() / weight.sum(),
        "weighted_quartic": (weight * error**4).sum() / weight.sum(),
    }
    held = {"validation_data": (X[:2], Y[:2])}
    logs = model.fit(X, Y, 3, sample_weight=weight, epochs=2, verbose=0, **held).history
    assert list(logs) == sorted(logs)
    for key, value in expected.items():
        assert logs[key] == pytest.approx([value, value], rel=1e-5)
    assert logs["val_largest"] == pytest.approx([abs(error[:2]).max()] * 2, rel=1e-6)
    assert set(logs) == {*expected, *(f"val_{key}" for key in expected)}
    order = ["loss", "mae", "MAE", "mae_1", "MeanAbsoluteError", "quartic", "lambda", "mine"]
    order += ["largest", "weighted_mae", "weighted_quartic"]
    found = model.evaluate(X, Y, sample_weight=weight, verbose=0)
    assert found == pytest.approx([expected[key] for key in order], rel=1e-5)


FITS: dict[str, Any] = {
    "binary": (labels(0, 8) % 2, 1, ["acc", "bce", metrics.BinaryAccuracy("low", None, 0.3)]),
    "sparse": (labels(0, 8), WIDTH, ["accuracy", "ce", "SparseTopKCategoricalAccuracy"]),
    "one-hot": (np.eye(WIDTH)[labels(0, 8)], WIDTH, ["acc", "ce", "r2_score", quartic]),
}


@pytest.mark.parametrize("kind", FITS)
def test_eager_and_compiled_logs_are_equal_bit_for_bit(kind):
    y, width, chosen = FITS[kind]
    logs = []
    for eager in (True, False):
        tn.utils.set_random_seed(0)
        activation = "sigmoid" if width == 1 else "softmax"
        model = tn.Sequential([Input((3,)), Dense(width, activation)])
        model.compile("sgd", "crossentropy", None, chosen, chosen, run_eagerly=eager)
        data = {"sample_weight": abs(normal(2, 8)), "validation_data": (X[:3], y[:3])}
        logs.append(model.fit(X, y, 3, 2, 0, **data).history)
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2 * (1 + 2 * len(chosen))


BY_SHAPE = {
    "Binary": [((8, 1), (8, 1)), ((8,), (8, 1)), ((8, 4), (8, 1))],
    "SparseCategorical": [((8,), (8, 3)), ((8, 1), (8, 3)), ((8, 5), (8, 5, 3))],
    "Categorical": [((8, 3), (8, 3)), ((8, 5, 3), (8, 5, 3)), ((8,), (8,))],
}


@pytest.mark.parametrize("kind", BY_SHAPE)
def test_the_kind_of_accuracy_and_crossentropy_follows_from_the_shapes(kind):
    for target, output in BY_SHAPE[kind]:
        for name in ("accuracy", "acc", "Accuracy", "ACC"):
            metric = resolve(name, target, output)
            assert type(metric) is getattr(metrics, f"{kind}Accuracy")
            assert metric.name == name  # in the spelling of the user
        for name in ("crossentropy", "ce"):
            metric = resolve(name, target, output)
            assert type(metric) is getattr(metrics, f"{kind}Crossentropy")
    with refused(ValueError, "'acc'", "target"):
        resolve("acc", None, (8, 1))


def test_arguments_of_compile_become_metrics_with_these_names():
    for given_, kind, name in [
        ("mse", metrics.MeanSquaredError, "mse"),
        ("MeanSquaredError", metrics.MeanSquaredError, "MeanSquaredError"),
        (metrics.MeanAbsoluteError, metrics.MeanAbsoluteError, "mean_absolute_error"),
        (quartic, metrics.MeanMetricWrapper, "quartic"),
        (losses.mean_squared_error, metrics.MeanMetricWrapper, "mean_squared_error"),
        (losses.MeanSquaredError(name="other"), metrics.MeanMetricWrapper, "other"),
        ({"class_name": "Mean", "config": {"name": "m"}}, metrics.Mean, "m"),
    ]:
        found = resolve(given_, (8, 1), (8, 1))
        assert (type(found), found.name) == (kind, name)
    mine = Largest("mine")
    assert resolve(mine, (8, 1), (8, 1)) is mine is metrics.get(mine)
    assert metrics.get(quartic) is quartic
    assert metrics.get(None) is None
    with refused(ValueError, "metric", "None"):
        resolve(None, (8, 1), (8, 1))


@pytest.mark.parametrize("wrong", ["nope", "", "Mse", "rmse", 3, ["mse"], {"class_name": "nope"}])
def test_an_unknown_name_is_refused(wrong):
    for look_up in (metrics.get, resolve, metrics.deserialize):
        with refused(ValueError, "metric", str(wrong)):
            look_up(wrong)


@pytest.mark.parametrize("case", sorted(OBJECTS))
def test_a_metric_is_rebuilt_from_its_config(case):
    made = OBJECTS[case]()
    config = made.get_config()
    with tn.saving.custom_object_scope({"quartic": quartic}):
        for again in (
            type(made).from_config(config),
            metrics.deserialize(metrics.serialize(made)),
            pickle.loads(pickle.dumps(made)),
            copy.deepcopy(made),
        ):
            assert type(again) is type(made)
            assert again.get_config() == config


def test_a_config_may_name_a_users_classes_and_functions():
    config = {"class_name": "Largest", "config": {"name": "mine"}}
    assert metrics.deserialize(config, {"Largest": Largest}).name == "mine"
    config = metrics.serialize(metrics.MeanMetricWrapper(quartic, "mine"))
    assert metrics.deserialize(config, {"quartic": quartic})([0.0], [[2.0]]) == 16.0
    with refused(ValueError, "MeanMetricWrapper 'mine'", "custom_objects"):
        metrics.deserialize(config)
    with refused(ValueError, "lambda"):
        metrics.serialize(metrics.MeanMetricWrapper(lambda t, p: t - p))


def test_metrics_know_whether_larger_is_better():
    up = {"Accuracy", "R2Score", "BinaryAccuracy", "TopKCategoricalAccuracy"}
    down = {"MeanSquaredError", "RootMeanSquaredError", "BinaryCrossentropy"}
    for name in up | down:
        assert getattr(metrics, name)()._direction == ("up" if name in up else "down")
    assert metrics.Mean()._direction is resolve(quartic)._direction is None
    assert resolve(losses.MeanAbsoluteError())._direction == "down"


def test_a_metric_without_its_methods_raises_not_implemented():
    for method in ("update_state", "result", "reset_state"):
        with pytest.raises(NotImplementedError, match=f"Metric must define {method}"):
            getattr(metrics.Metric(), method)()
    tn.utils.clear_session()
    assert [metrics.Metric().name, metrics.Metric().name] == ["metric", "metric_1"]
    assert repr(Largest()) == "<Largest name=largest>"
