"""Training beside Keras': from one seed, the same losses, weights and optimizer states, all along.

Every test runs the same calls in both libraries, from the construction of the model on, with no
weights handed over: so they also prove that both draw the same weights and the same permutations.
"""

from __future__ import annotations

import random
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from side_by_side import (
    ROWS,
    SEEDS,
    WIDTH,
    Graph,
    Spec,
    Stack,
    assert_both_agree,
    graphs,
    inputs_for,
    numbers,
    stacks,
)

few = settings(max_examples=8, deadline=None)
some = settings(max_examples=16, deadline=None)


def state(model: Any) -> dict[str, Any]:
    """Return all that training changes: weights, the optimizer's variables, global generators."""
    variables: dict[str, list[Any]] = {}
    for variable in model.optimizer.variables:
        kind = variable.name.rsplit("_", 1)[-1]
        variables.setdefault(kind, []).append(variable.numpy())
    generators = [random.random(), np.random.random()]
    return {"weights": model.get_weights(), **variables, "generators": generators}


def targets_for(model: Any, seed: int, rows: int = ROWS) -> np.ndarray:
    return 2 * numbers(seed + 1, rows, model.output_shape[-1])


TANH = Stack([Spec(WIDTH, "tanh", True), Spec(1, None, True)])
LAZY = TANH._replace(lazy=True)
TWO_INPUTS = Graph(2, [Spec(WIDTH, "sigmoid", True)], [(0, 0), (0, 1), (-1, 2, 3)], WIDTH)

# -- optimizers -----------------------------------------------------------------------------------

RATES = st.sampled_from([0.003, 0.05, 0.2])
CLIPS = st.sampled_from(
    [{}, {"clipnorm": 0.3}, {"clipvalue": 0.05}, {"global_clipnorm": 0.4}, {"clipnorm": 0.0}]
)
DECAYS = st.sampled_from([{}, {"weight_decay": 0.1}, {"weight_decay": 0.0}])
OWN = {
    "SGD": st.fixed_dictionaries(
        {}, optional={"momentum": st.sampled_from([0.0, 0.5, 0.95]), "nesterov": st.booleans()}
    ),
    "Adam": st.fixed_dictionaries(
        {},
        optional={
            "beta_1": st.sampled_from([0.0, 0.5, 0.95]),
            "beta_2": st.sampled_from([0.5, 0.99, 0.9999]),
            "epsilon": st.sampled_from([1e-8, 1e-3, 0.1]),
            "amsgrad": st.booleans(),
        },
    ),
}


@st.composite
def optimizers(draw: Any) -> tuple[str, dict[str, Any]]:
    """Draw the name of an optimizer and options for it."""
    name = draw(st.sampled_from(sorted(OWN)))
    options = {"learning_rate": draw(RATES), **draw(OWN[name]), **draw(DECAYS), **draw(CLIPS)}
    return name, options


def made(lib: Any, optimizer: tuple[str, dict[str, Any]]) -> Any:
    name, options = optimizer
    return getattr(lib.optimizers, name)(**options)


@settings(max_examples=40, deadline=None)
@given(stacks() | graphs(), optimizers(), SEEDS)
def test_every_optimizer_leads_to_the_losses_weights_and_slots_of_keras(
    run_eagerly, network, optimizer, seed
):
    x = inputs_for(network, seed)

    def run(lib):
        model = network.build(lib)
        model.compile(made(lib, optimizer), "mse", run_eagerly=run_eagerly[lib])
        history = model.fit(x, targets_for(model, seed), batch_size=8, epochs=3, verbose=0)
        return history.history, state(model)

    assert_both_agree(run, seed)


@few
@given(
    optimizers(),
    st.sampled_from([[], [0], [1, 2]]),
    st.sampled_from([[], ["bias"], ["ker"], ["^k"], ["dense"], ["dense_1", "bias$"]]),
    SEEDS,
)
def test_the_weights_excluded_from_weight_decay_are_those_of_keras(
    run_eagerly, optimizer, places, names, seed
):
    optimizer[1]["weight_decay"] = 0.5
    x = inputs_for(TANH, seed)

    def run(lib):
        model, chosen = TANH.build(lib), made(lib, optimizer)
        chosen.exclude_from_weight_decay([model.weights[i] for i in places], names)
        model.compile(chosen, "mse", run_eagerly=run_eagerly[lib])
        model.fit(x, targets_for(model, seed), batch_size=8, epochs=2, verbose=0)
        return state(model)

    assert_both_agree(run, seed)


@few
@given(optimizers(), SEEDS)
def test_gradients_applied_by_hand_change_variables_as_in_keras(optimizer, seed):
    def run(lib):
        variables = [lib.Variable(numbers(seed + i, *shape)) for i, shape in enumerate(SHAPES)]
        chosen = made(lib, optimizer)
        for step in range(4):
            grads = [lib.ops.convert_to_tensor(numbers(seed + step, *s)) for s in SHAPES]
            if step % 2:
                chosen.apply(grads, variables)
            else:
                chosen.apply_gradients(zip(grads, variables, strict=True))
            chosen.learning_rate = 0.3 / (step + 1)
        return [v.numpy() for v in variables], int(chosen.iterations)

    assert_both_agree(run, seed)


SHAPES = [(2, 3), (3,), ()]

# -- whole stories --------------------------------------------------------------------------------

