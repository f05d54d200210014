"""Files: round trips, saves that are never half written, and malformed or malicious files."""

import io
import json
import os
import stat
import sys
import tracemalloc
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers import assert_all_same, assert_same, everything, normal, over, refused
from hypothesis import example, given, strategies as st

import tinynet as tn
from tinynet import saving
from tinynet.layers import Dense, Input
from tinynet.saving import weights

X, Y = normal(0, 12, 3), normal(1, 12, 1)
ROOT = Path(tn.__file__).parents[1]


def network() -> tn.Model:
    return tn.Sequential([Input((3,)), Dense(4, "tanh", name="first"), Dense(1, name="last")])


def trained() -> tn.Model:
    model = network()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained model's files: `m.keras`, `m.weights.h5`, `m.weights.npz`."""
    folder = tmp_path_factory.mktemp("files")
    model = trained()
    model.save(folder / "m.keras")
    for ending in ("h5", "npz"):
        model.save_weights(folder / f"m.weights.{ending}")
    return folder


FILES = {name: name for name in ("m.keras", "m.weights.h5", "m.weights.npz")}


# -- round trips -----------------------------------------------------------------------------------


def test_a_loaded_model_continues_training_as_if_it_had_never_been_saved(tmp_path):
    model = trained()
    model.optimizer.learning_rate = 0.03
    model.save(tmp_path / "m.keras")
    loaded = tn.models.load_model(tmp_path / "m.keras")
    assert_all_same(everything(loaded), everything(model))
    for each in (model, loaded):
        each.fit(X, Y, batch_size=5, epochs=2, shuffle=False, verbose=0)
    assert_all_same(everything(loaded), everything(model))
    assert loaded.history.history == model.history.history


@over(FILES, "name")
def test_weights_are_loaded_with_the_optimizers_state_before_and_after_its_first_step(folder, name):
    fresh, begun = network(), trained()
    fresh.compile("adam", "mse")
    begun.fit(X, Y, verbose=0)
    plain = network()
    reference = tn.models.load_model(folder / "m.keras")
    for model in (fresh, begun, plain):
        model.load_weights(folder / name)
        assert_all_same(everything(model), everything(reference)[: len(everything(model))])
    logs = [m.fit(X, Y, shuffle=False, verbose=0).history["loss"] for m in (fresh, begun)]
    assert logs[0] == logs[1]


def test_a_compiled_step_sees_loaded_weights(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "m.weights.npz")
    logs = model.fit(X, Y, shuffle=False, verbose=0).history
    model.load_weights(tmp_path / "m.weights.npz")
    assert model.fit(X, Y, shuffle=False, verbose=0).history == logs
    assert model.train_function.compilations == 1


def test_a_model_saved_before_its_first_step_loads_a_fresh_optimizer(tmp_path):
    model = network()
    model.compile("adam", "mse")
    model.save(tmp_path / "m.keras")
    other = trained()
    other.load_weights(tmp_path / "m.keras")
    assert int(other.optimizer.iterations) == 0
    assert not any(np.any(v) for v in other.optimizer.variables[2:])
    assert int(tn.models.load_model(tmp_path / "m.keras").optimizer.iterations) == 0


def test_a_model_can_be_loaded_without_compiling(folder):
    model = tn.models.load_model(folder / "m.keras", compile=False)
    assert not model.compiled
    assert model.optimizer is None


def test_the_state_of_another_optimizer_is_skipped_with_a_warning(folder):
    model = network()
    model.compile(tn.optimizers.SGD(momentum=0.5), "mse")
    model.fit(X, Y, verbose=0)
    slots = everything(model)[4:]
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer 'sgd"):
        model.load_weights(folder / "m.keras")
    assert_all_same(everything(model)[4:], slots)


