"""Weights in files: where Keras keeps each variable, and how it is read back with suspicion.

Every layer, model and optimizer has a place ``<path>/vars`` with its variables as ``0``, ``1``, ...
The path is made of attributes, and in lists of classes: ``layers/dense_1`` is the second `Dense`
among the layers. A file only says what numbers they hold. What it declares of them is compared with
the model before anything is read, and all is read before anything is assigned.

Imports h5py in functions alone. Read next: `archive.py`.
"""

from __future__ import annotations

import hashlib
import io
import math
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..configs.lookup import snake_case
from ..engine.variable import Variable
from ..layers.base import Layer
from ..optimizers.base import Optimizer
from ..training.trainer import Trainer


class Place(NamedTuple):
    """Where in a file the variables of one object are."""

    path: str
    owner: Any
    variables: list[Variable]


class Entry(NamedTuple):
    """What a file declares of an array, and how to read it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


Entries = Callable[[str], dict[str, Entry]]  # those at a path, by name

# What models remember beside their `layers`, which come first.
_OURS = {"_entrance", "_graph", "_layers", "_plan", "_stack", "history"}


def places(model: Any) -> Iterator[Place]:
    """Yield the places of a model's variables, in Keras's order; each object has one, the first."""
    return _walk(model, "", {})


def _walk(thing: Any, path: str, met: dict[int, Any]) -> Iterator[Place]:
    if id(thing) in met:
        return
    met[id(thing)] = thing  # held, so that nothing made meanwhile gets this id
    if isinstance(thing, Optimizer):
        yield Place(path, thing, thing.variables)
    elif isinstance(thing, Layer):
        yield Place(path, thing, sorted(thing._mine(), key=lambda w: w in thing._frozen))
        for name, part in _attributes(thing):
            yield from _walk(part, f"{path}/{name}".lstrip("/"), met)
    elif isinstance(thing, (list, tuple, dict)):
        seen: Counter[str] = Counter()
        for part in thing.values() if isinstance(thing, dict) else thing:
            holds = isinstance(part, (list, tuple, dict))
            if holds or isinstance(part, (Layer, Optimizer)):
                name = "container" if holds else snake_case(type(part).__name__)
                number = f"_{seen[name]}" if seen[name] else ""
                seen[name] += 1
                yield from _walk(part, f"{path}/{name}{number}", met)


def _attributes(layer: Layer) -> Iterator[tuple[str, Any]]:
    """Yield what a layer holds by name, private names last; the users' properties, too."""
    if "_plan" in vars(layer) or "_stack" in vars(layer):
        yield "layers", layer.layers
    names = {name for name in vars(layer) if name not in _OURS}
    for cls in type(layer).__mro__:
        if cls.__module__.partition(".")[0] not in ("tinynet", "builtins"):
            names |= {name for name, value in vars(cls).items() if isinstance(value, property)}
    if isinstance(layer, Trainer):
        names.add("layers")
    for name in sorted(names, key=lambda name: f"~{name}" if name.startswith("_") else name):
        try:
            value = getattr(layer, name)
        except Exception:
            continue  # a property that is not defined yet
        if isinstance(value, (Layer, Optimizer, list, tuple, dict)):
            yield name, value


# -- from a file to the model ----------------------------------------------------------------------


