"""Hostile files: seeds for every reader of files, mutations of them, and what each reader must do.

`python tests/support/fuzz.py SECONDS [READER ...]` mutates the seeds of the readers in processes of
their own, guided by coverage if atheris is installed, and keeps files that break a promise of
SECURITY.md in `fuzz-findings/`. `tests/saving/test_fuzz.py` does the same for a few seeds.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pkgutil
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent)]
atheris: Any = None
if __name__ == "__main__" and len(sys.argv) > 3 and sys.argv[1] == "guided":
    atheris = import_module("atheris")

with atheris.instrument_imports(["tinynet", "zipfile"]) if atheris else contextlib.nullcontext():
    import numpy as np
    from dataset_files import FILES, bytes_of, cifar, tar

    import tinynet as tn
    from tinynet.compiler import toolchain
    from tinynet.configs import files, serialization
    from tinynet.configs.files import AT_LEAST, TIMES
    from tinynet.datasets.published import read_cifar, read_npz
    from tinynet.engine.temporarily import temporarily

MEMORY = 4  # times what a file may claim: its text, the parsed text, and arrays may exist at once
SECONDS = 20.0  # of CPU time for one file
QUICK = "/dev/shm"  # a folder in memory
FORBIDDEN = ("subprocess", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket", "ctypes")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


# -- readers ---------------------------------------------------------------------------------------


class Reader(NamedTuple):
    """A name for the file, files that it can read, and the call, which gets the file's path."""

    file: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]


def network() -> tn.Model:
    model = tn.Sequential(
        [tn.Input((3,)), tn.layers.Dense(2), tn.layers.Dropout(0.5), tn.layers.Dense(1)]
    )
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


model = network()


def saved(ending: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"m.{ending}")
        model.save(path) if ending == "keras" else model.save_weights(path)
        return path.read_bytes()


ARGUMENTS = [(), (2,), (2, 2), ("relu",), (0.1, 10), (0.1, 10, 0.9), ([1], [0.1, 0.2]), ("sgd",)]


def objects() -> dict[str, list[Any]]:
    """Return a config of each class that can be saved, in groups by its module."""
    found: dict[str, list[Any]] = {}
    for name, classes in serialization._published().items():
        for cls in {c for c in classes.values() if isinstance(c, type)}:
            for arguments in ARGUMENTS:
                with contextlib.suppress(Exception):
                    config = serialization.serialize_keras_object(cls(*arguments))
                    found.setdefault(name, []).append(config)
                    break
    return found


def graphs() -> list[tn.Model]:
    """Return functional models: of branches, a shared layer, operations, several outputs."""
    x, y = tn.Input((4,), name="x"), tn.Input((4,), name="y")
    shared = tn.layers.Dense(4)
    a, b = shared(x), shared(y)
    joined = tn.layers.Concatenate()([tn.layers.Dropout(0.1)(a), tn.layers.Add()([a, b])])
    out = tn.layers.Reshape((2, 4))(joined)
    ops = tn.ops.reshape(tn.ops.repeat(tn.ops.pad(out * 2.0, [[0, 0], [1, 1], [0, 0]]), 2), (-1,))
    return [
        tn.Model([x, y], [joined, out]),
        tn.Model([x, y], ops + tn.ops.ones((3,)).numpy().sum()),
    ]


def configs() -> list[bytes]:
    whole = [serialization.serialize_keras_object(m) for m in (model, *graphs())]
    parts = [{"one": config} for group in objects().values() for config in group]
    layers = [c for group in objects().values() for c in group if "build_config" in c]
    for config in layers:
        more = json.loads(json.dumps(whole[0]))
        more["config"]["layers"].insert(1, config)
        parts.append(more)
    return [json.dumps(config).encode() for config in (*whole, *parts)]


def archives() -> list[bytes]:
    """Return ``.keras`` files: of all configs."""
    found = [saved("keras")]
    for config in configs():
        with zipfile.ZipFile(io.BytesIO(found[0])) as old:
            members = {name: old.read(name) for name in old.namelist()}
        found.append(zipped(members | {"config.json": config}))
    return found


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def from_json(path: Path) -> Any:
    """Return the model of a text. SECURITY.md promises no limit for its arrays: here is one."""
    with temporarily(files.memory, allocator=files.Budget(AT_LEAST)):
        return tn.models.model_from_json(path.read_text("utf-8", errors="replace"))


