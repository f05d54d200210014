"""The errors for missing packages: each names an extra, and a command that installs it."""

import ast
import configparser
import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.engine import extras
from tinynet.engine.primitives import special

PACKAGE = Path(tn.__file__).parent
PROJECT = PACKAGE.parent
OF_TESTS = {"examples", "bench", "test", "docs", "dev"}  # what no function of the package asks for


def declared() -> dict[str, list[str]]:
    """Return the requirements of each extra, by setup.cfg."""
    settings = configparser.ConfigParser()
    settings.read(PROJECT / "setup.cfg", encoding="utf-8")
    table = settings["options.extras_require"]
    return {name: table[name].split("\n")[1:] for name in table if name not in OF_TESTS}


def asked_for() -> set[str]:
    """Return the extras that the package names where it raises the error."""
    calls = (
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("imported", "missing")
    )
    return {call.args[-1].value for call in calls if isinstance(call.args[-1], ast.Constant)}


def model() -> tn.Model:
    return tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])


def write_logs(folder: Path) -> None:
    logs = tn.callbacks.TensorBoard(folder)
    net = model()
    net.compile("sgd", "mse")
    net.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0, callbacks=[logs])


# A package of each extra, and a call that needs it.
NEEDS = {
    "plot": ("matplotlib", lambda folder: tn.viz.plot_history({"loss": [1.0]})),
    "h5": ("h5py", lambda folder: model().save(folder / "m.keras")),
    "onnx": ("onnx", lambda folder: model().export(folder / "m.onnx", format="onnx")),
    "tensorboard": ("tensorboardX", write_logs),
    "scipy": ("scipy.special", lambda folder: special.functions.__wrapped__()),
    "sklearn": ("sklearn.datasets", lambda folder: tn.datasets.digits.load_data()),
}


def test_each_extra_has_an_error_and_each_error_an_extra():
    assert asked_for() == declared().keys()
    assert NEEDS.keys() == declared().keys() - {"mpi"}  # see tests/distribution/test_alone.py


@pytest.mark.parametrize("extra", NEEDS)
def test_without_its_package_a_function_names_the_extra(extra, monkeypatch, tmp_path):
    package, call = NEEDS[extra]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"the extra '{extra}' of tinynet: pip install .*"):
        call(tmp_path)


@pytest.mark.parametrize("extra", declared())
def test_in_a_clone_the_command_installs_the_clone(extra):
    assert f'pip install -e "{PROJECT}[{extra}]"' in str(extras.missing("This", extra))


@pytest.mark.parametrize("extra", declared())
def test_elsewhere_the_command_installs_what_the_metadata_list(extra, monkeypatch, tmp_path):
    """Metadata join an extra's name to the requirement, as the standard of packages says."""
    lines = [
        f'{line} and extra == "{name}"' if ";" in line else f'{line}; extra == "{name}"'
        for name, requirements in declared().items()
        for line in requirements
    ]
    monkeypatch.setattr(extras, "ROOT", tmp_path)
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=2.0", *lines])
    wanted = [f'"{line}"'.replace('"Windows"', "'Windows'") for line in declared()[extra]]
    assert str(extras.missing("This", extra)).endswith(f"pip install {' '.join(wanted)}")


def test_a_copy_without_metadata_points_to_the_list_of_extras(monkeypatch, tmp_path):
    def absent(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(extras, "ROOT", tmp_path)
    monkeypatch.setattr(metadata, "requires", absent)
    assert str(extras.missing("This", "plot")).endswith("its packages are listed in setup.cfg")


def test_no_text_asks_the_package_index_for_tinynet():
    """There, the name belongs to another project."""
    files = [*PACKAGE.rglob("*.py"), *(PROJECT / "examples").glob("*.py")]
    files += [*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")]
    command = re.compile(r"pip install .{0,9}tinynet")
    assert [f.name for f in files if command.search(f.read_text(encoding="utf-8"))] == []
