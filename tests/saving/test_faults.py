"""Writes that are hindered: processes that are killed, full disks, missing rights, many savers."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import writes
from hypothesis import settings

import tinynet as tn
from tinynet.callbacks import CSVLogger
from tinynet.configs import files
from tinynet.configs.files import appended, replacing

PACKAGE = Path(tn.__file__).parent
THOROUGH = 10 if settings.default.max_examples > 20 else 1
QUICK = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # fsync takes no time there
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and kill -9")

# Functions that write nothing of ours.
NOT_OURS = {
    "callbacks/records:_writer",  # tensorboardX appends to files of its own
}
OF_ANY_OBJECT = {"replacing", "appended", "makedirs", "mkdir", "mkdtemp", "TemporaryDirectory"}
OF_ANY_OBJECT |= {"rmtree", "copyfile", "unlink", "write_text", "write_bytes", "tofile", "savefig"}
OF_ANY_OBJECT |= {"extractall", "symlink", "symlink_to", "SummaryWriter", "chmod", "truncate"}
OF_MODULES = {"replace", "remove", "rename", "link", "copy", "move", "write"}


def writing_functions(path: Path) -> Iterator[str]:
    """Yield the functions in a module that call something which writes files, by their names."""

    def visit(node: ast.AST, inside: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef):
            inside = node.name
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            owner = getattr(getattr(node.func, "value", None), "id", "")
            parts = [p for a in [*node.args[1:2], *node.keywords] for p in ast.walk(a)]
            modes = [p.value for p in parts if isinstance(p, ast.Constant)]
            opens = (
                name == "open" and not owner and any(set(str(mode)) & set("wax+") for mode in modes)
            )
            moves = owner in ("os", "shutil") and name in OF_MODULES
            if opens or moves or name in OF_ANY_OBJECT:
                yield inside

    yield from visit(ast.parse(path.read_text("utf-8")), "")


def test_the_table_of_kinds_names_each_function_that_writes_files():
    found = {
        f"{path.relative_to(PACKAGE).with_suffix('').as_posix()}:{name}"
        for path in PACKAGE.rglob("*.py")
        for name in writing_functions(path)
    }
    named = {place for kind in writes.KINDS.values() for place in kind.places}
    assert found - named - NOT_OURS == set()
    assert named - found == set()


# -- what is found after each hindrance ------------------------------------------------------------


def hindered(counts: dict[str, int], *before: str) -> list[dict[str, Any]]:
    """Hinder some writes of each kind of file, by each hindrance; return what each of them left."""
    hindrances = ",".join(f"{name}:{count * THOROUGH}" for name, count in counts.items())
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        command = [*before, sys.executable, "-W", "ignore", writes.__file__, folder]
        environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "MPLBACKEND": "agg"}
        done = subprocess.run(
            [*command, hindrances],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert not done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(report: dict[str, Any]) -> None:
    """Check a report: the old value or the new one, and nothing left after the next write."""
    outcome, value = report["outcome"], report.get("value")
    kind, hindrance = report["kind"], report["hindrance"]
    torn = kind == "csv" and hindrance == "cut"  # within its last row, which is appended
    assert value in (writes.OLD, writes.NEW) or torn, report
    assert report["then"] == (writes.OLD if kind == "library" else writes.NEW), report
    assert set(report["after"]) <= set(report["whole"]), report
    if outcome == "done":
        assert value == (writes.OLD if kind == "library" else writes.NEW) or kind == "csv", report
        assert set(report["left"]) <= set(report["whole"]), report
    elif outcome != "killed":
        assert outcome.startswith(("OSError: ", "PermissionError: ")), report
        assert f"{report['folder']}/" in outcome, report
        assert ".saving" not in outcome, report
        assert value == writes.OLD, report
        parts = [name for name in report["left"] if not name.endswith(".part")]  # is continued
        assert set(parts) <= set(report["whole"]), report


@pytest.fixture(scope="module")
def after() -> dict[str, list[dict[str, Any]]]:
    """Return, by hindrance, what one process finds: it imports the libraries of all kinds once."""
    counts = {"killed": 5, "cut": 3, "full": 2, "unprivileged": 2}
    reports = hindered(counts)
    return {name: [r for r in reports if r["hindrance"] == name] for name in counts}


@pytest.mark.parametrize("hindrance", ["killed", "cut"])
def test_a_killed_process_leaves_the_old_file_or_the_new_one_of_every_kind(hindrance, after):
    reports = after[hindrance]
    assert {report["kind"] for report in reports} == {*writes.KINDS}
    for report in reports:
        check(report)
    assert sum(report["outcome"] == "killed" for report in reports) > len(reports) / 2
    values = [r.get("value") for r in reports if r["kind"] == "keras"]
    assert values == sorted(values)


def test_a_full_disk_or_a_missing_right_is_an_error_that_names_the_file_and_leaves_the_old_one(
    after,
):
    reports = after["full"] + after["unprivileged"]
    for report in reports:
        check(report)
    refused = {report["kind"] for report in reports if report["outcome"] != "done"}
    assert refused == {*writes.KINDS} - {"library"}  # whose place is then a private folder


def can_mount() -> bool:
    """Return whether this user may mount a disk, in a namespace of its own."""
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", tempfile.gettempdir()]
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(command, capture_output=True).returncode
    )


def test_a_small_disk_that_is_full_leaves_the_old_file():
    namespace = ["unshare", "-rm"] if can_mount() else []
    reports = hindered({"disk" if namespace else "full": 2}, *namespace)
    for report in reports:
        check(report)
    assert sum("No space" in r["outcome"] or "large" in r["outcome"] for r in reports) > 10


SAVERS = """
import os, sys
import writes
folder = writes.Path(sys.argv[1])
kind = writes.KINDS[sys.argv[2]]
children = []
for value in (writes.OLD, writes.NEW) * 2:
    if not (child := os.fork()):
        for _ in range(int(sys.argv[3])):
            kind.write(folder, value)
        os._exit(0)
    children.append(child)
