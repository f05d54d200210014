"""Training as an animation: the line that is fitted, next to the descent over the loss surface.

Imports `curves.py` and `landscape.py`, and matplotlib when something is drawn. Read next:
`../utils.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.bind import no_grad
from ..engine.tensor import wrap
from ..training.at_weights import at_weights, loss_of
from ..training.data import Dataset, to_array
from .curves import line_of
from .landscape import Surface, draw_path, draw_surface, loss_surface
from .planes import as_weights, recorded
from .style import GREY, VERMILION, demand, loss_label, new_figure, plain, samples, tidy


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
    ...         model, [0.0, 1.0], [1.0, 3.0], record, f"{folder}/descent.gif", resolution=8
    ...     )
    """
    demand(model, "animate_descent", compiled=True)
    for name, value in (("fps", fps), ("frames", frames), ("dpi", dpi)):
        if not value > 0:
            raise ValueError(f"{name}: expected a positive number, received {value!r}.")
    rows, targets = _points(x, y)
    if history is None:
        raise ValueError(
            "history: expected a tinynet.callbacks.WeightHistory that was given to fit, received "
            "None."
        )
    surface = loss_surface(model, x, y, history, weights, extent, resolution, seed)
    path_weights = recorded(history, list(model.trainable_weights))
    count = len(path_weights)
    shown = np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(int))
    inputs = line_of(rows, np.ndim(x))
    fits, losses = _evaluated(model, x, y, inputs, path_weights[shown])
    steps = getattr(history, "steps", range(count))
    figure, line, title, trail, end = _pictures(
        rows, targets, inputs.ravel(), fits[0], surface, loss_label(model)
    )

    def draw(frame: int) -> list[Any]:
        place = shown[frame]
        line.set_ydata(fits[frame])
        trail.set_data(*surface.path[: place + 1].T)
        end.set_data(*surface.path[place : place + 1].T)
        title.set_text(f"step {steps[place]:<6} loss {plain(losses[frame])}")
        return [line, trail, end, title]

    from matplotlib.animation import FuncAnimation, PillowWriter

    film = FuncAnimation(figure, draw, frames=len(shown), interval=1000 / fps)
    if path is not None:
        film.save(path, writer=PillowWriter(fps=fps), dpi=dpi)
    return film


def _points(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, targets = samples(x, "x"), samples(y, "y")
    if rows.shape[1] != 1 or targets.shape[1] != 1:
        raise ValueError(
            "animate_descent: shows models of one input and one output, received x of shape "
            f"{np.shape(x)} and y of shape {np.shape(y)}."
        )
    return rows, targets


def _evaluated(
    model: Any, x: Any, y: Any, inputs: np.ndarray, points: np.ndarray
) -> tuple[list[np.ndarray], list[float]]:
    """Return the outputs for `inputs`, and the loss of the samples, at each row of weights."""
    given = wrap(to_array(inputs, "x"))
    outputs = at_weights(model, lambda: model(given))
    fits, losses = [], []
    prepared = model.prepared(Dataset.of_one_batch(x, y))
    with prepared as batch, no_grad(), np.errstate(all="ignore"):
        loss = loss_of(model, batch)
        for flat in points:
            weights = as_weights(flat, model.trainable_weights)
            fits.append(outputs(*weights).numpy().ravel())
            losses.append(loss(*weights).item())
    return fits, losses


def _pictures(
    x: np.ndarray, y: np.ndarray, inputs: np.ndarray, fit: np.ndarray, surface: Surface, label: str
) -> tuple[Any, ...]:
    """Return a figure with the first frame, and what changes in it: line, title, path, its end."""
    figure = new_figure(9.2, 4.0, True, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    left.scatter(x[:, 0], y[:, 0], s=14, color=GREY, alpha=0.55, linewidth=0)
    (line,) = left.plot(inputs, fit, color=VERMILION, linewidth=2.4)
    margin = 0.25 * float(np.ptp(y)) or 1.0
    left.set(xlabel="x", ylabel="y", ylim=(y.min() - margin, y.max() + margin))
    tidy(left)
    title = left.set_title(" ", loc="left", fontsize=10, family="monospace")
    draw_surface(right, surface, label)
    trail, _, end = draw_path(right, surface, end="now")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # otherwise the layout would change from frame to frame
    return figure, line, title, trail, end
