"""The landscape of the loss: its height over two weights, and the way that training walked there.

A landscape is a plane through the space of all weights. Its heights are computed by letting tensors
stand in for the weights, so that the model stays as it is.

Imports the compiler, `planes.py` and `style.py`, and matplotlib when something is drawn. Read next:
`animation.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..compiler.jit import jit
from ..engine.autodiff import hessian, value_and_grad
from ..engine.bind import no_grad
from ..engine.tensor import Tensor
from ..engine.variable import Variable
from ..training.at_weights import loss_of
from ..training.data import Dataset
from .planes import Plane, as_weights, flat_of, parts_of, plane_of, recorded
from .style import INK, VERMILION, YELLOW, axes_for, demand, log_subs, loss_label, plain, wants_log

FAR = 4.0  # a minimum is shown if it is not farther from the path than so many times its width


class Surface(NamedTuple):
    """The loss over a plane through the space of weights."""

    xs: np.ndarray
    ys: np.ndarray
    losses: np.ndarray  # a row for each y
    labels: tuple[str, str]
    path: np.ndarray  # two columns: where the recorded weights lie on the plane
    minimum: np.ndarray | None  # where the loss on the plane has one, if that is known
    whole: bool  # is the plane all there is, so that the path is on it and the minimum the model's?


def loss_surface(
    model: Any,
    x: Any,
    y: Any,
    history: Any = None,
    weights: Sequence[int | str] | None = None,
    extent: Sequence[float] | None = None,
    resolution: int = 60,
    seed: int = 0,
) -> Surface:
    """Return the loss of a model over two of its weights, or two directions, as numbers.

    Parameters are those of `plot_loss_surface`, which draws it.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, kernel_initializer="ones")])
    >>> model.compile(loss="mse")
    >>> surface = loss_surface(model, [0.0, 1.0], [1.0, 3.0], extent=(0, 2, 0, 1), resolution=3)
    >>> surface.losses[0, 1], surface.minimum.round(6).tolist()
    (np.float64(2.5), [2.0, 1.0])
    """
    demand(model, "loss_surface", compiled=True)
    if not (isinstance(resolution, (int, np.integer)) and resolution > 1):
        raise ValueError(f"resolution: expected an integer above 1, received {resolution!r}.")
    variables = list(model.trainable_weights)
    path = recorded(history, variables)
    plane = plane_of(variables, path, weights, seed)
    walked = plane.coordinates(path)
    start = walked[-1] if len(walked) else plane.coordinates(flat_of(v.array for v in variables))
    with model.prepared(Dataset.of_one_batch(x, y)) as batch:
        loss = loss_of(model, batch)

        def height(point: Tensor) -> Tensor:
            return loss(*parts_of(plane.at(point), variables))

        minimum = _minimum(height, start)
        if extent is None:
            around = np.array([start - 1, start + 1])  # where nothing was walked
            extent = _extent(walked if len(walked) > 1 else around, minimum).tolist()
        xs, ys = _axis(extent, 0, resolution), _axis(extent, 2, resolution)
        losses = _heights(model, loss, plane, variables, xs, ys)
        if minimum is None and np.isfinite(losses).any():
            row, column = np.unravel_index(np.nanargmin(_masked(losses)), losses.shape)
            minimum = _minimum(height, np.array([xs[column], ys[row]]))
    return Surface(xs, ys, losses, plane.labels, walked, minimum, plane.whole)


def _axis(extent: Any, first: int, resolution: int) -> np.ndarray:
    numbers = np.asarray(extent, "float64")
    if numbers.shape != (4,) or not np.isfinite(numbers).all():
        raise ValueError(f"extent: expected (left, right, bottom, top), received {extent!r}.")
    low, high = numbers[first : first + 2]
    if not low < high:
        raise ValueError(f"extent: expected left < right and bottom < top, received {extent!r}.")
    return np.linspace(low, high, resolution)


def _heights(
    model: Any, loss: Any, plane: Plane, variables: Sequence[Variable], xs: Any, ys: Any
) -> np.ndarray:
    """Return the loss at each point of a grid, with weights in the variables' dtypes."""
    run = loss if model.run_eagerly else jit(loss)
    losses = np.empty((len(ys), len(xs)))
    with no_grad(), np.errstate(all="ignore"):
        for (row, column), _ in np.ndenumerate(losses):
            flat = plane.at((xs[column], ys[row]))
            losses[row, column] = run(*as_weights(flat, variables)).item()
    return losses


