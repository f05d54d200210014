"""The table that `model.summary()` prints, drawn as Keras draws it.

Imports `graph.py`. Read next: `model.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

from .. import tree
from ..layers.core import InputLayer
from ..training.trainer import Trainer
from .graph import Graph


class Column(NamedTuple):
    """A column: its header, its right end as a fraction of the table's width, and its alignment."""

    header: str
    end: float
    align: str


LINE = (
    Column("Layer (type)", 0.45, "<"),
    Column("Output Shape", 0.80, "<"),
    Column("Param #", 1.0, ">"),
)
GRAPH = (
    Column("Layer (type)", 0.3, "<"),
    Column("Output Shape", 0.56, "<"),
    Column("Param #", 0.74, ">"),
    Column("Connected to", 1.0, "<"),
)
TRAINABLE = Column("Trainable", 1.0, "^")


def summary_text(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """Return the table of a model's layers and the counts of its weights.

    Raises
    ------
    ValueError
        When the columns do not fit; for a wrong number of positions; for a range that names no
        layers.
    """
    graph = None if model.is_line else model.graph
    from shutil import get_terminal_size  # which nothing needs at start-up

    columns, width = (LINE, 88) if graph is None else (GRAPH, 108)
    ends = [column.end for column in columns] if positions is None else list(positions)
    if len(ends) != len(columns):
        raise ValueError(
            f"positions: expected {len(columns)} numbers, one for each column, received {positions}"
        )
    if show_trainable:
        columns, width = (*columns, TRAINABLE), width + 12
        ends = [*(0.9 * end for end in ends), 1.0]
    widths = _widths(ends, line_length or min(width, get_terminal_size().columns - 4))
    rows = [
        _cells(row, columns, widths)
        for layer in _chosen(model.layers, layer_range)
        for row in _rows(layer, graph, expand_nested, show_trainable)
    ]
    header = _cells([column.header for column in columns], columns, widths, bottom=True)
    lines = [
        f'Model: "{model.name}"',
        _rule("┏━┳┓", widths),
        *(line.replace("│", "┃") for line in header),
        _rule("┡━╇┩", widths),
    ]
    for i, row in enumerate(rows):
        lines += [_rule("├─┼┤", widths)] * (i > 0) + row
    return "\n".join([*lines, _rule("└─┴┘", widths), *_totals(model)]) + "\n"


# -- the contents ---------------------------------------------------------------------------------


def _chosen(layers: list[Any], layer_range: Sequence[str] | None) -> list[Any]:
    """Return the layers from the first to the last whose names match one of two patterns."""
    if layer_range is None:
        return layers
    if len(layer_range) != 2 or not all(isinstance(pattern, str) for pattern in layer_range):
        raise ValueError(
            "layer_range: expected two names of layers, or patterns of them, received "
            f"{layer_range}"
        )
    first, second = (
        [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        for pattern in layer_range
    )
    if not first or not second:
        raise ValueError(
            f"layer_range: no layers of these names: {layer_range}. The model's layers are "
            f"{[layer.name for layer in layers]}."
        )
    if min(first) > max(second):
        first, second = second, first
    return layers[min(first) : max(second) + 1]


def _rows(
    layer: Any, graph: Graph | None, expand_nested: bool, show_trainable: bool, level: int = 0
) -> list[list[str]]:
    """Return the row of a layer and, with `expand_nested`, those of a model's layers."""
    prefix = "   " * level + "└ " if level else ""
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", output_shape(layer), parameters(layer)]
    if graph is not None:
        row.append(connections(layer, graph))
    if show_trainable:
        row.append("YN"[not layer.trainable] if layer.weights else "-")
    nested = layer.layers if expand_nested and isinstance(layer, Trainer) else []
    inner = (_rows(x, graph, expand_nested, show_trainable, level + 1) for x in nested)
    return [row, *(row for rows in inner for row in rows)]


def output_shape(layer: Any) -> str:
    """Return the shape of a layer's outputs as text, ``?`` if it is not known."""
    shape = layer.batch_shape if isinstance(layer, InputLayer) else layer.symbolic_shape
    if shape is None and isinstance(layer, Trainer) and layer.graph:
        shape = layer.graph.output_shape
    build = layer.get_build_config() if shape is None and layer.built else None
    if build and build["input_shape"] is not None:
        try:
            shape = layer.compute_output_shape(build["input_shape"])
        except NotImplementedError:
            return "?"
    return "?" if shape is None else _shape_text(shape)


def _shape_text(shape: Any) -> str:
    """Return a shape, or a structure of shapes, as text.

    >>> _shape_text((None, 3)), _shape_text([(None, 3), (None, 1)]), _shape_text([(2,)])
    ('(None, 3)', '[(None, 3), (None, 1)]', '(2)')
    """
    parts = list(shape.values() if isinstance(shape, dict) else shape)
    if any(isinstance(part, (list, tuple, dict)) for part in parts):
        texts = [_shape_text(part) for part in parts]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f"({', '.join(map(str, parts))})"


def parameters(layer: Any) -> str:
    """Return the text of the third column: the number of a layer's weights."""
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def connections(layer: Any, graph: Graph) -> str:
    """Return the inputs of a layer's calls: ``name[number of the call][index of the output]``."""
    inputs = (x for call in graph.calls_of.get(layer, ()) for x in tree.flatten(call.inputs))
    return ", ".join(map(_source, inputs)) or "-"


def _source(x: Any) -> str:
    call, numbers = x.call, x.call.layer.symbolic_calls
    number = numbers.index(call.number) if call.number in numbers else 0  # of an input layer
    return f"{call.layer.name}[{number}][{call.outputs.index(x)}]"


def size(count: int, byte_count: int) -> str:
    """Return a number of weights, and their memory in a suitable unit.

    >>> size(1200, 4800)
    '1,200 (4.69 KB)'
    """
    amount, unit = float(byte_count), "B"
    for larger in ("KB", "MB", "GB", "TB", "PB"):
        if amount >= 1024:
            amount, unit = amount / 1024, larger
    return f"{count:,} ({amount:.2f} {unit})"


def _totals(model: Any) -> list[str]:
    trains, rests = model.trainable_weights, model.non_trainable_weights
    optimizer = model.optimizer if model.compiled and model.optimizer.built else None
    slots = optimizer.variables if optimizer else []
    groups = [("Total", [*trains, *rests, *slots]), ("Trainable", trains), ("Non-trainable", rests)]
    if optimizer:
        groups.append(("Optimizer", slots))
    return [
        f" {name} params: {size(sum(w.size for w in ws), sum(w.numpy().nbytes for w in ws))}"
        for name, ws in groups
    ]


# -- the drawing ----------------------------------------------------------------------------------


def _widths(ends: list[float], line_length: int) -> list[int]:
    """Return the widths of the columns inside their borders.

    An end counts the text alone. The borders, and a space on either side of a text, are taken off
    all columns evenly; room that is left is shared in proportion. So does rich, the library with
    which Keras draws its tables.
    """
    stops = [int(end * line_length) for end in ends]
    widths = [b - a for a, b in pairwise([0, *stops])]
    if min(widths) < 4:
        raise ValueError(
            f"line_length: expected room for {len(ends)} columns, received {line_length}."
        )
    widths = [width + 2 for width in widths]
    excess = sum(widths) - (line_length - len(widths) - 1)
    total = sum(widths)
    for i, width in enumerate(widths):
        if excess >= 0:
            change = -min(width, round(excess / (len(widths) - i)))
        else:
            change = math.ceil(width * -excess / total)
        widths[i] += change
        excess += change
        total -= width
    return widths


def _rule(marks: str, widths: list[int]) -> str:
    return marks[0] + marks[2].join(marks[1] * w for w in widths) + marks[3]


def _cells(
    texts: list[str], columns: Sequence[Column], widths: list[int], bottom: bool = False
) -> list[str]:
    """Return the lines of a row: its texts wrapped at spaces, aligned at the top or the bottom."""
    wrapped = [_wrapped(text, width - 2) for text, width in zip(texts, widths, strict=True)]
    if bottom:
        wrapped = [lines[::-1] for lines in wrapped]
    rows = [
        "│".join(
            f" {part:{column.align}{width - 2}} "
            for part, column, width in zip(parts, columns, widths, strict=True)
        )
        for parts in zip_longest(*wrapped, fillvalue="")
    ]
    return [f"│{row}│" for row in (rows[::-1] if bottom else rows)]


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text; a word longer than a line is cut and ends in an ellipsis.

    >>> _wrapped("a functional (Functional)", 10)
    ['a', 'functional', '(Function…']
    """
    lines = [""]
    for word in re.findall(r"\s*\S+\s*", text):
        if len(lines[-1]) + len(word.rstrip()) > width and lines != [""]:
            lines.append("")
        lines[-1] += word
    lines = [line.rstrip() for line in lines]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
