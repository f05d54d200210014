"""What a type checker says of users' scripts: known types, errors for mistakes, none otherwise."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import stubs

import tinynet as tn

PROJECT = Path(tn.__file__).parent.parent

# Expressions, and the types that mypy reveals.
START = """
from typing import Any
import numpy as np
import tinynet as tn
from tinynet import ops
from tinynet.layers import Dense

model = tn.Sequential([tn.Input((2,)), Dense(3, activation="relu", name="a"), Dense(1)])
model.compile(tn.optimizers.Adam(0.01, clipnorm=1.0), tn.losses.Huber(delta=2.0), metrics=["mae"])
x = np.ones((4, 2))
t = tn.tensor(x)

def f(w: tn.Tensor, b: float) -> tn.Tensor:
    return (w * b).sum()

@tn.jit
def g(w: tn.Tensor) -> tn.Tensor:
    return w * 2.0

@tn.jit(static_argnames="n")
def h(w: tn.Tensor, n: int) -> tn.Tensor:
    return w * n
"""
TYPES = {
    "model.fit(x, x[:, :1], epochs=2)": "History",
    "model.predict(x)": "ndarray[",
    "model(x)": "Tensor",
    "model.layers[0](t)": "Tensor",
    "Dense(3)(tn.Input((2,)))": "KerasTensor",
    "tn.ops.exp(1.0)": "Tensor",
    "ops.sum(x, axis=0)": "Tensor",
    "t + 1": "Tensor",
    "1 - t": "Tensor",
    "t.numpy()": "ndarray[",
    "tn.grad(f)": "def (w: Tensor, b: float) -> Any",
    "tn.value_and_grad(f)": "def (w: Tensor, b: float) -> tuple[Tensor, Any]",
    "tn.jacobian(f)": "def (w: Tensor, b: float) -> Any",
    "tn.hessian(f)": "def (w: Tensor, b: float) -> Any",
    "tn.vmap(f)": "def (w: Tensor, b: float) -> Tensor",
    "tn.vjp(f, t, 1.0)[0]": "Tensor",
    "tn.jit(f)": "Jit[[w: Tensor, b: float], Tensor]",
    "g(t)": "Tensor",
    "h(t, n=2)": "Tensor",
    "g.source(t)": "str",
    "tn.losses.MeanSquaredError()(x, x)": "Tensor",
    "tn.Variable(1.0).assign(2.0)": "Variable",
    "model.explain_step(x)": "Explanation",
    "model.get_weights()": "list[ndarray[",
    "model.weights": "list[Variable]",
}
MISTAKES = {
    "tn.optimizers.Adam(lr=0.1)": 'Unexpected keyword argument "lr" for "Adam"',
    "tn.optimizers.SGD(0.1, momentumm=1.0)": 'did you mean "momentum"',
    'Dense(3, actvation="relu")': 'did you mean "activation"',
    'tn.layers.Dropout(0.5, nam="a")': 'did you mean "name"',
    "tn.losses.Huber(detla=1.0)": 'did you mean "delta"',
    'tn.metrics.MeanAbsoluteError(nam="a")': 'did you mean "name"',
    "tn.callbacks.EarlyStopping(patients=3)": 'Unexpected keyword argument "patients"',
    "model.fit(x, x, epoch=3)": 'did you mean "epochs"',
    "tn.grad(f)(t)": "Too few arguments",
    'tn.grad(f)(t, "b")': 'incompatible type "str"; expected "float"',
    "g(1, 2)": "Too many arguments",
    "tn.ops.expp(1.0)": 'no attribute "expp"',
}
SCRIPT = START + "\n".join([*(f"reveal_type({text})" for text in TYPES), *MISTAKES])

# Functions of the examples have no annotations, as they are to be read; matplotlib is not ours.
SETTINGS = """
[mypy]
strict = True
ignore_missing_imports = True
follow_imports = silent
[mypy-matplotlib.*]
follow_imports = skip
[mypy-EXAMPLES]
disallow_untyped_defs = False
disallow_incomplete_defs = False
disallow_untyped_calls = False
"""
# Example 00 gives its class operators after the class: type checkers do not see these.
EXAMPLES = [p for p in (PROJECT / "examples").glob("*.py") if p.name != "00_engine.py"]


@cache
def checked() -> str:
    """Return what strict mypy says of the script and the examples, in one run."""
    with TemporaryDirectory() as folder:
        script, settings = Path(folder, "script.py"), Path(folder, "mypy.ini")
        script.write_text(SCRIPT, encoding="utf-8")
        modules = ",".join(path.stem for path in EXAMPLES)
        settings.write_text(SETTINGS.replace("EXAMPLES", modules), encoding="utf-8")
        files = map(str, [script, *EXAMPLES])
        command = [sys.executable, "-m", "mypy", f"--config-file={settings}", *files]
        environment = {"MYPYPATH": str(PROJECT), "PATH": ""}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=PROJECT, env=environment
        ).stdout


@cache
def said() -> dict[str, str]:
    """Return what mypy says of each line of a script: the start, then each expression."""
    first, found = START.count("\n") + 1, dict.fromkeys((*TYPES, *MISTAKES, "start"), "")
    names = [*TYPES, *MISTAKES]
    for number, text in re.findall(r"script\.py:(\d+): (.*)", checked()):
        place = int(number) - first
        short = re.sub(r"\b(tinynet|numpy)[\w.]*\.", "", text)  # without names of modules
        found[names[place] if place >= 0 else "start"] += short
    return found


def test_a_correct_script_has_no_errors():
    assert said()["start"] == ""
    assert [text for text in TYPES if "error" in said()[text]] == []


@pytest.mark.parametrize("expression", TYPES)
def test_a_type_is_known(expression):
    assert f'Revealed type is "{TYPES[expression]}' in said()[expression]


@pytest.mark.parametrize("expression", MISTAKES)
def test_a_mistake_is_a_type_error(expression):
    assert MISTAKES[expression] in said()[expression]


def test_the_examples_have_no_type_errors():
    lines = [line for line in checked().splitlines() if "script.py:" not in line]
    assert lines[:-1] == []
    assert re.search(rf"\(checked {len(EXAMPLES) + 1} source files\)", lines[-1])


@pytest.mark.parametrize("package", stubs.PACKAGES)
def test_the_stub_of_a_package_states_its_signatures(package):
    """If not: ``python tests/support/stubs.py``."""
    text = stubs.path_of(package).read_text(encoding="utf-8")
    assert text == stubs.stub(package)


def test_each_package_with_a_hidden_constructor_has_a_stub():
    rooms = [name for name in dir(tn) if hasattr(getattr(tn, name), "__path__")]
    hidden = {
        room
        for room in rooms
        for name in dir(getattr(tn, room))
        if stubs.is_hidden(getattr(getattr(tn, room), name))
    }
    assert hidden <= {*stubs.COMPUTED, "models"}  # of models, only `**kwargs` for users' layers
