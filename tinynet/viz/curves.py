"""Curves: the history of training, the function that a model has learned, a learning rate.

Imports `style.py`. Read next: `landscape.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.expect import is_integer
from ..engine.variable import Variable
from ..optimizers import Optimizer
from . import style
from .style import BLUE, INK, VERMILION, axes_for, color_bar, expect

# -- how training went -----------------------------------------------------------------------------


def plot_history(history: Any, ax: Any = None) -> Any:
    """Draw the result of `fit`: the loss and each metric by epochs, for training and validation.

    Parameters
    ----------
    history : History, or its dict
    ax : axes, optional
        One axes for each quantity; training and validation share one.

    Returns
    -------
    matplotlib.figure.Figure
        With one axes per quantity; its scale is logarithmic if the numbers differ by decades.

    Raises
    ------
    ValueError
        If `history` is not a history or has no epochs, or for the wrong number of axes.

    >>> figure = plot_history({"loss": [1.0, 0.5], "val_loss": [1.1, 0.7], "mae": [0.9, 0.6]})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'mean absolute error']
    """
    logs, epochs = _logs_of(history)
    names = [name for name in logs if not (name[:4] == "val_" and name[4:] in logs)]
    names.sort(key=lambda name: name != "loss")  # the loss first
    figure, axes = style.panels(ax, len(names))
    for name, each in zip(names, axes, strict=True):
        curves = {"training": logs[name], "validation": logs.get(f"val_{name}", [])}
        _draw_quantity(each, name, curves, epochs)
    return figure


def _logs_of(history: Any) -> tuple[dict[str, Any], list[int]]:
    """Return the logs of a history by name, and the numbers of its epochs, from 1."""
    logs = getattr(history, "history", history)
    expect(isinstance(logs, dict), "history", "the result of fit, or its dict", type(history))
    length = max(map(len, logs.values()), default=0)
    expect(length, "history", "at least one epoch", logs)
    epochs = [epoch + 1 for epoch in getattr(history, "epoch", ())]
    if len(epochs) != length:  # a history of several runs has the numbers of the last one only
        epochs = list(range(1, length + 1))
    return {name: values for name, values in logs.items() if len(values)}, epochs


def _draw_quantity(ax: Any, name: str, curves: dict[str, Any], epochs: list[int]) -> None:
    """Draw the curves of one quantity: its values in training and in validation."""
    found = {of: style.finite(values) for of, values in curves.items() if len(values)}
    for (of, values), color in zip(found.items(), (BLUE, VERMILION), strict=False):
        every = max(len(epochs) // len(values), 1)  # validation may run only every n-th epoch
        at = epochs[every - 1 :: every][: len(values)]
        marker = "o" if len(values) == 1 else None
        line, *_ = ax.plot(at, values, color=color, linewidth=1.8, marker=marker)  # or several
        line.set_label(f"{of} (last {style.plain(values[-1])})" if values.ndim == 1 else of)
    everything = np.concatenate([values.ravel() for values in found.values()])
    if style.wants_log(everything):
        style.log_scale(ax, everything)
    ax.locator_params("x", integer=True, steps=[1, 2, 5, 10])
    ax.set(xlabel="epoch", ylabel=style.words(name))
    style.tidy(ax)
    ax.legend(frameon=False)


def plot_learning_rate(schedule: Any, steps: int, ax: Any = None) -> Any:
    """Draw the learning rate of the first `steps` steps.

    Parameters
    ----------
    schedule : LearningRateSchedule, function of the step, Optimizer, or number
    steps : int
    ax : axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For another schedule, or if `steps` is not a positive integer.

    >>> import tinynet as tn
    >>> ax = plot_learning_rate(tn.optimizers.schedules.ExponentialDecay(0.5, 2, 0.25), steps=3)
    >>> ax.lines[0].get_ydata().tolist()
    [0.5, 0.25, 0.125]
    """
    expect(is_integer(steps) and steps > 0, "steps", "a positive integer", steps)
    rate = schedule._rate if isinstance(schedule, Optimizer) else schedule
    known = callable(rate) or isinstance(rate, (int, float, np.number, Variable))
    expect(known, "schedule", "a learning rate schedule, an optimizer or a number", schedule)
    rates = [float(rate(step) if callable(rate) else rate) for step in range(steps)]
    ax = axes_for(ax)
    ax.plot(range(steps), rates, color=BLUE, linewidth=1.8)
    if style.wants_log(rates) and np.median(rates) < max(rates) / 20:  # not just a few are small
        style.log_scale(ax, rates)
    else:
        ax.set_ylim(min(0.0, *rates), max(rates) * 1.08 or 1.0)
    ax.set(xlabel="step", ylabel="learning rate")
    style.tidy(ax)
    return ax


# -- what the model has learned --------------------------------------------------------------------


def plot_fit(model: Any, x: Any, y: Any, ax: Any = None) -> Any:
    """Draw data and the predictions of a model: a curve for one input, a map for two inputs.

    Parameters
    ----------
    model : Model
        A built model of one or two inputs.
    x : array of shape (samples,), (samples, 1) or (samples, 2)
    y : array of shape (samples,) or (samples, outputs)
        For two inputs, one number per sample, or classes: 0 and 1 for one output, else from 0 to
        the number of outputs - 1, or one-hot.
    ax : axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the model is not built, for other shapes, or if y does not match the outputs.

    >>> import tinynet as tn
    >>> model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    >>> plot_fit(model, [0.0, 1.0], [1.0, 2.0]).get_xlabel()
    'x'
    """
    style.expect_built(model, "plot_fit")
    rows, targets = style.samples(x, "x"), style.samples(y, "y")
    expect(len(targets) == len(rows), "y", f"{len(rows)} rows, as in x", len(targets))
    inputs, shape = rows.shape[1], np.shape(x)
    expect(inputs in (1, 2), "x", "samples for a model of one or two inputs", shape)
    grid = np.meshgrid(*even_grid(rows).T)
    outputs = model.predict(np.stack(grid, axis=-1).reshape(-1, *shape[1:]), 4096, verbose=0)
    expect(isinstance(outputs, np.ndarray), "model", "a single output array", type(outputs))
    values = outputs.reshape(*grid[0].shape, -1).astype("float64")
    if inputs == 1:
        ax = axes_for(ax)
        draw_curves(ax, rows, targets, grid[0], values)
        ax.legend(frameon=False)
        return ax
    return _draw_map(ax, rows, targets, grid, values, getattr(model.loss, "from_logits", False))


def even_grid(rows: np.ndarray) -> np.ndarray:
    """Return evenly spaced numbers over the range of each column, and a margin around it."""
    margin, count = (0.04, 241) if rows.shape[1] == 1 else (0.08, 161)
    low, high = rows.min(axis=0), rows.max(axis=0)
    around = np.where(high > low, margin * (high - low), 1.0)
    return np.linspace(low - around, high + around, count)


def draw_curves(ax: Any, rows: np.ndarray, targets: np.ndarray, x: Any, values: Any) -> None:
    """Draw samples as dots, and the outputs of a model at each x as lines."""
    count = values.shape[1]
    expect(count == targets.shape[1], "y", f"{count} columns, one per output", targets.shape[1])
    for i, color in enumerate(style.colors_of(count)):
        of, dots, line = (f" {i}", color, color) if count > 1 else ("", style.GREY, VERMILION)
        look = {"color": dots, "alpha": 0.55, "linewidth": 0, "label": f"data{of}"}
        ax.scatter(rows[:, 0], targets[:, i], s=18, **look)
        ax.plot(x, values[:, i], color=line, linewidth=2.2, label=f"model{of}")
    ax.set(xlabel="x", ylabel="y")
    style.tidy(ax)


def _draw_map(
    ax: Any, rows: np.ndarray, targets: np.ndarray, mesh: Any, values: Any, logits: bool
) -> Any:
    """Draw the outputs over two inputs as a map of classes or heights, and the samples."""
    count = values.shape[-1]
    classes = _classes(targets, count)
    known = classes is not None or count == 1
    expect(known, "y", f"classes from 0 to {count - 1}, or one-hot rows", targets.shape)
    ax = axes_for(ax, 5.6, 4.4)
    if classes is None:
        _draw_heights(ax, mesh, values[..., 0], rows, targets[:, 0])
    else:
        colors = style.colors_of(max(count, 2))
        if count == 1:
            _draw_two_classes(ax, mesh, values[..., 0], 0.0 if logits else 0.5)
        else:
            largest, borders = values.argmax(axis=-1), np.arange(count + 1) - 0.5
            ax.contourf(*mesh, largest, levels=borders, colors=colors, alpha=0.3)
            if np.ptp(largest):
                ax.contour(*mesh, largest, levels=borders[1:], colors="white", linewidths=1.6)
        _draw_samples(ax, rows, classes, colors)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    return ax


def _classes(targets: np.ndarray, outputs: int) -> np.ndarray | None:
    """Return the class of each sample; None if the targets are not classes."""
    if outputs > 1 and targets.shape[1] == outputs:
        one_hot = np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()
        return targets.argmax(axis=1) if one_hot else None
    known = np.isin(targets, range(max(outputs, 2))).all() and targets.shape[1] == 1
    return targets[:, 0].astype(int) if known else None


def _draw_heights(ax: Any, mesh: Any, z: np.ndarray, rows: np.ndarray, y: np.ndarray) -> None:
    low, high = min(z.min(), y.min()), max(z.max(), y.max())
    filled = ax.contourf(*mesh, z, levels=24, cmap="cividis", vmin=low, vmax=high)
    look = {"s": 26, "edgecolor": "white", "linewidth": 0.9, "label": "data"}
    ax.scatter(*rows.T, c=y, cmap="cividis", norm=filled.norm, **look)
    color_bar(filled, "y, of the model and of the data")


def _draw_two_classes(ax: Any, mesh: Any, z: np.ndarray, middle: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    reach = max(middle, np.abs(z - middle).max())
    low, high = middle - reach, middle + reach
    # Pale BLUE and VERMILION; transparent ones would show the borders between levels.
    colormap = LinearSegmentedColormap.from_list("classes", ["#73B2D5", "white", "#E8A773"])
    levels = np.linspace(low, high, 22)
    filled = ax.contourf(*mesh, z, levels=levels, cmap=colormap)
    if z.min() < middle < z.max():
        ax.contour(*mesh, z, levels=[middle], colors=INK, linewidths=1.6)
    color_bar(filled, "output of the model", ticks=np.linspace(low, high, 5))


def _draw_samples(ax: Any, rows: np.ndarray, classes: np.ndarray, colors: Sequence[Any]) -> None:
    for i in np.unique(classes):
        look = {"color": colors[i], "marker": "osD^vPX*"[i % 8], "s": 26, "edgecolor": "white"}
        ax.scatter(*rows[classes == i].T, **look, linewidth=0.7, label=f"class {i}")
    style.legend_above(ax)
