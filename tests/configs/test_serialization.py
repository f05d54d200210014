"""Configs: objects to plain data and back, users' own objects, copies of models in any state."""

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import assert_all_same, assert_same, everything, normal, over, refused

import tinynet as tn
from tinynet import saving
from tinynet.configs.serialization import sharing
from tinynet.layers import Activation, Dense, Input, Layer

X, Y = normal(0, 12, 3), normal(1, 12, 1)


def double(x: Any) -> Any:
    return x * 2


class Scale(Layer):
    """A user's layer with an inner layer, and a config of both."""

    def __init__(self, inner: Any, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.factor = inner, factor

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs) * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "inner": self.inner, "factor": self.factor}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        inner = saving.deserialize_keras_object(config["inner"])
        return super().from_config({**config, "inner": inner})


class Network(tn.Model):
    """A user's model without `get_config`."""

    def __init__(self, units: int = 2) -> None:
        super().__init__()
        self.hidden, self.last = Dense(units, "tanh"), Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.hidden(inputs))


def stack() -> tn.Model:
    return tn.Sequential([Input((3,)), Dense(2, "tanh"), Dense(1)])


def lazy() -> tn.Model:
    return tn.Sequential([Dense(2, "tanh"), Dense(1)])


def graph() -> tn.Model:
    inputs, shared = Input((3,)), Dense(3, "tanh")
    return tn.Model(inputs, Dense(1)(stack()(shared(shared(inputs)))))


MODELS = {"stack": stack, "lazy": lazy, "graph": graph, "subclass": Network}

# -- users' own objects ----------------------------------------------------------------------------


def test_names_in_a_custom_object_scope_work_wherever_a_name_is_accepted():
    class Mine(tn.optimizers.SGD):
        pass

    def near(y_true, y_pred):
        return tn.ops.mean(abs(y_true - y_pred), axis=-1)

    objects = {"double": double, "near": near, "Mine": Mine, "sevens": tn.initializers.Constant(7)}
    with saving.custom_object_scope(objects):
        model = tn.Sequential([Input((3,)), Dense(1, "double", kernel_initializer="sevens")])
        model.compile("Mine", "near", metrics=["near"])
        logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert_same(model.get_weights()[0], np.full((3, 1), 7, "float32"))
    assert type(model.optimizer) is Mine
    assert logs["loss"] == pytest.approx(logs["near"])
    with refused(ValueError, "double", "custom_objects", "register_keras_serializable"):
        Dense(1, "double")


def test_nested_scopes_add_up_and_end():
    with saving.CustomObjectScope({"a": 1, "b": 2}):
        with saving.CustomObjectScope({"b": 3}):
            found = [saving.get_registered_object(name) for name in "abc"]
        assert found == [1, 3, None]
        assert saving.get_registered_object("b") == 2
    assert saving.get_registered_object("a") is None


@pytest.fixture
def registered() -> Any:
    known = saving.get_custom_objects()
    before = dict(known)
    yield saving.register_keras_serializable("test")
    known.clear()
    known.update(before)


def test_registered_objects_need_no_scope(registered):
    registered(double)
    registered(Scale)
    model = tn.Sequential([Input((3,)), Scale(Dense(2, double), 3.0), Dense(1)])
    again = tn.models.model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert_same(again(X), model(X))
    assert saving.get_registered_name(Scale) == "test>Scale"
    assert again.layers[0].inner.activation is double


def test_a_class_without_get_config_cannot_be_registered(registered):
    with refused(ValueError, "get_config"):
        registered(int)


def test_only_classes_and_functions_have_a_registered_name():
    for thing in (3, "relu", None):
        with refused(TypeError, "obj", "a class or function", str(thing)):
            saving.get_registered_name(thing)


def test_an_object_in_two_places_is_deserialized_as_one_object():
    inner = Dense(3)
    model = tn.Sequential([Input((3,)), Scale(inner, 2.0), Scale(inner, 3.0)])
    with saving.custom_object_scope({"Scale": Scale}):
        with sharing():
            config = json.loads(model.to_json())
        with sharing():
            first, second = saving.deserialize_keras_object(config).layers
    assert first.inner is second.inner


def test_functions_that_their_name_does_not_identify_are_refused():
    def relu(x):
        return x

    with refused(ValueError, "lambda", "register_keras_serializable"):
        Dense(1, lambda x: x).get_config()
    with refused(ValueError, "relu"):
        Dense(1, relu).get_config()
    assert Dense(1, tn.ops.tanh).get_config()["activation"]["config"] == "tanh"
    with refused(TypeError, "get_config"):
        saving.serialize_keras_object(object())


