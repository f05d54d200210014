"""The table that `model.summary()` prints, drawn as Keras draws it.

Imports `graph.py`, `../callbacks/progbar.py`. Read next: `model.py`.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from typing import Any

from ..callbacks.progbar import write
from ..engine.expect import expect
from ..training.trainer import Trainer
from .graph import Graph

# The columns: for each its right end as a fraction of the table's width.
LINE = {"Layer (type)": 0.45, "Output Shape": 0.80, "Param #": 1.0}
GRAPH = {"Layer (type)": 0.3, "Output Shape": 0.56, "Param #": 0.74, "Connected to": 1.0}
ALIGNED = {"Param #": ">", "Trainable": "^"}  # other columns are aligned to the left


def print_summary(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """Print a table of the layers, their output shapes and numbers of weights.

    If the layers are not simply one after the other, a further column names their inputs.

    Parameters
    ----------
    line_length : int, optional
        By default the terminal's width minus 4, at most 88, or 108 with the further column.
    positions : list of float, optional
        The right ends of the columns, as fractions of the line.
    print_fn : function of the whole text, optional
        Called instead of `print`.
    expand_nested : bool
        Whether to list the layers of nested models, too.
    show_trainable : bool
        Whether to show which layers are trainable.
    layer_range : two names of layers, or regular expressions for them, optional
        The first and the last layer to list.

    Raises
    ------
    ValueError
        When the columns do not fit; for a wrong number of positions; for a range that names
        no layers.
    """
    graph = None if model.is_line else model.graph
    from shutil import get_terminal_size  # which nothing needs at start-up

    columns, width = (LINE, 88) if graph is None else (GRAPH, 108)
    ends = list(columns.values() if positions is None else positions)
    expect(len(ends) == len(columns), "positions", f"{len(columns)} column ends", positions)
    if show_trainable:
        columns, width = {**columns, "Trainable": 1.0}, width + 12
        ends = [*(0.9 * end for end in ends), 1.0]
    room = max(8 * len(ends), get_terminal_size().columns - 4)
    widths = _widths(ends, line_length or min(width, room))
    cells = [(ALIGNED.get(name, "<"), w - 2) for name, w in zip(columns, widths, strict=True)]
    layers = _chosen(getattr(model, "operations", model.layers), layer_range)
    rows = chain(*(_rows(layer, graph, expand_nested, show_trainable) for layer in layers))
    header = _cells(columns, cells, "┃", bottom=True)
    head = [f'Model: "{model.name}"', _rule("┏━┳┓", widths), *header, _rule("┡━╇┩", widths)]
    rule = _rule("├─┼┤", widths)
    body = [line for row in rows for line in (rule, *_cells(row, cells, "│"))][1:]
    (print_fn or write)("\n".join([*head, *body, _rule("└─┴┘", widths), *_totals(model), ""]))


# -- the contents ---------------------------------------------------------------------------------


def _chosen(layers: list[Any], layer_range: Sequence[str] | None) -> list[Any]:
    """Return the layers from the first to the last whose names match one of two patterns."""
    if layer_range is None:
        return layers
    names = [layer.name for layer in layers]
    found = [[i for i, name in enumerate(names) if re.match(str(p), name)] for p in layer_range]
    wanted = f"two names of layers, or patterns of them, among {names}"
    expect(len(found) == 2 and all(found), "layer_range", wanted, layer_range)
    first, last = found if min(found[0]) <= max(found[1]) else found[::-1]
    return layers[min(first) : max(last) + 1]


def _rows(
    layer: Any, graph: Graph | None, expand_nested: bool, show_trainable: bool, level: int = 0
) -> list[list[str]]:
    """Return the row of a layer and, with `expand_nested`, those of a model's layers."""
    prefix = "\xa0" * 3 * level + "└ " if level else ""  # no-break spaces: see `_wrapped`
    weights = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    row = [f"{prefix}{layer.name} ({type(layer).__name__})", _output_shape(layer), weights]
    if graph is not None:
        row.append(_connections(layer, graph))
    if show_trainable:
        row.append("YN"[not layer.trainable] if layer.weights else "-")
    expands = expand_nested and isinstance(layer, Trainer)
    nested = getattr(layer, "operations", layer.layers) if expands else []
    inner = (_rows(x, graph, expand_nested, show_trainable, level + 1) for x in nested)
    return [row, *chain(*inner)]