def _minimum(height: Callable[[Tensor], Tensor], start: np.ndarray) -> np.ndarray | None:
    """Return where Newton's method arrives, in float64; None unless that is a minimum."""
    point = np.array(start, "float64")
    slope = value_and_grad(height)
    curvature = hessian(height)
    with np.errstate(all="ignore"):
        first = slope(point)[0].item()
        for _ in range(20):
            bend, (loss, down) = curvature(point).numpy(), slope(point)
            if not (np.isfinite(bend).all() and np.isfinite(down.numpy()).all()):
                return None
            values = np.linalg.eigvalsh(bend)
            if values[0] <= 1e-9 * abs(values[1]):  # a saddle, or a valley without a lowest point
                return None
            step = np.linalg.solve(bend, down.numpy())
            point = point - step
            if np.abs(step).max() <= 1e-7 * (1 + np.abs(point).max()):
                return point if loss.item() <= first else None
    return None


def _extent(points: np.ndarray, minimum: np.ndarray | None) -> np.ndarray:
    """Return the borders of a picture of points, and of the minimum unless it is far away."""
    low, high = points.min(axis=0), points.max(axis=0)
    if minimum is not None:
        reach = FAR * max((high - low).max(), 0.5)
        if np.abs(minimum - (low + high) / 2).max() <= reach:
            low, high = np.minimum(low, minimum), np.maximum(high, minimum)
    size = high - low
    size = np.maximum(size, 0.4 * size.max()) if size.any() else np.ones(2)
    middle = (low + high) / 2
    left, bottom = middle - 0.7 * size
    right, top = middle + 0.7 * size
    return np.array([left, right, bottom, top])


# -- the picture -----------------------------------------------------------------------------------


def plot_loss_surface(
    model: Any,
    x: Any,
    y: Any,
    history: Any = None,
    weights: Sequence[int | str] | None = None,
    extent: Sequence[float] | None = None,
    resolution: int = 60,
    ax: Any = None,
    seed: int = 0,
) -> Any:
    """Draw the loss over two weights, or two directions, with the path that training walked.

    Parameters
    ----------
    model : Model
        Built and compiled; it stays as it is.
    x, y : arrays
        The samples; the loss is that of all in one batch, as `evaluate` gives it.
    history : WeightHistory, optional
        The path, whose end is where other weights are held. Without it they are as they are now.
    weights : two of int or str, optional
        The weights to vary: their numbers among all trainable ones, or their names, as
        ``("dense/kernel[0, 1]", "dense/bias")``. By default both of a model that has two; of others
        the two principal directions of the path, or two random ones as long, for each unit, as its
        weights. The path is then projected, and the loss along it is not that of the surface.
    extent : (left, right, bottom, top), optional
        By default around the path, and the minimum where it is known and not far.
    resolution : int
        Points of the grid in each direction.
    ax : axes, optional
    seed : int
        Of random directions.

    Returns
    -------
    matplotlib.axes.Axes
        Heights are logarithmic where the losses are positive and differ much.

    Raises
    ------
    ValueError
        For a model that is not built or compiled, or has less than two trainable weights; a history
        without weights or of another model; names that are no weights; and another extent or
        resolution.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, name="neuron")])
    >>> model.compile("sgd", "mse")
    >>> record = tn.callbacks.WeightHistory()
    >>> history = model.fit([0.0, 1.0], [1.0, 3.0], epochs=5, verbose=0, callbacks=[record])
    >>> ax = plot_loss_surface(model, [0.0, 1.0], [1.0, 3.0], record, resolution=20)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('neuron/kernel', 'neuron/bias')
    """
    surface = loss_surface(model, x, y, history, weights, extent, resolution, seed)
    ax = axes_for(ax, 6.4, 4.8)
    draw_surface(ax, surface, loss_label(model))
    draw_path(ax, surface)
    return ax


