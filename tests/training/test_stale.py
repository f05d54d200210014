"""A compiled step is compiled again when an attribute that it read has changed, and only then."""

import gc
import inspect
import sys
import weakref
from functools import partial, wraps
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from helpers import assert_all_same, assert_same, everything, normal, over, refused
from native import NATIVE

import tinynet as tn
from tinynet import layers, losses, metrics, ops, optimizers, regularizers
from tinynet.callbacks import LambdaCallback
from tinynet.compiler.executable import Executable
from tinynet.layers import Dense, Dropout, Input, Layer
from tinynet.optimizers import SGD, Adam, RMSprop

needs_c = pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
X, Y = normal(0, 6, 4), abs(normal(1, 6, 3)) + 0.1
CLASSES = np.arange(6) % 3


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 0.5 + 0.125
    if isinstance(value, str):
        return {"sum_over_batch_size": "sum", "float32": "float64"}.get(value, f"{value}2")
    if isinstance(value, tuple):
        return value[::-1]
    if isinstance(value, regularizers.Regularizer):
        return regularizers.L2(0.5)
    return tn.activations.tanh if callable(value) else 0.125


def public_attributes(thing: Any) -> list[str]:
    """Return the attributes that a user may set: those of the config, and all other public ones."""
    names = [*inspect.signature(type(thing)).parameters, *thing.get_config(), *vars(thing)]
    found = [name for name in dict.fromkeys(names) if name in vars(thing) and name[0] != "_"]
    state = ("built", "groups", "seed_generator")
    found = [name for name in found if name not in state]
    return [name for name in found if not isinstance(getattr(thing, name), tn.Variable)]


def over_attributes(makers: dict[str, Any]) -> Any:
    """Parametrize a test over the makers of objects and the public attributes of each."""
    rows = [(key, make, name) for key, make in makers.items() for name in public_attributes(make())]
    return over({f"{key}.{name}": (make, name) for key, make, name in rows}, "case")


def without_arguments(module: Any, base: type) -> dict[str, Any]:
    """Return the classes of a module below `base` that can be made without arguments."""
    kinds = {name: kind for name, kind in vars(module).items() if inspect.isclass(kind)}

    def optional(kind: type) -> bool:
        parameters = inspect.signature(kind).parameters.values()
        return all(p.default is not p.empty or p.kind >= p.KEYWORD_ONLY for p in parameters)

    kinds = {name: kind for name, kind in kinds.items() if issubclass(kind, base)}
    return {name: kind for name, kind in kinds.items() if kind is not base and optional(kind)}


def network(optimizer: Any = "sgd", loss: Any = "mse", between: Any = (), **options: Any) -> Any:
    model = tn.Sequential([Input((4,)), *between, Dense(3, "sigmoid")])
    model.compile(optimizer, loss, **options)
    return model


def setting(thing: Any, name: str) -> Any:
    return lambda: setattr(thing, name, other(getattr(thing, name)))


def outcome(model: Any, change: Any, y: np.ndarray) -> Any:
    """Fit, predict, change something, and do so again: return all numbers, or the error raised."""
    model.fit(X, y, batch_size=4, shuffle=False, verbose=0)
    model.predict(X, verbose=0)
    change()
    try:
        predicted = model.predict(X, verbose=0)
        assert_same(predicted, model(X))
        history = model.fit(X, y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        tested = model.evaluate(X, y, verbose=0, return_dict=True)
        return history, tested, [predicted, model.predict(X, verbose=0), *everything(model)]
    except (ValueError, TypeError, IndexError) as error:
        return type(error), str(error)


def assert_as_eager(make: Any, y: np.ndarray = Y) -> None:
    """Assert that a compiled model and an eager one do the same after a change.

    `make` returns a model and a function that changes it.
    """
    found = []
    for eager in (False, True):
        tn.utils.clear_session()
        tn.utils.set_random_seed(3)
        model, change = make()
        model.run_eagerly = eager
        found.append(outcome(model, change, y))
    (*compiled, arrays), (*expected, others) = found
    assert repr(compiled) == repr(expected)  # of numbers and arrays to the last digit
    if isinstance(arrays, str):
        assert arrays == others
    else:
        assert_all_same(arrays, others)


OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "SGD with momentum": lambda: SGD(0.1, momentum=0.9, weight_decay=0.1, clipnorm=0.1),
    "RMSprop": lambda: RMSprop(0.1, clipvalue=0.1),
    "RMSprop with all slots": lambda: RMSprop(0.1, momentum=0.5, centered=True),
    "Adam": lambda: Adam(0.1, global_clipnorm=0.1),
    "Adam with amsgrad": lambda: Adam(0.1, amsgrad=True),
    "AdamW": lambda: optimizers.AdamW(0.1),
    "Adagrad": lambda: optimizers.Adagrad(0.1),
    "sums of gradients": lambda: Adam(0.1, gradient_accumulation_steps=2),
    "Adamax": lambda: optimizers.Adamax(0.1),
    "Nadam": lambda: optimizers.Nadam(0.1, use_ema=True, ema_overwrite_frequency=2),
}


