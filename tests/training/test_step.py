"""A model's compiled steps give what its eager ones give, to the last bit, whatever happens."""

import re
import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st
from programs import ADAM_STEP, poisoned_buffers

import tinynet as tn
from tinynet import tree
from tinynet.callbacks import Callback
from tinynet.layers import Activation, Dense, Input, Layer
from tinynet.models import Model, Sequential
from tinynet.optimizers import SGD, Adagrad, Adam, Adamax, Nadam, RMSprop
from tinynet.training.data import Batch, Dataset
from tinynet.training.step import State, Step

OPTIMIZERS = [
    lambda: SGD(0.02),
    lambda: SGD(0.01, momentum=0.9, weight_decay=0.01),
    lambda: SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.1),
    lambda: Adam(0.01, clipvalue=0.05),
    lambda: Adam(0.01, amsgrad=True, weight_decay=0.1),
    lambda: Adam(0.01, global_clipnorm=0.1),
    lambda: RMSprop(0.01, momentum=0.5, centered=True),
    lambda: Adagrad(0.1),
    lambda: Adam(0.1, clipnorm=0.1, gradient_accumulation_steps=2),
    lambda: Adamax(0.01, weight_decay=0.1),
    lambda: Nadam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
]


def network(widths, activation, use_bias, eager, optimizer, loss="mse", metrics=None):
    tn.utils.set_random_seed(7)
    hidden = [Dense(w, activation, use_bias=use_bias) for w in widths[1:-1]]
    model = Sequential([Input((widths[0],)), *hidden, Dense(widths[-1], use_bias=use_bias)])
    model.compile(optimizer, loss, metrics=metrics, weighted_metrics=metrics, run_eagerly=eager)
    return model


def data(rows, inputs, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, inputs)), rng.standard_normal((rows, outputs))


def assert_equal_runs(compiled, eager):
    """Compare histories and weights of two models, and all that their optimizers remember."""
    assert compiled.history.history == eager.history.history
    for a, b in zip(compiled.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    variables = zip(compiled.optimizer.variables, eager.optimizer.variables, strict=True)
    for a, b in variables:
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    activation=st.sampled_from(["linear", "sigmoid", "tanh", "relu", "softmax"]),
    use_bias=st.booleans(),
    optimizer=st.sampled_from(OPTIMIZERS),
    loss=st.sampled_from(["mse", "mae"]),
    rows=st.integers(1, 20),
    batch_size=st.integers(1, 8),
    weighted=st.booleans(),
    shuffle=st.sampled_from([True, False, "batch"]),
)
@pytest.mark.filterwarnings("ignore:softmax over axis")
def test_a_compiled_fit_is_the_eager_fit_bit_for_bit(
    widths, activation, use_bias, optimizer, loss, rows, batch_size, weighted, shuffle
):
    x, y = data(rows, widths[0], widths[-1])
    weights = np.random.default_rng(1).random(rows) if weighted else None
    models = []
    for eager in (False, True):
        model = network(widths, activation, use_bias, eager, optimizer(), loss, ["mse", "mae"])
        np.random.seed(3)
        model.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=3,
            sample_weight=weights,
            shuffle=shuffle,
            validation_data=(x[:2], y[:2]),
            verbose=0,
        )
        models.append(model)
    assert_equal_runs(*models)
    compiled, eager = models
    assert compiled.evaluate(x, y, verbose=0) == eager.evaluate(x, y, verbose=0)
    predictions = [m.predict(x, batch_size=batch_size, verbose=0) for m in models]
    np.testing.assert_array_equal(*predictions)


def test_long_flat_weights_are_updated_block_by_block_to_the_same_bits():
    x, y = data(10, 20, 3)
    models = [network([20, 25, 3], "tanh", True, eager, Adam()) for eager in (False, True)]
    with poisoned_buffers(block=100):
        for model in models:
            model.fit(x, y, epochs=3, shuffle=False, verbose=0)
    assert_equal_runs(*models)
    assert " in blocks:" in models[0].train_function.source


class Adding(Layer):
    """Add two inputs."""

    def call(self, inputs):
        first, second = inputs
        return first + second


def test_a_graph_with_shared_layers_trains_alike():
    x, y = data(12, 2, 1)
    models = []
    for eager in (False, True):
        tn.utils.set_random_seed(0)
        inputs = Input((2,))
        shared = Dense(2, "tanh")
        once = shared(inputs)
        outputs = Dense(1)(Adding()([shared(once), Activation("sigmoid")(once)]))
        models.append(Model(inputs, outputs))
        models[-1].compile("adam", "mse", run_eagerly=eager)
        models[-1].fit(x, y, epochs=4, shuffle=False, verbose=0)
    assert_equal_runs(*models)


