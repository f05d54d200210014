"""The table of Keras's names in docs/keras.md, and signatures, compared with the installed Keras.

`python tests/keras/test_public_names.py` prints the table.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

import jax
import keras
import pytest

import tinynet as tn
from tinynet import public as missing

PAGE = Path(__file__).parents[2] / "docs" / "keras.md"
VERSION = "3.15"  # the version in that page

# The modules, and a description of the missing names where they are many.
ABSENT = {
    "models": "",
    "layers": "convolution, pooling, recurrence, attention, embedding, layers for images, text "
    "and sound, wrappers",
    "activations": "",
    "initializers": "",
    "regularizers": "",
    "constraints": "",
    "losses": "",
    "metrics": "",
    "optimizers": "",
    "optimizers.schedules": "",
    "callbacks": "",
    "saving": "",
    "utils": "reading of images, text and sound, graphs by Graphviz, data sets of other libraries",
    "random": "",
    "config": "",
    "ops": "images, convolution, attention, complex numbers and others",
}
ALIASES = {"deserialize", "serialize", "get"}  # in every module; left out of the table

# Signatures that differ from Keras's, and how.
DIFFERENT = {
    "Variable": "takes a value, and no initializer",
    "deserialize_keras_object": "no further keywords",
    "convert_to_tensor": "no sparse or ragged tensors",
    "max": "`initial` by keyword alone",
    "min": "`initial` by keyword alone",
    "nanprod": "also `dtype`",
    "pinv": "no `rcond`: the gradient would be wrong where it cuts off a singular value",
    "compile": "also `on_divergence`",
    "add_weight": "no autocast and aggregation",
    "BatchNormalization": "no renormalization, no `synchronized`",
}


def module_of(lib: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        lib = getattr(lib, name)
    return lib


def public(module: Any) -> dict[str, Any]:
    """Return the public classes and functions of a module, each under one name."""
    found: dict[int, str] = {}
    for name in sorted(dir(module)):  # class names come before their snake_case aliases
        thing = getattr(module, name)
        if name[0] != "_" and callable(thing) and not isinstance(thing, ModuleType):
            found.setdefault(id(thing), name)
    return {name: getattr(module, name) for name in found.values() if name not in ALIASES}


def shared(path: str) -> dict[str, tuple[Any, Any]]:
    """Return the objects that a module has in both libraries, by name."""
    ours, theirs = (module_of(lib, path) for lib in (tn, keras))
    known = public(theirs).items()
    return {name: (getattr(ours, name), x) for name, x in known if hasattr(ours, name)}


def absent(path: str) -> list[str]:
    """Return the names that a module has only in Keras."""
    ours, theirs = (module_of(lib, path) for lib in (tn, keras))
    return [name for name in public(theirs) if not hasattr(ours, name)]


def row(path: str) -> str:
    """Return the line of the page's table for a module."""
    here, missing = list(shared(path)), absent(path)
    if path in ("losses", "metrics"):  # only classes; the functions correspond to them
        here, missing = ([n for n in names if n[0].isupper()] for names in (here, missing))
    if path == "ops":
        return f"| `ops` | the [operations](operations.md) | {ABSENT[path]} |"
    words = f"{len(missing)}: {ABSENT[path]}" if ABSENT[path] else ", ".join(missing)
    return f"| `{path}` | {', '.join(here)} | {words or 'nothing'} |"


def table() -> str:
    head = f"| | here | not here, of Keras {VERSION} |\n| --- | --- | --- |"
    return "\n".join([head, *map(row, ABSENT)])


@pytest.mark.skipif(
    not keras.__version__.startswith(VERSION), reason="the page describes another version"
)
@pytest.mark.parametrize("path", ABSENT)
def test_the_table_lists_the_names_that_tinynet_has_and_lacks(path):
    assert row(path) in PAGE.read_text(encoding="utf-8")


def parameters(thing: Any) -> dict[str, tuple[Any, Any]]:
    """Return kinds and defaults of the parameters of a class or function, by name."""
    function = thing.__init__ if isinstance(thing, type) else thing
    plain = (int, float, str, bool, type(None), tuple)
    return {
        p.name: (p.kind, p.default if isinstance(p.default, plain) else type(p.default))
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    }


def differ(ours: Any, theirs: Any) -> bool:
    """Return whether parameters differ, apart from keywords where Keras has ``**kwargs``.

    Functions of tensors may have keyword-only options besides, such as NumPy's `where` and `ddof`.
    """
    mine, wanted = parameters(ours), parameters(theirs)
    if getattr(ours, "__module__", "").startswith(("tinynet.engine", "tinynet.ops")):
        only = inspect.Parameter.KEYWORD_ONLY
        mine = {n: p for n, p in mine.items() if n in wanted or p[0] != only}
    kinds = [kind for kind, _ in wanted.values()]
    loose = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        loose.add(inspect.Parameter.KEYWORD_ONLY)
    one, other = ([(n, p) for n, p in x.items() if p[0] not in loose] for x in (mine, wanted))
    return one != other


