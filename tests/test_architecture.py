"""The package's structure: import order, signposts, the map in CONTRIBUTING, public names.

`python tests/test_architecture.py` prints which rooms each room imports.
"""

import ast
import graphlib
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tinynet

ROOT = Path(tinynet.__file__).parent
PROJECT = ROOT.parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in ROOT.rglob("*.py")}

# The rooms: the packages and modules at the top of `tinynet/`. A room imports only from rooms that
# stand before it. Inside a room, imports form no cycle. Rooms that do not exist yet may be listed.
ORDER = [
    "public",
    "tree",
    "engine",
    "configs",
    "compiler",
    "ops",
    "backend",
    "config",
    "distribution",
    "random",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
    "losses",
    "metrics",
    "optimizers",
    "layers",
    "callbacks",
    "training",
    "saving",
    "explain",
    "export",
    "models",
    "viz",
    "wrappers",
    "datasets",
    "utils",
    "__init__",
    "__main__",
]

MOST_ARROWS = 155  # pairs of rooms of which one imports the other

# Third-party packages besides NumPy. They are imported in functions only, when they are needed.
THIRD_PARTY = {
    "engine": {"scipy"},
    "viz": {"matplotlib"},
    "saving": {"h5py"},
    "callbacks": {"tensorboardX"},
    "export": {"onnx"},
    "datasets": {"sklearn"},
    "wrappers": {"sklearn"},
    "distribution": {"mpi4py"},
}


# -- imports ----------------------------------------------------------------------------------


def room(module: str) -> str:
    """Return the room of a module: ``engine`` for ``engine/tensor``."""
    return module.split("/")[0]


def imported(source: str, module: str) -> Iterator[str]:
    """Yield the imports anywhere in a module: ``engine/tensor``, or ``<numpy>`` for packages."""
    package = ["tinynet", *module.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (module_at(name.name.split(".")) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) + 1 - node.level] if node.level else []
            path = parent + (node.module.split(".") if node.module else [])
            yield from (module_at([*path, name.name]) for name in node.names)


def module_at(path: list[str]) -> str:
    """Return the module that a dotted path leads to; for other packages their name in brackets."""
    if path[0] != "tinynet":
        return f"<{path[0]}>"
    name = "/".join(path[1:])
    candidates = (name, f"{name}/__init__".strip("/"))
    return next((c for c in candidates if c in MODULES), "") or module_at(path[:-1])


def wrong_imports(source: str, module: str) -> list[str]:
    """Return the imports of a module that the order of the rooms or the package forbids."""
    place = ORDER.index(room(module))
    packages = {*sys.stdlib_module_names, "numpy", *THIRD_PARTY.get(room(module), ())}

    def allowed(name: str) -> bool:
        if name.startswith("<"):
            return name.strip("<>") in packages
        return room(name) == room(module) or room(name) in ORDER[:place]

    return [name for name in imported(source, module) if not allowed(name)]


def graph() -> dict[str, set[str]]:
    """Return the tinynet modules that each module imports, itself excluded."""
    return {
        module: {
            name
            for name in imported(path.read_text(encoding="utf-8"), module)
            if not name.startswith("<") and name != module
        }
        for module, path in MODULES.items()
    }


def arrows() -> set[tuple[str, str]]:
    """Return the pairs of different rooms of which the first imports the second."""
    pairs = {(room(m), room(name)) for m, names in graph().items() for name in names}
    return {(one, other) for one, other in pairs if one != other}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_numpy_and_rooms_that_stand_before_its_own(module):
    assert room(module) in ORDER, f"{room(module)} has no place in ORDER yet"
    assert wrong_imports(MODULES[module].read_text(encoding="utf-8"), module) == []


WRONG = {
    "from ..layers import Dense": "layers/__init__",
    "from ..layers.core import Dense": "layers/core",
    "from .. import ops": "ops",
    "from .. import random": "random",
    "from .. import grad": "__init__",
    "import tinynet": "__init__",
    "import tinynet.layers.core as c": "layers/core",
    "from tinynet import models": "models/__init__",
    "import pandas": "<pandas>",
    "from jax import numpy": "<jax>",
    "import matplotlib": "<matplotlib>",
    "def f():\n    from ..layers.core import Dense": "layers/core",
    "if TYPE_CHECKING:\n    from ..models import Model": "models/__init__",
}


@pytest.mark.parametrize("source", WRONG)
def test_a_forbidden_import_is_found_anywhere_in_a_module(source):
    right = "import random, numpy as np\nfrom .program import Var\nfrom ..engine import tensor\n"
    assert wrong_imports(right + source, "compiler/jit") == [WRONG[source]]


def test_imports_form_no_cycle():
    graphlib.TopologicalSorter(graph()).prepare()  # raises a CycleError that names the modules


def test_rooms_import_few_other_rooms():
    assert len(arrows()) <= MOST_ARROWS


def printed_by(script: str) -> str:
    """Return what a script prints in a new process."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT).stdout


def test_importing_the_package_loads_only_numpy():
    script = (
        "import sys, numpy; before = set(sys.modules); import tinynet; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    assert set(printed_by(script).split()) - sys.stdlib_module_names - {"numpy"} == {"tinynet"}


# What a fit without callbacks, metrics and files does not need.
RARE = {
    *("numpy.random", "hashlib"),  # a tenth of the time of a first fit
    *("metrics", "saving", "explain", "export", "viz", "optimizers.schedules", "engine.gradcheck"),
    *("callbacks.files", "callbacks.monitors", "callbacks.records", "models.cloning"),
    *("layers.merging", "layers.normalization", "layers.weightless", "layers.group_normalization"),
}


def test_a_fit_loads_only_the_modules_that_it_uses():
    model = "import sys, tinynet as tn; m = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])"
    fit = "m.compile('adam', 'mse'); m.fit([[1.0]], [[1.0]], verbose=0); print(*sys.modules)"
    loaded = {name.removeprefix("tinynet.") for name in printed_by(f"{model}; {fit}").split()}
    assert {"training.trainer", "layers.core", "optimizers.adam"} <= loaded
    assert not loaded & RARE


def test_unseeded_orders_of_samples_need_no_numpy_random():
    found, again = map(
        ast.literal_eval,
        printed_by("""
