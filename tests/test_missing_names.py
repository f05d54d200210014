"""Names that a module lacks: the error says whether Keras has them, and what to use instead."""

from __future__ import annotations

import copy
import doctest
import importlib.util
import inspect
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from tinynet.public import absent

MODULES = [
    *("layers", "ops", "metrics", "losses", "optimizers", "optimizers.schedules", "callbacks"),
    *("utils", "random", "config", "datasets", "models", "saving", "activations", "tree"),
    *("initializers", "regularizers", "constraints", "backend", "viz", "export", "distribution"),
]


def module(path: str) -> ModuleType:
    return importlib.import_module(f"tinynet.{path}".rstrip("."))


def reached(path: str) -> Any:
    """Return what a dotted path leads to."""
    found: Any = tn
    for name in path.split(".")[1:]:
        found = getattr(found, name)
    return found


def text_of_import(path: str, name: str) -> str:
    """Return the text of the ImportError of ``from tinynet.path import name``."""
    with pytest.raises(ImportError) as error:
        exec(f"from {module(path).__name__} import {name}")
    assert not isinstance(error.value, AttributeError)
    return str(error.value)


@pytest.mark.parametrize("path", ["", *MODULES])
def test_each_module_keeps_its_text_in_from_import_and_has_no_such_attribute(path):
    home, name = module(path), "no_such_name"
    with pytest.raises(AttributeError) as error:
        getattr(home, name)
    text = f"module {home.__name__!r} has no attribute '{name}': Keras has no such name."
    assert str(error.value).startswith(text)
    assert text_of_import(path, name) == str(error.value)
    assert not hasattr(home, name)
    assert getattr(home, name, 3) == 3
    assert inspect.getattr_static(home, name, 4) == 4
    with pytest.raises(ImportError, match=name):
        exec(f"from {home.__name__} import *\nfrom {home.__name__} import {name}")


@pytest.mark.parametrize("path", ["", *MODULES])
def test_tools_that_look_at_modules_find_no_surprise(path):
    home = module(path)
    assert copy.copy(home.__name__) == inspect.getmodule(home).__name__
    assert inspect.unwrap(home) is home
    assert isinstance(doctest.DocTestFinder(recurse=False).find(home), list)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{home.__name__}.no_such_module")


@pytest.mark.parametrize(
    ("path", "name", "near"),
    [
        ("optimizers", "adma", "Adam"),
        ("optimizers", "AdaM", "Adam"),
        ("layers", "dense", "Dense"),
        ("layers", "LayerNormalisation", "LayerNormalization"),
        ("metrics", "Accurcy", "Accuracy"),
        ("ops", "concat", "concatenate"),
        ("callbacks", "EarlyStoping", "EarlyStopping"),
        ("datasets", "minst", "mnist"),
        ("utils", "to_categorial", "to_categorical"),
        ("", "Sequental", "Sequential"),
    ],
)
def test_the_nearest_name_is_suggested(path, name, near):
    assert text_of_import(path, name).endswith(f"Keras has no such name. Did you mean '{near}'?")


def test_an_identifier_that_is_unknown_suggests_the_nearest_one():
    for get, name, near in (
        (tn.optimizers.get, "adma", "adam"),
        (tn.losses.get, "mean_squared_eror", "mean_squared_error"),
        (tn.metrics.get, "acuracy", "accuracy"),
        (tn.activations.get, "rleu", "relu"),
        (tn.initializers.get, "glorot_unifrom", "glorot_uniform"),
    ):
        with pytest.raises(ValueError, match=f"{name}.*Did you mean '{near}'?"):
            get(name)


