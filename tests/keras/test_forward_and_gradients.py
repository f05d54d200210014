"""Outputs, losses and gradients compared with Keras; its gradients come from `jax.grad`."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from hypothesis import given, settings, strategies as st
from side_by_side import (
    SEEDS,
    WIDTH,
    Spec,
    Stack,
    assert_agree,
    assert_both_agree,
    give_weights,
    graphs,
    inputs_for,
    numbers,
    stacks,
)

import tinynet as tn

ROWS = 6
some = settings(max_examples=25, deadline=None)
many = settings(max_examples=40, deadline=None)


def value_and_gradient(lib: Any, f: Any, *arguments: Any) -> Any:
    """Return ``f(*arguments)`` and its gradient in each argument, by tinynet or by JAX."""
    places = tuple(range(len(arguments)))
    return (tn if lib is tn else jax).value_and_grad(f, places)(*arguments)


def weight_gradients(model: Any, loss: Any) -> tuple[Any, list[Any]]:
    """Return `loss` of a function that runs the model, and its gradient in each weight."""
    if isinstance(model, tn.Model):
        value = loss(model)
        value.backward()
        return value, [w.grad for w in model.weights]

    def stateless(values: Any) -> Any:
        return loss(lambda x: model.stateless_call(values, [], x)[0])

    return jax.value_and_grad(stateless)([w.value for w in model.weights])


# -- networks -------------------------------------------------------------------------------------

LOSSES = st.sampled_from(["MeanSquaredError", "MeanAbsoluteError"])
REDUCTIONS = st.sampled_from(["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"])


@many
@given(stacks() | graphs(), SEEDS, LOSSES, REDUCTIONS, st.booleans())
def test_any_network_gives_the_outputs_losses_and_gradients_of_keras(
    network, seed, loss, reduction, weighted
):
    x = inputs_for(network, seed, ROWS)
    y = numbers(seed + 1, ROWS, network.build(tn).output_shape[-1])
    weights = abs(numbers(seed + 2, ROWS)) if weighted else None

    def run(lib):
        model = network.build(lib)
        give_weights(model, seed)
        measure = getattr(lib.losses, loss)(reduction=reduction)
        return model(x), weight_gradients(model, lambda model: measure(y, model(x), weights))

    assert_both_agree(run)


TANH = Stack([Spec(WIDTH, "tanh", True)])


@some
@given(
    st.sampled_from([(4, WIDTH), (2, 5, WIDTH), (2, 1, 2, WIDTH), (0, WIDTH)]),
    st.sampled_from(["float32", "float64", "float16", "int64", "bool"]),
    SEEDS,
)
def test_inputs_of_any_rank_and_dtype_give_the_outputs_of_keras(shape, dtype, seed):
    x = (4 * numbers(seed, *shape)).astype(dtype)

    def run(lib):
        layer = TANH.layers[0].build(lib)
        layer.build((None, WIDTH))
        give_weights(layer, seed)
        outputs = layer(x)
        return outputs, str(np.asarray(outputs).dtype)

    assert_both_agree(run)


@some
@given(st.sampled_from([(5,), (5, 1), (5, 1, 1)]), st.booleans(), SEEDS)
def test_an_axis_of_length_one_more_or_less_is_adjusted_as_in_keras(shape, functional, seed):
    x = numbers(seed, *shape)

    def run(lib):
        if functional:
            entrance = lib.Input((1,))
            model = lib.Model(entrance, lib.layers.Dense(2)(entrance))
        else:
            model = lib.Sequential([lib.Input((1,)), lib.layers.Dense(2)])
        return model(x), model.predict(x, verbose=0), model.predict_on_batch(x)

    assert_both_agree(run, seed)


# -- activations ----------------------------------------------------------------------------------

POINTS = np.array([-200, -89, -7, -1, -1e-6, 0, 1e-6, 0.5, 1, 3, 7, 89, 200], "float32")


def agree_in_value_and_derivative(f, x, seed):
    """Assert that ``f(lib, x)`` and its pullback of a random cotangent agree."""
    ct = numbers(seed, *x.shape)

    def run(lib):
        _, (pulled,) = value_and_gradient(lib, lambda x: lib.ops.sum(f(lib, x) * ct), x)
        return f(lib, x), pulled

    assert_both_agree(run)


@some
@given(st.sampled_from(["linear", "sigmoid", "tanh", "relu", "softmax"]), SEEDS)
def test_activations_and_their_derivatives_equal_keras_from_minus_200_to_200(name, seed):
    points = np.random.default_rng(seed).permutation(POINTS)
    agree_in_value_and_derivative(lambda lib, x: lib.activations.get(name)(x), points, seed)


@some
@given(st.sampled_from([0.0, 0.25]), SEEDS)
def test_leaky_relu_and_its_derivative_equal_keras_also_at_zero(negative_slope, seed):
    def leaky(lib, x):
        return lib.activations.relu(x, negative_slope=negative_slope)

    agree_in_value_and_derivative(leaky, POINTS, seed)


@some
@given(
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([None, 6.0, 2.0]),
    st.sampled_from([0.0, 1.0]),
    SEEDS,
)
def test_relu_with_all_options_and_its_derivative_equal_keras_between_the_kinks(
    negative_slope, max_value, threshold, seed
):
    def relu(lib, x):
        return lib.activations.relu(x, negative_slope, max_value, threshold)

    agree_in_value_and_derivative(relu, POINTS + 0.25, seed)


@some
@given(st.sampled_from([0, 1, -1, (0, 1), (1, 2)]), SEEDS)
def test_softmax_over_any_axes_and_its_derivative_equal_keras(axis, seed):
    x = numbers(seed, 2, 3, 4)
    agree_in_value_and_derivative(lambda lib, x: lib.activations.softmax(x, axis), x, seed)


# -- losses ---------------------------------------------------------------------------------------

# Shapes of targets and of predictions, and of sample weights that fit their losses.
SHAPES = st.sampled_from(
    [
        *[((4, 1), (4, 1), w) for w in (None, (), (1,), (4,), (4, 1))],
        *[((4, 3), (4, 3), w) for w in (None, (), (1,), (4,), (4, 1))],
        *[((4,), (4, 1), w) for w in (None, (4,), (4, 1))],
        *[((4, 1), (4,), w) for w in (None, (4,), (4, 1))],
        *[((4, 2, 3), (4, 2, 3), w) for w in (None, (), (4, 1), (4, 2), (4, 2, 1))],
        *[((4, 2), (4, 2, 1), w) for w in (None, (4,), (4, 1))],
        *[((4, 2, 1), (4, 2), w) for w in (None, (4,), (4, 1))],
        ((4,), (4,), None),
    ]
)


@many
@given(LOSSES, SHAPES, REDUCTIONS | st.sampled_from([None, "none"]), SEEDS)
def test_loss_objects_and_their_gradients_equal_keras(name, shapes, reduction, seed):
    y, predictions = numbers(seed, *shapes[0]), numbers(seed + 1, *shapes[1])
    weights = None if shapes[2] is None else abs(numbers(seed + 2, *shapes[2]))

    def run(lib):
        loss = getattr(lib.losses, name)(reduction=reduction)

        def f(y, predictions):
            return lib.ops.sum(lib.ops.square(loss(y, predictions, weights)))

        return loss(y, predictions, weights), value_and_gradient(lib, f, y, predictions)

    assert_both_agree(run)


@some
@given(
    st.sampled_from(["mse", "MSE", "mae", "MAE", "mean_squared_error", "mean_absolute_error"]),
    SHAPES,
    st.sampled_from(["float32", "float64", "int32", "bool"]),
    SEEDS,
)
def test_loss_functions_by_any_name_return_the_values_per_sample_of_keras(
    name, shapes, dtype, seed
):
    y, predictions = (4 * numbers(seed, *shapes[0])).astype(dtype), numbers(seed + 1, *shapes[1])
    assert_both_agree(lambda lib: lib.losses.get(name)(y, predictions))


@some
@given(LOSSES, REDUCTIONS, st.sampled_from([(4,), (4, 1)]), SEEDS)
def test_sample_weights_that_are_all_zero_give_zero_loss_and_gradient(name, reduction, shape, seed):
    y, predictions = numbers(seed, 4, 3), numbers(seed + 1, 4, 3)

    def run(lib):
        loss = getattr(lib.losses, name)(reduction=reduction)
        zeros = np.zeros(shape, "float32")
        return value_and_gradient(lib, lambda p: loss(y, p, zeros), predictions)

    assert_both_agree(run)


@some
@given(SEEDS)
def test_a_custom_loss_is_weighted_and_reduced_but_its_shapes_are_not_aligned_as_in_keras(seed):
    y, predictions = numbers(seed, 4), numbers(seed + 1, 4, 1)

    def run(lib):
        class Cubic(lib.losses.Loss):
            def call(self, y_true, y_pred):
                return lib.ops.mean(lib.ops.abs(y_true - y_pred) ** 3, axis=-1)

        loss = Cubic()
        return loss.name, value_and_gradient(lib, lambda p: loss(y, p, y * y), predictions)

    assert_both_agree(run)


def test_the_gradient_of_an_absolute_error_of_zero_is_zero():
    """That of Keras on JAX is 1 or -1, on TensorFlow and PyTorch it is 0."""
    residuals = np.array([[0.0, 0.0], [0.0, 2.0]], "float32")
    grads = tn.grad(lambda p: tn.losses.MeanAbsoluteError(reduction="sum")(0 * residuals, p))
    assert_agree(grads(residuals), [[0.0, 0.0], [0.0, 0.5]])