kind.write(folder, writes.OLD)
for child in children:
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        assert kind.read(folder) in (writes.OLD, writes.NEW)
    # a child that failed has printed its error
print(*writes.names(folder))
"""


@pytest.mark.parametrize("kind", ["keras", "npz", "export c"])
def test_processes_that_save_to_one_place_leave_a_whole_file_and_nothing_else(kind):
    with tempfile.TemporaryDirectory(dir=QUICK) as folder:
        paths = os.pathsep.join([str(PACKAGE.parent), str(Path(writes.__file__).parent)])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SAVERS, folder, kind, str(5 * THOROUGH)],
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.split()) == 1


# -- places ----------------------------------------------------------------------------------------


def to_file(kind: str, path: Path) -> None:
    """Write one kind of file to a path."""
    model = writes.MODELS[writes.NEW]
    if kind in ("numpy", "c"):
        model.export(path, format=kind, verbose=False)
    elif kind == "csv":
        logger = CSVLogger(path)
        logger.on_train_begin()
        logger.on_epoch_end(0, {"loss": 1.0})
    elif kind == "plot":
        tn.utils.plot_model(model, to_file=path)
    else:
        model.save(path) if kind == "keras" else model.save_weights(path)


ENDINGS = {"keras": "m.keras", "h5": "m.weights.h5", "npz": "m.weights.npz", "numpy": "m.py"}
ENDINGS |= {"c": "m.c", "csv": "m.csv", "plot": "m.png"}


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_symbolic_link_is_written_through_and_stays_a_link(kind, tmp_path):
    target, path = tmp_path / "there" / "target", tmp_path / "link" / ENDINGS[kind]
    for folder in (target.parent, path.parent):
        folder.mkdir()
    path.symlink_to(target)
    to_file(kind, path)
    assert path.is_symlink()
    assert target.is_file()
    assert target.stat().st_size > 0
    assert os.listdir(path.parent) == [path.name]
    assert os.listdir(target.parent) == ["target"]


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_folder_that_is_a_file_or_vanished_is_named(kind, tmp_path):
    (tmp_path / "file").write_text("text")
    for folder in ("file", "vanished"):
        path = tmp_path / folder / ENDINGS[kind]
        with pytest.raises(OSError, match=r"file|vanished") as caught:
            to_file(kind, path)
        assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_that_is_full_is_named():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        appended("/dev/full", b"row")
    with pytest.raises(ValueError, match="/dev/full"), replacing("/dev/full"):
        raise AssertionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a lost file
@pytest.mark.parametrize("step", ["open", "lock", "os.fstat", "os.fsync", "os.replace"])
def test_a_save_that_fails_after_a_step_of_the_system_leaves_no_file_of_its_own(
    step, tmp_path, monkeypatch
):
    where, _, name = step.rpartition(".")
    module = getattr(files, where) if where else files
    usual = getattr(module, name, open)

    def done_and_failed(*arguments, **options):
        usual(*arguments, **options)  # what it made has no owner, as after a missing object
        raise MemoryError

    def save():
        with replacing(path) as file:
            file.write(b"new")

    path = tmp_path / "m.bin"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(module, name, done_and_failed, raising=False)
        with pytest.raises(MemoryError):
            save()
    assert os.listdir(tmp_path) == ["m.bin"]
    assert path.read_bytes() == (b"new" if step == "os.replace" else b"old")