def test_a_module_with_a_mistake_inside_raises_that_mistake(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import no_such_package\n")
    monkeypatch.setattr(tn.datasets, "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = tn.datasets.broken


def test_gradient_tape_names_the_three_lines_that_replace_it():
    text = text_of_import("", "GradientTape")
    assert "TensorFlow has it, Keras 3 does not" in text
    lines = ("loss.backward()", "[v.grad for v in self.trainable_variables]", "optimizer.apply")
    assert all(line in text for line in lines)


@pytest.mark.parametrize(
    ("name", "owner", "instead"),
    [
        ("jacrev", "JAX", "tinynet.jacobian"),
        ("custom_vjp", "JAX", "tinynet.primitive"),
        ("stop_gradient", "JAX", "tinynet.ops.stop_gradient"),
        ("functional_call", "PyTorch", "`stateless_call`"),
        ("enable_grad", "PyTorch", "tinynet.no_grad"),
        ("make_vjp", "autograd", "tinynet.vjp"),
        ("grad_and_aux", "autograd", "`has_aux`"),
    ],
)
def test_names_of_other_libraries_for_derivatives_name_ours(name, owner, instead):
    text = text_of_import("", name)
    assert f"{owner} has it, Keras 3 does not. Use " in text
    assert instead in text


@pytest.mark.parametrize("name", sorted(absent()))
def test_advice_names_only_what_tinynet_has(name):
    owner, advice = absent()[name]
    assert re.match(r"[A-Zt]", advice)
    assert advice.endswith(".")
    for path in re.findall(r"\btinynet\.[\w.]*\w", advice):
        assert reached(path) is not None
    assert owner in ("", "private", "TensorFlow", "Keras 2", "JAX", "PyTorch", "autograd")


KINDS = {
    "Model": tn.Model(i := tn.Input((2,)), i),
    "Layer": tn.layers.Dense(1),
    "Optimizer": tn.optimizers.Adam(),
    "Metric": tn.metrics.Mean(),
    "Callback": tn.callbacks.EarlyStopping(),
}


def parameters(home: ModuleType, base: type) -> set[str]:
    """Return the names of the constructors' parameters of all public subclasses of a class."""
    kinds = [getattr(home, name) for name in dir(home)]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, base)]
    return {name for kind in kinds for name in inspect.signature(kind).parameters}


def test_no_name_is_listed_as_missing_that_is_here():
    taken = parameters(tn.layers, tn.layers.Layer)
    taken |= parameters(tn.optimizers, tn.optimizers.Optimizer)
    for path in absent():
        place, _, name = path.removeprefix("tinynet.").rpartition(".")
        if place == "argument":
            assert name not in taken
        else:
            assert name not in dir(KINDS[place] if place in KINDS else module(place)), path


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_attributes_of_older_keras_name_what_replaces_them(kind):
    old = [path.partition(".")[2] for path in absent() if path.startswith(f"{kind}.")]
    assert old
    for name in old:
        assert not hasattr(KINDS[kind], name)
        text = f"{name}.*: Keras 2 has it, Keras 3 does not. [A-Z]"
        with pytest.raises(AttributeError, match=text):
            getattr(KINDS[kind], name)


@pytest.mark.parametrize(
    ("make", "given", "instead"),
    [
        (lambda: tn.layers.Dense(3, init="uniform"), "Dense: init", "kernel_initializer"),
        (lambda: tn.layers.Dense(output_dim=3), "Dense: output_dim", "units"),
        (lambda: tn.optimizers.Adam(lr=0.1), "Adam: lr", "learning_rate"),
        (lambda: tn.Model(input=i, output=i), "Model: input", "inputs"),
        (lambda: tn.callbacks.ModelCheckpoint("a.keras", period=2), "period", "save_freq"),
        (lambda: KINDS["Model"].fit(i, nb_epoch=2), "Functional.fit: nb_epoch", "epochs"),
    ],
)
def test_arguments_of_older_keras_name_the_one_that_replaces_them(make, given, instead):
    text = f"{given}: expected no argument of this name .Keras 2 has it.*Use `{instead}`"
    with pytest.raises((ValueError, TypeError), match=text):
        make()


def test_a_variable_takes_numbers_in_place_of_an_initializer():
    with pytest.raises(TypeError, match=r"Variable: initializer: .* Pass the numbers .*uniform"):
        tn.Variable(shape=(3, 2), initializer="uniform")


def test_the_form_of_a_call_is_refused_in_the_words_of_python():
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'epoch'"):
        KINDS["Model"].fit(i, epoch=2)


def text_of_missing_module(statement: str, missing: str) -> str:
    """Return the text of the ModuleNotFoundError of an import, which names the module."""
    with pytest.raises(ModuleNotFoundError, match=f"^No module named '{missing}': ") as error:
        exec(statement)
    assert error.value.name == missing
    return str(error.value)


@pytest.mark.parametrize(
    ("statement", "missing", "end"),
    [
        (
            "from tinynet.utils.np_utils import to_categorical",
            "tinynet.utils.np_utils",
            "normalize.",
        ),
        ("import tinynet.preprocessing.text", "tinynet.preprocessing", "dense networks alone."),
        ("import tinynet.objectives as o", "tinynet.objectives", "Use tinynet.losses."),
        ("from tinynet.src.layers import Dense", "tinynet.src", "import Dense`."),
        ("import tinynet.engine.topology", "tinynet.engine.topology", "import Layer, Input`."),
        ("from tinynet.layes import Dense", "tinynet.layes", "Did you mean 'layers'?"),
        ("import tinynet.config.no_such", "tinynet.config.no_such", "Keras has no such name."),
        (
            "import tinynet.models.load_model",
            "tinynet.models.load_model",
            "Write `from tinynet.models import load_model`.",
        ),
    ],
)
def test_a_missing_module_says_what_to_use_instead(statement, missing, end):
    assert text_of_missing_module(statement, missing).endswith(end)


