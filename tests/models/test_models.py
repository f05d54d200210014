"""Models: graphs of layers against plain NumPy, Sequential, subclasses, nested models."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_all_same, assert_close, assert_same, normal, refused
from hypothesis import given, settings, strategies as st
from strategies import SEEDS

import tinynet as tn
from tinynet import ops
from tinynet.layers import Dense, Input, Layer
from tinynet.public import absent

X = normal(0, 6, 3)

# -- graphs ---------------------------------------------------------------------------------------

WIDTH, ROWS = 2, 3

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda z: z,
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
}


class Merge(Layer):
    """The sum of its inputs, the first of which is multiplied by a weight."""

    def build(self, input_shape: Any) -> None:
        self.gate = self.add_weight(input_shape[0][-1:], "ones", name="gate")

    def call(self, inputs: Any) -> Any:
        return sum(inputs[1:], inputs[0] * self.gate)


def dense(layer: Dense, x: np.ndarray) -> np.ndarray:
    bias = 0.0 if layer.bias is None else layer.bias.numpy()
    return ACTIVATIONS[layer.activation.__name__](x @ layer.kernel.numpy() + bias)


class Graph(NamedTuple):
    """A random graph: each step calls a layer on one tensor, or merges several tensors.

    Tensors are numbered, inputs first. Layers of the pool may be used often or never.
    """

    inputs: int
    pool: list[dict[str, Any]]
    steps: list[tuple[int, list[int]]]  # a layer of the pool and a tensor, or -1 and tensors
    outputs: list[int]

    def build(self, seed: int, shared: bool = True) -> tuple[tn.Model, list[Layer]]:
        """Return the model and the layer of each step; without `shared`, each step has its own."""
        pool = [Dense(WIDTH, dtype="float64", **options) for options in self.pool]
        tensors: list[Any] = [Input((WIDTH,)) for _ in range(self.inputs)]
        layers: list[Layer] = []
        for place, sources in self.steps:
            layer = Merge(dtype="float64") if place < 0 else pool[place]
            if place >= 0 and not shared:
                layer = Dense(WIDTH, dtype="float64", **self.pool[place])
            given = [tensors[i] for i in sources]
            tensors.append(layer(given if place < 0 else given[0]))
            layers.append(layer)
            shapes = enumerate(w.shape for w in layer.weights)
            number = len(layers) if place < 0 else place  # what is shared has the same weights
            layer.set_weights([normal(seed + 99 * number + i, *shape) for i, shape in shapes])
        inputs, outputs = tensors[: self.inputs], [tensors[i] for i in self.outputs]
        return tn.Model(inputs, outputs if len(outputs) > 1 else outputs[0]), layers

    def evaluate(self, layers: list[Layer], arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for `arrays`, computed by NumPy."""
        tensors = [a.astype("float64") for a in arrays]
        for (_, sources), layer in zip(self.steps, layers, strict=True):
            given = [tensors[i] for i in sources]
            if isinstance(layer, Dense):
                tensors.append(dense(layer, given[0]))
            else:
                tensors.append(given[0] * layer.weights[0].numpy() + sum(given[1:]))
        return [tensors[i] for i in self.outputs]

    def used(self, layers: list[Layer]) -> list[Layer]:
        """Return the layers on a path from the inputs to the outputs, each once."""
        needed, found = set(self.outputs), []
        for i in reversed(range(len(layers))):
            if self.inputs + i in needed:
                needed.update(self.steps[i][1])
                found.append(layers[i])
        return list(dict.fromkeys(found))


@st.composite
def graphs(draw: Any) -> Graph:
    options = st.fixed_dictionaries(
        {"activation": st.sampled_from(sorted(ACTIVATIONS)), "use_bias": st.booleans()}
    )
    inputs, pool = draw(st.integers(1, 3)), draw(st.lists(options, min_size=1, max_size=3))
    steps = []
    for known in range(inputs, inputs + draw(st.integers(1, 7))):
        tensors = st.integers(0, known - 1)
        through = st.tuples(
            st.integers(0, len(pool) - 1), st.lists(tensors, min_size=1, max_size=1)
        )
        merge = st.tuples(st.just(-1), st.lists(tensors, min_size=2, max_size=4))
        steps.append(draw(through | merge))
    made = st.integers(inputs, inputs + len(steps) - 1)
    return Graph(inputs, pool, steps, draw(st.lists(made, min_size=1, max_size=3)))


