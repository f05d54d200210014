"""What a notebook shows: tensors, histories, layers, models and compiled functions.

Loaded when a notebook first displays one. Imports `../models`, `../explain/tables.py`. Read next:
`style.py`.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from ..engine.tensor import Operand, Tensor
from ..explain.tables import Table
from ..models import Model

ROWS, COLUMNS = 12, 10  # a larger tensor is shown as text, without its middle


def html(self: Any) -> str:
    """Return the HTML of an object: tables, or preformatted text.

    >>> import tinynet as tn
    >>> html(tn.tensor([1.0, 2.0]))
    '<div>tensor, float32 (2,)</div><table><tr><td>1</td><td>2</td></tr></table>'
    >>> html(tn.optimizers.SGD(0.5))
    '<pre>SGD(learning_rate=0.5)</pre>'
    """
    if isinstance(self, Operand):
        return _numbers(self)
    if isinstance(self, Model):
        return _summary(self)
    about = f"<pre>{escape(repr(self))}</pre>"
    if hasattr(self, "epoch"):  # a History
        return _epochs(self)
    if weights := getattr(self, "weights", None):  # a layer
        rows = [(w.path, str(w.shape), w.dtype) for w in weights]
        return about + Table("weights", ("path", "shape", "dtype"), rows)._repr_html_()
    sources = self.sources if hasattr(self, "sources") else ()  # of compiled functions
    return about + "".join(f"<pre>{escape(text)}</pre>" for text in sources)


def _numbers(self: Any) -> str:
    """Return a table of the numbers and, if there is one, a table of the gradient."""
    kind, value = ("tensor", self) if isinstance(self, Tensor) else (escape(self.path), self.value)
    html = f"<div>{kind}, {self.dtype} {self.shape}</div>{_table(value.data)}"
    if self.grad is not None:
        return f"{html}<div>gradient</div>{_table(self.grad)}"
    asks = value.tracked and value.equation is None
    return f"{html}<div>no gradient yet</div>" if asks else html


def _table(array: np.ndarray) -> str:
    rows = np.atleast_2d(array)
    if rows.ndim > 2 or rows.shape[0] > ROWS or rows.shape[1] > COLUMNS:
        return f"<pre>{escape(np.array2string(array, threshold=200, separator=', '))}</pre>"
    text = "{:.6g}".format if rows.dtype.kind == "f" else str
    lines = ("".join(f"<td>{text(value)}</td>" for value in row) for row in rows.tolist())
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _epochs(self: Any) -> str:
    """Return a table of the last epochs, of the logs that each epoch has."""
    count = len(self.epoch)
    columns = {key: values for key, values in self.history.items() if len(values) == count}
    rows = [*zip(self.epoch, *columns.values(), strict=True)]
    return Table(repr(self), ("epoch", *columns), rows[-ROWS:])._repr_html_()


def _summary(self: Model) -> str:
    """Return the summary of a model; in fonts in which a box's lines are as wide as its letters."""
    texts: list[str] = []
    self.summary(98, print_fn=texts.append)
    fonts = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
    style = f"white-space: pre; line-height: normal; font-family: {fonts}"
    return f'<pre style="{style}">{escape(texts[0])}</pre>'
