"""What all pictures have in common: figures and axes, colours, labels, checks of arguments.

Imports `../models`, `../training/data.py`, and matplotlib when something is drawn. Read next:
`curves.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..models import Model
from ..training.data import to_array
from ..tree import is_structure

# Colour-blind safe: Okabe and Ito, "Color universal design", 2008.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, YELLOW, SKY = "#CC79A7", "#E69F00", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, YELLOW, SKY)
INK, GREY, PALE = "#222222", "#6B6B6B", "#D9D9D9"
DECADES = 1.5  # a larger range gets a logarithmic scale


def needs_matplotlib() -> None:
    """Raise an ImportError that says how to install matplotlib, if it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError(
            "Pictures are drawn with matplotlib: pip install 'tinynet[plot]', or matplotlib itself."
        ) from None


def new_figure(width: float, height: float, shows_itself: bool = False, **options: Any) -> Any:
    """Return a new figure of a size in inches.

    If pyplot or IPython is loaded, pyplot manages the figure, so that ``plt.show()`` and notebooks
    display it; otherwise it is freed with its last reference. `shows_itself` says that a notebook
    cell returns the figure and displays it as its result; pyplot must not display it again.
    """
    needs_matplotlib()
    notebook = "IPython" in sys.modules
    if notebook or "matplotlib.pyplot" in sys.modules:
        import matplotlib.pyplot as plt

        if not (notebook and shows_itself):
            with plt.rc_context({"figure.max_open_warning": 0}):
                return plt.figure(figsize=(width, height), **options)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **options)


def axes_for(ax: Any, width: float = 6.0, height: float = 4.0) -> Any:
    """Return the axes to draw in: those given, or new ones.

    Raises
    ------
    ValueError
        If `ax` is something else, such as the array that ``plt.subplots`` returns for several.
    """
    if ax is None:
        return new_figure(width, height, layout="constrained").add_subplot()
    if not hasattr(ax, "add_patch"):
        raise ValueError(f"ax: expected matplotlib axes, received {type(ax).__name__}.")
    return ax


def panels(ax: Any, rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, row by row: new ones, or those in `ax`.

    Raises
    ------
    ValueError
        If `ax` has another number of axes.
    """
    if ax is None:
        size = (width * columns, height * rows)
        figure = new_figure(*size, shows_itself=True, layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())
    found = [axes_for(each) for each in np.ravel(np.array(ax, dtype=object))]
    if len(found) != rows * columns:
        raise ValueError(f"ax: expected {rows * columns} axes, received {len(found)}.")
    return found[0].figure, found


def tidy(ax: Any, grid: bool = True) -> None:
    """Remove lines without meaning, and draw a pale grid."""
    ax.spines[["top", "right"]].set_visible(False)
    if grid:
        ax.grid(color=PALE, linewidth=0.6)
        ax.set_axisbelow(True)


def colors_of(count: int) -> Sequence[Any]:
    """Return `count` colours; up to six of them are colour-blind safe."""
    if count <= len(CYCLE):
        return CYCLE[:count]
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.95, count)))


def wants_log(values: Any, decades: float = DECADES) -> bool:
    """Return whether numbers are all positive and differ by more than this number of decades.

    >>> wants_log([0.01, 1.0, 5.0]), wants_log([1.0, 2.0]), wants_log([0.0, 1.0])
    (True, False, False)
    """
    found = np.asarray(values, "float64").ravel()
    found = found[np.isfinite(found)]
    if not found.size or found.min() <= 0:
        return False
    return bool(np.log10(found.max()) - np.log10(found.min()) > decades)


def log_scale(ax: Any, low: float, high: float) -> None:
    """Make y logarithmic, with labels even if the range contains no power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_yscale("log")
    axis = ax.yaxis
    axis.set_major_locator(LogLocator(subs=log_subs(low, high)))
    axis.set_major_formatter(plain)
    axis.set_minor_formatter(NullFormatter())


def log_subs(low: float, high: float) -> tuple[float, ...]:
    """Return the multiples of powers of ten that are labelled on a logarithmic axis."""
    return (1.0,) if high / low > 1e3 else (1.0, 2.0, 5.0)


def plain(value: float, position: int | None = None) -> str:
    """Return a number as short text, for an axis.

    >>> plain(0.001), plain(1e-7), plain(20.0)
    ('0.001', '1e-7', '20')
    """
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def words(name: str) -> str:
    """Return the name of a quantity as a label.

    >>> words("mean_squared_error"), words("mse"), words("val_loss")
    ('mean squared error', 'mean squared error', 'val loss')
    """
    name = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}.get(name.lower(), name)
    return name.replace("_", " ")


def loss_label(model: Any) -> str:
    """Return the name of a compiled model's loss, or "loss" if it has several."""
    loss = model.loss
    if isinstance(loss, str):
        return words(loss)
    name = getattr(loss, "name", None) or getattr(loss, "__name__", None)
    return words(name) if isinstance(name, str) and name != "<lambda>" else "loss"


def demand(model: Any, what: str, compiled: bool = False) -> None:
    """Raise a ValueError unless a model is built and, if `compiled`, compiled."""
    if not isinstance(model, Model):
        raise ValueError(f"{what}: expected a model, received {type(model).__name__}.")
    if not model.built:
        raise ValueError(
            f"{what}: model '{model.name}' is not built yet and so has no weights. Call "
            "`model.build(input_shape)`, or fit it, first."
        )
    if compiled and not model.compiled:
        raise ValueError(
            f"{what}: model '{model.name}' is not compiled and so has no loss. Call "
            "`model.compile(loss=...)` first."
        )


def samples(data: Any, argument: str, like: Any = None) -> np.ndarray:
    """Return data as an array of rows, float64.

    Raises
    ------
    ValueError
        For several arrays, data that are not numbers, or another number of rows than `like`.
    """
    if is_structure(data):
        raise ValueError(f"{argument}: expected a single array, received {type(data).__name__}.")
    array = to_array(data, argument).astype("float64")
    rows = array.reshape(len(array), -1)
    if like is not None and len(rows) != len(like):
        raise ValueError(f"{argument}: expected {len(like)} rows as in x, received {len(rows)}.")
    return rows
