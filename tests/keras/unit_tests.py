"""Keras's own unit tests, run against tinynet.

`python tests/keras/unit_tests.py` runs those that concern what tinynet has, prints each failure
without a known reason, and counts passed, failed and not applicable tests of each file. With words
as arguments, it runs the files whose names contain one of them, with tracebacks.

Keras itself is not imported. `KerasNames` is an import hook: ``keras.src.testing`` and the test
files are read from the installed package, and every other module of Keras has the names of tinynet.
A name that tinynet lacks becomes an `Absent` class, so that a test which uses it fails, and the
others of the same file run.

A test that fails is not applicable if it uses such a name, or if its traceback has a word of
`REASONS`. `unit_tests.txt` lists the other tests that fail, each under the reason.
"""

from __future__ import annotations

import re
import signal
import sys
import traceback
from collections import Counter, defaultdict
from contextlib import nullcontext, suppress
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
SECONDS = 20  # that a test may take
# Folders, and beginnings of files.
ROOMS = """
activations backend/common/keras_tensor callbacks constraints initializers layers losses metrics
models optimizers random regularizers saving trainers utils wrappers
"""
OF_ONE_CLASS = ("layers", "optimizers", "callbacks")  # rooms where a file has a class's name
OF_MORE = ["merging", "lambda_layer", "learning_rate_schedule", "monitor_callback"]  # or of several

# Why a test that fails is not applicable: words in its traceback, which shows lines of the test.
REASONS = {
    "names that tinynet lacks": rf"{LACKS}|Keras has it, tinynet does not|module\(\) takes at most|"
    "arg 2 must be a",
    "quantization and LoRA": r"quanti[sz]|(?<![a-z])lora|gptq|awq",
    "dtypes other than NumPy's, mixed precision": "float8|int4|bfloat16|mixed_|autocast|polic",
    "masks": "mask",
    "sparse and ragged tensors": r"\bsparse=|sparse_generator|sparse tensor|ragged|BCOO",
    "private attributes": r"has no attribute '_[a-z]",
    "options and optimizers that tinynet refuses": "that tinynet (supports|has)|tinynet's scope|"
    "interpret optimizer|PRGAIN|no devices",
    "files of older versions, folders and shards": r"\.h5'|shard|zipped|objects_to_skip",
}


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

    def __repr__(cls) -> str:
        return f"{LACKS}{cls.__name__}"

    __getitem__ = __instancecheck__ = __call__


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
    import tinynet.models.model

    parts = [p for p in path.split(".") if p not in ("keras", "src")]
    room = parts[0] if parts else ""
    found: list[Any] = [SPECIAL.get(path.rpartition(".")[2])]
    if room == "backend":
        found += [Backend, tn.backend, tn, tn.ops, tn.random, tn.layers.symbolic]
        found += [Trainers] if parts[-1] == "trainer" else []
    elif room in ("ops", "tree"):
        found += [getattr(tn, room)]
    elif room == "utils":
        found += [tn.utils, tn.callbacks]
    elif room in ("random", "models", "layers", "optimizers", "losses", "metrics"):
        found += [getattr(tn, room), tn.utils]
        found += [tn.models.model, tn.losses.functions] if parts[1:] else []
        found += [tn.optimizers.schedules] if "schedules" in parts else []
    elif hasattr(tn, room):
        found += [getattr(tn, room)]
    elif not parts:
        found += [tn]
    return [place for place in found if place is not None]


class Placeholders(type):
    """The class of Keras's `KerasTensor`, which makes placeholders of tinynet."""

    def __call__(cls, shape: Any, dtype: str = "float32", **options: Any) -> Any:
        from tinynet.layers import KerasTensor

        name = options.pop("name", None)
        if any(options.values()):
            raise NotImplementedError(f"{LACKS}{options}")
        return KerasTensor(shape, dtype, name=name)

    def __instancecheck__(cls, thing: Any) -> bool:
        from tinynet.layers import KerasTensor

        return isinstance(thing, KerasTensor)


class Summaries:
    """What tests ask of ``keras.src.utils.summary_utils``."""

    @staticmethod
    def print_summary(model: Any, **options: Any) -> None:
        model.summary(**options)


