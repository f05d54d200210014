"""The pictures of README and docs.

python examples/pictures.py [--out FOLDER]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draw to files, without a display
import numpy as np

import tinynet as tn

HERE = Path(__file__).parent / "pictures"


def draw_descent(path, frames):
    """Write an animation: Adam fits a line, next to the path of its two weights over the loss."""
    tn.utils.set_random_seed(3)
    x = np.linspace(0, 1, 100)
    y = 1.35 * x + 0.5 + np.random.randn(100) * 0.33
    model = tn.Sequential([tn.Input((1,)), tn.layers.Dense(1)])
    model.compile(optimizer=tn.optimizers.Adam(learning_rate=0.1), loss="mse")
    walk = tn.callbacks.WeightHistory("batch")
    model.set_weights([[[-0.4]], [1.9]])
    model.fit(x, y, batch_size=100, epochs=90, verbose=0, callbacks=[walk])
    tn.viz.animate_descent(model, x, y, walk, path=path, frames=frames)


def draw_graph(path):
    """Write the graph of a neuron's loss for one sample, with the gradient of each value."""
    w = tn.tensor(1.0, requires_grad=True)
    b = tn.tensor(0.0, requires_grad=True)
    x, y = tn.tensor(3.0), tn.tensor(7.0)
    loss = (w * x + b - y) ** 2
    names = {"w": w, "b": b, "x": x, "y": y}
    ax = tn.viz.plot_graph(loss, names=names, rankdir="LR", gradients=True)
    ax.figure.savefig(path, dpi=100)


def main(out=HERE, frames=60):
    """Write all pictures, the animation with `frames` frames; return their paths."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    draw_descent(out / "descent.gif", frames)
    draw_graph(out / "graph.png")
    paths = [out / "descent.gif", out / "graph.png"]
    for path in paths:
        print(f"wrote {path}")
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=HERE)
    main(parser.parse_args().out)