def load(model: Any, entries: Entries, skip_mismatch: bool = False) -> None:
    """Assign what a file holds to the variables of a model, and of its optimizer if it has one.

    Raises
    ------
    ValueError
        When variables are missing or of another number, shape or kind (with `skip_mismatch` a
        warning), or the file is damaged. Then nothing is changed.
    """
    plan: list[tuple[Place, list[Entry]]] = []
    failed: dict[Any, ValueError] = {}
    for place in places(model):
        saved = entries(place.path)
        try:
            if isinstance(place.owner, Optimizer):
                trained = model.trainable_variables if place.path == "optimizer" else []
                plan.append((place, _of_optimizer(place, saved, trained)))
            else:
                plan.append((place, _matched(place.owner, place.variables, saved)))
        except ValueError as error:
            failed[place.owner] = error
    if failed:
        first, problem = next(iter(failed.items()))
        message = (
            f"A total of {len(failed)} objects could not be loaded. Example error message for "
            f"object {first}:\n\n{problem}\n\nList of objects that could not be loaded:\n"
            f"{list(failed)}"
        )
        if not skip_mismatch:
            raise ValueError(message)
        warnings.warn(message, stacklevel=3)
    read = [(place, [entry.read() for entry in found]) for place, found in plan]
    for place, arrays in read:
        variables = place.variables
        if isinstance(place.owner, Optimizer) and len(arrays) > len(variables):
            place.owner.build(model.trainable_variables)
            variables = place.owner.variables
        with np.errstate(all="ignore"):  # a smaller dtype may not hold a number
            for variable, array in zip(variables, arrays, strict=False):
                variable.assign(array)
        for slot in variables[len(arrays) :] if arrays else []:
            slot.write(0)  # saved before it was there


def _of_optimizer(place: Place, saved: dict[str, Entry], trained: list[Variable]) -> list[Entry]:
    """Return the entries of an optimizer's variables; none, with a warning, if it has others."""
    optimizer, expected = place.owner, list(place.variables)
    slots = sum(map(len, optimizer._slots))
    if len(saved) == len(expected) - slots:  # saved before its first step
        expected = expected[: len(saved)]
    elif not optimizer.built:
        expected += [v for group in optimizer.slots for v in trained for _ in group]  # alike
    if len(saved) == len(expected):
        return _matched(optimizer, expected, saved)
    warnings.warn(
        f"Skipping variable loading for optimizer '{optimizer.name}', because it has "
        f"{len(expected)} variables whereas the saved optimizer has {len(saved)} variables. ",
        stacklevel=4,
    )
    return []


def _matched(owner: Any, variables: list[Variable], saved: dict[str, Entry]) -> list[Entry]:
    """Return the entries of the variables, which are of the same shapes and kinds."""
    if len(saved) != len(variables):
        raise ValueError(
            f"'{owner.name}' expected {len(variables)} variables, but received {len(saved)} "
            f"variables during loading. Expected: {[v.name for v in variables]}"
        )
    found = []
    for i, variable in enumerate(variables):
        entry = saved.get(str(i))
        if entry is None:
            raise ValueError(f"'{owner.name}': variable {i} is missing among {list(saved)}.")
        if entry.shape != variable.shape or not _alike(entry.dtype, variable.array.dtype):
            raise ValueError(
                f"'{owner.name}': variable {variable.path} is of shape {variable.shape} and dtype "
                f"{variable.dtype}, received shape {entry.shape} and dtype {entry.dtype}."
            )
        found.append(entry)
    return found


def _alike(one: np.dtype, other: np.dtype) -> bool:
    """Return whether numbers of either dtype are of one kind: floating, integer or bool."""
    return one.kind == other.kind or {one.kind, other.kind} == {"i", "u"}


# -- HDF5 ------------------------------------------------------------------------------------------

# After what HDF5 reads stands a digest of it, so that damage is noticed; others do not see it.
_MAGIC = b"tinynet1"


def h5py() -> Any:
    """Return the package h5py; ImportError that says how to get it."""
    try:
        import h5py as package  # type: ignore
    except ImportError:
        raise ImportError(
            "Files in Keras's format need the package h5py: pip install 'tinynet[h5]'. Without it, "
            "weights can be saved and loaded as '.npz'."
        ) from None
    return package


def h5_bytes(model: Any) -> bytes:
    """Return the HDF5 file of a model's variables."""
    buffer = io.BytesIO()
    with h5py().File(buffer, "w") as file:
        for path, owner, variables in places(model):
            group = file.create_group(f"{path}/vars")
            group.attrs["name"] = owner.name
            for i, variable in enumerate(variables):
                group[str(i)] = variable.array
    return buffer.getvalue()


