"""Nested lists that contain tensors, as tensors to which gradients flow.

``tn.ops.sum([x, y])``, ``x * [y, 2.0]`` and ``tn.tensor([x, y])`` come here by `as_tensor`.

Imports `functional.py` and `../tree.py`. Read next: `tape.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import tree
from .bind import bind
from .dtypes import strong_dtype
from .functional import stack
from .primitives.elementwise import alias, cast
from .tensor import Tensor, as_tensor


def gathered(data: Any, like: np.dtype | None = None) -> Tensor:
    """Return nested lists or tuples that contain tensors as one tensor: `stack` at every level.

    Python numbers take the dtype `like`, by default that of the tensors, arrays and NumPy scalars;
    integers become floating beside floating ones.

    Raises
    ------
    ValueError
        If the parts have different shapes.

    >>> import tinynet as tn
    >>> x = tn.tensor([1.0, 2.0], "float64")
    >>> gathered([[x[0], 0.1], (3, x[1])])
    tensor([[1. , 0.1],
            [3. , 2. ]], dtype=float64)
    """
    like = like or strong_dtype(tree.flatten(data))
    is_list = [isinstance(x, (list, tuple)) for x in data]
    parts = [
        gathered(x, like) if n else as_tensor(x, like) for x, n in zip(data, is_list, strict=True)
    ]
    if len({part.shape for part in parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise ValueError(f"data: expected numbers in a regular shape, received shapes {shapes}.")
    return stack(parts) if parts else Tensor([], like)


def copied(data: Any, dtype: Any = None) -> Tensor:
    """Return a tensor, or nested lists of them, as a new tensor, converted to `dtype` if given."""
    t = as_tensor(data)
    return bind(alias, t) if dtype is None else bind(alias, cast(t, dtype))