class Backend:
    """What tests ask of ``keras.src.backend``."""

    SUPPORTS_SPARSE_TENSORS = SUPPORTS_RAGGED_TENSORS = SUPPORTS_COMPLEX_DTYPES = False

    device = staticmethod(lambda name: nullcontext())
    in_symbolic_scope = staticmethod(lambda: False)

    @staticmethod
    def backend() -> str:
        """Return a name; in `trainer_test.py` that of the backend with the same `train_step`."""
        calling = sys._getframe(1).f_globals["__name__"]
        return "torch" if calling.endswith("trainer_test") else "tinynet"

    KerasTensor = Placeholders("KerasTensor", (), {})

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


class Trainers:
    """Holds the base of models in `trainer_test.py`; see `prepare`."""


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
            rows = zip(structure, *others, strict=True)
            parts = [PyTree.map_structure(f, *row, leaf=leaf) for row in rows]
            is_named = hasattr(structure, "_fields")
            return type(structure)(*parts) if is_named else type(structure)(parts)
        return f(structure, *others)

    @staticmethod
    def flatten(structure: Any) -> list[Any]:
        found: list[Any] = []
        PyTree.map_structure(found.append, structure)
        return found

    @staticmethod
    def assert_same_structure(first: Any, second: Any) -> None:
        forms = [PyTree.map_structure(lambda _: "*", tree) for tree in (first, second)]
        if forms[0] != forms[1]:
            raise ValueError(f"Different structures: {forms}.")

    @staticmethod
    def map_structure_up_to(shallow: Any, f: Any, *structures: Any) -> Any:
        return PyTree.map_structure(lambda _, *parts: f(*parts), shallow, *structures)

    @staticmethod
    def map_shape_structure(f: Any, structure: Any) -> Any:
        return PyTree.map_structure(f, structure, leaf=PyTree.is_shape)


class Dtypes:
    """The names of types that tests are drawn from."""

    FLOAT_TYPES, INT_TYPES = ("float32", "float64"), ("int32", "int64")
    ALLOWED_DTYPES = (*FLOAT_TYPES, *INT_TYPES, "bool")


SPECIAL: dict[str, Any] = {"traceback_utils": Filtering, "tree": PyTree, "dtypes": Dtypes}
SPECIAL |= {"summary_utils": Summaries, "keras_tensor": Backend}


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
    """Let the `TestCase` of Keras look at a layer of tinynet, without masks and mixed precision.

    The types of errors are compared, not their words, which are tinynet's own.
    """
    from keras.src.testing import test_case

    import tinynet as tn
    from tinynet.training.trainer import Trainer

    class TorchTrainer(Trainer):
        def __init__(self) -> None:
            """Leave it to the constructor of the layer, which models here are, too."""

    def seed_generators(layer: Any) -> list[Any]:
        parts = [layer, *getattr(layer, "layers", [])]
        return list(tn.tree.instances(tn.random.SeedGenerator, [vars(p) for p in parts]))

    run_layer_test = case.run_layer_test

    def of_dense_networks(self: Any, *args: Any, **options: Any) -> None:
        if options.pop("input_sparse", False) or options.pop("input_ragged", False):
            raise NotImplementedError(f"{LACKS}sparse tensors")
        absent = {"run_mixed_precision_check": False, "supports_masking": None}
        run_layer_test(self, *args, **{**options, **absent})

    def raises(self: Any, expected_exception: Any, expected_regex: Any = "", *args: Any) -> Any:
        return self.assertRaises(expected_exception, *args)  # noqa: PT027

    Trainers.TorchTrainer = TorchTrainer  # type: ignore[attr-defined]
    test_case.get_seed_generators = seed_generators
    case.assertRaisesRegex = raises
    case.run_layer_test = of_dense_networks


class Results:
    """A plugin of pytest that keeps the outcomes of tests, of failures the tracebacks."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_configure(self, config: Any) -> None:
        config.addinivalue_line("markers", "requires_trainable_backend: tinynet trains")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out tests of dtypes: those of results are NumPy's, not JAX's."""
        items[:] = [item for item in items if "dtype" not in str(item.cls).lower()]

    def pytest_runtest_setup(self) -> None:
        signal.alarm(SECONDS)  # a test may wait for the end of infinite data

    def pytest_runtest_teardown(self) -> None:
        signal.alarm(0)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.outcomes[name_of(report.nodeid)] = str(report.longrepr)

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = name_of(report.nodeid)
        if report.failed:
            self.outcomes[name] = str(report.longrepr)
        elif report.skipped:
            self.outcomes.setdefault(name, "skipped")
        elif report.when == "call":
            self.outcomes.setdefault(name, "passed")