@pytest.mark.parametrize("path", ["", *ABSENT])
def test_signatures_equal_keras(path):
    wrong = {
        name: (parameters(ours), parameters(theirs))
        for name, (ours, theirs) in shared(path).items()
        if name not in DIFFERENT and differ(ours, theirs)
    }
    assert not wrong


def test_classes_are_subclasses_of_each_other_as_in_keras():
    pairs = {}
    for path in ["", *ABSENT, "callbacks"]:
        for name, both in shared(path).items():
            if all(inspect.isclass(x) for x in both):
                pairs[f"{path}.{name}"] = both
    assert len(pairs) > 120
    different = [
        (name, other)
        for name, (ours, theirs) in pairs.items()
        for other, (our, their) in pairs.items()
        if issubclass(ours, our) != issubclass(theirs, their)
    ]
    assert different == []


METHODS = {
    "Model": "compile fit evaluate predict train_on_batch test_on_batch predict_on_batch summary "
    "get_layer save save_weights load_weights to_json export get_config count_params compute_loss "
    "get_metrics_result reset_metrics make_train_function make_test_function "
    "make_predict_function",
    "Sequential": "add pop",
    "layers.Layer": "build add_weight add_loss get_weights set_weights count_params get_config "
    "stateless_call",
    "losses.Loss": "call __call__ get_config",
    "metrics.Metric": "update_state result reset_state get_config stateless_update_state "
    "stateless_result stateless_reset_state",
    "optimizers.Optimizer": "apply apply_gradients build exclude_from_weight_decay get_config "
    "stateless_apply finalize_variable_values",
    "callbacks.Callback": "set_model set_params on_epoch_begin on_epoch_end on_train_begin "
    "on_train_batch_end on_test_end on_predict_batch_end",
}


@pytest.mark.parametrize("path", METHODS)
def test_signatures_of_methods_equal_keras(path):
    wrong = {}
    for name in METHODS[path].split():
        found = [getattr(module_of(lib, path), name) for lib in (tn, keras)]
        # Bound, since the first parameter may be called `model` where a function is the method.
        ours, theirs = (MethodType(f, tn) if inspect.isfunction(f) else f for f in found)
        if name not in DIFFERENT and differ(ours, theirs):
            wrong[name] = parameters(ours), parameters(theirs)
    assert not wrong


def names_of_keras(path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the public names of Keras in the modules that tinynet has, with their modules."""
    theirs = module_of(keras, path)
    for name in sorted(dir(theirs)):
        thing, below = getattr(theirs, name), f"{path}.{name}".strip(".")
        if name[0] == "_" or name == "src":
            continue
        yield path, name
        if isinstance(thing, ModuleType) and isinstance(reached(below), ModuleType):
            yield from names_of_keras(below)


def reached(path: str) -> Any:
    try:
        return module_of(tn, path)
    except AttributeError:
        return None


@pytest.mark.skipif(
    not keras.__version__.startswith(VERSION), reason="the table describes another version"
)
def test_each_name_of_keras_is_here_or_its_error_says_what_to_use_instead():
    silent = []
    for path, name in names_of_keras():
        try:
            getattr(module_of(tn, path), name)
        except AttributeError as error:
            said = re.search(r": Keras has it, tinynet does not\. [A-Zt].{8,}\.$", str(error))
            silent += [] if said else [f"{path}.{name}"]
    assert silent == []


def test_names_of_others_in_the_table_of_missing_names_are_not_in_keras():
    both = dict.fromkeys(f"{path or 'tinynet'}.{name}" for path, name in names_of_keras())
    both |= {f"argument.{name}": None for name in inspect.signature(keras.Variable).parameters}
    assert [
        name for name, (owner, _) in missing.absent().items() if bool(owner) == (name in both)
    ] == []


def test_each_listed_exception_is_a_real_difference():
    both = {name: pair for path in ["", *ABSENT] for name, pair in shared(path).items()}
    both["compile"] = tn.Model.compile, keras.Model.compile
    both["add_weight"] = tn.layers.Layer.add_weight, keras.layers.Layer.add_weight
    assert not [name for name in DIFFERENT if not differ(*both[name])]


def test_the_page_lists_the_signatures_that_differ():
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in DIFFERENT if f"`{name}`" not in text] == []


def test_each_name_that_is_said_to_be_in_jax_is_there():
    names = [n.rpartition(".")[2] for n, (owner, _) in missing.absent().items() if owner == "JAX"]
    assert len(names) > 20
    for name in names:
        assert any(hasattr(home, name) for home in (jax, jax.lax, jax.tree_util)), name


if __name__ == "__main__":
    print(table())
