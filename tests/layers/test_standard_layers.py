"""All layers except Dense: what they compute, refuse and remember."""

import copy
from typing import Any

import numpy as np
import pytest
from helpers import (
    assert_all_same,
    assert_close,
    assert_same,
    everything,
    normal,
    over,
    refused,
)
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SEEDS

import tinynet as tn
from tinynet import layers, ops
from tinynet.layers import Concatenate, Dense, Dropout, Flatten, Input, Normalization, Rescaling

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=3)

# Layers, the NumPy function that each computes, and the input shape without the batch axis.
LAYERS: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "ReLU": (lambda: layers.ReLU(6.0, 0.1), lambda x: np.where(x < 0, 0.1 * x, x), (3,)),
    "LeakyReLU": (layers.LeakyReLU, lambda x: np.where(x < 0, 0.3 * x, x), (2, 3)),
    "ELU": (lambda: layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x)), (3,)),
    "Softmax": (
        lambda: layers.Softmax(axis=(1, 2)),
        lambda x: np.exp(x) / np.exp(x).sum((1, 2), keepdims=True),
        (2, 3),
    ),
    "Activation": (lambda: layers.Activation("tanh"), np.tanh, (3,)),
    "Flatten": (Flatten, lambda x: x.reshape(len(x), -1), (2, 3, 2)),
    "Flatten of numbers": (Flatten, lambda x: x.reshape(-1, 1), ()),
    "Reshape": (lambda: layers.Reshape((3, -1)), lambda x: x.reshape(-1, 3, 4), (2, 6)),
    "Reshape to a number": (lambda: layers.Reshape(()), lambda x: x.reshape(-1), (1, 1)),
    "Rescaling": (lambda: Rescaling(2.0, [1.0, 2.0]), lambda x: 2 * x + [1, 2], (3, 2)),
    "Dropout": (lambda: Dropout(0.9), lambda x: x, (3,)),
}


@over(LAYERS, "case")
@given(st.integers(1, 3), SEEDS)
def test_a_layer_computes_its_function_on_arrays_and_in_models(case, rows, seed):
    make, function, shape = case
    layer, x = make(), normal(seed, rows, *shape)
    assert_close(layer(x), function(x.astype(float)), 1e-6, 1e-7)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert_same(again(x), layer(x))
    entrance = Input(shape)
    model = tn.Model(entrance, again(entrance))
    assert model.output_shape == (None, *function(np.ones((1, *shape))).shape[1:])
    assert_same(model.predict(x, verbose=0), layer(x))
    assert layer.weights == []


