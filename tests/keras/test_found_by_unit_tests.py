"""What Keras's own unit tests found: see `unit_tests.py`. Each thing, beside real Keras."""

import contextlib
import operator
from typing import Any

import keras
import numpy as np
import pytest
from side_by_side import assert_both_agree, in_both, numbers

import tinynet as tn

X, Y = numbers(0, 8, 3), numbers(1, 8, 1)
BOTH = pytest.mark.parametrize("lib", [tn, keras], ids=["tinynet", "keras"])


def model_of(lib: Any, call: Any, **layers: Any) -> Any:
    """Return a subclassed model with these layers and this function as its `call`."""

    class Own(lib.Model):
        def __init__(self) -> None:
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

    Own.call = call
    return Own()


def two_layers(lib: Any, call: Any) -> Any:
    return model_of(lib, call, a=lib.layers.Dense(1), b=lib.layers.Dense(1))


def as_list(self: Any, x: Any) -> Any:
    return [self.a(x), self.b(x)]


def as_dict(self: Any, x: Any) -> Any:
    return {"p": self.a(x), "q": [self.b(x), self.a(x)]}


NESTED = {"p": Y, "q": [Y, Y]}


@pytest.mark.parametrize(
    ("call", "targets", "options"),
    [
        (as_list, [Y, Y], {"loss": ["mse", "mae"]}),
        (as_list, [Y, Y], {"loss": "mse", "metrics": [["mae"], ["mae"]]}),
        (as_list, [Y, Y], {"loss": ["mse", None], "weighted_metrics": [["mae"], ["mse"]]}),
        (
            as_dict,
            NESTED,
            {
                "loss": {"p": "mse", "q": ["mse", "mae"]},
                "metrics": {"p": ["mae"], "q": [["mse"], ["mse"]]},
            },
        ),
    ],
)
def test_losses_and_metrics_of_outputs_without_names_have_the_keys_of_keras(call, targets, options):
    def run(lib):
        model = two_layers(lib, call)
        model.compile("sgd", **options)
        return model.fit(X, targets, verbose=0, shuffle=False).history

    assert_both_agree(run)


def without_argument(self: Any, x: Any) -> Any:
    return self.last(self.drop(self.norm(x)))


def with_argument(self: Any, x: Any, training: bool = False) -> Any:
    # On JAX, unlike on Keras's other backends, the layers inside do not hear of it by themselves.
    return self.last(self.drop(self.norm(x, training=training), training=training))


@pytest.mark.parametrize("call", [without_argument, with_argument])
def test_layers_act_as_in_training_if_the_call_of_a_model_has_that_argument(call):
    def run(lib):
        parts = lib.layers.BatchNormalization(), lib.layers.Dropout(0.5, seed=1)
        names = ("norm", "drop", "last")
        layers = dict(zip(names, (*parts, lib.layers.Dense(1)), strict=True))
        model = model_of(lib, call, **layers)
        model.compile("sgd", "mse")
        history = model.fit(X, Y, epochs=3, verbose=0, shuffle=False).history
        return history, model.get_weights(), model.predict(X, verbose=0)

    assert_both_agree(run)


def twice_in_training(self: Any, x: Any, training: bool = True) -> Any:
    return x * (2.0 if training else 1.0)


def test_the_default_of_the_argument_training_holds_until_a_caller_says_otherwise():
    def run(lib):
        inner = type("Twice", (lib.layers.Layer,), {"call": twice_in_training})
        inputs = lib.Input((3,))
        graph = lib.Model(inputs, inner()(inputs))
        outer = model_of(lib, lambda self, x: self.inner(x), inner=inner())
        found = [model(X) for model in (inner(), graph, outer)]
        found += [graph(X, training=False), outer(X, training=False), inner()(X, training=False)]
        return [*map(np.array, found), *(m.predict(X, verbose=0) for m in (graph, outer))]

    assert_both_agree(run)