def _output_shape(layer: Any) -> str:
    """Return the shape of a layer's outputs as text, ``?`` if it is not known."""
    shape = layer.symbolic_shape
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


def _connections(layer: Any, graph: Graph) -> str:
    """Return the inputs of a layer's calls: ``name[number of the call][index of the output]``."""
    inputs = (x for call in graph.calls_of.get(layer, ()) for x in call.inputs)
    return ", ".join(map(_source, inputs)) or "-"


def _source(x: Any) -> str:
    call, layer = x.call, x.call.layer
    return f"{layer.name}[{layer.symbolic_calls.index(call.number)}][{call.outputs.index(x)}]"


def size(count: int, byte_count: int) -> str:
    """Return a number of weights, and their memory in a suitable unit.

    >>> size(1200, 4800)
    '1,200 (4.69 KB)'
    """
    power = min(max(byte_count.bit_length() - 1, 0) // 10, 5)
    unit = ("B", "KB", "MB", "GB", "TB", "PB")[power]
    return f"{count:,} ({byte_count / 1024**power:.2f} {unit})"


def _totals(model: Any) -> list[str]:
    groups = {"Trainable": model.trainable_weights, "Non-trainable": model.non_trainable_weights}
    if model.optimizer and model.optimizer.built:
        groups["Optimizer"] = model.optimizer.variables
    return [
        f" {name} params: {size(sum(w.size for w in ws), sum(w.numpy().nbytes for w in ws))}"
        for name, ws in {"Total": [*chain(*groups.values())], **groups}.items()
    ]


# -- the drawing ----------------------------------------------------------------------------------


def _widths(ends: list[float], line_length: int) -> list[int]:
    """Return the widths of the columns inside their borders.

    An end counts only the text. The borders, and a space on either side of a text, are taken off
    all columns evenly; room that is left is shared in proportion. So the table has the widths that
    it has in Keras, which draws it by the library rich.
    """
    widths = [b - a + 2 for a, b in pairwise([0, *(int(end * line_length) for end in ends)])]
    expect(min(widths) >= 6, "line_length", f"more room for {len(ends)} columns", line_length)
    excess, total = sum(widths) - (line_length - len(widths) - 1), sum(widths)
    for i, width in enumerate(widths):
        even = -min(width, round(excess / (len(widths) - i)))
        change = even if excess >= 0 else math.ceil(width * -excess / total)
        widths[i] += change
        excess, total = excess + change, total - width
    return widths


def _rule(marks: str, widths: list[int]) -> str:
    return marks[0] + marks[2].join(marks[1] * w for w in widths) + marks[3]


def _cells(
    texts: Iterable[str], columns: list[tuple[str, int]], edge: str, bottom: bool = False
) -> list[str]:
    """Return the lines of a row: its texts wrapped at spaces, aligned at the top or the bottom."""
    wrapped = [_wrapped(text, width) for text, (_, width) in zip(texts, columns, strict=True)]
    height = max(map(len, wrapped))
    for lines in wrapped:
        blank = [""] * (height - len(lines))
        lines[:] = blank + lines if bottom else lines + blank
    specs = [f"{align}{width}" for align, width in columns]
    rows = (map(format, parts, specs) for parts in zip(*wrapped, strict=True))
    return [f"{edge} {f' {edge} '.join(row)} {edge}" for row in rows]


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text; a word longer than a line is cut and ends in an ellipsis.

    No-break spaces stay with the word that follows, and become spaces.

    >>> _wrapped("a functional (Functional)", 10)
    ['a', 'functional', '(Function…']
    """
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    lines = [line.replace("\xa0", " ") for line in lines]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]
