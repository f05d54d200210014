"""`stateless_call` and `stateless_apply` compared with Keras on the same numbers."""

import re
from typing import Any

import keras
import numpy as np
import pytest
from side_by_side import assert_agree, assert_both_agree, numbers

import tinynet as tn

X, Y = numbers(1, 12, 3), numbers(2, 12, 1)


def values(variables: Any) -> list[np.ndarray]:
    return [v.numpy() if hasattr(v, "numpy") else np.asarray(v) for v in variables]


def network(lib: Any) -> Any:
    """A model with frozen weights, a random layer, a regularizer and an activity regularizer."""
    layers = lib.layers
    frozen = layers.Dense(4, "tanh", name="frozen")
    frozen.trainable = False
    last = layers.Dense(1, kernel_regularizer="l2", activity_regularizer="l2")
    return lib.Sequential([lib.Input((3,)), frozen, layers.Dropout(0.5, seed=7), last])


@pytest.mark.parametrize("training", [False, True])
def test_outputs_new_states_and_losses_equal_those_of_keras(training):
    def run(lib: Any) -> Any:
        model = network(lib)
        weights = [2 * a for a in values(model.trainable_variables)]
        states = values(model.non_trainable_variables)
        found = model.stateless_call(weights, states, X, training=training, return_losses=True)
        outputs, new, losses = found
        return [np.array(outputs), values(new), sum(map(float, losses)), model.get_weights()]

    assert_both_agree(run)


def test_without_training_layers_act_as_keras_layers_do_by_default():
    def run(lib: Any) -> Any:
        model = network(lib)
        parts = values(model.trainable_variables), values(model.non_trainable_variables)
        outputs, new = model.stateless_call(*parts, X)
        return [np.array(outputs), values(new)]

    assert_both_agree(run)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"learning_rate": 0.1}),
        ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "clipnorm": 0.5}),
        ("Adam", {"learning_rate": 0.1, "amsgrad": True}),
        ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.1}),
        ("RMSprop", {"learning_rate": 0.1, "momentum": 0.5, "centered": True}),
        ("Adagrad", {"learning_rate": 0.1}),
        ("Nadam", {"learning_rate": 0.1}),
        ("Nadam", {"learning_rate": 0.1, "gradient_accumulation_steps": 2}),
        ("Adamax", {"learning_rate": 0.1, "use_ema": True, "ema_overwrite_frequency": 2}),
    ],
)
def test_optimizers_take_the_steps_of_keras_from_given_states(name, options):
    def run(lib: Any) -> Any:
        shapes = ((3, 2), (2,))
        weights = [lib.Variable(numbers(i, *shape)) for i, shape in enumerate(shapes)]
        optimizer = getattr(lib.optimizers, name)(**options)
        optimizer.build(weights)
        trained, state = values(weights), values(optimizer.variables)
        for step in range(3):
            grads = [numbers(step, *shape) for shape in shapes]
            trained, state = optimizer.stateless_apply(state, grads, trained)
            trained, state = values(trained), values(state)
        return [trained, state, values(weights)]

    assert_both_agree(run)


def test_both_refuse_an_unbuilt_model_and_lists_of_other_lengths():
    for lib in (tn, keras):
        unbuilt, built = lib.Sequential([lib.layers.Dense(1)]), network(lib)
        with pytest.raises(ValueError, match="built"):
            unbuilt.stateless_call([], [], X)
        weights, states = built.trainable_variables, built.non_trainable_variables
        with pytest.raises(ValueError, match="trainable_variables"):
            built.stateless_call(weights[1:], states, X)
        with pytest.raises(ValueError, match="non_trainable_variables"):
            built.stateless_call(weights, [], X)
        sgd = lib.optimizers.SGD(0.1)
        with pytest.raises(ValueError, match="build"):
            sgd.stateless_apply([], [], [])


