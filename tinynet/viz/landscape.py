"""The loss surface: the loss over two weights or directions, with the path of training on it.

The surface lies over a plane in the space of all weights. `../training/divergence.py` computes the
loss at other weights, without changing the model.

Imports the engine, `planes.py` and `curves.py`, and matplotlib when something is drawn. Read next:
`graph.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.autodiff import hessian, value_and_grad
from ..engine.expect import is_integer
from ..engine.tensor import Tensor, wrap
from ..training.data import Dataset, to_array
from ..training.divergence import at_weights, loss_of
from . import style
from .curves import draw_curves, even_grid
from .planes import flat_of, parts_of, plane_of, recorded, values_at
from .style import INK, VERMILION, YELLOW, expect, finite, plain

FAR = 4.0  # a minimum is in the picture unless it is farther away than this many path widths
PAUSE = 2.0  # seconds of the last frame, before a GIF starts again


class Surface(NamedTuple):
    """The loss over a plane through the space of weights."""

    xs: np.ndarray
    ys: np.ndarray
    losses: np.ndarray  # a row for each y
    labels: tuple[str, str]
    path: np.ndarray  # two columns: the coordinates of the recorded weights on the plane
    minimum: np.ndarray | None  # the minimum of the loss on the plane, if one was found
    whole: bool  # whether the model has no other weights, so that this is the model's own minimum


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

    The parameters are those of `plot_loss_surface`, which draws the surface.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1, kernel_initializer="ones")])
    >>> model.compile(loss="mse")
    >>> surface = loss_surface(model, [0.0, 1.0], [1.0, 3.0], extent=(0, 2, 0, 1), resolution=3)
    >>> surface.losses[0, 1], surface.minimum.round(6).tolist()
    (np.float64(2.5), [2.0, 1.0])
    """
    style.expect_built(model, "loss_surface", compiled=True)
    valid = is_integer(resolution) and resolution > 1
    expect(valid, "resolution", "an integer above 1", resolution)
    variables = model.trainable_variables
    current = flat_of(v.array for v in variables)[None]
    walked = current[:0] if history is None else recorded(history, variables)
    known = walked if len(walked) else current
    plane = plane_of(variables, known, weights, seed)
    start, points = plane.coordinates(known[-1]), plane.coordinates(walked)
    with model.prepared(Dataset.of_one_batch(x, y)) as batch:
        loss = loss_of(model, batch)

        def height(point: Tensor) -> Tensor:
            return loss(*parts_of(plane.at(point), variables))

        minimum = _minimum(height, start)
        if extent is None:
            around = np.array([start - 1, start + 1])  # if there is no path
            extent = _extent(points if len(points) > 1 else around, minimum).tolist()
        ends = np.asarray(extent, "float64")
        fits = ends.shape == (4,) and np.isfinite(ends).all() and (ends[::2] < ends[1::2]).all()
        expect(fits, "extent", "four numbers, left < right and bottom < top", extent)
        xs, ys = np.linspace(ends[::2], ends[1::2], resolution).T
        losses = values_at(model, loss, (plane.at((x, y)) for y in ys for x in xs))
        losses = losses.reshape(resolution, resolution)
        if minimum is None and np.isfinite(losses).any():
            row, column = np.unravel_index(np.nanargmin(finite(losses)), losses.shape)
            minimum = _minimum(height, np.array([xs[column], ys[row]]))
    return Surface(xs, ys, losses, plane.labels, points, minimum, whole=len(plane.origin) == 2)


def _minimum(height: Callable[[Any], Tensor], start: np.ndarray) -> np.ndarray | None:
    """Return the minimum that Newton's method finds from `start`, in float64; None if none."""
    point = np.array(start, "float64")
    slope, curvature = value_and_grad(height), hessian(height)
    with np.errstate(all="ignore"):
        for _ in range(20):
            bend, (loss, down) = curvature(point).numpy(), slope(point)
            if not (np.isfinite(bend).all() and np.isfinite(down.numpy()).all()):
                return None
            values = np.linalg.eigvalsh(bend)
            if values[0] <= 1e-9 * abs(values[1]):  # a saddle, or a flat valley
                return None
            step = np.linalg.solve(bend, down.numpy())
            point = point - step
            if np.abs(step).max() <= 1e-7 * (1 + np.abs(point).max()):
                return point if loss.item() <= slope(start)[0].item() else None
    return None


