"""Layers: building and calling, weights, dtypes, output shapes, names and configs."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, normal, over, refused
from hypothesis import example, given, strategies as st
from strategies import LAYOUTS, SEEDS

import tinynet as tn
from tinynet import ops, tree
from tinynet.layers import Activation, Dense, Input, KerasTensor, Layer

# -- layers as users write them -------------------------------------------------------------------


class Scale(Layer):
    """Multiplies by a factor per input; records the input shapes and `training` of its calls."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.builds: list[Any] = []
        self.told: list[bool] = []

    def build(self, input_shape: Any) -> None:
        self.builds.append(input_shape)
        self.factor = self.add_weight(input_shape[-1:], "ones", name="factor")

    def call(self, inputs: Any, training: bool = False) -> Any:
        self.told.append(training)
        return inputs * self.factor


class Forgetful(Layer):
    """Lacks a return in `call`."""

    def call(self, inputs: Any) -> None:
        inputs * 2


class ForgetfulModel(tn.Model):
    """Lacks a return in `call`."""

    call = Forgetful.call


class Wrapper(Layer):
    """Calls one layer, with ``training=fixed``."""

    def __init__(self, inner: Layer, fixed: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.fixed = inner, fixed

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs, training=self.fixed)


class Holder(Layer):
    """Holds things as an attribute and returns its inputs."""

    def __init__(self, things: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.things = things

    def call(self, inputs: Any) -> Any:
        return inputs


class Chain(Layer):
    """Calls layers one after the other."""

    def __init__(self, *chain: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chain = chain

    def call(self, inputs: Any) -> Any:
        for layer in self.chain:
            inputs = layer(inputs)
        return inputs


class Function(Layer):
    """Computes a function; its output shape has to be inferred."""

    def __init__(self, function: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)


class MovingMean(Layer):
    """Changes a weight in training, and counts its calls."""

    def build(self, input_shape: Any) -> None:
        self.calls = self.add_weight((), "zeros", dtype="int32", trainable=False)
        self.mean = self.add_weight(input_shape[-1:], "zeros", trainable=False)
        self.slope = self.add_weight(input_shape[-1:], "ones")

    def call(self, inputs: Any, training: bool = False) -> Any:
        self.calls.assign(self.calls + 1)
        if training:
            self.mean.assign(self.mean + 0.5 * (ops.mean(inputs, axis=0) - self.mean))
        return (inputs - self.mean) * self.slope


# -- building and calling -------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 4), SEEDS)
def test_a_layer_is_built_once_for_the_shape_of_its_first_inputs(shape, width, seed):
    layer = Scale()
    assert not layer.built
    assert layer.weights == layer.get_weights() == []
    for rows in (2, 3, 1):
        x = normal(seed, rows, *shape, width)
        assert_same(layer(x), x)
    assert layer.builds == [(2, *shape, width)]
    assert layer.built
    assert layer.count_params() == width


def test_a_layer_built_by_hand_is_not_built_again():
    layer = Scale()
    layer.build((None, 3))
    layer(normal(0, 2, 3))
    assert layer.builds == [(None, 3)]
    assert layer.get_build_config() == {"input_shape": (None, 3)}


class Total(Layer):
    """The sum of all its inputs, each scaled."""

    def build(self, input_shape: Any) -> None:
        self.shapes = input_shape
        count = len(input_shape)
        self.scales = [self.add_weight((), "ones", name=f"scale_{i}") for i in range(count)]

    def call(self, inputs: Any) -> Any:
        parts = inputs.values() if isinstance(inputs, dict) else inputs
        return sum(scale * x for scale, x in zip(self.scales, parts, strict=True))


@given(st.integers(1, 4), st.booleans(), SEEDS)
def test_a_layer_may_have_several_inputs_in_a_list_or_a_dict(count, as_dict, seed):
    arrays = [normal(seed + i, 2, 3) for i in range(count)]
    names = [f"input_{i}" for i in range(count)]

    def given_as(things):
        return dict(zip(names, things, strict=True)) if as_dict else things

    layer, later = Total(), Total()
    expected = sum(arrays)
    assert_close(layer(given_as(arrays)), expected, rtol=1e-6, atol=1e-6)
    assert layer.shapes == given_as([(2, 3)] * count)
    placeholders = [Input((3,), name=name) for name in names]
    model = tn.Model(placeholders, later(given_as(placeholders)))
    assert later.shapes == given_as([(None, 3)] * count)
    assert_same(model(arrays), layer(given_as(arrays)))


def test_a_call_accepts_what_numpy_accepts_and_refuses_anything_else():
    layer = Dense(2, kernel_initializer="ones")
    x = [[1.0, 2.0], [3.0, 4.0]]
    for same in (x, tuple(map(tuple, x)), np.array(x), tn.tensor(x), tn.Variable(x)):
        assert_same(layer(same), np.array([[3, 3], [7, 7]], "float32"))
    for nothing in (None, "text", [[1.0], [2.0, 3.0]], [["a", "b"]], [[None, 1.0]]):
        with refused(ValueError):
            layer(nothing)
    for shape in [(), (2,), (2, 3)]:
        with refused(ValueError, "dense", str(shape)):
            layer(np.ones(shape))
    with refused(ValueError, "one input", "2"):
        layer([np.ones((1, 2)), np.ones((1, 2))])


def test_calling_a_layer_without_a_call_method_raises():
    with pytest.raises(NotImplementedError, match="Layer must define call"):
        Layer()(np.ones(2))


@pytest.mark.parametrize("name", ["a/b", 3, ["a"], b"a"])
def test_a_name_is_a_string_without_a_slash(name):
    with refused(ValueError, "name", str(name)):
        Scale(name=name)


def test_a_layer_refuses_unknown_arguments_and_unsupported_dtypes():
    with refused(ValueError, "Scale", "unit"):
        Scale(unit=3)
    for dtype in ("text", "complex64", object):
        with refused(ValueError, "dtype"):
            Scale(dtype=dtype)


# -- training or not ------------------------------------------------------------------------------


@given(st.lists(st.booleans() | st.none(), max_size=4), st.booleans() | st.none())
def test_the_innermost_enclosing_layer_that_sets_training_decides_for_inner_layers(fixed, called):
    scale = Scale()
    scale.build((None, 2))
    layer: Layer = scale
    for decision in fixed:
        layer = Wrapper(layer, decision)
    for training in (called, None):
        layer(np.ones((1, 2)), training=training)
        decided = [d for d in (*fixed, training) if d is not None]
        assert scale.told.pop() is (decided[0] if decided else False)


def test_only_fit_and_train_on_batch_call_layers_in_training_mode():
    x, scale = normal(0, 6, 2), Scale()
    model = tn.Sequential([Input((2,)), Wrapper(scale), Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)

    def told(run: Any) -> list[bool]:
        scale.told.clear()
        run()
        return scale.told

    y = x[:, :1]
    assert told(lambda: model.fit(x, y, 2, epochs=2, verbose=0)) == [True] * 6
    assert told(lambda: model.train_on_batch(x, y)) == [True]
    validated = told(lambda: model.fit(x, y, 3, validation_split=0.5, verbose=0))
    assert validated == [True, False]
    assert told(lambda: model.evaluate(x, y, verbose=0)) == [False]
    assert told(lambda: model.predict(x, verbose=0)) == [False]
    assert told(lambda: model.test_on_batch(x, y)) == [False]
    assert told(lambda: model(x)) == [False]


def test_an_exception_does_not_leave_layers_in_training():
    scale = Scale()

    def fail(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tn.Sequential([Function(fail)])(np.ones((1, 2)), training=True)
    scale(np.ones((1, 2)))
    assert scale.told == [False]


@given(st.booleans(), st.booleans())
def test_keywords_of_a_call_on_a_placeholder_are_used_in_every_run(training, doubled):
    class Twice(Scale):
        def call(self, inputs, training=False, times=1.0):
            return super().call(inputs, training) * times

    scale, x = Twice(), Input((2,))
    times = {"times": 2.0} if doubled else {}
    model = tn.Model(x, scale(x, training=training, **times))
    scale.told.clear()
    data = normal(0, 3, 2)
    assert_same(model(data), data * (2 if doubled else 1))
    assert scale.told == [training]


class Blend(Layer):
    """A mean of two inputs weighted by a number and, if there is a third, plus that."""

    def build(self, x_shape: Any, y_shape: Any) -> None:
        self.shapes = x_shape, y_shape
        self.factor = self.add_weight(y_shape[-1:], "ones", name="factor")

    def call(self, x: Any, y: Any, share: float = 0.5, plus: Any = None) -> Any:
        mean = share * x + (1 - share) * y * self.factor
        return mean if plus is None else mean + plus


def test_a_layer_may_have_several_inputs_by_position_and_by_keyword():
    a, b, c, layer = Input((3,)), Input((1,)), Input((3,)), Blend()
    x, y, z = normal(0, 4, 3), normal(1, 4, 1), normal(2, 4, 3)
    model = tn.Model([a, b, c], layer(a, b, 0.25, plus=c))
    assert_close(model([x, y, z]), 0.25 * x + 0.75 * y + z, 1e-6)
    assert layer.shapes == ((None, 3), (None, 1))
    assert layer.get_build_config() == {"x_shape": (None, 3), "y_shape": (None, 1)}
    again = Blend()
    again.build_from_config(layer.get_build_config())
    assert again.shapes == layer.shapes
    assert_close(Blend()(x, y), 0.5 * x + 0.5 * y, 1e-6)


def test_placeholders_and_arrays_in_one_input_are_refused():
    a = Input((2,))
    with refused(ValueError, "only placeholders or only arrays"):
        Total()([a, np.ones((1, 2))])


def test_compute_output_spec_of_a_subclass_may_ask_the_base():
    class Doubled(Dense):
        def compute_output_spec(self, *args, **kwargs):
            found = super().compute_output_spec(*args, **kwargs)
            return KerasTensor((*found.shape, 2), found.dtype)

    assert Doubled(3)(Input((2,))).shape == (None, 3, 2)


def test_a_layer_without_its_own_build_knows_the_shape_that_it_was_built_for():
    """As in Keras 3.15, also for layers without weights."""
    for layer in (tn.layers.Rescaling(2.0), tn.layers.Flatten(), tn.layers.Lambda(abs)):
        layer(Input((3,)))
        assert layer.get_build_config() == {"input_shape": (None, 3)}


# -- the output shape, inferred by running the layer ----------------------------------------------

FUNCTIONS = {
    "the same": lambda x: x,
    "a sum": lambda x: x.sum(-1),
    "flat": lambda x: x.reshape(x.shape[0], -1),
    "flat altogether": lambda x: x.reshape(-1),
    "stacked": lambda x: ops.stack([x, x], axis=1),
    "twice the batch": lambda x: ops.concatenate([x, x], axis=0),
    "one more": lambda x: ops.concatenate([x, x[:1]], axis=0),
    "transposed": lambda x: x.T,
    "pairs of samples": lambda x: x.reshape(x.shape[0], -1) @ x.reshape(x.shape[0], -1).T,
    "the batch's mean": lambda x: x.mean(0),
    "one number": lambda x: x.sum(),
    "constant": lambda x: ops.zeros((2, 3)),
    "several": lambda x: [x, x.sum(-1)],
    "a dict": lambda x: {"b": x, "a": [x[:, :1], x.max()]},
}


def agrees(noted: Any, first: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether an inferred shape has the lengths that both shapes share, else None."""
    return noted == tuple(a if a == b else None for a, b in zip(first, other, strict=True))


@over(FUNCTIONS, "function")
@given(st.lists(st.integers(1, 3), min_size=1, max_size=2), st.integers(1, 3), SEEDS)
def test_the_output_shape_is_inferred_by_running_the_layer(function, shape, rows, seed):
    layer, x = Function(function), Input(shape)
    outputs = layer(x)
    few, many = (layer(normal(seed, n, *shape)) for n in (rows, rows + 4))
    noted, first, other = (tree.flatten(y) for y in (outputs, few, many))
    for y, a, b in zip(noted, first, other, strict=True):
        assert agrees(y.shape, a.shape, b.shape)
    model = tn.Model(x, outputs)
    for y, expected in zip(tree.flatten(model(normal(seed, rows, *shape))), first, strict=True):
        assert_same(y, expected)


def test_an_unknown_length_stays_unknown_in_the_output_shape():
    x = Input((None, 3))
    assert Function(lambda x: x.sum(-1))(x).shape == (None, None)
    assert Function(lambda x: x.sum(1))(x).shape == (None, 3)
    assert Scale()(x).shape == Dense(3)(x).shape == (None, None, 3)
    assert Function(lambda x: x.T)(Input((2,), batch_size=5)).shape == (2, 5)


def test_inferring_the_output_shape_neither_trains_nor_changes_weights_nor_draws_random_numbers():
    class Noisy(MovingMean):
        def call(self, inputs, training=False):
            noise = np.random.normal() if training else 0.0
            return super().call(inputs, training) + noise

    layer, before = Noisy(), np.random.get_state()[1:3]
    y = layer(Input((2,)), training=True)
    assert y.shape == (None, 2)
    assert int(layer.calls) == 0
    assert_same(layer.mean.numpy(), np.zeros(2, "float32"))
    assert_all_same(np.random.get_state()[1:3], before)


# -- dtypes ---------------------------------------------------------------------------------------

NUMBERS = ["float64", "float32", "float16", "int64", "int8", "uint8", "bool"]


@over(LAYOUTS, "layout")
@given(st.sampled_from(NUMBERS), st.sampled_from(["float32", "float64"]), SEEDS)
def test_inputs_of_every_dtype_and_memory_layout_are_cast_to_the_layers_dtype(
    layout, dtype, own, seed
):
    layer = Dense(2, "tanh", dtype=own, bias_initializer="normal")
    x = layout(4 * normal(seed, 5, 3, dtype="float64")).astype(dtype)
    before, flags = x.tobytes(), x.flags.writeable
    first, second = layer(x), layer(x)
    assert_same(first, second.numpy())
    assert first.dtype == own
    exact = x.astype(own).astype("float64") @ layer.kernel.numpy().astype("float64")
    tolerance = 1e-12 if own == "float64" else 1e-5
    assert_close(first, np.tanh(exact + layer.bias.numpy()), tolerance, tolerance)
    assert (x.tobytes(), x.flags.writeable) == (before, flags)


def test_an_integer_weight_does_not_cast_the_inputs_to_integers():
    layer, x = MovingMean(), normal(0, 3, 2)
    assert_same(layer(x), x)
    assert_same(layer(x.astype("float64")), x)
    assert int(layer.calls) == 2


def test_dtypes_may_differ_from_layer_to_layer():
    dtypes = ["float64", "float32", "float16"]
    model = tn.Sequential([Input((3,)), *(Dense(1, "tanh", dtype=dtype) for dtype in dtypes)])
    assert [w.dtype for w in model.weights] == [dtype for dtype in dtypes for _ in "wb"]
    x = normal(0, 8, 3)
    assert model(x).dtype == model.predict(x, verbose=0).dtype == "float16"
    model.compile("adam", "mse")
    before = model.get_weights()
    model.fit(x, x[:, :1], verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert old.dtype == new.dtype
        assert not np.array_equal(old, new)


# -- weights --------------------------------------------------------------------------------------

PIECES = st.sampled_from(["layer", "variable", "frozen", "again", 3, None, "text", b"x"])
THINGS = st.recursive(
    PIECES,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), parts, max_size=3)
    ),
    max_leaves=6,
)


def furnished(plan: Any, found: list[Any]) -> Any:
    """Return the planned structure of layers and variables, which are also appended to `found`."""
    if isinstance(plan, dict):
        return {key: furnished(part, found) for key, part in plan.items()}
    if isinstance(plan, (list, tuple)):
        return type(plan)(furnished(part, found) for part in plan)
    if plan == "again" and found:
        return found[0]
    if plan == "layer":
        found.append(Scale())
        found[-1].build((None, 2))
        return found[-1]
    if plan in ("variable", "frozen"):
        found.append(tn.Variable([1.0, 2.0], trainable=plan == "variable"))
        return found[-1]
    return plan


@given(THINGS, THINGS)
@example(["layer", "again"], {"b": ("variable", "again"), "a": "frozen"})
def test_weights_and_layers_in_nested_lists_and_dicts_belong_to_the_layer(plan, other):
    found: list[Any] = []
    holder = Holder(furnished(plan, found))
    holder.inner = Holder(furnished(other, within := []))
    layers = [x for x in found if isinstance(x, Layer)]
    own = [x for x in found if isinstance(x, tn.Variable)]
    inside = [x.factor for x in within if isinstance(x, Layer)]
    inside = [x for x in within if isinstance(x, tn.Variable)] + inside
    assert_identical(holder.layers, [*layers, holder.inner])
    assert_identical(holder.weights, [*own, *(layer.factor for layer in layers), *inside])
    trainable = [w for w in holder.weights if w.trainable]
    assert_identical(holder.trainable_weights, trainable)
    assert len(holder.non_trainable_weights) == len(holder.weights) - len(trainable)
    holder(np.ones((1, 2)))
    assert holder.count_params() == 2 * len(holder.weights)


def assert_identical(found: list[Any], expected: list[Any]) -> None:
    """Assert that the lists hold the same objects in the same order."""
    assert list(map(id, found)) == list(map(id, expected))


class Mixed(Layer):
    """Trainable and non-trainable weights, created alternately."""

    def build(self, input_shape: Any) -> None:
        for name, trainable in [("a", False), ("b", True), ("c", False), ("d", True)]:
            self.add_weight((2,), "ones", trainable=trainable, name=name)

    def call(self, inputs: Any) -> Any:
        return sum((w * inputs for w in self.weights), 0.0)


def test_trainable_weights_come_before_non_trainable_weights():
    layer = Mixed(name="mixed")
    layer(np.ones((1, 2)))
    assert [w.path for w in layer.weights] == ["mixed/b", "mixed/d", "mixed/a", "mixed/c"]
    assert [w.name for w in layer.trainable_weights] == ["b", "d"]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6), SEEDS)
def test_training_changes_exactly_the_weights_that_are_not_frozen(switches, seed):
    inner = [Dense(2, "tanh"), Mixed(), Dense(2)]
    block = Chain(*inner)
    model = tn.Sequential([Input((2,)), block, Dense(1)])
    model.set_weights([normal(seed + i, *w.shape) for i, w in enumerate(model.weights)])
    layers = [*inner, block]
    free = {w: w.name not in "ac" for w in model.weights}
    for place, value in switches:
        layers[place].trainable = value
        free |= {w: value and w.name not in "ac" for w in layers[place].weights}
    assert set(model.trainable_weights) == {w for w in free if free[w]}
    model.compile(tn.optimizers.SGD(0.1), "mse")

    def changed_by_training():
        before, x = {w: w.numpy() for w in model.weights}, normal(seed, 4, 2)
        model.fit(x, x[:, :1], verbose=0)
        return {w for w in model.weights if not np.array_equal(w.numpy(), before[w])}

    assert changed_by_training() == {w for w in free if free[w]}
    block.trainable = False  # which need not be compiled again
    assert changed_by_training() == set(model.layers[1].weights)
    model.trainable = False
    assert changed_by_training() == set()
    assert int(model.optimizer.iterations) == 2


def test_a_layer_or_model_created_with_trainable_false_does_not_train():
    x, constant = normal(0, 4, 2), Holder([tn.Variable(1.0, trainable=False)])
    for model in (
        tn.Sequential([Input((2,)), Dense(1)], trainable=False),
        tn.Sequential([Input((2,)), constant, Dense(1, trainable=False)]),
    ):
        assert model.trainable_weights == []
        assert_identical(model.non_trainable_weights, model.weights)
        model.compile("sgd", "mse")
        before = model.get_weights()
        model.fit(x, x[:, :1], verbose=0)
        assert_all_same(model.get_weights(), before)
        assert int(model.optimizer.iterations) == 0


@given(st.lists(st.booleans(), min_size=1, max_size=4))
def test_non_trainable_variables_stay_so_when_their_layer_is_frozen_and_unfrozen(switches):
    layer = Holder([tn.Variable(1.0), tn.Variable(2.0, trainable=False)])
    for value in switches:
        layer.trainable = value
        assert [w.trainable for w in layer.weights] == [value, False]


@given(SEEDS)
def test_set_weights_restores_what_get_weights_returned(seed):
    layer, x = Dense(2, "tanh"), normal(seed, 4, 3)
    y = layer(x).numpy()
    taken = layer.get_weights()
    layer.set_weights([normal(seed + 1, 3, 2), [5, 6]])
    assert_same(layer.bias.numpy(), np.array([5, 6], "float32"))
    assert not np.array_equal(layer(x).numpy(), y)
    layer.set_weights(taken)
    assert_same(layer(x), y)
    taken[0][...] = np.nan  # they are copies, both ways
    assert_same(layer(x), y)


BAD = {
    "another shape": np.ones((2, 3)),
    "another rank": np.ones(4),
    "a number": 1.0,
    "text": np.full((2, 2), "a"),
    "None": np.full((2, 2), None),
    "ragged": [[1.0, 2.0], [3.0]],
    "complex": np.full((2, 2), 1j),
}


@over(BAD, "bad")
@given(place=st.integers(0, 3))
def test_set_weights_sets_all_weights_or_none(bad, place):
    model = tn.Sequential([Dense(2, use_bias=False) for _ in range(4)])
    model.build((None, 2))
    before = model.get_weights()
    values = [np.zeros((2, 2)) for _ in before]
    values[place] = bad
    with refused(ValueError):
        model.set_weights(values)
    assert_all_same(model.get_weights(), before)
    for count in (0, 3, 5):
        with refused(ValueError, model.name, f"length {count}", "4 weights"):
            model.set_weights([np.zeros((2, 2))] * count)
    assert_all_same(model.get_weights(), before)


def test_a_weight_cannot_have_an_unknown_length():
    with refused(ValueError, "None"):
        Layer().add_weight((None, 3))
    with refused(ValueError, "dense", "(None, None)"):
        Dense(2, name="dense")(Input((None,)))


def test_weights_are_counted_only_after_building():
    for layer in (Dense(2, name="mine"), tn.Sequential([Dense(2)], name="mine")):
        with refused(ValueError, "mine", "build"):
            layer.count_params()
        layer.build((None, 3))
        assert layer.count_params() == 3 * 2 + 2


# -- sharing --------------------------------------------------------------------------------------


def test_two_models_share_the_weights_of_a_layer_in_both():
    shared, x = Dense(2, "tanh"), normal(0, 6, 3)
    models = [tn.Sequential([Input((3,)), shared, Dense(1)]) for _ in range(2)]
    assert models[0].weights[0] is models[1].weights[0] is shared.kernel
    for model in models:
        model.compile(tn.optimizers.Adam(0.1), "mse")
    for _ in range(2):
        for model, other in (models, models[::-1]):
            kept, y = other.layers[1].get_weights(), other(x)
            model.fit(x, x[:, :1], verbose=0)
            assert_all_same(other.layers[1].get_weights(), kept)
            assert not np.array_equal(other(x).numpy(), y.numpy())
            hidden = np.tanh(x @ shared.kernel.numpy() + shared.bias.numpy())
            for each in models:
                expected = hidden @ each.weights[2].numpy() + each.weights[3].numpy()
                assert_close(each(x), expected, 1e-5, 1e-6)


# -- names and configs ----------------------------------------------------------------------------


@given(st.lists(st.sampled_from([Dense, Scale, "mine"]), max_size=8))
def test_automatic_names_are_numbered_per_class_and_given_names_are_kept(kinds):
    tn.utils.clear_session()
    counts = {"dense": 0, "scale": 0}
    for kind in kinds:
        if kind == "mine":
            assert Scale(name="dense").name == "dense"
            continue
        layer = Dense(1) if kind is Dense else Scale()
        word = kind.__name__.lower()
        assert layer.name == (f"{word}_{counts[word]}" if counts[word] else word)
        counts[word] += 1


def test_a_weights_path_names_the_enclosing_layers():
    inner = tn.Sequential([Dense(2, name="last")], name="inner")
    block = Chain(Dense(2, name="first"), inner, name="block")
    model = tn.Sequential([Input((2,)), block], name="model")
    assert [w.path for w in model.weights] == [
        "model/block/first/kernel",
        "model/block/first/bias",
        "model/block/inner/last/kernel",
        "model/block/inner/last/bias",
    ]


@given(
    st.fixed_dictionaries(
        {"units": st.integers(1, 4)},
        optional={
            "activation": st.sampled_from([None, "relu", "tanh", "sigmoid"]),
            "use_bias": st.booleans(),
            "kernel_initializer": st.sampled_from(["zeros", "he_normal"]),
            "bias_initializer": st.just("random_uniform"),
            "name": st.just("mine"),
            "dtype": st.sampled_from(["float32", "float64"]),
            "trainable": st.booleans(),
        },
    )
)
def test_a_layer_made_from_a_config_equals_the_original(options):
    layer = Dense(**options)
    twin = Dense.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    for key, value in options.items():
        if not key.endswith("initializer") and key != "activation":
            assert getattr(twin, key) == value
    x = normal(0, 2, 3)
    layer(x)
    twin(x)
    twin.set_weights(layer.get_weights())
    assert_same(twin(x), layer(x))
    assert len(twin.trainable_weights) == len(layer.trainable_weights)


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", None])
def test_units_must_be_a_positive_integer(units):
    with refused(ValueError, "units", str(units)):
        Dense(units)
    assert Dense(np.int64(3)).units == 3


@pytest.mark.parametrize(
    "option",
    ["lora_rank", "lora_alpha", "quantization_config"],
)
def test_an_option_out_of_scope_is_refused_instead_of_ignored(option):
    with refused(ValueError, "Dense", option, "out of", "model.save"):
        Dense(1, **{option: 3})


def test_an_activation_can_be_used_as_a_layer():
    x = normal(0, 3, 4)
    assert_same(Activation("tanh")(x), ops.tanh(x))
    assert_same(Activation(np.square)(x), x * x)
    assert Activation.from_config(Activation("relu").get_config()).activation is tn.activations.relu


class Stack(tn.Model):
    """A model, and inside a layer, without a `build` of their own."""

    class Inner(Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = Dense(3)

        def call(self, inputs: Any) -> Any:
            return inputs + self.dense(inputs)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.last = self.Inner(), Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.inner(inputs))


@pytest.mark.parametrize("shape", [(None, 3), [8, 3]])
def test_build_without_a_build_of_ones_own_makes_the_weights_inside(shape, tmp_path):
    built, called = Stack(name="stack"), Stack(name="stack")
    built.build(shape)
    called(np.ones((8, 3)))
    assert [w.name for w in built.weights] == ["kernel", "bias"] * 2
    assert [w.shape for w in built.weights] == [w.shape for w in called.weights]
    assert built.weights[0].path.startswith("stack/inner")
    called.save_weights(tmp_path / "s.weights.h5")
    built.load_weights(tmp_path / "s.weights.h5")
    assert_same(built(np.ones((8, 3))).numpy(), called(np.ones((8, 3))).numpy())


def test_build_for_a_shape_that_does_not_fit_is_refused_and_builds_nothing():
    model = Stack()
    with refused(ValueError, "(2, 4)", "(2, 3)"):
        model.build((None, 4))
    assert not model.built
    assert model.weights == []
    model.build((None, 3))
    assert len(model.weights) == 4


def test_a_call_without_return_is_named():
    with refused(TypeError, "the result of own.call: expected tensors, received None"):
        tn.Sequential([Input((2,)), Forgetful(name="own"), Dense(1)])
    model, x = ForgetfulModel(), np.ones((4, 2))
    model.compile("sgd", "mse")
    with refused(TypeError, "the model's output: expected a tensor, received None"):
        model.fit(x, x, verbose=0)
