"""Training as an animation: the line that is fitted, next to the descent over the loss surface.

Imports `curves.py` and `landscape.py`, and matplotlib when something is drawn. Read next:
`../utils.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.tensor import wrap
from ..training.data import Dataset, to_array
from ..training.divergence import at_weights, loss_of
from .curves import draw_curves, evenly
from .landscape import draw_path, draw_surface, loss_surface
from .planes import recorded, values_at
from .style import demand, expect, loss_label, new_figure, plain, samples

PAUSE = 2.0  # seconds of the last frame, before a GIF starts again


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
        expect(value > 0, name, "a positive number", value)
    rows, targets = samples(x, "x"), samples(y, "y")
    single = rows.shape[1] == targets.shape[1] == 1
    expect(single, "x, y", "samples of one input and one output", (np.shape(x), np.shape(y)))
    walked = recorded(history, model.trainable_variables)
    surface = loss_surface(model, x, y, history, weights, extent, resolution, seed)
    shown = np.unique(np.linspace(0, len(walked) - 1, min(frames, len(walked))).round().astype(int))
    inputs = evenly(rows)
    fits, losses = _evaluated(model, x, y, inputs, walked[shown])
    steps = getattr(history, "steps", range(len(walked)))

    figure = new_figure(9.2, 4.0, True, layout="constrained")
    from matplotlib import animation, rc_context

    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    draw_curves(left, rows, targets, inputs, fits[0])
    margin = 0.25 * float(np.ptp(targets)) or 1.0
    left.set_ylim(targets.min() - margin, targets.max() + margin)
    title = left.set_title(" ", loc="left", fontsize=10, family="monospace")
    draw_surface(right, surface, loss_label(model))
    trail, _, end = draw_path(right, surface, end="now")
    figure.draw_without_rendering()
    with rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)  # the layout stays; with any engine savefig draws twice

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
    """Return the outputs for `inputs`, and the loss of the samples, at each row of weights."""
    given = wrap(to_array(inputs.reshape(-1, *np.shape(x)[1:]), "x"))
    fits = values_at(model, at_weights(model, lambda: model(given)), weights)
    with model.prepared(Dataset.of_one_batch(x, y)) as batch:
        losses = values_at(model, loss_of(model, batch), weights)
    return fits.reshape(len(fits), -1, 1), losses