REFUSED = {
    "ReLU of a negative slope": (lambda: layers.ReLU(negative_slope=-1.0), "negative_slope"),
    "ReLU of no threshold": (lambda: layers.ReLU(threshold=None), "threshold"),
    "LeakyReLU of a negative slope": (lambda: layers.LeakyReLU(-0.1), "negative_slope"),
    "a shape of one number": (lambda: Input(3), "received shape=3. Write (3,)."),
    "a symbolic loss": (lambda: Dense(1).add_loss([Input(())]), "in its `call`, received [<Keras"),
    "Flatten of channels first": (lambda: Flatten("channels_first"), "channels_first"),
    "Reshape of two unknowns": (lambda: layers.Reshape((-1, -1)), "(-1, -1)"),
    "Reshape of words": (lambda: layers.Reshape(("a",)), "a"),
    "Reshape that does not fit": (lambda: layers.Reshape((4,))(np.ones((2, 3))), "(4,)"),
    "Reshape by a part": (lambda: layers.Reshape((-1, 2))(np.ones((2, 3))), "(-1, 2)"),
    "Dropout of more than all": (lambda: Dropout(1.5), "rate=1.5"),
    "Dropout of words": (lambda: Dropout("half"), "rate: expected a number, received 'half'"),
    "Dropout of a shape of words": (lambda: Dropout(0.5, "ab"), "noise_shape=ab"),
    "Dropout of a shape of nothing": (lambda: Dropout(0.5, (0, None)), "(0, None)"),
    "Dropout of no seed": (lambda: Dropout(0.5, seed=1.5), "1.5"),
    "a mean alone": (lambda: Normalization(mean=1.0), "variance=None"),
    "a variance of another shape": (lambda: Normalization(mean=1.0, variance=[2.0]), "[2.0]"),
    "a mean of too many axes": (lambda: Normalization(mean=[[1.0]], variance=[[1.0]]), "(1, 1)"),
    "an axis that is not there": (lambda: Normalization(axis=3)(np.ones((2, 2))), "(3,)"),
    "an axis of unknown length": (lambda: Normalization().build((None, None)), "None"),
    "adapting to nothing": (lambda: Normalization().adapt(np.ones((0, 2))), "adapt"),
    "adapting to no batches": (lambda: Normalization().adapt(iter([])), "adapt"),
    "adapting to words": (lambda: Normalization().adapt(np.array(["a"])), "adapt"),
    "adapting what has a mean": (
        lambda: Normalization(mean=1.0, variance=2.0).adapt(np.ones((2, 2))),
        "mean=1.0",
    ),
    "merging one tensor": (lambda: layers.Add()(np.ones((2, 2))), "list"),
    "merging shapes that differ": (
        lambda: layers.Add()([np.ones((2, 2)), np.ones((2, 3))]),
        "(2, 3)",
    ),
    "merging batches that differ": (
        lambda: layers.Multiply()([np.ones((2, 2)), np.ones((3, 2))]),
        "(3, 2)",
    ),
    "subtracting three": (lambda: layers.subtract([np.ones((1, 1))] * 3), "exactly 2"),
    "joining shapes that differ": (
        lambda: Concatenate()([np.ones((2, 2)), np.ones((3, 2))]),
        "(3, 2)",
    ),
    "joining ranks that differ": (
        lambda: Concatenate()([np.ones((2, 2)), np.ones((2, 2, 2))]),
        "(2, 2, 2)",
    ),
    "no groups": (lambda: layers.GroupNormalization(0), "groups"),
    "a group and a half": (lambda: layers.GroupNormalization(1.5), "groups"),
    "groups that do not divide": (
        lambda: layers.GroupNormalization(4)(np.ones((2, 6))),
        "groups: expected a divisor of 6, received 4",
    ),
    "sharing the batch axis": (lambda: layers.PReLU(shared_axes=0)(np.ones((2, 2))), "axes from 1"),
    "sharing no axis": (lambda: layers.PReLU(shared_axes=[2])(np.ones((2, 2))), "axes from 1 to 1"),
    "slopes of another width": (lambda: sloped(np.ones((2, 1))), "shape (3,), received (1,)"),
    "slopes of another rank": (lambda: sloped(np.ones((2, 4, 3))), "received (4, 3)"),
    "joining along no axis": (lambda: Concatenate(2)([np.ones((2, 2))] * 2), "axis 2"),
}


def sloped(x: np.ndarray) -> Any:
    layer = layers.PReLU()
    layer.build((None, 3))
    return layer(x)


@over(REFUSED, "case")
def test_invalid_arguments_are_refused_by_name(case):
    make, word = case
    with refused(ValueError, word):
        make()


def test_a_given_output_shape_of_lambda_holds_for_several_inputs():
    def distance(pair):
        return ops.sum(ops.square(pair[0] - pair[1]), axis=1, keepdims=True)

    def of_dict(parts):
        return distance([parts["a"], parts["b"]])

    a, b = tn.Input((3,)), tn.Input((3,))
    for function, inputs in ((distance, [a, b]), (of_dict, {"a": a, "b": b})):
        assert layers.Lambda(function, output_shape=(1,))(inputs).shape == (None, 1)


# -- merging ---------------------------------------------------------------------------------------

