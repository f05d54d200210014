"""Why training diverges: the limit of the learning rate, and the warnings that name it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.training.divergence import DivergenceWarning, largest_eigenvalue

SEEDS = st.integers(0, 2**16)


@given(size=st.integers(1, 12), rank=st.integers(1, 12), shift=st.sampled_from([0.0, -3.0, 5.0]))
def test_the_largest_eigenvalue_is_found_from_products_with_vectors(size, rank, shift):
    rng = np.random.default_rng(size * 100 + rank)
    half = rng.standard_normal((size, rank))
    matrix = half @ half.T + shift * np.eye(size)
    found = largest_eigenvalue(lambda v: matrix @ v, size)
    assert found == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-10, abs=1e-10)


def test_a_few_products_suffice_for_a_large_matrix():
    eigenvalues = np.concatenate([np.linspace(-1, 1, 5000), [7.0]])
    calls = []

    def times(v: np.ndarray) -> np.ndarray:
        calls.append(1)
        return eigenvalues * v

    assert largest_eigenvalue(times, 5001) == pytest.approx(7.0, rel=1e-10)
    assert len(calls) < 40


def regression(rate: float, width: int, seed: int, eager: bool = False, **options: Any) -> tn.Model:
    tn.utils.set_random_seed(seed)
    model = tn.Sequential([Input((width,)), Dense(1, name="line")])
    model.compile(tn.optimizers.SGD(rate), "mse", run_eagerly=eager, **options)
    return model


def data(rows: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, width)) * rng.uniform(0.1, 30.0, width) + rng.normal()
    return x.astype("float32"), rng.standard_normal((rows, 1)).astype("float32")


def exact_limit(x: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return 2 / the largest eigenvalue of the Hessian of mean(w * (x @ kernel + bias - y)**2)."""
    rows = np.column_stack([x, np.ones(len(x))]).astype("float64")
    weight = np.ones(len(x)) if weight is None else weight
    return 2.0 / np.linalg.eigvalsh(2.0 * (rows.T * weight) @ rows / len(x))[-1]


@given(rows=st.integers(2, 20), width=st.integers(1, 5), weighted=st.booleans(), seed=SEEDS)
def test_the_limit_of_a_regression_is_two_over_the_largest_eigenvalue(rows, width, weighted, seed):
    x, y = data(rows, width, seed)
    weight = np.random.default_rng(seed).random(rows) + 0.1 if weighted else None
    found = regression(0.1, width, seed).max_learning_rate(x, y, weight)
    assert found == pytest.approx(exact_limit(x, weight), rel=1e-6)


@given(rows=st.integers(3, 20), width=st.integers(1, 3), eager=st.booleans(), seed=SEEDS)
def test_just_below_the_limit_a_regression_converges_and_just_above_it_diverges(
    rows, width, eager, seed
):
    x, y = data(rows, width, seed)
    limit = exact_limit(x)
    below = regression(0.97 * limit, width, seed, eager)
    losses = below.fit(x, y, batch_size=rows, epochs=60, verbose=0).history["loss"]
    assert losses[-1] <= losses[0] * 1.001
    above = regression(1.1 * limit, width, seed, eager)
    with pytest.warns(DivergenceWarning) as caught:
        above.fit(x, y, batch_size=rows, epochs=200, verbose=0)
    assert len(caught) == 1
    told = str(caught[0].message)
    assert f"2 / {2 / limit:.4g} = {limit:.4g}" in told
    assert f"lower it to below {limit:.4g}" in told


def test_the_limit_of_a_network_is_that_of_its_numerical_hessian():
    tn.utils.set_random_seed(0)
    model = tn.Sequential([Input((2,)), Dense(2, "tanh"), Dense(1)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 2)), rng.standard_normal((12, 1))
    weights = [w.astype("float64") for w in model.get_weights()]
    flat = np.concatenate([w.ravel() for w in weights])
    ends = np.cumsum([w.size for w in weights])[:-1]

    def loss(at: np.ndarray) -> float:
        k1, b1, k2, b2 = (p.reshape(w.shape) for p, w in zip(np.split(at, ends), weights))  # noqa: B905
        return float(np.mean((np.tanh(x @ k1 + b1) @ k2 + b2 - y) ** 2))

    h, size = 1e-4, len(flat)
    steps = np.eye(size) * h
    hessian = np.array(
        [
            [
                loss(flat + a + b) - loss(flat + a - b) - loss(flat - a + b) + loss(flat - a - b)
                for b in steps
            ]
            for a in steps
        ]
    ) / (4 * h * h)
    x32, y32 = x.astype("float32"), y.astype("float32")
    assert model.max_learning_rate(x32, y32) == pytest.approx(
        2 / np.linalg.eigvalsh(hessian)[-1], rel=1e-4
    )


