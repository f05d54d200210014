"""Keras's own unit tests, run against tinynet.

`python tests/keras/unit_tests.py` runs those that concern what tinynet has, prints each failure,
and counts. With words as arguments, it runs the tests whose names contain one of them, with
tracebacks.

Keras itself is not imported. `KerasNames` is an import hook: ``keras.src.testing`` and the test
files are read from the installed package, and every other module of Keras has the names of tinynet.
A name that tinynet lacks becomes an `Absent` class, so that a test which uses it fails, and the
others of the same file run. `unit_tests.txt` lists the other tests that fail, each under the
reason.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
LACKS = "tinynet lacks "
ROOMS = """
activations callbacks constraints initializers losses metrics models optimizers regularizers saving
trainers layers/activations layers/core/dense layers/core/identity layers/core/input_layer
layers/core/lambda layers/layer_test layers/merging layers/normalization/batch
layers/normalization/layer layers/preprocessing/normalization layers/preprocessing/rescaling
layers/regularization/activity layers/regularization/alpha layers/regularization/dropout
layers/regularization/gaussian layers/reshaping/flatten layers/reshaping/reshape random/
utils/io_utils utils/numerical utils/progbar utils/python_utils utils/rng utils/summary
"""


class Absent(type):
    """The class of names of Keras that tinynet lacks: whatever uses one fails."""

    def __new__(cls, name: str, bases: tuple[type, ...] = (), body: Any = None) -> Absent:
        return super().__new__(cls, name, bases, body or {})

    def __init__(cls, *args: Any) -> None:
        pass

    def __iter__(cls) -> Any:
        return iter(())

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{LACKS}{cls.__name__}")

    def __getattr__(cls, name: str) -> Any:
        if re.match("__|pytest|setup|teardown|setUp|tearDown", name):
            raise AttributeError(name)
        raise NotImplementedError(f"{LACKS}{cls.__name__}.{name}")


class Names(ModuleType):
    """A module of Keras that has the names of tinynet."""

    def __getattr__(self, name: str) -> Any:
        if re.match("__|pytest|setup|teardown|setUp|tearDown", name):
            raise AttributeError(name)
        with suppress(ImportError):
            return import_module(f"{self.__name__}.{name}")
        for place in places(self.__name__):
            if hasattr(place, name):
                return getattr(place, name)
        return Absent(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function that has the name of a module of Keras, such as `activations.relu`."""
        package, _, name = self.__name__.rpartition(".")
        found = (getattr(place, name) for place in places(package) if hasattr(place, name))
        return next(found, Absent(name))(*args, **kwargs)


def places(path: str) -> list[Any]:
    """Return where tinynet has the names of a module of Keras, the most likely place first."""
    import tinynet as tn
    import tinynet.layers.symbolic
    import tinynet.losses.functions
    import tinynet.models.functional

    parts = [p for p in path.split(".") if p not in ("keras", "src")]
    room = parts[0] if parts else ""
    found: list[Any] = [SPECIAL.get(path.rpartition(".")[2])]
    if room == "backend":
        found += [Backend, tn.backend, tn, tn.ops, tn.random, tn.layers.symbolic]
    elif room in ("ops", "tree"):
        found += [getattr(tn, room)]
    elif room == "utils":
        found += [tn.utils, tn.callbacks]
    elif room in ("random", "models", "layers", "optimizers", "losses", "metrics"):
        found += [getattr(tn, room), tn.utils]
        found += [tn.models.functional, tn.losses.functions] if parts[1:] else []
        found += [tn.optimizers.schedules] if "schedules" in parts else []
    elif hasattr(tn, room):
        found += [getattr(tn, room)]
    elif not parts:
        found += [tn]
    return [place for place in found if place is not None]


class Backend:
    """What tests ask of ``keras.src.backend``."""

    SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = SUPPORTS_COMPLEX_DTYPES = False

    @staticmethod
    def backend() -> str:
        return "tinynet"

    @staticmethod
    def is_tensor(x: Any) -> bool:
        import tinynet as tn

        return isinstance(x, tn.Tensor)

    @staticmethod
    def standardize_dtype(dtype: Any) -> str:
        return np.dtype(getattr(dtype, "name", dtype) or "float32").name

    @staticmethod
    def is_float_dtype(dtype: Any) -> bool:
        return "float" in Backend.standardize_dtype(dtype)


class Conftest(ModuleType):
    """The `conftest` in Keras's repository, which its tests import."""

    @staticmethod
    def skip_if_backend(name: str, reason: str) -> Any:
        return lambda test: test


class Filtering:
    """Tracebacks of tinynet are not filtered."""

    @staticmethod
    def is_traceback_filtering_enabled() -> bool:
        return False


class PyTree:
    """Functions of Keras's trees that its `TestCase` needs: each list, tuple or dict is a tree."""

    @staticmethod
    def is_shape(structure: Any) -> bool:
        return all(n is None or isinstance(n, int) for n in structure)

    @staticmethod
    def map_structure(f: Any, structure: Any, *others: Any, leaf: Any = lambda x: False) -> Any:
        if isinstance(structure, dict):
            parts = {k: [structure[k], *(o[k] for o in others)] for k in sorted(structure)}
            return {k: PyTree.map_structure(f, *part, leaf=leaf) for k, part in parts.items()}
        if isinstance(structure, (list, tuple)) and not leaf(structure):
            parts = zip(structure, *others, strict=True)
            return type(structure)([PyTree.map_structure(f, *part, leaf=leaf) for part in parts])
        return f(structure, *others)

    @staticmethod
    def flatten(structure: Any) -> list[Any]:
        found: list[Any] = []
        PyTree.map_structure(found.append, structure)
        return found

    @staticmethod
    def map_structure_up_to(shallow: Any, f: Any, *structures: Any) -> Any:
        return PyTree.map_structure(lambda _, *parts: f(*parts), shallow, *structures)

    @staticmethod
    def map_shape_structure(f: Any, structure: Any) -> Any:
        return PyTree.map_structure(f, structure, leaf=PyTree.is_shape)


