"""Models as estimators of scikit-learn: its own checks, its tools, and Keras's numbers."""

import pickle
import random
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import tinynet as tn
from tinynet.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

QUIET = {"epochs": 30, "verbose": 0}
SOFTMAX = {"head": "softmax", "loss": "categorical_crossentropy"}


def build(X, y, units=16, head=None, loss="mse", outputs=None):
    layers = [tn.Input(X.shape[1:]), tn.layers.Dense(units, activation="relu")]
    model = tn.Sequential([*layers, tn.layers.Dense(outputs or y.shape[1], activation=head)])
    model.compile(tn.optimizers.Adam(0.02), loss)
    return model


def estimator(kind, **options):
    model_kwargs = dict(SOFTMAX) if kind is SKLearnClassifier else None
    given = {"model_kwargs": model_kwargs, "fit_kwargs": dict(QUIET), "random_state": 0, **options}
    return kind(build, **given)


KINDS = SKLearnRegressor, SKLearnTransformer, SKLearnClassifier

WEIGHTS = "A sample of weight 2 does not equal two samples: other batches and updates result."
RAW = "As in Keras, decision_function returns the outputs, also for two classes."
REASONS = {
    "check_sample_weight_equivalence_on_dense_data": (KINDS, WEIGHTS),
    "check_all_zero_sample_weights_error": (KINDS, "As in Keras, the loss is then 0."),
    "check_regressor_multioutput": (KINDS[:1], "The outputs are float32, the models' dtype."),
    "check_classifiers_classes": (KINDS[2:], RAW),
    "check_classifiers_train": (KINDS[2:], RAW),
    "check_decision_proba_consistency": (KINDS[2:], RAW),
    "check_array_api_input": (KINDS, "It asks for an environment variable to be set."),
}


def checks():
    for kind in KINDS:
        for _, check in estimator_checks_generator(estimator(kind)):
            known, _ = REASONS.get(check.func.__name__, ((), ""))
            if kind not in known:
                yield pytest.param(kind, check, id=f"{kind.__name__}-{check.func.__name__}")


@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::sklearn.exceptions.DataConversionWarning"
)
@pytest.mark.parametrize(("kind", "check"), [*checks()])
def test_an_estimator_passes_the_checks_of_scikit_learn(kind, check):
    check(estimator(kind))


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 3))
    return X, np.where(X[:, 0] + X[:, 1] > 0, "warm", "cold")


def test_a_grid_search_in_two_processes_varies_arguments_of_the_function_and_of_fit(points):
    grid = {"model_kwargs__units": [4, 8], "fit_kwargs__epochs": [1, 30]}
    search = GridSearchCV(estimator(SKLearnClassifier), grid, n_jobs=2, cv=2).fit(*points)
    assert search.best_params_["fit_kwargs__epochs"] == 30
    assert (
        search.best_estimator_.model_.layers[0].units == search.best_params_["model_kwargs__units"]
    )


def test_pipelines_cross_validation_and_scorers_take_them(points):
    pipeline = make_pipeline(StandardScaler(), estimator(SKLearnClassifier))
    assert cross_val_score(pipeline, *points, cv=3).min() > 0.8
    auc = make_scorer(roc_auc_score, response_method="predict_proba")
    assert cross_val_score(pipeline, *points, cv=3, scoring=auc).min() > 0.8


def test_set_params_names_items_of_the_dicts_and_leaves_given_dicts_alone():
    given = {"units": 4}
    one = estimator(SKLearnRegressor, model_kwargs=given, fit_kwargs=None)
    assert one.get_params()["model_kwargs__units"] == 4
    assert one.get_params()["model_kwargs__loss"] == "mse"  # the function's default
    one.set_params(model_kwargs__units=9, fit_kwargs__epochs=2, fit_kwargs__verbose=0)
    assert (one.model_kwargs, one.fit_kwargs) == ({"units": 9}, {"epochs": 2, "verbose": 0})
    assert given == {"units": 4}
    assert one.get_params()["fit_kwargs__epochs"] == 2
    with pytest.raises(ValueError, match="Invalid parameter 'units'"):
        one.set_params(units=3)