@over_attributes(OPTIMIZERS)
def test_an_attribute_of_an_optimizer_holds_from_when_it_is_set_between_fits(case):
    make, name = case

    def made() -> Any:
        model = network(make())
        return model, setting(model.optimizer, name)

    assert_as_eager(made)


@over_attributes(without_arguments(losses, losses.Loss))
def test_an_attribute_of_a_loss_holds_from_when_it_is_set_between_fits(case):
    make, name = case
    loss = make()
    y = CLASSES if isinstance(loss, losses.SparseCategoricalCrossentropy) else Y

    def made() -> Any:
        loss = make()
        return network("sgd", loss), setting(loss, name)

    assert_as_eager(made, y)


METRICS = {
    name: kind
    for name, kind in without_arguments(metrics, metrics.Metric).items()
    if not issubclass(kind, (metrics.Sum, metrics.Mean))
    or issubclass(kind, metrics.MeanMetricWrapper)
}


@over_attributes(METRICS)
def test_an_attribute_of_a_metric_holds_from_when_it_is_set_between_fits(case):
    make, name = case
    y = CLASSES if "Sparse" in make.__name__ else Y

    def made() -> Any:
        metric = make()
        loss = "mse" if y is Y else "sparse_categorical_crossentropy"
        return network("sgd", loss, metrics=[metric]), setting(metric, name)

    assert_as_eager(made, y)


LAYERS = {
    "Dense": lambda: Dense(5, "relu", kernel_regularizer="l2", activity_regularizer="l1"),
    "Dropout": lambda: Dropout(0.5, seed=3),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5, seed=3),
    "GaussianNoise": lambda: layers.GaussianNoise(0.5, seed=3),
    "BatchNormalization": layers.BatchNormalization,
    "LayerNormalization": layers.LayerNormalization,
    "RMSNormalization": layers.RMSNormalization,
    "UnitNormalization": layers.UnitNormalization,
    "GroupNormalization": lambda: layers.GroupNormalization(1),
    "PReLU": layers.PReLU,
    "Identity": layers.Identity,
    "Lambda": lambda: layers.Lambda(tn.activations.relu, arguments={"negative_slope": 0.5}),
    "Activation": lambda: layers.Activation("relu"),
    "ReLU": lambda: layers.ReLU(6.0, 0.1, 0.5),
    "LeakyReLU": layers.LeakyReLU,
    "ELU": layers.ELU,
    "Softmax": layers.Softmax,
    "Rescaling": lambda: layers.Rescaling(2.0, 1.0),
    "Normalization": lambda: layers.Normalization(mean=0.5, variance=2.0),
    "Flatten": layers.Flatten,
    "Reshape": lambda: layers.Reshape((4,)),
}


@over_attributes(LAYERS)
def test_an_attribute_of_a_layer_holds_from_when_it_is_set_between_fits(case):
    make, name = case

    def made() -> Any:
        layer = make()
        return network(between=[layer]), setting(layer, name)

    assert_as_eager(made)


def test_a_factor_of_a_regularizer_holds_from_when_it_is_set():
    def made() -> Any:
        model = network(between=[Dense(4, kernel_regularizer="l1_l2", activity_regularizer="l2")])
        first = model.layers[0]

        def change() -> None:
            first.kernel_regularizer.l1 = 0.5
            first.activity_regularizer.l2 = 0.25

        return model, change

    assert_as_eager(made)