def backup(path: Path) -> None:
    """Continue from a folder with these data about the progress of training."""
    folder = path.parent / "backup"
    folder.mkdir()
    path.rename(folder / "training_metadata.json")
    for name in ("latest", "1-0", "2-0"):
        (folder / f"{name}.weights.h5").write_bytes(BACKED_UP)
    callback = tn.callbacks.BackupAndRestore(folder)
    callback.set_model(model)
    callback.on_train_begin()


BACKED_UP = saved("weights.h5")
STATE = np.random.RandomState(0).get_state(legacy=True)
PROGRESS = {
    "epoch": 2,
    "batch": 0,
    "generator": [STATE[0], STATE[1].tolist(), *STATE[2:]],
    "seeds": [v.numpy().tolist() for v in model.variables if v not in set(model.weights)],
}


def fashion(path: Path) -> Any:
    folder = path.parent / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    os.environ["KERAS_HOME"] = str(path.parent)
    for name in FILES:
        if "ubyte" in name:
            shutil.copy(path, folder / name)
    return tn.datasets.fashion_mnist.load_data()


def extracted(path: Path) -> Any:
    return tn.utils.get_file(origin=path.as_uri(), extract=True, cache_dir=path.parent / "out")


def library(path: Path) -> Any:
    """Look for a library in a cache that has this file under the name of another one."""
    folder = path.parent
    folder.chmod(0o700)
    path.chmod(0o700)
    path.rename(folder / f"{toolchain.PREFIX}key-{hashlib.sha256(b'another').hexdigest()}.so")
    assert toolchain._cached(folder, "key") is None


TREE = {"a/b.txt": b"text", "c.bin": bytes(100)}
READERS = {
    "keras": Reader("m.keras", archives, tn.models.load_model),
    "weights": Reader("m.keras", lambda: [saved("keras")], model.load_weights),
    "h5": Reader("m.weights.h5", lambda: [saved("weights.h5")[:-40]], model.load_weights),
    "npz": Reader("m.weights.npz", lambda: [saved("weights.npz")], model.load_weights),
    "json": Reader("m.json", configs, from_json),
    "backup": Reader("p.json", lambda: [json.dumps(PROGRESS).encode()], backup),
    "arrays": Reader("x.npz", lambda: [FILES["imdb.npz"], FILES["mnist.npz"]], read_npz),
    "gz": Reader("x.gz", lambda: [d for n, d in FILES.items() if "ubyte" in n], fashion),
    "zip": Reader("x.zip", lambda: [zipped(TREE), zipped(TREE, zipfile.ZIP_STORED)], extracted),
    "tar": Reader("x.tar.gz", lambda: [tar("f", TREE), gzip.decompress(tar("f", TREE))], extracted),
    "library": Reader("x.so", lambda: [bytes_of(300).tobytes()], library),
    "cifar": Reader("b", lambda: [cifar(2, labels=9)], lambda path: read_cifar(path, b"labels")),
}


# -- mutations -------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2, 255, 2**15, 10**5, 10**8, 2**31, 2**32, 10**12, 2**63, 10**30, 0.5, 1e308]
VALUES = [*NUMBERS, -1e308, float("nan"), float("inf"), None, True, "", "a", "../../x", "float64"]
VALUES += ["relu", "S100000000", "\udcff", "x" * 5000, [], {}, [[]], [None], [-1], [10**9, 10**9]]