@pytest.mark.parametrize(("kind", "word"), [("test", "evaluating"), ("predict", "predicting")])
def test_a_callback_can_stop_evaluate_and_predict(kind, word):
    def run(lib):
        class Stopper(lib.callbacks.Callback):
            def stop(self, batch, logs=None):
                batches.append(batch)
                setattr(self.model, f"stop_{word}", batch == 2)

        batches = []
        setattr(Stopper, f"on_{kind}_batch_end", Stopper.stop)
        model = lib.Sequential([lib.Input((3,)), lib.layers.Dense(1)])
        model.compile("sgd", "mse")
        endless = (((X,) if kind == "predict" else (X, Y)) for _ in range(9))
        method = model.predict if kind == "predict" else model.evaluate
        found = method(endless, verbose=0, callbacks=[Stopper()])
        return batches, np.asarray(found)

    assert_both_agree(run)


@BOTH
def test_layers_know_the_metrics_inside_them(lib):
    class Watched(lib.layers.Layer):
        def __init__(self, inner=None):
            super().__init__()
            self.inner, self.mean = inner, lib.metrics.Mean()

    layer = Watched(Watched())
    assert [len(layer.metrics), len(layer.metrics_variables), len(layer.weights)] == [2, 4, 0]


@BOTH
def test_weights_of_integers_and_booleans_begin_as_zeros(lib):
    layer = lib.layers.Layer()
    kinds = ["int32", "bool", "float32"]
    made = [layer.add_weight((2,), dtype=kind, trainable=False) for kind in kinds]
    made.append(layer.add_variable((2,), "ones"))
    assert [(w.dtype, bool(np.any(w.numpy()))) for w in made] == [
        ("int32", False),
        ("bool", False),
        ("float32", True),
        ("float32", True),
    ]
    with pytest.raises(ValueError, match="name"):
        layer.add_weight("scale")


@BOTH
def test_the_first_argument_of_a_layer_may_be_given_by_name(lib):
    class Sum(lib.layers.Layer):
        def call(self, first, second):
            return first + 2 * second

    inputs = [lib.Input((3,)), lib.Input((3,))]
    model = lib.Model(inputs, Sum()(first=inputs[0], second=inputs[1]))
    np.testing.assert_allclose(model.predict([X, X], verbose=0), 3 * X, rtol=1e-6)
    np.testing.assert_allclose(np.array(Sum()(second=X, first=X)), 3 * X, rtol=1e-6)
    with pytest.raises((ValueError, TypeError)):
        Sum()(second=X)


@BOTH
def test_a_layer_whose_class_overrides_build_is_not_built_from_the_start(lib):
    class Own(lib.layers.Dropout):
        def build(self, input_shape):
            self.scale = self.add_weight((), "ones")

    layer = Own(0.5)
    assert lib.layers.Dropout(0.5).built
    assert not layer.built
    layer(X)
    assert [layer.built, len(layer.weights)] == [True, 1]


@BOTH
@pytest.mark.parametrize("trainable", ["yes", 1, None])
def test_trainable_is_a_bool(lib, trainable):
    with pytest.raises(ValueError, match="trainable"):
        lib.layers.Dense(2, trainable=trainable)


@BOTH
def test_placeholders_of_outputs_can_be_asked_for_without_a_node(lib):
    tensor = tn.layers.KerasTensor if lib is tn else keras.KerasTensor
    layer = lib.layers.Dense(2)
    assert layer.compute_output_spec(tensor((None, 3))).shape == (None, 2)
    with pytest.raises(AttributeError):
        _ = layer.output


def test_a_model_that_begins_inside_another_has_an_input_layer_there(tmp_path):
    def run(lib):
        inputs = lib.Input((3,), name="x")
        hidden = lib.layers.Dense(2, name="hidden")(inputs)
        part = lib.Model(hidden, lib.layers.Dense(1, name="last")(hidden))
        part.save(tmp_path / f"{lib.__name__}.keras")
        first, *others = part.layers
        assert isinstance(first, lib.layers.InputLayer)
        return [x.name for x in others], first.output.shape, part.predict(X[:, :2], verbose=0)

    (_, _, expected), _ = in_both(run)
    for lib in (tn, keras):
        for path in tmp_path.iterdir():
            found = lib.models.load_model(path).predict(X[:, :2], verbose=0)
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert_both_agree(run)