SPECIAL: dict[str, Any] = {"traceback_utils": Filtering, "tree": PyTree}


class KerasNames(MetaPathFinder, Loader):
    """Finds modules of Keras: test files and `testing` as they are, others as `Names`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # of the package `keras`

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        top = name.split(".")[0]
        if top in ("tensorflow", "torch", "grain", "jax"):
            return ModuleSpec(name, self, is_package=True)
        if top != "keras":
            return None
        file = self.folder.joinpath(*name.split(".")[1:])
        if name.startswith("keras.src.testing") or name.endswith("_test"):
            file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
            loader = SourceFileLoader(name, str(file))
            spec = ModuleSpec(name, loader, origin=str(file), is_package=file.stem == "__init__")
            spec.has_location = True
            return spec
        exists = file.is_dir() or file.with_suffix(".py").exists() or name == "keras"
        return ModuleSpec(name, self, is_package=True) if exists else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Names(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__path__ = []


def prepare(case: Any) -> None:
    """Let the `TestCase` of Keras look at a layer of tinynet, and not ask for mixed precision.

    The types of errors are compared, not their words, which are tinynet's own.
    """
    from keras.src.testing import test_case

    import tinynet as tn

    def seed_generators(layer: Any) -> list[Any]:
        parts = [layer, *getattr(layer, "layers", [])]
        return list(tn.tree.instances(tn.random.SeedGenerator, [vars(p) for p in parts]))

    run_layer_test = case.run_layer_test

    def without_mixed_precision(self: Any, *args: Any, **options: Any) -> None:
        run_layer_test(self, *args, **{**options, "run_mixed_precision_check": False})

    def raises(self: Any, expected_exception: Any, expected_regex: Any = "", *args: Any) -> Any:
        return self.assertRaises(expected_exception, *args)  # noqa: PT027

    test_case.get_seed_generators = seed_generators
    case.assertRaisesRegex = raises
    case.run_layer_test = without_mixed_precision


class Results:
    """A plugin of pytest that keeps the outcomes of tests."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.outcomes: dict[str, str] = {}

    def pytest_configure(self, config: Any) -> None:
        config.addinivalue_line("markers", "requires_trainable_backend: tinynet trains")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        words = self.words
        items[:] = [i for i in items if not words or any(w in name_of(i.nodeid) for w in words)]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.outcomes[name_of(report.nodeid)] = str(report.longrepr).strip().splitlines()[-1]

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = name_of(report.nodeid)
        if report.failed:
            lines = [x[4:] for x in str(report.longrepr).splitlines() if x.startswith("E   ")]
            self.outcomes[name] = lines[0] if lines else str(report.longrepr)[-200:]
        elif report.skipped:
            self.outcomes.setdefault(name, "skipped")
        elif report.when == "call":
            self.outcomes.setdefault(name, "passed")


def name_of(nodeid: str) -> str:
    """Return a test's id from the folder `keras/src` on."""
    return nodeid.rpartition("keras/src/")[2]


def exclusions() -> dict[str, str]:
    """Return the reason for each test that is left out or known to fail, from `unit_tests.txt`."""
    found, reason = {}, ""
    for line in (HERE / "unit_tests.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            found[line] = reason
    return found


def main(words: list[str]) -> int:
    sys.path.insert(0, str(HERE.parents[1]))
    folder = Path(str(find_spec("keras").origin)).parent  # type: ignore[union-attr]
    for name in [n for n in sys.modules if n.split(".")[0] == "keras"]:
        del sys.modules[name]
    sys.meta_path.insert(0, KerasNames(folder))
    from keras.src.testing import TestCase

    prepare(TestCase)
    sys.modules["conftest"] = Conftest("conftest")
    results = Results(words)
    wanted = []
    for file in sorted((folder / "src").rglob("*_test.py")):
        path = file.relative_to(folder / "src").with_suffix("")
        if any(path.as_posix().startswith(room) for room in ROOMS.split()):
            try:  # pytest would import the packages of Keras
                import_module(".".join(["keras", "src", *path.parts]))
                wanted.append(str(file))
            except Exception as error:
                results.outcomes[f"{path}.py"] = f"not imported: {type(error).__name__}: {error}"
    with TemporaryDirectory() as temporary:
        ini = Path(temporary, "pytest.ini")
        ini.write_text("[pytest]\n", encoding="utf-8")
        options = ["-q", "-c", str(ini), "--import-mode=importlib", "-p", "no:cacheprovider"]
        options += ["--continue-on-collection-errors"]
        options += ["--tb=short"] if words else ["--tb=line", "--no-summary"]
        pytest.main([*options, f"--rootdir={folder.parent}", *wanted], plugins=[results])
    return report(results.outcomes)


def report(outcomes: dict[str, str]) -> int:
    """Print each failure without a listed reason, and the counts; return how many they are."""
    reasons, count, unknown = exclusions(), Counter(), 0
    for name, outcome in outcomes.items():
        if outcome in ("passed", "skipped"):
            count[outcome] += 1
        elif LACKS in outcome:
            count["use a name that tinynet lacks"] += 1
        elif name in reasons:
            count[reasons[name]] += 1
        else:
            unknown += 1
            print(f"{name}: {outcome}")
    for name in reasons:
        if outcomes.get(name) == "passed":
            print(f"{name} passes: delete it from unit_tests.txt")
    print(*(f"{number:5} {what}" for what, number in count.items()), sep="\n")
    print(f"{unknown:5} failed without a listed reason")
    return unknown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