def places(config: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each list and dict of plain data, with each of its keys."""
    todo = [config]
    while todo:
        node = todo.pop()
        if isinstance(node, (list, dict)):
            for key in range(len(node)) if isinstance(node, list) else list(node):
                yield node, key
                todo.append(node[key])


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """Change, remove, repeat or exchange parts of the data in a JSON text."""
    config = json.loads(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        found = list(places(config))
        if not found:
            return json.dumps(rng.choice(VALUES)).encode()
        if len(found) > 5000:  # repeats of repeats would take all memory
            break
        (node, key), (other, at) = rng.choice(found), rng.choice(found)
        kind = rng.randrange(6)
        if kind < 2:
            node[key] = deepcopy(rng.choice(VALUES))  # a later change would change VALUES
        elif kind == 2:
            node[key] = json.loads(json.dumps(other[at]))
        elif kind == 3:
            del node[key]
        elif kind == 4 and isinstance(node, list):
            node[key:key] = [node[key]] * rng.choice([1, 1, 3, 300])
        else:
            node[key] = rng.choice([[node[key]], {"config": node[key]}, str(node[key])])
    return json.dumps(config).encode()


def mutated_zip(data: bytes, rng: random.Random) -> bytes:
    """Change a member, its name or its method, or what the archive says of sizes."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    name = rng.choice(list(members))
    kind = rng.randrange(8)
    if kind < 5:
        members[name] = mutated(members[name], rng)
    elif kind == 5:
        new = rng.choice(["../x", "/x", "a//b", "C:x", name + "/", "..\\x", "x" * 300, name[:-1]])
        members[new] = members.pop(name)
    elif kind == 6:
        members[name] = bytes(rng.choice([0, 1, 10**5, 10**7]))
    found = zipped(members, rng.choice([0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 12, 14]))
    if kind == 7:  # sizes in the central directory
        found = bytearray(found)
        at = found.find(b"PK\x01\x02", rng.randrange(len(found)))
        if at > 0:
            field = at + rng.choice([8, 10, 16, 20, 24, 28, 30, 42])
            found[field : field + 4] = struct.pack(
                "<I", rng.choice([0, 1, 65535, 2**31, 2**32 - 1])
            )
    return bytes(found)


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip, insert, remove, repeat and overwrite bytes."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at, size = rng.randrange(len(found) + 1), rng.choice([1, 2, 4, 8, rng.randrange(1, 100)])
        number = rng.choice([0, 1, 2**size - 1, 2**31, 2**32 - 1, 10**9, rng.randrange(2**16)])
        new = (number % 256**size).to_bytes(size, rng.choice(["little", "big"]))
        choices = [new, rng.randbytes(size), b"", data[at : at + size] * 2, b"9" * size]
        found[at : at + rng.choice([0, size])] = rng.choice(choices)
    return bytes(found[: rng.randrange(len(found))] if found and rng.random() < 0.05 else found)


def mutated_gzip(data: bytes, rng: random.Random) -> bytes:
    return gzip.compress(mutated(gzip.decompress(data), rng), 1)


MUTATIONS = {b"PK": mutated_zip, b"{": mutated_json, b"[": mutated_json, b"\x1f\x8b": mutated_gzip}


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return changed data: in most cases by the format that its first bytes show."""
    if rng.random() < 0.8:
        for start, mutation in MUTATIONS.items():
            if data.startswith(start):
                with contextlib.suppress(Exception):
                    return mutation(data, rng)
    return mutated_bytes(data, rng)


# -- one try ---------------------------------------------------------------------------------------

_watched: dict[str, Any] = {"inside": None, "events": []}


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what no file may cause: programs, connections, and files outside of its folder."""
    inside = _watched["inside"]
    if inside is None:
        return
    if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & WRITING:
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith((inside, os.devnull)):
            _watched["events"].append(f"writes to {path}")
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.link") and arguments[-1] == -1:
        paths = (os.path.realpath(os.fsdecode(p)) for p in arguments if isinstance(p, (str, bytes)))
        _watched["events"] += [f"{event} {path}" for path in paths if not path.startswith(inside)]
    elif event.startswith(FORBIDDEN) and not event.startswith("ctypes.dlsym"):
        _watched["events"].append(event)
    elif event == "exec" and arguments[0].co_filename.startswith("<string"):
        _watched["events"].append("runs code")


def state() -> list[bytes]:
    return [v.numpy().tobytes() for v in (*model.weights, *model.optimizer.variables)]


def broken_promises(reader: Reader, data: bytes, folder: Path) -> list[str]:
    """Let a reader read data, and return what it did that SECURITY.md excludes."""
    shutil.rmtree(folder, ignore_errors=True)
    inside = folder / "inside"
    inside.mkdir(parents=True)
    path = inside / reader.file
    path.write_bytes(data)
    before, started, found, cause = state(), time.process_time(), [], None
    kinds = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allowed = MEMORY * (TIMES * len(data) + AT_LEAST)
    _watched.update(inside=str(inside), events=[])
    resource.setrlimit(resource.RLIMIT_AS, (pages + allowed, kinds[1]))
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            reader.read(path)
    except Exception as error:
        cause = error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, kinds)
        _watched["inside"] = None
    if cause is not None:
        found += faults_of(cause, str(folder))
        if before != state():
            found.append(f"a refused file changed the model: {type(cause).__name__}: {cause}"[:300])
    model.set_weights([np.zeros(w.shape) for w in model.weights])
    if time.process_time() - started > SECONDS:
        found.append(f"took {time.process_time() - started:.0f} seconds")
    return found + _watched["events"]