MERGED = {
    "add": lambda xs: sum(xs),
    "multiply": lambda xs: np.prod(np.broadcast_arrays(*xs), 0),
    "average": lambda xs: sum(xs) / len(xs),
    "maximum": lambda xs: np.max(np.broadcast_arrays(*xs), 0),
    "minimum": lambda xs: np.min(np.broadcast_arrays(*xs), 0),
    "subtract": lambda xs: xs[0] - xs[1],
}


@pytest.mark.parametrize("name", MERGED)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=3, min_dims=1, max_dims=2, max_side=3),
    st.integers(1, 3),
    SEEDS,
)
def test_merging_is_elementwise_and_lower_ranks_broadcast_after_the_batch_axis(
    name, drawn, rows, seed
):
    shapes = drawn.input_shapes[: 2 if name == "subtract" else 3]
    xs = [normal(seed + i, rows, *s, dtype="float64") for i, s in enumerate(shapes)]
    rank = max(x.ndim for x in xs)
    expected = MERGED[name]([x.reshape(rows, *(1,) * (rank - x.ndim), *x.shape[1:]) for x in xs])
    merge = getattr(layers, name)
    assert_close(merge(xs), expected)
    entrances = [Input(s) for s in shapes]
    model = tn.Model(entrances, merge(entrances, name="merged"))
    assert model.output_shape == (None, *expected.shape[1:])
    assert model.layers[-1].name == "merged"
    assert_close(model(xs), expected, 1e-6, 1e-7)
    weights = normal(seed, *expected.shape, dtype="float64")
    tn.check_grads(lambda *xs: (merge(list(xs)) * weights).sum(), tuple(xs))


@given(hnp.array_shapes(min_dims=2, max_dims=4, max_side=3), st.data(), SEEDS)
def test_concatenation_is_numpys(shape, data, seed):
    axis = data.draw(st.integers(-len(shape) + 1, len(shape) - 1).filter(bool))
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    xs = []
    for i, length in enumerate(lengths):
        each = list(shape)
        each[axis] = length
        xs.append(normal(seed + i, *each))
    expected = np.concatenate(xs, axis)
    assert_same(layers.concatenate(xs, axis=axis), expected)
    entrances = [Input(x.shape[1:]) for x in xs]
    model = tn.Model(entrances, Concatenate(axis)(entrances))
    assert model.output_shape == (None, *expected.shape[1:])
    assert_same(model.predict(xs, verbose=0), expected)


def test_unknown_lengths_stay_unknown():
    x, y = Input((None, 3)), Input((4, 3))
    assert layers.add([x, y]).shape == (None, None, 3)
    assert layers.concatenate([x, y], 1).shape == (None, None, 3)
    assert layers.concatenate([x, y]).shape == (None, 4, 6)
    assert Flatten()(x).shape == (None, None)
    assert layers.Reshape((-1, 3))(x).shape == (None, None, 3)
    assert layers.Reshape((2, -1))(y).shape == (None, 2, 6)


# -- normalization ---------------------------------------------------------------------------------

AXES = st.sampled_from([-1, 1, None, (1, 2), (-1, 1), ()])


@given(AXES, st.sampled_from(["float32", "float64", "int64"]), st.booleans(), SEEDS)
def test_normalized_data_have_mean_0_and_variance_1_and_can_be_inverted(axis, dtype, batched, seed):
    x = (10 * normal(seed, 7, 3, 2) + 50).astype(dtype)
    layer = Normalization(axis=axis)
    layer.adapt([x[:3], x[3:6], x[6:]] if batched else x)
    kept = [i % 3 for i in layer.axis]
    reduced = tuple(i for i in range(3) if i not in kept)
    mean, var = x.mean(reduced, keepdims=True), x.var(reduced, keepdims=True)
    assert_close(layer.mean, mean, 1e-5)
    assert_close(layer.variance, var, 1e-4)
    assert_close(layer(x), (x - mean) / np.sqrt(var), 1e-4, 1e-4)
    back = Normalization(axis=axis, invert=True)
    back.adapt(x)
    assert_close(back(layer(x)), x, 1e-4, 1e-3)
    assert [w.name for w in layer.weights] == ["mean", "variance", "count"]
    assert not layer.trainable_weights