def arrays_for(graph: Graph, seed: int) -> list[np.ndarray]:
    return [normal(seed + i, ROWS, WIDTH) for i in range(graph.inputs)]


def listed(outputs: Any) -> list[Any]:
    return outputs if isinstance(outputs, list) else [outputs]


@settings(max_examples=2 * settings.default.max_examples)
@given(graphs(), SEEDS)
def test_a_graph_of_layers_computes_what_numpy_does(graph, seed):
    model, layers = graph.build(seed)
    arrays = arrays_for(graph, seed)
    expected = graph.evaluate(layers, arrays)
    by_name = dict(zip([x.call.layer.name for x in model.inputs], arrays, strict=True))
    alone = arrays if len(arrays) > 1 else arrays[0]
    found = [model(given_as) for given_as in (arrays, tuple(arrays), by_name, alone)]
    for outputs in [*found, model.predict(arrays, batch_size=2, verbose=0)]:
        for y, z in zip(listed(outputs), expected, strict=True):
            assert_close(y, z)
    used = graph.used(layers)
    assert {x for x in model.layers if not isinstance(x, tn.layers.InputLayer)} == set(used)
    assert len(model.layers) == len(used) + graph.inputs
    assert model.count_params() == sum(layer.count_params() for layer in used)
    assert model.output_names == [y.call.layer.name for y in model.outputs]


@settings(max_examples=2 * settings.default.max_examples)
@given(graphs(), SEEDS)
def test_the_gradient_of_a_shared_layer_is_the_sum_over_its_uses(graph, seed):
    (model, layers), (apart, parts) = graph.build(seed), graph.build(seed, shared=False)
    arrays = arrays_for(graph, seed)
    for each in (model, apart):
        sum(ops.square(y).sum() for y in listed(each(arrays))).backward()
    for layer in graph.used(layers):
        twins = [part for part, one in zip(parts, layers, strict=True) if one is layer]
        for i, weight in enumerate(layer.weights):
            grads = [twin.weights[i].grad for twin in twins]
            total = sum(g for g in grads if g is not None)
            assert_close(weight.grad, total, 1e-10, 1e-10)


def test_layers_are_in_order_of_their_calls_and_have_unique_names():
    x = Input((3,), name="x")
    a, b = Dense(3, name="a"), Dense(3, name="b")
    model = tn.Model(x, Merge(name="merge")([b(a(x)), x]), name="mine")
    assert [layer.name for layer in model.layers] == ["x", "a", "b", "merge"]
    assert [model.get_layer(name) for name in "ab"] == [a, b]
    assert (model.get_layer(index=1), model.get_layer(index=-1).name) == (a, "merge")
    for wrong in ({}, {"name": "c"}, {"index": 4}, {"index": -5}, {"name": "a", "index": 1}):
        with refused(ValueError):
            model.get_layer(**wrong)
    with refused(ValueError, '"a"', "2 times", "unique"):
        tn.Model(x, Dense(1, name="a")(a(x)))


def test_a_graph_with_outputs_not_connected_to_its_inputs_is_refused():
    x, other = Input((3,)), Input((3,), name="other")
    y = Merge()([x, other])
    with refused(ValueError, "not connected", "other"):
        tn.Model(x, y)
    for wrong in (3, None, np.ones((2, 3)), [x, 3]):
        with refused(ValueError, "outputs", "KerasTensors"):
            tn.Model(x, wrong)
        with refused(ValueError, "inputs", "KerasTensors"):
            tn.Model(wrong, y)


def test_a_model_may_begin_in_the_middle_of_another():
    x = Input((3,))
    hidden = Dense(2, "tanh")(x)
    y = Dense(1)(hidden)
    whole, first, last = tn.Model(x, y), tn.Model(x, hidden), tn.Model(hidden, y)
    assert_same(last(first(X)), whole(X))
    assert (first.count_params(), last.count_params(), whole.count_params()) == (8, 3, 11)


