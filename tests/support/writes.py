"""Every kind of file that tinynet writes, and processes that are hindered while they write one.

`python writes.py FOLDER HINDRANCES`, such as ``killed:5,full:2``, writes old files, lets that many
children for each kind and hindrance replace them by new ones, and prints what was found afterwards,
a line of JSON for each.
"""

import contextlib
import gc
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet.compiler import toolchain

OLD, NEW = 1.0, 2.0


class Kind(NamedTuple):
    """A kind of file: how a value is written to a folder and read again, and by which functions.

    `read` raises an error for a file that is not whole. `places` are the functions of tinynet that
    write, as ``module:function``.
    """

    write: Callable[[Path, float], Any]
    read: Callable[[Path], float]
    places: tuple[str, ...]


def model(value: float) -> tn.Model:
    made = tn.Sequential([tn.Input((3,)), tn.layers.Dense(50), tn.layers.Dense(1)], name="m")
    made.compile("adam", "mse")
    made.set_weights([np.full(w.shape, value) for w in made.weights])
    return made


MODELS = {value: model(value) for value in (0.0, OLD, NEW)}


def value_of(found: tn.Model) -> float:
    """Return the value of all weights."""
    (value,) = {float(v) for w in found.get_weights() for v in w.flat}
    return value


def loaded(name: str) -> Callable[[Path], float]:
    def read(folder: Path) -> float:
        if name.endswith(".keras"):
            return value_of(tn.models.load_model(folder / name))
        MODELS[0.0].load_weights(folder / name)
        return value_of(MODELS[0.0])

    return read


def same_bytes(write: Callable[[Path, float], Any], name: str) -> Callable[[Path], float]:
    """Return a function that compares a file with what is written when nothing hinders."""
    expected: dict[bytes, float] = {}

    def read(folder: Path) -> float:
        if not expected:
            (folder / "whole").mkdir()
            for value in (OLD, NEW):
                write(folder / "whole", value)
                expected[(folder / "whole" / name).read_bytes()] = value
            shutil.rmtree(folder / "whole")
        return expected[(folder / name).read_bytes()]

    return read


def exported(kind: str) -> Kind:
    def write(folder: Path, value: float) -> None:
        MODELS[value].export(folder / "m.out", format=kind, verbose=False)

    return Kind(write, same_bytes(write, "m.out"), ("export/__init__:export",))


def called(callback: tn.callbacks.Callback, value: float, epoch: int = 0) -> None:
    """Call what a callback does at the end of an epoch."""
    callback.set_model(MODELS[value])
    callback.on_epoch_begin(epoch)
    callback.on_epoch_end(epoch, {"loss": value})


def checkpoint(folder: Path, value: float) -> None:
    called(tn.callbacks.ModelCheckpoint(folder / "in" / "m.keras"), value)


def backup(folder: Path, value: float) -> None:
    called(tn.callbacks.BackupAndRestore(folder, double_checkpoint=True), value, int(value))


def restored(folder: Path) -> float:
    callback = tn.callbacks.BackupAndRestore(folder, double_checkpoint=True)
    callback.set_model(MODELS[0.0])
    callback.on_train_begin()
    assert callback.resume_epoch == value_of(MODELS[0.0]) + 1
    return value_of(MODELS[0.0])


def table(folder: Path, value: float) -> None:
    """Write as many rows as the value says."""
    logger = tn.callbacks.CSVLogger(folder / "log.csv", append=True)
    logger.on_train_begin()
    logger.on_epoch_end(int(value), {"loss": 0.25})


def rows(folder: Path) -> float:
    text = (folder / "log.csv").read_text()
    assert text.startswith("epoch,loss\n1,0.25\n"[: len(text)])
    assert text.endswith("\n")
    return NEW if text.count("\n") > 2 else OLD


def picture(folder: Path, value: float) -> None:
    tn.utils.plot_model(MODELS[value], to_file=folder / "m.png", dpi=30 * int(value))


def compiled(folder: Path, value: float) -> Any:
    os.environ["TINYNET_CACHE_DIR"] = str(folder)
    source = f"int f(void) {{ return {int(value)}; }} /* {os.urandom(8).hex()} */"
    return toolchain.load(source)


