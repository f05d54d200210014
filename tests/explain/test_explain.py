"""Explanations of one step: the numbers are those of `fit`, and the model is not changed."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from helpers import refused
from hypothesis import given, strategies as st

import tinynet as tn
from tinynet.compiler.record import record
from tinynet.explain.formulas import assignments
from tinynet.layers import Dense, Dropout, Input
from tinynet.optimizers import SGD, Adam, AdamW, RMSprop

SEEDS = st.integers(0, 2**16)
OPTIMIZERS = [
    lambda: SGD(0.1),
    lambda: SGD(0.1, momentum=0.9, nesterov=True),
    lambda: SGD(0.1, momentum=0.9, clipnorm=0.1),
    lambda: Adam(0.01),
    lambda: Adam(0.01, amsgrad=True, clipvalue=0.01),
    lambda: AdamW(0.01, weight_decay=0.1),
    lambda: RMSprop(0.01, momentum=0.5, centered=True, global_clipnorm=0.1),
    lambda: Adam(tn.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)),
    lambda: tn.optimizers.Nadam(0.01, use_ema=True, ema_overwrite_frequency=2),
    lambda: tn.optimizers.Adamax(0.01, use_ema=True),
    lambda: tn.optimizers.Adagrad(0.01),
]


def network(widths: list[int], activation: str, optimizer: Any, seed: int) -> tn.Model:
    tn.utils.clear_session()
    tn.utils.set_random_seed(seed)
    hidden = [Dense(n, activation) for n in widths[1:-1]]
    model = tn.Sequential([Input((widths[0],)), *hidden, Dense(widths[-1])], name="net")
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def data(rows: int, widths: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((rows, n)).astype("float32") for n in (widths[0], widths[-1]))


NETWORKS = st.tuples(
    st.lists(st.integers(1, 3), min_size=2, max_size=4),
    st.sampled_from(["linear", "sigmoid", "tanh", "relu"]),
)


@given(NETWORKS, st.sampled_from(OPTIMIZERS), st.integers(1, 10), st.integers(0, 3), SEEDS)
def test_the_explanation_is_what_the_next_step_does_bit_for_bit(plan, optimizer, rows, steps, seed):
    widths, activation = plan
    model = network(widths, activation, optimizer(), seed)
    x, y = data(rows, widths, seed)
    model.fit(x, y, epochs=steps, batch_size=rows, shuffle=False, verbose=0)
    explained = model.explain_step(x, y)
    assert f"Step {steps + 1} of {type(model.optimizer).__name__} on {rows} samples" in str(
        explained
    )
    before = {v.path: v.numpy().copy() for v in model.trainable_variables}
    loss = model.train_on_batch(x, y)[0]
    assert explained.loss == loss
    for v in model.trainable_variables:
        change = explained.changes[v.path]
        np.testing.assert_array_equal(change.before, before[v.path])
        np.testing.assert_array_equal(change.after, v.numpy())
        start = f"{v.path.replace('/', '_')}_"
        slots = [s for s in model.optimizer.variables if s.name.startswith(start)]
        assert [s.name.removeprefix(start) for s in slots] == [*change.slots]
        for slot, shown in zip(slots, change.slots.values(), strict=True):
            np.testing.assert_array_equal(shown, slot.numpy())


@given(NETWORKS, st.integers(1, 6), SEEDS)
def test_gradients_agree_with_finite_differences_and_with_their_factors(plan, rows, seed):
    widths, activation = plan
    activation = {"relu": "tanh"}.get(
        activation, activation
    )  # finite differences need a smooth function
    model = network(widths, activation, SGD(0.1), seed)
    x, y = data(rows, widths, seed)
    explained = model.explain_step(x, y)
    weights = [w.astype("float64") for w in model.get_weights()]

    def loss(changed: int, index: tuple[int, ...], by: float) -> float:
        at = [w.copy() for w in weights]
        at[changed][index] += by
        h = x.astype("float64")
        functions = {"sigmoid": lambda z: 1 / (1 + np.exp(-z)), "tanh": np.tanh}
        for i in range(0, len(at), 2):
            h = h @ at[i] + at[i + 1]
            if i < len(at) - 2:
                h = functions.get(activation, lambda z: z)(h)
        return float(np.mean((h - y) ** 2))

    for i, change in enumerate(explained.changes.values()):
        for index in np.ndindex(change.before.shape):
            slope = (loss(i, index, 1e-5) - loss(i, index, -1e-5)) / 2e-5
            assert change.gradient[index] == pytest.approx(slope, rel=1e-3, abs=1e-4)
            (term,) = change.terms
            product = np.prod([values for _, values in term.at(index)], axis=0)
            assert product.shape == (rows,)
            assert product.sum() == pytest.approx(change.gradient[index], rel=1e-3, abs=1e-5)


def everything(model: tn.Model) -> Any:
    return (
        pickle.dumps([random.getstate(), np.random.get_state()]),
        [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)],
        model.optimizer.built,
    )


@given(st.sampled_from(OPTIMIZERS), st.booleans(), SEEDS)
def test_explaining_changes_neither_the_model_nor_its_first_fit(optimizer, trained, seed):
    models = [network([2, 3, 1], "tanh", optimizer(), seed) for _ in range(2)]
    x, y = data(7, [2, 1], seed)
    for model in models:
        tn.utils.set_random_seed(seed)
        model.add(Dropout(0.5, name="noise"))
        if trained:
            model.fit(x, y, verbose=0)
    before = everything(models[1])
    models[1].explain_step(x, y)
    assert everything(models[1]) == before
    histories = []
    for model in models:
        np.random.seed(seed)
        histories.append(model.fit(x, y, batch_size=3, epochs=2, verbose=0).history)
    assert histories[0] == histories[1]


ONE_NEURON = """\
Step 1 of Adam on 2 samples: net, 2 weights

