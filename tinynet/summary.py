"""The table that `model.summary()` prints, drawn as Keras draws it.

Imports nothing of the project. Read next: `models.py`.
"""

from __future__ import annotations

import os
import textwrap
from typing import Any

HEADER = ("Layer (type)", "Output Shape", "Param #")


def summary_text(model: Any, line_length: int | None = None) -> str:
    """Return the table of a model's layers and the counts of its weights."""
    width = line_length or min(88, _columns() - 4)
    first, second = int(0.45 * width), int(0.80 * width)
    widths = (first - 1, second - first - 2, width - second - 1)
    if min(widths) < 4:
        raise ValueError(f"line_length: expected room for three columns, received {width}.")
    rows = [_cells((layer_name(x), output_shape(x), parameters(x)), widths) for x in model.layers]
    lines = [
        f'Model: "{model.name}"',
        _rule("┏━┳┓", widths),
        *_header(widths),
        _rule("┡━╇┩", widths),
    ]
    for i, row in enumerate(rows):
        lines += [_rule("├─┼┤", widths)] * (i > 0) + row
    return "\n".join([*lines, _rule("└─┴┘", widths), *_totals(model)]) + "\n"


def _columns() -> int:
    """Return the width of the terminal, 80 if there is none."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (OSError, ValueError):
        return 80


def layer_name(layer: Any) -> str:
    """Return a layer's name and class, as the first column has them."""
    return f"{layer.name} ({type(layer).__name__})"


def output_shape(layer: Any) -> str:
    """Return the shape of a layer's outputs, ``?`` if it is not known."""
    shape = getattr(layer, "batch_shape", layer.noted_shape)
    if shape is None and layer.built and layer.get_build_config()["input_shape"] is not None:
        shape = layer.compute_output_shape(layer.get_build_config()["input_shape"])
    return "?" if shape is None else f"({', '.join(map(str, shape))})"


def parameters(layer: Any) -> str:
    """Return how many weights a layer has, as the last column has it."""
    return f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"


def size(count: int, byte_count: int) -> str:
    """Return a number of weights and their memory.

    >>> size(1200, 4800)
    '1,200 (4.69 KB)'
    """
    amount, unit = float(byte_count), "B"
    for larger in ("KB", "MB", "GB"):
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


def _rule(marks: str, widths: tuple[int, ...]) -> str:
    return marks[0] + marks[2].join(marks[1] * w for w in widths) + marks[3]


def _header(widths: tuple[int, ...]) -> list[str]:
    """Return the lines of the header: those of a row, but standing at its bottom."""
    return [line.replace("│", "┃") for line in _cells(HEADER, widths, bottom=True)]


def _cells(texts: tuple[str, ...], widths: tuple[int, ...], bottom: bool = False) -> list[str]:
    """Return the lines of a row: texts wrapped at spaces, the last column set to the right."""
    columns = [_wrapped(text, w - 2) for text, w in zip(texts, widths, strict=True)]
    height = max(map(len, columns))
    empty = [[""] * (height - len(column)) for column in columns]
    filled = [e + c if bottom else c + e for c, e in zip(columns, empty, strict=True)]
    lines = []
    for parts in zip(*filled, strict=True):
        padded = [f" {part:<{w - 2}} " for part, w in zip(parts, widths, strict=True)]
        padded[-1] = f" {parts[-1]:>{widths[-1] - 2}} "
        lines.append(f"│{'│'.join(padded)}│")
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