class Scaled(Layer):
    """Multiplies by numbers that it holds in several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.factors, self.named, self._hidden = [2.0, [3.0]], {"shift": 0.5}, 1.0

    def call(self, inputs):
        factor = self.factors[0] * self.factors[1][0] * self._hidden
        return inputs * factor + self.named["shift"]


CHANGES: dict[str, Any] = {
    "a list": lambda layer: layer.factors.__setitem__(0, 5.0),
    "a list within": lambda layer: layer.factors[1].__setitem__(0, 5.0),
    "a dict": lambda layer: layer.named.update(shift=1.5),
    "a private number": lambda layer: setattr(layer, "_hidden", 4.0),
    "a minus before a zero": lambda layer: layer.named.update(shift=-0.0),
}


@over(CHANGES, "change")
def test_what_changes_within_lists_and_dicts_of_a_layer_is_seen(change):
    def made() -> Any:
        layer = Scaled()
        return network(between=[layer]), lambda: change(layer)

    assert_as_eager(made)


def test_a_layer_that_no_longer_trains_is_seen_by_the_next_fit():
    def made() -> Any:
        model = network(Adam(0.1), between=[Dense(4, kernel_regularizer="l2")])
        return model, lambda: setattr(model.layers[0], "trainable", False)

    assert_as_eager(made)


def test_a_weight_that_no_longer_trains_is_seen_by_the_next_fit():
    def made() -> Any:
        model = network(Adam(0.1))
        return model, lambda: setattr(model.layers[0].kernel, "trainable", False)

    assert_as_eager(made)


@pytest.mark.parametrize("eager", [False, True])
def test_a_hyperparameter_that_a_callback_sets_holds_from_the_next_step(eager):
    model, plain = network(SGD(0.5, momentum=0.5)), network(SGD(0.5, momentum=0.5))
    model.run_eagerly = eager
    plain.set_weights(model.get_weights())

    def lower(batch: int, logs: Any) -> None:
        model.optimizer.momentum = 0.25 / (batch + 1)

    options: dict[str, Any] = {"batch_size": 1, "shuffle": False, "verbose": 0}
    model.fit(X, Y, callbacks=[LambdaCallback(on_train_batch_begin=lower)], **options)
    for i in range(len(X)):
        plain.optimizer.momentum = 0.25 / (i + 1)
        plain.train_on_batch(X[i : i + 1], Y[i : i + 1])
    assert_all_same(everything(model), everything(plain))


def test_another_optimizer_is_seen_between_fits_and_in_mid_fit():
    def made() -> Any:
        model = network(SGD(0.5))
        return model, lambda: setattr(model, "optimizer", Adam(0.25))

    assert_as_eager(made)

    def made_for_mid_fit() -> Any:
        model = network(SGD(0.5))

        def change() -> None:
            model.optimizer = Adam(0.25)

        exchange = LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch and change())
        options = {"shuffle": False, "verbose": 0, "callbacks": [exchange]}
        return model, lambda: model.fit(X, Y, epochs=2, **options)

    assert_as_eager(made_for_mid_fit)


# -- what users' functions read --------------------------------------------------------------------

FACTOR, FACTORS = 1.0, np.ones(3, "float32")


@pytest.fixture(autouse=True)
def globals_are_restored(monkeypatch):
    monkeypatch.setattr(Scale, "shared", 1.0)
    monkeypatch.setattr(Scale, "__call__", Scale.__call__)
    monkeypatch.setitem(globals(), "FACTOR", 1.0)


def set_factor(value: float = 3.0) -> None:
    globals()["FACTOR"] = value


def helper(x: Any) -> Any:
    return FACTOR * x


class Scale:
    """An object of a user's class, whose product is that of numbers from several places."""

    shared = 1.0

    def __init__(self) -> None:
        self.own, self.part = 1.0, SimpleNamespace(factor=1.0)

    @property
    def named(self) -> float:
        return FACTOR

    def __call__(self, x: Any) -> Any:
        return self.own * self.part.factor * self.shared * self.named * x


def of_enclosing_function() -> Any:
    factor = 1.0

    def change() -> None:
        nonlocal factor
        factor = 3.0

    return lambda x: factor * x, change


def of_array() -> Any:
    FACTORS[:] = 1.0
    return lambda x: FACTORS * x, lambda: FACTORS.__setitem__(0, 3.0)