OPTIMIZERS = st.sampled_from(
    [("SGD", {"momentum": 0.9}), ("SGD", {"learning_rate": 0.1}), ("Adam", {"learning_rate": 0.02})]
)
COMPILED = st.fixed_dictionaries(
    {"loss": st.sampled_from(["mse", "mean_squared_error", "MeanSquaredError"])},
    optional={
        "metrics": st.sampled_from([[], ["mae"], ["mse", "MeanAbsoluteError"]]),
        "weighted_metrics": st.sampled_from([["mae"], ["MSE", "mae"]]),
        "loss_weights": st.sampled_from([0.5, 3.0]),
    },
)
SIZES = st.sampled_from([None, 7, 8])
VALIDATIONS = st.sampled_from(["none", "none", "pair", "triple", "split"])
WEIGHTS = st.sampled_from(["none", "none", "rows", "column", "class"])
FITS = st.fixed_dictionaries(
    {"epochs": st.integers(1, 3), "weights": WEIGHTS, "validation": VALIDATIONS},
    optional={
        "batch_size": SIZES,
        "shuffle": st.sampled_from([True, False, "batch"]),
        "initial_epoch": st.integers(0, 2),
        "steps_per_epoch": st.integers(1, 3),
        "validation_freq": st.sampled_from([1, 2, [1], [2, 3]]),
        "validation_batch_size": SIZES,
        "validation_steps": st.integers(1, 2),
    },
)
ACTIONS = st.one_of(
    st.tuples(st.just("fit"), FITS),
    st.tuples(st.just("evaluate"), st.fixed_dictionaries({}, optional={"batch_size": SIZES})),
    st.tuples(st.just("predict"), st.fixed_dictionaries({}, optional={"batch_size": SIZES})),
    st.tuples(st.sampled_from(["train_on_batch", "test_on_batch"]), st.just({})),
    st.tuples(st.just("learning_rate"), st.sampled_from([0.001, 0.1])),
    st.tuples(st.just("freeze"), st.integers(0, 1)),
    st.tuples(st.just("compile"), COMPILED),
)


class Story:
    """A model in one library, and what can be done with it."""

    def __init__(self, lib: Any, network: Any, optimizer: Any, seed: int, run_eagerly: Any) -> None:
        self.lib, self.seed, self.optimizer = lib, seed, optimizer
        self.run_eagerly = run_eagerly[lib]
        self.model = network.build(lib)
        self.x = inputs_for(network, seed)
        self.y = 2 * numbers(seed + 1, ROWS, WIDTH if network.inputs > 1 else 1)
        self.sample_weight = abs(numbers(seed + 2, ROWS))

    def do(self, action: str, options: Any) -> Any:
        return getattr(self, action)(**options) if isinstance(options, dict) else getattr(
            self, action
        )(options)

    def compile(self, **options: Any) -> None:
        chosen = made(self.lib, self.optimizer)
        # Keras keeps the metrics of an earlier `compile` unless it is given others.
        options = {"metrics": [], **options, "run_eagerly": self.run_eagerly}
        self.model.compile(optimizer=chosen, **options)

    def fit(self, weights: str, validation: str, **options: Any) -> Any:
        w, rows = self.sample_weight, slice(3, 16)
        part = ([a[rows] for a in self.x] if isinstance(self.x, list) else self.x[rows]), self.y[rows]
        given = {
            "rows": {"sample_weight": w},
            "column": {"sample_weight": w[:, None]},
            "class": {"class_weight": {0: 0.5, 1: 2.0, -1: 3.0}},
            "pair": {"validation_data": part},
            "triple": {"validation_data": [*part, w[rows]]},
            "split": {"validation_split": 0.25},
            "none": {},
        }
        options |= given[weights] | given[validation]
        history = self.model.fit(self.x, self.y, verbose=0, **options)
        return history.history, history.epoch, history.params, state(self.model)

    def evaluate(self, **options: Any) -> Any:
        options |= {"sample_weight": self.sample_weight, "verbose": 0}
        flat = self.model.evaluate(self.x, self.y, **options)
        return flat, self.model.evaluate(self.x, self.y, return_dict=True, **options)

    def predict(self, **options: Any) -> Any:
        return self.model.predict(self.x, verbose=0, **options), self.model.predict_on_batch(self.x)

    def train_on_batch(self) -> Any:
        flat = self.model.train_on_batch(self.x, self.y, self.sample_weight)
        weighted = self.model.train_on_batch(self.x, self.y, class_weight={0: 2.0}, return_dict=True)
        return flat, weighted, state(self.model)

    def test_on_batch(self) -> Any:
        flat = self.model.test_on_batch(self.x, self.y)
        return flat, self.model.test_on_batch(self.x, self.y, self.sample_weight, return_dict=True)

    def learning_rate(self, rate: float) -> None:
        self.model.optimizer.learning_rate = rate

    def freeze(self, place: int) -> None:
        layer = self.model.layers[-1 - place]
        layer.trainable = not layer.trainable
        self.compile(loss="mse")


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([TANH, LAZY, TWO_INPUTS]),
    OPTIMIZERS,
    COMPILED,
    st.lists(ACTIONS, min_size=1, max_size=5),
    SEEDS,
)
def test_whatever_is_done_with_a_model_from_one_seed_has_the_results_of_keras(
    run_eagerly, network, optimizer, compiled, actions, seed
):
    def run(lib):
        story = Story(lib, network, optimizer, seed, run_eagerly)
        return [story.do(*action) for action in [("compile", compiled), *actions, ("fit", LAST)]]

    assert_both_agree(run, seed)


LAST = {"epochs": 2, "batch_size": 8, "weights": "none", "validation": "split"}
