"""Training compared with Keras: equal losses, weights and optimizer states from the same seed.

Every test runs the same calls in both libraries, starting with the construction of the model. No
weights are copied, so the tests also prove that both draw the same weights and permutations.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import (
    ROWS,
    SEEDS,
    WIDTH,
    Graph,
    Spec,
    Stack,
    assert_all_roads_agree,
    assert_both_agree,
    graphs,
    inputs_for,
    numbers,
    stacks,
)
from training import LARGE, SMALL, made, optimizers

import tinynet as tn

few = settings(max_examples=8, deadline=None)


def state(model: Any) -> dict[str, Any]:
    """Return all that training changes: weights, optimizer variables, global generators."""
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


@settings(max_examples=25, deadline=None)
@given(stacks() | graphs(), optimizers(), SEEDS)
def test_every_optimizer_reaches_the_losses_weights_and_slots_of_keras(network, optimizer, seed):
    x = inputs_for(network, seed)

    def run(lib, run_eagerly):
        model = network.build(lib)
        model.compile(made(lib, optimizer), "mse", run_eagerly=run_eagerly[lib])
        history = model.fit(x, targets_for(model, seed), batch_size=8, epochs=3, verbose=0)
        return history.history, state(model)

    assert_all_roads_agree(run, seed)


@few
@given(
    optimizers(),
    st.sampled_from([[], [0], [1, 2]]),
    st.sampled_from([[], ["bias"], ["ker"], ["^k"], ["dense"], ["dense_1", "bias$"]]),
    SEEDS,
)
def test_the_weights_excluded_from_weight_decay_are_those_of_keras(optimizer, places, names, seed):
    optimizer[1]["weight_decay"] = 0.5
    x = inputs_for(TANH, seed)

    def run(lib, run_eagerly):
        model, chosen = TANH.build(lib), made(lib, optimizer)
        chosen.exclude_from_weight_decay([model.weights[i] for i in places], names)
        model.compile(chosen, "mse", run_eagerly=run_eagerly[lib])
        model.fit(x, targets_for(model, seed), batch_size=8, epochs=2, verbose=0)
        return state(model)

    assert_all_roads_agree(run, seed)


CONSTRAINTS = st.sampled_from(
    [
        ("MaxNorm", {"max_value": 0.5}),
        ("MaxNorm", {"max_value": 0.4, "axis": [0, 1]}),
        ("NonNeg", {}),
        ("UnitNorm", {"axis": 1}),
        ("MinMaxNorm", {"min_value": 0.3, "max_value": 0.6, "rate": 0.5}),
    ]
)


@few
@given(CONSTRAINTS, st.booleans(), optimizers(), SEEDS)
def test_constrained_weights_reach_those_of_keras(run_eagerly, constraint, biased, optimizer, seed):
    name, options = constraint

    def run(lib):
        kept = getattr(lib.constraints, name)(**options)
        given_ = {"bias_constraint": "non_neg"} if biased else {}
        hidden = lib.layers.Dense(WIDTH, "tanh", kernel_constraint=kept, **given_)
        model = lib.Sequential([lib.Input((WIDTH,)), hidden, lib.layers.Dense(1)])
        model.compile(made(lib, optimizer), "mse", run_eagerly=run_eagerly[lib])
        x = numbers(seed, ROWS, WIDTH)
        history = model.fit(x, targets_for(model, seed), batch_size=8, epochs=2, verbose=0)
        return history.history, state(model)

    assert_both_agree(run, seed)


SHAPES = [(2, 3), ()]


@settings(max_examples=60, deadline=None)
@given(optimizers(LARGE | SMALL), SEEDS)
def test_apply_and_apply_gradients_change_variables_as_in_keras(optimizer, seed):
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


# -- sequences of calls ---------------------------------------------------------------------------

OPTIMIZERS = st.sampled_from(
    [
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"learning_rate": 0.1}),
        ("Adam", {"learning_rate": 0.02, "epsilon": 1e-3}),
        ("RMSprop", {"learning_rate": 0.02, "epsilon": 1e-3}),
    ]
)
COMPILED = st.fixed_dictionaries(
    {"loss": st.sampled_from(["mse", "mean_squared_error", "MeanSquaredError"])},
    optional={
        "metrics": st.sampled_from([[], ["mae"], ["mse", "MeanAbsoluteError"]]),
        "weighted_metrics": st.sampled_from([["MAE"], ["mean_squared_error", "MAE"]]),
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
PASSES = st.fixed_dictionaries({}, optional={"batch_size": SIZES, "steps": st.integers(1, 3)})
ACTIONS = st.one_of(
    st.tuples(st.just("fit"), FITS),
    st.tuples(st.sampled_from(["evaluate", "predict"]), PASSES),
    st.tuples(st.sampled_from(["train_on_batch", "test_on_batch"]), st.just({})),
    st.tuples(st.just("learning_rate"), st.sampled_from([0.001, 0.1])),
    st.tuples(st.just("freeze"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["set_weights", "assign"]), st.just({})),
    st.tuples(st.just("compile"), COMPILED),
)


class Story:
    """A model in one library, and the calls that can be made."""

    def __init__(self, lib: Any, network: Any, optimizer: Any, seed: int, run_eagerly: Any) -> None:
        self.lib, self.seed, self.optimizer = lib, seed, optimizer
        self.run_eagerly = run_eagerly[lib]
        self.model = network.build(lib)
        self.x = inputs_for(network, seed)
        self.y = 2 * numbers(seed + 1, ROWS, WIDTH if network.inputs > 1 else 1)
        self.sample_weight = abs(numbers(seed + 2, ROWS))

    def do(self, action: str, options: Any) -> Any:
        method = getattr(self, action)
        return method(**options) if isinstance(options, dict) else method(options)

    def compile(self, **options: Any) -> None:
        chosen = made(self.lib, self.optimizer)
        # Keras keeps the metrics of an earlier `compile` unless new ones are passed.
        options = {"metrics": [], **options, "run_eagerly": self.run_eagerly}
        self.model.compile(optimizer=chosen, **options)

    def fit(self, weights: str, validation: str, epochs: int, **options: Any) -> Any:
        options["epochs"] = options.get("initial_epoch", 0) + epochs
        w, rows = self.sample_weight, slice(3, 16)
        last = 2 if self.y.shape[1] > 1 else round(float(self.y.min()))  # a class of y
        part = (
            ([a[rows] for a in self.x] if isinstance(self.x, list) else self.x[rows]),
            self.y[rows],
        )
        given = {
            "rows": {"sample_weight": w},
            "column": {"sample_weight": w[:, None]},
            "class": {"class_weight": {0: 0.5, 1: 2.0, last: 3.0}},
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
        weighted = self.model.train_on_batch(
            self.x, self.y, class_weight={0: 2.0}, return_dict=True
        )
        return flat, weighted, state(self.model)

    def test_on_batch(self) -> Any:
        flat = self.model.test_on_batch(self.x, self.y)
        return flat, self.model.test_on_batch(self.x, self.y, self.sample_weight, return_dict=True)

    def learning_rate(self, rate: float) -> None:
        self.model.optimizer.learning_rate = rate

    def set_weights(self) -> None:
        self.model.set_weights([0.5 * w for w in self.model.get_weights()])

    def assign(self) -> None:
        for variable in self.model.trainable_weights[:1]:
            variable.assign(numbers(self.seed, *variable.shape))

    def freeze(self, place: int) -> None:
        layer = self.model.layers[-1 - place]
        layer.trainable = not layer.trainable
        self.compile(loss="mse")


def fresh(lib: Any, run_eagerly: Any, seed: int = 0) -> Story:
    """Return the story of a small model that was only compiled."""
    story = Story(lib, TANH, ("SGD", {"learning_rate": 0.05}), seed, run_eagerly)
    story.compile(loss="mse", metrics=["mae"])
    return story


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([TANH, LAZY, TWO_INPUTS]),
    OPTIMIZERS,
    COMPILED,
    st.lists(ACTIONS, min_size=1, max_size=5),
    SEEDS,
)
def test_any_sequence_of_calls_from_one_seed_has_the_results_of_keras(
    network, optimizer, compiled, actions, seed
):
    def run(lib, run_eagerly):
        story = Story(lib, network, optimizer, seed, run_eagerly)
        return [story.do(*action) for action in [("compile", compiled), *actions, ("fit", LAST)]]

    assert_all_roads_agree(run, seed)


LAST = {"epochs": 2, "batch_size": 8, "weights": "none", "validation": "split"}


@pytest.mark.parametrize("weights", ["rows", "column", "class"])
@pytest.mark.parametrize("validation", ["pair", "triple", "split"])
def test_sample_and_class_weights_have_the_effect_of_keras(run_eagerly, weights, validation):
    def run(lib):
        story = fresh(lib, run_eagerly)
        story.compile(loss="mse", metrics=["mae"], weighted_metrics=["mse"])
        return story.fit(weights, validation, 2, batch_size=8)

    assert_both_agree(run)


@pytest.mark.parametrize(
    "options",
    [
        {"validation_freq": 2},
        {"validation_freq": [1, 3]},
        {"validation_batch_size": 5},
        {"validation_steps": 2},
        {"validation_steps": 1, "validation_batch_size": 5},
        {"validation_steps": 2, "batch_size": 4},
    ],
)
def test_validation_uses_the_epochs_and_samples_of_keras(run_eagerly, options):
    def run(lib):
        return fresh(lib, run_eagerly).fit("none", "pair", 3, **options)

    assert_both_agree(run)


# -- the order of samples -------------------------------------------------------------------------

SHUFFLES = pytest.mark.parametrize("shuffle", [True, False, "batch"])


BEFORE = ["nothing", "predict", "evaluate", "train_on_batch", "test_on_batch", "fit", "compile"]


@SHUFFLES
@pytest.mark.parametrize("before", BEFORE)
def test_a_first_fit_skips_one_permutation_unless_the_loss_was_used_before(
    run_eagerly, before, shuffle
):
    def run(lib):
        story = fresh(lib, run_eagerly)
        if before in ("fit", "compile"):
            story.fit("none", "none", 1, batch_size=8)
            if before == "compile":
                story.compile(loss="mse")
        elif before != "nothing":
            story.do(before, {})
        return story.fit("none", "split", 2, batch_size=8, shuffle=shuffle)

    assert_both_agree(run)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
@SHUFFLES
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_permutation_continues_in_the_next_epoch_if_an_epoch_has_fewer_steps(
    run_eagerly, steps, shuffle
):
    def run(lib):
        story = fresh(lib, run_eagerly)
        again = {"batch_size": 8, "shuffle": shuffle, "steps_per_epoch": steps}
        return [story.fit("none", "none", 4, **again) for _ in range(2)]

    assert_both_agree(run)


@SHUFFLES
def test_more_steps_than_batches_end_the_epoch_with_a_warning_as_in_keras(run_eagerly, shuffle):
    def run(lib):
        story = fresh(lib, run_eagerly)
        options = {"batch_size": 8, "steps_per_epoch": 4, "shuffle": shuffle, "verbose": 0}
        with pytest.warns(UserWarning, match="Your input ran out of data") as caught:
            history = story.model.fit(story.x, story.y, epochs=2, **options)
        return history.history, len(caught), state(story.model)

    assert_both_agree(run)


# -- arguments of compile -------------------------------------------------------------------------

LOSSES = {
    "a name": lambda lib: "mean_absolute_error",
    "a class's name": lambda lib: "MeanSquaredError",
    "a class": lambda lib: lib.losses.MeanAbsoluteError,
    "an object": lambda lib: lib.losses.MeanSquaredError(reduction="sum", name="of_squares"),
    "an object that divides by weights": lambda lib: lib.losses.MeanAbsoluteError(
        reduction="mean_with_sample_weight"
    ),
    "a function": lambda lib: lib.losses.mean_squared_error,
    "one number per sample": lambda lib: lambda t, p: lib.ops.mean(lib.ops.abs(t - p) ** 3, -1),
    "one number per output": lambda lib: lambda t, p: lib.ops.square(t - p) * 0.5,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("column", [False, True])
def test_a_loss_in_any_form_trains_as_in_keras(run_eagerly, loss, column):
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS)
    targets = y[:, None] if column else y

    def run(lib):
        model = TANH.build(lib)
        model.compile("sgd", loss(lib), run_eagerly=run_eagerly[lib])
        history = model.fit(x, targets, 8, 2, 0, sample_weight=y**2)
        return history.history, state(model)

    assert_both_agree(run)


def largest_error(t: Any, p: Any) -> Any:
    """Return a custom metric, in operations that the tensors of both libraries have."""
    return abs(t - p) ** 3


METRICS = {
    "names": lambda lib: ["mae", "MSE", "mean_absolute_error", "MeanSquaredError"],
    "one name thrice": lambda lib: ["mae", "mae", "mse", "mae"],
    "classes": lambda lib: [lib.metrics.MeanAbsoluteError, lib.metrics.MeanSquaredError],
    "objects": lambda lib: [
        lib.metrics.MeanAbsoluteError(),
        lib.metrics.MeanAbsoluteError(name="distance"),
        lib.metrics.MeanMetricWrapper(largest_error, name="zeta"),
    ],
    "functions": lambda lib: [lib.losses.mean_squared_error, largest_error, lambda t, p: p],
}


def test_a_custom_loss_that_returns_a_scalar_trains_as_in_keras(run_eagerly):
    def run(lib):
        story = fresh(lib, run_eagerly)
        story.compile(loss=lambda t, p: lib.ops.sum(lib.ops.square(t - p) * 0.125))
        return story.fit("none", "pair", 2, batch_size=8)

    assert_both_agree(run)


@pytest.mark.parametrize("plain", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("weighted", [METRICS["names"], METRICS["functions"]])
def test_metrics_in_any_form_have_the_keys_and_values_of_keras(run_eagerly, plain, weighted):
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS, 1)

    def run(lib):
        model = TANH.build(lib)
        chosen = {"metrics": plain(lib), "weighted_metrics": weighted(lib)}
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib], **chosen)
        history = model.fit(x, y, 8, 1, 0, validation_split=0.4, sample_weight=y[:, 0] ** 2)
        return history.history

    assert_both_agree(run)


@pytest.mark.parametrize("trains", [[], [0], [1], [0, 1]])
def test_frozen_layers_keep_their_weights_and_have_no_slots(run_eagerly, trains):
    def run(lib):
        story = fresh(lib, run_eagerly)
        for i, layer in enumerate(story.model.layers):
            layer.trainable = i in trains
        story.optimizer = ("Adam", {"epsilon": 1e-3})
        story.compile(loss="mse")
        names = [v.name for v in story.model.optimizer.variables]
        return names, story.fit("none", "none", 2), [w.path for w in story.model.trainable_weights]

    assert_both_agree(run)


def test_an_optimizer_keeps_its_state_when_the_model_is_compiled_again(run_eagerly):
    def run(lib):
        story = fresh(lib, run_eagerly)
        optimizer = story.model.optimizer
        found = [story.fit("none", "none", 1, batch_size=8)]
        for loss in ("mae", "mse"):
            story.model.compile(optimizer, loss, metrics=[], run_eagerly=run_eagerly[lib])
            found.append(story.fit("none", "none", 1, batch_size=8))
        return found

    assert_both_agree(run)


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_a_model_with_lists_as_input_and_output_trains_as_in_keras(run_eagerly):
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS, 2)

    def run(lib):
        entrance = lib.Input((WIDTH,))
        model = lib.Model([entrance], [lib.layers.Dense(2)(entrance)])
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        history = model.fit([x], [y], validation_data=(x, y), sample_weight=[y[:, 0]], verbose=0)
        outputs = model(x), model([x]), model.predict([x], verbose=0)
        return history.history, model.evaluate(x, [y], verbose=0), outputs

    assert_both_agree(run)


KINDS = ["float64", "float16", "int64", "uint8", "bool"]


@pytest.mark.parametrize(("x_kind", "y_kind"), [*zip(KINDS, KINDS[::-1], strict=True)])
def test_rows_of_any_numeric_type_train_a_model_as_in_keras(run_eagerly, x_kind, y_kind):
    x, y = (abs(3 * numbers(i, ROWS)).astype(kind) for i, kind in enumerate((x_kind, y_kind)))

    def run(lib):
        model = lib.Sequential([lib.Input((1,)), lib.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=run_eagerly[lib])
        history = model.fit(x, y, epochs=2, batch_size=8, verbose=0, validation_split=0.2)
        return history.history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)

    assert_both_agree(run)


# -- the defaults, and callbacks ------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "seed"), [("sgd", 0), ("adam", 1), ("rmsprop", 2)])
def test_a_hundred_epochs_with_defaults_equal_compiled_keras(optimizer, seed):
    x = numbers(seed, 100, WIDTH)
    y = np.sin(x.sum(-1))

    def run(lib):
        model = TANH.build(lib)
        model.compile(optimizer, "mse", metrics=["mae"])
        before = model.get_weights()
        first = model.fit(x, y, epochs=100, validation_split=0.2, verbose=0)
        found = [before, first.history, model.evaluate(x, y, verbose=0)]
        second = model.fit(x, y, epochs=10, validation_data=(x[:30], y[:30]), verbose=0)
        return found, second.history, model.predict(x, verbose=0), state(model)

    assert_both_agree(run, seed)


HOOKS = [
    f"on_{mode}{of}_{edge}"
    for mode, of in [
        ("train", ""),
        ("epoch", ""),
        ("train", "_batch"),
        ("test", ""),
        ("test", "_batch"),
        ("predict", ""),
        ("predict", "_batch"),
    ]
    for edge in ("begin", "end")
]


@pytest.mark.parametrize("last", [None, "on_train_batch_end", "on_epoch_begin", "on_epoch_end"])
def test_callbacks_are_called_in_the_order_and_with_the_logs_of_keras_and_can_stop_training(
    run_eagerly, last
):
    def run(lib):
        calls = []

        class Recorder(lib.callbacks.Callback):
            pass

        for hook in HOOKS:

            def record(self, *place, hook=hook, **logs):  # Keras passes some arguments by keyword
                *place, logs = [*place, *logs.values()]
                calls.append((hook, *place, dict(logs or {})))
                self.model.stop_training |= hook == last and len(calls) > 8

            setattr(Recorder, hook, record)
        story = fresh(lib, run_eagerly)
        watched = {"batch_size": 8, "callbacks": [Recorder()]}
        story.fit("none", "pair", 3, validation_freq=2, **watched)
        story.evaluate(**watched)
        story.predict(**watched)
        return calls, state(story.model)

    assert_both_agree(run)


def test_a_layer_receives_the_training_argument_as_in_keras(run_eagerly):
    def run(lib):
        class Doubled(lib.layers.Layer):
            def call(self, inputs, training=False):
                return 2 * inputs if training else inputs

        model = lib.Sequential([lib.Input((WIDTH,)), Doubled(), lib.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS)
        history = model.fit(x, y, epochs=2, validation_split=0.5, verbose=0).history
        direct = model(x), model(x, training=True), model(x, training=False)
        return history, model.predict(x, verbose=0), direct, state(model)

    assert_both_agree(run)


def test_a_model_without_an_optimizer_is_evaluated_as_in_keras(run_eagerly, tmp_path):
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS, 1)

    def run(lib):
        model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(1)])
        model.compile(None, "mse", metrics=["mae"], run_eagerly=run_eagerly[lib])
        model.save(tmp_path / "model.keras")
        loaded = lib.models.load_model(tmp_path / "model.keras", compile=lib is tn)
        assert getattr(loaded, "optimizer", None) is None
        logs = model.evaluate(x, y, verbose=0, return_dict=True)
        return logs, model.test_on_batch(x, y), model.predict(x, verbose=0)

    assert_both_agree(run)


def test_a_model_without_an_optimizer_is_not_trained():
    model = tn.Sequential([tn.Input((WIDTH,)), tn.layers.Dense(1)])
    model.compile(None, "mse")
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS, 1)
    seen = np.random.get_state()[2]
    for train in (model.fit, model.train_on_batch, model.explain_step):
        with pytest.raises(ValueError, match="optimizer"):
            train(x, y)
    assert np.random.get_state()[2] == seen


def test_the_mean_loss_among_the_metrics_is_that_of_the_last_epoch_as_in_keras(run_eagerly):
    x, y = numbers(1, ROWS, WIDTH), numbers(2, ROWS, 1)

    def run(lib):
        model = lib.Sequential([lib.Input((WIDTH,)), lib.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=run_eagerly[lib])
        found = [model.metrics[0].name]
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        found.append(float(model.metrics[0].result()))
        model.evaluate(x, y, verbose=0)
        return *found, float(model.metrics[0].result())

    assert_both_agree(run)
