"""Tables of texts and numbers, and the HTML that notebooks show of these and other objects.

`../public.py` calls `html`, which is imported when a notebook first shows an object.

Imports the engine's tensors. Read next: `step.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from ..engine.tensor import Operand, Tensor

FEW = 8  # up to this number, samples or elements are shown one by one, else summarized
ROWS, COLUMNS = 12, 10  # a notebook shows a larger tensor as text, without its middle
MONOSPACE = "'DejaVu Sans Mono', Menlo, Consolas, monospace"


@dataclass(frozen=True, repr=False)
class Table:
    """A table with a title: a header, and rows of texts and numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def text(self) -> str:
        """Return the table as lines; texts are aligned to the left, numbers to the right."""
        rows = [list(map(_text, row)) for row in self.rows]
        cells = [list(self.header), *rows] if any(self.header) else rows
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
        columns = zip(*self.rows, strict=True)
        aligns = ["<" if all(isinstance(v, str) for v in column) else ">" for column in columns]
        layout = "  " + "  ".join(map("{{:{}{}}}".format, aligns, widths))
        return "\n".join([self.title, *(layout.format(*row).rstrip() for row in cells)])

    __str__ = __repr__ = text

    def _repr_html_(self) -> str:
        """Return the table as HTML."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.header)
        body = _html_rows(map(_text, row) for row in self.rows)
        return f"<p><b>{escape(self.title)}</b></p><table><tr>{head}</tr>{body}</table>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value + 0.0:.6g}"  # no minus before a 0


def _html_rows(rows: Iterable[Iterable[str]]) -> str:
    lines = ("".join(f"<td>{escape(text)}</td>" for text in row) for row in rows)
    return "".join(f"<tr>{line}</tr>" for line in lines)


def short_path(path: str, index: tuple[int, ...] = ()) -> str:
    """Return the last two parts of a weight's path, with the index of an element.

    >>> short_path("net/dense/kernel", (0, 1))
    'dense/kernel[0, 1]'
    """
    short = "/".join(path.split("/")[-2:])
    return f"{short}[{', '.join(map(str, index))}]" if index else short


def summary(array: np.ndarray) -> str:
    """Return the numbers of a small array, or the range and the mean of a larger one."""
    if array.size <= FEW:
        return "  ".join(f"{v:.6g}" for v in array.ravel())
    return f"from {array.min():.4g} to {array.max():.4g}, mean {array.mean():.4g}"


# -- HTML for notebooks ----------------------------------------------------------------------------


def html(self: Any) -> str:
    """Return the HTML of an object: tables, or preformatted text.

    >>> import tinynet as tn
    >>> html(tn.tensor([1.0, 2.0]))
    '<div>tensor, float32 (2,)</div><table><tr><td>1</td><td>2</td></tr></table>'
    >>> html(tn.optimizers.SGD(0.5))
    '<pre>SGD(learning_rate=0.5)</pre>'
    """
    if isinstance(self, Operand):
        return _html_numbers(self)
    if hasattr(self, "explain_step"):  # a model
        texts: list[str] = []
        self.summary(98, print_fn=texts.append)
        # In these fonts, characters that draw boxes are as wide as letters.
        style = f"white-space: pre; line-height: normal; font-family: {MONOSPACE}"
        return f'<pre style="{style}">{escape(texts[0])}</pre>'
    if hasattr(self, "epoch"):  # a History: its last epochs, and the logs that all epochs have
        count = len(self.epoch)
        columns = {key: values for key, values in self.history.items() if len(values) == count}
        rows = [*zip(self.epoch, *columns.values(), strict=True)]
        return Table(repr(self), ("epoch", *columns), rows[-ROWS:])._repr_html_()
    about = f"<pre>{escape(repr(self))}</pre>"
    if weights := getattr(self, "weights", None):  # a layer
        rows = [(w.path, str(w.shape), w.dtype) for w in weights]
        return about + Table("weights", ("path", "shape", "dtype"), rows)._repr_html_()
    sources = getattr(self, "sources", ())  # of compiled functions
    return about + "".join(f"<pre>{escape(text)}</pre>" for text in sources)


def _html_numbers(self: Any) -> str:
    """Return a table of the numbers and, if there is one, a table of the gradient."""
    kind, value = ("tensor", self) if isinstance(self, Tensor) else (escape(self.path), self.value)
    html = f"<div>{kind}, {self.dtype} {self.shape}</div>{_html_table(value.data)}"
    if self.grad is not None:
        return f"{html}<div>gradient</div>{_html_table(self.grad)}"
    is_leaf = value.tracked and value.equation is None
    return f"{html}<div>no gradient yet</div>" if is_leaf else html


def _html_table(array: np.ndarray) -> str:
    rows = np.atleast_2d(array)
    if rows.ndim > 2 or rows.shape[0] > ROWS or rows.shape[1] > COLUMNS:
        return f"<pre>{escape(np.array2string(array, threshold=200, separator=', '))}</pre>"
    text = "{:.6g}".format if rows.dtype.kind == "f" else str
    return f"<table>{_html_rows(map(text, row) for row in rows.tolist())}</table>"