def test_mismatched_layers_are_skipped_only_with_skip_mismatch(folder):
    model = tn.Sequential([Input((3,)), Dense(4), Dense(2)])
    before = everything(model)
    with refused(ValueError, "(4, 2)", "(4, 1)", "m.weights.h5"):
        model.load_weights(folder / "m.weights.h5")
    assert_all_same(everything(model), before)
    with pytest.warns(UserWarning, match="A total of 1 objects could not be loaded"):
        model.load_weights(folder / "m.weights.h5", skip_mismatch=True)
    assert_same(model.get_weights()[0], tn.models.load_model(folder / "m.keras").get_weights()[0])
    assert_all_same(everything(model)[2:], before[2:])


DTYPES = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ending", ["keras", "weights.h5", "weights.npz"])
def test_weights_of_every_dtype_are_loaded_bit_for_bit(tmp_path, dtype, ending):
    model = tn.Sequential([Input((3,)), Dense(2, dtype=dtype)])
    path = tmp_path / f"m.{ending}"
    model.save(path) if ending == "keras" else model.save_weights(path)
    expected = everything(model)
    model.set_weights([w * 0 for w in expected])
    model.load_weights(path)
    assert_all_same(everything(model), expected)


# -- paths -----------------------------------------------------------------------------------------


def test_other_file_extensions_are_refused():
    model = network()
    for name in ("m", "m.h5", "m.hdf5", "m.zip"):
        with refused(ValueError, name, ".keras"):
            model.save(name)
        with refused(ValueError, name, ".keras"):
            tn.models.load_model(name)
        with refused(ValueError, name, ".weights.h5"):
            model.load_weights(name)
    for name in ("m.keras", "m.h5", "m.npz"):
        with refused(ValueError, name, ".weights.h5"):
            model.save_weights(name)
    with refused(ValueError, "nowhere.keras"):
        tn.models.load_model("nowhere.keras")
    with refused(ValueError, "max_shard_size", "0.5"):
        model.save_weights("m.weights.h5", max_shard_size=0.5)
    with refused(ValueError, "zipped"):
        model.save("m.keras", zipped=False)


def test_weights_of_an_unbuilt_model_cannot_be_saved_or_loaded(tmp_path):
    model = tn.Sequential([Dense(1)])
    with refused(ValueError, "not yet been built"):
        model.save_weights(tmp_path / "m.weights.h5")
    with refused(ValueError, "not yet been built"):
        model.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="has not yet been built"):
        model.save(tmp_path / "m.keras")
    assert not tn.models.load_model(tmp_path / "m.keras").built


@pytest.mark.parametrize("answer", ["y", "n"])
def test_an_existing_file_is_kept_if_the_user_answers_no(tmp_path, monkeypatch, answer):
    path = tmp_path / "m.keras"
    path.write_text("old")
    asked = []
    answers = iter(["perhaps", answer])
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or next(answers))
    network().save(path, overwrite=False)
    assert (path.read_bytes() == b"old") == (answer == "n")
    assert asked == [f"[WARNING] {path} already exists - overwrite? [y/n]"] * 2


def test_without_h5py_only_npz_files_work_and_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    model, path = network(), tmp_path / "m.weights.npz"
    (tmp_path / "m.keras").write_bytes(b"")
    (tmp_path / "m.weights.h5").write_bytes(b"")
    for call in (
        lambda: model.save(tmp_path / "m.keras"),
        lambda: tn.models.load_model(tmp_path / "m.keras"),
        lambda: model.save_weights(tmp_path / "m.weights.h5"),
        lambda: model.load_weights(tmp_path / "m.weights.h5"),
        lambda: model.load_weights(tmp_path / "m.keras"),
    ):
        with pytest.raises(ImportError, match=r"extra 'h5' of tinynet: pip install"):
            call()
    model.save_weights(path)
    model.load_weights(path)


# -- saves are complete or not done at all ---------------------------------------------------------


@pytest.mark.parametrize("fails", ["os.fsync", "os.replace", "zipfile.ZipFile.writestr"])
def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fails):
    path = tmp_path / "m.keras"
    network().save(path)
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(fails, fail)
    with pytest.raises(OSError, match="no space"):
        network().save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.keras"]