def faults_of(error: BaseException, place: str) -> list[str]:
    """Return what is wrong about an error that refuses a file: its type, its message."""
    chain, text = [error], str(error)
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    found = []
    inner = [frame.filename for e in chain for frame in traceback.extract_tb(e.__traceback__)[-1:]]
    # xz reserves memory for 4 GB and uses less. A pickle has a hash instead of a limit.
    unlimited = inner[-1].endswith(("_compression.py", "published.py"))
    if isinstance(chain[-1], MemoryError) and not unlimited:
        found.append(f"more memory than allowed: {text}")
    if not isinstance(error, (ValueError, OSError)):
        found.append(f"raises {type(error).__name__}: {text}")
    if place not in text and "the JSON text" not in text:
        found.append(f"does not name the file: {type(error).__name__}: {text}")
    if len(text) > 3000:
        found.append(f"a message of {len(text)} characters: {text}")
    return [f[:400] for f in found]


# -- many tries ------------------------------------------------------------------------------------


def warmed(names: list[str], folder: Path) -> None:
    """Import what readers import when they are first used, and start to watch."""
    for module in pkgutil.walk_packages(tn.__path__, "tinynet."):
        if "__main__" not in module.name and "mpi" not in module.name:
            with contextlib.suppress(ImportError):
                import_module(module.name)
    for name in names:
        for data in READERS[name].seeds():
            broken_promises(READERS[name], data, folder)
    sys.addaudithook(_audit)


def signature(text: str) -> str:
    """Return a finding without its numbers and names, so that equal ones are counted once."""
    plain = re.sub(r"'[^']*'|\"[^\"]*\"|[\[({].*|\d+", "", text.replace(": ", " ", 2))
    return " ".join(plain.split()[:9])


def guided(name: str, seconds: int, seed: int, out: Path) -> None:
    """Try mutated seeds of a reader in this process; note findings as lines of JSON."""
    reader, tries, known = READERS[name], 0, set()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=QUICK if os.path.isdir(QUICK) else None))
    warmed([name], folder)
    last = out / f"last-{name}"

    def one(data: bytes) -> None:
        nonlocal tries
        tries += 1
        last.write_bytes(data)
        signal.alarm(int(4 * SECONDS))  # by default it ends this process
        for text in broken_promises(reader, data, folder):
            if signature(text) not in known:
                known.add(signature(text))
                keep(out, name, data, text)
        signal.alarm(0)
        if not tries % 50:
            (out / f"tries-{name}-{seed}").write_text(str(tries))

    pool = reader.seeds()
    if atheris:
        corpus = out / f"corpus-{name}"
        corpus.mkdir(exist_ok=True)
        for data in pool:
            (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)

        def change(data: bytes, most: int, number: int) -> bytes:
            return mutated(data, random.Random(number))[:most]

        options = [
            f"-max_total_time={seconds}",
            "-max_len=300000",
            f"-seed={seed}",
            "-rss_limit_mb=0",
        ]
        options += ["-timeout=1000", "-verbosity=0", "-len_control=0"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=change)
        atheris.Fuzz()
        return
    rng, end = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        one(mutated(rng.choice(pool), rng))


def keep(out: Path, name: str, data: bytes, text: str) -> None:
    digest = hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]
    (out / f"{name}-{digest}").write_bytes(data)
    with open(out / "findings.txt", "a") as file:
        file.write(json.dumps([name, digest, text]) + "\n")
    print(name, digest, text, flush=True)


def main(seconds: int, names: list[str]) -> None:
    """Give each reader its share of the time, in processes that are started again if they die."""
    out = Path("fuzz-findings").absolute()
    out.mkdir(exist_ok=True)
    for name in names or READERS:
        end, seed = time.monotonic() + seconds / len(names or READERS), 0
        while (left := int(end - time.monotonic())) > 1:
            seed += 1
            mode = "guided" if has_atheris() else "random"
            command = [sys.executable, __file__, mode, name, str(left), str(seed), str(out)]
            code = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
            if code:
                keep(out, name, (out / f"last-{name}").read_bytes(), f"the process ended: {code}")
    tries = sum(int(path.read_text()) for path in out.glob("tries-*"))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{tries} files in {spent.ru_utime + spent.ru_stime:.0f} seconds of CPU time")


def has_atheris() -> bool:
    with contextlib.suppress(ImportError):
        return bool(import_module("atheris"))
    return False


if __name__ == "__main__":
    if sys.argv[1] in ("guided", "random"):
        guided(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
    else:
        main(int(sys.argv[1]), sys.argv[2:])
