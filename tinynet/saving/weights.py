"""Weights in files: where Keras keeps each variable, and how untrusted files are read.

Every layer, model and optimizer has a location ``<path>/vars`` with its variables as ``0``, ``1``,
... The path consists of attribute names and, in lists, of class names: ``layers/dense_1`` is the
second `Dense` of the layers. What a file declares of its arrays is compared with the model before
anything is read, and everything is read before anything is assigned.

Imports h5py when it is needed. Read next: `archive.py`.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..configs.files import memory
from ..configs.lookup import snake_case
from ..configs.watched import all_or_nothing
from ..engine.expect import expect, package_of, warn
from ..engine.extras import imported
from ..engine.variable import Variable, assign_all
from ..layers.base import Layer
from ..optimizers.base import Optimizer
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo


class Location(NamedTuple):
    """The path in a file of the variables of one object."""

    path: str
    owner: Any
    variables: list[Variable]


class Entry(NamedTuple):
    """The declared shape and dtype of an array in a file, and a function that reads it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


Entries = Callable[[str], dict[str, Entry]]  # from a path to the entries there, by name

# Attributes of models that hold nothing beyond their `layers`.
_INTERNAL = {"_layers", "history"}
_PARTS = (Layer, Optimizer, list, tuple, dict)  # what may contain variables


def locations(thing: Any, path: str = "", seen: dict[int, Any] | None = None) -> Iterator[Location]:
    """Yield the locations of a model's variables, in Keras's order; one for each object."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return
    seen[id(thing)] = thing  # kept, so that no new object gets this id
    if isinstance(thing, Optimizer):
        yield Location(path, thing, thing.variables)
    elif isinstance(thing, Layer):
        yield Location(path, thing, thing._parts()[0])
        for name, part in _attributes(thing):
            yield from locations(part, f"{path}/{name}".lstrip("/"), seen)
    else:
        counts: Counter[str] = Counter()
        for part in thing.values() if isinstance(thing, dict) else thing:
            if isinstance(part, _PARTS):
                own = isinstance(part, (Layer, Optimizer))
                name = snake_case(type(part).__name__) if own else "container"
                number = f"_{counts[name]}" if counts[name] else ""
                counts[name] += 1
                yield from locations(part, f"{path}/{name}{number}", seen)


def _attributes(layer: Layer) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a layer by name, private ones last, also users' own properties."""
    names = set(vars(layer)) - _INTERNAL
    for cls in type(layer).__mro__:
        if package_of(cls) not in ("tinynet", "builtins"):
            names |= {name for name, value in vars(cls).items() if isinstance(value, property)}
    if isinstance(layer, Trainer):
        names.add("layers")
    listed = type(layer).layers is not Layer.layers  # of a graph or stack: these come first
    for name in sorted(names, key=lambda n: (not (listed and n == "layers"), n[:1] == "_", n)):
        try:
            value = getattr(layer, name)
        except MemoryError:  # or the file would lack a part
            raise
        except Exception:
            continue  # a property that is not defined yet
        if isinstance(value, _PARTS):
            yield name, value


# -- from a file to the model ----------------------------------------------------------------------


def load(model: Any, entries: Entries, skip_mismatch: bool = False) -> None:
    """Assign the arrays of a file to the variables of a model, and of its optimizer if it has one.

    Raises
    ------
    ValueError
        When the number, shapes or kinds of variables differ (with `skip_mismatch` a warning), or
        the file is damaged. Then nothing is changed.
    """
    found: list[tuple[Location, list[Entry]]] = []
    failed: dict[Any, ValueError] = {}
    for location in locations(model):
        try:
            found.append((location, _entries_for(location, entries(location.path), model)))
        except ValueError as error:
            failed[location.owner] = error
    if failed:
        errors = "\n".join(map(str, failed.values()))
        message = f"A total of {len(failed)} objects could not be loaded: {list(failed)}\n{errors}"
        if not skip_mismatch:
            raise ValueError(message)
        warn(message)
    declared = (entry for _, those in found for entry in those)
    memory.allocator.charge(sum(math.prod(e.shape) * e.dtype.itemsize for e in declared))
    read = [(location, [entry.read() for entry in those]) for location, those in found]
    values: dict[Variable, np.ndarray] = {}
    optimizers = [location.owner for location, _ in read if isinstance(location.owner, Optimizer)]
    # A number may be too large for a smaller dtype.
    with np.errstate(all="ignore"), all_or_nothing(*optimizers):
        for (_, owner, variables), arrays in read:
            if len(arrays) > len(variables):  # of an optimizer before its first step
                owner.build(model.trainable_variables)
                variables = owner.variables
            elif 0 < len(arrays) < len(variables):  # saved before the first step
                values |= owner.first_slots()
            values |= dict(zip(variables, arrays, strict=False))
        assign_all(values)


def _entries_for(location: Location, saved: dict[str, Entry], model: Any) -> list[Entry]:
    """Return the entries of the variables at a location; ValueError if they do not match.

    For an optimizer with another number of variables, return none and warn.
    """
    path, owner, variables = location
    if not isinstance(owner, Optimizer):
        return _matched(owner, variables, saved)
    before = [owner._iterations, *owner.rate_variables]  # the first step
    if not owner.built and path == "optimizer":
        weights = model.trainable_variables
        slots = [w for group in owner.slot_groups for w in weights for _ in group]
        variables = [*before, *slots, *owner.last_variables]
    for expected in (before, variables):
        if len(saved) == len(expected):
            return _matched(owner, expected, saved)
    counts = f"it has {len(variables)} variables and the saved one {len(saved)}"
    message = f"Skipping variable loading for optimizer '{owner.name}', because {counts}."
    warn(message)
    return []