def of_list_that_contains_itself() -> Any:
    numbers: list[Any] = [1.0]
    numbers.append(numbers)
    return lambda x: numbers[1][0] * x, lambda: numbers.__setitem__(0, 3.0)


def of_function(name: str, before: Any, after: Any) -> Any:
    def scale(x: Any, factor: float = 1.0) -> Any:
        return scale.__dict__.get("factor", factor) * x

    setattr(scale, name, before)
    return scale, lambda: setattr(scale, name, after)


def of_code(scale: Any) -> Any:
    return scale, lambda: setattr(scale, "__code__", (lambda x: 3.0 * x).__code__)


def of_partial() -> Any:
    scale = partial(lambda x, factor: factor * x, factor=1.0)
    return scale, lambda: scale.keywords.update(factor=3.0)


def of_module() -> Any:
    settings = module("settings_of_a_user", factor=1.0)
    scale = eval("lambda x: settings.factor * x", {"settings": settings})
    return scale, lambda: setattr(settings, "factor", 3.0)


def module(name: str, **variables: Any) -> ModuleType:
    found = ModuleType(name)
    vars(found).update(variables)
    return found


def of_module_in_a_variable() -> Any:
    settings = module("settings_of_a_user", factor=1.0)
    return lambda x: settings.factor * x, lambda: setattr(settings, "factor", 3.0)


def of_module_in_a_module() -> Any:
    inner = module("inner_settings", factor=1.0)
    settings = module("settings_of_a_user", inner=inner)
    return lambda x: settings.inner.factor * x, lambda: setattr(inner, "factor", 3.0)


def of_module_imported_inside() -> Any:
    settings = sys.modules["imported_settings"] = module("imported_settings", factor=1.0)

    def scale(x: Any) -> Any:
        import imported_settings  # type: ignore[import-not-found]

        return imported_settings.factor * x

    return scale, lambda: setattr(settings, "factor", 3.0)


def of_empty(container: Any, change: Any) -> Any:
    """Return a function of a container that is still empty, and what fills it."""
    return lambda x: x if not container else 3.0 * x, lambda: change(container)


def of_function_without_attributes() -> Any:
    def scale(x: Any) -> Any:
        return vars(scale).get("factor", 1.0) * x

    return scale, lambda: setattr(scale, "factor", 3.0)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self) -> None:
        self.factor = 1.0


class Times(float):
    """A number that does not show which one it is."""

    def __repr__(self) -> str:
        return "times"


class Numbers(list):
    factor = 1.0


def of_slots() -> Any:
    scale = Slotted()
    return lambda x: scale.factor * x, lambda: setattr(scale, "factor", 3.0)


def of_number_of_a_class() -> Any:
    number = Times(1.0)

    def change() -> None:
        nonlocal number
        number = Times(3.0)

    return lambda x: float(number) * x, change


def of_list_of_a_class() -> Any:
    numbers = Numbers([1.0])
    return lambda x: numbers.factor * x, lambda: setattr(numbers, "factor", 3.0)


def of_another_class() -> Any:
    class Other:
        shared = 3.0

    thing = type("Thing", (), {"shared": 1.0, "__module__": __name__})()
    return lambda x: thing.shared * x, lambda: setattr(thing, "__class__", Other)


def of_base_class() -> Any:
    base = type("Base", (), {"factor": 1.0, "__module__": __name__})
    thing = type("Thing", (base,), {"__module__": __name__})()
    return lambda x: thing.factor * x, lambda: setattr(base, "factor", 3.0)


def of_long_chain() -> Any:
    first = last = SimpleNamespace(factor=1.0, after=None)
    for _ in range(2000):
        last.after = last = SimpleNamespace(after=None)
    return lambda x: first.factor * x, lambda: setattr(first, "factor", 3.0)


def of_deleted_variable() -> Any:
    factor = 1.0

    def scale(x: Any) -> Any:
        try:
            return factor * x
        except NameError:
            return 3.0 * x

    def change() -> None:
        nonlocal factor
        del factor

    return scale, change


def of_shadowed_builtin() -> Any:
    own: dict[str, Any] = {"__name__": __name__}
    scale = eval("lambda x: abs(-1.0) * x", own)
    return scale, lambda: own.update(abs=lambda x: 3.0)