forward
          shape
  x       (2, 1)  1  3
  neuron  (2, 1)  3  7
  loss            10

backward: d loss / d neuron/kernel[0, 0]
  sample  x  d loss / d neuron  product
  0       1                  2        2
  1       3                  4       12
  sum                                14

backward: d loss / d neuron/bias[0]
  sample  d loss / d neuron
  0                       2
  1                       4
  sum                     6

update
  learning_rate = 0.5
  alpha = learning_rate * sqrt(1 - 0.75 ** 1) / (1 - 0.5 ** 1) = 0.5
  momentum = momentum + (gradient - momentum) * 0.5
  velocity = velocity + (gradient * gradient - velocity) * 0.25
  weight = weight - momentum * alpha / (sqrt(velocity) + 1)

weights
  weight               value  gradient  momentum  velocity   change  new value
  neuron/kernel[0, 0]      2        14         7        49  -0.4375     1.5625
  neuron/bias[0]           1         6         3         9   -0.375      0.625"""


def neuron() -> tn.Model:
    """Return the neuron 2 x + 1. For x = y = 1 and 3 it predicts 3 and 7: 2 and 4 too much."""
    model = tn.Sequential([Input((1,)), Dense(1, name="neuron")], name="net")
    model.set_weights([[[2.0]], [1.0]])
    model.compile(Adam(0.5, beta_1=0.5, beta_2=0.75, epsilon=1.0), "mse")
    return model


X, Y = np.array([[1.0], [3.0]]), np.array([[1.0], [3.0]])


def test_one_neuron_can_be_checked_with_a_pocket_calculator():
    # loss (2**2 + 4**2) / 2; d loss / d prediction 2 * error / 2; m = 14 / 2, u = 14**2 / 4;
    # change -0.5 * 7 / (sqrt(49) + 1)
    explained = neuron().explain_step(X, Y)
    text = "\n".join(line.rstrip() for line in str(explained).splitlines())
    assert text.split() == ONE_NEURON.split()
    assert text == ONE_NEURON


def test_rows_are_data():
    rows = neuron().explain_step(X, Y).rows
    assert [row["weight"].split("/")[-1] for row in rows] == ["kernel", "bias"]
    assert rows[0] == {
        "weight": "net/neuron/kernel",
        "index": (0, 0),
        "value": 2.0,
        "gradient": 14.0,
        "clipped": 14.0,
        "momentum_before": 0.0,
        "velocity_before": 0.0,
        "momentum": 7.0,
        "velocity": 49.0,
        "change": -0.4375,
        "new_value": 1.5625,
    }


def test_a_notebook_shows_the_same_numbers_as_tables():
    explained = neuron().explain_step(X, Y)
    shown = explained._repr_html_()
    assert shown.count("<table>") == len(explained.tables())
    for cell in ("-0.4375", "d loss / d neuron", "momentum + (gradient - momentum) * 0.5"):
        assert f">{cell}" in shown or cell in shown
    assert "<b>backward: d loss / d neuron/kernel[0, 0]</b>" in shown


def test_a_large_network_is_summarized_and_single_weights_are_found_by_name():
    model = network([20, 30, 2], "sigmoid", Adam(0.01), 0)
    x, y = data(50, [20, 2], 0)
    explained = model.explain_step(x, y)
    assert len(str(explained).splitlines()) < 40
    change = explained.changes["net/dense/kernel"]
    assert f"{np.linalg.norm(change.gradient):.6g}" in str(explained)
    assert "x * sigmoid' * d loss / d dense" in str(explained)
    assert len(explained.of("dense/kernel")) == 600
    text = explained.gradient_of("dense/kernel", 3, 4).text()
    assert "42 more" in text
    assert f"{change.gradient[3, 4] + 0.0:.6g}" in text


def test_unknown_weights_and_invalid_data_are_refused():
    model = neuron()
    explained = model.explain_step(X, Y)
    with refused(ValueError, "'nope'", "net/neuron/kernel"):
        explained.of("nope")
    with refused(ValueError, "net/neuron/kernel", "(1, 1)", "(0, 1)"):
        explained.gradient_of("kernel", 0, 1)
    with refused(ValueError, "net/neuron/kernel", "(1, 1)", "(0,)"):
        explained.gradient_of("kernel", 0)
    with refused(ValueError, "cardinality"):
        model.explain_step(X, Y[1:])
    with refused(ValueError, "compile"):
        tn.Sequential([Input((1,)), Dense(1)]).explain_step(X, Y)
    for optimizer in (None, SGD(gradient_accumulation_steps=2)):
        model.compile(optimizer, "mse")
        with refused(ValueError, "an optimizer that updates at each step"):
            model.explain_step(X, Y)


class Weighted(tn.layers.Layer):
    """Returns a function of one weight, 2 at first, and of the input."""

    def __init__(self, function: Any, shape: tuple[int, ...] = ()) -> None:
        super().__init__(name="own")
        self.function = function
        self.w = self.add_weight(shape, initializer=tn.initializers.Constant(2.0), name="w")

    def call(self, inputs: Any) -> Any:
        return self.function(self.w, inputs)


def explained_weight(function: Any, shape: tuple[int, ...] = ()) -> Any:
    """Return what a step on the inputs 1 and 3 does to the weight; the targets are 0."""
    model = tn.Sequential([Input((1,)), Weighted(function, shape)])
    model.compile("sgd", "mse")
    (change,) = model.explain_step(X, np.zeros((2, 1))).changes.values()
    return change


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda w, x: w * tn.ops.reshape(x, (-1, 1)), "x"),
        (lambda w, x: w * (tn.ops.square(x) / x), "input"),
    ],
    ids=["a reshaped input is named after it", "a computed one has no name"],
)
def test_the_factor_of_a_weight_that_multiplies_is_what_it_is_multiplied_by(function, name):
    # The predictions are 2 * 1 and 2 * 3, so d loss / d prediction = error = 2 and 6.
    change = explained_weight(function)
    (term,) = change.terms
    factors = [(factor, values.tolist()) for factor, values in term.at(())]
    assert factors == [(name, [1.0, 3.0]), ("d loss / d own", [2.0, 6.0])]
    assert change.gradient == 1 * 2 + 3 * 6


def test_the_factors_end_before_an_operation_that_is_not_elementwise():
    # The predictions are 2 and 2 + 6, so d loss / d prediction is 2 and 8; the first product counts
    # in both.
    change = explained_weight(lambda w, x: tn.ops.cumsum(w * x, axis=0))
    (term,) = change.terms
    factors = [(factor, values.tolist()) for factor, values in term.at(())]
    assert factors == [("x", [1.0, 3.0]), ("d loss / d multiply", [2.0 + 8.0, 8.0])]
    assert change.gradient == 1 * 10 + 3 * 8


@pytest.mark.parametrize(
    ("function", "names", "gradient"),
    [
        (lambda w, x: x + w, ["d loss / d own"], 3 + 5),
        (lambda w, x: tn.ops.transpose(w @ tn.ops.transpose(x)), [], 1 * 2 + 3 * 6),
        (lambda w, x: x * tn.ops.exp(w) / tn.ops.exp(w) * 2.0, [], 0),
    ],
    ids=["added", "the left matrix of a product", "a function of it"],
)
def test_a_matrix_of_weights_has_the_factors_of_its_use(function, names, gradient):
    change = explained_weight(function, (1, 1))
    assert [factor.name for term in change.terms for factor in term.factors] == names
    assert change.gradient == pytest.approx(gradient, abs=1e-5)


def test_a_shared_weight_has_a_term_for_each_use():
    x = Input((2,))
    shared = Dense(2, "tanh", name="shared")
    model = tn.Model(x, shared(shared(x)))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    explained = model.explain_step(rng.standard_normal((3, 2)), rng.standard_normal((3, 2)))
    change = explained.changes["shared/kernel"]
    assert len(change.terms) == 2
    total = sum(term.gradient for term in change.terms)
    np.testing.assert_allclose(total, change.gradient, rtol=1e-5, atol=1e-7)
    table = explained.gradient_of("shared/kernel", 0, 1)  # no single product of factors
    assert table.header == ("gradient",)
    assert table.rows == [(change.gradient[0, 1],)]


def test_a_regularizer_contributes_to_the_gradient():
    model = tn.Sequential([Input((1,)), Dense(1, kernel_regularizer=tn.regularizers.L2(0.5))])
    model.set_weights([[[2.0]], [1.0]])
    model.compile(SGD(0.25), "mse")
    row = model.explain_step(X, Y).rows[0]
    assert row["gradient"] == 14.0 + 2 * 0.5 * 2.0
    assert row["new_value"] == 2.0 - 0.25 * 16.0


def test_columns_of_slots_follow_the_formulas():
    model = neuron()
    model.compile(RMSprop(0.25, rho=0.5, momentum=0.5, centered=True, epsilon=1.0), "mse")
    explained = model.explain_step(X, Y)
    assigned = [line.split(" = ")[0] for line in explained.formulas]
    assert sorted(assigned) == ["average_gradient", "momentum", "velocity", "weight"]
    (header,) = [table.header for table in explained.tables() if table.title == "weights"]
    assert list(header[3:6]) == assigned[:-1]


def test_formulas_of_amsgrad():
    model = neuron()
    model.compile(Adam(0.5, amsgrad=True), "mse")
    assert model.explain_step(X, Y).formulas[:3] == [
        "momentum = momentum + (gradient - momentum) * 0.1",
        "velocity = velocity + (gradient * gradient - velocity) * 0.001",
        "velocity_hat = maximum(velocity_hat, velocity)",
    ]


def test_formulas_of_an_average_of_weights():
    model = neuron()
    model.compile(SGD(0.5, use_ema=True, ema_momentum=0.75), "mse")
    assert model.explain_step(X, Y).formulas == [
        "weight = weight - gradient * learning_rate",
        "average = average * ema_momentum + weight * ema_share",
    ]


def test_a_value_that_is_used_twice_is_assigned_once():
    def function(a: tn.Tensor, b: tn.Tensor) -> tn.Tensor:
        total = a + (b + 0.5)
        return total * (1.0 - total) / (a * b)

    program = record(function, (tn.tensor(1.0), tn.tensor(2.0)), ("a", "b"))
    lines = assignments(program, {program.result: "y"})
    assert lines == ["t0 = a + b + 0.5", "y = t0 * (1 - t0) / (a * b)"]


def test_a_square_is_written_as_a_power():
    program = record(lambda a, b: tn.ops.square(a - b) * 2.0, [tn.tensor(1.0)] * 2, ("a", "b"))
    assert assignments(program, {program.result: "y"}) == ["y = (a - b) ** 2 * 2"]