def _extent(points: np.ndarray, minimum: np.ndarray | None) -> np.ndarray:
    """Return the extent of a picture with all points, and with a minimum that is not far away."""
    low, high = points.min(axis=0), points.max(axis=0)
    if minimum is not None:
        reach = FAR * max((high - low).max(), 0.5)
        if np.abs(minimum - (low + high) / 2).max() <= reach:
            low, high = np.minimum(low, minimum), np.maximum(high, minimum)
    size = high - low
    size = np.maximum(size, 0.4 * size.max()) if size.any() else np.ones(2)
    middle = (low + high) / 2
    return np.stack([middle - 0.7 * size, middle + 0.7 * size], axis=1).ravel()


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
    """Draw the loss over two weights, or two directions, with the path of training.

    Parameters
    ----------
    model : Model
        A built and compiled model. It is not changed.
    x, y : arrays
        The samples. The loss is that of `evaluate` with all samples in one batch.
    history : WeightHistory, optional
        The path. All other weights have their values at its end; without it, their current ones.
    weights : two of int or str, optional
        The two weights on the axes: their positions among all trainable weights, or their names,
        such as ``("dense/kernel[0, 1]", "dense/bias")``. By default, a model with two weights shows
        both. Others show the two principal directions of the path, or two random directions, scaled
        to the weights of each unit; the path is then projected, and its losses are not those of the
        surface.
    extent : (left, right, bottom, top), optional
        By default around the path, with the minimum if it is known and not far away.
    resolution : int
        The number of grid points in each direction.
    ax : axes, optional
    seed : int
        The seed of random directions.

    Returns
    -------
    matplotlib.axes.Axes
        The colour scale is logarithmic if the losses are positive and differ by decades.

    Raises
    ------
    ValueError
        If the model is not built or compiled or has fewer than two trainable weights, the history
        is empty or belongs to another model, a name is not that of a weight, or the extent or the
        resolution is not valid.

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
    ax = style.axes_for(ax, 6.4, 4.8)
    draw_surface(ax, surface, style.loss_label(model))
    draw_path(ax, surface)
    return ax


def draw_surface(ax: Any, surface: Surface, label: str) -> None:
    """Draw the losses as filled contours with a colour bar, and the minimum."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    losses = finite(surface.losses)
    levels, log = _levels(losses)
    low, high = levels[[0, -1]]
    norm = (LogNorm if log else Normalize)(low, high)
    blues = ListedColormap(colormaps["Blues"](np.linspace(0.02, 0.82, 256)))
    heights = (surface.xs, surface.ys, np.clip(losses, low, high))
    filled = ax.contourf(*heights, levels=levels, norm=norm, cmap=blues)
    ax.contour(*heights, levels=levels[1:-1:2], colors="white", linewidths=0.6, alpha=0.8)
    style.color_bar(filled, label, ticks=style.log_locator(low, high) if log else MaxNLocator(6))
    ends = np.array([surface.xs[[0, -1]], surface.ys[[0, -1]]])
    minimum = surface.minimum
    if minimum is not None and (ends[:, 0] <= minimum).all() and (minimum <= ends[:, 1]).all():
        label = "minimum" if surface.whole else "lowest on this plane"
        star = {"marker": "*", "color": YELLOW, "markeredgecolor": INK, "markersize": 15}
        ax.plot(*minimum, linestyle="none", zorder=4, label=label, **star)
    ax.set(xlim=ends[0], ylim=ends[1], xlabel=surface.labels[0], ylabel=surface.labels[1])
    if np.abs(ends).max() >= 1e5:  # where matplotlib would print a common factor
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(plain)