def of_object(change: Any) -> Any:
    scale = Scale()
    return scale, lambda: change(scale)


READS: dict[str, Any] = {
    "a global": lambda: (lambda x: FACTOR * x, set_factor),
    "a global of a helper": lambda: (lambda x: helper(x), set_factor),
    "a global of a nested function": lambda: (lambda x: (lambda: FACTOR * x)(), set_factor),
    "a variable of the enclosing function": of_enclosing_function,
    "an array": of_array,
    "a list that contains itself": of_list_that_contains_itself,
    "a default": lambda: of_function("__defaults__", (1.0,), (3.0,)),
    "an attribute of the function": lambda: of_function("factor", 1.0, 3.0),
    "the code": lambda: of_code(lambda x: x),
    "a part of a partial function": of_partial,
    "a module": of_module,
    "a module in a variable": of_module_in_a_variable,
    "a module in a module": of_module_in_a_module,
    "a module that is imported inside": of_module_imported_inside,
    "an empty list": lambda: of_empty([], lambda x: x.append(1)),
    "an empty dict": lambda: of_empty({}, lambda x: x.update(a=1)),
    "an empty set": lambda: of_empty(set(), lambda x: x.add(1)),
    "a first attribute of a function": of_function_without_attributes,
    "a slot": of_slots,
    "a number of a user's class": of_number_of_a_class,
    "an attribute of a list": of_list_of_a_class,
    "another class of an object": of_another_class,
    "an attribute of a base class": of_base_class,
    "an object with a long chain of others": of_long_chain,
    "a variable that is deleted": of_deleted_variable,
    "a builtin that is shadowed": of_shadowed_builtin,
    "an attribute of an object": lambda: of_object(lambda scale: setattr(scale, "own", 3.0)),
    "a new attribute of it": lambda: of_object(lambda scale: setattr(scale, "shared", 3.0)),
    "an attribute of its part": lambda: of_object(lambda s: setattr(s.part, "factor", 3.0)),
    "an attribute of its class": lambda: of_object(lambda scale: setattr(Scale, "shared", 3.0)),
    "a property": lambda: of_object(lambda scale: set_factor()),
    "a method": lambda: of_object(lambda s: setattr(Scale, "__call__", lambda s, x: 3.0 * x)),
}

PLACES: dict[str, Any] = {
    "loss": lambda f: network("sgd", lambda y, p: ops.mean(f((y - p) ** 2), -1)),
    "method as a loss": lambda f: network("sgd", SimpleLoss(f).method),
    "compiled loss": lambda f: network("sgd", tn.jit(lambda y, p: ops.mean(f((y - p) ** 2), -1))),
    "metric": lambda f: network(metrics=[lambda y, p: ops.mean(f((y - p) ** 2), -1)]),
    "layer": lambda f: network(between=[layers.Lambda(f)]),
    "activation": lambda f: network(between=[Dense(3, f)]),
    "regularizer": lambda f: network(
        between=[Dense(3, kernel_regularizer=lambda w: f(ops.sum(w)))]
    ),
    "constraint": lambda f: network(between=[Dense(3, kernel_constraint=f)]),
}


class SimpleLoss:
    """A loss of a user that is no `Loss`."""

    def __init__(self, scale: Any) -> None:
        self.scale = scale

    def method(self, y: Any, y_pred: Any) -> Any:
        return ops.mean(self.scale((y - y_pred) ** 2), -1)


def assert_function_as_eager(place: Any, read: Any) -> None:
    def made() -> Any:
        set_factor(1.0)
        Scale.shared, Scale.__call__ = 1.0, call  # type: ignore[method-assign]
        scale, change = read()
        return place(scale), change

    call = Scale.__call__
    assert_as_eager(made)


@over(READS, "read")
def test_what_a_loss_reads_holds_from_when_it_is_set(read):
    assert_function_as_eager(PLACES["loss"], read)


@over(PLACES, "place")
def test_a_global_that_a_function_reads_holds_from_when_it_is_set(place):
    assert_function_as_eager(place, READS["a global"])


@over(READS, "read")
def test_what_a_compiled_function_reads_holds_from_when_it_is_set(read):
    scale, change = read()
    compiled = tn.jit(lambda x: scale(x) + 1.0)
    for each in (lambda: None, change):
        each()
        np.testing.assert_array_equal(compiled(Y), scale(tn.tensor(Y)) + 1.0)


