"""Pictures of the weights of a model: small ones as matrices, large ones as histograms.

Imports `style.py`. Read next: `landscape.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..explain.tables import short_path
from .style import BLUE, INK, color_bar, expect_built, new_figure, panels, tidy

CELLS = 48  # a matrix with more rows or columns is drawn as a histogram
WRITTEN = 60  # a matrix of at most this many elements shows its numbers


def plot_weights(model: Any, ax: Any = None) -> Any:
    """Draw the weights layer by layer: small ones as matrices, large ones as histograms.

    A kernel has a row for each input and a column for each unit; a vector is one row.

    Parameters
    ----------
    model : Model
        A built model.
    ax : axes, optional
        One for each weight, in the order of ``model.weights``.

    Returns
    -------
    matplotlib.figure.Figure
        One column of axes for each layer. Red is positive, blue negative; all share one scale.

    Raises
    ------
    ValueError
        If the model is not built or has no weights, or for the wrong number of axes.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((3,)), tn.layers.Dense(2, name="first")])
    >>> [ax.get_title() for ax in plot_weights(model).axes[:2]]
    ['first/kernel (3, 2)', 'first/bias (2,)']
    """
    expect_built(model, "plot_weights")
    arrays = {v.path: np.array(v.array, "float64") for v in model.weights}
    if not arrays:
        raise ValueError(f"plot_weights: model '{model.name}' has no weights.")
    figure, axes, scale = _columns(arrays) if ax is None else (*panels(ax, len(arrays)), None)
    largest = (np.nanmax(np.abs(a), initial=0.0) for a in arrays.values() if _is_small(a))
    reach = max(largest, default=0.0) or 1.0
    images = []
    for (path, array), each in zip(arrays.items(), axes, strict=True):
        each.set_title(f"{short_path(path)} {array.shape}", fontsize=9, color=INK)
        if _is_small(array):
            images.append(_draw_matrix(each, np.atleast_2d(array), reach))
        else:
            _draw_histogram(each, array)
    if images:
        color_bar(images[0], "weight", ax=axes, cax=scale)
    elif scale:
        scale.remove()
    return figure


def _columns(arrays: dict[str, np.ndarray]) -> tuple[Any, list[Any], Any]:
    """Return a figure with a column of axes for each layer, and the axes of the colour bar."""
    layers: dict[str, list[tuple[float, float]]] = {}
    for path, array in arrays.items():
        layers.setdefault(path.rpartition("/")[0], []).append(_size(array))
    widths, heights = zip(*(zip(*sizes, strict=True) for sizes in layers.values()), strict=True)
    height = max(map(sum, heights))
    figure = new_figure(sum(map(max, widths)) + 1.2, height, True, layout="constrained")
    ratios = [*map(max, widths), 0.16]
    *places, last = figure.add_gridspec(1, len(ratios), width_ratios=ratios)
    axes = []
    for place, column in zip(places, heights, strict=True):
        ratios = [*column, height - sum(column) + 1e-3]  # the last row is empty
        rows = place.subgridspec(len(ratios), 1, height_ratios=ratios)
        axes += [figure.add_subplot(rows[i]) for i in range(len(column))]
    return figure, axes, figure.add_subplot(last)


def _is_small(array: np.ndarray) -> bool:
    return array.ndim <= 2 and max(array.shape, default=1) <= CELLS


def _size(array: np.ndarray) -> tuple[float, float]:
    """Return the width and height in inches of a weight with its title."""
    if not _is_small(array):
        return 3.2, 2.6
    rows, columns = np.atleast_2d(array).shape
    return max(2.2, min(0.52 * columns, 5.0)), 0.8 + min(0.34 * rows, 3.4)


def _draw_matrix(ax: Any, matrix: np.ndarray, reach: float) -> Any:
    image = ax.imshow(matrix, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
    ax.locator_params(integer=True, nbins=6, min_n_ticks=1)
    ax.tick_params(length=0, labelsize=8)
    for axis, count in ((ax.xaxis, matrix.shape[1]), (ax.yaxis, len(matrix))):
        if count == 1:
            axis.set_ticks([])
    ax.spines[:].set_visible(False)
    if len(matrix) > 1:
        ax.set_ylabel("input", fontsize=8)
        ax.set_xlabel("unit", fontsize=8)
    if matrix.size <= WRITTEN and matrix.shape[1] <= 10:
        for (i, j), value in np.ndenumerate(matrix):
            color = "white" if abs(value) > 0.6 * reach else INK
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)
    return image


def _draw_histogram(ax: Any, array: np.ndarray) -> None:
    values = array[np.isfinite(array)]
    ax.hist(values, bins=min(60, max(10, int(values.size**0.5))), color=BLUE)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set(xlabel="weight", ylabel="count")
    tidy(ax)
