"""Two moons: a network that tells two curved classes apart.

So far a line was fitted to points. Here each point belongs to one of two classes, which lie like
two half moons around each other; no straight line parts them. The network has two inputs, a few
hidden units that bend, and one output with a sigmoid: a number from 0 to 1, read as the
probability of the second class. The loss is the binary cross-entropy: small where the network was
sure and right, large where it was sure and wrong.

    python examples/08_two_moons.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to files, without a display
import matplotlib.pyplot as plt
import numpy as np

import tinynet as tn
from tinynet.layers import Dense, Input
from tinynet.models import Sequential
from tinynet.optimizers import Adam


def generate_moons(count, noise=0.15):
    """Return so many points on two half circles that hold each other, and their classes."""
    classes = np.arange(count) % 2
    angle = np.pi * np.random.rand(count)
    up = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.where(classes[:, None] == 0, up, [1.0, 0.5] - up)
    return points + noise * np.random.randn(count, 2), classes


def train(points, classes, hidden):
    """Return a network with so many hidden units, trained, and its history."""
    layers = [Dense(hidden, activation="tanh"), Dense(hidden, activation="tanh")] if hidden else []
    model = Sequential([Input((2,)), *layers, Dense(1, activation="sigmoid")])
    model.compile(Adam(learning_rate=0.02), loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(points, classes, epochs=60, validation_split=0.25, verbose=0)
    return model, history


def main(out="."):
    """Tell the story; return what the tests check."""
    tn.utils.set_random_seed(5)
    points, classes = generate_moons(800)
    fresh, truth = generate_moons(2000)

    found = {}
    for name, hidden in (("a single neuron", 0), ("two layers of 8", 8)):
        model, history = train(points, classes, hidden)
        loss, accuracy = model.evaluate(fresh, truth, verbose=0)
        found[name] = {"model": model, "history": history, "loss": loss, "accuracy": accuracy}
        print(f"{name}: {model.count_params()} weights, on points it has never seen:")
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
    parser.add_argument("--out", default=".", help="the folder of the picture")
    main(parser.parse_args().out)
