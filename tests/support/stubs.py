"""Writes the type stubs of packages: names that they load late, and computed constructors.

A constructor that `taking` or a function makes has its parameters at run time alone, and `_HOMES`
holds names as text. A stub `__init__.pyi` beside the `__init__.py`, and `ops.pyi`, state them for
type checkers and editors.
``python tests/support/stubs.py`` writes them again; `tests/test_types.py` compares.
"""

import builtins
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import tinynet
from tinynet.layers import Layer

ROOT = Path(tinynet.__file__).parent
COMPUTED = ["layers", "losses", "metrics", "optimizers"]  # packages with computed constructors
PACKAGES = [*COMPUTED, "callbacks", "datasets", "distribution", "models", "ops", "saving"]
PACKAGES += ["wrappers", ""]
OF_LAYERS = dict(inspect.signature(Layer.__init__).parameters)
del OF_LAYERS["self"], OF_LAYERS["kwargs"]
for key in ("input_shape", "input_dim"):  # what `Layer` takes from its `**kwargs`
    OF_LAYERS[key] = inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None)
HEAD = '"""Type stub. Written by tests/support/stubs.py from the signatures: change those."""\n\n'


def is_hidden(thing: Any) -> bool:
    """Return whether a class has a constructor whose parameters no type checker sees."""
    made = inspect.getattr_static(thing, "__init__", None)
    takes = isinstance(thing, type) and "kwargs" in inspect.signature(made).parameters
    is_layer = takes and issubclass(thing, Layer) and thing is not Layer
    return is_layer or (isinstance(thing, type) and type(made).__name__ == "Constructor")


def annotation(parameter: inspect.Parameter) -> str:
    """Return the type of a parameter; Any if it has a name that a stub does not know."""
    text = parameter.annotation if isinstance(parameter.annotation, str) else "Any"
    known = {*dir(builtins), "Any"}
    return text if {*re.findall(r"[A-Za-z_]\w*", text)} <= known else "Any"


def constructor(cls: type) -> str:
    """Return the statement of a constructor."""
    texts, named = ["self"], False
    found = dict(inspect.signature(cls.__init__).parameters)
    more = found.pop("kwargs", None)  # what is not a parameter of a base is refused at run time
    if more and issubclass(cls, Layer):
        found |= {key: p for key, p in OF_LAYERS.items() if key not in found}
    for p in [*found.values()][1:]:
        if p.kind is p.KEYWORD_ONLY and not named:
            texts, named = [*texts, "*"], True
        texts.append(f"{p.name}: {annotation(p)}" + " = ..." * (p.default is not p.empty))
    lines = "".join(f"        {text},\n" for text in texts)
    return f"    def __init__(\n{lines}    ) -> None: ...\n"


def stub(package: str) -> str:
    """Return the text of a package's stub, or of that of `ops`."""
    if package == "ops":
        return stub_of_ops()
    module = importlib.import_module(f"tinynet.{package}".rstrip("."))
    parts = {name: getattr(module, name) for name in dir(module)}
    imports, classes = [], []
    for name, thing in sorted(parts.items()):
        home = getattr(thing, "__module__", "")
        if isinstance(thing, ModuleType):
            imports.append(f"from . import {name} as {name}\n")
            continue
        path = re.search(rf"from (\.\S+) import [^\n]*\b{name} as {name}\b", source(package))
        own = home.removeprefix(module.__name__)
        where = path[1] if path else own.replace("tinynet.", "..")
        if package not in COMPUTED or not is_hidden(thing):
            imports.append(f"from {where} import {name} as {name}\n")
        else:
            imports.append(f"from {own} import {name} as _{name}\n")
            classes.append(f"\nclass {name}(_{name}):\n{constructor(thing)}")
    typing = "from typing import Any\n\n" if classes else ""
    version = "" if package else "\n__version__: str\n"
    return HEAD + typing + "".join(sorted(imports)) + version + "".join(classes)


def source(package: str) -> str:
    """Return the text of a package's `__init__.py`."""
    return (ROOT / package / "__init__.py").read_text(encoding="utf-8")


def stub_of_ops() -> str:
    """Return the text of the stub of `ops`: where each function is defined, and its other names."""
    ops = tinynet.ops
    homes = {name: home for home, names in ops._HOMES.items() for name in names.split()}
    imports = [f"from .engine.{home} import {n} as {n}\n" for n, home in sorted(homes.items())]
    others = [f"{n} = {getattr(ops, n).__name__}\n" for n in dir(ops) if n not in homes]
    return "".join([HEAD, *imports, "\n_OTHERS: frozenset[str]\n", *others])


def path_of(package: str) -> Path:
    """Return the path of the stub of a package, or of `ops`."""
    return ROOT / "ops.pyi" if package == "ops" else ROOT / package / "__init__.pyi"


if __name__ == "__main__":
    for package in PACKAGES:
        path_of(package).write_text(stub(package), encoding="utf-8")