def test_a_placeholder_has_a_shape_and_no_numbers():
    x = Input((3,), batch_size=4, dtype="float64", name="x")
    assert (x.shape, x.dtype, x.ndim) == ((4, 3), "float64", 2)
    assert all(word in repr(x) for word in ("KerasTensor", "(4, 3)", "float64"))
    for use in (
        float,
        int,
        np.array,
        ops.nonzero,
        ops.convert_to_numpy,
    ):
        with refused(ValueError, "symbolic", "(4, 3)"):
            use(x)
    with refused(TypeError, "boolean"):
        bool(x)
    for wrong in (3, "3", None, [2.5], [-1], ["a"]):
        with refused(ValueError):
            Input(wrong)


# -- inputs and outputs ---------------------------------------------------------------------------


def test_inputs_and_outputs_keep_the_structure_they_were_declared_in():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    total = Merge()([a, b])
    model = tn.Model({"left": a, "right": b}, {"total": total, "parts": [a, Dense(2)(b)]})
    assert model.input_shape == [(None, 3), (None, 3)]
    assert model.output_shape == [(None, 3), (None, 2), (None, 3)]  # in the order of sorted keys
    data = {"right": 2 * X, "left": X}
    with pytest.warns(UserWarning, match=r"structure of `inputs`.*\['more'\]"):
        assert_close(model({**data, "more": X})["total"], 3 * X, 1e-6)
    for outputs in (model(data), model.predict(data, batch_size=4, verbose=0)):
        assert_close(outputs["total"], 3 * X, 1e-6)
        assert_same(outputs["parts"][0], X)
        assert outputs["parts"][1].shape == (6, 2)
    with refused(ValueError, '"left"', "right", "a"):
        model({"a": X, "right": X})


def test_inputs_in_a_dict_are_matched_by_the_names_of_input_layers():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    model = tn.Model([b, a], Merge()([b, a]))
    model.weights[0].assign([10.0, 10.0, 10.0])
    assert_close(model({"a": X, "b": 2 * X}), 21 * X, 1e-6)
    assert_close(model([X, 2 * X]), 12 * X, 1e-6)
    for words, wrong in {'"b"': {"a": X}, "received 3": [X, X, X], "received 1": X}.items():
        with refused(ValueError, words):
            model(wrong)
        with refused(ValueError, words):
            model.predict(wrong, verbose=0)


@pytest.mark.parametrize("sequential", [True, False])
def test_inputs_are_reshaped_to_the_declared_rank(sequential):
    x = Input((1,))
    layer = Dense(2)
    model = tn.Sequential([x, layer]) if sequential else tn.Model(x, layer(x))
    data = X[:, 0]
    expected = model(data[:, None]).numpy()
    model.compile("sgd", "mse")
    for same in (data, data[:, None], data[:, None, None]):
        assert_same(model(same), expected)
        assert_same(model.predict(same, verbose=0), expected)
        assert model.evaluate(same, expected, verbose=0) == 0.0
    for shape in [(6, 1, 1, 1), (6, 1, 3), ()]:
        with refused(ValueError, "(None, 1)", f"incompatible shape={shape}"):
            model(np.ones(shape))
    with refused(ValueError, "(None, 1)", "(6, 3)"):
        model(X)


def test_inputs_of_a_wrong_shape_are_refused():
    model = tn.Sequential([Input((3,)), Dense(1)])
    with refused(ValueError, "(None, 3)", "(6, 2)"):
        model(X[:, :2])
    with refused(ValueError, "(None, 3)", "(6, 1)"):  # which would broadcast
        tn.Model(model.inputs, model.inputs[0] * [1.0, 2.0, 3.0])([X[:, :1]])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copied_model_has_the_graph_of_the_original(copied):
    x, shared = Input((3,), name="x"), Dense(3, "tanh", name="shared")
    model = tn.Model(x, [shared(shared(x)), Dense(2, name="last")(ops.exp(x) * 2)])
    twin = copied(model)
    assert twin.to_json() == model.to_json()
    assert_all_same(twin(X), model(X))
    assert len(twin.graph.calls) == 5
    for ours, theirs in zip(twin.graph.calls, model.graph.calls, strict=True):
        assert ours is not theirs
        assert all(y.call is ours for y in ours.outputs)