def too_long(*_: Any) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def name_of(nodeid: str) -> str:
    """Return a test's id from the folder `keras/src` on."""
    return nodeid.rpartition("keras/src/")[2]


def files(folder: Path, words: list[str]) -> dict[str, Path]:
    """Return the test files of `ROOMS` whose names contain one of `words`, if there are any.

    Without those that are about a class which tinynet lacks.
    """
    import tinynet as tn

    def known(name: str) -> bool:
        room, about = name.split("/")[0], Path(name).stem.removesuffix("_test")
        names = [n.lower() for n in dir(getattr(tn, room))] if room in OF_ONE_CLASS else []
        return not names or about in OF_MORE or about.replace("_", "") in names

    found = {f.relative_to(folder).as_posix(): f for f in sorted(folder.rglob("*_test.py"))}
    rooms = tuple(ROOMS.split())
    named = [n for n in found if n.startswith(rooms) and any(w in n for w in words or [""])]
    return {name: found[name] for name in named if known(name)}


def run(words: list[str]) -> dict[str, str]:
    """Run the tests of the files with these words; return their outcomes by name."""
    sys.path.insert(0, str(HERE.parents[1]))
    folder = Path(str(find_spec("keras").origin)).parent  # type: ignore[union-attr]
    for name in [n for n in sys.modules if n.split(".")[0] == "keras"]:
        del sys.modules[name]
    sys.meta_path.insert(0, KerasNames(folder))
    from keras.src.testing import TestCase

    prepare(TestCase)
    sys.modules["conftest"] = Conftest("conftest")
    signal.signal(signal.SIGALRM, too_long)
    results, wanted = Results(), []
    for name, file in files(folder / "src", words).items():
        try:  # pytest would import the packages of Keras
            import_module(".".join(["keras", "src", *Path(name).with_suffix("").parts]))
            wanted.append(str(file))
        except Exception:
            results.outcomes[name] = traceback.format_exc()
    with TemporaryDirectory() as temporary:
        ini = Path(temporary, "pytest.ini")
        ini.write_text("[pytest]\n", encoding="utf-8")
        options = ["-q", "-c", str(ini), "--import-mode=importlib", "-p", "no:cacheprovider"]
        options += ["--continue-on-collection-errors", "--tb=short"]
        options += [] if words else ["--no-summary"]
        pytest.main([*options, f"--rootdir={folder.parent}", *wanted], plugins=[results])
    return results.outcomes


def listed() -> dict[str, str]:
    """Return the reason for each test or file that is known to fail, from `unit_tests.txt`."""
    found, reason = {}, ""
    for line in (HERE / "unit_tests.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line:
            found[line] = reason
    return found


def report(outcomes: dict[str, str]) -> int:
    """Print each failure without a known reason, and the counts; return how many these are."""
    known, reasons, by_file, unknown = listed(), Counter[str](), defaultdict[str, Any](Counter), 0
    for name, outcome in outcomes.items():
        words = outcome.lower()
        kind, reason = outcome, ""
        if outcome not in ("passed", "skipped"):
            reason = next((r for r, w in REASONS.items() if re.search(w.lower(), words)), "")
            kind = "not applicable" if reason else "failed"
            reason = reason or next((r for start, r in known.items() if name.startswith(start)), "")
        if kind == "failed" and not reason:
            unknown += 1
            print(f"{name}: {outcome.strip().splitlines()[-1]}")
        by_file[name.partition("::")[0]][kind] += 1
        reasons[reason or kind] += 1
    for name, counts in by_file.items():
        print(
            f"{counts['passed']:5} passed, {counts['failed']:4} failed, "
            f"{counts['not applicable']:4} not applicable: {name}"
        )
    for start in known:
        found = [outcome for name, outcome in outcomes.items() if name.startswith(start)]
        if found and all(outcome == "passed" for outcome in found):
            print(f"{start} passes: delete it from unit_tests.txt")
    print(*(f"{number:5} {what}" for what, number in reasons.items()), sep="\n")
    print(f"{unknown:5} failed without a known reason")
    return unknown


if __name__ == "__main__":
    sys.exit(min(report(run(sys.argv[1:])), 100))
