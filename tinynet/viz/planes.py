"""Planes in the space of weights: spanned by two weights, or by two directions.

Imports the engine, the compiler, `../explain/tables.py` and `style.py`. Read next: `landscape.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..compiler.jit import jit
from ..engine.bind import no_grad
from ..engine.expect import is_integer
from ..engine.tensor import Tensor, wrap
from ..engine.variable import Variable
from ..explain.tables import short_path
from .style import expect


class Plane(NamedTuple):
    """A plane in the space of all trainable weights, concatenated to one vector."""

    origin: np.ndarray
    directions: np.ndarray  # two rows
    labels: tuple[str, str]

    def at(self, point: Any) -> Any:
        """Return the weights at a point of the plane: an array, or a tensor if `point` is one."""
        return self.origin + point[0] * self.directions[0] + point[1] * self.directions[1]

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        """Return the coordinates of rows of weights, projected onto the plane."""
        return (weights - self.origin) @ np.linalg.pinv(self.directions)


def plane_of(variables: Sequence[Variable], path: np.ndarray, chosen: Any, seed: int) -> Plane:
    """Return the plane over two chosen weights, or the default one.

    `plot_loss_surface` documents the choices, the default, and the errors.
    """
    origin = path[-1].copy()
    size = len(origin)
    expect(size > 1, "model", "at least two trainable weights", size)
    if chosen is None and size > 2:
        return _plane_of_directions(variables, path, origin, np.random.default_rng(seed))
    chosen = (0, 1) if chosen is None else chosen
    pair = not isinstance(chosen, str) and len(chosen) == 2
    expect(pair, "weights", "two names or numbers", chosen)
    (first, one), (second, other) = (_position_and_name(each, variables) for each in chosen)
    expect(first != second, "weights", "two different ones", chosen)
    origin[[first, second]] = 0.0
    directions = np.zeros((2, size))
    directions[[0, 1], [first, second]] = 1.0
    return Plane(origin, directions, (one, other))


def _plane_of_directions(variables: Any, path: np.ndarray, origin: np.ndarray, rng: Any) -> Plane:
    """Return the plane of the path's principal directions; random ones replace missing ones."""
    _, strength, rows = np.linalg.svd(path - origin, full_matrices=False)
    shares = strength**2 / max((strength**2).sum(), 1e-300)
    pairs = [(row, share) for row, share in zip(rows[:2], shares, strict=False) if share > 1e-12]
    found = [row * np.sign(row[np.abs(row).argmax()]) for row, _ in pairs]
    labels = [f"principal direction {i} of the path ({s:.0%})" for i, (_, s) in enumerate(pairs, 1)]
    while len(found) < 2:
        direction = random_direction(variables, origin, rng)
        for other in found:  # of any length
            direction -= (direction @ other) / (other @ other) * other
        found.append(direction)
        labels.append(f"random direction {len(found)}")
    return Plane(origin, np.array(found), (labels[0], labels[1]))


def random_direction(variables: Any, origin: np.ndarray, rng: Any) -> np.ndarray:
    """Return a random direction, in which each unit's weights have the same norm as at `origin`.

    Filter normalization: Li et al., "Visualizing the loss landscape of neural nets", 2018.
    """
    parts = []
    for part in parts_of(origin, variables):
        noise = rng.standard_normal(part.shape)
        units = part.shape[-1] if part.ndim > 1 else 1  # a bias is normalized as a whole
        length, own = (np.linalg.norm(a.reshape(-1, units), axis=0) for a in (part, noise))
        parts.append(noise * length / np.maximum(own, 1e-12))
    direction = flat_of(parts)
    return direction if direction.any() else rng.standard_normal(direction.shape)


def _position_and_name(chosen: Any, variables: Sequence[Variable]) -> tuple[int, str]:
    """Return the position and name of a weight, given as an integer or ``dense/kernel[0, 1]``."""
    size = sum(v.size for v in variables)
    known = is_integer(chosen) and -size <= chosen < size
    place = int(chosen) % size if known else None
    path, _, index = str(chosen).partition("[")
    for v, places in zip(variables, parts_of(np.arange(size), variables), strict=True):
        if place is None and f"/{v.path}".endswith(f"/{path}"):
            with suppress(ValueError, IndexError):  # no such element, or several
                at = tuple(int(i) for i in index.removesuffix("]").split(",")) if index else ()
                place = int(places[at].item())
        if place is not None and place in places:
            at = tuple(np.argwhere(places == place)[0])
            return place, short_path(v.path, at if v.size > 1 else ())
    names = [v.path if v.size == 1 else f"{v.path}[...]" for v in variables]
    wanted = f"an integer below {size}, or a name such as 'dense/kernel[0, 1]', of {names}"
    raise ValueError(f"weights: expected {wanted}, received {chosen!r}.")


# -- weights as one vector -------------------------------------------------------------------------


def recorded(history: Any, variables: Sequence[Variable]) -> np.ndarray:
    """Return recorded weights as rows of float64; rows that are not finite are left out.

    Raises
    ------
    ValueError
        If `history` is not a WeightHistory, is empty, or has weights of other shapes.
    """
    weights = getattr(history, "weights", history)
    expect(isinstance(weights, (list, tuple)), "history", "a WeightHistory", type(history))
    if not weights:
        raise ValueError("history: no weights are recorded. Call fit with callbacks=[history].")
    shapes = [v.shape for v in variables]
    for each in weights:
        found = [np.shape(array) for array in each]
        expect(found == shapes, "history", f"weights of the model's shapes {shapes}", found)
    rows = np.array([flat_of(each) for each in weights])
    return rows[np.isfinite(rows).all(axis=1)]


def flat_of(arrays: Any) -> np.ndarray:
    """Return weights concatenated to one vector, in float64."""
    return np.concatenate([np.asarray(array, "float64").ravel() for array in arrays])


def parts_of(flat: Any, variables: Sequence[Variable]) -> list[Any]:
    """Return the parts of a vector of all weights, in the shapes of the variables."""
    ends = np.cumsum([v.size for v in variables]).tolist()
    pairs = zip(variables, ends, strict=True)
    return [flat[end - v.size : end].reshape(v.shape) for v, end in pairs]


def values_at(model: Any, compute: Callable[..., Tensor], rows: Iterable[np.ndarray]) -> np.ndarray:
    """Return the values of `compute`, a function of the trainable weights, for rows of weights."""
    run = compute if model.run_eagerly else jit(compute)
    variables = model.trainable_variables

    def weights(row: np.ndarray) -> Iterable[Tensor]:
        pairs = zip(parts_of(row, variables), variables, strict=True)
        return (wrap(part.astype(v.dtype)) for part, v in pairs)

    with no_grad(), np.errstate(all="ignore"):
        return np.array([run(*weights(row)).numpy() for row in rows], "float64")