def test_a_model_without_a_config_leaves_the_old_file(tmp_path):
    path = tmp_path / "m.keras"
    path.write_text("old")
    with refused(ValueError, "lambda"):
        tn.Sequential([Input((3,)), Dense(1, lambda x: x)]).save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["m.keras"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_files_have_the_permissions_that_open_gives(tmp_path):
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    path, plain = tmp_path / "m.weights.npz", tmp_path / "plain"
    before = os.umask(0o027)
    try:
        plain.write_text("")
        network().save_weights(path)
        assert mode(path) == mode(plain) == 0o640
        path.chmod(0o604)
        network().save_weights(path)
        assert mode(path) == 0o604
    finally:
        os.umask(before)


def test_saving_follows_links_and_refuses_folders(tmp_path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "m.weights.npz", tmp_path / "there" / "real.npz"
    link.symlink_to(target)
    network().save_weights(link)
    assert link.is_symlink()
    assert os.listdir(tmp_path / "there") == ["real.npz"]
    (tmp_path / "folder.keras").mkdir()
    with refused(ValueError, "folder.keras"):
        network().save(tmp_path / "folder.keras")


# -- damage ----------------------------------------------------------------------------------------


@contextmanager
def unchanged(model: tn.Model, memory: int = 150_000_000) -> Any:
    """Expect a ValueError that leaves the model unchanged and takes little memory."""
    before = everything(model)
    tracemalloc.start()
    try:
        with refused(ValueError, "Cannot load"):
            yield
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert_all_same(everything(model), before)


@over(FILES, "name")
@given(st.data())
def test_a_truncated_file_is_refused(folder, name, data):
    whole = (folder / name).read_bytes()
    whole = whole[:-40] if name.endswith("h5") else whole  # a file without its digest is complete
    path = folder / f"cut.{name}"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    model = trained_once()
    before = everything(model)
    with refused(ValueError, "Cannot load"):
        model.load_weights(path)
    assert_all_same(everything(model), before)


_once: list[tn.Model] = []


def trained_once() -> tn.Model:
    """Return a trained model that no test changes."""
    _once[:] = _once or [trained()]
    return _once[0]


@over(FILES, "name")
@given(st.data())
def test_a_flipped_byte_is_refused_or_changes_nothing(folder, name, data):
    damaged = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / f"flipped.{name}"
    path.write_bytes(damaged)
    model = tn.models.load_model(folder / "m.keras")
    expected = everything(model)
    model.set_weights([w * 0 for w in model.get_weights()])
    before = everything(model)
    try:
        model.load_weights(path)
    except (ValueError, UserWarning):  # which says what is skipped
        assert_all_same(everything(model), before)
    else:
        assert_all_same(everything(model), expected)


@over(FILES, "name")
def test_every_changed_bit_of_a_number_is_noticed(folder, name):
    whole = (folder / name).read_bytes()
    kernel = tn.models.load_model(folder / "m.keras").get_weights()[0].tobytes()
    start = whole.index(kernel)
    for place in range(start, start + len(kernel), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        (folder / f"bit.{name}").write_bytes(damaged)
        with unchanged(trained_once()):
            trained_once().load_weights(folder / f"bit.{name}")


@given(st.data())
@example(None)
def test_changed_bytes_in_a_file_without_a_digest_are_read_or_refused(folder, data):
    """Without a digest a changed number goes unnoticed, but no other harm is done."""
    damaged = bytearray((folder / "m.weights.h5").read_bytes()[:-40])
    for _ in range(data.draw(st.integers(1, 5)) if data else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path = folder / "foreign.weights.h5"
    path.write_bytes(damaged)
    model = tn.models.load_model(folder / "m.keras")
    before, shapes = everything(model), [w.shape for w in model.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer may have other variables
        try:
            model.load_weights(path)
        except ValueError:
            assert_all_same(everything(model), before)
    assert [w.shape for w in model.weights] == shapes
    assert data or all(map(np.array_equal, everything(model), before))


# -- crafted archives ------------------------------------------------------------------------------


def rewritten(folder: Path, members: Any = None, config: Any = None, **options: Any) -> Path:
    """Write the archive again, after a function changed its members or its config."""
    with zipfile.ZipFile(folder / "m.keras") as archive:
        pairs = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if config:
        found = json.loads(dict(pairs)["config.json"])
        changed = config(found)
        text = json.dumps(found if changed is None else changed)
        pairs = [(name, text if name == "config.json" else data) for name, data in pairs]
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(folder / "bad.keras", "w", **options) as archive,
    ):
        warnings.simplefilter("ignore")  # about repeated names
        for name, data in members(pairs) if members else pairs:
            archive.writestr(name, data)
    return folder / "bad.keras"


def without(name: str) -> Any:
    return lambda pairs: [pair for pair in pairs if pair[0] != name]


ARCHIVES = {
    "a member twice": lambda pairs: [*pairs, pairs[1]],
    "a path to a parent folder": lambda pairs: [*pairs, ("../../evil", b"")],
    "a path from the root": lambda pairs: [*pairs, ("/etc/evil", b"")],
    "a path with backslashes": lambda pairs: [*pairs, ("..\\evil", b"")],
    "a drive": lambda pairs: [*pairs, ("C:evil", b"")],
    "no config": without("config.json"),
    "no weights": without("model.weights.h5"),
    "a config that is not JSON": lambda pairs: [
        *without("config.json")(pairs),
        ("config.json", "{"),
    ],
    "a deeply nested config": lambda pairs: [
        *without("config.json")(pairs),
        ("config.json", "[" * 200_000 + "]" * 200_000),
    ],
    "weights that are not HDF5": lambda pairs: [
        *without("model.weights.h5")(pairs),
        ("model.weights.h5", b"\x80\x04\x95cos\nsystem\n."),
    ],
}


@over(ARCHIVES, "members")
def test_a_malformed_or_malicious_archive_is_refused(folder, members):
    path = rewritten(folder, members)
    with unchanged(trained_once()):
        tn.models.load_model(path)


def test_a_decompression_bomb_is_refused(folder):
    bomb = bytes(200_000_000)
    for name in ("config.json", "model.weights.h5", "beside"):
        path = rewritten(
            folder,
            lambda pairs, name=name: [*without(name)(pairs), (name, bomb)],
            compression=zipfile.ZIP_DEFLATED,
            compresslevel=1,
        )
        assert path.stat().st_size < 2_000_000
        with unchanged(trained_once()):
            tn.models.load_model(path)


def test_a_compressed_archive_is_read(folder):
    path = rewritten(folder, compression=zipfile.ZIP_DEFLATED)
    assert_all_same(
        everything(tn.models.load_model(path)),
        everything(tn.models.load_model(folder / "m.keras")),
    )


def layer(index: int, **changes: Any) -> Any:
    return lambda config: config["config"]["layers"][index]["config"].update(changes)


def entry(index: int, **changes: Any) -> Any:
    return lambda config: config["config"]["layers"][index].update(changes)


def chain(config: Any) -> Any:
    """Return the config of a model without weights whose width doubles in every layer."""
    inputs = x = Input((4,))
    for _ in range(3):
        x = tn.layers.Concatenate()([x, x])
    config = json.loads(tn.Model(inputs, x).to_json())
    layers = config["config"]["layers"]
    for i in range(60):
        more = json.loads(json.dumps(layers[-1]).replace(layers[-1]["name"], f"c{i}"))
        text = json.dumps(more["inbound_nodes"]).replace(layers[-2]["name"], layers[-1]["name"])
        layers.append({**more, "inbound_nodes": json.loads(text)})
    config["config"]["output_layers"] = ["c59", 0, 0]
    return config


def many(config: Any) -> Any:
    """Return the config of a model whose layers are too large only together."""
    x = Input((1,))
    found = json.loads(tn.Model(x, [Dense(1)(x) for _ in range(10)]).to_json())
    for data in found["config"]["layers"][1:]:
        data["config"]["units"] = 5_000_000  # 40 MB
    return found


CONFIGS = {
    "a number": lambda config: 5,
    "a list": lambda config: [config],
    "a layer instead of a model": lambda config: config["config"]["layers"][1],
    "no layers": lambda config: config["config"].pop("layers"),
    "numbers instead of layers": lambda config: config["config"].update(layers=[1, 2]),
    "layers of another type": lambda config: config["config"].update(layers=7),
    "units of another type": layer(1, units="4"),
    "too many units": layer(1, units=10**12),
    "more units than a machine integer": layer(1, units=10**400),
    "other units": layer(1, units=5),
    "a huge input": layer(0, batch_shape=[None, 10**12]),
    "many axes": layer(0, batch_shape=[None] + [1000] * 20),
    "a string in a shape": layer(0, batch_shape=[None, "3"]),
    "a huge build config": entry(1, build_config={"input_shape": [None, 10**12]}),
    "a build config of another type": entry(1, build_config=3),
    "an unknown argument": layer(1, beside=1),
    "an unknown activation": layer(1, activation="nope"),
    "an activation of another type": layer(1, activation=[1, 2]),
    "a dtype of objects": layer(1, dtype="object"),
    "an unknown class": entry(1, class_name="Conv2D"),
    "a class of a module": entry(1, module="os", class_name="system"),
    "a class of pickles": entry(1, module="pickle", class_name="loads"),
    "code": layer(1, activation={"class_name": "__lambda__", "config": {"value": "4wEA"}}),
    "a lambda layer": entry(1, class_name="Lambda"),
    "an unknown optimizer": lambda config: config["compile_config"]["optimizer"].update(
        class_name="Lion"
    ),
    "a loss of a module": lambda config: config["compile_config"].update(
        loss={"module": "os", "class_name": "function", "config": "system"}
    ),
    "unknown arguments of compile": lambda config: config["compile_config"].update(evil=1),
    "a width that doubles in every layer": chain,
    "many large layers": many,
}


@over(CONFIGS, "change")
def test_a_malformed_or_malicious_config_is_refused(folder, change):
    path = rewritten(folder, config=change)
    with unchanged(trained_once()):
        tn.models.load_model(path)


class Wrapper(tn.layers.Layer):
    """A layer of one layer, without a `build` of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = tn.layers.Activation("tanh")

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


def test_a_build_config_larger_than_the_file_justifies_is_refused(tmp_path):
    whole = tn.Sequential([Input((3,)), Wrapper(), Dense(1)])
    whole.save(tmp_path / "m.keras")
    path = rewritten(tmp_path, config=entry(1, build_config={"input_shape": [None, 10**9]}))
    with unchanged(whole):
        tn.models.load_model(path, custom_objects={"Wrapper": Wrapper})


def test_the_message_names_the_unknown_class_its_location_and_a_remedy(folder):
    path = rewritten(folder, config=entry(2, class_name="Conv2D"))
    words = ["bad.keras", "Conv2D", "Sequential 'sequential", "'last'", "custom_objects"]
    with refused(ValueError, *words, "register_keras_serializable"):
        tn.models.load_model(path)


# -- crafted weights -------------------------------------------------------------------------------


def outside(group: Any, target: Path) -> Any:
    with h5py.File(target, "w") as file:
        file["there"] = np.zeros((3, 4), "float32")
    return target


def virtual(group: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((3, 4), "float32")
    layout[:] = h5py.VirtualSource(str(outside(group, folder / "o.h5")), "there", (3, 4))
    group.create_virtual_dataset("0", layout)


def external(group: Any, folder: Path) -> None:
    (folder / "o.raw").write_bytes(bytes(48))
    group.create_dataset("0", (3, 4), "float32", external=[(str(folder / "o.raw"), 0, 48)])


def put(**options: Any) -> Any:
    return lambda group, folder: group.create_dataset("0", **options)


def link(make: Any) -> Any:
    return lambda group, folder: group.__setitem__("0", make(folder))


KERNELS = {
    "terabytes": put(shape=(10**6, 10**6), dtype="float32", chunks=(1000, 1000)),
    "terabytes, compressed": put(
        shape=(10**6, 10**6), dtype="float32", chunks=(1000, 1000), compression="gzip"
    ),
    "nothing at all": put(shape=(3, 4), dtype="float32"),
    "empty chunks": put(shape=(3, 4), dtype="float32", chunks=(3, 4)),
    "large chunks": put(
        data=np.ones((3, 4), "float32"),
        chunks=(2000, 2000),
        maxshape=(None, None),
        compression="gzip",
    ),
    "huge chunks": put(shape=(3, 4), dtype="float32", chunks=(30000, 30000), maxshape=(None, None)),
    "another shape": put(data=np.zeros((4, 3), "float32")),
    "integers": put(data=np.zeros((3, 4), "int32")),
    "strings": put(data=np.full((3, 4), b"x", dtype="S3")),
    "references": put(shape=(3, 4), dtype=h5py.ref_dtype),
    "no dataspace": put(data=h5py.Empty("float32")),
    "a virtual dataset": virtual,
    "external storage": external,
    "a link to another file": link(
        lambda folder: h5py.ExternalLink(str(outside(None, folder / "o.h5")), "there")
    ),
    "a link in the same file": link(lambda folder: h5py.SoftLink("/layers/dense_1/vars/0")),
    "a group": lambda group, folder: group.create_group("0"),
    "nothing": lambda group, folder: None,
    "one array too many": lambda group, folder: (
        group.create_dataset("0", data=np.zeros((3, 4), "float32")),
        group.create_dataset("2", data=np.zeros((3, 4), "float32")),
    ),
}


@over(KERNELS, "kernel")
def test_an_hdf5_array_that_differs_from_its_declaration_is_refused(folder, tmp_path, kernel):
    data = io.BytesIO((folder / "m.weights.h5").read_bytes()[:-40])
    with h5py.File(data, "a") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        kernel(group, tmp_path)
    path = tmp_path / "m.weights.h5"
    path.write_bytes(data.getvalue())
    with unchanged(trained_once()):
        trained_once().load_weights(path)
    bad = rewritten(folder, lambda pairs: [*pairs[:2], (pairs[2][0], data.getvalue())])
    with unchanged(trained_once()):
        tn.models.load_model(bad)


@pytest.mark.parametrize("place", ["layers", "layers/dense", "layers/dense/vars", "optimizer"])
def test_groups_that_are_links_are_refused(folder, tmp_path, place):
    data = io.BytesIO((folder / "m.weights.h5").read_bytes()[:-40])
    with h5py.File(data, "a") as file:
        file.move(place, "elsewhere")
        file[place] = h5py.SoftLink("/elsewhere")
    path = tmp_path / "m.weights.h5"
    path.write_bytes(data.getvalue())
    with unchanged(trained_once()):
        trained_once().load_weights(path)


def test_compressed_arrays_of_the_right_shape_are_read(folder, tmp_path):
    data = io.BytesIO((folder / "m.weights.h5").read_bytes()[:-40])
    with h5py.File(data, "a") as file:
        group = file["layers/dense/vars"]
        kernel = group["0"][()]
        del group["0"]
        group.create_dataset("0", data=kernel, chunks=(2, 2), compression="gzip")
    (tmp_path / "m.weights.h5").write_bytes(data.getvalue())
    model = network()
    model.load_weights(tmp_path / "m.weights.h5")
    assert_same(model.get_weights()[0], kernel)


@pytest.mark.parametrize("index", range(10))
def test_one_mismatched_variable_prevents_loading_of_all(folder, tmp_path, index):
    data = io.BytesIO((folder / "m.weights.h5").read_bytes()[:-40])
    with h5py.File(data, "a") as file:
        group = file["optimizer/vars"]
        array = group[str(index)][()]
        del group[str(index)]
        group[str(index)] = np.stack([array, array])
    path = tmp_path / "m.weights.h5"
    path.write_bytes(data.getvalue())
    with unchanged(trained_once()):
        trained_once().load_weights(path)
    fresh = network()
    fresh.compile("adam", "mse")
    with unchanged(fresh):
        fresh.load_weights(path)
    assert not fresh.optimizer.built


def npy(array: Any, **header: Any) -> bytes:
    """Return an `.npy` file, whose header may declare something else than the array."""
    file = io.BytesIO()
    found = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, {**found, **header})
    return file.getvalue() + array.tobytes()


KERNEL = np.ones((3, 4), "float32")
ARRAYS = {
    "objects": npy(KERNEL, descr="|O"),
    "terabytes": npy(KERNEL, shape=(10**6, 10**6)),
    "too little": npy(KERNEL)[:-4],
    "too much": npy(KERNEL) + b"more",
    "a shape below zero": npy(KERNEL, shape=(-3, 4)),
    "no array": b"nothing",
    "nothing": b"",
}


@over(ARRAYS, "array")
def test_an_npz_array_that_differs_from_its_header_is_refused(folder, tmp_path, array):
    path = tmp_path / "m.weights.npz"
    with zipfile.ZipFile(folder / "m.weights.npz") as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            first = info.filename == "layers/dense/vars/0.npy"
            new.writestr(info.filename, array if first else old.read(info))
    with unchanged(trained_once()):
        trained_once().load_weights(path)


def test_arrays_in_fortran_order_are_read(folder, tmp_path):
    path = tmp_path / "m.npz"
    with np.load(folder / "m.weights.npz") as old:
        np.savez(path, **{name: np.asfortranarray(old[name]) for name in old})
    model = network()
    model.load_weights(path)
    assert_all_same(everything(model), everything(tn.models.load_model(folder / "m.keras"))[:4])


# -- locations -------------------------------------------------------------------------------------


def test_every_variable_has_one_location():
    shared = Dense(3)

    class Holder(tn.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.b, self.a, self._c = shared, [shared, Dense(3)], {"x": Dense(3)}

        def build(self, input_shape):
            self.free = tn.Variable(np.zeros(2), trainable=False)
            self.add_weight((1,), name="mine")

        def call(self, inputs):
            return self._c["x"](self.a[1](self.b(inputs)))

    model = tn.Sequential([Input((3,)), Holder(), shared])
    model.also = model.layers[0]
    found = {place.path: len(place.variables) for place in weights.locations(model)}
    assert found == {
        "": 0,
        "layers/holder": 2,
        "layers/holder/a/dense": 2,
        "layers/holder/a/dense_1": 2,
        "layers/holder/_c/dense": 2,
    }
    variables = [v for place in weights.locations(model) for v in place.variables]
    assert len(variables) == len(set(variables)) == len(model.weights)


def test_properties_that_are_not_defined_yet_are_left_out():
    class Late(Dense):
        @property
        def before(self):
            raise RuntimeError("Call it first.")

        @property
        def part(self):
            return self._part

    layer = Late(2)
    layer._part = Dense(1)
    for each in (layer, layer._part):
        each.build((None, 2))
    assert [place.path for place in weights.locations(layer)] == ["", "part"]


def test_a_layer_in_several_attributes_of_a_model_has_the_first_place_in_order_of_names():
    class Model(tn.Sequential):
        def __init__(self, *args):
            super().__init__(*args)
            self.z = self.a = self._b = Dense(3)  # beside the stack
            self.z.build((None, 2))

    paths = [place.path for place in weights.locations(Model([Input((2,)), Dense(1)]))]
    assert paths == ["", "layers/dense", "a"]


def test_saving_and_utils_export_the_same_objects():
    for module in (saving, tn.utils):
        for name in ("register_keras_serializable", "custom_object_scope", "get_custom_objects"):
            assert getattr(module, name) is getattr(tn.saving, name)
    assert tn.models.load_model is saving.load_model


def test_every_variable_of_nested_models_has_a_location():
    def model(depth: int) -> tn.Model:
        inner = [model(depth - 1) for _ in range(3)] if depth else [Dense(2), Dense(2)]
        return tn.Sequential([Input((2,)), *inner])

    whole = model(3)
    variables = [v for place in weights.locations(whole) for v in place.variables]
    assert set(variables) == set(whole.weights)
    assert len(variables) == 2 * 2 * 27