def test_setting_the_attribute_graph_raises():
    class Mine(tn.Model):
        def __init__(self):
            super().__init__()
            self.graph = Dense(1)

    with pytest.raises(AttributeError, match="graph"):
        Mine()


# -- models as layers -----------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), SEEDS)
def test_a_model_of_models_equals_its_layers_called_one_by_one(sizes, seed):
    layers = [Dense(2, "tanh", dtype="float64") for _ in range(sum(sizes))]
    inner, rest = [], list(layers)
    for n, size in enumerate(sizes):
        part, rest = rest[:size], rest[size:]
        if n % 2:
            start = x = Input((2,))
            for layer in part:
                x = layer(x)
            inner.append(tn.Model(start, x))
        else:
            inner.append(tn.Sequential(part))
    model = tn.Sequential([Input((2,)), *inner])
    model.set_weights([normal(seed + i, *w.shape) for i, w in enumerate(model.weights)])
    data = normal(seed, 4, 2)
    expected = data.astype("float64")
    for layer in layers:
        expected = dense(layer, expected)
    assert_close(model(data), expected)
    assert [w.shape for w in model.weights] == [s for _ in layers for s in [(2, 2), (2,)]]
    assert model.count_params() == 6 * len(layers)


# -- Sequential -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3) | st.none(), max_size=8), st.booleans())
def test_a_sequential_model_has_the_layers_that_were_added_and_not_removed(plan, declared):
    model = tn.Sequential([Input((3,))] if declared else None)
    kept: list[Layer] = []
    for units in plan:
        if units is not None:
            kept.append(Dense(units, "tanh"))
            model.add(kept[-1])
        elif kept:
            assert model.pop() is kept.pop()
        else:
            with refused(ValueError, "no layers"):
                model.pop()
    assert model.layers == kept
    assert model.built == (declared and bool(kept))
    if not kept:
        with refused(ValueError, "no layers", "add"):
            model(X)
        return
    expected = X
    y = model(X)
    for layer in kept:
        expected = dense(layer, expected)
    assert_close(y, expected, 1e-5, 1e-6)
    assert model.output_shape[1:] == (kept[-1].units,)


def test_a_sequential_model_that_refuses_a_layer_stays_unchanged():
    model = tn.Sequential([Input((3,)), Dense(2, name="first")])
    misfit = Dense(2, name="misfit")
    misfit.build((None, 7))
    expected = model(X)
    wrongs = [
        misfit,
        Dense(2, name="first"),
        Input((3,)),
        tn.layers.InputLayer((3,)),
        3,
        "dense",
        None,
    ]
    for wrong in [*wrongs, lambda x: x, Dense]:
        with refused(ValueError):
            model.add(wrong)
        assert [layer.name for layer in model.layers] == ["first"]
        assert model.built
        assert_same(model(X), expected)
    model.add(Dense(1, name="misfit"))
    assert model.output_shape == (None, 1)


def test_layers_of_a_sequential_model_have_unique_names():
    for entrance in ([], [Input((3,))]):
        with refused(ValueError, "'same'", "unique"):
            tn.Sequential([*entrance, Dense(2, name="same"), Dense(2, name="same")])


def test_a_sequential_model_without_an_input_is_built_by_data_or_a_shape():
    for see in (lambda m: m(X), lambda m: m.predict(X, verbose=0), lambda m: m.build((None, 3))):
        model = tn.Sequential([Dense(2), Dense(1)])
        assert not model.built
        assert model.weights == []
        for attribute in ("input_shape", "output_shape", "inputs", "outputs"):
            with pytest.raises(AttributeError, match=attribute):
                getattr(model, attribute)
        see(model)
        assert model.built
        assert model.output_shape[1:] == (1,)
        assert model(X[:2]).shape == (2, 1)
        with refused(ValueError, "already", "(None, 4)"):
            model.build((None, 4))


