"""Utilities, under Keras's path: ``tinynet.utils.set_random_seed(0)``.

Imports the modules whose functions it exports. Read next: `backend.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .callbacks.progbar import Progbar as Progbar
from .configs.lookup import clear_session as clear_session
from .engine.dtypes import floatx as floatx, set_floatx as set_floatx
from .engine.expect import expect as _expect, is_integer as _is_integer
from .engine.refusal import answering as _answering
from .engine.tensor import Operand, tensor
from .random import set_random_seed as set_random_seed
from .saving import CustomObjectScope as CustomObjectScope, get_custom_objects as get_custom_objects
from .saving import custom_object_scope as custom_object_scope
from .saving import deserialize_keras_object as deserialize_keras_object
from .saving import get_registered_name as get_registered_name
from .saving import get_registered_object as get_registered_object
from .saving import register_keras_serializable as register_keras_serializable
from .saving import serialize_keras_object as serialize_keras_object

if TYPE_CHECKING:
    from .datasets.download import get_file as get_file
    from .training.data import pack_x_y_sample_weight as pack_x_y_sample_weight
    from .training.data import unpack_x_y_sample_weight as unpack_x_y_sample_weight
    from .training.streams import PyDataset as PyDataset, Sequence as Sequence
    from .viz import plot_model as plot_model
else:
    _HOMES = {".datasets.download": "get_file", ".viz": "plot_model"}
    _HOMES[".training.data"] = "pack_x_y_sample_weight unpack_x_y_sample_weight"
    _HOMES[".training.streams"] = "PyDataset Sequence"


@_answering
def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Return a one-hot row for each class index in `x`.

    Parameters
    ----------
    x : array-like of integers from 0 to ``num_classes - 1``
        A last axis of length 1 is removed.
    num_classes : int, optional
        By default the largest index plus 1.

    Returns
    -------
    numpy.ndarray of float64, as in Keras; a tensor of dtype `floatx` for a tensor

    Raises
    ------
    ValueError
        For numbers that are not class indices.

    >>> to_categorical([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if isinstance(x, Operand):
        return tensor(to_categorical(x.numpy(), num_classes).astype(floatx()))
    given = np.asarray(x)
    if given.ndim > 1 and given.shape[-1] == 1:
        given = given[..., 0]
    finite = given.dtype.kind in "biuf" and bool(np.isfinite(given).all())
    count = num_classes or (int(given.max()) + 1 if finite and given.size else 0)
    rows = given[..., None] == np.arange(count) if finite else np.zeros(1)
    wanted = f"integers from 0 to num_classes - 1, with {num_classes=}"
    _expect(count >= 1 and rows.any(-1).all(), "to_categorical", wanted, x)
    return rows.astype("float64")


@_answering
def normalize(x: Any, axis: int | None = -1, order: float = 2) -> Any:
    """Return `x` divided by its norm along an axis; vectors of norm 0 stay as they are.

    Parameters
    ----------
    x : array-like or tensor
    axis : int or None
        None: divide by the norm of the whole array.
    order : float
        The order of the norm, as in `numpy.linalg.norm`.

    Returns
    -------
    numpy.ndarray, or a tensor for a tensor. A vector becomes an array of one row, as in Keras.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    if isinstance(x, Operand):
        return tensor(normalize(x.numpy(), axis, order).reshape(x.shape))
    _expect(axis is None or _is_integer(axis), "axis", "an integer or None", axis)
    array = np.atleast_1d(x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    norm[norm == 0] = 1
    return np.atleast_2d(array / norm)