def test_a_layer_with_other_arguments_than_plain_data_must_define_get_config():
    class Wrap(Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def call(self, inputs):
            return self.function(inputs)

    with pytest.raises(NotImplementedError, match="define get_config"):
        tn.Sequential([Input((3,)), Wrap(double)]).to_json()


WRONG = {
    "unknown class": {"module": "keras.layers", "class_name": "Conv2D", "config": {}},
    "class of a module": {"module": "os", "class_name": "system", "config": {}},
    "function of a module": {"module": "os", "class_name": "function", "config": "system"},
    "builtin": {"module": "builtins", "class_name": "function", "config": "eval"},
    "code": {"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}},
    "Lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}},
    "no dict": {"module": "keras.layers", "class_name": "Dense", "config": [3]},
    "unknown argument": {"module": "keras.layers", "class_name": "Dense", "config": {"n": 3}},
    "a class that is no name": {"module": "keras.layers", "class_name": ["Dense"], "config": {}},
}


@over(WRONG, "config")
def test_unknown_parts_of_a_config_are_refused_with_their_location(config):
    within = {"module": "keras", "class_name": "Sequential", "config": {"name": "outer"}}
    within["config"]["layers"] = [{**config, "registered_name": None}]
    with refused(ValueError, "Sequential 'outer'"):
        saving.deserialize_keras_object(within)


@over({"text": "{", "number": "3", "layer": "LAYER", "nesting": "[" * 10**5}, "text")
def test_json_that_is_not_a_model_is_refused(text):
    if text == "LAYER":
        text = json.dumps(saving.serialize_keras_object(Dense(1)))
    with refused(ValueError, "Cannot load the JSON text"):
        tn.models.model_from_json(text)


def broken(change: Any) -> str:
    config = json.loads(graph().to_json())
    change(config["config"])
    return json.dumps(config)


BREAKS = {
    "a cycle": lambda c: c["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(
        keras_history=[c["layers"][1]["name"], 1, 0]
    ),
    "a tensor of nowhere": lambda c: c.update(output_layers=["nowhere", 0, 0]),
    "a call that is not": lambda c: c.update(output_layers=[c["layers"][1]["name"], 7, 0]),
    "an output that is not": lambda c: c["output_layers"].__setitem__(2, 5),
    "two of a name": lambda c: c["layers"].append(c["layers"][0]),
    "no layers": lambda c: c.pop("layers"),
    "layers of another type": lambda c: c.update(layers={"a": 1}),
    "a layer that is none": lambda c: c["layers"].append(
        {
            "name": "z",
            "module": "keras.losses",
            "class_name": "MeanSquaredError",
            "config": {},
            "inbound_nodes": [],
        }
    ),
}


@over(BREAKS, "change")
def test_an_inconsistent_graph_is_refused(change):
    with refused(ValueError, "Cannot load the JSON text"):
        tn.models.model_from_json(broken(change))


# -- copies ----------------------------------------------------------------------------------------

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
}


def trained(model: tn.Model) -> tn.Model:
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


STATES = {
    "new": lambda model: model,
    "built": lambda model: model(X) is not None and model,
    "compiled": lambda model: model.compile("adam", "mse", metrics=["mae"]) or model,
    "trained": trained,
}


@over(COPIES, "copied")
@over(STATES, "state")
@over(MODELS, "make")
def test_a_copy_continues_like_the_model_and_independently_of_it(make, state, copied):
    model = state(make())
    other = copied(model)
    if not model.compiled:
        for each in (model, other):
            each.compile("adam", "mse", metrics=["mae"])
    if not model.built:  # each model draws its own weights
        for each in (model, other):
            each(X)
        other.set_weights(model.get_weights())
    before = everything(model)
    logs = other.fit(X, Y, epochs=2, shuffle=False, verbose=0).history
    assert_all_same(everything(model), before[: len(everything(model))])
    assert model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history == logs
    assert_all_same(everything(other), everything(model))


@over(COPIES, "copied")
def test_a_copy_during_training_has_the_state_of_that_moment(copied):
    taken = []

    class Take(tn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            taken.append((copied(self.model), everything(self.model)))

    model = stack()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=5, epochs=2, verbose=0, callbacks=[Take()])
    assert len(taken) == 6
    for other, expected in taken:
        assert_all_same(everything(other), expected)
    taken[2][0].fit(X, Y, verbose=0)


@over(MODELS, "make")
def test_a_clone_has_new_weights_and_new_optimizer_state(make):
    model = trained(make())
    clone = tn.models.clone_model(model)
    clone(X)
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    assert not set(clone.weights) & set(model.weights)
    if make is not Network:
        assert int(clone.optimizer.iterations) == 0
        assert type(clone.optimizer) is type(model.optimizer)
        clone.fit(X, Y, verbose=0)


@pytest.mark.parametrize("function", [np.cosh, np.cbrt, tn.ops.rot90])
def test_a_clone_keeps_a_function_of_numpy_or_ops_that_no_config_can_name(function):
    model = tn.Sequential([Input((2,)), Dense(2, function)])
    assert tn.models.clone_model(model).layers[0].activation is function


def test_clone_model_needs_no_custom_objects():
    model = tn.Sequential([Input((3,)), Scale(Dense(2), 3.0), Activation(double), Dense(1)])
    model.compile("sgd", tn.losses.MeanSquaredError())
    clone = tn.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same(clone(X), model(X))


def test_a_subclassed_model_is_cloned_as_a_whole():
    with refused(ValueError, "Network"):
        tn.models.clone_model(Network(), clone_function=lambda layer: layer)
    with refused(ValueError, "call_function"):
        tn.models.clone_model(stack(), call_function=lambda layer, x: layer(x))
    assert tn.models.clone_model(Network(5)).hidden.units == 5


def test_a_graph_of_a_thousand_layers_survives_json():
    x = inputs = Input((2,))
    for _ in range(1000):
        x = Activation("linear")(x)
    again = tn.models.model_from_json(tn.Model(inputs, x).to_json())
    assert len(again.layers) == 1001