def test_input_shape_and_input_dim_declare_the_input_and_warn():
    for option in (
        {"input_shape": (3,)},
        {"input_shape": [3]},
        {"input_dim": 3},
        {"input_shape": 3},
    ):
        with pytest.warns(UserWarning, match="Input"):
            layer = Dense(2, **option)
        model = tn.Sequential([layer, Dense(1)])
        assert model.built
        assert model.input_shape == (None, 3)
    with refused(ValueError, "input_dim"):
        Dense(1, input_shape=(3,), input_dim=3)


def test_the_list_of_layers_of_a_sequential_model_cannot_be_changed_from_outside():
    model = tn.Sequential([Input((3,)), Dense(2)])
    with pytest.raises(AttributeError):
        model.layers = []
    model.layers.append(Dense(1))
    assert len(model.layers) == 1


# -- subclasses -----------------------------------------------------------------------------------


class Residual(tn.Model):
    """A subclassed model, which is built by its first call."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [Dense(3, "tanh", name=f"block_{i}") for i in range(depth)]
        self.head = Dense(1, name="head")

    def call(self, inputs: Any, training: bool = False) -> Any:
        for block in self.blocks:
            inputs = inputs + block(inputs)
        return self.head(inputs) * (1.0 if training else 10.0)


@given(st.integers(0, 3))
def test_a_subclassed_model_computes_its_call_and_trains(depth):
    model = Residual(depth, name="mine")
    assert (model.name, model.weights, model.built) == ("mine", [], False)
    expected = X
    y = model(X)
    for block in model.blocks:
        expected = expected + dense(block, expected)
    expected = dense(model.head, expected)
    assert_close(y, 10 * expected, 1e-5, 1e-5)
    assert_close(model(X, training=True), expected, 1e-5, 1e-5)
    assert_close(model.predict(X, verbose=0), 10 * expected, 1e-5, 1e-5)
    assert [layer.name for layer in model.layers] == [b.name for b in model.blocks] + ["head"]
    assert model.get_layer("head") is model.head
    assert model.weights[0].path.startswith("mine/")
    model.compile(tn.optimizers.Adam(0.05), "mse")
    losses = model.fit(X, X[:, :1], epochs=30, verbose=0).history["loss"]
    assert losses[0] > 2 * losses[-1]


def test_a_subclassed_model_trains_without_a_call_before():
    model = Residual(2)
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert len(model.weights) == 6
    assert int(model.optimizer.iterations) == 1


# -- depth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [True, False], ids=["graph", "stack"])
def test_a_model_of_200_layers_computes_and_trains(graph):
    layers = [Dense(2, "tanh", dtype="float64") for _ in range(200)]
    x = y = Input((2,))
    if graph:
        for layer in layers:
            y = layer(y)
    model = tn.Model(x, y) if graph else tn.Sequential([x, *layers])
    data = normal(0, 4, 2)
    expected = data.astype("float64")
    for layer in layers:
        expected = dense(layer, expected)
    assert_close(model(data), expected)
    model.compile(tn.optimizers.SGD(0.1), "mse", run_eagerly=True)
    before = model.get_weights()
    model.fit(data, data, verbose=0)
    assert not np.array_equal(model.get_weights()[-1], before[-1])
    assert len(model.weights) == 400


# -- summary --------------------------------------------------------------------------------------

WRITTEN = """\
Model: "mine"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ dense (Dense)                   │ (None, 3)              │             9 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 1)              │             4 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 13 (52.00 B)
 Trainable params: 13 (52.00 B)
 Non-trainable params: 0 (0.00 B)
