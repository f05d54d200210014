"""Tables of texts and numbers, as text for a terminal and as HTML for a notebook.

Imports nothing of the project. Read next: `step.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

FEW = 8  # samples, elements or columns are shown one by one up to this number, else summarized


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
        lines = ("".join(f"<td>{escape(_text(v))}</td>" for v in row) for row in self.rows)
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<p><b>{escape(self.title)}</b></p><table><tr>{head}</tr>{body}</table>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value + 0.0:.6g}"  # no minus before a 0


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
