"""Curves: the history of training, the function that a model has learned, a learning rate.

Imports `style.py`. Read next: `landscape.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..optimizers import Optimizer
from . import style
from .style import BLUE, INK, VERMILION, axes_for

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
        With one axes per quantity, logarithmic if its numbers differ by decades.

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
    figure, axes = style.panels(ax, 1, len(names), 5.2, 3.6)
    for name, each in zip(names, axes, strict=True):
        curves = {"training": logs[name], "validation": logs.get(f"val_{name}", [])}
        _draw_quantity(each, name, curves, epochs)
    return figure


def _logs_of(history: Any) -> tuple[dict[str, Any], list[int]]:
    """Return the logs of a history by name, and the numbers of its epochs, from 1."""
    logs = getattr(history, "history", history)
    if not isinstance(logs, dict):
        raise ValueError(
            "history: expected the result of fit, or its dict `history.history`, received "
            f"{type(history).__name__}."
        )
    length = max((len(values) for values in logs.values()), default=0)
    if not length:
        raise ValueError(f"history: expected at least one epoch, received {logs}.")
    epochs = [epoch + 1 for epoch in getattr(history, "epoch", ())]
    if len(epochs) != length:  # a history of several runs has the numbers of the last one only
        epochs = list(range(1, length + 1))
    return {name: values for name, values in logs.items() if len(values)}, epochs


def _draw_quantity(ax: Any, name: str, curves: dict[str, Any], epochs: list[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    found = {of: _finite(values) for of, values in curves.items() if len(values)}
    for (of, values), color in zip(found.items(), (BLUE, VERMILION), strict=False):
        every = max(len(epochs) // len(values), 1)  # validation may run in every n-th epoch only
        at = epochs[every - 1 :: every][: len(values)]
        marker = "o" if len(values) == 1 else None
        label = f"{of} (last {style.plain(values[-1])})" if values.ndim == 1 else of
        lines = ax.plot(at, values, color=color, linewidth=1.8, marker=marker, label=label)
        for line in lines[1:]:  # of a metric of several numbers
            line.set_label(None)
    everything = np.concatenate([values.ravel() for values in found.values()])
    if style.wants_log(everything):
        style.log_scale(ax, np.nanmin(everything), np.nanmax(everything))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set(xlabel="epoch", ylabel=style.words(name))
    style.tidy(ax)
    ax.legend(frameon=False)


def _finite(values: Any) -> np.ndarray:
    """Return an array with NaN for infinite numbers, which have no place on an axis."""
    array = np.asarray(values, "float64")
    return np.where(np.isfinite(array), array, np.nan)


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
    if not (isinstance(steps, (int, np.integer)) and steps > 0):
        raise ValueError(f"steps: expected a positive integer, received {steps!r}.")
    rate = schedule
    if isinstance(schedule, Optimizer):
        rate = schedule._rate if callable(schedule._rate) else float(schedule.learning_rate)
    if not callable(rate) and not isinstance(rate, (int, float, np.number)):
        raise ValueError(
            "schedule: expected a learning rate schedule, an optimizer or a number, received "
            f"{schedule!r}."
        )
    rates = [float(rate(step)) if callable(rate) else float(rate) for step in range(steps)]
    ax = axes_for(ax)
    ax.plot(range(steps), rates, color=BLUE, linewidth=1.8)
    if style.wants_log(rates) and np.median(rates) < max(rates) / 20:  # most are small, not a few
        style.log_scale(ax, min(rates), max(rates))
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
    style.demand(model, "plot_fit")
    rows = style.samples(x, "x")
    targets = style.samples(y, "y", like=rows)
    if rows.shape[1] == 1:
        return _draw_curve(model, rows, targets, np.ndim(x), ax)
    if rows.shape[1] == 2:
        return _draw_map(model, rows, targets, ax)
    raise ValueError(
        f"plot_fit: can draw models of one or two inputs, received x of shape {np.shape(x)}."
    )


def line_of(rows: np.ndarray, ndim: int) -> np.ndarray:
    """Return evenly spaced inputs over the range of those given, as an array of `ndim` axes."""
    low, high = rows.min(), rows.max()
    margin = 0.04 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, 241).reshape(-1, *[1] * (ndim - 1))


def _draw_curve(model: Any, rows: np.ndarray, targets: np.ndarray, ndim: int, ax: Any) -> Any:
    inputs = line_of(rows, ndim)
    outputs = _predicted(model, inputs)
    count = outputs.shape[1]
    if count != targets.shape[1]:
        raise ValueError(
            f"y: expected {count} columns, one for each output of the model, received "
            f"{targets.shape[1]}."
        )
    ax = axes_for(ax)
    for i, color in enumerate(style.colors_of(count)):
        of, dots, line = (f" {i}", color, color) if count > 1 else ("", style.GREY, VERMILION)
        look = {"color": dots, "alpha": 0.55, "linewidth": 0}
        ax.scatter(rows[:, 0], targets[:, i], s=18, label=f"data{of}", **look)
        ax.plot(inputs.ravel(), outputs[:, i], color=line, linewidth=2.2, label=f"model{of}")
    ax.set(xlabel="x", ylabel="y")
    style.tidy(ax)
    ax.legend(frameon=False)
    return ax


def _predicted(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Return the only output of a model as columns."""
    outputs = model.predict(inputs, batch_size=4096, verbose=0)
    if not isinstance(outputs, np.ndarray):
        raise ValueError("plot_fit: can draw models of one output array, received several.")
    return outputs.reshape(len(outputs), -1).astype("float64")


