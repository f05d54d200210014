"""Tensors and models in a notebook: a table of numbers, a table of layers.

Loaded when a notebook first displays one. Imports `../models`. Read next: `style.py`.
"""

from __future__ import annotations

from html import escape

import numpy as np

from ..engine.tensor import Tensor
from ..models import Model

ROWS, COLUMNS = 12, 10  # a larger tensor is shown as text, without its middle


def tensor_html(self: Tensor) -> str:
    """Return a table of the numbers and, if there is one, a table of the gradient.

    >>> import tinynet as tn
    >>> tn.tensor([1.0, 2.0])._repr_html_()
    '<div>tensor, float32 (2,)</div><table><tr><td>1</td><td>2</td></tr></table>'
    """
    html = f"<div>tensor, {self.dtype} {self.shape}</div>{_table(self.data)}"
    if self.grad is not None:
        return f"{html}<div>gradient</div>{_table(self.grad)}"
    asks = self.tracked and self.equation is None
    return f"{html}<div>no gradient yet</div>" if asks else html


def _table(array: np.ndarray) -> str:
    rows = np.atleast_2d(array)
    if rows.ndim > 2 or rows.shape[0] > ROWS or rows.shape[1] > COLUMNS:
        return f"<pre>{escape(np.array2string(array, threshold=200, separator=', '))}</pre>"
    text = "{:.6g}".format if rows.dtype.kind == "f" else str
    lines = ("".join(f"<td>{text(value)}</td>" for value in row) for row in rows.tolist())
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def model_html(self: Model) -> str:
    """Return the summary of a model as preformatted text."""
    texts: list[str] = []
    self.summary(98, print_fn=texts.append)
    return f'<pre style="white-space: pre; line-height: normal">{escape(texts[0])}</pre>'