AROUND: dict[str, Any] = {
    "a gradient": tn.grad,
    "a batch": tn.vmap,
    "a decorator": lambda f: wraps(f)(lambda x: f(x)),
}


@over(AROUND, "around")
def test_a_function_inside_another_is_seen_by_compiled_functions(around):
    compiled = tn.jit(around(lambda x: ops.sum(FACTOR * x)))
    for factor in (1.0, 3.0):
        set_factor(factor)
        expected = around(lambda x, factor=factor: ops.sum(factor * x))(tn.tensor(X))
        np.testing.assert_array_equal(compiled(X), expected)


def test_a_constraint_that_a_weight_gets_holds_from_the_next_fit():
    def made() -> Any:
        model = network()
        return model, lambda: setattr(model.layers[0].kernel, "constraint", tn.constraints.NonNeg())

    assert_as_eager(made)


def test_epsilon_holds_in_compiled_functions_from_when_it_is_set():
    compiled, before = tn.jit(losses.kl_divergence), tn.backend.epsilon()
    compiled(Y, Y)
    try:
        tn.backend.set_epsilon(0.5)
        np.testing.assert_array_equal(compiled(Y, Y), losses.kl_divergence(Y, Y))
    finally:
        tn.backend.set_epsilon(before)


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"])
def test_a_number_that_a_callback_changes_holds_from_the_next_step(hook):
    found = []
    for eager in (False, True):
        set_factor(1.0)
        model = network("sgd", lambda y, y_pred: ops.mean(FACTOR * (y - y_pred) ** 2, -1))
        model.layers[0].kernel.assign(X[:4, :3])
        model.run_eagerly = eager
        double = LambdaCallback(**{hook: lambda at, logs: set_factor(2.0 * FACTOR)})
        model.fit(X, Y, epochs=3, batch_size=3, shuffle=False, verbose=0, callbacks=[double])
        found.append(everything(model))
    assert_all_same(*found)


def test_a_function_with_the_id_of_a_deleted_one_is_not_taken_for_it():
    model = tn.Sequential([Input((4,)), layers.Activation("relu")])
    for factor in range(1, 30):  # of which each may have the id of one before
        model.layers[0].activation = lambda x, factor=float(factor): factor * x
        assert_same(model.predict(X, verbose=0), factor * X)


class Unanswering:
    """An object that can be neither compared nor hashed, shown or asked for other attributes."""

    factor = 1.0

    def refuse(self, *args: Any) -> Any:
        raise RuntimeError

    __eq__ = __hash__ = __bool__ = __len__ = __repr__ = __getattr__ = refuse  # type: ignore


def test_objects_whose_methods_raise_errors_are_compared_all_the_same():
    def read() -> Any:
        thing = Unanswering()
        things = [thing, MagicMock(), 10**5000]
        return lambda x: things[0].factor * x, lambda: setattr(thing, "factor", 3.0)

    assert_function_as_eager(PLACES["loss"], read)


@needs_c
def test_auto_stops_compiling_c_for_a_step_that_is_recorded_at_each_epoch(monkeypatch):
    monkeypatch.setattr(Executable, "runs_for_c", 3)
    model = network("sgd", lambda y, y_pred: ops.mean(FACTOR * (y - y_pred) ** 2, -1))
    runs_c = []

    def note(epoch: int, logs: Any) -> None:
        runs_c.append(model.train_function.native)
        set_factor(FACTOR + 1.0)

    model.fit(X, Y, epochs=8, verbose=0, callbacks=[LambdaCallback(on_epoch_end=note)])
    # Steps expected: 8, then 8, 4, 2, 1, 0, 0, 0, of which at least 3 are worth compiling C.
    assert runs_c == [True] * 3 + [False] * 5
    assert model.train_function.compilations == 8


# -- only then ---------------------------------------------------------------------------------


def fitted(model: Any) -> int:
    """Fit and predict; return how many steps have been compiled."""
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    return model.train_function.compilations + model.predict_function.compilations