# -- the step as a function -------------------------------------------------------------------


def as_tensors(state):
    return State(
        [[tn.tensor(array) for array in group] for group in state.groups],
        [tn.tensor(array) for array in state.others],
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_step_is_a_pure_function_and_its_iteration_is_fit_bit_for_bit(optimizer):
    x, y = (array.astype("float32") for array in data(8, 2, 1))
    fitted, model = (
        network([2, 3, 1], "tanh", True, False, optimizer(), metrics=["mae"]) for _ in range(2)
    )
    fitted.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    with model.prepared(Dataset.of_one_batch(x, y)):
        step = Step(model, "train")
        state, losses = as_tensors(step.read()), []
        before = [array.copy() for array in tree.leaves(step.read())]
        for count, rows in enumerate((slice(4), slice(4, 8)), 1):
            batch = Batch(tn.tensor(x[rows]), tn.tensor(y[rows]))
            scalars = [model.optimizer.next_scalars(count - 1)]
            results = [step(state, batch, scalars) for _ in range(2)]
            for one, other in zip(*map(tree.leaves, results), strict=True):
                np.testing.assert_array_equal(one, other)
            state, loss, _ = results[0]
            losses.append(loss.item())
        for array, kept in zip(tree.leaves(step.read()), before, strict=True):
            np.testing.assert_array_equal(array, kept)
        assert int(model.optimizer.iterations) == 0
    found = [np.mean(losses)]
    np.testing.assert_allclose(found, fitted.history.history["loss"], rtol=1e-6)
    expected = Step(fitted, "train").read()
    for one, other in zip(tree.leaves(state), tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


class Itself(Layer):
    """A layer whose output is its weight."""

    def build(self, input_shape):
        self.w = self.add_weight((1, input_shape[-1]), "ones")

    def call(self, inputs):
        return self.w.value


def test_outputs_that_are_weights_stay_what_they_were_before_the_update():
    model = Sequential([Input((2,)), Itself()])
    model.compile(SGD(1.0), "mse")
    x, y = data(1, 2, 2)
    model.evaluate(x, y, verbose=0)
    _, outputs = Step(model, "train").run(Batch(tn.tensor(x), tn.tensor(y)))
    np.testing.assert_array_equal(outputs, np.ones((1, 2)))
    assert not np.array_equal(model.get_weights()[0], np.ones((1, 2)))


# -- what may change between steps ------------------------------------------------------------


class At(Callback):
    """Do something to the model when some epoch begins."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.action(self.model)


def halve_the_rate(model):
    model.optimizer.learning_rate = float(model.optimizer.learning_rate) / 2


def set_other_weights(model):
    model.set_weights([np.full(w.shape, 0.1) for w in model.weights])


def assign_one_weight(model):
    model.layers[0].kernel.assign(model.layers[0].kernel * 0.5)


def predict_something(model):
    model.predict(np.ones((3, 2)), verbose=0)


def train_another_with_its_layers(model):
    other = Sequential([Input((2,)), *model.layers])
    other.compile(SGD(0.1), "mse")
    other.fit(*data(4, 2, 1), shuffle=False, verbose=0)


ACTIONS = [
    halve_the_rate,
    set_other_weights,
    assign_one_weight,
    predict_something,
    train_another_with_its_layers,
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda f: f.__name__)
def test_what_a_callback_does_to_the_model_is_seen_by_the_next_step(action):
    x, y = data(10, 2, 1)
    models = [network([2, 3, 1], "tanh", True, eager, Adam(0.01)) for eager in (False, True)]
    for model in models:
        model.fit(x, y, batch_size=4, epochs=4, shuffle=False, callbacks=[At(2, action)], verbose=0)
    assert_equal_runs(*models)


def test_a_learning_rate_that_is_a_function_is_called_at_each_step():
    x, y = data(10, 2, 1)
    models = []
    for eager in (False, True):
        rates = iter(np.linspace(0.1, 0.01, 20))
        model = network([2, 1], "linear", True, eager, SGD(lambda rates=rates: next(rates)))
        model.fit(x, y, batch_size=3, epochs=3, shuffle=False, verbose=0)
        models.append(model)
    assert_equal_runs(*models)


def test_the_step_count_goes_on_over_several_fits_and_recompilations_of_the_step():
    x, y = data(9, 2, 1)
    models = [network([2, 1], "linear", True, eager, Adam(0.1)) for eager in (False, True)]
    for model in models:
        for batch_size in (2, 5, 9):
            model.fit(x, y, batch_size=batch_size, shuffle=False, verbose=0)
    assert_equal_runs(*models)
    assert int(models[0].optimizer.iterations) == 5 + 2 + 1


@given(rows=st.integers(1, 12), batch_size=st.integers(1, 12))
def test_each_length_of_batch_is_compiled_once(rows, batch_size):
    x, y = data(rows, 2, 1)
    model = network([2, 1], "linear", True, False, SGD())
    model.fit(x, y, batch_size=batch_size, epochs=3, verbose=0)
    model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0)
    lengths = {min(batch_size, rows), (rows % batch_size) or batch_size}
    assert model.train_function.compilations == len({n for n in lengths if n <= rows})


def test_frozen_layers_stay_and_the_others_train():
    x, y = data(10, 2, 1)
    models = []
    for eager in (False, True):
        model = network([2, 3, 1], "tanh", True, eager, Adam(0.1))
        model.layers[0].trainable = False
        model.compile(Adam(0.1), "mse", run_eagerly=eager)
        before = model.get_weights()
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
        after = model.get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
        assert not any(np.array_equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))
        models.append(model)
    assert_equal_runs(*models)


def test_a_prediction_that_was_handed_out_stays_as_it_is():
    x, _ = data(5, 2, 1)
    model = network([2, 1], "linear", True, False, SGD())
    first = model.predict(x, verbose=0)
    kept = first.copy()
    model.predict(x + 1, verbose=0)
    model.fit(x, np.ones(5), verbose=0)
    np.testing.assert_array_equal(first, kept)


def test_weights_handed_out_stay_as_they_are():
    x, y = data(5, 2, 1)
    model = network([2, 1], "linear", True, False, SGD())
    model.fit(x, y, verbose=0)
    value, array = model.layers[0].kernel.value, model.layers[0].kernel.numpy()
    kept = value.numpy().copy()
    model.fit(x, y, epochs=3, verbose=0)
    np.testing.assert_array_equal(value.numpy(), kept)
    np.testing.assert_array_equal(array, kept)
    assert not np.array_equal(model.layers[0].kernel.numpy(), kept)


def test_a_graph_built_before_training_gives_the_gradient_at_its_own_weights():
    x, y = data(6, 2, 1)
    model = network([2, 1], "linear", False, False, SGD(0.1))
    kernel = model.layers[0].kernel.value
    loss = tn.ops.mean((model(x) - y) ** 2)
    expected = 2 * x.T @ (x @ kernel.numpy() - y) / 6
    model.fit(x, y, epochs=2, verbose=0)
    loss.backward()
    np.testing.assert_allclose(kernel.grad, expected, rtol=1e-4, atol=1e-6)


def test_an_exception_in_a_step_leaves_the_weights_and_later_steps_are_right():
    x, y = data(6, 2, 1)
    model, other = (network([2, 1], "linear", True, False, Adam(0.1)) for _ in range(2))
    model.fit(x, y, shuffle=False, verbose=0)
    other.fit(x, y, shuffle=False, verbose=0)
    before = model.get_weights()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        model.fit(x * 1e30, y * 1e30, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    for m in (model, other):
        m.fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_that_predict_with_one_model_do_not_disturb_each_other():
    model = network([3, 8, 2], "tanh", True, False, SGD())
    inputs = [np.random.default_rng(i).standard_normal((4, 3)) for i in range(4)]
    expected = [model.predict(x, verbose=0) for x in inputs]
    wrong = []

    def predict(i):
        for _ in range(50):
            if not np.array_equal(model.predict(inputs[i], verbose=0), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class MovingMean(Layer):
    """Subtracts a mean that it learns while training, and counts all its calls."""

    def build(self, input_shape):
        self.mean = self.add_weight(input_shape[-1:], "zeros", trainable=False, name="mean")
        self.calls = self.add_weight((), "zeros", dtype="int32", trainable=False, name="calls")

    def call(self, inputs, training=False):
        self.calls.assign_add(1)
        if training:
            self.mean.assign_add(0.5 * (tn.ops.mean(inputs, axis=0) - self.mean))
        return inputs - self.mean


class Extremes(tn.metrics.Metric):
    """The largest error of all, and how often one was asked for."""

    def __init__(self):
        super().__init__(name="extremes")
        self.most = self.add_variable((), "zeros", name="most")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.most.assign(tn.ops.maximum(self.most, tn.ops.max(abs(y_true - y_pred))))

    def result(self):
        return self.most.value


def test_what_layers_and_metrics_remember_is_part_of_the_step():
    x, y = data(10, 2, 1)
    models = []
    for eager in (False, True):
        tn.utils.set_random_seed(7)
        model = Sequential([Input((2,)), MovingMean(), Dense(1)])
        model.compile(Adam(0.1), "mse", metrics=["mae", Extremes()], run_eagerly=eager)
        held = (x[:3] * 2, y[:3])
        model.fit(x, y, batch_size=4, epochs=3, shuffle=False, validation_data=held, verbose=0)
        model.evaluate(x, y, batch_size=3, verbose=0)
        models.append(model)
    assert_equal_runs(*models)
    compiled, eager = models
    np.testing.assert_array_equal(*(m.predict(x, verbose=0) for m in models))
    assert int(compiled.layers[0].calls) == int(eager.layers[0].calls)
    seen = 3 * (3 + 1) + 4 + 1  # in fit and its validation, evaluate, predict
    assert int(compiled.layers[0].calls) == seen
    lines = compiled.train_function.source
    assert "# metrics" in lines
    assert lines.count("empty((10") == 0
    assert "maximum(extremes_most, " in lines


def test_a_metric_is_read_from_the_error_that_the_loss_computes():
    x, y = data(6, 2, 1)
    model = network([2, 1], "linear", True, False, SGD(), metrics=["mse"])
    model.fit(x, y, verbose=0)
    assert model.train_function.source.count("square(") == 1


class Restless(Layer):
    """Assigns to a weight that is trained, too."""

    def build(self, input_shape):
        self.scale = self.add_weight((), "ones", name="scale")

    def call(self, inputs):
        self.scale.assign(self.scale * 2.0)
        return inputs * self.scale


@pytest.mark.parametrize("eager", [False, True])
def test_a_trained_weight_cannot_be_assigned_in_the_step(eager):
    model = Sequential([Input((2,)), Restless(name="restless")])
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.raises(TypeError, match=r"restless/scale cannot assign.*trainable=False"):
        model.fit(*data(4, 2, 2), verbose=0)


class Branching(Layer):
    """A layer that looks at its numbers."""

    def call(self, inputs):
        return inputs * 2.0 if inputs.sum() > 0 else inputs


def test_a_layer_that_branches_on_numbers_is_refused_and_runs_eagerly():
    x, y = data(6, 2, 1)
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    branching = Sequential([*model.layers, Branching()])
    branching.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"tn\.ops\.where.*run_eagerly=True"):
        branching.fit(x, y, verbose=0)
    branching.compile("sgd", "mse", run_eagerly=True)
    branching.fit(x, y, verbose=0)


# -- what it shows ----------------------------------------------------------------------------


def neuron():
    tn.utils.clear_session()
    x, y = data(32, 1, 1)
    model = network([1, 1], "linear", True, False, Adam())
    model.fit(x, y, verbose=0)
    return model


def test_the_step_of_one_neuron_is_text_that_a_person_can_follow():
    source = neuron().train_function.source
    body = source.split("def train_step():\n")[1].split("\n\n")[0] + "\n"
    assert body == ADAM_STEP
    assert body.count("\n") < 30


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_the_update_takes_the_same_number_of_calls_for_any_depth(depth):
    x, y = data(4, 2, 2)
    model = network([2] * (depth + 1), "tanh", True, False, Adam())
    model.fit(x, y, verbose=0)
    update = model.train_function.source.split("# update\n")[1].split("\n\n")[0]
    assert len(update.splitlines()) == 12


def test_every_statement_of_a_step_stands_on_a_line_of_its_own_and_calls_what_it_says():
    body = neuron().train_function.source.split("def train_step():\n")[1].split("\n\n")[0]
    for line in body.splitlines():
        assert re.fullmatch(r"\s+(# \w+|\w+\([^()]*(\(\d+,\))?[^()]*\))", line), line


def test_the_source_asked_for_before_the_first_step_says_what_to_do():
    model = network([1, 1], "linear", True, False, SGD())
    with pytest.raises(ValueError, match="fit, evaluate or predict first"):
        _ = model.train_function.source


class MakesAWeightInTraining(Layer):
    w = None

    def call(self, x, training=False):
        if training and self.w is None:
            self.w = self.add_weight((2,), initializer="ones")
        return x if self.w is None else x * self.w


def test_a_weight_made_within_a_compiled_step_is_refused_as_it_would_not_be_trained():
    x, y = data(4, 2, 1)
    model = Sequential([Input((2,)), MakesAWeightInTraining(), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"cannot make weights.*received .*constructor"):
        model.fit(x, y, verbose=0)


class Unit(Layer):
    def call(self, x):
        return x / tn.ops.sqrt(tn.ops.sum(x * x, -1, keepdims=True))


def test_making_a_model_warns_of_no_numbers_as_there_are_none_yet():
    Sequential([Input((3,)), Unit(), Dense(1)])  # warnings are errors