def _matched(owner: Any, variables: list[Variable], saved: dict[str, Entry]) -> list[Entry]:
    """Return the entries of the variables; ValueError for other shapes or kinds of dtype."""
    numbers = [str(i) for i in range(len(variables))]
    if saved.keys() != set(numbers):
        names = [variable.name for variable in variables]
        raise ValueError(f"'{owner.name}' expected the variables {names}, received {list(saved)}.")
    for number, variable in zip(numbers, variables, strict=True):
        entry, expected = saved[number], variable.array
        kind, wanted = (dtype.kind.replace("u", "i") for dtype in (entry.dtype, expected.dtype))
        if entry.shape != expected.shape or kind != wanted:
            shape = f"shape {variable.shape} and dtype {variable.dtype}"
            received = f"shape {entry.shape} and dtype {entry.dtype}"
            raise ValueError(f"'{variable.path}' expected {shape}, received {received}.")
    return [saved[number] for number in numbers]


# -- HDF5 ------------------------------------------------------------------------------------------

# A digest after the HDF5 data reveals damage; other programs ignore it.
_MAGIC = b"tinynet1"


def h5py() -> Any:
    """Return the package h5py; ImportError that says how to get it."""
    return imported("h5py", "A file in Keras's format (weights alone can be '.npz')", "h5")


def h5_bytes(model: Any) -> bytes:
    """Return the HDF5 file of a model's variables."""
    buffer = io.BytesIO()
    with h5py().File(buffer, "w") as file:
        for path, owner, variables in locations(model):
            group = file.create_group(f"{path}/vars")
            group.attrs["name"] = owner.name
            for i, variable in enumerate(variables):
                group[str(i)] = variable.array
    return buffer.getvalue()


def signed(data: bytes) -> bytes:
    """Return `data` followed by its digest."""
    return data + _MAGIC + hashlib.sha256(data).digest()


def h5_entries(data: bytes) -> Entries:
    """Return the entries of an HDF5 file; ValueError, at once or when they are read, for damage."""
    if data[-40:-32] == _MAGIC and signed(data[:-40]) != data:
        raise ValueError("The file is damaged: its digest does not match its content.")
    file = h5py().File(io.BytesIO(data), "r")

    def entries(path: str) -> dict[str, Entry]:
        group = file
        for name in f"{path}/vars".strip("/").split("/"):
            if name not in group:
                return {}
            group = _member(group, name, h5py().Group)
        return {name: _h5_entry(_member(group, name, h5py().Dataset)) for name in group}

    return entries


def _member(group: Any, name: str, kind: type) -> Any:
    """Return the member `name` of a group; ValueError for a link, and unless it is a `kind`."""
    link = group.get(name, getclass=True, getlink=True)
    expect(link is h5py().HardLink, f"{group.name}/{name}", "an object in the file, no link", link)
    expect(isinstance(group[name], kind), f"{group.name}/{name}", kind.__name__, group[name])
    return group[name]


def _h5_entry(dataset: Any) -> Entry:
    """Return the entry of a dataset; ValueError if it does not hold the numbers it declares."""
    shape, dtype = dataset.shape, dataset.dtype
    outside, is_array = dataset.external or dataset.is_virtual, shape is not None
    expect(not outside, dataset.name, "its numbers in the file itself", outside)
    expect(is_array and dtype.kind in "fiub", dataset.name, "an array of numbers", dtype)
    size, stored = math.prod(shape) * dtype.itemsize, dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks) * dtype.itemsize if dataset.chunks else 0
    if (size and not stored) or (not chunk and stored != size) or chunk > max(size, 2**20):
        sizes = f"{size} bytes, in chunks of {chunk}"
        raise ValueError(f"{dataset.name} claims {sizes}, and holds {stored} bytes.")
    return Entry(shape, dtype, lambda: np.asarray(dataset[()]))


# -- NumPy -----------------------------------------------------------------------------------------


def npz_bytes(model: Any) -> bytes:
    """Return the ``.npz`` file of a model's variables, under their paths in Keras's files."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        f"{path}/vars/{i}".lstrip("/"): variable.array
        for path, _, variables in locations(model)
        for i, variable in enumerate(variables)
    }
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npz_entries(archive: ZipFile) -> Entries:
    """Return the entries of an ``.npz`` file."""
    found: dict[str, dict[str, Entry]] = {}
    for info in archive.infolist():
        path, _, name = f"/{info.filename.removesuffix('.npy')}".rpartition("/")
        found.setdefault(path, {})[name] = _npy_entry(archive, info)
    return lambda path: found.get(f"/{path}/vars".replace("//", "/"), {})


def _npy_entry(archive: ZipFile, info: ZipInfo) -> Entry:
    """Return the entry of an ``.npy`` file; ValueError for pickled objects."""
    npy = np.lib.format
    headers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    with archive.open(info) as file:
        shape, _, dtype = headers[npy.read_magic(file)](file)
    expect(dtype.kind in "fiub", info.filename, "an array of numbers", dtype)

    def read() -> np.ndarray:
        with archive.open(info) as file:
            array = npy.read_array(file, allow_pickle=False)
            if file.read(1):  # at the end zipfile verifies the checksum
                raise ValueError(f"{info.filename} has more bytes than its header declares.")
        return array

    return Entry(shape, dtype, read)