@given(st.sampled_from([(2.0, 9.0), ([1.0, 2.0], [4.0, 9.0])]), st.booleans(), SEEDS)
def test_mean_and_variance_may_be_constructor_arguments(given_, invert, seed):
    mean, variance = given_
    x = normal(seed, 5, 2)
    layer = Normalization(mean=mean, variance=np.array(variance), invert=invert)
    expected = x * np.sqrt(variance) + mean if invert else (x - mean) / np.sqrt(variance)
    assert_close(layer(x), expected, 1e-5, 1e-6)
    assert layer.weights == []
    again = Normalization.from_config(layer.get_config())
    assert_same(again(x), layer(x))


def test_a_constant_feature_is_not_divided_by_0():
    layer = Normalization()
    layer.adapt(np.full((4, 1), 3.0))
    assert layer(np.full((4, 1), 3.0)).numpy().tolist() == [[0.0]] * 4


def test_adapt_accepts_lists_tensors_and_batches_with_targets():
    x = np.array([[1.0, 2.0], [3.0, 6.0]])
    for data in (x.tolist(), tn.tensor(x), [(x, x)], ((part, 0) for part in (x[:1], x[1:]))):
        layer = Normalization()
        layer.adapt(data)
        assert_close(layer.mean, [[2.0, 4.0]], 1e-6)
        assert_close(layer.variance, [[1.0, 4.0]], 1e-6)
    with refused(ValueError, "adapt", "(1, 3)"):
        layer.adapt(np.ones((1, 3)))
    with refused(ValueError, "adapt", "(3,)"):
        layer.adapt(np.ones(3))


@pytest.mark.parametrize("eager", [True, False])
def test_a_compiled_model_sees_a_later_adapt(eager):
    layer = Normalization()
    model = tn.Sequential([Input((1,)), layer])
    model.compile("sgd", "mse", run_eagerly=eager)
    x = np.array([[0.0], [2.0]], "float32")
    assert model.predict(x, verbose=0).tolist() == [[0], [2]]
    layer.adapt(x)
    assert model.predict(x, verbose=0).tolist() == [[-1], [1]]
    model.set_weights([[4.0], [4.0], 0])
    assert model.predict(x, verbose=0).tolist() == [[-2], [-1]]
    assert model.evaluate(x, x, verbose=0) == pytest.approx((4 + 9) / 2)


# -- dropout ---------------------------------------------------------------------------------------