"""


def text_of(model: tn.Model, **options: Any) -> str:
    texts: list[str] = []
    assert model.summary(print_fn=texts.append, **options) is None
    (text,) = texts
    return text


def test_a_summary_is_the_table_that_keras_prints(capsys, monkeypatch):
    tn.utils.clear_session()
    model = tn.Sequential([Input((2,)), Dense(3), Dense(1)], name="mine")
    assert text_of(model, line_length=76).rstrip() == WRITTEN.rstrip()
    monkeypatch.setenv("COLUMNS", "80")
    model.summary()
    assert capsys.readouterr().out.rstrip() == WRITTEN.rstrip()


@given(st.lists(st.sampled_from([1, 3, 40, 500]), min_size=1, max_size=4), st.integers(70, 120))
def test_a_summary_has_one_row_per_layer_and_counts_all_weights(units, length):
    model = tn.Sequential([Input((7,)), *map(Dense, units)])
    model.layers[0].trainable = False
    counts = [layer.count_params() for layer in model.layers]
    lines = text_of(model, line_length=length).splitlines()
    table = lines[1:-3]
    assert {len(line) for line in table} == {len(table[0])}
    assert len(table[0]) <= length
    last_cells = [line.split("│")[3].strip() for line in table if line.startswith("│")]
    assert [cell for cell in last_cells if cell] == [f"{count:,}" for count in counts]
    for line, count in zip(lines[-3:], [sum(counts), sum(counts[1:]), counts[0]], strict=True):
        power = max(p for p in range(3) if p == 0 or 4 * count >= 1024**p)
        shown = f"{4 * count / 1024**power:.2f} {('B', 'KB', 'MB')[power]}"
        assert line.split(": ")[1] == f"{count:,} ({shown})"


def test_a_summary_marks_unbuilt_layers_and_counts_the_optimizers_state():
    model = tn.Sequential([Dense(3), Dense(1)])
    text = text_of(model, line_length=76)
    assert text.count("0 (unbuilt)") == text.count(" ? ") == 2
    model.compile("adam", "mse")
    model.build((None, 3))
    assert "Optimizer" not in text_of(model)
    model.fit(X, X[:, :1], verbose=0)
    weights = 3 * 3 + 3 + 3 + 1
    slots = 2 * weights + 2  # and the counts of steps, and the learning rate
    assert f"Optimizer params: {slots} ({4 * slots}.00 B)" in text_of(model)
    assert f"Total params: {weights + slots} (" in text_of(model)
    with refused(ValueError, "line_length", "10"):
        text_of(model, line_length=10)
    graph = tn.Model(x := Input((3,), name="entrance"), Dense(1)(x))
    assert "entrance (InputLayer)" in text_of(graph)


def test_methods_of_older_keras_name_what_replaces_them():
    old = [path for path in absent() if path.startswith("Model.")]
    assert {"Model.fit_generator", "Model.predict_classes"} < {*old}
    inputs = tn.Input((2,))
    for model in (tn.Sequential(), tn.Model(inputs, inputs), type("Mine", (tn.Model,), {})()):
        for path in old:
            name = path.removeprefix("Model.")
            assert not hasattr(model, name)
            assert name not in dir(model)
            with pytest.raises(AttributeError, match=f"{name}.*: Keras 2 has it, Keras 3 does not"):
                getattr(model, name)


def test_other_missing_attributes_of_a_model_raise_pythons_error():
    class Mine(tn.Model):
        @property
        def width(self):
            return self.no_such_layer.units

    model = Mine()
    for name, found in (("fti", "fti"), ("width", "no_such_layer"), ("__len__", "__len__")):
        with pytest.raises(AttributeError, match=f"'Mine' object has no attribute '{found}'"):
            getattr(model, name)


def test_a_sequential_that_begins_with_a_model_is_built_by_its_inputs():
    x = tn.Input((7,))
    first = tn.Model(x, Dense(6)(x))
    model = tn.Sequential([first, Dense(5)])
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 7), (None, 5))
    assert model.count_params() == (7 * 6 + 6) + (6 * 5 + 5)
    later = tn.Sequential([tn.Sequential([tn.Input((2,)), Dense(3)])])
    later.add(Dense(4))
    assert later.output_shape == (None, 4)
    assert not tn.Sequential([tn.Sequential([Dense(3)]), Dense(4)]).built
    two = tn.Model([x, y := tn.Input((7,))], Dense(2)(tn.layers.add([x, y])))
    assert tn.Sequential([two, Dense(1)])([np.ones((3, 7))] * 2).shape == (3, 1)
