"""Activations, losses, regularizers and layers compared with Keras."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from side_by_side import SEEDS, assert_agree, assert_both_agree, in_both, numbers

import tinynet as tn
from tinynet.losses.lookup import resolve

some = settings(max_examples=6, deadline=None)
ROWS = 20
X, Y = numbers(0, ROWS, 4), numbers(1, ROWS, 2)


def value_and_gradient(lib: Any, f: Any, *arguments: Any) -> Any:
    """Return ``f(*arguments)`` and its gradient in the last argument."""
    place = len(arguments) - 1
    return (tn if lib is tn else jax).value_and_grad(f, place)(*arguments)


def parameters(thing: Any) -> dict[str, Any]:
    """Return the parameters of a callable and their defaults."""
    return {p.name: p.default for p in inspect.signature(thing).parameters.values()}


# -- activations ----------------------------------------------------------------------------------

ACTIVATIONS = [
    *("linear", "sigmoid", "tanh", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu"),
    *("swish", "softplus", "softsign", "mish", "exponential", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "log_sigmoid", "softmax", "log_softmax"),
]
POINTS = np.array([-1000, -200, -7, -3, -1, -1e-6, 0, 1e-6, 0.5, 1, 3, 6, 7, 80], "float32")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives_equal_keras_also_at_kinks_and_large_values(name):
    ct = numbers(0, *POINTS.shape)
    options = [{}, {"approximate": True}] if name == "gelu" else [{}]
    for given_ in options:

        def run(lib, given_=given_):
            f = getattr(lib.activations, name)
            slope = value_and_gradient(lib, lambda x: lib.ops.sum(f(x, **given_) * ct), POINTS)[1]
            name_of = lib.activations.serialize(lib.activations.get(name))
            return f(POINTS, **given_), slope, name_of

        assert_both_agree(run, rtol=2e-6)
    assert parameters(getattr(tn.activations, name)) == parameters(getattr(keras.activations, name))


# -- losses ---------------------------------------------------------------------------------------

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "mean_squared_error": [{}],
    "mean_absolute_percentage_error": [{}],
    "mean_squared_logarithmic_error": [{}],
    "log_cosh": [{}],
    "huber": [{}, {"delta": 0.3}],
    "hinge": [{}],
    "squared_hinge": [{}],
    "categorical_hinge": [{}],
    "kl_divergence": [{}],
    "poisson": [{}],
    "cosine_similarity": [{}, {"axis": 1}],
    "binary_focal_crossentropy": [
        {},
        {"from_logits": True, "gamma": 1.5},
        {"apply_class_balancing": True, "alpha": 0.7, "label_smoothing": 0.1},
    ],
    "binary_crossentropy": [
        {},
        {"label_smoothing": 0.2},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1, "axis": 0},
    ],
    "categorical_crossentropy": [
        {},
        {"label_smoothing": 0.2},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1},
    ],
    "sparse_categorical_crossentropy": [
        {},
        {"from_logits": True},
        {"ignore_class": 1},
        {"from_logits": True, "ignore_class": -1},
    ],
}
CASES = [(name, options) for name, several in OPTIONS.items() for options in several]
SHORT = {"mean_absolute_percentage_error": "MAPE", "mean_squared_logarithmic_error": "msle"}
SHORT |= {"binary_crossentropy": "bce", "mean_squared_error": "mse", "kl_divergence": "kld"}
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]


def class_of(name: str) -> str:
    return name.title().replace("_", "").replace("Kl", "KL")


def samples(name: str, options: dict[str, Any], seed: int) -> tuple[Any, Any]:
    """Return valid targets and predictions for a loss, some at the ends of their range."""
    rng = np.random.default_rng(seed)
    y_pred = numbers(seed, 5, 3)
    if name.startswith("sparse"):
        y_true = rng.integers(-1 if "ignore_class" in options else 0, 3, (5, 1))
    elif name.endswith(("crossentropy", "hinge", "kl_divergence")):
        y_true = rng.random((5, 3)).round().astype("float32")
    else:
        y_true = numbers(seed + 1, 5, 3)
    if name.endswith(("crossentropy", "kl_divergence", "poisson")) and not options.get(
        "from_logits"
    ):
        y_pred = rng.random((5, 3)).astype("float32")
        if name.endswith("crossentropy"):
            y_pred[0] = [1, 0, 0]
    return y_true, y_pred


@pytest.mark.parametrize(("name", "options"), CASES)
@some
@given(st.sampled_from(REDUCTIONS), st.booleans(), SEEDS)
def test_losses_and_their_gradients_equal_keras(name, options, reduction, weighted, seed):
    y_true, y_pred = samples(name, options, seed)
    weights = (
        abs(numbers(seed + 2, 5))[: 3 if options.get("axis") == 0 else 5] if weighted else None
    )

    def run(lib):
        kind = getattr(lib.losses, class_of(name))
        loss = kind(**options, reduction=reduction)

        def f(p):
            return lib.ops.sum(lib.ops.square(loss(y_true, p, weights)))

        function = getattr(lib.losses, name)
        return (
            function(lib.ops.convert_to_tensor(y_true), y_pred, **options),
            loss(y_true, y_pred, weights),
            value_and_gradient(lib, f, y_pred),
            loss.name,
            [getattr(loss, key) for key in options if key not in ("delta", "axis")],
        )

    assert_both_agree(run)


@pytest.mark.parametrize("name", OPTIONS)
def test_losses_have_the_signatures_and_names_of_keras(name):
    kind = class_of(name)
    for called in (name, kind):
        mine, theirs = getattr(tn.losses, called), getattr(keras.losses, called)
        assert parameters(mine) == parameters(theirs)
    mine, theirs = (getattr(lib.losses, kind)().get_config() for lib in (tn, keras))
    assert {key: mine[key] for key in theirs} == theirs  # Keras omits delta and axis
    assert getattr(keras.losses, kind)(**mine).get_config() == theirs
    for identifier in (name, kind, SHORT.get(name, name)):
        found, expected = (lib.losses.get(identifier) for lib in (tn, keras))
        assert type(found).__name__ == type(expected).__name__


def test_crossentropy_clips_probabilities_in_float32_as_keras():
    ends = [[0.0], [1.0], [0.0], [1.0]], np.array([[0.0], [0.0], [1.0], [1.0]], "float32")
    targets = np.array(ends[0], "float32")
    found = in_both(lambda lib: np.asarray(lib.losses.binary_crossentropy(targets, ends[1])))
    assert_agree(*found, rtol=1e-7)


@pytest.mark.parametrize("target", [(6,), (6, 1), (6, 3)])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("identifier", ["crossentropy", "ce"])
def test_the_metric_crossentropy_is_the_one_that_keras_chooses(identifier, width, target):
    if target == (6, 3) and width == 1:
        return

    def run(lib):
        if lib is keras:
            from keras.src.trainers.compile_utils import get_loss

            return get_loss(identifier, np.ones(target), np.ones((6, width))).fn.__name__
        return resolve(identifier, target, (6, width)).function.__name__

    assert_both_agree(run)


CLASSES = np.random.default_rng(1).integers(0, 3, ROWS)


@pytest.mark.parametrize(
    ("targets", "width", "loss"),
    [
        ((CLASSES > 0).astype("float32")[:, None], 1, "crossentropy"),
        (np.eye(3, dtype="float32")[CLASSES], 3, "ce"),
        (CLASSES, 3, "crossentropy"),
    ],
    ids=["binary", "categorical", "sparse"],
)
def test_training_on_crossentropy_equals_keras(run_eagerly, targets, width, loss):
    def run(lib):
        last = lib.layers.Dense(width, "softmax" if width > 1 else "sigmoid")
        model = lib.Sequential([lib.Input((4,)), last])
        model.compile("sgd", loss, run_eagerly=run_eagerly[lib])
        history = model.fit(X, targets, batch_size=10, epochs=3, verbose=0)
        weights = abs(numbers(3, ROWS))
        found = model.evaluate(X, targets, batch_size=10, sample_weight=weights, verbose=0)
        return history.history, found, model.get_weights()

    assert_both_agree(run)


# -- regularizers ---------------------------------------------------------------------------------

REGULARIZERS: dict[str, Any] = {
    "l1": lambda lib: lib.regularizers.L1(0.1),
    "l2": lambda lib: lib.regularizers.l2(0.1),
    "l1_l2": lambda lib: lib.regularizers.L1L2(l1=0.1, l2=0.2),
    "orthogonal rows": lambda lib: lib.regularizers.OrthogonalRegularizer(0.2),
    "orthogonal columns": lambda lib: lib.regularizers.OrthogonalRegularizer(0.2, "columns"),
    "a name": lambda lib: "l2",
    "a function": lambda lib: lambda x: 0.1 * lib.ops.sum(lib.ops.square(x)),
}


@pytest.mark.parametrize("name", REGULARIZERS)
def test_networks_with_regularizers_train_as_in_keras(run_eagerly, name):
    def run(lib):
        regularizer = REGULARIZERS[name](lib)
        # At 0, the derivative of L1 is 0 in tinynet, TensorFlow and PyTorch, and 1 in JAX. So the
        # biases must not start at 0.
        options = {
            "kernel_regularizer": regularizer,
            "bias_regularizer": None if "orthogonal" in name else regularizer,
            "bias_initializer": "ones",
        }
        # With two activity regularizers, Keras sometimes loses one, because it identifies layers by
        # ids that are reused.
        model = lib.Sequential(
            [
                lib.Input((4,)),
                lib.layers.Dense(3, "tanh", **options, activity_regularizer=regularizer),
                lib.layers.Dense(2, **options, trainable=False),
            ]
        )
        model.compile("adam", "mse", run_eagerly=run_eagerly[lib], loss_weights=[0.5])
        history = model.fit(X, Y, batch_size=8, epochs=3, validation_split=0.2, verbose=0)
        found = model.evaluate(X, Y, batch_size=8, verbose=0), model.train_on_batch(X, Y)
        model(X)
        return history.history, found, [float(v) for v in model.losses], model.get_weights()

    assert_both_agree(run)


@pytest.mark.parametrize("name", [n for n in REGULARIZERS if n != "a function"])
def test_regularizers_have_the_configs_and_signatures_of_keras(name):
    def run(lib):
        regularizer = lib.regularizers.get(REGULARIZERS[name](lib))
        layer = lib.layers.Dense(2, kernel_regularizer=regularizer, activity_regularizer="l1")
        again = lib.layers.Dense.from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
        assert lib.regularizers.get(lib.regularizers.serialize(regularizer)) is not None
        config = layer.get_config()
        assert list(config)[:4] == ["name", "trainable", "dtype", "activity_regularizer"]
        return lib.regularizers.serialize(regularizer), config["kernel_regularizer"], repr(config)

    mine, theirs = in_both(run)
    assert mine == theirs
    for each in ("L1", "L2", "L1L2"):
        mine, theirs = (getattr(lib.regularizers, each) for lib in (tn, keras))
        assert parameters(mine) == parameters(theirs)


def test_losses_added_by_layers_are_minimized_as_in_keras(run_eagerly):
    def run(lib):
        class Watched(lib.layers.Layer):
            def call(self, inputs):
                self.add_loss(0.1 * lib.ops.sum(lib.ops.square(inputs)))
                return inputs

        stack = [lib.Input((4,)), lib.layers.Dense(4), Watched(), lib.layers.Dense(2)]
        model = lib.Sequential(stack)
        model.compile("sgd", "mse", run_eagerly=run_eagerly[lib])
        history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0)
        return history.history, model.evaluate(X, Y, verbose=0), model.get_weights()

    assert_both_agree(run)


# -- layers ---------------------------------------------------------------------------------------

MADE: dict[str, list[dict[str, Any]]] = {
    "Activation": [{"activation": "gelu"}, {"activation": None}],
    "Add": [{}],
    "Average": [{}],
    "Concatenate": [{}, {"axis": 1}],
    "Dropout": [{"rate": 0.5}, {"rate": 0.25, "noise_shape": (None, 1), "seed": 3, "name": "d"}],
    "ELU": [{}, {"alpha": 0.5}],
    "Flatten": [{}],
    "LeakyReLU": [{}, {"negative_slope": 0.1}],
    "Maximum": [{}],
    "Minimum": [{}],
    "Multiply": [{}],
    "Normalization": [
        {},
        {"axis": (-1, 1)},
        {"axis": None},
        {"mean": 2.0, "variance": 4.0, "invert": True},
        {"mean": [1.0, 2.0, 3.0], "variance": [1.0, 4.0, 9.0]},
    ],
    "ReLU": [{}, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}],
    "Rescaling": [{"scale": 2.0}, {"scale": [1.0, 2.0, 3.0], "offset": 1.0}],
    "Reshape": [{"target_shape": (3, 2)}, {"target_shape": (-1,)}],
    "Softmax": [{}, {"axis": 1}, {"axis": (1, 2)}],
    "Subtract": [{}],
}
MERGES = ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract")
LAYERS = [(name, options) for name, several in MADE.items() for options in several]


@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_layers_have_the_outputs_gradients_configs_and_weights_of_keras(name, options):
    x, ct = numbers(0, 5, 2, 3), numbers(1, 5, 2, 3)

    def run(lib):
        layer = getattr(lib.layers, name)(**options)
        made = layer.get_config()

        def f(x):
            inputs = [x, 2 * x[:, :1]] if name in MERGES[:2] else [x, x * x]
            outputs = layer(inputs if name in MERGES else x)
            return lib.ops.sum(lib.ops.square(lib.ops.reshape(outputs, (5, -1, 3)))) + lib.ops.sum(
                outputs[:, :2] * lib.ops.reshape(ct, (5, 6))[0, 0]
            )

        entrance = lib.Input((2, 3))
        placed = layer([entrance, entrance] if name in MERGES else entrance)
        value = value_and_gradient(lib, f, x)
        weights = [(w.name, w.path, w.shape, w.dtype, w.trainable) for w in layer.weights]
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config() == made
        return value, placed.shape, dict(sorted(made.items())), weights

    assert_both_agree(run)
    mine, theirs = (parameters(getattr(lib.layers, name)) for lib in (tn, keras))
    assert mine == theirs
    if name in MERGES:
        mine, theirs = (parameters(getattr(lib.layers, name.lower())) for lib in (tn, keras))
        assert mine == theirs


@some
@given(st.sampled_from([-1, 1, None, (1, 2), (-1, 1)]), SEEDS)
def test_normalization_adapts_as_in_keras(axis, seed):
    x = 10 * numbers(seed, 7, 3, 2) + 50

    def run(lib):
        layer = lib.layers.Normalization(axis)
        layer.adapt(x)
        return layer.mean, layer.variance, layer.get_weights(), layer(x)

    assert_both_agree(run, rtol=1e-4)


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([0.1, 0.5, 0.99]),
    st.sampled_from([(2, 3, 5), (40, 50)]),
    st.sampled_from([None, (None, 1), (1, None)]),
    st.none() | st.integers(0, 2**31),
    SEEDS,
)
def test_dropout_masks_equal_keras_bit_for_bit(rate, shape, noise, seed, at_first):
    noise = noise and (*noise, *(None for _ in shape[2:]))
    x = numbers(at_first, *shape)

    def run(lib):
        layer = lib.layers.Dropout(rate, noise, seed)
        drawn = [np.asarray(layer(x, training=True)) for _ in range(3)]
        state = np.asarray(layer.seed_generator.state)
        return [*drawn, np.asarray(layer(x))], state.tolist()

    (found, mine), (expected, theirs) = in_both(run, at_first)
    assert mine == theirs
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one != 0, other != 0)
        np.testing.assert_allclose(one, other, 1.2e-7)  # XLA divides differently


def everything_in_one(lib: Any) -> Any:
    """Return a network of all kinds of layers, with a normalization that is adapted."""
    x = lib.Input((4,))
    normalize = lib.layers.Normalization()
    normalize.adapt(X)
    a = lib.layers.Rescaling(0.5, offset=[1.0, 2.0, 3.0, 4.0])(normalize(x))
    b = lib.layers.Dense(4, "gelu", kernel_regularizer="l2", activity_regularizer="l1")(a)
    c = lib.layers.add([lib.layers.Dropout(0.3)(b), a])
    d = lib.layers.Flatten()(lib.layers.Reshape((2, -1))(lib.layers.Dropout(0.2, (None, 1))(b)))
    e = lib.layers.LeakyReLU()(lib.layers.ELU()(lib.layers.ReLU(max_value=2.0)(a)))
    f = lib.layers.Softmax()(lib.layers.maximum([a, lib.layers.Activation("silu")(b)]))
    return lib.Model(x, lib.layers.Dense(2)(lib.layers.Concatenate()([c, d, e, f])))


def test_a_network_of_all_layers_trains_from_a_seed_as_in_keras(run_eagerly):
    def run(lib):
        model = everything_in_one(lib)
        model.compile(lib.optimizers.AdamW(0.01), lib.losses.Huber(), run_eagerly=run_eagerly[lib])
        history = model.fit(X, Y, batch_size=8, epochs=4, validation_split=0.2, verbose=0)
        printed: list[str] = []
        model.summary(print_fn=printed.append)
        return history.history, model.get_weights(), model.predict(X, verbose=0), printed

    assert_both_agree(run, seed=3)


@pytest.mark.parametrize("from_keras", [True, False])
def test_a_network_of_all_layers_is_loaded_by_the_other_library(from_keras, tmp_path):
    here, there = (keras, tn) if from_keras else (tn, keras)
    model = everything_in_one(here)
    model.compile("adam", here.losses.Huber())
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    other = there.models.load_model(tmp_path / "model.keras")
    expected = np.asarray(model.predict(X, verbose=0))
    assert_agree(np.asarray(other.predict(X, verbose=0)), expected)
    assert_agree(other.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0))
    other.fit(X, Y, epochs=2, verbose=0)  # with dropout, from another seed
    assert other.layers[-1].get_weights()[0].tolist() != model.layers[-1].get_weights()[0].tolist()


WRONG: dict[str, Any] = {
    "a rate above 1": lambda lib: lib.layers.Dropout(1.5),
    "a rate below 0": lambda lib: lib.layers.Dropout(-0.5),
    "a noise shape of words": lambda lib: lib.layers.Dropout(0.5, noise_shape="ab"),
    "a seed that is no integer": lambda lib: lib.layers.Dropout(0.5, seed=1.5),
    "a mean alone": lambda lib: lib.layers.Normalization(mean=1.0),
    "merging one": lambda lib: lib.layers.Add()(X),
    "merging what does not fit": lambda lib: lib.layers.Add()([X, X[:, :3]]),
    "subtracting three": lambda lib: lib.layers.Subtract()([X, X, X]),
    "joining what does not fit": lambda lib: lib.layers.Concatenate()([X, X[:3]]),
    "reshaping to what does not fit": lambda lib: lib.layers.Reshape((3,))(lib.Input((4,))),
    "a negative slope": lambda lib: lib.layers.LeakyReLU(-1.0),
    "a negative factor": lambda lib: lib.regularizers.L2(-1.0),
    "an unknown regularizer": lambda lib: lib.layers.Dense(1, kernel_regularizer="l3"),
    "AdamW without decay": lambda lib: lib.optimizers.AdamW(weight_decay=None),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_refused_with_the_error_types_of_keras(case):
    for lib in (keras, tn):
        with pytest.raises(ValueError, match=r"\w"):
            WRONG[case](lib)
