"""A few mutated files for each reader; `support/fuzz.py` tries more. Files that once did harm."""

import io
import json
import random
import struct
import tarfile
import tracemalloc
import zipfile

import fuzz
import h5py
import numpy as np
import pytest
from hypothesis import settings

import tinynet as tn

TRIES = 10 if settings.default.max_examples <= 20 else 500


@pytest.mark.parametrize("name", [name for name in fuzz.READERS if name != "library"])
def test_a_mutated_file_is_read_or_refused_as_security_md_promises(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    reader, rng = fuzz.READERS[name], random.Random(0)
    seeds = reader.seeds()
    for _ in range(TRIES):
        data = fuzz.mutated(rng.choice(seeds), rng)
        assert fuzz.broken_promises(reader, data, tmp_path / "files") == []


def lying(kind: int) -> bytes:
    """Return a model's archive with 200 MB of blanks that claim to be 1,000 bytes."""
    with zipfile.ZipFile(io.BytesIO(fuzz.saved("keras"))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    data = bytearray(fuzz.zipped(members | {"config.json": b" " * 200_000_000}, kind))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"config.json"))
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    return bytes(data)


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_member_that_claims_less_than_it_holds_is_not_decompressed(kind, tmp_path):
    (tmp_path / "m.keras").write_bytes(lying(kind))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"Cannot load .*m\.keras"):
        tn.models.load_model(tmp_path / "m.keras")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def with_config(change) -> bytes:
    with zipfile.ZipFile(io.BytesIO(fuzz.saved("keras"))) as file:
        members = {name: file.read(name) for name in file.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    return fuzz.zipped(members | {"config.json": json.dumps(config).encode()})


def thresholds(config) -> None:
    auc = {"class_name": "AUC", "config": {"num_thresholds": 10**8}}
    config["compile_config"]["metrics"] = [{"module": "keras.metrics", **auc}]


def layers(config) -> None:
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}}
    config["config"]["layers"][1:] = [dense] * 20_000


@pytest.mark.parametrize("change", [thresholds, layers])
def test_a_config_that_describes_more_than_the_file_justifies_is_refused(change, tmp_path):
    (tmp_path / "m.keras").write_bytes(with_config(change))
    with pytest.raises(ValueError, match=r"bytes, and .* are left"):
        tn.models.load_model(tmp_path / "m.keras")


def test_a_message_is_short_whatever_a_file_holds(tmp_path):
    path = tmp_path / "n.keras"
    path.write_bytes(fuzz.zipped({"config.json": json.dumps({"x": "y" * 10**6}).encode()}))
    with pytest.raises(ValueError, match="Cannot load") as caught:
        tn.models.load_model(path)
    assert len(str(caught.value)) < 3000


def tar_with(kind: bytes, size: int) -> bytes:
    """Return a compressed tar archive with a member of blanks."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("member")
        info.type, info.size = kind, size
        file.addfile(info, io.BytesIO(b" " * size))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_an_archive_of_more_than_its_size_justifies_is_not_extracted(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tinynet.datasets.download.MOST_AT_LEAST", 0)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar_with(kind, 20_000_000))
    with pytest.raises(ValueError, match=r"x\.tar\.gz_archive"):
        fuzz.extracted(path)
    assert [p for p in (tmp_path / "out").rglob("*") if p.name == "member"] == []


@pytest.mark.parametrize("epoch", ["../../x", None, 1.5, [], True])
def test_a_backup_without_the_number_of_an_epoch_is_refused_by_name(epoch, tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({**fuzz.PROGRESS, "epoch": epoch}))
    with pytest.raises(ValueError, match=r"Cannot load .*training_metadata\.json.*epoch"):
        fuzz.backup(tmp_path / "p.json")


def test_compressed_weights_and_slots_are_counted_before_they_are_read(tmp_path):
    model = tn.Sequential([tn.Input((1000,)), tn.layers.Dense(6000, use_bias=False)])  # 24 MB
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.set_weights([np.zeros((1000, 6000))])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        members = {name: file.read(name) for name in file.namelist()}
    small = io.BytesIO()
    with h5py.File(io.BytesIO(members["model.weights.h5"])) as old, h5py.File(small, "w") as new:

        def packed(name, part):
            if isinstance(part, h5py.Dataset):
                how = {"chunks": part.shape, "compression": 9} if part.size > 1 else {}
                new.create_dataset(name, data=part[()], **how)

        old.visititems(packed)
    members["model.weights.h5"] = small.getvalue()
    (tmp_path / "m.keras").write_bytes(fuzz.zipped(members))
    with pytest.raises(ValueError, match=r"bytes, and .* are left"):
        tn.models.load_model(tmp_path / "m.keras")