@given(st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_dropout_drops_a_share_and_scales_the_rest(rate, seed):
    x = np.ones((40, 50), "float32")
    y = Dropout(rate, seed=seed)(x, training=True).numpy()
    kept = y != 0
    assert_same(y[kept], np.full(kept.sum(), np.float32(1) / np.float32(1 - rate)))
    spread = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(kept.mean() - (1 - rate)) < 5.5 * spread


def test_each_training_call_draws_a_new_mask_and_inference_draws_none():
    x = np.ones((4, 50), "float32")
    first, second = (Dropout(0.5, seed=3) for _ in range(2))
    drawn = []
    for _ in range(3):
        drawn.append(first(x, training=True).numpy().tobytes())
        assert_same(first(x), x)
        assert second(x, training=True).numpy().tobytes() == drawn[-1]
    assert len(set(drawn)) == 3
    assert first.seed_generator.state.numpy().tolist() == [3, 3]
    assert first.variables == [first.seed_generator.state]
    assert first.non_trainable_variables == first.variables
    assert first.weights == first.non_trainable_weights == []
    other = Dropout(0.5, seed=3)
    other(x, training=True)
    assert copy.deepcopy(other)(x, training=True).numpy().tobytes() == drawn[1]


def test_rates_0_and_1_draw_nothing():
    x = np.ones((2, 3), "float32")
    assert_same(Dropout(0.0)(x, training=True), x)
    assert Dropout(0).variables == []
    assert_same(Dropout(1, seed=0)(x, training=True), 0 * x)


@pytest.mark.parametrize("noise", [(None, 1), (1, None), (None, None), (1, 1), [None, 1]])
def test_elements_that_share_a_draw_are_dropped_together(noise):
    x = np.ones((30, 20), "float32")
    layer = Dropout(0.5, noise_shape=noise, seed=1)
    y = layer(x, training=True).numpy()
    for axis, length in enumerate(noise):
        if length == 1:
            assert_same(y, np.broadcast_to(y.take([0], axis), y.shape))
    assert len(np.unique(y)) == 2 or noise == (1, 1)
    assert layer.get_config()["noise_shape"] == tuple(noise)


def test_gradients_pass_exactly_where_inputs_pass():
    x = tn.tensor(np.ones((5, 5), "float32"), requires_grad=True)
    y = Dropout(0.4, seed=2)(x, training=True)
    y.sum().backward()
    assert_same(x.grad, y.numpy())


def dropping() -> tn.Model:
    tn.utils.set_random_seed(5)
    stack = [Input((3,)), Dense(8, "relu"), Dropout(0.4), Dense(8), Dropout(0.2), Dense(1)]
    return tn.Sequential(stack)


def test_compiled_steps_draw_the_same_masks_as_eager_steps():
    x, y = normal(0, 20, 3), normal(1, 20, 1)
    found = []
    for eager in (True, False):
        model = dropping()
        model.compile("adam", "mse", run_eagerly=eager)
        history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.2, verbose=0)
        seeds = [layer.seed_generator.state for layer in (model.layers[1], model.layers[3])]
        assert [int(seed.numpy()[1]) for seed in seeds] == [6, 6]  # two batches, three times
        model.train_on_batch(x, y)
        model.predict(x, verbose=0)
        assert [int(seed.numpy()[1]) for seed in seeds] == [7, 7]
        found.append([*history.history.values(), *everything(model)])
    assert_all_same(*found)


def test_jit_refuses_a_layer_that_draws():
    layer = Dropout(0.5)
    with refused(TypeError, "assign", "seed_generator"):
        tn.jit(lambda x: layer(x, training=True))(np.ones((2, 2)))
    assert_same(tn.jit(lambda x: layer(x))(np.ones((2, 2))), np.ones((2, 2)))


def test_a_seed_fixes_the_draws_and_no_seed_takes_one_from_python():
    tn.utils.set_random_seed(9)
    first = Dropout(0.5).seed_generator.state.numpy()
    tn.utils.set_random_seed(9)
    assert first.tolist() == [tn.random._draw_seed(), 0]


def test_a_users_layer_can_draw_bits_from_a_seed_generator():
    class Noise(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.generators = {"noise": tn.random.SeedGenerator(4)}

        def call(self, inputs: Any, training: bool = False) -> Any:
            bits = self.generators["noise"].bits(inputs.shape)
            return inputs + ops.cast(bits, "float32") / 2.0**32

    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 2), "float32")
    found = []
    for eager in (True, False):
        model = tn.Sequential([Input((2,)), Noise()])
        model.compile("sgd", "mse", run_eagerly=eager)
        found.append([model.evaluate(x, y, verbose=0) for _ in range(3)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


def test_alpha_dropout_is_not_an_instance_of_dropout():
    assert not isinstance(layers.AlphaDropout(0.5), Dropout)


def test_leaky_relu_takes_the_name_of_older_keras_for_its_slope_and_warns():
    with pytest.warns(UserWarning, match="Instead of alpha, pass negative_slope"):
        layer = layers.LeakyReLU(alpha=0.25)
    assert layer.get_config() == layers.LeakyReLU(0.25, name=layer.name).get_config()
    np.testing.assert_array_equal(layer([-4.0, 4.0]), [-1.0, 4.0])