import sys, numpy as np
from tinynet.training.data import _order
print([_order(7).tolist() for _ in range(300)])
assert "numpy.random" not in sys.modules
np.random.seed(3)
first = _order(7)
np.random.seed(3)
print((first == np.random.permutation(7)).tolist())
""").splitlines(),
    )
    assert {tuple(sorted(order)) for order in found} == {(0, 1, 2, 3, 4, 5, 6)}
    assert all(len(set(column)) == 7 for column in zip(*found, strict=True))
    assert all(again)


def test_configs_may_name_each_published_class_in_a_new_process():
    show = "print({module: sorted(table) for module, table in s.MODULES.items()})"
    tables = f"from tinynet.configs import serialization as s; s._published(); {show}"
    names = [f"tinynet.{module}".replace("/", ".") for module in MODULES]
    every = f"import importlib; [importlib.import_module(name) for name in {names}]"
    found, complete = map(ast.literal_eval, (printed_by(tables), printed_by(f"{every}; {tables}")))
    assert found == complete
    assert {"Dropout", "Add", "Dense", "Rescaling", "ReLU"} <= set(found["keras.layers"])


# -- docstrings and the map -------------------------------------------------------------------

DOCUMENTED = {
    path.relative_to(PROJECT).as_posix(): path
    for path in (*ROOT.rglob("*.py"), *(PROJECT / "benchmarks").rglob("*.py"))
    if path.stat().st_size
}


def signposts(docstring: str) -> Iterator[str]:
    """Yield the files named in the sentences after ``Read next:``, up to the end of a paragraph."""
    for text in re.findall(r"Read next:(.*?)(?:\n\n|\Z)", docstring, re.S):
        yield from re.findall(r"`([\w./]*(?:\.py|\.md|/))`", text) or [""]


@pytest.mark.parametrize("file", sorted(DOCUMENTED))
def test_a_module_says_what_it_is_and_its_read_next_names_files_that_exist(file):
    path = DOCUMENTED[file]
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{file} has no docstring"
    for name in signposts(docstring):
        assert name, "`Read next:` names no file in backticks"
        folders = (path.parent, ROOT, PROJECT)
        assert any((folder / name).exists() for folder in folders), f"{name} does not exist"


def test_contributing_has_a_line_for_each_room():
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    mapped = re.findall(r"^\| `tinynet/([\w.]+)/?` \|", text, re.M)
    rooms = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert sorted(mapped) == sorted(rooms | {path.name for path in ROOT.glob("*.py")})


# -- public names -----------------------------------------------------------------------------


def stated(module: ModuleType) -> Iterator[str]:
    """Yield the names that a module's source imports by ``import A as A``, or defines.

    Names that it assigns are definitions only if their values are functions or classes of tinynet.
    So are names that it loads on first use.
    """
    yield from " ".join(vars(module).get("_HOMES", {}).values()).split()
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name == alias.asname)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            parts = [part for target in node.targets for part in ast.walk(target)]
            names = [part.id for part in parts if isinstance(part, ast.Name)]
            values = {name: getattr(module, name) for name in names}
            yield from (name for name, value in values.items() if is_of_tinynet(value))


def is_of_tinynet(value: Any) -> bool:
    return callable(value) and (value.__module__ or "").split(".")[0] == "tinynet"


def public(module: ModuleType) -> set[str]:
    """Return the public names of a module, by its source."""
    return {name for name in stated(module) if not name.startswith("_")}


def public_modules(module: ModuleType = tinynet) -> Iterator[str]:
    """Yield the dotted names of the modules that a user reaches from the package by its names."""
    yield module.__name__
    for name in sorted(public(module)):
        part = getattr(module, name)
        if isinstance(part, ModuleType):
            yield from public_modules(part)


PUBLIC = [*public_modules()]


def test_the_modules_of_keras_and_ours_are_public():
    expected = "activations callbacks layers losses metrics models ops optimizers viz"
    assert {f"tinynet.{name}" for name in expected.split()} <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_dir_of_a_public_module_shows_exactly_its_public_names(name):
    module = importlib.import_module(name)
    shown = {name for name in dir(module) if not name.startswith("_")}
    assert shown == public(module)
    assert [name for name in shown if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_function_class_and_module_has_a_docstring(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module)
    parts = {part: getattr(module, part) for part in public(module)}
    documented = {
        part: vars(thing).get("__doc__") if isinstance(thing, type) else inspect.getdoc(thing)
        for part, thing in parts.items()
        if callable(thing) or isinstance(thing, ModuleType)
    }
    assert [part for part, text in documented.items() if not text] == []


if __name__ == "__main__":
    for name in ORDER:
        used = sorted((other for one, other in arrows() if one == name), key=ORDER.index)
        print(f"{name:14} {' '.join(used)}")
    print(f"{len(arrows())} arrows between {len({room(m) for m in MODULES})} rooms")