def test_names_imported_from_a_wrong_module_name_the_right_one():
    text = text_of_import("layers.core", "Dropout")
    assert text.endswith("has no attribute 'Dropout': Write `from tinynet.layers import Dropout`.")
    assert "Keras has it, tinynet does not." in text_of_import("layers.core", "Embedding")
    text = text_of_import("optimizers.schedules", "Adam")
    assert text.endswith("Write `from tinynet.optimizers import Adam`.")


def test_asking_whether_a_module_exists_raises_no_error():
    assert importlib.util.find_spec("tinynet.no_such_module") is None
    assert importlib.util.find_spec("tinynet.layers.no_such_module") is None
    assert importlib.util.find_spec("tinynet.layers.core") is not None
    assert not hasattr(tn.utils, "__path__")
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'tinynett'$"):
        importlib.import_module("tinynett")


@pytest.mark.parametrize("name", ["square", "mean", "clip", "sigmoid", "multiply"])
@pytest.mark.parametrize("path", ["", "backend"])
def test_functions_of_tensors_are_sent_to_ops_by_their_names(path, name):
    home = module(path)
    text = f"module {home.__name__!r} has no attribute {name!r}: Write `from tinynet.ops import"
    with pytest.raises(AttributeError, match=re.escape(f"{text} {name}`.")):
        getattr(home, name)
    assert callable(getattr(tn.ops, name))


def test_a_function_of_tensorflow_that_ops_lacks_has_the_advice_of_ops():
    with pytest.raises(AttributeError, match=r"Use indexing: `x\[\.\.\., 1:3\]`"):
        tn.unstack  # noqa: B018


@pytest.mark.parametrize(("module_name", "class_name"), [("adam", "Adam"), ("sgd", "SGD")])
def test_a_module_that_was_a_class_in_older_keras_names_the_class_when_called(
    module_name, class_name
):
    names: dict[str, Any] = {}
    exec(f"from tinynet.optimizers import {module_name} as made", names)
    text = f"'tinynet.optimizers.{module_name}' is a module, which cannot be called."
    with pytest.raises(TypeError, match=f"^{re.escape(text)} Did you mean '{class_name}'"):
        names["made"](lr=0.01)


@pytest.mark.parametrize(
    ("get", "name", "advice"),
    [
        (tn.optimizers.get, "adadelta", "Use tinynet.optimizers.Adam, or subclass"),
        (tn.optimizers.get, "Ftrl", "Use tinynet.optimizers.Adam, or subclass"),
        (tn.metrics.get, "mean_io_u", "Subclass tinynet.metrics.Metric, or pass a function"),
        (tn.losses.get, "dice", "Pass a function `(y_true, y_pred)` of your own"),
        (tn.activations.get, "tanh_shrink", "Pass a function of tensors of your own"),
        (tn.initializers.get, "STFT", "Pass a function `(shape, dtype)` of your own"),
    ],
)
def test_the_string_of_something_absent_says_what_the_name_says(get, name, advice):
    with pytest.raises(
        ValueError, match=f"identifier: {name}. Keras has it, tinynet does not. "
    ) as e:
        get(name)
    assert advice in str(e.value)


def test_the_name_of_a_weight_at_the_place_of_its_shape_is_named():
    class Scaled(tn.layers.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight("kernel", shape=[input_shape[-1], 3])

    text = "Scaled.add_weight: shape: expected one value, received 'kernel' by position and [2, 3]"
    with pytest.raises(TypeError, match=f"^{re.escape(text)} by name.$"):
        Scaled()([[1.0, 2.0]])


def test_tensorflows_name_for_the_value_of_a_variable_is_answered():
    with pytest.raises(TypeError, match=r"initial_value: .* Use `initializer`"):
        tn.Variable(initial_value=3.0)


def test_a_table_of_numbers_and_bools_has_the_call_that_converts_it():
    model = tn.Sequential([tn.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = [[1, 2.5, True], [0, 0.5, False]]
    mixed = np.array(x, object)
    with pytest.raises(ValueError, match=r"x\.astype\('float32'\) converts numbers and bools"):
        model.predict(mixed, verbose=0)
    expected = model.predict(np.array([[1, 2.5, 1], [0, 0.5, 0]]), verbose=0)
    np.testing.assert_array_equal(model.predict(mixed.astype("float32"), verbose=0), expected)