def test_arguments_of_fit_take_precedence_for_one_call(points):
    one = estimator(SKLearnClassifier).fit(*points, epochs=2)
    assert len(one.history_.epoch) == 2
    assert one.fit_kwargs == QUIET


@pytest.mark.parametrize("kind", KINDS)
def test_a_clone_and_a_pickle_are_equal_to_the_estimator(kind, points):
    X = points[0]
    y = points[1] if kind is SKLearnClassifier else X[:, :2]
    one = estimator(kind).fit(X, y)
    other = clone(one)
    assert other.get_params() == one.get_params()
    assert not hasattr(other, "model_")
    copied = pickle.loads(pickle.dumps(one))
    for again in (copied, other.fit(X, y)):
        np.testing.assert_array_equal(again.predict(X), one.predict(X))


def test_a_seed_decides_weights_and_order_and_leaves_the_global_generators(points):
    before = random.getstate(), np.random.get_state()[1].tolist()
    X, _ = points
    first, second = (estimator(SKLearnRegressor).fit(X, X[:, 0]) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    third = estimator(SKLearnRegressor, random_state=1).fit(X, X[:, 0])
    assert not np.array_equal(first.predict(X), third.predict(X))


@pytest.mark.parametrize("logits", [False, True])
def test_a_model_of_one_output_is_trained_on_a_column_of_0_and_1(points, logits):
    X, y = points
    loss = tn.losses.BinaryCrossentropy(from_logits=logits)
    options = {"head": None if logits else "sigmoid", "loss": loss, "outputs": 1}
    one = estimator(SKLearnClassifier, model_kwargs=options).fit(X, y)
    assert one.score(X, y) > 0.9
    z = one.decision_function(X)
    warm = 1 / (1 + np.exp(-z)) if logits else z
    np.testing.assert_allclose(one.predict_proba(X), np.hstack([1 - warm, warm]), atol=1e-6)
    assert one.classes_.tolist() == ["cold", "warm"]


def test_two_targets_of_a_regressor_are_never_taken_for_two_classes(points):
    X, _ = points
    with pytest.raises(ValueError, match="shape"):
        estimator(SKLearnRegressor, model_kwargs={"outputs": 1}).fit(X, X[:, :2])


def test_a_model_is_cloned_and_a_warm_start_goes_on_with_it(points):
    X, _ = points
    model = build(X, X[:, :1])
    before = model.get_weights()
    one = SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, X[:, 0])
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    assert one.model_ is not model
    warm = SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET).fit(X, X[:, 0])
    assert warm.model_ is model
    seen = warm.model_.optimizer.iterations.numpy()
    assert warm.fit(X, X[:, 0]).model_.optimizer.iterations.numpy() == 2 * seen


def test_what_is_no_compiled_model_is_refused(points):
    X, _ = points
    with pytest.raises(TypeError, match="model: expected a Model or a function, received"):
        SKLearnRegressor(3).fit(X, X[:, 0])
    with pytest.raises(RuntimeError, match="model: expected a compiled Model"):
        SKLearnRegressor(tn.Sequential([tn.layers.Dense(1)])).fit(X, X[:, 0])


def test_sample_weights_are_those_of_fit(points):
    """With weight 0 for all but the samples of one line, the others have no influence."""
    X = np.linspace(-1, 1, 40)[:, None]
    y = np.where(np.arange(40) % 2, 1.0, -1.0)
    one = estimator(SKLearnRegressor).fit(X, y, sample_weight=(y > 0).astype(float), epochs=200)
    np.testing.assert_allclose(one.predict(X), 1, atol=0.1)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "tinynet.wrappers.estimators")
    monkeypatch.delattr(tn.wrappers, "SKLearnRegressor", raising=False)
    assert dir(tn.wrappers) == ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]
    with pytest.raises(ImportError, match="the extra 'sklearn' of tinynet: pip install"):
        _ = tn.wrappers.SKLearnRegressor
