"""Constructors refuse what their annotations exclude, by one mechanism: NaN, None, other types."""

import math

import numpy as np
import pytest
from helpers import refused

import tinynet as tn
from tinynet import callbacks, constraints, initializers, layers, losses, metrics, optimizers
from tinynet.configs.configurable import Checked
from tinynet.engine.refusal import KINDS, _declared, _holds
from tinynet.optimizers import schedules

ROOMS = (callbacks, constraints, initializers, layers, losses, metrics, optimizers, schedules)
CLASSES = {
    f"{room.__name__}.{name}": cls
    for room in ROOMS
    for name in dir(room)
    if isinstance(cls := getattr(room, name), type) and issubclass(cls, Checked)
}
WRONG = {"None": None, "NaN": math.nan, "a list": [1, 2], "an array": np.ones(3), "object": object}


def wrong_arguments():
    for name, cls in CLASSES.items():
        for argument, kinds in _declared(cls.__init__)[1].items():
            for what, value in WRONG.items():
                if not any(_holds(KINDS[kind][1], value) for kind in kinds):
                    yield pytest.param(cls, argument, value, id=f"{name}({argument}={what})")


CASES = list(wrong_arguments())


def test_every_room_declares_arguments():
    assert len(CLASSES) > 130
    assert len(CASES) > 1000


def test_what_annotations_exclude_is_refused_by_name():
    for case in CASES:
        cls, argument, value = case.values
        with pytest.raises(ValueError, match="expected") as caught:
            cls.__new__(cls, **{argument: value})
        assert f"{cls.__name__}: {argument}: expected" in str(caught.value), case.id
        assert "received" in str(caught.value), case.id


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 10, None), "decay_rate"),
        (lambda: schedules.CosineDecay(None, 10), "initial_learning_rate"),
        (lambda: schedules.PolynomialDecay(0.1, 5, end_learning_rate=None), "end_learning_rate"),
        (lambda: optimizers.Adam(epsilon=math.nan), "epsilon"),
        (lambda: optimizers.RMSprop(rho=math.nan), "rho"),
        (lambda: callbacks.EarlyStopping(monitor=None), "monitor"),
        (lambda: callbacks.ReduceLROnPlateau(monitor=None), "monitor"),
    ],
)
def test_none_and_nan_are_refused(make, argument):
    with refused(ValueError, argument, "expected", "received"):
        make()


def test_numbers_of_numpy_and_tensors_are_numbers():
    for number in (1, np.float32(1), np.int8(1), np.array(1.0), tn.tensor(1.0), tn.Variable(1.0)):
        assert float(optimizers.RMSprop(rho=number).rho) == 1
    assert callbacks.EarlyStopping(min_delta=np.uint8(3)).min_delta == 3


def test_a_class_of_a_users_own_decides_itself_and_an_inherited_constructor_does_not():
    class Mine(schedules.ExponentialDecay):
        pass

    class Own(schedules.LearningRateSchedule):
        def __init__(self, rate: float) -> None:
            self.rate = rate

    assert Own(None).rate is None
    with refused(ValueError, "decay_rate"):
        Mine(0.1, 10, None)


def without_super(base, **methods):
    """Return an object of a user's class whose constructor forgets that of its base."""
    return type("Mine", (base,), {"__init__": lambda self: None, **methods})()


X = np.ones((4, 1), "float32")
FORGOTTEN = {
    "a layer": lambda: without_super(layers.Layer, call=lambda self, x: x)(X),
    "a layer with arguments": lambda: without_super(layers.Dense)(X),
    "a layer of a model": lambda: tn.Sequential([tn.Input((1,)), without_super(layers.Layer)]),
    "a model": lambda: without_super(tn.Model, call=lambda self, x: x)(X),
    "a loss": lambda: trained(loss=without_super(losses.Loss)),
    "a metric": lambda: trained(metrics=[without_super(metrics.Metric)]),
    "an optimizer": lambda: trained(optimizer=without_super(optimizers.SGD)),
}


def trained(**options):
    model = tn.Sequential([tn.Input((1,)), layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    model.fit(X, X, verbose=0)


@pytest.mark.parametrize("use", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_constructor_that_forgets_that_of_its_base_is_named(use):
    with pytest.raises(AttributeError, match=r"^Mine must call `super\(\).__init__\(\)` first\.$"):
        use()


def test_a_missing_key_of_a_config_is_named_as_one():
    with refused(ValueError, "Sequential.from_config: no key 'layers'", "config={}"):
        tn.Sequential.from_config({})
