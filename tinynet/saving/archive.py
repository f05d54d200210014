"""Models as files: the ``.keras`` archive, and files of weights alone.

An archive is a zip file of `config.json`, which describes the model, `model.weights.h5` with its
numbers, and `metadata.json`. Saving writes a complete file or none. Loading reads and checks
everything before it changes anything, and never runs, imports or unpickles what a file names.

Imports `weights.py`, `../configs/files.py`. Read next: `weights.py`.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from typing import Any

from ..configs import files
from ..configs.serialization import deserialize_keras_object, serialize_keras_object, sharing
from ..distribution.ranks import by_rank_0
from ..engine.expect import warn
from ..engine.refusal import answering
from ..engine.temporarily import temporarily
from ..training.trainer import Trainer
from . import weights

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
KERAS = "3.15.1"  # the version that defines this format


# -- saving ----------------------------------------------------------------------------------------


@by_rank_0
@answering
def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
) -> None:
    """Save a model to a ``.keras`` file: its config, its weights, and the state of its training.

    The file is written completely or not at all. Keras can load it.

    Parameters
    ----------
    model : Model
    filepath : str or path
    overwrite : bool
        Whether to replace an existing file without asking.
    zipped : bool, optional
        False, for a folder instead of a file, is not supported.

    Raises
    ------
    ValueError
        For an extension other than ``.keras``, and for objects that a config cannot describe.
    ImportError
        Without the package h5py.

    >>> import tempfile, tinynet as tn
    >>> path = tempfile.mkdtemp() + "/m.keras"
    >>> tn.Sequential([tn.Input((2,)), tn.layers.Dense(1)], name="line").save(path)
    >>> tn.models.load_model(path)
    <Sequential name=line, built=True>
    """
    path = _path(filepath, ".keras")
    kwargs.pop("include_optimizer", None)
    if kwargs:
        raise ValueError(f"The following argument(s) are not supported: {list(kwargs)}")
    if zipped is False:
        raise ValueError("zipped: a model is saved as a file, not as a folder, received False.")
    if not _may_write(path, overwrite):
        return
    from zipfile import ZipFile  # only needed for files, and slow to import

    if not model.built:
        warn("You are saving a model that has not yet been built: call it on some data first.")
    with sharing():
        config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": KERAS, "date_saved": now})
    data = weights.h5_bytes(model)
    with files.replacing(path) as file, ZipFile(file, "w") as archive:
        archive.writestr(_METADATA, metadata)
        archive.writestr(_CONFIG, config)
        archive.writestr(_WEIGHTS, data)


@by_rank_0
@answering
def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, max_shard_size: None = None
) -> None:
    """Save weights and optimizer state to a ``.weights.h5`` file, or ``.weights.npz`` without h5py.

    Raises
    ------
    ValueError
        For another extension, a model that is not built, and `max_shard_size`, which is not
        supported.
    ImportError
        For ``.weights.h5`` without the package h5py.
    """
    path = _path(filepath, ".weights.h5", ".weights.npz")
    if max_shard_size is not None:
        raise ValueError(f"max_shard_size: not supported by tinynet, received {max_shard_size}.")
    _refuse_unbuilt(model)
    if not _may_write(path, overwrite):
        return
    npz = path.endswith(".npz")
    data = weights.npz_bytes(model) if npz else weights.signed(weights.h5_bytes(model))
    with files.replacing(path) as file:
        file.write(data)


def _path(filepath: Any, *endings: str) -> str:
    """Return `filepath` as a string; ValueError unless it has one of these endings.

    ImportError if such a file needs the package h5py, and it is missing.
    """
    path = files.as_path(filepath)
    if not path.endswith(endings):
        wanted = f"a name that ends in {' or '.join(endings)}, received {path!r}"
        advice = "Keras reads `.h5` files of whole models, and saves them as `.keras`"
        raise ValueError(f"filepath: expected {wanted}. {advice}.")
    if not path.endswith(".npz"):
        weights.h5py()
    return path


def _may_write(path: str, overwrite: bool) -> bool:
    """Return whether to write to `path`; as in Keras, ask before an existing file is replaced."""
    answer = "y" if overwrite or not os.path.exists(path) else ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]").strip().lower()
    return answer == "y"


def _refuse_unbuilt(model: Any) -> None:
    if not model.built:
        raise ValueError("The model has not yet been built: call it on some data first.")


# -- loading ---------------------------------------------------------------------------------------


@answering
def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Return the model of a ``.keras`` file, written here or by Keras.

    Parameters
    ----------
    filepath : str or path
    custom_objects : dict from names to your own classes and functions, optional
    compile : bool
        Whether to compile the model as it was, with the optimizer's state.
    safe_mode : bool
        Accepted for compatibility with Keras. Code in a file is never run.

    Raises
    ------
    ValueError
        When the file does not exist, is damaged, describes more memory than its size justifies,
        or names an object that tinynet does not have.
    ImportError
        Without the package h5py.
    """
    path, compile = _path(filepath, ".keras"), bool(compile)
    with files.refusing(f"'{path}'"), open(path, "rb") as file:
        archive = files.opened(file)
        config = files.parsed(files.member(archive, _CONFIG), files.allowance(file))
        entries = weights.h5_entries(files.member(archive, _WEIGHTS))
        if isinstance(config, dict) and not compile:
            config.pop("compile_config", None)
        with temporarily(files.memory, allocator=files.Budget(files.allowance(file))):
            model = model_of(config, custom_objects)
            weights.load(model, entries)
    return model


def model_of(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return a new model that a config describes; ValueError if it describes another object."""
    with sharing():
        model = deserialize_keras_object(config, custom_objects)
    if not isinstance(model, Trainer):
        raise ValueError(f"Expected the config of a model, received that of {model!r}.")
    return model


@answering
def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Load weights and optimizer state from a ``.weights.h5``, ``.keras`` or ``.npz`` file.

    Parameters
    ----------
    model : Model, built
    filepath : str or path
    skip_mismatch : bool
        Whether to skip, with a warning, layers whose weights have other shapes.

    Raises
    ------
    ValueError
        When the file is damaged, or its weights do not match the model's. Then nothing is changed.
    ImportError
        For any file but ``.npz`` without the package h5py.
    """
    path = _path(filepath, ".weights.h5", ".keras", ".npz")
    _refuse_unbuilt(model)
    with open(path, "rb") as file, files.refusing(f"'{path}'"):
        if path.endswith(".h5"):
            entries = weights.h5_entries(file.read())
        elif path.endswith(".npz"):
            entries = weights.npz_entries(files.opened(file))
        else:
            entries = weights.h5_entries(files.member(files.opened(file), _WEIGHTS))
        weights.load(model, entries, skip_mismatch)