def test_a_hand_written_loop_reaches_what_fit_reaches_in_keras():
    def fitted(lib: Any) -> Any:
        model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(4, "tanh"), lib.layers.Dense(1)])
        model.compile(lib.optimizers.Adam(0.05), "mse")
        model.fit(X, Y, batch_size=len(X), epochs=5, shuffle=False, verbose=0)
        return model.get_weights()

    def looped(lib: Any) -> Any:
        model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(4, "tanh"), lib.layers.Dense(1)])
        adam = lib.optimizers.Adam(0.05)
        adam.build(model.trainable_variables)

        def loss(weights: Any) -> Any:
            return tn.ops.mean((model.stateless_call(weights, [], X)[0] - Y) ** 2)

        weights, state = values(model.trainable_variables), values(adam.variables)
        for _ in range(5):
            weights, state = adam.stateless_apply(state, tn.grad(loss)(weights), weights)
        return values(weights)

    tn.utils.set_random_seed(0)
    mine = looped(tn)
    keras.utils.set_random_seed(0)
    assert_agree(mine, fitted(keras))


# -- all values of a model as a tree ---------------------------------------------------------------


def compiled(lib: Any) -> Any:
    layers = lib.layers.Dense(2, "tanh", name="first"), lib.layers.BatchNormalization(name="second")
    stack = [lib.Input((3,)), *layers, lib.layers.Dense(1, name="third")]
    model = lib.Sequential(stack, name="model")
    model.compile(lib.optimizers.Adam(0.1, name="adam"), "mse", metrics=["mae"])
    return model


def plain(tree: Any) -> Any:
    """Return a tree of arrays by sorted keys."""
    if not isinstance(tree, dict):
        return np.asarray(tree)
    return {key: plain(tree[key]) for key in sorted(tree)}


@pytest.mark.parametrize("value_format", ["backend_tensor", "numpy_array"])
def test_a_state_tree_is_that_of_keras_before_and_after_a_fit(value_format):
    def run(lib: Any) -> Any:
        model = compiled(lib)
        found = [plain(model.get_state_tree(value_format))]
        for call in (model.fit, model.evaluate):
            call(X, Y, batch_size=4, verbose=0)
            found.append(plain(model.get_state_tree(value_format)))
        return found

    assert_both_agree(run)


def test_a_state_tree_of_keras_continues_a_training():
    def run(lib: Any) -> Any:
        keras.utils.set_random_seed(1)
        theirs = compiled(keras)
        theirs.fit(X, Y, verbose=0, shuffle=False)
        model = compiled(lib)
        model.fit(X, Y, epochs=0, verbose=0)  # or Keras ignores the slots
        model.set_state_tree(theirs.get_state_tree("numpy_array"))
        return model.fit(X, Y, epochs=2, verbose=0, shuffle=False).history, model.get_weights()

    assert_both_agree(run)


def test_a_state_tree_does_not_change_with_the_model_and_restores_it():
    model = compiled(tn)
    model.fit(X, Y, verbose=0)
    before, weights = model.get_state_tree(), model.get_weights()
    model.fit(X, Y, verbose=0)
    other = compiled(tn)
    for each in (model, other):  # the other one has no slots and no metrics yet
        each.set_state_tree(before)
        assert_agree(each.get_weights(), weights)
        assert_agree(
            plain(each.get_state_tree())["optimizer_variables"],
            plain(before)["optimizer_variables"],
        )


WRONG_TREES = {
    "no dict": ([1.0], "state_tree: expected a dict"),
    "an unknown kind": ({"weights": {}}, "trainable_variables"),
    "an unknown path": ({"trainable_variables": {"nope": {"kernel": 1.0}}}, "nope/kernel"),
    "another shape": (
        {"trainable_variables": {"model": {"third": {"bias": [9.0], "kernel": [1.0, 2.0, 3.0]}}}},
        "shape (2, 1) of model/third/kernel",
    ),
}


@pytest.mark.parametrize("name", WRONG_TREES)
def test_a_state_tree_that_does_not_fit_is_refused_and_changes_nothing(name):
    model, (tree, words) = compiled(tn), WRONG_TREES[name]
    weights = model.get_weights()
    with pytest.raises(ValueError, match=re.escape(words)):
        model.set_state_tree(tree)
    assert_agree(model.get_weights(), weights)


def test_a_state_tree_needs_paths_that_differ_and_a_known_format():
    twins = [tn.layers.Dense(1, name="twin"), tn.layers.Dense(1, name="other")]
    model = tn.Model(i := tn.Input((1,)), twins[1](twins[0](i)))
    model.compile("sgd")
    twins[1].kernel.path = twins[0].kernel.path
    with pytest.raises(ValueError, match="layers of different names, received 'twin/kernel'"):
        model.get_state_tree()
    with pytest.raises(ValueError, match="value_format: expected 'backend_tensor'"):
        model.get_state_tree("jax")
