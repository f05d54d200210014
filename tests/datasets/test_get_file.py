"""`get_file`: downloads from a server on the loopback, the cache, archives, and interruptions."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import refused
from server import Server, serving

import tinynet
from tinynet.datasets import download
from tinynet.utils import get_file

DATA = bytes(range(256)) * 40
PROJECT = Path(tinynet.__file__).parents[1]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files["data.bin"] = DATA
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of files in a new cache; a block is small, so that files have several."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "BLOCK", 1000)
    return tmp_path / "cache" / "datasets"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in (".part", ".extracting")]


# -- the cache ------------------------------------------------------------------------------------


def test_a_file_is_downloaded_once(server, cache):
    for _ in range(2):
        assert Path(get_file(origin=server.url("data.bin"))) == cache / "data.bin"
    assert (cache / "data.bin").read_bytes() == DATA
    assert server.ranges == [None]
    assert hidden(cache) == []


def test_a_file_of_the_cache_needs_no_server_and_no_right_to_write(cache):
    cache.mkdir(parents=True)
    (cache / "there.bin").write_bytes(DATA)
    cache.chmod(0o555)
    found = get_file("there.bin", "http://127.0.0.1:9/there.bin", file_hash=sha256(DATA))
    cache.chmod(0o755)
    assert Path(found) == cache / "there.bin"
    assert os.listdir(cache) == ["there.bin"]


def test_name_and_folder_can_be_chosen(server, tmp_path):
    found = get_file("x", server.url("data.bin"), cache_subdir="sub/a", cache_dir=tmp_path)
    assert Path(found) == tmp_path / "sub" / "a" / "x"
    assert Path(found).read_bytes() == DATA


def test_a_download_can_be_forced(server, cache):
    get_file(origin=server.url("data.bin"))
    server.files["data.bin"] = b"new"
    get_file(origin=server.url("data.bin"))
    assert (cache / "data.bin").read_bytes() == DATA
    get_file(origin=server.url("data.bin"), force_download=True)
    assert (cache / "data.bin").read_bytes() == b"new"


HASHES: dict[str, Any] = {
    "sha256": lambda data: {"file_hash": sha256(data), "hash_algorithm": "sha256"},
    "sha256, auto": lambda data: {"file_hash": sha256(data).upper()},
    "md5, auto": lambda data: {"file_hash": md5(data)},
    "md5_hash": lambda data: {"md5_hash": md5(data)},
}


@pytest.mark.parametrize("kind", HASHES)
def test_a_file_of_another_hash_is_refused_and_the_old_one_stays(server, cache, kind):
    get_file(origin=server.url("data.bin"), **HASHES[kind](DATA))
    server.files["data.bin"] = DATA + b"!"
    expected = HASHES[kind](DATA + b"?")
    digits = next(iter(expected.values())).lower()
    with refused(ValueError, server.url("data.bin"), digits):
        get_file(origin=server.url("data.bin"), **expected)
    assert (cache / "data.bin").read_bytes() == DATA
    assert hidden(cache) == []


@pytest.mark.parametrize("kind", HASHES)
def test_a_damaged_file_of_the_cache_is_downloaded_again(server, cache, kind):
    cache.mkdir(parents=True)
    (cache / "data.bin").write_bytes(DATA[:100])
    get_file(origin=server.url("data.bin"), **HASHES[kind](DATA))
    assert (cache / "data.bin").read_bytes() == DATA


WRONG = {
    "no origin": ({}, ["origin", "URL", "None"]),
    "no URL": ({"origin": "data.bin"}, ["origin", "URL", "data.bin"]),
    "no name": ({"origin": "http://127.0.0.1:9/"}, ["fname", "http://127.0.0.1:9/"]),
    "a path": ({"origin": "http://x/y", "fname": "a/b"}, ["fname", "without folders", "a/b"]),
    "the parent": ({"origin": "http://x/y", "fname": ".."}, ["fname", ".."]),
    "a name of dots": ({"origin": "http://x/.."}, ["fname", "http://x/.."]),
    "a short hash": ({"origin": "http://x/y", "file_hash": "abc"}, ["file_hash", "abc"]),
    "another kind of hash": (
        {"origin": "http://x/y", "file_hash": md5(b""), "hash_algorithm": "sha256"},
        ["file_hash", "sha256"],
    ),
    "an unknown algorithm": (
        {"origin": "http://x/y", "file_hash": md5(b""), "hash_algorithm": "crc"},
        ["crc"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_refused_before_anything_is_written(case, cache):
    options, words = WRONG[case]
    with refused(ValueError, *words):
        get_file(**options)
    assert not cache.exists()


# -- interruptions --------------------------------------------------------------------------------


def fails(*words: str, **options: Any) -> None:
    with pytest.raises(OSError, match="Cannot get") as caught:
        get_file(**options)
    assert not [word for word in words if word not in str(caught.value)], caught.value


def test_a_missing_file_and_a_missing_server_are_named(server, cache):
    fails(server.url("none"), "404", str(cache / "none"), origin=server.url("none"))
    fails("http://127.0.0.1:9/x", "refused", origin="http://127.0.0.1:9/x")
    fails("unknown url type: nothing", origin="nothing://x/y")
    assert visible(cache) == []
    assert hidden(cache) == []


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    fails("file", origin=server.url("data.bin"), cache_dir=tmp_path / "file")


def drop(server: Server, cache: Path, after: int = 2500) -> None:
    """Download the first bytes of the file, and no more."""
    server.drop_after = after
    fails(f"{after} of {len(DATA)} bytes", origin=server.url("data.bin"))
    server.drop_after = None
    assert visible(cache) == []
    assert [path.read_bytes() for path in hidden(cache)] == [DATA[:after]]


def test_a_dropped_download_is_continued(server, cache):
    drop(server, cache)
    found = get_file(origin=server.url("data.bin"), file_hash=sha256(DATA))
    assert Path(found).read_bytes() == DATA
    assert server.ranges == [None, "bytes=2500-"]
    assert hidden(cache) == []


def test_a_download_can_be_dropped_several_times(server, cache):
    drop(server, cache)
    server.drop_after = 1000
    fails(f"3500 of {len(DATA)} bytes", origin=server.url("data.bin"))
    server.drop_after = None
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA
    assert server.ranges == [None, "bytes=2500-", "bytes=3500-"]


def test_parts_of_two_versions_are_never_joined(server, cache):
    drop(server, cache)
    server.files["data.bin"], server.version = DATA[::-1], "2"
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA[::-1]
    assert server.ranges == [None, "bytes=2500-", None]
    assert hidden(cache) == []


def test_a_file_that_became_shorter_is_downloaded_from_its_start(server, cache):
    drop(server, cache)
    server.files["data.bin"], server.version = DATA[:10], "2"
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA[:10]
    assert server.ranges == [None, "bytes=2500-", None]


def test_a_complete_part_that_was_not_renamed_is_downloaded_again(server, cache):
    drop(server, cache)
    hidden(cache)[0].write_bytes(DATA)
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA
    assert hidden(cache) == []


@pytest.mark.parametrize("lack", ["version", "knows_ranges"])
def test_servers_that_cannot_continue_send_the_file_from_its_start(server, cache, lack):
    setattr(server, lack, None)
    drop(server, cache)
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA
    assert hidden(cache) == []


def test_a_part_of_another_file_is_left_alone(server, cache):
    server.files["data"] = b"short"
    drop(server, cache)
    get_file(origin=server.url("data"))
    assert [path.read_bytes() for path in hidden(cache)] == [DATA[:2500]]


def test_a_part_that_was_damaged_meanwhile_is_removed_by_the_check_of_the_hash(server, cache):
    drop(server, cache)
    hidden(cache)[0].write_bytes(b"?" * 2500)
    with refused(ValueError, server.url("data.bin"), sha256(DATA)):
        get_file(origin=server.url("data.bin"), file_hash=sha256(DATA))
    assert hidden(cache) == []
    found = get_file(origin=server.url("data.bin"), file_hash=sha256(DATA))
    assert Path(found).read_bytes() == DATA


def test_an_interrupt_from_the_keyboard_leaves_a_part_that_is_continued(server, cache, monkeypatch):
    def interrupt(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download.Progbar, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get_file(origin=server.url("data.bin"))
    assert visible(cache) == []
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA
    assert server.ranges == [None, "bytes=1000-"]


def test_two_processes_at_once_download_a_file_once(server, cache):
    server.gate.clear()
    script = "import sys; from tinynet.utils import get_file; print(get_file(origin=sys.argv[1]))"
    command = [sys.executable, "-c", script, server.url("data.bin")]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) for _ in range(2)
    ]
    while not server.ranges:  # one of them has asked
        time.sleep(0.01)
    server.gate.set()
    printed = [process.communicate()[0].split()[-1] for process in both]
    assert printed == [str(cache / "data.bin")] * 2
    assert (cache / "data.bin").read_bytes() == DATA
    assert server.ranges == [None]


def test_threads_at_once_download_a_file_once(server, cache):
    found: list[str] = []
    url = server.url("data.bin")
    threads = [threading.Thread(target=lambda: found.append(get_file(origin=url))) for _ in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [str(cache / "data.bin")] * 4
    assert server.ranges == [None]


def test_a_file_without_a_stated_size_is_downloaded(server):
    server.states_size = False
    assert Path(get_file(origin=server.url("data.bin"))).read_bytes() == DATA


def test_the_progress_bar_shows_the_bytes(server, capsys, monkeypatch):
    monkeypatch.setattr(download.Progbar, "is_due", lambda self, current: self.moves)
    monkeypatch.setattr("tinynet.callbacks.progbar.in_terminal", lambda: True)
    get_file(origin=server.url("data.bin"))
    printed = capsys.readouterr().out
    assert printed.startswith(f"Downloading data from {server.url('data.bin')}\n")
    assert "1000/10240" in printed.replace(" ", "")
    assert "10240/10240" in printed
    assert printed.endswith("\n")


# -- archives -------------------------------------------------------------------------------------

MEMBERS = {"inner/a.txt": b"a", "inner/b.txt": b"b"}


def tar_of(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


ARCHIVES = {
    "tar": lambda members: tar_of(members, "w"),
    "tar.gz": tar_of,
    "tar.bz2": lambda members: tar_of(members, "w:bz2"),
    "zip": zip_of,
}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("name", [None, "folder", "folder.x.y"])
def test_archives_are_extracted_where_keras_would_extract_them(server, cache, kind, name):
    server.files["archive"] = ARCHIVES[kind](MEMBERS)
    folder, stored = {
        None: ("archive", "archive_archive"),
        "folder": ("folder", "folder_archive"),
        "folder.x.y": ("folder_extracted", "folder.x.y"),
    }[name]
    for _ in range(2):
        assert get_file(name, server.url("archive"), extract=True) == str(cache / folder)
    assert {f"inner/{f}": (cache / folder / "inner" / f).read_bytes() for f in ("a.txt", "b.txt")}
    assert visible(cache) == sorted([folder, stored])
    assert server.ranges == [None]
    assert hidden(cache) == []


def test_a_new_archive_replaces_the_extracted_files(server, cache):
    server.files["archive"] = tar_of(MEMBERS)
    get_file("x", server.url("archive"), untar=True)
    server.files["archive"] = tar_of({"new": b"new"})
    get_file("x", server.url("archive"), untar=True, force_download=True)
    assert visible(cache / "x") == ["new"]
    assert hidden(cache) == []


def link(name: str, target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        file.addfile(info)
    return buffer.getvalue()


BAD = {
    "a tar with a parent": tar_of({"good": b"", "../evil": b""}),
    "a tar with a link to elsewhere": link("evil", "../../evil"),
    "a zip with a parent": zip_of({"good": b"", "../evil": b""}),
    "a zip with a parent inside": zip_of({"a/../../evil": b""}),
    "a zip with a root": zip_of({"/evil": b""}),
    "half a tar": tar_of({"a": os.urandom(5000)})[:3000],
    "half a zip": zip_of(MEMBERS)[:50],
    "no archive": b"text",
}


@pytest.mark.parametrize("case", BAD)
def test_unsafe_and_damaged_archives_are_refused_and_nothing_is_extracted(
    server, cache, tmp_path, case
):
    server.files["archive"] = BAD[case]
    with refused(ValueError, str(cache / "x_archive")):
        get_file("x", server.url("archive"), extract=True)
    assert visible(cache) == ["x_archive"]
    assert hidden(cache) == []
    assert [*tmp_path.rglob("*evil*")] == []


def test_an_archive_of_another_format_than_asked_for_is_refused(server):
    server.files.update(tar=tar_of(MEMBERS), zip=zip_of(MEMBERS))
    with refused(ValueError, "valid archive"):
        get_file(origin=server.url("tar"), extract=True, archive_format="zip")
    for wrong in ("tar", "rar", [], None):
        with refused(ValueError, "archive_format"):
            get_file(origin=server.url("zip"), extract=True, archive_format=wrong)
    assert get_file(origin=server.url("zip"), extract=True, archive_format=["tar", "zip"])