def test_a_restored_attribute_leads_back_to_the_step_that_was_compiled_for_it():
    model = network(Adam(0.1))
    layer = model.layers[0]
    assert fitted(model) == 2
    before = model.train_function.source
    layer.activation, model.optimizer.beta_1 = tn.activations.tanh, 0.5
    assert fitted(model) == 4
    assert model.train_function.source != before
    layer.activation, model.optimizer.beta_1 = tn.activations.sigmoid, 0.9
    assert fitted(model) == 4
    assert model.train_function.source == before


def test_nothing_is_compiled_again_for_what_no_step_reads():
    model = network(Adam(0.1), metrics=["mae"], between=[Dropout(0.5)])
    assert fitted(model) == 2
    model.optimizer.learning_rate = 0.5
    model.stop_training = True
    model.note = "a user's own attribute of a model of a class of the library"
    Dense(3, name="elsewhere")(X)
    other_model = network()
    fitted(other_model)
    assert fitted(model) == 2


def test_a_method_that_counts_its_calls_is_compiled_once():
    class Counted:
        calls, factor = 0, 2.0

        @tn.jit
        def scaled(self, x: Any) -> Any:
            self.calls += 1
            return self.factor * x

    thing = Counted()
    for _ in range(4):
        np.testing.assert_array_equal(thing.scaled(X), 2.0 * X)
    assert Counted.scaled.compilations == 1
    thing.factor = 3.0
    np.testing.assert_array_equal(thing.scaled(X), 3.0 * X)


def test_a_list_in_two_places_is_compared_by_its_contents_in_both():
    first = second = [2.0]
    compiled = tn.jit(lambda x: first[0] * second[0] * x)
    compiled(X)
    second = [2.0]
    np.testing.assert_array_equal(compiled(X), 4.0 * X)
    assert compiled.compilations == 1
    second[0] = 3.0
    np.testing.assert_array_equal(compiled(X), 6.0 * X)


def test_a_variable_that_a_function_changes_itself_does_not_compile_it_again():
    calls, seen = 0, [0]

    def scale(x: Any) -> Any:
        nonlocal calls
        calls += 1
        seen.append(calls)
        return 2.0 * x

    compiled = tn.jit(scale)
    for _ in range(4):
        compiled(X)
        scale(tn.tensor(X))
    assert compiled.compilations == 1


def test_what_a_compiled_function_read_is_freed_with_it():
    class Held:
        factor = 2.0

    held = Held()
    compiled = tn.jit(lambda x, held=held: held.factor * x, static_argnames="held")
    compiled(X)
    left = weakref.ref(held)
    del held, compiled
    gc.collect()
    assert left() is None


class Counting(Layer):
    """Notes its calls, as a user may who wants to know."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.shapes = 0, []

    def call(self, inputs):
        self.calls += 1
        self.shapes.append(inputs.shape)
        return inputs


def test_what_a_layer_assigns_in_its_own_call_does_not_compile_its_step_again():
    model = network(between=[Counting()])
    assert fitted(model) == 2
    model(X)  # counts, too
    model.fit(X[:3], Y[:3], verbose=0)
    assert fitted(model) == 3
    model(X)
    assert fitted(model) == 3


def test_of_many_batch_sizes_the_steps_used_last_are_kept():
    model = network()
    for n in range(1, 71):
        model.predict_on_batch(np.ones((n, 4), "float32"))
    step = model.predict_function
    assert step.compilations == 70
    model.predict_on_batch(np.ones((70, 4), "float32"))
    assert step.compilations == 70
    model.predict_on_batch(np.ones((1, 4), "float32"))
    assert step.compilations == 71


def test_an_option_that_needs_a_slot_is_refused_when_the_slot_was_not_made():
    model = network(Adam(0.1))
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    model.optimizer.amsgrad = True
    with refused(ValueError, "velocity_hat", "Make a new optimizer"):
        model.fit(X, Y, verbose=0)
    assert_all_same(model.get_weights(), before)


def test_a_change_of_a_number_in_a_models_own_loss_is_seen():
    class Annealed(tn.Model):
        """A model whose own number is part of its loss, as an annealed weight is."""

        def __init__(self) -> None:
            super().__init__()
            self.dense, self.weight = Dense(3), 1.0

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return self.weight * ops.mean(ops.square(y - y_pred))

    def made() -> Any:
        model = Annealed()
        model.compile(SGD(0.1), "mse")
        return model, lambda: setattr(model, "weight", 0.25)

    assert_as_eager(made)
