"""Names, paths, order, shapes, configs, histories and summaries compared with Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import (
    ACTIVATIONS,
    ROWS,
    WIDTH,
    Spec,
    Stack,
    graphs,
    in_both,
    numbers,
    specs,
    stacks,
)

some = settings(max_examples=30, deadline=None)
many = settings(max_examples=100, deadline=None)

PLAIN = ACTIVATIONS.filter(lambda name: name != "softmax")  # softmax warns for a single unit


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Keras print lines of any length; it truncates them at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "120")


def assert_both_equal(run: Any) -> None:
    """Assert that `run` returns equal results for both libraries, including the order of dicts."""
    mine, theirs = in_both(run)
    assert mine == theirs
    assert repr(mine) == repr(theirs)


def described(model: Any) -> dict[str, Any]:
    """Return everything in a model that has a name or a shape."""
    return {
        "name": (type(model).__name__, model.name),
        "layers": [(type(x).__name__, x.name, x.built, x.count_params()) for x in model.layers],
        "weights": [(w.name, w.path, tuple(w.shape), w.dtype, w.trainable) for w in model.weights],
        "trains": [w.path for w in model.trainable_weights],
        "rests": [w.path for w in model.non_trainable_weights],
        "shapes": (model.input_shape, model.output_shape),
        "placeholders": [(x.shape, x.dtype) for x in (*model.inputs, *model.outputs)],
        "output names": list(model.output_names) if hasattr(model, "output_names") else None,
        "arrays": [w.shape for w in model.get_weights()],
        "count": model.count_params(),
        "dtypes": (model.dtype, model.compute_dtype, model.variable_dtype),
    }


# -- names ----------------------------------------------------------------------------------------

MAKERS = {
    "dense": lambda lib: lib.layers.Dense(1),
    "a named dense": lambda lib: lib.layers.Dense(1, name="dense_1"),
    "an activation": lambda lib: lib.layers.Activation("relu"),
    "an input layer": lambda lib: lib.layers.InputLayer((1,)),
    "a lazy stack": lambda lib: lib.Sequential([lib.layers.Dense(2), lib.layers.Dense(1)]),
    "a stack": lambda lib: lib.Sequential([lib.Input((1,)), lib.layers.Dense(2)]),
    "a named stack": lambda lib: lib.Sequential([lib.Input((1,), name="in")], name="sequential_1"),
    "a growing stack": lambda lib: grown(lib),
    "a model": lambda lib: lib.Model(x := lib.Input((1,)), lib.layers.Dense(1)(x)),
    "SGD": lambda lib: lib.optimizers.SGD(),
    "Adam": lambda lib: lib.optimizers.Adam(),
    "a named Adam": lambda lib: lib.optimizers.Adam(name="adam"),
    "a loss": lambda lib: lib.losses.MeanSquaredError(),
    "a metric": lambda lib: lib.metrics.MeanAbsoluteError(),
}


def grown(lib: Any) -> Any:
    model = lib.Sequential()
    model.add(lib.Input((1,)))
    for _ in range(3):
        model.add(lib.layers.Dense(2))
    model.pop()
    return model


@many
@given(st.lists(st.sampled_from(sorted(MAKERS)), max_size=12))
def test_objects_made_in_any_order_get_the_names_of_keras(kinds):
    def run(lib):
        things = [MAKERS[kind](lib) for kind in kinds]
        return [(x.name, [layer.name for layer in getattr(x, "layers", [])]) for x in things]

    assert_both_equal(run)


CLASS_NAMES = ["Scale", "MyDense", "HTTPLayer", "LSTM2", "Conv2D", "My_Layer", "_Hidden", "lower"]


@pytest.mark.parametrize("name", [*CLASS_NAMES, "ABc", "aB", "A", "ResNet50V2", "X2Y", "Dense_"])
def test_layers_of_a_custom_class_get_the_names_of_keras(name):
    def run(lib):
        made = type(name, (lib.layers.Layer,), {"call": lambda self, inputs: inputs})
        return [made().name for _ in range(3)]

    assert_both_equal(run)


# -- models ---------------------------------------------------------------------------------------


@some
@given(stacks())
def test_a_stack_has_the_names_paths_order_and_shapes_of_keras(network):
    assert_both_equal(lambda lib: described(network.build(lib)))


@many
@given(graphs(layers=8, steps=12))
def test_a_graph_has_its_layers_and_weights_in_the_order_of_keras(network):
    assert_both_equal(lambda lib: described(network.build(lib)))


def stack(lib: Any, *layers: Any) -> Any:
    return lib.Sequential([lib.Input((WIDTH,)), *layers])


def two_outputs(lib: Any) -> Any:
    x = lib.Input((WIDTH,), name="x")
    hidden = lib.layers.Dense(4)(x)
    far, near = lib.layers.Dense(2, name="far")(hidden), lib.layers.Dense(1, name="near")(x)
    return lib.Model(x, [near, far], name="fork")


def stack_in_a_model(lib: Any) -> Any:
    inner = stack(lib, lib.layers.Dense(2), lib.layers.Dense(WIDTH))
    x = lib.Input((WIDTH,))
    return lib.Model(x, inner(lib.layers.Dense(WIDTH)(inner(x))))


def model_in_a_model(lib: Any) -> Any:
    x, y = lib.Input((WIDTH,)), lib.Input((WIDTH,))
    inner = lib.Model(x, lib.layers.Dense(WIDTH)(x), name="inner")
    return lib.Model(inputs=[y], outputs=[inner(inner(y))])


def model_in_a_stack(lib: Any) -> Any:
    x = lib.Input((WIDTH,))
    inner = lib.Model(x, lib.layers.Dense(2, use_bias=False)(x))
    return stack(lib, lib.layers.Dense(WIDTH), inner, lib.layers.Dense(1))


def stack_in_a_stack(lib: Any) -> Any:
    return stack(
        lib, lib.Sequential([lib.layers.Dense(2), lib.layers.Dense(1)]), lib.layers.Dense(4)
    )


def frozen(lib: Any) -> Any:
    model = stack(lib, lib.layers.Dense(2, trainable=False), *(lib.layers.Dense(2) for _ in "ab"))
    model.layers[1].trainable = model.layers[2].trainable = False
    model.layers[2].trainable = True
    return model


def batch_of_five(lib: Any) -> Any:
    return lib.Sequential([lib.Input((2, WIDTH), batch_size=5), lib.layers.Dense(4)])


def whole_shape(lib: Any) -> Any:
    return lib.Sequential([lib.Input(batch_shape=(None, None, WIDTH)), lib.layers.Dense(4)])


def built_later(lib: Any) -> Any:
    model = lib.Sequential([lib.layers.Dense(2), lib.layers.Dense(1)], name="later")
    model.build((None, WIDTH))
    return model


def called_later(lib: Any) -> Any:
    model = lib.Sequential([lib.layers.Dense(2), lib.layers.Activation("relu")])
    model(numbers(0, 7, WIDTH))
    return model


def trained_later(lib: Any) -> Any:
    model = lib.Sequential([lib.layers.Dense(2), lib.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(numbers(0, ROWS, WIDTH), numbers(1, ROWS), batch_size=16, verbose=0)
    return model


LINES = [frozen, batch_of_five, whole_shape, built_later, called_later, trained_later, grown]


@pytest.mark.parametrize(
    "make",
    [*LINES, two_outputs, stack_in_a_model, model_in_a_model, model_in_a_stack, stack_in_a_stack],
)
def test_nested_and_deferred_models_have_the_names_and_shapes_of_keras(make):
    assert_both_equal(lambda lib: described(make(lib)))


def test_a_layer_has_no_weights_until_it_is_built():
    def run(lib):
        layer, model = lib.layers.Dense(3), lib.Sequential([lib.layers.Dense(3)])
        before = [(x.built, x.weights, x.get_weights(), repr(x)) for x in (layer, model)]
        layer.build((None, 2))
        return before, repr(layer), [w.path for w in layer.weights], layer.get_build_config()

    assert_both_equal(run)


@pytest.mark.parametrize("which", [{"name": "dense_1"}, {"index": 0}, {"index": 1}, {"index": -1}])
@pytest.mark.parametrize("make", [trained_later, built_later, model_in_a_stack])
def test_get_layer_finds_the_layer_that_keras_finds(make, which):
    assert_both_equal(lambda lib: make(lib).get_layer(**which).name)


# -- configs --------------------------------------------------------------------------------------

INITIALIZERS = st.sampled_from(["glorot_uniform", "zeros", "HeNormal", "uniform"])


@some
@given(specs(), INITIALIZERS, INITIALIZERS, st.sampled_from([None, "d"]), st.booleans())
def test_the_config_of_a_dense_layer_equals_keras_and_rebuilds_it(
    spec, kernel, bias, name, trainable
):
    options = {"kernel_initializer": kernel, "bias_initializer": bias, "trainable": trainable}

    def run(lib):
        layer = spec.build(lib, name=name, **options)
        config = layer.get_config()
        assert repr(type(layer).from_config(config).get_config()) == repr(config)
        return config

    assert_both_equal(run)


OPTIMIZERS = {
    "SGD": [
        {},
        {"learning_rate": 0.3, "momentum": 0.9, "nesterov": True, "name": "descent"},
        {"weight_decay": 0.01, "clipnorm": 1.5},
        {"clipvalue": 0.5},
        {"global_clipnorm": 2.0},
    ],
    "Adam": [
        {},
        {"learning_rate": 1e-4, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6, "amsgrad": True},
    ],
    "AdamW": [{}, {"weight_decay": 0.1, "amsgrad": True}],
    "RMSprop": [
        {},
        {"rho": 0.8, "momentum": 0.5, "epsilon": 1e-5, "centered": True},
        {"centered": True},
    ],
}
OPTIONS = [(name, options) for name, table in OPTIMIZERS.items() for options in table]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_config_of_an_optimizer_equals_keras_and_rebuilds_it(name, options):
    def run(lib):
        optimizer = getattr(lib.optimizers, name)(**options)
        config = optimizer.get_config()
        assert repr(type(optimizer).from_config(config).get_config()) == repr(config)
        return config, lib.optimizers.serialize(optimizer)

    assert_both_equal(run)


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_variables_of_an_optimizer_have_the_names_shapes_and_order_of_keras(name, options):
    def run(lib):
        optimizer = getattr(lib.optimizers, name)(**options)
        optimizer.build(stack_in_a_model(lib).trainable_weights)
        return [(v.name, v.path, v.shape, v.dtype, v.trainable) for v in optimizer.variables]

    assert_both_equal(run)


@pytest.mark.parametrize("name", ["MeanSquaredError", "MeanAbsoluteError"])
@pytest.mark.parametrize(
    "options", [{}, {"reduction": "sum", "name": "total"}, {"reduction": None}]
)
def test_the_config_of_a_loss_equals_keras_and_rebuilds_it(name, options):
    def run(lib):
        loss = getattr(lib.losses, name)(**options)
        config = loss.get_config()
        assert type(loss).from_config(config).get_config() == config
        return config

    assert_both_equal(run)


# -- histories ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epochs": 3, "batch_size": 8},
        {"epochs": 4, "initial_epoch": 2, "validation_split": 0.2},
        {"epochs": 4, "validation_split": 0.2, "validation_freq": [2, 4]},
        {"epochs": 0},
        {"epochs": 2, "steps_per_epoch": 1, "verbose": 0},
    ],
)
def test_a_history_has_the_keys_epochs_and_parameters_of_keras(run_eagerly, options):
    def run(lib):
        model = trained_later(lib)
        watched = {"metrics": ["mse", "mae"], "weighted_metrics": ["mse"]}
        model.compile("adam", "mse", run_eagerly=run_eagerly[lib], **watched)
        x, y = numbers(0, ROWS, WIDTH), numbers(1, ROWS)
        history = model.fit(x, y, **{"verbose": 0, **options})
        assert history is model.history
        assert history.model is model
        kinds = {key: [type(v).__name__ for v in row] for key, row in history.history.items()}
        return list(history.history), kinds, history.epoch, history.params

    assert_both_equal(run)


# -- summaries ------------------------------------------------------------------------------------


def summary(model: Any, **options: Any) -> str:
    texts: list[str] = []
    model.summary(print_fn=texts.append, **options)
    (text,) = texts
    return text


@st.composite
def towers(draw: Any) -> Stack:
    """Draw a Sequential of small and large widths."""
    widths = st.sampled_from([1, 9, 40, 600])
    units = draw(st.lists(widths, min_size=1, max_size=3))
    return Stack([Spec(n, draw(PLAIN), draw(st.booleans())) for n in units])


@some
@given(towers(), st.booleans(), st.booleans(), st.sampled_from([None, 30, 50, 61, 80, 100]))
def test_the_summary_of_a_sequential_model_equals_keras_character_for_character(
    network, functional, lazy, length
):
    def run(lib):
        if functional:
            x = y = lib.Input((WIDTH,), name="the_input_with_a_long_name")
            for spec in network.layers:
                y = spec.build(lib)(y)
            return summary(lib.Model(x, y), line_length=length)
        return summary(network._replace(lazy=lazy).build(lib), line_length=length)

    assert_both_equal(run)


@settings(max_examples=15, deadline=None)
@given(
    network=graphs(steps=4) | stacks(),
    wrapped=st.booleans(),
    frozen=st.lists(st.booleans(), min_size=9, max_size=9),
    length=st.none() | st.integers(48, 120),
    positions=st.none() | st.lists(st.floats(0.12, 0.3), min_size=4, max_size=4),
    flags=st.tuples(st.booleans(), st.booleans()),
    part=st.none() | st.tuples(*[st.sampled_from(["dense", ".*_1", "input", "merge", "s"])] * 2),
)
def test_the_summary_of_a_graph_equals_keras_character_for_character(
    network, wrapped, frozen, length, positions, flags, part
):
    def run(lib):
        model = network.build(lib)
        if wrapped:  # in an outer model, which calls it twice if it has one input
            inputs = [lib.Input((WIDTH,)), lib.Input((WIDTH,))]
            outputs = [model(x) for x in inputs] if network.inputs == 1 else model(inputs)
            model = lib.Model(inputs, outputs)
        for layer, freeze in zip(model.layers, frozen, strict=False):
            layer.trainable = not freeze
        options = {"expand_nested": flags[0], "show_trainable": flags[1], "layer_range": part}
        ends = positions and [*np.cumsum(positions)][: 4 if "Connected" in summary(model) else 3]
        try:
            return summary(model, line_length=length, positions=ends, **options)
        except ValueError as error:
            return "layer" if "layer" in str(error) else "width"

    assert_both_equal(run)


@pytest.mark.parametrize("columns", [40, 60, 80, 92, 93, 200])
def test_the_default_width_of_a_summary_equals_keras(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert_both_equal(lambda lib: summary(built_later(lib)))


@pytest.mark.parametrize("make", [*LINES, model_in_a_stack, stack_in_a_stack])
def test_the_summary_of_any_model_equals_keras(make):
    assert_both_equal(lambda lib: summary(make(lib)))


STEPS = ["compile", "predict", "evaluate", "train_on_batch", "fit", "again"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("step", STEPS)
def test_a_summary_counts_the_optimizers_variables_when_keras_does(run_eagerly, optimizer, step):
    x, y = numbers(0, ROWS, WIDTH), numbers(1, ROWS, 2)

    def run(lib):
        model = frozen(lib)
        options = {"loss": "mse", "run_eagerly": run_eagerly[lib]}
        model.compile(optimizer, **options)
        if step in ("evaluate", "fit"):
            getattr(model, step)(x, y, verbose=0)
        elif step == "train_on_batch":
            model.train_on_batch(x, y)
        elif step == "predict":
            model.predict(x, verbose=0)
        elif step == "again":
            model.fit(x, y, verbose=0)
            model.compile(optimizer, **options)
        return summary(model)

    assert_both_equal(run)


def test_a_summary_is_printed_unless_print_fn_is_given(capsys):
    def run(lib):
        model = built_later(lib)
        assert model.summary() is None
        return capsys.readouterr().out

    mine, theirs = in_both(run)
    assert mine == theirs
