"""Two moons: a network that separates two curved classes.

The examples before fitted a curve to points. Here each point belongs to one of two classes, which
lie around each other like two half moons; no straight line separates them. The network has two
inputs, some hidden units, and one output with a sigmoid: a number from 0 to 1, the probability of
the second class. The loss is the binary cross-entropy: small if the network is sure and right,
large if it is sure and wrong.

    python examples/08_two_moons.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import Adam

try:
    import matplotlib

    matplotlib.use("Agg")  # draw to files, without a display
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("This example needs matplotlib: pip install '.[plot]'") from None


def generate_moons(count, noise=0.15):
    """Return `count` points on two interlocking half circles, and their classes."""
    classes = np.arange(count) % 2
    angle = np.pi * np.random.rand(count)
    up = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(classes[:, None] == 0, up, [1.0, 0.5] - up)
    return points + noise * np.random.randn(count, 2), classes


def train(points, classes, hidden):
    """Return a trained network with two layers of `hidden` units or none, and its history."""
    layers = [Dense(hidden, activation="tanh"), Dense(hidden, activation="tanh")] if hidden else []
    model = Sequential([Input((2,)), *layers, Dense(1, activation="sigmoid")])
    model.compile(Adam(learning_rate=0.02), loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(points, classes, epochs=60, validation_split=0.25, verbose=0)
    return model, history


def main(out="."):
    """Run the example; return the results, which the tests check."""
    tn.utils.set_random_seed(5)
    points, classes = generate_moons(800)
    fresh, truth = generate_moons(2000)

    found = {}
    for name, hidden in (("a single neuron", 0), ("two layers of 8", 8)):
        model, history = train(points, classes, hidden)
        loss, accuracy = model.evaluate(fresh, truth, verbose=0)
        found[name] = {"model": model, "history": history, "loss": loss, "accuracy": accuracy}
        print(f"{name}: {model.count_params()} weights, on new points:")
        print(f"  loss {loss:.3f}, {100 * accuracy:.1f} % of the classes right")

    path = Path(out) / "two_moons.png"
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for ax, (name, each) in zip(axes, found.items(), strict=True):
        tn.viz.plot_fit(each["model"], points, classes, ax=ax)
        ax.set_title(f"{name}: {100 * each['accuracy']:.1f} % right", pad=24)
    fig.savefig(path, dpi=100)
    plt.close(fig)
    print(f"picture: {path}")
    return {"networks": found, "fresh": (fresh, truth), "picture": path}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=".", help="folder of the picture")
    main(parser.parse_args().out)
