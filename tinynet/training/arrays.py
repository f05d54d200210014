"""Users' data as arrays: lists, tables, sparse matrices, tensors.

Imports NumPy and the engine; what other packages give is known by its methods. Read next:
`data.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from .. import tree
from ..engine.expect import expect, is_integer
from ..engine.tensor import Operand, floatx

# What is data itself, rather than batches of it.
PLAIN = (list, tuple, dict, range, str, bytes, type, Operand)
# What is refused, by package and class, and the method that makes data of it.
REFUSED = {("polars", "LazyFrame"): "collect()", ("xarray", "Dataset"): "to_dataframe()"}


def to_array(data: Any, argument: str, dense: bool = True) -> Any:
    """Return `data` as an array with samples along its first axis, floats converted to `floatx`.

    The user's own array if it has that dtype: it is read, never written. Missing numbers of a table
    are NaN. A sparse matrix stays sparse, as `SparseRows`, unless `dense`.

    Raises
    ------
    ValueError
        For dtypes other than numbers and bools (the error names the column of a table), for masked
        elements, for ragged lists, without a first axis, and for what `REFUSED` lists.
    """
    if hasattr(data, "tocsr"):
        array = data.toarray() if dense else SparseRows(data.tocsr())
    else:
        array = _dense(data, argument)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"Invalid dtype: {array.dtype.name}. Expected numbers in {argument}.")
    expect(array.ndim, argument, "an axis of samples", data)
    kinds = "fiu" if isinstance(data, (list, tuple)) else "f"
    return array.astype(floatx(), copy=False) if array.dtype.kind in kinds else array


def _dense(data: Any, argument: str) -> np.ndarray:
    """Return data that are not sparse as an array of any dtype."""
    if type(data) is np.ndarray:
        return data
    if isinstance(data, Operand):
        return data.numpy()
    kind = type(data).__module__.split(".")[0], type(data).__name__
    expect(kind not in REFUSED, argument, f"data; call {REFUSED.get(kind)} first", type(data))
    if hasattr(data, "filled"):  # a masked array
        advice = "an array without masked elements (drop them, or call filled(value))"
        expect(not np.any(data.mask), argument, advice, data)
    if (columns := _columns(data)) is not None:
        place = "column {!r} of {}: encode or drop it".format
        arrays = [to_array(_numbers(np.asarray(x)), place(name, argument)) for name, x in columns]
        expect(arrays, argument, "a table with columns", data)
        return np.stack(arrays, axis=1)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"{argument}: expected an array of a regular shape: {error}") from None
    return _numbers(array) if hasattr(data, "__array__") else array


def _columns(data: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the names and columns of a table of pandas, Polars or Arrow, None for other data."""
    if hasattr(data, "get_columns"):
        return [(column.name, column) for column in data.get_columns()]
    if hasattr(data, "column_names"):
        return zip(data.column_names, data.columns, strict=True)
    return data.items() if hasattr(data, "columns") and hasattr(data, "items") else None


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return objects as floats if each of them is a number or missing, which becomes NaN."""
    if values.dtype != object or values.ndim != 1:
        return values
    floats = [np.nan if v is None or type(v).__name__ == "NAType" else v for v in values]
    kinds = Real, np.bool_
    numbers = all(isinstance(v, kinds) or type(v).__name__ == "Decimal" for v in floats)
    return np.array([float(v) for v in floats]) if numbers else values


class SparseRows:
    """The rows of a sparse matrix of SciPy, which become dense when they are taken."""

    def __init__(self, matrix: Any) -> None:
        self.matrix, self.shape, self.dtype = matrix, matrix.shape, matrix.dtype
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self.matrix[rows].toarray()

    def take(self, rows: Any, axis: int, out: np.ndarray, mode: str) -> None:
        """Write the rows of these indices to `out`; the other parameters are those of NumPy."""
        out[...] = self[rows]

    def astype(self, dtype: Any, copy: bool) -> SparseRows:
        """Return the rows in another dtype."""
        return SparseRows(self.matrix.astype(dtype, copy=copy))


def rows_of(array: Any, rows: slice) -> Any:
    """Return some rows of an array, or of `SparseRows`, as a sparse matrix."""
    return array.matrix[rows] if isinstance(array, SparseRows) else array[rows]


def is_stream(x: Any) -> bool:
    """Return whether `x` yields batches, rather than being data itself.

    >>> is_stream(iter([])), is_stream([1.0, 2.0]), is_stream(np.ones(3))
    (True, False, False)
    """
    if isinstance(x, PLAIN) or hasattr(x, "__array__") or hasattr(x, "tocsr"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def by_class(y: Any, sample_weight: Any, class_weight: Any, whole: bool) -> np.ndarray:
    """Return the weight of each sample's class: y rounded, or the index of its largest element.

    Raises
    ------
    ValueError
        With sample weights, for targets of several outputs, unless `class_weight` is a dict, and
        for a key that is no class: outside of one-hot targets, or, if these are the `whole` data,
        not in y and not from 0 to its largest class, which is 1 or above.
    """
    is_dict = isinstance(class_weight, Mapping)
    valid = is_dict and all(map(is_integer, class_weight))
    expect(valid, "class_weight", "a dict from classes, integers, to weights", class_weight)
    if tree.is_structure(y):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if sample_weight is not None:
        raise ValueError("Pass only one of `sample_weight` and `class_weight`, not both.")
    y = to_array(y, "y")
    one_hot = y.ndim > 1 and y.shape[-1] > 1
    classes = y.argmax(-1) if one_hot else np.round(y.reshape(len(y)))
    most = y.shape[-1] - 1 if one_hot else np.fmax.reduce(classes, initial=1)
    wrong = [k for k in class_weight if not 0 <= k <= most and (one_hot or k not in classes)]
    expected = f"keys that are classes of y, from 0 to {most:g}"
    expect(not wrong or not (one_hot or whole), "class_weight", expected, wrong)
    return np.array([class_weight.get(c, 1.0) for c in classes.tolist()], floatx())
