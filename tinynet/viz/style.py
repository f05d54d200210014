"""What all pictures share: figures and axes, colours, labels, checks of arguments.

Imports `../models`, `../training/data.py`, and matplotlib when something is drawn. Read next:
`curves.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.expect import expect as expect
from ..engine.extras import imported
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
    imported("matplotlib", "A picture", "plot")


def new_figure(width: float, height: float, shows_itself: bool = False, **options: Any) -> Any:
    """Return a new figure of a size in inches.

    If pyplot or IPython is loaded, pyplot manages the figure, so that ``plt.show()`` and notebooks
    display it; otherwise it is freed with its last reference. `shows_itself` says that a notebook
    displays the figure as the result of its cell, so pyplot must not display it again.
    """
    needs_matplotlib()
    notebook = "IPython" in sys.modules
    if notebook or "matplotlib.pyplot" in sys.modules:
        import matplotlib.pyplot as plt

        if not (notebook and shows_itself):
            # `rc_context` would also undo the interactive mode that a notebook's first figure sets.
            most = plt.rcParams["figure.max_open_warning"]
            plt.rcParams["figure.max_open_warning"] = 0
            try:
                return plt.figure(figsize=(width, height), **options)
            finally:
                plt.rcParams["figure.max_open_warning"] = most
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
    expect(hasattr(ax, "add_patch"), "ax", "matplotlib axes", type(ax))
    return ax


def panels(ax: Any, count: int) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, side by side: new ones, or those in `ax`.

    Raises
    ------
    ValueError
        If `ax` has another number of axes.
    """
    if ax is None:
        figure = new_figure(5.2 * count, 3.6, shows_itself=True, layout="constrained")
        return figure, list(figure.subplots(1, count, squeeze=False)[0])
    found = [axes_for(each) for each in np.ravel(np.array(ax, dtype=object))]
    expect(len(found) == count, "ax", f"{count} axes", len(found))
    return found[0].figure, found


def tidy(ax: Any) -> None:
    """Remove the top and right spines, and draw a pale grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=PALE, linewidth=0.6)
    ax.set_axisbelow(True)


def legend_above(ax: Any, **options: Any) -> None:
    """Draw a legend in one line above the axes."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    ax.legend(**place, ncols=4, frameon=False, **options)


def colors_of(count: int) -> Sequence[Any]:
    """Return `count` colours; up to six of them are colour-blind safe."""
    from matplotlib import colormaps

    many = colormaps["viridis"](np.linspace(0, 0.95, count))
    return CYCLE[:count] if count <= len(CYCLE) else list(many)


def finite(values: Any) -> np.ndarray:
    """Return numbers with NaN for the infinite ones, which have no place on an axis."""
    array = np.asarray(values, "float64")
    return np.where(np.isfinite(array), array, np.nan)


def wants_log(values: Any, decades: float = DECADES) -> bool:
    """Return whether numbers are all positive and differ by more than this number of decades.

    >>> wants_log([0.01, 1.0, 5.0]), wants_log([1.0, 2.0]), wants_log([0.0, 1.0])
    (True, False, False)
    """
    found = np.asarray(values, "float64")
    found = found[np.isfinite(found)]
    return bool(found.size and found.min() > 0 and np.ptp(np.log10(found)) > decades)


def log_locator(low: float, high: float) -> Any:
    """Return a locator of ticks on a logarithmic axis, also for a range without powers of ten."""
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1.0,) if high / low > 1e3 else (1.0, 2.0, 5.0))


def log_scale(ax: Any, values: Any) -> None:
    """Make the y axis logarithmic, with labels for the range of `values`."""
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(log_locator(np.nanmin(values), np.nanmax(values)))
    ax.yaxis.set_major_formatter(plain)
    ax.yaxis.set_minor_formatter("")


def color_bar(drawn: Any, label: str, **options: Any) -> None:
    """Add a colour bar for what was drawn, by default to its axes."""
    from matplotlib.ticker import FuncFormatter

    bar = drawn.axes.figure.colorbar(drawn, label=label, format=FuncFormatter(plain), **options)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)


def plain(value: float, position: int | None = None) -> str:
    """Return a number as a short text for an axis.

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
    found = (loss, getattr(loss, "name", None), getattr(loss, "__name__", None), "loss")
    name = next(each for each in found if isinstance(each, str))
    return words(name) if name != "<lambda>" else "loss"


def expect_built(model: Any, what: str, compiled: bool = False) -> None:
    """Raise a ValueError unless `model` is a model that is built and, if `compiled`, compiled."""
    expect(isinstance(model, Model), what, "a model", type(model))
    if not model.built:
        raise ValueError(f"{what}: model '{model.name}' is not built. Call `build` or `fit` first.")
    if compiled and not model.compiled:
        raise ValueError(f"{what}: model '{model.name}' is not compiled. Call `compile` first.")


def samples(data: Any, argument: str) -> np.ndarray:
    """Return data as a float64 array with one row per sample.

    Raises
    ------
    ValueError
        For several arrays, or data that are not numbers.
    """
    expect(not is_structure(data), argument, "a single array", type(data))
    array = to_array(data, argument).astype("float64")
    return array.reshape(len(array), -1)