def signed(data: bytes) -> bytes:
    """Return `data` with its digest behind."""
    return data + _MAGIC + hashlib.sha256(data).digest()


def h5_entries(data: bytes) -> Entries:
    """Return the entries of an HDF5 file; ValueError if it is damaged, later or at once."""
    if data[-40:-32] == _MAGIC and hashlib.sha256(data[:-40]).digest() != data[-32:]:
        raise ValueError("The file is damaged: its digest is another one.")
    package = h5py()
    file = package.File(io.BytesIO(data), "r")

    def entries(path: str) -> dict[str, Entry]:
        group = file
        for name in f"{path}/vars".strip("/").split("/"):
            if name not in group:
                return {}
            group = _member(group, name, package.Group)
        return {name: _h5_entry(_member(group, name, package.Dataset)) for name in group}

    return entries


def _member(group: Any, name: str, kind: type) -> Any:
    """Return what is called `name` in a group, itself there and not elsewhere."""
    link = group.get(name, getclass=True, getlink=True)
    if link is not h5py().HardLink:
        raise ValueError(f"{group.name}/{name} leads elsewhere by a {link.__name__}.")
    if not isinstance(group[name], kind):
        raise ValueError(f"{group.name}/{name} is no {kind.__name__}.")
    return group[name]


def _h5_entry(dataset: Any) -> Entry:
    """Return the entry of a dataset that holds the numbers that it says it has."""
    shape, dtype = dataset.shape, dataset.dtype
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} has its numbers in another file.")
    if shape is None or dtype.kind not in "fiub":
        raise ValueError(f"{dataset.name} holds no numbers, but {dtype} of shape {shape}.")
    size, stored = math.prod(shape) * dtype.itemsize, dataset.id.get_storage_size()
    block = math.prod(dataset.chunks) * dtype.itemsize if dataset.chunks else 0
    if (size and not stored) or (not block and stored != size) or block > max(size, 2**20):
        raise ValueError(
            f"{dataset.name} claims {size} bytes, in blocks of {block}, and holds {stored}."
        )
    return Entry(shape, dtype, lambda: np.asarray(dataset[()]))


# -- NumPy -----------------------------------------------------------------------------------------


def write_npz(model: Any, file: BinaryIO) -> None:
    """Write a model's variables as an ``.npz`` file, by their paths in Keras's files."""
    arrays = {
        f"{path}/vars/{i}".lstrip("/"): variable.array
        for path, _, variables in places(model)
        for i, variable in enumerate(variables)
    }
    np.savez(file, **arrays)  # type: ignore[arg-type]


def npz_entries(archive: zipfile.ZipFile) -> Entries:
    """Return the entries of an ``.npz`` file."""
    found: dict[str, dict[str, Entry]] = {}
    for info in archive.infolist():
        path, _, name = f"/{info.filename.removesuffix('.npy')}".rpartition("/")
        found.setdefault(path, {})[name] = _npy_entry(archive, info)
    return lambda path: found.get(f"/{path}/vars".replace("//", "/"), {})


def _npy_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    """Return the entry of an ``.npy`` file; pickled objects are refused."""
    form = np.lib.format
    headers = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}

    def opened() -> tuple[Any, Any, bool, np.dtype]:
        file = archive.open(info)
        shape, transposed, dtype = headers[form.read_magic(file)](file)
        return file, shape, transposed, dtype

    _, shape, _, dtype = opened()
    if dtype.kind not in "fiub":
        raise ValueError(f"{info.filename} holds no numbers, but {dtype}.")

    def read() -> np.ndarray:
        file, _, transposed, _ = opened()
        size = math.prod(shape) * dtype.itemsize
        data = file.read(size + 1)  # to the end, where the checksum is compared
        return np.frombuffer(data, dtype).reshape(shape, order="F" if transposed else "C")

    return Entry(shape, dtype, read)