def _draw_map(model: Any, rows: np.ndarray, targets: np.ndarray, ax: Any) -> Any:
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = np.where(high > low, 0.08 * (high - low), 1.0)
    first, second = np.linspace(low - margin, high + margin, 161).T
    mesh = np.meshgrid(first, second)
    outputs = _predicted(model, np.stack(mesh, axis=-1).reshape(-1, 2))
    count = outputs.shape[1]
    classes = _classes(targets, count)
    if classes is None and count != 1:
        raise ValueError(
            f"y: expected classes from 0 to {count - 1}, or one-hot rows, for a model of {count} "
            f"outputs, received shape {targets.shape}."
        )
    ax = axes_for(ax, 5.6, 4.4)
    z = outputs.reshape(*mesh[0].shape, -1)
    if classes is None:
        _draw_heights(ax, mesh, z[..., 0], rows, targets[:, 0])
    elif count == 1:
        _draw_two_classes(ax, mesh, z[..., 0], rows, classes, model)
    else:
        _draw_classes(ax, mesh, z.argmax(axis=-1), rows, classes, count)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    style.tidy(ax, grid=False)
    return ax


def _classes(targets: np.ndarray, outputs: int) -> np.ndarray | None:
    """Return the class of each sample; None if the targets are not classes."""
    if outputs > 1 and targets.shape[1] == outputs:
        one_hot = np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all()
        return targets.argmax(axis=1) if one_hot else None
    known = np.isin(targets, range(max(outputs, 2))).all() and targets.shape[1] == 1
    return targets[:, 0].astype(int) if known else None


def _draw_heights(ax: Any, mesh: Any, z: np.ndarray, rows: np.ndarray, y: np.ndarray) -> None:
    from matplotlib.colors import Normalize

    norm = Normalize(min(z.min(), y.min()), max(z.max(), y.max()))
    filled = ax.contourf(*mesh, z, levels=24, cmap="cividis", norm=norm)
    look = {"s": 26, "cmap": "cividis", "norm": norm, "edgecolor": "white", "linewidth": 0.9}
    ax.scatter(*rows.T, c=y, **look, label="data")
    ax.figure.colorbar(filled, ax=ax, label="y, of the model and of the data")


def _draw_two_classes(
    ax: Any, mesh: Any, z: np.ndarray, rows: np.ndarray, classes: np.ndarray, model: Any
) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    middle = 0.0 if getattr(model.loss, "from_logits", False) else 0.5
    reach = np.abs(z - middle).max() if middle == 0 else max(0.5, np.abs(z - middle).max())
    colormap = LinearSegmentedColormap.from_list("classes", [BLUE, "white", VERMILION])
    levels = np.linspace(middle - reach, middle + reach, 22)
    filled = ax.contourf(*mesh, z, levels=levels, cmap=colormap, alpha=0.55)
    if z.min() < middle < z.max():
        ax.contour(*mesh, z, levels=[middle], colors=INK, linewidths=1.6)
    _draw_samples(ax, rows, classes, (BLUE, VERMILION))
    ticks = np.linspace(middle - reach, middle + reach, 5)
    bar = ax.figure.colorbar(filled, ax=ax, label="output of the model", ticks=ticks)
    bar.ax.yaxis.set_major_formatter(style.plain)


def _draw_classes(
    ax: Any, mesh: Any, z: np.ndarray, rows: np.ndarray, classes: np.ndarray, count: int
) -> None:
    colors = style.colors_of(count)
    ax.contourf(*mesh, z, levels=np.arange(count + 1) - 0.5, colors=colors, alpha=0.3)
    if z.min() < z.max():
        ax.contour(*mesh, z, levels=np.arange(count) + 0.5, colors="white", linewidths=1.6)
    _draw_samples(ax, rows, classes, colors)


def _draw_samples(ax: Any, rows: np.ndarray, classes: np.ndarray, colors: Sequence[Any]) -> None:
    markers = "osD^vPX*"
    for i in np.unique(classes):
        look = {"color": colors[i], "marker": markers[i % len(markers)], "s": 26}
        at = rows[classes == i].T
        ax.scatter(*at, **look, edgecolor="white", linewidth=0.7, label=f"class {i}")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2)