def cached(folder: Path) -> float:
    """Return OLD; all libraries in the cache must be whole."""
    for path in toolchain.libraries(folder):
        assert toolchain._name(path.stem.split("-")[1], path) == path.stem
    return compiled(folder, OLD).f()


def download(folder: Path, value: float) -> None:
    source = folder.parent / f"{value}.bin"
    with contextlib.redirect_stdout(io.StringIO()):
        if not source.exists():
            source.write_bytes(bytes([int(value)]) * 300_000)
        url = source.as_uri()
        tn.utils.get_file("x", url, cache_dir=folder, cache_subdir="", force_download=True)


def downloaded(folder: Path) -> float:
    (value,) = set((folder / "x").read_bytes())
    assert (folder / "x").stat().st_size == 300_000
    return float(value)


def saved(name: str, *places: str) -> Kind:
    def write(folder: Path, value: float) -> None:
        path = folder / name
        MODELS[value].save(path) if name.endswith("keras") else MODELS[value].save_weights(path)

    return Kind(write, loaded(name), places)


KINDS = {
    "keras": saved("m.keras", "saving/archive:save_model", "configs/files:replacing"),
    "h5": saved(
        "m.weights.h5",
        "saving/archive:save_weights",
        "configs/files:_new_file",
        "configs/files:_sweep",
    ),
    "npz": saved("m.weights.npz"),
    "checkpoint": Kind(checkpoint, loaded("in/m.keras"), ("callbacks/files:_save",)),
    "backup": Kind(
        backup,
        restored,
        ("callbacks/files:_save", "callbacks/files:_rename", "callbacks/files:on_train_end"),
    ),
    "csv": Kind(
        table,
        rows,
        (
            "callbacks/files:on_train_begin",
            "callbacks/files:_add_columns",
            "callbacks/files:on_epoch_end",
            "configs/files:appended",
        ),
    ),
    **{f"export {kind}": exported(kind) for kind in ("numpy", "c", "onnx")},
    "plot": Kind(picture, same_bytes(picture, "m.png"), ("viz/graph:plot_model",)),
    "library": Kind(
        compiled,
        cached,
        (
            "compiler/toolchain:cache_folder",
            "compiler/toolchain:_private_folder",
            "compiler/toolchain:remove",
            "compiler/toolchain:_compiled",
            "compiler/toolchain:_cached",
            "compiler/toolchain:_forget_oldest",
        ),
    ),
    "download": Kind(
        download,
        downloaded,
        tuple(
            f"datasets/download:{name}"
            for name in ("get_file", "_lock", "_download", "_fetch", "_write", "_extract")
        ),
    ),
}
WATCHED = ("configs/files.py", "archive.py", "callbacks/files.py", "toolchain.py", "download.py")


# -- hindrances ------------------------------------------------------------------------------------


def traced(step: Callable[[], Any], call: Callable[[], Any]) -> None:
    """Run `call`, and `step` before each line of the modules that write files."""

    def trace(frame: Any, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.endswith((*WATCHED, "zipfile.py", "shutil.py")):
            return None
        if event == "line":
            step()
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(None)


def lines_of(call: Callable[[], Any]) -> int:
    """Return how many lines of these modules `call` runs."""
    seen = []
    traced(partial(seen.append, 1), call)
    return len(seen)


def killed(share: float, lines: int, size: int, call: Callable[[], Any]) -> None:
    """Call, and end this process by SIGKILL before one of the lines."""
    left = 1 + round(lines * share)

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    traced(step, call)


def cut(share: float, lines: int, size: int, call: Callable[[], Any]) -> None:
    """Call, and end this process when a file gets larger than a share of `size`."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    full(share, lines, size, call)


def full(share: float, lines: int, size: int, call: Callable[[], Any]) -> None:
    """Call while no file can get larger than a share of `size`, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), resource.RLIM_INFINITY))
    call()


