"""A physics-informed network: solve u'' = -u without ever seeing a solution.

A network u(x) starts as some curve. Its loss measures how badly it violates the equation of a
swinging spring, u'' = -u, at 32 places, and how far u(0) and u'(0) are from 0 and 1. So the loss
contains derivatives of the network, and training differentiates them once more. The solution is
the sine. The example trains twice: by `fit`, with a model whose `compute_loss` is this loss, and by
a loop written by hand, compiled by `tn.jit`.

    python examples/13_physics_informed.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense
from tinynet.optimizers import Adam
from tinynet.viz.style import BLUE, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

END, UPDATES = 5.0, 2500
PLACES = np.linspace(0, END, 32, dtype="float32").reshape(-1, 1)
ZERO = np.zeros((1, 1), "float32")


def derivative(u):
    """Return the derivative of a function that maps each row of a column on its own."""
    return tn.grad(lambda x: u(x).sum())


def violation(u, x):
    """Return the mean squared violation of u'' = -u at x, and of u(0) = 0 and u'(0) = 1."""
    slope = derivative(u)
    equation = derivative(slope)(x) + u(x)
    start = u(ZERO) ** 2 + (slope(ZERO) - 1.0) ** 2
    return (equation**2).mean() + start.sum()


class Spring(tn.Model):
    """A network of one input and one output, whose loss is the violation of the equation."""

    def __init__(self):
        super().__init__()
        self.hidden = [Dense(16, "tanh"), Dense(16, "tanh"), Dense(1)]

    def call(self, x):
        """Return u(x)."""
        for layer in self.hidden:
            x = layer(x)
        return x

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the violation of the equation at the places x."""
        return violation(self, x)


def by_fit():
    """Return a trained model, and its losses."""
    model = Spring()
    model.compile(Adam(learning_rate=0.005))
    history = model.fit(PLACES, batch_size=len(PLACES), epochs=UPDATES, verbose=0)
    return model, history.history["loss"]


def by_hand():
    """Return a model trained by a loop, and its losses."""
    model, optimizer = Spring(), Adam(learning_rate=0.005)
    model(PLACES)  # creates the weights
    optimizer.build(model.trainable_variables)

    def loss(weights):
        return violation(lambda x: model.stateless_call(weights, [], x)[0], PLACES)

    @tn.jit
    def update(weights, state):
        value, gradients = tn.value_and_grad(loss)(weights)
        return value, *optimizer.stateless_apply(state, gradients, weights)

    weights = [v.numpy() for v in model.trainable_variables]
    state = [v.numpy() for v in optimizer.variables]
    losses = []
    for _ in range(UPDATES):
        value, weights, state = update(weights, state)
        losses.append(value.item())
    model.set_weights(weights)
    return model, losses


def main(out="."):
    """Run the example; return the results, which the tests check."""
    trained = {}
    for name, train in {"by fit": by_fit, "by hand": by_hand}.items():
        tn.utils.set_random_seed(1)
        trained[name] = train()
    x = np.linspace(0, END, 101).reshape(-1, 1)
    curves = {name: model.predict(x, verbose=0) for name, (model, _) in trained.items()}
    for name, curve in curves.items():
        error = np.abs(curve - np.sin(x)).max()
        print(f"{name}: loss {trained[name][1][-1]:.1e}, largest error {error:.4f}")

    path = Path(out) / "physics_informed.png"
    losses = {name: losses for name, (_, losses) in trained.items()}
    draw(path, x, curves, losses)
    print(f"picture: {path}")
    return {"x": x, "curves": curves, "losses": losses, "picture": path}


def draw(path, x, curves, losses):
    """Save a picture of the solutions and of the losses."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(x, np.sin(x), color="black", lw=7, alpha=0.2, label="sine")
    for (name, curve), style in zip(curves.items(), ("-", "--"), strict=True):
        color = BLUE if style == "-" else VERMILION
        left.plot(x, curve, style, color=color, lw=2, label=name)
        right.plot(losses[name], style, color=color, lw=1, label=name)
    left.plot(PLACES, 0 * PLACES, "|", color="gray", label="places of the loss")
    left.set(xlabel="x", ylabel="u", title="A network that obeys u'' = -u")
    left.legend()
    right.set(xlabel="update", ylabel="loss", yscale="log", title="Violation of the equation")
    right.legend()
    fig.savefig(path, dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
