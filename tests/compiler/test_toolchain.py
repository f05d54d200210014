"""The C compiler and its cache: nothing that is wrong with either stops a program."""

import ctypes
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import assert_same
from native import NATIVE

import tinynet as tn
from tinynet import ops
from tinynet.compiler import toolchain

SOURCE = "int answer(void) { return 42; }\n"
X = np.array([1.0, 2.0], "float32")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    """Use a new cache, in which nothing was warned of."""
    monkeypatch.setenv("TINYNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(toolchain, "_warned", set())
    monkeypatch.setattr(toolchain, "_hung", set())
    return tmp_path / "cache"


def libraries(folder: Path) -> list[Path]:
    return toolchain.libraries(folder)


def answer() -> Any:
    """Return 42 from the compiled source; None if it was not compiled."""
    library = toolchain.load(SOURCE)
    return None if library is None else library.answer()


def command_that(text: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Let $CC be a shell script."""
    path = tmp_path / "cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    monkeypatch.setenv("CC", str(path))


def assert_numpy_runs_after_one_warning(*words: str) -> None:
    f, g = tn.jit(lambda x: ops.exp(x) + 1.0, native=True), tn.jit(ops.exp, native=True)
    with pytest.warns(RuntimeWarning) as caught:
        found = f(X)
    assert_same(found.data, np.exp(X) + 1)
    assert_same(g(X).data, np.exp(X))  # without another warning, which would be an error
    assert len(caught) == 1
    assert all(word in str(caught[0].message) for word in words)
    assert not f.native


# -- compilers --------------------------------------------------------------------------------


def test_source_is_compiled_and_kept(folder):
    assert answer() == (42 if NATIVE else None)
    assert len(libraries(folder)) == NATIVE
    assert not list(folder.glob("tinynet-new-*"))


def test_without_a_compiler_numpy_runs_without_a_word(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert toolchain.compiler() is None
    assert answer() is None
    assert_same(tn.jit(ops.exp)(X).data, np.exp(X))
    f = tn.jit(ops.exp, native=True)
    with pytest.raises(NotImplementedError, match="No C compiler"):
        f(X)
    model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=True)
    with pytest.raises(NotImplementedError, match="No C compiler"):
        model.fit(X[:, None], X, verbose=0)


def test_the_compiler_of_the_environment_comes_first_with_its_options(tmp_path, monkeypatch):
    command_that("exit 1", tmp_path, monkeypatch)
    path = os.environ["CC"]
    monkeypatch.setenv("CC", f"{path} -pipe")
    assert toolchain.compiler() == [path, "-pipe"]
    for wrong in ("no-such-compiler", "'no end", ""):
        monkeypatch.setenv("CC", wrong)
        assert (toolchain.compiler() is not None) == NATIVE


FAULTS = {
    "fails": ('echo "out of disk" >&2; exit 1', "out of disk"),
    "fails after its version": ('[ "$1" = --version ] || { echo "full" >&2; exit 1; }', "full"),
    "writes nothing": ("exit 0", "program.so"),
    "writes garbage": ('while [ "$1" != -o ]; do shift; done; echo garbage > "$2"', ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_numpy_runs_after_one_warning_if_the_compiler(fault, folder, tmp_path, monkeypatch):
    script, word = FAULTS[fault]
    if "-o" in script:
        script = f'[ "$1" = --version ] && exit 0\n{script}'
    command_that(script, tmp_path, monkeypatch)
    assert_numpy_runs_after_one_warning("NumPy runs", word)
    assert not libraries(folder)


PROCESSES = """
echo $$ >> "$0.started"
sleep 100 &
echo $! >> "$0.started"
wait
"""


@pytest.mark.parametrize("when", ["at once", "after its version"])
def test_a_compiler_that_hangs_is_ended_with_all_it_started_and_not_started_again(
    when, tmp_path, monkeypatch
):
    first = "" if when == "at once" else '[ "$1" = --version ] && exit 0\n'
    command_that(first + PROCESSES, tmp_path, monkeypatch)
    monkeypatch.setattr(toolchain, "SECONDS", 3)
    assert_numpy_runs_after_one_warning("NumPy runs", "timed out")
    started = (tmp_path / "cc.started").read_text().split()
    assert len(started) == 2  # the script and its sleep, once
    wait_until_ended(started)


def wait_until_ended(processes: list[str]) -> None:
    """Wait for processes that were killed; the test fails if one never ends."""
    until = time.monotonic() + 30
    while any(map(runs, processes)):
        assert time.monotonic() < until
        time.sleep(0.01)


def runs(process: str) -> bool:
    """Return whether a process runs; it may have ended without anybody having asked."""
    try:
        os.kill(int(process), 0)
        state = Path("/proc", process, "stat").read_text() if os.path.exists("/proc") else ") R"
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_ctrl_c_ends_the_compiler(tmp_path, monkeypatch):
    command_that(PROCESSES, tmp_path, monkeypatch)
    started = tmp_path / "cc.started"

    def interrupted(self: Any, timeout: float) -> Any:
        while not started.exists() or started.read_text().count("\n") < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        answer()
    monkeypatch.undo()
    wait_until_ended(started.read_text().split())


def test_a_slow_compiler_is_waited_for_and_reads_nothing_from_the_terminal(tmp_path, monkeypatch):
    if NATIVE:
        (path, *_) = toolchain.compiler()
        command_that(f'cat; sleep 1; exec {path} "$@"', tmp_path, monkeypatch)
    assert answer() == (42 if NATIVE else None)


def test_the_compiler_of_the_environment_is_given_its_options(monkeypatch):
    command = toolchain.compiler()
    if command:
        monkeypatch.setenv("CC", f"{command[0]} -pipe '-DANSWER=40 + 2'")
        library = toolchain.load("int answer(void) { return ANSWER; }")
        assert library.answer() == 42
        assert toolchain.compiler() == [command[0], "-pipe", "-DANSWER=40 + 2"]


def test_macos_without_developer_tools_is_not_asked_to_install_them(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(toolchain.shutil, "which", lambda name: f"/usr/bin/{name}")
    for text, expected in (("exit 2", None), ("echo /Library/Developer", ["/usr/bin/cc"])):
        (tmp_path / "xcode-select").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "xcode-select").chmod(0o700)
        toolchain._is_installed.cache_clear()
        assert toolchain.compiler() == expected
    toolchain._is_installed.cache_clear()


def test_macos_names_its_processor_in_the_key(tmp_path, monkeypatch):
    for name, text in (("sysctl", 'echo "$1.brand: M1"'), ("cc", "echo clang")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sys, "platform", "darwin")
    found = toolchain.identity(str(tmp_path / "cc"))
    assert found == ("clang\n", "machdep.cpu.brand: M1")


def test_windows_runs_numpy(monkeypatch):
    monkeypatch.setattr(toolchain.os, "name", "nt")
    assert toolchain.compiler() is None


def test_a_full_disk_lets_numpy_run_after_one_warning(monkeypatch):
    def full(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    if NATIVE:
        monkeypatch.setattr(toolchain.tempfile, "TemporaryDirectory", full)
        assert_numpy_runs_after_one_warning("No space left")


LIMITED = """
import resource, signal, warnings
import numpy as np, tinynet as tn
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
f, g = tn.jit(tn.ops.exp, native={native}), tn.jit(tn.ops.log, native={native})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert np.allclose(f([0.0]).data, 1.0) and np.allclose(g([1.0]).data, 0.0)
assert len(caught) == {native} and not f.native, [str(w.message) for w in caught]
"""


@pytest.mark.parametrize("most", [0, 100, 9000])
def test_a_disk_that_is_full_for_the_source_or_the_library_lets_numpy_run(most, folder):
    script = LIMITED.format(most=most, native=NATIVE)
    command = [sys.executable, "-B", "-c", script]
    subprocess.run(command, cwd=Path(tn.__file__).parents[1], check=True, timeout=120)
    assert not libraries(folder)
    assert not list(folder.glob("tinynet-new-*"))


# -- the cache --------------------------------------------------------------------------------


def test_a_library_in_the_cache_is_loaded_without_a_compilation(folder, monkeypatch):
    first = answer()
    monkeypatch.setattr(toolchain, "_compiled", lambda *args: pytest.fail("compiled again"))
    if NATIVE:
        assert answer() == first == 42


@pytest.mark.parametrize("change", ["source", "flags", "version", "features"])
def test_the_key_holds_all_that_a_library_depends_on(change, folder, monkeypatch):
    assert answer() == (42 if NATIVE else None)
    version, features = toolchain.identity(sys.executable)
    if change == "flags":
        monkeypatch.setattr(toolchain, "FLAGS", (*toolchain.FLAGS, "-g"))
    new = ("new", features) if change == "version" else (version, "new")
    if change in ("version", "features"):
        monkeypatch.setattr(toolchain, "identity", lambda *command: new)
    toolchain.load(SOURCE + "\n" * (change == "source"))
    assert len(libraries(folder)) == 2 * NATIVE


@pytest.mark.parametrize("damage", ["truncated", "emptied", "overwritten"])
def test_a_damaged_library_is_compiled_again_after_a_warning(damage, folder):
    if not NATIVE:
        assert answer() is None
        return
    answer()
    (path,) = libraries(folder)
    contents = path.read_bytes()
    path.unlink()  # this process has it open
    wrong = {
        "truncated": contents[:5000],
        "emptied": b"",
        "overwritten": contents[:-8] + b"garbage!",
    }
    path.write_bytes(wrong[damage])
    path.chmod(0o700)
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert answer() == 42
    assert path.read_bytes() == contents or libraries(folder) != [path]
    with warnings.catch_warnings():
        assert answer() == 42


def test_the_folder_belongs_to_the_user_alone(folder):
    answer()
    if NATIVE and os.name == "posix":
        assert folder.stat().st_mode & 0o777 == 0o700
        assert all(path.stat().st_mode & 0o022 == 0 for path in libraries(folder))


NAMES = ["with spaces", "mit Umlaut ü, 日本", "[a-z]*", "-o", "it's $HOME; \"", "a\nb", "."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("relative", [True, False])
def test_a_folder_can_have_any_name_and_be_relative(name, relative, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("TINYNET_CACHE_DIR", name if relative else str(tmp_path / name))
    assert answer() == (42 if NATIVE else None)
    assert len(libraries(tmp_path / name)) == NATIVE
    assert answer() == (42 if NATIVE else None)


def test_other_files_in_the_folder_are_left_alone(folder, monkeypatch):
    monkeypatch.setattr(toolchain, "MOST_BYTES", 0)
    (folder / "new-results").mkdir(parents=True)
    (folder / "mine.so").write_text("mine")
    folder.chmod(0o700)
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert answer() == (42 if NATIVE else None)
    assert sorted(path.name for path in folder.iterdir()) == ["mine.so", "new-results"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_can_write_to_is_not_used(mode, folder):
    folder.mkdir()
    folder.chmod(mode)
    assert answer() == (42 if NATIVE else None)
    assert not libraries(folder)


def test_a_folder_of_another_owner_or_behind_a_link_is_not_used(folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert answer() == (42 if NATIVE else None)
    assert not libraries(tmp_path / "elsewhere")
    folder.unlink()
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert not toolchain._is_ours(folder)
    assert toolchain.cache_folder() != folder


def others_can_write_to(path: Path) -> None:
    path.chmod(0o777)


def is_a_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def is_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HOSTILE = [others_can_write_to, is_a_link, is_a_folder]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_library_is_not_loaded_if_it(make, folder, monkeypatch):
    answer()
    loaded: list[str] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: loaded.append(name))
    for path in libraries(folder):
        make(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if make is is_a_folder else "error")
            toolchain.load(SOURCE)
        assert str(path) not in loaded


def test_a_folder_that_cannot_be_made_or_written_is_replaced_by_a_private_one(folder, monkeypatch):
    folder.write_text("a file in its place")
    assert answer() == (42 if NATIVE else None)
    folder.unlink()
    folder.mkdir(mode=0o700)
    access = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: p != folder and access(p, mode))  # read-only
    assert answer() == (42 if NATIVE else None)
    assert not list(folder.iterdir())
    private = toolchain._private_folder(os.getpid())
    assert toolchain._is_ours(private)
    assert private.stat().st_mode & 0o077 == 0


def test_the_cache_forgets_the_libraries_used_the_longest_time_ago(folder, monkeypatch):
    if not NATIVE:
        assert answer() is None
        return
    for i in range(4):
        toolchain.load(SOURCE + "\n" * i)
        newest = max(libraries(folder), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (i, i))
    size = max(path.stat().st_size for path in libraries(folder))
    kept = sorted(libraries(folder), key=lambda path: path.stat().st_mtime)[-1]
    monkeypatch.setattr(toolchain, "MOST_BYTES", 2 * size + 10)
    toolchain.load(SOURCE + "\n" * 9)
    assert len(libraries(folder)) == 2
    assert kept in libraries(folder)


@pytest.mark.parametrize(("most", "kept"), [(9, []), (10, [2]), (29, [1, 2]), (30, [0, 1, 2])])
def test_the_cache_keeps_the_newest_libraries_that_fit(most, kept, tmp_path, monkeypatch):
    paths = [tmp_path / f"{toolchain.PREFIX}{i}.so" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes(10))
        os.utime(path, (i, i))
    monkeypatch.setattr(toolchain, "MOST_BYTES", most)
    toolchain._forget_oldest(tmp_path)
    assert [i for i, path in enumerate(paths) if path.exists()] == kept


def test_what_killed_compilations_left_is_removed(folder):
    for age, name in ((10**6, "old"), (0, "young")):
        (folder / f"tinynet-new-{name}").mkdir(parents=True)
        (folder / f"tinynet-new-{name}-lock").touch()
        for path in folder.glob(f"tinynet-new-{name}*"):
            os.utime(path, (time.time() - age,) * 2)
    folder.chmod(0o700)
    answer()
    left = {path.name for path in folder.glob("tinynet-new-*")}
    young = {"tinynet-new-young", "tinynet-new-young-lock"}
    assert left == young if NATIVE else left > young


def test_a_library_that_another_process_removes_is_compiled_again(folder, monkeypatch):
    answer()
    is_ours = toolchain._is_ours

    def removed(path: Path) -> bool:
        found = is_ours(path)
        if path.suffix == ".so":
            path.unlink()
        return found

    monkeypatch.setattr(toolchain, "_is_ours", removed)
    assert answer() == (42 if NATIVE else None)


def test_a_user_without_a_home_has_a_private_cache(monkeypatch):
    monkeypatch.setenv("TINYNET_CACHE_DIR", "~nobody-of-this-name/cache")
    assert answer() == (42 if NATIVE else None)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_threads_are_limited_to_one_at_least_unless_the_user_has_set_them(count, monkeypatch):
    monkeypatch.setattr(toolchain, "_core", object)  # NumPy's own library keeps its threads
    environment = {"HOME": "here"}
    monkeypatch.setattr(os, "environ", environment)
    toolchain.limit_threads(count)
    assert {environment.pop(name) for name in toolchain.THREADS} == {str(max(count, 1))}
    for name in toolchain.THREADS:
        monkeypatch.setattr(os, "environ", given := {name: "5"})
        toolchain.limit_threads(count)
        assert given == {name: "5"}


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_each_platform_has_a_folder_for_caches(system, monkeypatch):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    expected = {"linux": "here/tinynet", "darwin": "~/Library/Caches/tinynet"}
    assert toolchain._user_folder() == expected[system]


# -- several processes ------------------------------------------------------------------------

SCRIPT = """
import numpy as np, tinynet as tn
f = tn.jit(lambda x: tn.ops.exp(x) * 3.0, native={native})
assert np.allclose(f([0.0, 1.0]).data, [3.0, 3.0 * np.e]), f([0.0, 1.0])
assert f.native is {native}
"""


def test_processes_that_compile_the_same_program_at_once_all_succeed(folder):
    command = [sys.executable, "-W", "error", "-c", SCRIPT.format(native=NATIVE)]
    root = Path(tn.__file__).parents[1]
    running = [subprocess.Popen(command, cwd=root, env=dict(os.environ)) for _ in range(4)]
    assert [process.wait(timeout=120) for process in running] == [0] * 4
    assert len(libraries(folder)) >= NATIVE
    assert not list(folder.glob("tinynet-new-*"))


def counted_compilations(tmp_path: Path, monkeypatch: Any) -> Path:
    """Let the compiler take a second; return the file to which it adds a line when it begins."""
    path = toolchain.compiler()[0]
    first = '[ "$1" = --version ] || { echo $$ >> "$0.started"; sleep 1; }'
    command_that(f'{first}\nexec {path} "$@"', tmp_path, monkeypatch)
    return tmp_path / "cc.started"


def waits_until(happened: Any) -> None:
    """Wait for something; the test fails if it never happens."""
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
@pytest.mark.parametrize("cache", ["empty", "with what a killed process left"])
def test_of_processes_that_need_the_same_library_one_compiles_it(
    cache, folder, tmp_path, monkeypatch
):
    started = counted_compilations(tmp_path, monkeypatch)
    root = Path(tn.__file__).parents[1]
    command = [sys.executable, "-W", "error", "-c", SCRIPT.format(native=NATIVE)]
    if cache != "empty":
        killed = subprocess.Popen(command, cwd=root)
        waits_until(started.exists)
        killed.kill()
        killed.wait()
        (left,) = [path for path in folder.glob("tinynet-new-*") if path.is_file()]
        assert left.stat().st_mode & 0o777 == 0o600
        started.unlink()
    running = [subprocess.Popen(command, cwd=root) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0] * 3
    assert len(started.read_text().split()) == 1
    assert len(libraries(folder)) == 1
    assert not [path for path in folder.glob("tinynet-new-*") if path.is_file()]


@pytest.mark.parametrize(("locked", "seconds"), [(False, 0.1), (None, 10**9)])
def test_a_lock_that_is_held_too_long_or_impossible_stops_nobody(
    locked, seconds, folder, monkeypatch
):
    monkeypatch.setattr(toolchain, "WAIT", seconds)
    monkeypatch.setattr(toolchain, "lock", lambda file, wait: locked)
    assert answer() == (42 if NATIVE else None)
    assert not list(folder.glob("tinynet-new-*"))


@pytest.mark.skipif(not NATIVE, reason="there is no C compiler")
def test_of_threads_that_need_the_same_library_one_compiles_it(tmp_path, monkeypatch):
    started = counted_compilations(tmp_path, monkeypatch)
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(answer) for _ in range(4)]
        assert [each.result() for each in found] == [42] * 4
    assert len(started.read_text().split()) == 1


FORK = """
import os, sys
child = os.fork()
assert np.allclose(f([0.0, 1.0]).data, [3.0, 3.0 * np.e])
if not child:
    sys.exit()  # with what Python does at its end
assert os.waitpid(child, 0)[1] == 0
g = tn.jit(tn.ops.log, native={native})  # compiled in the folder of before
assert g([1.0]).data[0] == 0 and g.native is {native}
"""


@pytest.mark.parametrize("cache", ["usable", "private"])
def test_a_program_runs_in_a_process_that_forks_after_it_was_loaded(cache, folder, monkeypatch):
    if cache == "private":
        folder.write_text("a file in its place")
    script = (SCRIPT + FORK).format(native=NATIVE)
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", script]
    subprocess.run(command, cwd=Path(tn.__file__).parents[1], check=True, timeout=120)
