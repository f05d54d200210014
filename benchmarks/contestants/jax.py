"""JAX: a jitted step called from a Python loop, or a whole epoch as one jitted scan.

Its manual recommends to read results when all work is dispatched: the scan's losses are read after
the last epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..functions import FUNCTIONS
from ..works import Work, columns, initial
from . import Fit, order_of, step_by_step


def _forward(weights: list[Any], x: Any) -> Any:
    import jax

    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = jax.nn.sigmoid(x @ kernel + bias)
    return x @ weights[-2] + weights[-1]


def _step(work: Work) -> Callable[[Any, Any, Any], Any]:
    """Return a pure function from (weights, m, v, t) and a batch to the next, and the loss."""
    import jax
    import jax.numpy as jnp

    def loss_of(weights: list[Any], x: Any, y: Any) -> Any:
        return jnp.mean((_forward(weights, x) - y) ** 2)

    def step(state: Any, x: Any, y: Any) -> Any:
        weights, m, v, t = state
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        t = t + 1
        if work.optimizer == "sgd":
            new = jax.tree.map(lambda w, g: w - work.rate * g, weights, gradients)
            return (new, m, v, t), loss
        alpha = work.rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        m = jax.tree.map(lambda m, g: m + (g - m) * (1 - 0.9), m, gradients)
        v = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - 0.999), v, gradients)
        new = jax.tree.map(lambda w, m, v: w - alpha * m / (jnp.sqrt(v) + 1e-7), weights, m, v)
        return (new, m, v, t), loss

    return step


def _start(work: Work) -> Any:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", False)  # it is True after `function`
    weights = [jnp.asarray(w) for w in initial(work)]
    m, v = ([jnp.zeros_like(w) for w in weights] for _ in range(2))
    return weights, m, v, jnp.zeros((), "float32")


def train(work: Work, scanned: bool = False) -> Fit:
    """Return the fit."""
    import jax

    state = _start(work)
    if not scanned:
        jitted = jax.jit(_step(work), donate_argnums=0)

        def step(x: Any, y: Any) -> Any:
            nonlocal state
            state, loss = jitted(state, x, y)
            return loss

        return step_by_step(work, step)

    x, y = (jax.device_put(a) for a in columns(work))
    whole = _scan(work)

    def fit(epochs: int, shuffle: bool) -> tuple[list[float], list[float]]:
        nonlocal state
        losses = []
        start = time.perf_counter()
        for _ in range(epochs):
            state, loss = whole(state, x, y, order_of(work, shuffle))
            losses.append(loss)
        found = [float(loss) for loss in losses]
        return [(time.perf_counter() - start) / epochs] * epochs, found

    return fit


def _scan(work: Work) -> Callable[..., Any]:
    """Return a jitted function of an epoch; a smaller last batch is a separate step."""
    import jax

    step = _step(work)
    full, rest = divmod(work.rows, work.batch)

    def whole(state: Any, x: Any, y: Any, order: Any) -> Any:
        batches = order[: full * work.batch].reshape(full, work.batch)
        state, losses = jax.lax.scan(lambda s, rows: step(s, x[rows], y[rows]), state, batches)
        total = losses.sum() * work.batch
        if rest:
            rows = order[full * work.batch :]
            state, loss = step(state, x[rows], y[rows])
            total += loss * rest
        return state, total / work.rows

    return jax.jit(whole, donate_argnums=0)


def predict(work: Work) -> Callable[[np.ndarray], np.ndarray]:
    """Return the jitted network, from an array to an array."""
    import jax

    weights = _start(work)[0]
    forward = jax.jit(_forward)
    return lambda x: np.asarray(forward(weights, x))


def function(work: Work) -> Callable[[], Any]:
    """Return the jitted derivative of the work's function at its point.

    A Jacobian of more outputs than inputs is one of forward mode.
    """
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    chosen = FUNCTIONS[work.data]

    def derivative(u: Any) -> Any:
        return jax.grad(lambda x: u(x).sum())

    transform = jax.jacfwd if chosen.derivative == "jacobian" else getattr(jax, chosen.derivative)
    call = jax.jit(transform(chosen.make(jnp, derivative)))
    point = jax.tree.map(jnp.asarray, chosen.point())
    return lambda: jax.block_until_ready(call(point))