@pytest.mark.parametrize("form", [list, tuple])
def test_a_config_keeps_whether_outputs_are_a_list_or_a_tuple(form):
    def run(lib):
        inputs = lib.Input((3,))
        model = lib.Model(inputs, form([lib.layers.Dense(1)(inputs), lib.layers.Dense(2)(inputs)]))
        return type(type(model).from_config(model.get_config())(X)).__name__

    assert_both_agree(run)


@BOTH
def test_a_sequential_model_that_data_built_takes_other_lengths(lib):
    model = lib.Sequential([lib.layers.Reshape((-1, 2))])
    assert [model.predict(np.ones((1, n, 4)), verbose=0).shape for n in (2, 3)] == [
        (1, 4, 2),
        (1, 6, 2),
    ]
    declared = lib.Sequential([lib.Input((3,)), lib.layers.Dense(1)])
    with pytest.raises(ValueError, match="4"):
        declared.predict(np.ones((2, 4)), verbose=0)


def test_the_first_layer_of_a_sequential_model_may_take_several_inputs():
    def run(lib):
        model = lib.Sequential([lib.layers.Concatenate(), lib.layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit([X, Y], Y, verbose=0, shuffle=False).history
        with contextlib.suppress(AttributeError):
            raise AssertionError(model.input_shape)
        return history, model.predict([X, Y], verbose=0), model.get_weights()

    assert_both_agree(run)


def test_sample_weights_of_an_ignored_class_do_not_count_in_its_metric():
    def run(lib):
        metric = lib.metrics.SparseCategoricalCrossentropy(ignore_class=0)
        y_true = np.array([0, 1, 2])
        y_pred = np.array([[0.8, 0.1, 0.1], [0.05, 0.95, 0.0], [0.1, 0.8, 0.1]], "float32")
        first = float(metric(y_true, y_pred, sample_weight=np.array([0.5, 1.5, 2.0])))
        metric.reset_state()
        return first, float(metric(y_true, y_pred))

    assert_both_agree(run)


@BOTH
def test_an_auc_of_thresholds_needs_no_number_of_them(lib):
    metric = lib.metrics.AUC(num_thresholds=None, thresholds=[0.3, 0.5])
    again = lib.metrics.AUC.from_config(metric.get_config())
    assert again.num_thresholds == metric.num_thresholds == 4
    if lib is tn:
        with pytest.raises(ValueError, match="num_thresholds"):
            tn.metrics.AUC(num_thresholds=None)


def test_an_optimizer_takes_its_state_back():
    def run(lib):
        variable = lib.Variable(np.ones(2, "float32"))
        adam = lib.optimizers.Adam(0.1)
        with pytest.raises(ValueError, match="build"):
            adam.set_weights([])
        adam.apply([np.ones(2, "float32")], [variable])
        state = [v.numpy() for v in adam.variables]
        adam.apply([np.ones(2, "float32")], [variable])
        adam.set_weights(state)
        return [v.numpy() for v in adam.variables]

    assert_both_agree(run)


@BOTH
def test_inputs_that_are_not_sparse_may_say_so(lib):
    assert lib.Input((3,), 2, "float32", False, False).shape == (2, 3)
    config = lib.layers.InputLayer((3,), sparse=False, ragged=False).get_config()
    assert lib.layers.InputLayer.from_config(config).get_config() == config
    if lib is tn:
        with pytest.raises(ValueError, match="sparse"):
            tn.Input((3,), sparse=True)


@BOTH
def test_a_layer_may_describe_its_outputs_without_being_run(lib):
    tensor = tn.layers.KerasTensor if lib is tn else keras.KerasTensor

    class Told(lib.layers.Layer):
        def call(self, x):
            calls.append(x.shape)
            return x + 1.0

        def compute_output_spec(self, x):
            return tensor(x.shape, dtype=x.dtype)

    calls = []
    inputs = lib.Input((3,))
    outputs = Told()(inputs)
    assert [outputs.shape, calls] == [(None, 3), []]
    assert lib.Model(inputs, outputs).predict(X, verbose=0).shape == X.shape


def test_a_list_of_one_loss_is_that_loss():
    def run(lib):
        inputs = lib.Input((3,))
        outputs = {name: lib.layers.Dense(1, name=name)(inputs) for name in "ab"}
        model = lib.Model(inputs, outputs)
        model.compile("sgd", {"a": ["mse"], "b": "mae"})
        return model.fit(X, {"a": Y, "b": Y}, verbose=0, shuffle=False).history

    assert_both_agree(run)


@BOTH
def test_a_sequential_model_runs_a_layer_that_does_not_know_the_shape_of_its_output(lib):
    class Unknown(lib.layers.Layer):
        def call(self, x):
            return x + 1.0

        def compute_output_spec(self, *args, **kwargs):
            raise NotImplementedError

    model = lib.Sequential([Unknown(), lib.layers.Dense(1, kernel_initializer="ones")])
    found = model.predict(X, verbose=0)
    np.testing.assert_allclose(found, (X + 1).sum(1, keepdims=True), rtol=1e-5)
    model.summary(print_fn=lambda text: None)


@BOTH
def test_a_placeholder_may_be_given_for_an_input(lib):
    tensor = tn.layers.KerasTensor if lib is tn else keras.KerasTensor
    given = tensor((2, 3), dtype="float32")
    wrong = {"shape": (4,), "batch_size": 5, "batch_shape": (2, 4), "dtype": "float16"}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=name):
            lib.layers.InputLayer(**{name: value}, input_tensor=given)
    with pytest.raises(ValueError, match="input_tensor"):
        lib.layers.InputLayer((3,), input_tensor=X)
    for further in ({}, {"shape": (3,)}, {"batch_size": 2, "dtype": "float32"}):
        given = tensor((2, 3), dtype="float32")
        placeholder = lib.Input(tensor=given, **further)
        assert placeholder is given
        model = lib.Model(placeholder, lib.layers.Dense(1, kernel_initializer="ones")(given))
        found = model.predict(X[:2], verbose=0)
        np.testing.assert_allclose(found, X[:2].sum(1, keepdims=True), rtol=1e-6)


@BOTH
def test_an_input_layer_takes_the_shapes_of_older_keras_and_not_two_of_them(lib):
    with pytest.warns(UserWarning, match="Argument `input_shape` is deprecated"):
        layer = lib.layers.InputLayer(input_shape=(3,), batch_size=2)
    assert layer.batch_shape == lib.layers.InputLayer(batch_input_shape=(2, 3)).batch_shape
    for wrong in ({}, {"shape": (3,)}, {"batch_size": 2}):
        with pytest.raises(ValueError, match="shape"):
            lib.layers.InputLayer(**wrong, batch_shape=(2, 3) if wrong else None)
    if lib is tn:
        with pytest.raises((ValueError, TypeError), match="unknown"):
            tn.layers.InputLayer((3,), unknown=1)


@BOTH
def test_placeholders_have_the_methods_reshape_and_squeeze(lib):
    tensor = tn.layers.KerasTensor if lib is tn else keras.KerasTensor
    x = tensor((3, 1, 2), dtype="float32")
    assert [x.squeeze().shape, x.squeeze(axis=1).shape, x.reshape((6,)).shape] == [
        (3, 2),
        (3, 2),
        (6,),
    ]


@BOTH
def test_a_layer_may_take_none_among_its_inputs(lib):
    class Either(lib.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = lib.layers.Dense(2, kernel_initializer="ones")

        def call(self, xs):
            parts = xs.values() if isinstance(xs, dict) else xs
            return sum(self.dense(x) for x in parts if x is not None)

    for given in ({"a": X, "b": None}, [X, None], (None, X)):
        np.testing.assert_allclose(np.array(Either()(given))[:, 0], X.sum(1), rtol=1e-5)
    placeholder = lib.Input((3,))
    assert Either()({"a": placeholder, "b": None}).shape == (None, 2)
    with pytest.raises(ValueError, match="None"):
        lib.layers.Dense(2)(None)


@BOTH
def test_a_list_of_layers_may_contain_itself(lib, tmp_path):
    class Cyclic(lib.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = lib.layers.Dense(2)
            self.parts = [self.dense]
            self.parts.append({"again": self.parts})

        def call(self, x):
            return self.dense(x)

    model = Cyclic()
    expected = np.array(model(X))
    assert len(model.weights) == 2
    model.save(tmp_path / "cyclic.keras")
    again = lib.models.load_model(tmp_path / "cyclic.keras", custom_objects={"Cyclic": Cyclic})
    np.testing.assert_array_equal(np.array(again(X)), expected)


@BOTH
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_layer_takes_the_dtype_of_a_config_as_it_stands_there(lib, dtype, tmp_path):
    class Own(lib.layers.Layer):
        def call(self, x):
            return x * 2

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    config = Own(dtype=dtype).get_config()
    assert isinstance(config["dtype"], dict)
    assert (
        Own.from_config(config).dtype == lib.layers.Dense(1, dtype=config["dtype"]).dtype == dtype
    )
    model = lib.Sequential([lib.Input((3,)), Own()])
    model.save(tmp_path / "own.keras")
    again = lib.models.load_model(tmp_path / "own.keras", custom_objects={"Own": Own})
    np.testing.assert_allclose(again.predict(X, verbose=0), 2 * X, rtol=1e-6)


@BOTH
def test_configs_of_keras_3_6_name_registered_functions_without_their_package(lib):
    @lib.saving.register_keras_serializable("of_3_6")
    def halved(x):
        return x / 2

    config = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    for name in ("halved", "of_3_6>halved"):
        assert lib.saving.deserialize_keras_object({**config, "config": name}) is halved
    with pytest.raises((ValueError, TypeError)):
        lib.saving.deserialize_keras_object({**config, "config": "alved"})


@pytest.mark.parametrize("metrics", [None, ["mae"]])
def test_the_names_of_metrics_include_the_losses_of_several_outputs(metrics):
    def run(lib):
        inputs = lib.Input((3,))
        outputs = [lib.layers.Dense(1, name=name)(inputs) for name in "ab"]
        found = []
        for model in (lib.Model(inputs, outputs), lib.Model(inputs, outputs[0])):
            model.compile("sgd", "mse", metrics=metrics and [metrics] * len(model.outputs))
            model.fit(X, [Y] * len(model.outputs), verbose=0)
            found.append(model.metrics_names)
        return found

    assert_both_agree(run)


ITERATORS: dict[str, Any] = {
    "zip": lambda: zip([(X, Y)], [], strict=True),
    "map": lambda: map(int, ["one"]),
    "an iterable": lambda: Iterable(map(operator.getitem, [{}], "k")),
}


class Iterable:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize("kind", ["fit", "evaluate", "predict"])
@pytest.mark.parametrize("name", ITERATORS)
def test_errors_of_iterators_that_run_no_code_of_the_user_stay_as_they_are(name, kind):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        list(ITERATORS[name]())
    model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(expected.type) as found:
        getattr(model, kind)(ITERATORS[name](), verbose=0)
    assert str(found.value) == str(expected.value)


def test_the_argument_training_of_a_call_in_a_graph_holds_in_fit_and_predict():
    """Keras 3.15 overrides it there."""
    inputs = tn.Input((3,))
    norm = tn.layers.BatchNormalization()
    dropped = tn.layers.Dropout(0.5, seed=1)(norm(inputs, training=False), training=True)
    model = tn.Model(inputs, dropped)
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert not norm.moving_mean.numpy().any()
    assert (model.predict(X, verbose=0) == 0).any()
