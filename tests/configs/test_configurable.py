"""`Configurable`: configs from constructors' signatures, and objects made from functions."""

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import assert_same, over

import tinynet as tn
from tinynet import initializers, layers, losses, metrics, optimizers, regularizers
from tinynet.configs.configurable import Configurable
from tinynet.optimizers import schedules

# Objects of each kind, with other arguments than the defaults.
OBJECTS: dict[str, Any] = {
    "initializer": lambda: initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
    "named initializer": lambda: initializers.HeNormal(input_axes=[0], output_axes=[1]),
    "unseeded initializer": lambda: initializers.RandomNormal(stddev=2.0),
    "constant": lambda: initializers.Constant([1.0, 2.0]),
    "regularizer": lambda: regularizers.L1L2(l1=0.5, l2=0.25),
    "loss": lambda: losses.Huber(delta=2.0, reduction="sum", name="mine"),
    "sparse loss": lambda: losses.SparseCategoricalCrossentropy(ignore_class=3),
    "metric": lambda: metrics.R2Score(None, num_regressors=2),
    "function metric": lambda: metrics.MeanMetricWrapper(losses.huber, "mine", delta=2.0),
    "accuracy": lambda: metrics.SparseTopKCategoricalAccuracy(k=3, from_sorted_ids=True),
    "optimizer": lambda: optimizers.Adam(0.5, beta_1=0.5, amsgrad=True, clipnorm=1.0),
    "scheduled optimizer": lambda: optimizers.SGD(schedules.CosineDecay(0.5, 3), momentum=0.5),
    "schedule": lambda: schedules.PolynomialDecay(0.5, 3, cycle=True),
    "layer": lambda: layers.ReLU(6.0, threshold=0.5, name="mine"),
    "dropout": lambda: layers.Dropout(0.5, noise_shape=(None, 1), seed=3),
    "normalization": lambda: layers.Normalization(mean=[1.0], variance=[2.0], invert=True),
}


@over(OBJECTS, "make")
def test_an_object_rebuilt_from_its_config_has_the_same_config(make):
    first = make()
    config = first.get_config()
    again = type(first).from_config(config)
    assert type(again) is type(first)
    assert again.get_config() == config
    assert list(again.get_config()) == list(config)
    assert isinstance(first, Configurable)


LAYER = "name trainable dtype"
OPTIMIZER = (
    "name learning_rate weight_decay clipnorm global_clipnorm clipvalue use_ema ema_momentum "
    "ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps"
)
# As Keras 3.15 writes them. It loses `delta` and the `axis` of the sparse loss; tinynet does not.
KEYS = {
    "initializer": "seed scale mode distribution input_axes output_axes",
    "named initializer": "seed input_axes output_axes",
    "regularizer": "l1 l2",
    "loss": "name reduction delta",
    "sparse loss": "name reduction from_logits ignore_class axis",
    "metric": "name dtype class_aggregation num_regressors",
    "function metric": "name dtype fn delta",
    "optimizer": f"{OPTIMIZER} beta_1 beta_2 epsilon amsgrad",
    "schedule": "initial_learning_rate decay_steps end_learning_rate power cycle name",
    "layer": f"{LAYER} max_value negative_slope threshold",
    "dropout": f"{LAYER} rate seed noise_shape",
    "normalization": f"{LAYER} axis invert mean variance",
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_config_has_the_keys_of_keras_in_its_order(kind):
    assert " ".join(OBJECTS[kind]().get_config()) == KEYS[kind]


def test_a_config_holds_present_values_and_not_those_of_the_construction():
    adam = optimizers.Adam(0.5, beta_1=0.5)
    adam.beta_1, adam.learning_rate = 0.25, 0.125
    assert (adam.get_config()["beta_1"], adam.get_config()["learning_rate"]) == (0.25, 0.125)
    loss = losses.Huber()
    loss.delta = 3.0
    assert loss.get_config()["delta"] == 3.0


def test_a_users_subclass_has_the_config_of_its_base_to_which_it_adds_its_own():
    class Scaled(losses.Huber):
        def __init__(self, scale: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.scale = scale

        def call(self, y_true: Any, y_pred: Any) -> Any:
            return self.scale * super().call(y_true, y_pred)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "scale": self.scale}

    loss = Scaled.from_config(Scaled(2.0, delta=3.0).get_config())
    assert (loss.scale, loss.delta) == (2.0, 3.0)
    assert "scale" not in losses.Huber.get_config(loss)
    assert loss([0.0], [1.0]) == 1.0  # 2 * 1 ** 2 / 2


@pytest.mark.parametrize("value", [None, 1, 0.5, True, "a", [1, {"b": (None, "c")}]])
def test_plain_arguments_of_a_users_layer_are_its_config(value):
    class Mine(layers.Layer):
        def __init__(self, value: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    config = Mine(value, name="mine").get_config()
    assert config["value"] == value
    assert Mine.from_config(config).get_config() == config


@pytest.mark.parametrize("value", [np.ones(2), object(), [print], {"a": tn.tensor(1.0)}])
def test_other_arguments_of_a_users_layer_need_a_get_config(value):
    class Mine(layers.Layer):
        def __init__(self, value: Any) -> None:
            super().__init__()

    with pytest.raises(NotImplementedError, match=r"Mine .*define get_config"):
        Mine(value).get_config()


@pytest.mark.parametrize("widths", [(1,), (1, 2)])
def test_arguments_without_names_of_a_users_layer_need_a_get_config(widths):
    class Mine(layers.Layer):
        def __init__(self, *widths: int) -> None:
            super().__init__()

    with pytest.raises(NotImplementedError, match=r"Mine .*define get_config"):
        Mine(*widths).get_config()


def test_a_repr_has_the_arguments_that_differ_from_their_defaults_without_the_name():
    assert repr(losses.Huber(name="mine")) == "Huber()"
    assert repr(losses.Huber(1 / 3, "sum")) == "Huber(reduction='sum', delta=0.333333)"


# -- objects made from functions -------------------------------------------------------------------


def test_options_are_attributes_that_take_effect_when_they_change():
    loss, metric = losses.Huber(), metrics.BinaryAccuracy()
    assert loss([0.0], [4.0]) == 3.5
    loss.delta = 2.0
    assert_same(loss([0.0], [4.0]), losses.Huber(2.0)([0.0], [4.0]))
    metric.threshold = 0.25
    assert metric([1.0], [0.375]) == 1.0


def test_a_class_takes_exactly_the_arguments_of_its_row_in_their_order():
    names = list(inspect.signature(losses.SparseCategoricalCrossentropy).parameters)
    assert names == ["from_logits", "ignore_class", "reduction", "axis", "name", "dtype"]
    defaults = {k: p.default for k, p in inspect.signature(losses.Huber).parameters.items()}
    assert defaults == {
        "delta": 1.0,
        "reduction": "sum_over_batch_size",
        "name": "huber_loss",
        "dtype": None,
    }
    for wrong in ({"sigma": 1.0}, {"function": losses.huber}):
        with pytest.raises(TypeError, match=r"Huber: .*unexpected keyword"):
            losses.Huber(**wrong)
    with pytest.raises(TypeError, match="Huber: too many positional"):
        losses.Huber(1.0, "sum", "mine", None, 1)
    assert losses.Huber(2.0, "sum").get_config()["reduction"] == "sum"


@over({k: OBJECTS[k] for k in ("loss", "sparse loss", "accuracy")}, "make")
def test_classes_made_from_functions_are_found_by_pickle_and_documented(make):
    again = pickle.loads(pickle.dumps(make()))
    assert again.get_config() == make().get_config()
    assert ">>> " in type(again).__doc__
