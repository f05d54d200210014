"""Names that a module lacks: the error says whether Keras has them, and what to use instead."""

from __future__ import annotations

import copy
import doctest
import importlib
import inspect
import re
from types import ModuleType
from typing import Any

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
    assert owner in ("", "TensorFlow", "Keras 2", "JAX", "PyTorch", "autograd")


def test_no_name_is_listed_as_missing_that_is_here():
    for path in absent():
        place, _, name = path.removeprefix("tinynet.").rpartition(".")
        assert name not in dir(tn.Model if place == "Model" else module(place)), path
