"""Polynomial data: hidden units bend the line.

A single neuron can only draw a straight line. To follow a curve, a network needs a hidden layer:
several neurons side by side, each with a sigmoid, an S-shaped function between 0 and 1. The last
neuron adds these S-curves, stretched, shifted and mirrored as needed. Here the points come from the
polynomial x^3 - 2 x with some noise; networks of 0, 2 and 12 hidden units are fitted to them.

    python examples/04_polynomial.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import Adam
from tinynet.viz.style import BLUE, GREEN, VERMILION

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None

NOISE = 0.3


def curve(x):
    """Return the polynomial without noise."""
    return x**3 - 2 * x


def train(x, y, hidden):
    """Return a network with `hidden` sigmoid units, trained on the points."""
    layers = [Dense(hidden, activation="sigmoid")] if hidden else []
    model = Sequential([Input((1,)), *layers, Dense(1)])
    model.compile(Adam(learning_rate=0.03), loss="mse")
    model.fit(x, y, epochs=400, verbose=0)
    return model


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(2)
    x = np.random.uniform(-2, 2, 200)
    y = curve(x) + NOISE * np.random.randn(200)
    best = np.polyfit(x, y, 3)
    errors = {"best cubic polynomial": np.mean((np.polyval(best, x) - y) ** 2)}
    networks = {hidden: train(x, y, hidden) for hidden in (0, 2, 12)}
    for hidden, model in networks.items():
        errors[f"{hidden} hidden units"] = model.evaluate(x, y, verbose=0)
    for name, error in errors.items():
        print(f"{name:>22}: mean squared error {error:.3f}")
    print(f"the mean square of the noise is about {NOISE**2:.3f}")

    path = Path(out) / "polynomial.png"
    line = np.linspace(-2.2, 2.2, 200)
    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    ax.scatter(x, y, s=12, color="0.7", label="data")
    ax.plot(line, curve(line), color="black", lw=4, alpha=0.25, label="the polynomial")
    looks = zip((":", "--", "-"), (BLUE, GREEN, VERMILION), strict=True)
    for (hidden, model), (style, color) in zip(networks.items(), looks, strict=True):
        label = f"{hidden} hidden units"
        ax.plot(line, model.predict(line, verbose=0), style, color=color, label=label, lw=2)
    ax.set(xlabel="x", ylabel="y", title="Hidden units bend the line", ylim=(-7, 7))
    ax.legend()
    fig.savefig(path, dpi=100)
    plt.close(fig)
    print(f"picture: {path}")
    return {"data": (x, y), "networks": networks, "errors": errors, "picture": path}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