def draw_surface(ax: Any, surface: Surface, label: str) -> None:
    """Draw the heights as filled contours, with a bar that says what they mean, and the minimum."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize
    from matplotlib.ticker import LogLocator, MaxNLocator

    losses = _masked(surface.losses)
    levels, log = _levels(losses)
    norm = LogNorm(levels[0], levels[-1]) if log else Normalize(levels[0], levels[-1])
    blues = ListedColormap(colormaps["Blues"](np.linspace(0.02, 0.82, 256)))
    heights = (surface.xs, surface.ys, np.clip(losses, levels[0], levels[-1]))
    filled = ax.contourf(*heights, levels=levels, norm=norm, cmap=blues)
    ax.contour(*heights, levels=levels[1:-1:2], colors="white", linewidths=0.6, alpha=0.8)
    bar = ax.figure.colorbar(filled, ax=ax, label=label)
    if log:
        bar.set_ticks(LogLocator(subs=log_subs(levels[0], levels[-1])))
    else:
        bar.set_ticks(MaxNLocator(6))
    bar.ax.yaxis.set_major_formatter(plain)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    left, right, bottom, top = *surface.xs[[0, -1]], *surface.ys[[0, -1]]
    x, y = (np.nan, np.nan) if surface.minimum is None else surface.minimum
    if left <= x <= right and bottom <= y <= top:
        says = "minimum" if surface.whole else "lowest on this plane"
        star = {"marker": "*", "color": YELLOW, "markeredgecolor": INK, "markersize": 15}
        ax.plot(x, y, linestyle="none", zorder=4, label=says, **star)
    ax.set(xlim=(left, right), ylim=(bottom, top), xlabel=surface.labels[0])
    ax.set_ylabel(surface.labels[1])
    if max(map(abs, (left, right, bottom, top))) >= 1e5:  # or a factor would stand in the way
        ax.xaxis.set_major_formatter(plain)
        ax.yaxis.set_major_formatter(plain)


def _masked(losses: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(losses), losses, np.nan)


def _levels(losses: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the heights of contours, and whether they are a geometric sequence."""
    found = losses[np.isfinite(losses)]
    if not found.size:
        raise ValueError("The loss is finite nowhere on this plane: choose another extent.")
    low, high = float(found.min()), float(found.max())
    if low >= 0 < high:  # a single point may be as low as it likes
        low = max(low, 0.01 * float(np.quantile(found, 0.05)))
    if low > 0 and wants_log([low, high], decades=0.7):
        return np.geomspace(low, high, 25), True
    high = high if high > low else low + 1.0
    return np.linspace(low, high, 25), False


def draw_path(ax: Any, surface: Surface, end: str = "end") -> list[Any]:
    """Draw the path with its start and end, and say what is what; return its lines."""
    from matplotlib.patheffects import Normal, Stroke

    path, lines = surface.path, []
    if len(path):
        dots = "." if len(path) <= 80 else None
        halo = [Stroke(linewidth=3.6, foreground="white"), Normal()]
        style = {"color": VERMILION, "linewidth": 1.6, "marker": dots, "path_effects": halo}
        ends = {"linestyle": "none", "markersize": 8, "markeredgecolor": VERMILION, "zorder": 5}
        lines += ax.plot(*path.T, **style, markersize=5, zorder=3, label="path")
        lines += ax.plot(*path[0], "o", **ends, markerfacecolor="white", label="start")
        lines += ax.plot(*path[-1], "o", **ends, markerfacecolor=VERMILION, label=end)
    if ax.get_legend_handles_labels()[0]:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
        ax.legend(**place, ncols=4, frameon=False, fontsize=9, columnspacing=1.2, handletextpad=0.4)
    return lines