def _levels(losses: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the levels of the contours, and whether they are on a logarithmic scale."""
    found = losses[np.isfinite(losses)]
    if not found.size:
        raise ValueError("The loss is finite nowhere on this plane: choose another extent.")
    low, high = float(found.min()), float(found.max())
    if low >= 0 < high:  # a single point near 0 does not stretch the scale
        low = max(low, 0.01 * float(np.quantile(found, 0.05)))
    if low > 0 and style.wants_log([low, high], decades=0.7):
        return np.geomspace(low, high, 25), True
    return np.linspace(low, high if high > low else low + 1.0, 25), False


def draw_path(ax: Any, surface: Surface, end: str = "end") -> list[Any]:
    """Draw the path with its start and end, and a legend; return the lines drawn."""
    from matplotlib.patheffects import Normal, Stroke

    path, lines = surface.path, []
    if len(path):
        look = {"color": VERMILION, "marker": "." if len(path) <= 80 else None, "zorder": 3}
        halo = [Stroke(linewidth=3.6, foreground="white"), Normal()]
        lines += ax.plot(*path.T, **look, linewidth=1.6, path_effects=halo, label="path")
        ends = {"linestyle": "none", "markersize": 8, "markeredgecolor": VERMILION, "zorder": 5}
        lines += ax.plot(*path[0], "o", **ends, markerfacecolor="white", label="start")
        lines += ax.plot(*path[-1], "o", **ends, markerfacecolor=VERMILION, label=end)
    if ax.get_legend_handles_labels()[0]:
        style.legend_above(ax, fontsize=9, columnspacing=1.2, handletextpad=0.4)
    return lines


# -- the animation ---------------------------------------------------------------------------------


def animate_descent(
    model: Any,
    x: Any,
    y: Any,
    history: Any,
    path: Any = None,
    fps: int = 12,
    frames: int = 60,
    dpi: int = 72,
    weights: Sequence[int | str] | None = None,
    extent: Sequence[float] | None = None,
    resolution: int = 60,
    seed: int = 0,
) -> Any:
    """Animate how a line is fitted, next to the path over the loss surface.

    Parameters
    ----------
    model : Model
        A built and compiled model of one input and one output. It is not changed.
    x, y : arrays of shape (samples,) or (samples, 1)
    history : WeightHistory
    path : path, optional
        Where to write a GIF.
    fps, frames, dpi : int
        Frames per second; the largest number of frames, spread evenly over the record; dots per
        inch.
    weights, extent, resolution, seed
        As for `plot_loss_surface`.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        ``.to_jshtml()`` shows it in a notebook. Keep it in a variable until it is shown or saved.

    Raises
    ------
    ValueError
        As for `plot_loss_surface`; for a model of several inputs or outputs; without a history; and
        unless `fps`, `frames` and `dpi` are positive.

    >>> import tempfile, tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> record = tn.callbacks.WeightHistory()
    >>> history = model.fit([0.0, 1.0], [1.0, 3.0], epochs=3, verbose=0, callbacks=[record])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     film = animate_descent(
    ...         model, [0.0, 1.0], [1.0, 3.0], record, f"{folder}/descent.gif", fps=4, resolution=8
    ...     )
    """
    style.expect_built(model, "animate_descent", compiled=True)
    for name, value in (("fps", fps), ("frames", frames), ("dpi", dpi)):
        expect(value > 0, name, "a positive number", value)
    rows, targets = style.samples(x, "x"), style.samples(y, "y")
    single = rows.shape[1] == targets.shape[1] == 1
    expect(single, "x, y", "samples of one input and one output", (np.shape(x), np.shape(y)))
    walked = recorded(history, model.trainable_variables)
    surface = loss_surface(model, x, y, history, weights, extent, resolution, seed)
    shown = np.unique(np.linspace(0, len(walked) - 1, min(frames, len(walked))).round().astype(int))
    inputs = even_grid(rows)
    fits, losses = _evaluated(model, x, y, inputs, walked[shown])
    steps = getattr(history, "steps", range(len(walked)))

    figure = style.new_figure(9.2, 4.0, True, layout="constrained")
    from matplotlib import animation, rc_context

    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    draw_curves(left, rows, targets, inputs, fits[0])
    margin = 0.25 * float(np.ptp(targets)) or 1.0
    left.set_ylim(targets.min() - margin, targets.max() + margin)
    title = left.set_title(" ", loc="left", fontsize=10, family="monospace")
    draw_surface(right, surface, style.loss_label(model))
    trail, _, end = draw_path(right, surface, end="now")
    figure.draw_without_rendering()
    with rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)  # keeps the layout; with an engine, savefig draws twice

    def draw(frame: int) -> list[Any]:
        place = shown[frame]
        left.lines[0].set_ydata(fits[frame])
        trail.set_data(*surface.path[: place + 1].T)
        end.set_data(*surface.path[place : place + 1].T)
        title.set_text(f"step {steps[place]:<6} loss {plain(losses[frame])}")
        return [left.lines[0], trail, end, title]

    order = [*range(len(shown)), *[len(shown) - 1] * round(PAUSE * fps)]
    film = animation.FuncAnimation(figure, draw, frames=order, interval=1000 / fps)
    if path is not None:
        film.save(path, writer=animation.PillowWriter(fps=fps), dpi=dpi)
    return film


def _evaluated(model: Any, x: Any, y: Any, inputs: np.ndarray, weights: Any) -> tuple[Any, Any]:
    """Return the outputs for `inputs`, and the loss of the samples, for each row of weights."""
    given = wrap(to_array(inputs.reshape(-1, *np.shape(x)[1:]), "x"))
    fits = values_at(model, at_weights(model, lambda: model(given)), weights)
    with model.prepared(Dataset.of_one_batch(x, y)) as batch:
        losses = values_at(model, loss_of(model, batch), weights)
    return fits.reshape(len(fits), -1, 1), losses