def unprivileged(share: float, lines: int, size: int, call: Callable[[], Any]) -> None:
    """Call as a user who may not write to the folder.

    This user may not read the environment either. So it reads fonts before, which a fork forgets.
    """
    if not os.getuid():
        if "matplotlib" in sys.modules:
            tn.utils.plot_model(MODELS[OLD], to_file=None).savefig(io.BytesIO())
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    call()


@contextlib.contextmanager
def readable(folder: Path, share: float, size: int) -> Iterator[None]:
    """Let nobody write to a folder."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of 2 MB at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    yield
    subprocess.run(["umount", folder], check=True)


@contextlib.contextmanager
def filled(folder: Path, share: float, size: int) -> Iterator[None]:
    """Fill a disk up to a share of `size`, in pages of 4 kB."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
    (folder / "filler").write_bytes(bytes(max(0, free - 4096 * int(share * size / 4096))))
    yield
    (folder / "filler").unlink()


def called_only(share: float, lines: int, size: int, call: Callable[[], Any]) -> None:
    """Call: the hindrance is in the folder."""
    call()


HINDRANCES = {
    "killed": killed,
    "cut": cut,
    "full": full,
    "unprivileged": unprivileged,
    "disk": called_only,
}
AROUND = {"disk": small_disk}
BETWEEN = {"disk": filled, "unprivileged": readable}


def outcome(call: Callable[[], Any]) -> str:
    """Run `call` in a child process; return how it ended: "done", "killed" or an error."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.close(reading)
        text = "done"
        try:
            call()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            if not isinstance(error, (OSError, ValueError)):
                text += traceback.format_exc()
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    os.waitpid(child, 0)
    return text or "killed"


def names(folder: Path) -> list[str]:
    """Return the files in a folder, without those that stay on purpose: locks and libraries."""
    found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return [name for name in found if not name.endswith((".lock", ".so", "filler"))]


def is_used(path: Path) -> bool:
    """Return whether a process still uses a path, such as a compiler whose parent was killed."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has ended
            if os.fsencode(path) in command.read_bytes():
                return True
    return False


def found_after(kind: Kind, folder: Path, before: list[str]) -> dict[str, Any]:
    """Return the value in a folder, what else is there, and both after one more write."""
    report: dict[str, Any] = {"left": sorted({*names(folder)} - {*before})}
    with contextlib.suppress(Exception):
        report["value"] = kind.read(folder)
    os.utime(folder)
    for path in folder.glob(f"{toolchain.PREFIX}new-*"):
        while is_used(path):
            time.sleep(0.01)
        os.utime(path, (0, 0))  # as if it were old
    kind.write(folder, NEW)
    return report | {"then": kind.read(folder), "after": names(folder)}


def tried(name: str, hindrance: str, count: int, root: Path) -> Iterator[dict[str, Any]]:
    """Yield what is found after each of `count` hindered writes of one kind."""
    kind, first = KINDS[name], root / "first"
    first.mkdir(parents=True)
    kind.write(first, OLD)
    kind.read(first)  # which imports what it needs
    gc.freeze()  # so that children share this memory
    lines = lines_of(partial(kind.write, first, NEW))
    whole = names(first)
    size = max(p.stat().st_size for p in first.rglob("*") if p.is_file())
    for i in range(count):
        folder = root / str(i)
        folder.mkdir()
        share = (i / max(1, count - 1)) ** 0.5  # most moments near the end
        call = partial(HINDRANCES[hindrance], share, lines, size, partial(kind.write, folder, NEW))
        report = {"kind": name, "hindrance": hindrance, "share": share, "whole": whole}
        with AROUND.get(hindrance, contextlib.nullcontext)(folder):
            kind.write(folder, OLD)
            before = names(folder)
            with BETWEEN.get(hindrance, lambda *_: contextlib.nullcontext())(folder, share, size):
                report |= {"outcome": outcome(call), "folder": str(folder)}
            yield report | found_after(kind, folder, before)


def main(root: Path, hindrances: str, kinds: list[str]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    for name in kinds or KINDS:
        for each in hindrances.split(","):
            hindrance, count = each.split(":")
            folder = root / name.replace(" ", "-") / hindrance
            for report in tried(name, hindrance, int(count), folder):
                print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