def test_asking_for_the_limit_leaves_the_model_and_the_shuffles_as_they_are():
    x, y = data(10, 2, 0)
    models = [regression(0.001, 2, 3) for _ in range(2)]
    models[1].max_learning_rate(x, y)
    histories = []
    for model in models:
        np.random.seed(0)
        histories.append(model.fit(x, y, batch_size=3, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


# -- warnings -------------------------------------------------------------------------------------


def diverging(seed: int = 0, **options: Any) -> tuple[tn.Model, np.ndarray, np.ndarray]:
    x = np.arange(200.0)
    return regression(0.01, 1, seed, **options), x, 2 * x + 1


def hopeless(x: np.ndarray, y: np.ndarray, kernel: float, rate: float = 0.01) -> int:
    """Return the first batch of 50 with a loss 10,000 times the start's or the targets' size."""
    bias, losses = 0.0, []
    while True:
        for i in range(0, len(x), 50):
            rows, error = x[i : i + 50], kernel * x[i : i + 50] + bias - y[i : i + 50]
            losses.append(np.mean(error**2))
            if losses[-1] > 1e4 * max(losses[0], np.mean(y**2)):
                return len(losses)
            kernel -= rate * np.mean(2 * error * rows)
            bias -= rate * np.mean(2 * error)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
@pytest.mark.parametrize("eager", [False, True])
def test_a_fit_that_diverges_says_once_where_and_why_and_what_to_do(eager):
    model, x, y = diverging(eager=eager)
    start = model.get_weights()[0].item()
    with pytest.warns(DivergenceWarning) as caught:
        model.fit(x, y, batch_size=50, epochs=20, shuffle=False, verbose=0)
    ours = [w for w in caught if w.category is DivergenceWarning]
    assert len(ours) == 1
    assert ours[0].filename == __file__
    told = str(ours[0].message)
    limit = exact_limit(x[:, None])
    for words in (
        f"epoch 1, batch {hopeless(x, y, start)}",
        "still finite",
        f"{limit:.4g}",
        "from 0 to 199",
        "0.01",
    ):
        assert words in told, told
    assert np.isnan(model.history.history["loss"][-1])


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide")
def test_the_first_weight_that_is_not_finite_is_named():
    tn.utils.set_random_seed(0)
    model = tn.Sequential([Input((1,)), Dense(2, name="first"), Dense(1, name="last")])
    model.compile(tn.optimizers.SGD(1e30), "mse")
    with pytest.warns(DivergenceWarning, match="first/kernel is not finite any more"):
        model.fit(np.ones((4, 1)), np.ones((4, 1)), epochs=5, verbose=0)


def test_a_negative_learning_rate_is_named_as_the_cause():
    model = tn.Sequential([Input((1,)), Dense(1)])
    model.compile(tn.optimizers.SGD(-0.5), "mse")
    with pytest.warns(DivergenceWarning, match=r"it is -0\.5, make it positive\."):
        model.fit(np.ones((4, 1)), 3 * np.ones((4, 1)), epochs=20, verbose=0)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_divergence_may_be_an_exception_or_nothing():
    model, x, y = diverging(on_divergence="raise")
    with pytest.raises(DivergenceWarning, match="the loss diverged"):
        model.fit(x, y, epochs=20, verbose=0)
    model, x, y = diverging(on_divergence="ignore")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, epochs=20, verbose=0)
    assert not [w for w in caught if w.category is DivergenceWarning]
    with refused(ValueError, "on_divergence", "'warn', 'raise' or 'ignore'", "'stop'"):
        model.compile("sgd", "mse", on_divergence="stop")


@given(rate=st.floats(1e-4, 0.05), seed=SEEDS)
def test_a_fit_that_goes_well_says_nothing_however_it_begins(rate, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((20, 2))
    tn.utils.set_random_seed(seed)
    model = tn.Sequential([Input((2,)), Dense(3, "sigmoid"), Dense(1)])
    model.compile(tn.optimizers.Adam(rate), "mse")
    model.fit(x, model.predict(x, verbose=0), epochs=3, verbose=0)  # begins at the minimum
    model.fit(x, rng.standard_normal((20, 1)), epochs=3, verbose=0)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("part", ["x", "y"])
@pytest.mark.parametrize("row", [0, 7])
def test_data_that_contain_nan_are_reported_before_training_starts(part, row):
    x, y = data(9, 2, 0)
    {"x": x, "y": y}[part][row, 0] = np.nan
    with pytest.warns(DivergenceWarning) as caught:
        regression(0.01, 2, 0).fit(x, y, epochs=2, verbose=0)
    (told,) = [str(w.message) for w in caught if w.category is DivergenceWarning]
    assert f"{part} holds NaN in 1 of 9 rows, first in row {row}" in told
    model = regression(0.01, 2, 0, on_divergence="raise")
    before = model.get_weights()
    with pytest.raises(DivergenceWarning):
        model.fit(x, y, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_infinite_numbers_in_the_data_are_no_nan():
    x, y = data(4, 1, 0)
    x[:2, 0] = np.inf, -np.inf  # the sum of which is NaN
    with pytest.warns(DivergenceWarning, match="the loss diverged"), np.errstate(all="ignore"):
        regression(0.01, 1, 0).fit(x, y, verbose=0)


def test_the_start_of_a_large_model_is_not_kept_and_the_warning_says_how_to_ask():
    tn.utils.set_random_seed(0)
    model = tn.Sequential([Input((400,)), Dense(300), Dense(1)])
    model.compile(tn.optimizers.SGD(10.0), "mse")
    x = np.ones((4, 400))
    with (
        pytest.warns(DivergenceWarning, match=r"model\.max_learning_rate\(x, y\)"),
        np.errstate(all="ignore"),
    ):
        model.fit(x, np.ones(4), epochs=10, verbose=0)
