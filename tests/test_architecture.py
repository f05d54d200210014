"""Imports point upward in one list, and pull in NumPy alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinynet

# A module may import from those above it. Those that are not written yet may stand here.
ORDER = [
    "engine/temporarily",
    "engine/tensor",
    "engine/bind",
    "engine/primitives/elementwise",
    "engine/primitives/shapes",
    "engine/primitives/products",
    "engine/primitives/indexing",
    "engine/primitives/__init__",
    "engine/functional",
    "engine/autodiff",
    "engine/operators",
    "engine/variable",
    "engine/gradcheck",
    "engine/__init__",
    "public",
    "tree",
    "configs/watched",
    "configs/configurable",
    "configs/serialization",
    "configs/lookup",
    "configs/files",
    "configs/__init__",
    "compiler/program",
    "compiler/record",
    "compiler/passes",
    "compiler/text",
    "compiler/buffers",
    "compiler/source",
    "compiler/executable",
    "compiler/jit",
    "compiler/__init__",
    "ops",
    "backend",
    "random",
    "activations",
    "initializers",
    "regularizers",
    "layers/symbolic",
    "layers/module",
    "layers/base",
    "layers/core",
    "layers/weightless",
    "layers/merging",
    "layers/preprocessing",
    "layers/regularization",
    "layers/__init__",
    "losses/base",
    "losses/functions",
    "losses/objects",
    "losses/lookup",
    "losses/__init__",
    "metrics/base",
    "metrics/accuracy",
    "metrics/errors",
    "metrics/lookup",
    "metrics/__init__",
    "optimizers/schedules",
    "optimizers/groups",
    "optimizers/base",
    "optimizers/sgd",
    "optimizers/rmsprop",
    "optimizers/adam",
    "optimizers/lookup",
    "optimizers/__init__",
    "callbacks/progbar",
    "callbacks/base",
    "callbacks/monitors",
    "callbacks/files",
    "callbacks/weights",
    "callbacks/__init__",
    "training/objective",
    "training/data",
    "training/step",
    "training/compiled",
    "training/compilable",
    "training/at_weights",
    "training/divergence",
    "training/loop",
    "training/trainer",
    "training/__init__",
    "saving/files",
    "saving/weights",
    "saving/archive",
    "saving/__init__",
    "explain/formulas",
    "explain/tables",
    "explain/trace",
    "explain/step",
    "explain/__init__",
    "export/forward",
    "export/numpy_text",
    "export/numpy_file",
    "export/onnx_file",
    "export/__init__",
    "models/graph",
    "models/summary",
    "models/model",
    "models/functional",
    "models/sequential",
    "models/cloning",
    "models/__init__",
    "viz/notebook",
    "viz/style",
    "viz/layout",
    "viz/boxes",
    "viz/models",
    "viz/graph",
    "viz/curves",
    "viz/weights",
    "viz/planes",
    "viz/landscape",
    "viz/animation",
    "viz/__init__",
    "utils",
    "__init__",
]

# Beside the standard library. More than NumPy only inside functions, where it is needed.
THIRD_PARTY = {
    **{f"viz/{name}": {"matplotlib"} for name in ("style", "boxes", "models", "graph", "curves")},
    **{f"viz/{name}": {"matplotlib"} for name in ("weights", "landscape", "animation")},
    "saving/weights": {"h5py"},
    "export/onnx_file": {"onnx"},
}

ROOT = Path(tinynet.__file__).parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in ROOT.rglob("*.py")}


def imported(source: str, module: str) -> Iterator[str]:
    """Yield what a module imports, anywhere in it: ``engine/tensor`` of ours, or ``<numpy>``."""
    package = ["tinynet", *module.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (place(name.name.split(".")) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            path = above + (node.module.split(".") if node.module else [])
            yield from (place([*path, name.name]) for name in node.names)


def place(path: list[str]) -> str:
    """Return the name in ORDER of a dotted path; of others the first part, in brackets."""
    if path[0] != "tinynet":
        return f"<{path[0]}>"
    name = "/".join(path[1:])
    places = (name, f"{name}/__init__".strip("/"))
    return next((p for p in places if p in MODULES or p in ORDER), "") or place(path[:-1])


def wrong_imports(source: str, module: str) -> list[str]:
    """Return the imports that point downward or out of the package to where they may not."""
    outside = {*sys.stdlib_module_names, "numpy", *THIRD_PARTY.get(module, ())}
    allowed = {*ORDER[: ORDER.index(module)], *(f"<{name}>" for name in outside)}
    return [name for name in imported(source, module) if name not in allowed]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_upward_and_to_numpy_alone(module):
    assert module in ORDER, f"{module} has no place in ORDER yet"
    assert not wrong_imports(MODULES[module].read_text(encoding="utf-8"), module)


WRONG = {
    "from .autodiff import grad": "engine/autodiff",
    "from . import functional as F": "engine/functional",
    "from .. import ops": "ops",
    "from .. import random": "random",
    "from ..layers import Dense": "layers/__init__",
    "from ..layers.core import Dense": "layers/core",
    "from .. import grad": "__init__",
    "import tinynet": "__init__",
    "import tinynet.engine.autodiff as a": "engine/autodiff",
    "from tinynet import models": "models/__init__",
    "from .primitives import elementwise": "engine/primitives/elementwise",
    "import scipy.special": "<scipy>",
    "from jax import numpy": "<jax>",
    "def f():\n    from .autodiff import grad": "engine/autodiff",
    "if TYPE_CHECKING:\n    from ..models import Model": "models/__init__",
}


@pytest.mark.parametrize("source", WRONG)
def test_a_wrong_import_is_seen_wherever_it_stands(source):
    right = "import random, numpy as np\nfrom .tensor import wrap\n"
    assert wrong_imports(right + source, "engine/bind") == [WRONG[source]]


def test_importing_the_package_pulls_in_numpy_alone():
    script = (
        "import sys, numpy; before = set(sys.modules); import tinynet; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    assert set(run.stdout.split()) - sys.stdlib_module_names - {"numpy"} == {"tinynet"}
